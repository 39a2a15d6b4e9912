#include "jobs/shared/process_front.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs/shared/opening.h"
#include "pipeline/sys/log.h"

/* How long a store may take to be opened before the front listens without it: a bucket that
 * cannot be used is told by not listening at all, where that is soon found out. */
#define START_MS 3000u
#define LOOK_MS  100u

/* --- listening --- */

/* The socket that systemd, or who does as it does, has handed over; -1: none. */
static int listen_fd(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    bool ours = pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid() &&
                strtol(fds, NULL, 10) > 0;
    return ours ? 3 : -1;
}

/* Gives -1 to go on, else what main is to return. */
static int front_listen(struct front *front, struct process *p)
{
    const struct settings *s = &p->settings;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char address[80];
    bool v6 = strchr(s->listen.host, ':') != NULL;
    snprintf(address, sizeof(address), v6 ? "[%s]:%u" : "%s:%u", s->listen.host,
             (unsigned)s->listen.port);
    struct http_options http = {.clock = clock_system(),
                                .service = front->service,
                                .address = address,
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
    int err = http_server_open(&http, &front->server);
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

/* --- serving --- */

static void service_begin(struct front *front, struct process *p)
{
    const struct settings *s = &p->settings;
    front->derives = process_derive_open(p, &front->derive);
    struct service_options options = {
        .intake = {.window_us = s->intake_window_us,
                   .batch_max = (size_t)s->intake_batch_max,
                   .queue_max = (size_t)s->intake_queue_max,
                   .hint = front->queued,
                   .hint_arg = front->arg},
        .wait_max_ms = s->wait_max_ms,
        .poll_ms = s->wait_poll_ms,
        .waiters_max = s->http_connections_max,
        .pulse = p->pulse,
        .derive = front->derives ? &front->derive : NULL,
    };
    if (front->derives)
        options.refs = derive_refs_source(&front->derive);
    int err = service_open(&p->repo, &options, &front->service);
    assert(err == OK);
    if (front->begin != NULL)
        front->begin(front->arg);
    service_start(front->service);
}

/* False: a signal to end came, or nobody has asked anything for long. */
static bool front_wait(struct front *front, const struct process *p)
{
    uint64_t idle_ms = p->settings.idle_exit;
    if (!process_pause(idle_ms == 0 ? UINT64_MAX : LOOK_MS))
        return false;
    if (idle_ms == 0 || http_server_idle_ms(front->server) < idle_ms)
        return true;
    log_info("idle", LOG_U64("for_ms", idle_ms));
    http_server_leave(front->server);
    return false;
}

/* Until the bucket is open: gives -1, and the front listens or not yet; or what main is to
 * return, for a bucket that cannot be used. */
static int front_open(struct front *front, struct process *p)
{
    struct opening opening;
    int code;
    bool go_on = true;
    opening_start(&opening, p, true);
    uint64_t started_us = clock_system()->mono_us(clock_system());
    while ((code = opening_code(&opening)) == OPENING_UNDER_WAY) {
        uint64_t ms = (clock_system()->mono_us(clock_system()) - started_us) / 1000;
        if (front->server == NULL && (ms >= START_MS || opening.away)) {
            int cannot = front_listen(front, p);
            if (cannot >= 0)
                process_leave(cannot);
        }
        go_on = front->server == NULL ? process_pause(START_MS - ms) : front_wait(front, p);
        /* The thread may be in the middle of a request; nothing has been accepted. */
        if (!go_on)
            process_leave(0);
    }
    return code;
}

int front_run(struct front *front, struct process *p)
{
    int code = process_derive_ok(p) ? front_open(front, p) : 2;
    if (code >= 0)
        process_leave(code);
    service_begin(front, p);
    if (front->server != NULL)
        http_server_serve(front->server, front->service);
    else
        code = front_listen(front, p);
    if (code < 0) {
        while (front_wait(front, p)) {
        }
        http_server_quiesce(front->server);
    }
    service_stop(front->service);
    if (front->end != NULL)
        front->end(front->arg);
    if (front->server != NULL)
        http_server_close(front->server);
    service_close(front->service);
    if (front->derives)
        process_derive_close(&front->derive);
    process_close(p);
    return code < 0 ? 0 : code;
}
