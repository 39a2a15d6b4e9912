/* The HTTP front: decodes requests, calls the service, encodes answers. Waiting requests are
 * suspended; no thread sleeps for one. */
#ifndef API_HTTP_SERVER_H
#define API_HTTP_SERVER_H

#include "api/service/service.h"

struct http_server;

struct http_options {
    struct clock *clock;
    struct service *service; /* started, outlives the server; NULL: there is none yet */
    const char *address;     /* "127.0.0.1:7420", "[::1]:0"; port 0: a free one */
    int listen_fd;           /* a socket that listens already, instead of `address`; -1: none */
    unsigned threads;        /* at least 1; more than there are cores makes waits longer */
    unsigned connections_max;
    size_t request_max;       /* bytes of a body, but for uploads */
    uint64_t idle_timeout_ms; /* a connection that says nothing for so long is closed */
    uint64_t wait_max_ms;     /* of ?wait= */
    const char *version;
    struct store *trace; /* counts requests to the store, for /metrics; may be NULL */
};

/* A server without a service tells how it is (/health, /ready, /metrics), and answers 503 to
 * all else. */

/* ERR_DENIED for an address that is not loopback: there are no accounts. ERR_CONFLICT: the port
 * is taken. A `listen_fd` is the server's from here on. */
int http_server_open(const struct http_options *, struct http_server **out) MUST_USE;
/* Gives it the service that it had not. Requests that have begun before get none. */
void http_server_serve(struct http_server *, struct service *);
unsigned http_server_port(const struct http_server *);
/* How long no request has been under way; since the start when there was none yet. */
uint64_t http_server_idle_ms(struct http_server *);
const struct http_options *http_server_options(const struct http_server *);
struct aside;
struct aside *http_server_aside(struct http_server *);
/* Accepts no more connections, and serves those that are there: returns when nobody has asked
 * anything for a moment, a few seconds later at most. For a front that ends by itself. */
void http_server_leave(struct http_server *);
/* Accepts no more connections; what is asked on those that are there is refused. */
void http_server_quiesce(struct http_server *);
/* After service_stop, which answers all that waits. */
void http_server_close(struct http_server *);

#endif
