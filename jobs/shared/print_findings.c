#include "jobs/shared/print_findings.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/json/json.h"

static void line_print(struct buf *line)
{
    buf_append(line, "\n", 1);
    (void)fwrite(line->data, 1, line->len, stdout);
    (void)fflush(stdout);
}

void finding_print(void *arg, const struct fsck_finding *finding)
{
    const struct findings_printer *printer = arg;
    AUTO_BUF line = {0};
    if (printer->json) {
        struct json_writer w;
        jwr_init(&w, &line);
        jwr_object(&w, NULL);
        jwr_str(&w, "type", finding->damage ? "damage" : "note");
        jwr_str(&w, "problem", finding->problem);
        if (finding->damage)
            jwr_str(&w, "invariant", finding->invariant);
        jwr_str(&w, "key", finding->key);
        jwr_str(&w, "detail", finding->detail);
        jwr_object_end(&w);
    } else if (finding->damage) {
        buf_printf(&line, "damage: %s (%s): %s: %s", finding->problem, finding->invariant,
                   finding->key, finding->detail);
    } else {
        buf_printf(&line, "note: %s: %s: %s", finding->problem, finding->key, finding->detail);
    }
    line_print(&line);
}

static void sum_json(const struct fsck_options *options, const struct fsck_counts *c,
                     bool checked, struct buf *line)
{
    struct json_writer w;
    jwr_init(&w, line);
    jwr_object(&w, NULL);
    jwr_str(&w, "type", "summary");
    jwr_bool(&w, "checked", checked);
    jwr_bool(&w, "clean", checked && c->damages == 0);
    jwr_bool(&w, "deep", options->deep);
    jwr_u64(&w, "damages", c->damages);
    jwr_u64(&w, "notes", c->notes);
    jwr_u64(&w, "projects", c->projects);
    jwr_u64(&w, "batches", c->batches);
    jwr_u64(&w, "landings", c->landings);
    jwr_u64(&w, "answers", c->answers);
    jwr_u64(&w, "segments", c->segments);
    jwr_u64(&w, "rollups", c->rollups);
    jwr_u64(&w, "sessions", c->sessions);
    jwr_u64(&w, "queue_objects", c->queue_objects);
    jwr_u64(&w, "blobs", c->blobs);
    jwr_u64(&w, "derive_objects", c->derive_objects);
    jwr_u64(&w, "pages", c->pages);
    jwr_u64(&w, "contents", c->contents);
    jwr_u64(&w, "keys", c->keys);
    jwr_u64(&w, "unnamed", c->unnamed);
    jwr_object_end(&w);
}

static void sum_text(const struct fsck_options *options, const struct fsck_counts *c,
                     struct buf *line)
{
    buf_printf(
        line,
        "%s: %" PRIu64 " projects, %" PRIu64 " landings in %" PRIu64 " batches, %" PRIu64
        " segments of the log, %" PRIu64 " rollups, %" PRIu64 " session objects, %" PRIu64
        " queue objects, %" PRIu64 " uploaded objects, %" PRIu64 " derive objects",
        c->damages == 0 ? "clean" : "damaged", c->projects, c->landings, c->batches,
        c->segments, c->rollups, c->sessions, c->queue_objects, c->blobs, c->derive_objects);
    if (options->deep)
        buf_printf(line, "; deep: %" PRIu64 " pages, %" PRIu64 " contents", c->pages,
                   c->contents);
    buf_printf(line, "; %" PRIu64 " damaged, %" PRIu64 " notes", c->damages, c->notes);
    if (c->unnamed > 0)
        buf_printf(line, "; %" PRIu64 " tree objects that nothing names", c->unnamed);
}

static const char *err_says(int err)
{
    switch (err) {
    case ERR_DENIED:
        return "the store refuses to let it be read";
    case ERR_AGAIN:
    case ERR_UNKNOWN:
        return "the store does not answer";
    case ERR_NOT_FOUND:
        return "there is no bucket";
    default:
        return err_name(err);
    }
}

int findings_end(const struct findings_printer *printer, const struct settings *settings,
                 const struct fsck_options *options, const struct fsck_counts *counts, int err)
{
    AUTO_BUF line = {0};
    if (err == ERR_NOT_FOUND && options->project != NULL)
        fprintf(stderr, "mic-fsck: %s is not checked: there is no bucket, or no project %s\n",
                settings->dir, options->project);
    else if (err != OK)
        fprintf(stderr, "mic-fsck: %s is not checked to its end: %s\n", settings->dir,
                err_says(err));
    if (printer->json)
        sum_json(options, counts, err == OK, &line);
    else if (err == OK)
        sum_text(options, counts, &line);
    if (line.len > 0)
        line_print(&line);
    return err != OK ? 2 : counts->damages > 0 ? 1 : 0;
}
