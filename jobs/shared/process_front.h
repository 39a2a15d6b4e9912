/* The front of a process: it listens, opens the bucket, and serves, in this order where the
 * store is away and in the other where it is not. */
#ifndef JOBS_SHARED_PROCESS_FRONT_H
#define JOBS_SHARED_PROCESS_FRONT_H

#include "api/http/server.h"
#include "jobs/shared/process_derive.h"

struct front {
    /* May be NULL: called when something became durable in the queue; when the bucket is open,
     * before anything is served; and when nothing is served any more. */
    void (*queued)(void *arg, uint32_t shard);
    void (*begin)(void *arg);
    void (*end)(void *arg);
    void *arg;
    /* Of front_run. */
    struct service *service; /* from `begin` to `end` */
    struct http_server *server;
    struct derive derive;
    bool derives;
};

/* Listens, on the socket that was handed over to the process if there is one (systemd's
 * protocol: LISTEN_PID and LISTEN_FDS), says on stdout where, and serves until a signal, or
 * until nobody has asked anything for settings.idle_exit. Gives what main is to return. Ends
 * the process's use, too. */
int front_run(struct front *, struct process *);

#endif
