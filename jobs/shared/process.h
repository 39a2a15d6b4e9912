/* What every long-running program begins and ends with: settings, log, store, repo, signals. */
#ifndef JOBS_SHARED_PROCESS_H
#define JOBS_SHARED_PROCESS_H

#include "api/http/server.h"
#include "config/settings.h"
#include "pipeline/repo/repo.h"
#include "pipeline/stages/follow.h"

struct process {
    struct settings settings;
    struct store *disk;
    struct store *store; /* counts what goes to `disk` */
    struct repo repo;
};

/* The front of this process. */
struct front {
    struct service *service;
    struct http_server *server;
};

/* Reads the settings and opens the bucket. Gives -1 to go on, else what main is to return: help
 * was shown, or what is wrong was said. */
int process_open(struct process *, const struct settings_program *, int argc, char **argv);
void process_close(struct process *);

/* Blocks the signals that end a program, in all threads that start later; waits for one. */
void process_block_signals(void);
void process_wait_signal(void);
/* The same for a front, which may also end by itself when nobody asks it anything. */
void process_wait_front(const struct process *, const struct front *);

/* A stage once (until it finds nothing to do and has left nothing to another), or for ever,
 * until a signal. Gives what main is to return. Closes the stage. */
int process_run_stage(struct process *, struct stage *, bool once, uint64_t pause_min_ms,
                      uint64_t pause_max_ms);

struct land_options process_land_options(const struct process *);

/* Opens the service, not started. `hint` is called when something became durable in the queue;
 * may be NULL. This and the next give -1 to go on, else what main is to return. */
int process_service_open(struct process *, struct front *, void (*hint)(void *, uint32_t shard),
                         void *hint_arg);
/* Starts the service and listens, on the socket that was handed over to the process if there is
 * one (systemd's protocol: LISTEN_PID and LISTEN_FDS); says on stdout where. */
int process_listen(struct process *, struct front *);
/* Stops accepting, and settles what waits. */
void process_front_stop(struct front *);
void process_front_close(struct front *);

#endif
