#include "jobs/shared/run_pack.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/json/json.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/project_id.h"
#include "pipeline/repo/pack/pack.h"
#include "pipeline/repo/project.h"
#include "pipeline/store/trace.h"

enum {
    LATER = 1,
    WRONG_USE = 2,
    NOT_DONE = 3,
};

#define PROGRESS_US     1000000u
#define PROJECTS_A_LIST 100u

struct pack_run {
    struct process *process;
    const struct pack_args *args;
    struct pack_options options;
    const char *name; /* of the project */
    uint64_t told_us;
};

/* A line a second. */
static void progress_tell(void *arg, uint64_t pages, bool packing)
{
    struct pack_run *run = arg;
    struct clock *clock = run->process->repo.clock;
    uint64_t now = clock->mono_us(clock);
    if (now - run->told_us < PROGRESS_US)
        return;
    run->told_us = now;
    (void)fprintf(stderr, "pack: %s: %" PRIu64 " pages %s\n", run->name, pages,
                  packing ? "packed" : "looked at");
}

/* What became of it, as one word. */
static const char *outcome(const struct pack_run *run, const struct pack_report *r, int err)
{
    if (err == ERR_CONFLICT)
        return "busy";
    if (err != OK)
        return "failed";
    if (r->packed)
        return "packed";
    if (r->by_other)
        return "packed_by_other";
    bool helps = r->ranges_before >= 2 * r->ranges_after;
    return run->args->dry_run && helps ? "would_pack" : "not_needed";
}

static const char *err_says(int err)
{
    switch (err) {
    case ERR_CONFLICT:
        return "too busy: others put the head again and again; try again later";
    case ERR_AGAIN:
        return "the store, or this machine's clock, does not let it be done now; try again "
               "later";
    case ERR_UNKNOWN:
        return "it may have been packed, or not: the store does not say; try again later";
    case ERR_LIMIT:
        return "it has more pages than can be packed at once";
    case ERR_CORRUPT:
        return "a part of it is damaged; mic-fsck says which";
    default:
        return err_name(err);
    }
}

static void print_line(struct buf *line)
{
    buf_append(line, "\n", 1);
    (void)fwrite(line->data, 1, line->len, stdout);
    (void)fflush(stdout);
}

static void print_json(const struct pack_run *run, const struct pack_report *r,
                       const struct trace_counts *c, uint64_t reads, uint64_t writes, int err)
{
    AUTO_BUF line = {0};
    struct json_writer w;
    jwr_init(&w, &line);
    jwr_object(&w, NULL);
    jwr_str(&w, "project", run->name);
    jwr_str(&w, "outcome", outcome(run, r, err));
    if (err != OK)
        jwr_str(&w, "error", err_name(err));
    jwr_bool(&w, "dry_run", run->args->dry_run);
    jwr_u64(&w, "position", r->position);
    if (r->packed)
        jwr_str(&w, "tree", hash_hex(&r->tree).s);
    jwr_u64(&w, "pages", r->pages_before);
    jwr_u64(&w, "bytes", r->bytes_before);
    jwr_u64(&w, "objects_before", r->objects_before);
    jwr_u64(&w, "objects_after", r->packed ? r->parts + 1 : r->objects_before);
    jwr_u64(&w, "ranges_before", r->ranges_before);
    jwr_u64(&w, "ranges_after", r->ranges_after);
    jwr_u64(&w, "pages_written", r->pages);
    jwr_u64(&w, "bytes_written", c->bytes_in);
    jwr_u64(&w, "objects_written", r->objects);
    jwr_u64(&w, "tries", r->tries);
    jwr_u64(&w, "parts_dropped", r->dropped);
    jwr_u64(&w, "reads", reads);
    jwr_u64(&w, "writes", writes);
    jwr_object_end(&w);
    print_line(&line);
}

