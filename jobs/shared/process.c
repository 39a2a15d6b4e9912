#include "jobs/shared/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "jobs/shared/open_store.h"
#include "pipeline/store/trace.h"
#include "pipeline/sys/log.h"

/* Rounds of a stage that --once does at most: a queue that fills as fast as it is drained must
 * not keep a timer's job for ever. */
#define ONCE_ROUNDS_MAX 10000u

int process_open(struct process *p, const struct settings_program *program, int argc,
                 char **argv)
{
    *p = (struct process){0};
    int code;
    if (!settings_start(program, argc, argv, environ, &p->settings, &code))
        return code;
    log_setup((enum log_level)p->settings.log_level, p->settings.log_json);
    process_block_signals();
    code = open_probed_store(program->name, &p->settings, &p->disk);
    if (code >= 0) {
        settings_release(&p->settings);
        return code;
    }
    p->store = trace_store_open(p->disk);
    struct repo_options options = {.page_cache_bytes = (size_t)p->settings.page_cache_bytes,
                                   .content_cache_bytes =
                                       (size_t)p->settings.content_cache_bytes,
                                   .shards = (uint32_t)p->settings.shards,
                                   .chunk_size = (uint32_t)p->settings.chunk_size};
    int err = repo_open(&p->repo, p->store, clock_system(), rng_system(), &options);
    if (err == OK)
        return -1;
    fprintf(stderr, "%s: cannot open the bucket in %s: %s\n", program->name, p->settings.dir,
            err_name(err));
    store_close(p->store);
    store_close(p->disk);
    settings_release(&p->settings);
    return 1;
}

void process_close(struct process *p)
{
    repo_close(&p->repo);
    store_close(p->store);
    store_close(p->disk);
    settings_release(&p->settings);
}

static void ending_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void process_block_signals(void)
{
    sigset_t set;
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void process_wait_signal(void)
{
    sigset_t set;
    int which;
    ending_signals(&set);
    sigwait(&set, &which);
}

void process_wait_front(const struct process *p, const struct front *front)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    sigset_t set;
    ending_signals(&set);
    if (p->settings.idle_exit == 0) {
        process_wait_signal();
        return;
    }
    while (sigtimedwait(&set, NULL, &pause) < 0) {
        if (http_server_idle_ms(front->server) >= p->settings.idle_exit) {
            log_info("idle", LOG_U64("for_ms", p->settings.idle_exit));
            http_server_leave(front->server);
            return;
        }
    }
}

/* Whether the program is to go on after it. */
static bool pause_ms(uint64_t ms)
{
    const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                                   .tv_nsec = (long)(ms % 1000) * 1000000};
    sigset_t set;
    ending_signals(&set);
    return sigtimedwait(&set, NULL, &pause) < 0;
}

/* Until there is nothing to do, and what was left to another process is done by that, or has
 * become this one's to do. Gives the error that ended it. */
static int stage_run_once(struct stage *stage, uint64_t pause_min_ms, uint64_t pause_max_ms)
{
    unsigned rounds = 0;
    uint64_t pause = pause_min_ms;
    for (;;) {
        int did = stage->run(stage);
        if (did < 0)
            return did;
        if (did > 0) {
            pause = pause_min_ms;
            if (++rounds == ONCE_ROUNDS_MAX)
                return OK;
            continue;
        }
        if (!stage->waits || !pause_ms(pause))
            return OK;
        pause = pause * 2 > pause_max_ms ? pause_max_ms : pause * 2;
    }
}

int process_run_stage(struct process *p, struct stage *stage, bool once, uint64_t pause_min_ms,
                      uint64_t pause_max_ms)
{
    (void)p;
    int err = OK;
    if (once) {
        err = stage_run_once(stage, pause_min_ms, pause_max_ms);
        if (err != OK)
            log_error("stage_failed", LOG_STR("stage", stage->name), LOG_ERR(err));
    } else {
        struct follow *follow = follow_start(stage, pause_min_ms, pause_max_ms);
        process_wait_signal();
        follow_stop(follow);
    }
    stage->close(stage);
    return err != OK ? 1 : 0;
}

struct land_options process_land_options(const struct process *p)
{
    return (struct land_options){.shard_end = p->repo.bucket.shards,
                                 .batch_max = (uint32_t)p->settings.land_batch_max,
                                 .fold_after_ms = p->settings.fold_after_ms,
                                 .missing_after_ms = p->settings.missing_after_ms,
                                 .lease_ms = (uint32_t)p->settings.lease_ms};
}

int process_service_open(struct process *p, struct front *front,
                         void (*hint)(void *, uint32_t shard), void *hint_arg)
{
    const struct settings *s = &p->settings;
    struct service_options service = {
        .intake = {.window_us = s->intake_window_us,
                   .batch_max = (size_t)s->intake_batch_max,
                   .queue_max = (size_t)s->intake_queue_max,
                   .hint = hint,
                   .hint_arg = hint_arg},
        .wait_max_ms = s->wait_max_ms,
        .poll_ms = s->wait_poll_ms,
        .waiters_max = s->http_connections_max,
    };
    int err = service_open(&p->repo, &service, &front->service);
    if (err != OK) {
        fprintf(stderr, "cannot start the service: %s\n", err_name(err));
        return 1;
    }
    return -1;
}

/* The socket that systemd, or who does as it does, has handed over; -1: none. */
static int listen_fd(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    bool ours = pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid() &&
                strtol(fds, NULL, 10) > 0;
    return ours ? 3 : -1;
}

int process_listen(struct process *p, struct front *front)
{
    const struct settings *s = &p->settings;
    service_start(front->service);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char address[80];
    bool v6 = strchr(s->listen.host, ':') != NULL;
    snprintf(address, sizeof(address), v6 ? "[%s]:%u" : "%s:%u", s->listen.host,
             (unsigned)s->listen.port);
    struct http_options http = {.address = address,
                                .listen_fd = listen_fd(),
                                .threads = s->http_threads > 0
                                               ? (unsigned)s->http_threads
                                               : (unsigned)(cores > 0 ? cores : 1),
                                .connections_max = (unsigned)s->http_connections_max,
                                .request_max = (size_t)s->request_max,
                                .idle_timeout_ms = s->http_idle_ms,
                                .wait_max_ms = s->wait_max_ms,
                                .version = MIC_VERSION,
                                .trace = p->store};
    int err = http_server_open(front->service, &http, &front->server);
    if (err != OK) {
        fprintf(stderr, "cannot listen on %s: %s\n", address,
                err == ERR_CONFLICT ? "the port is taken" : err_name(err));
        return 1;
    }
    if (http.listen_fd >= 0)
        printf("listening on a socket that was handed over, port %u\n",
               http_server_port(front->server));
    else
        printf(v6 ? "listening on http://[%s]:%u\n" : "listening on http://%s:%u\n",
               s->listen.host, http_server_port(front->server));
    fflush(stdout);
    return -1;
}

void process_front_stop(struct front *front)
{
    if (front->server != NULL)
        http_server_quiesce(front->server);
    service_stop(front->service);
}

void process_front_close(struct front *front)
{
    if (front->server != NULL)
        http_server_close(front->server);
    service_close(front->service);
}
