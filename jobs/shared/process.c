#include "jobs/shared/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "jobs/shared/open_store.h"
#include "jobs/shared/opening.h"
#include "pipeline/store/trace.h"
#include "pipeline/sys/log.h"

/* Rounds of a stage that --once does at most: a queue that fills as fast as it is drained must
 * not keep a timer's job for ever. */
#define ONCE_ROUNDS_MAX 10000u

int process_begin(struct process *p, const struct settings_program *program, int argc,
                  char **argv)
{
    *p = (struct process){.program = program->name};
    int code;
    if (!settings_start(program, argc, argv, environ, &p->settings, &code))
        return code;
    log_setup((enum log_level)p->settings.log_level, p->settings.log_json);
    process_block_signals();
    code = open_store(program->name, &p->settings, &p->disk);
    if (code >= 0) {
        settings_release(&p->settings);
        return code;
    }
    p->pulse = pulse_store_open(p->disk, clock_system());
    p->store = trace_store_open(p->pulse);
    return -1;
}

static void process_end(struct process *p)
{
    store_close(p->store);
    store_close(p->pulse);
    store_close(p->disk);
    settings_release(&p->settings);
}

void process_leave(int code)
{
    (void)fflush(NULL);
    _exit(code);
}

int process_open(struct process *p, bool wait)
{
    struct opening opening;
    int code;
    opening_start(&opening, p, wait);
    while ((code = opening_code(&opening)) == OPENING_UNDER_WAY) {
        /* It may be in the middle of a request, and has nothing that is worth a wait. */
        if (!process_pause(UINT64_MAX))
            process_leave(wait ? 0 : 1);
    }
    if (code >= 0)
        process_end(p);
    return code;
}

void process_close(struct process *p)
{
    repo_close(&p->repo);
    process_end(p);
}

/* SIGUSR1 is what a thread of this process wakes the main thread with. */
static void own_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGUSR1);
}

void process_block_signals(void)
{
    sigset_t set;
    own_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* That a file is longer than it may be is an error of the write, as a full disk is. */
    signal(SIGXFSZ, SIG_IGN);
}

bool process_pause(uint64_t ms)
{
    const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                                   .tv_nsec = (long)(ms % 1000) * 1000000};
    sigset_t set;
    own_signals(&set);
    int which = ms == UINT64_MAX ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &pause);
    return which < 0 || which == SIGUSR1;
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
        if (!stage->waits || !process_pause(pause))
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
        while (process_pause(UINT64_MAX)) {
        }
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
                                 .lease_ms = (uint32_t)p->settings.lease_ms,
                                 .delete_late = true};
}