static void print_text(const struct pack_run *run, const struct pack_report *r,
                       const struct trace_counts *c, uint64_t reads, uint64_t writes)
{
    AUTO_BUF line = {0};
    buf_printf(&line, "%s at position %" PRIu64 ": %" PRIu64 " pages of %" PRIu64 " bytes; ",
               run->name, r->position, r->pages_before, r->bytes_before);
    if (r->packed)
        buf_printf(&line,
                   "packed into %" PRIu64 " tree objects from %" PRIu64
                   ", a cold walk reads %" PRIu64 " ranges and not %" PRIu64 "; %" PRIu64
                   " reads, %" PRIu64 " writes of %" PRIu64 " bytes, %" PRIu64
                   " tries at the head",
                   r->parts + 1, r->objects_before, r->ranges_after, r->ranges_before, reads,
                   writes, c->bytes_in, r->tries);
    else if (r->by_other)
        buf_printf(&line, "somebody else has packed it meanwhile");
    else
        buf_printf(&line,
                   "%s: a cold walk reads %" PRIu64 " ranges of %" PRIu64
                   " tree objects, packed %" PRIu64,
                   r->ranges_before >= 2 * r->ranges_after ? "would be packed" : "not needed",
                   r->ranges_before, r->objects_before, r->ranges_after);
    print_line(&line);
}

static int pack_one(struct pack_run *run, const struct id16 *project)
{
    struct pack_report report;
    (void)trace_store_counts(run->process->store, true);
    int err = pack_project(&run->process->repo, project, &run->options, &report);
    struct trace_counts counts = trace_store_counts(run->process->store, true);
    uint64_t reads = 0;
    uint64_t writes = 0;
    for (unsigned i = 0; i < TRACE_KINDS; i++) {
        reads += counts.gets[i];
        writes += counts.puts[i];
    }
    if (run->args->json)
        print_json(run, &report, &counts, reads, writes, err);
    else if (err == OK)
        print_text(run, &report, &counts, reads, writes);
    if (err == OK)
        return 0;
    (void)fprintf(stderr, "mic-pack: %s is not packed: %s\n", run->name, err_says(err));
    return err == ERR_CONFLICT || err == ERR_AGAIN || err == ERR_UNKNOWN ? LATER : NOT_DONE;
}

/* The project `run->name`, and the tree of its references. */
static int pack_both(struct pack_run *run, const struct id16 *project, struct arena *arena)
{
    struct id16 refs;
    int code = pack_one(run, project);
    int err = project_id_is_refs(project)
                  ? ERR_NOT_FOUND
                  : project_refs_find(&run->process->repo, project, &refs);
    if (err == ERR_NOT_FOUND)
        return code;
    run->name = arena_printf(arena, "%s/refs", run->name);
    int other = NOT_DONE;
    if (err == OK)
        other = pack_one(run, &refs);
    else
        (void)fprintf(stderr, "mic-pack: %s is not packed: %s\n", run->name, err_says(err));
    return other > code ? other : code;
}

static int pack_all(struct pack_run *run)
{
    char after[HANDLE_LEN_MAX + 1] = "";
    int code = 0;
    bool more = true;
    while (more) {
        AUTO(arena_release) struct arena arena = {0};
        struct project_list list;
        int err = project_list(&run->process->repo, &arena, after, PROJECTS_A_LIST, &list);
        if (err != OK) {
            (void)fprintf(stderr, "mic-pack: the projects cannot be listed: %s\n",
                          err_name(err));
            return NOT_DONE;
        }
        for (size_t i = 0; i < list.n; i++) {
            (void)snprintf(after, sizeof(after), "%.*s", (int)list.projects[i].handle.len,
                           (const char *)list.projects[i].handle.data);
            run->name = after;
            int one = pack_both(run, &list.projects[i].id, &arena);
            code = one > code ? one : code;
        }
        more = list.more && list.n > 0;
    }
    return code;
}

int pack_run(struct process *p, const struct pack_args *args)
{
    struct pack_run run = {.process = p, .args = args};
    run.options = (struct pack_options){.dry_run = args->dry_run,
                                        .always = args->always,
                                        .progress = progress_tell,
                                        .progress_arg = &run};
    run.told_us = p->repo.clock->mono_us(p->repo.clock);
    if (args->all != (p->settings.args_n == 0)) {
        (void)fprintf(stderr, "mic-pack: give a bucket and a project, or --all; see --help\n");
        return WRONG_USE;
    }
    if (args->all)
        return pack_all(&run);
    struct id16 project;
    run.name = p->settings.args[0];
    AUTO(arena_release) struct arena arena = {0};
    int err = project_find_tree(&p->repo, bytes_str(run.name), &project);
    if (err != OK) {
        (void)fprintf(stderr, "mic-pack: project %s: %s\n", run.name, err_name(err));
        return NOT_DONE;
    }
    return pack_both(&run, &project, &arena);
}
