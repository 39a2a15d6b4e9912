/* HTTP clients for many threads: whoever makes a call takes one, and gives it back. The one
 * that was given back last is taken first, so that its connections are warm; of those that
 * nobody uses a few are kept. */
#ifndef PIPELINE_SYS_HTTP_POOL_H
#define PIPELINE_SYS_HTTP_POOL_H

#include "pipeline/sys/http_client.h"

struct http_pool;

/* Strings in the options must stay as long as the pool. */
struct http_pool *http_pool_open(const struct http_client_options *) MUST_USE;
/* Every client has been given back. */
void http_pool_close(struct http_pool *);
/* ERR_AGAIN when there is no client to be had. */
int http_pool_take(struct http_pool *, struct http_client **out) MUST_USE;
void http_pool_give(struct http_pool *, struct http_client *);

#endif
