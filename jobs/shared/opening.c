#include "jobs/shared/opening.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs/shared/open_store.h"
#include "pipeline/sys/log.h"

#define PAUSE_FIRST_US 250000u
#define PAUSE_MAX_US   5000000u

static int repo_try(struct process *p, struct probe_report *report)
{
    const struct settings *s = &p->settings;
    const struct repo_options options = {.page_cache_bytes = (size_t)s->page_cache_bytes,
                                         .content_cache_bytes = (size_t)s->content_cache_bytes,
                                         .shards = (uint32_t)s->shards,
                                         .chunk_size = (uint32_t)s->chunk_size};
    int err = repo_open(&p->repo, p->store, clock_system(), rng_system(), &options);
    if (err != OK)
        (void)snprintf(report->says, sizeof(report->says), "cannot open the bucket in %s: %s",
                       s->dir, err_name(err));
    return err;
}

/* One attempt; what is wrong is a sentence in the report. */
static int bucket_try(struct process *p, struct probe_report *report)
{
    int err = probe_opened_store(&p->settings, p->disk, report);
    return err == OK ? repo_try(p, report) : err;
}

static bool is_away(int err, const struct probe_report *report)
{
    return !report->refused && (err == ERR_AGAIN || err == ERR_UNKNOWN);
}

static int bucket_open(struct opening *o, struct probe_report *report)
{
    struct clock *clock = clock_system();
    uint64_t begun_us = clock->mono_us(clock);
    uint64_t pause_us = PAUSE_FIRST_US;
    for (int last = OK;; pause_us = pause_us * 2 < PAUSE_MAX_US ? pause_us * 2 : PAUSE_MAX_US) {
        *report = (struct probe_report){.refused = false};
        int err = bucket_try(o->process, report);
        if (err == OK && last != OK)
            log_info("store_back",
                     LOG_U64("away_ms", (clock->mono_us(clock) - begun_us) / 1000));
        if (!o->wait || !is_away(err, report))
            return err;
        if (err != last)
            log_warn("store_away", LOG_STR("bucket", o->process->settings.dir), LOG_ERR(err),
                     LOG_STR("why", report->says));
        last = err;
        if (!atomic_exchange(&o->away, true))
            (void)kill(getpid(), SIGUSR1);
        clock->sleep_us(clock, pause_us / 2 + rng_below(rng_system(), pause_us));
    }
}

static void *run(void *arg)
{
    struct opening *o = arg;
    struct probe_report report;
    int err = bucket_open(o, &report);
    if (err != OK)
        fprintf(stderr, "%s: %s\n", o->process->program, report.says);
    atomic_store(&o->code, err == OK ? -1 : 1);
    (void)kill(getpid(), SIGUSR1);
    return NULL;
}

void opening_start(struct opening *o, struct process *process, bool wait)
{
    *o = (struct opening){.process = process, .wait = wait};
    atomic_store(&o->code, OPENING_UNDER_WAY);
    if (pthread_create(&o->thread, NULL, run, o) != 0)
        abort();
}

int opening_code(struct opening *o)
{
    int code = atomic_load(&o->code);
    if (code != OPENING_UNDER_WAY)
        (void)pthread_join(o->thread, NULL);
    return code;
}
