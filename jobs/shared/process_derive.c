#include "jobs/shared/process_derive.h"

#include <stdio.h>
#include <unistd.h>

#include "jobs/shared/open_store.h"
#include "pipeline/sys/file.h"
#include "pipeline/sys/log.h"

/* Processes that share a directory: each has the folder of the first number that is free. */
#define SHARERS_MAX 256u
/* Looking at a directory for what others have told costs next to nothing; at a bucket a request
 * that is paid for. */
#define LOOK_NEAR_US 20000u
#define LOOK_FAR_US  1000000u

/* False where there is none. */
static bool dir_of(const struct settings *s, struct arena *arena, const char **out)
{
    if (s->derive_dir[0] != '\0')
        *out = s->derive_dir;
    else if (!is_s3_place(s->dir))
        *out = arena_printf(arena, "%s/.micelio/derive", s->dir);
    else
        return false;
    return true;
}

static int open_in(struct process *p, const char *dir, struct derive *derive)
{
    const struct settings *s = &p->settings;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct derive_options options = {
        .window_us = s->intake_window_us,
        .batch_max = (size_t)s->intake_batch_max,
        .queue_max = (size_t)s->intake_queue_max,
        .look_us = is_s3_place(s->dir) ? LOOK_FAR_US : LOOK_NEAR_US,
        .slots = (uint32_t)(s->derive_slots > 0 ? s->derive_slots
                            : cores > 0         ? (uint64_t)cores
                                                : 1),
        .in_flight_max = s->derive_in_flight_bytes,
        .ram_bytes = (size_t)s->derive_ram_bytes,
        .disk_bytes = s->derive_disk_bytes,
    };
    int err = verify_parse(bytes_str(s->derive_verify), &options.verify);
    for (unsigned i = 0; i < SHARERS_MAX && err == OK; i++) {
        AUTO(arena_release) struct arena arena = {0};
        options.dir = arena_printf(&arena, "%s/%u", dir, i);
        err = file_mkdirs(options.dir);
        if (err == OK)
            err = derive_open(derive, &p->repo, &options);
        if (err != ERR_CONFLICT)
            return err;
        err = OK;
    }
    return err == OK ? ERR_LIMIT : err;
}

bool process_derive_ok(const struct process *p)
{
    struct verify verify;
    const char *text = p->settings.derive_verify;
    if (verify_parse(bytes_str(text), &verify) == OK)
        return true;
    fprintf(stderr,
            "%s: derive_verify is %s, and must be off, dual or sampled:RATE with a rate from 0 "
            "to 1\n",
            p->program, text);
    return false;
}

bool process_derive_open(struct process *p, struct derive *derive)
{
    const char *dir;
    if (!dir_of(&p->settings, &p->settings.arena, &dir)) {
        log_info("derives_nothing", LOG_STR("why", "derive_dir is empty"));
        return false;
    }
    int err = open_in(p, dir, derive);
    if (err != OK) {
        log_error("derives_nothing", LOG_STR("derive_dir", dir), LOG_ERR(err));
        return false;
    }
    derive_start(derive);
    return true;
}

void process_derive_close(struct derive *derive)
{
    derive_stop(derive);
    derive_close(derive);
}
