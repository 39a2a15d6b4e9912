#include "jobs/shared/run_replay.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/project_id.h"
#include "formats/record.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/replay/replay.h"

enum {
    DIFFERS = 1,
    WRONG_USE = 2,
    NOT_DONE = 3,
};

#define PROGRESS_US 1000000u

/* A line a second. */
struct progress {
    struct clock *clock;
    uint64_t begun_us;
    uint64_t told_us;
};

static uint64_t per_second(uint64_t n, uint64_t us)
{
    return us == 0 ? 0 : (uint64_t)((double)n * 1e6 / (double)us);
}

static void progress_tell(void *arg, const struct replay_report *report)
{
    struct progress *p = arg;
    uint64_t now = p->clock->mono_us(p->clock);
    if (now - p->told_us < PROGRESS_US)
        return;
    p->told_us = now;
    (void)fprintf(stderr,
                  "replay: position %" PRIu64 " of %" PRIu64 ", %" PRIu64 " batches, %" PRIu64
                  " landings/s\n",
                  report->position, report->end, report->batches,
                  per_second(report->position - report->from, now - p->begun_us));
}

static int wrong_use(const char *what)
{
    (void)fprintf(stderr, "mic-replay: %s\n", what);
    return WRONG_USE;
}

/* A position in decimal. */
static bool position_parse(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at) != 0; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value >= BASE_END)
            return false;
    }
    if (at == text || *at != '\0')
        return false;
    *out = value;
    return true;
}

/* What an end other than a good one comes to. */
static int bad_end(const struct replay_report *report, int err, const char *project)
{
    if (report->fault.found) {
        printf("%s differs at position %" PRIu64 ": %s\n", project, report->fault.first,
               report->fault.what);
        printf("%s agrees up to position %" PRIu64 "\n", project, report->position);
        return DIFFERS;
    }
    if (err == ERR_INVALID)
        (void)fprintf(stderr, "mic-replay: %s has no position %" PRIu64 " yet\n", project,
                      report->end);
    else
        (void)fprintf(stderr,
                      "mic-replay: %s cannot be replayed beyond position %" PRIu64 ": %s\n",
                      project, report->position, err_name(err));
    return NOT_DONE;
}

static int verify(struct process *p, const struct id16 *project, const char *name,
                  const struct replay_options *options, const struct progress *progress)
{
    struct replay_report report;
    int err = replay_verify(&p->repo, project, options, &report);
    if (err != OK)
        return bad_end(&report, err, name);
    uint64_t us = progress->clock->mono_us(progress->clock) - progress->begun_us;
    printf("%s agrees up to position %" PRIu64 ": %" PRIu64 " batches, %" PRIu64
           " small contents read, %" PRIu64 " large ones there, %" PRIu64 " landings/s\n",
           name, report.position, report.batches, report.contents, report.blobs,
           per_second(report.position, us));
    return 0;
}

static int into(struct process *p, const struct id16 *project, const char *name,
                const char *handle, const struct replay_options *options,
                const struct progress *progress)
{
    struct replay_report report;
    struct id16 made;
    int err = replay_into(&p->repo, project, bytes_str(handle), options, &report, &made);
    if (err == ERR_CONFLICT && !report.fault.found) {
        (void)fprintf(stderr, "mic-replay: there is a project %s already\n", handle);
        return NOT_DONE;
    }
    if (err == ERR_INVALID && report.end == 0)
        return wrong_use("--into takes a handle: 1 to 100 of a-z 0-9 . _ -, beginning with a "
                         "letter or digit");
    if (err != OK)
        return bad_end(&report, err, name);
    const char *of = project_id_is_refs(&made) ? "/refs" : "";
    struct id16 plain = project_id_plain(&made);
    if (report.done_before) {
        printf("%s%s was made of %s before: project %s\n", handle, of, name,
               id16_hex(&plain).s);
        return 0;
    }
    uint64_t us = progress->clock->mono_us(progress->clock) - progress->begun_us;
    printf("%s%s is %s up to position %" PRIu64 ": project %s, %" PRIu64
           " landings in this run, %" PRIu64 " landings/s\n",
           handle, of, name, report.position, id16_hex(&plain).s, report.position - report.from,
           per_second(report.position - report.from, us));
    return 0;
}

static int one_run(struct process *p, const struct id16 *project, const char *name,
                   const struct replay_args *args, const struct replay_options *options)
{
    struct progress progress = {.clock = p->repo.clock};
    struct replay_options told = *options;
    told.progress = progress_tell;
    told.progress_arg = &progress;
    progress.begun_us = progress.clock->mono_us(progress.clock);
    progress.told_us = progress.begun_us;
    return args->into != NULL ? into(p, project, name, args->into, &told, &progress)
                              : verify(p, project, name, &told, &progress);
}

/* The references come first: the new project's handle is put last of all, and until then nobody
 * can bind one of its own. Positions are the project's: up to one of them there is no saying
 * which references there were. */
static int both_run(struct process *p, const struct id16 *project, const char *name,
                    const struct replay_args *args, const struct replay_options *options)
{
    AUTO(arena_release) struct arena arena = {0};
    struct id16 refs;
    int err = ERR_NOT_FOUND;
    int code = 0;
    if (args->to == NULL && !project_id_is_refs(project))
        err = project_refs_find(&p->repo, project, &refs);
    if (err == OK) {
        code = one_run(p, &refs, arena_printf(&arena, "%s/refs", name), args, options);
    } else if (err != ERR_NOT_FOUND) {
        (void)fprintf(stderr, "mic-replay: project %s: %s\n", name, err_name(err));
        code = NOT_DONE;
    }
    if (code != 0 && args->into != NULL)
        return code;
    int other = one_run(p, project, name, args, options);
    return other > code ? other : code;
}

int replay_run(struct process *p, const struct replay_args *args)
{
    struct replay_options options = {.to = UINT64_MAX, .read_ahead = true};
    if (p->settings.args_n != 1)
        return wrong_use("give a bucket and a project; see --help");
    if (args->verify == (args->into != NULL))
        return wrong_use("give --verify to compare only, or --into NAME to make a new project");
    if (args->to != NULL && !position_parse(args->to, &options.to))
        return wrong_use("--to takes a position, which is a number");
    const char *name = p->settings.args[0];
    struct id16 project;
    int err = args->into != NULL ? project_find(&p->repo, bytes_str(name), &project)
                                 : project_find_tree(&p->repo, bytes_str(name), &project);
    if (err != OK) {
        (void)fprintf(stderr, "mic-replay: project %s: %s\n", name, err_name(err));
        return NOT_DONE;
    }
    return both_run(p, &project, name, args, &options);
}
