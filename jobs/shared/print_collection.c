#include "jobs/shared/print_collection.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/json/json.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/project_id.h"

/* Keys of a project that are shown. */
#define SAMPLE_MAX 20u

static void line_print(struct buf *line)
{
    buf_append(line, "\n", 1);
    (void)fwrite(line->data, 1, line->len, stdout);
    (void)fflush(stdout);
}

void collection_begin(struct collection_printer *p, const struct id16 *project,
                      struct bytes handle)
{
    p->project = *project;
    p->shown = 0;
    p->merged = 0;
    p->projects += !project_id_is_refs(project);
    (void)snprintf(p->name, sizeof(p->name), "%.*s%s", (int)handle.len, handle.data,
                   project_id_is_refs(project) ? "/refs" : "");
}

void collection_object(void *printer, const struct collect_object *object)
{
    struct collection_printer *p = printer;
    AUTO_BUF line = {0};
    if (p->shown >= SAMPLE_MAX)
        return;
    p->shown++;
    if (p->json) {
        struct json_writer w;
        jwr_init(&w, &line);
        jwr_object(&w, NULL);
        jwr_str(&w, "type", "object");
        jwr_str(&w, "project", p->name);
        jwr_str(&w, "key", object->key);
        jwr_u64(&w, "size", object->size);
        jwr_u64(&w, "put_ms", object->put_ms);
        jwr_object_end(&w);
    } else {
        buf_printf(&line, "  %s (%" PRIu64 " bytes)", object->key, object->size);
    }
    line_print(&line);
}

static const char *end_name(const struct collect_report *report, int err)
{
    if (err == ERR_CORRUPT)
        return "damaged";
    if (err == ERR_CONFLICT)
        return "no_such_run";
    if (err != OK)
        return "failed";
    switch (report->end) {
    case COLLECT_BUSY:
        return "busy";
    case COLLECT_COOLING:
        return "cooling";
    case COLLECT_DONE:
        break;
    }
    return "done";
}

static void sum_json(struct json_writer *w, const char *name, const struct collect_sum *sum)
{
    jwr_object(w, name);
    jwr_u64(w, "objects", sum->n);
    jwr_u64(w, "bytes", sum->bytes);
    jwr_object_end(w);
}

static void report_json(const struct collection_printer *p, const struct collect_report *r,
                        int err, struct buf *line)
{
    struct json_writer w;
    jwr_init(&w, line);
    jwr_object(&w, NULL);
    jwr_str(&w, "type", "project");
    jwr_str(&w, "project", p->name);
    jwr_str(&w, "end", end_name(r, err));
    if (err != OK)
        jwr_str(&w, "error", err_name(err));
    if (r->damaged.s[0] != '\0')
        jwr_str(&w, "damaged", r->damaged.s);
    jwr_bool(&w, "acts", p->acts);
    sum_json(&w, "all", &r->all);
    sum_json(&w, "collectable", &r->old);
    sum_json(&w, "young", &r->young);
    sum_json(&w, "undated", &r->undated);
    sum_json(&w, "deleted", &r->deleted);
    jwr_u64(&w, "merged", p->merged);
    jwr_u64(&w, "runs", r->runs);
    if (!id16_is_zero(&r->run))
        jwr_str(&w, "run", id16_hex(&r->run).s);
    jwr_bool(&w, "left_open", r->left_open);
    if (r->end == COLLECT_COOLING)
        jwr_u64(&w, "until_ms", r->until_ms);
    jwr_object_end(&w);
}

static void report_text(const struct collection_printer *p, const struct collect_report *r,
                        struct buf *line)
{
    buf_printf(line,
               "%s: %" PRIu64 " objects of %" PRIu64 " bytes, %s %" PRIu64 " of %" PRIu64
               " bytes; too young to tell: %" PRIu64,
               p->name, r->all.n, r->all.bytes, p->acts ? "deleted" : "to be deleted",
               p->acts ? r->deleted.n : r->old.n, p->acts ? r->deleted.bytes : r->old.bytes,
               r->young.n);
    if (p->merged > 0)
        buf_printf(line, "; merged %" PRIu64 " objects of the derive log", p->merged);
    if (r->undated.n > 0)
        buf_printf(line, "; the store does not tell when it was put: %" PRIu64, r->undated.n);
    if (r->end == COLLECT_BUSY)
        buf_printf(line,
                   "; run %s is open: if its process is dead, end it with --resume %s "
                   "or --close %s",
                   id16_hex(&r->run).s, id16_hex(&r->run).s, id16_hex(&r->run).s);
    if (r->end == COLLECT_COOLING)
        buf_printf(line,
                   "; the outcome of some deletes is not known: their names are kept from use "
                   "until %" PRIu64 " ms since 1970",
                   r->until_ms);
}

static void say_failed(const struct collection_printer *p, const struct collect_report *r,
                       int err)
{
    if (err == ERR_CORRUPT)
        (void)fprintf(stderr, "%s: %s is not collected: %s is damaged\n", p->program, p->name,
                      r->damaged.s[0] != '\0' ? r->damaged.s : "a part of it");
    else if (err == ERR_CONFLICT)
        (void)fprintf(stderr, "%s: %s: that is not the run that is open\n", p->program,
                      p->name);
    else if (err != OK)
        (void)fprintf(stderr, "%s: %s is not collected to its end: %s\n", p->program, p->name,
                      err_name(err));
    if (r->left_open)
        (void)fprintf(stderr, "%s: %s: run %s may be open: end it with --resume %s\n",
                      p->program, p->name, id16_hex(&r->run).s, id16_hex(&r->run).s);
}

void collection_end(struct collection_printer *p, const struct collect_report *r, int err)
{
    AUTO_BUF line = {0};
    p->old.n += r->old.n;
    p->old.bytes += r->old.bytes;
    p->deleted.n += r->deleted.n;
    p->deleted.bytes += r->deleted.bytes;
    say_failed(p, r, err);
    if (p->json)
        report_json(p, r, err, &line);
    else if (err == OK)
        report_text(p, r, &line);
    if (line.len > 0)
        line_print(&line);
}

void collection_sum(struct collection_printer *p)
{
    AUTO_BUF line = {0};
    struct json_writer w;
    if (!p->json)
        return;
    jwr_init(&w, &line);
    jwr_object(&w, NULL);
    jwr_str(&w, "type", "summary");
    jwr_u64(&w, "projects", p->projects);
    jwr_bool(&w, "acts", p->acts);
    sum_json(&w, "collectable", &p->old);
    sum_json(&w, "deleted", &p->deleted);
    jwr_object_end(&w);
    line_print(&line);
}
