/* Between the files of the server: the daemon (server.c), and the way of a request through it
 * (request_flow.c). */
#ifndef API_HTTP_SERVER_INSIDE_H
#define API_HTTP_SERVER_INSIDE_H

#include <stdatomic.h>

#include "api/http/request.h"

struct http_server {
    _Atomic(struct service *) service; /* NULL: none yet */
    struct http_options options;
    uint64_t opened_us;
    struct MHD_Daemon *daemon;
    _Atomic uint64_t held; /* bytes that requests hold, as request_hold counts them */
    _Atomic uint64_t
        unanswered;             /* requests that have come whole, and whose answer is not out */
    _Atomic uint64_t under_way; /* requests whose address has come, up to their end */
    _Atomic uint64_t idle_since_us;
    atomic_bool leaving; /* no connection is accepted, and each answer closes its own */
    atomic_bool stopping;
    bool quiet; /* the listening socket is closed */
    struct aside *aside;
};

/* The library's callbacks. `arg` is the server. */
void *request_url(void *arg, const char *url, struct MHD_Connection *);
enum MHD_Result request_piece(void *arg, struct MHD_Connection *, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **context);
void request_end(void *arg, struct MHD_Connection *, void **context,
                 enum MHD_RequestTerminationCode);

#endif
