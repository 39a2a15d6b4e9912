/* Reading the tree and its history: listings, files, differences, the log. */
#include <stdio.h>
#include <stdlib.h>

#include "api/http/content_source.h"
#include "api/http/http_values.h"
#include "api/http/route.h"
#include "api/http/session_json.h"
#include "formats/base/hex.h"
#include "pipeline/repo/history/path_log.h"

#define LIST_DEFAULT 1000u
#define LIST_MOST    10000u
/* Log entries that one request looks at. */
#define LOG_SCAN_MAX 1000000u
/* A page ends early when it has grown to this. */
#define LOG_PAGE_BYTES (8u * MIB)

/* Opens the tree that ?at= (or another query) names. */
static bool snapshot_of(struct request *r, const char *query, struct snapshot **out)
{
    uint64_t position;
    if (!request_u64(r, query, UINT64_MAX - 1, UINT64_MAX, &position))
        return false;
    int err = snapshot_open(r->repo, &r->project, position, out);
    if (err == OK)
        return true;
    struct problem problem;
    if (err == ERR_INVALID)
        problem_set(&problem, ERR_INVALID, "position_ahead", query,
                    "position %llu is over the head's", (unsigned long long)position);
    else
        service_problem(&problem, err, "the tree");
    respond_problem(r, &problem);
    return false;
}

void handle_tree(struct request *r)
{
    struct bytes path;
    uint64_t limit;
    struct snapshot *snapshot;
    const char *after = request_query(r, "after");
    if (!request_path(r, r->rest, &path) ||
        !request_limit(r, LIST_MOST, LIST_DEFAULT, &limit) || !snapshot_of(r, "at", &snapshot))
        return;
    struct tree_listing list;
    int err = snapshot_list(snapshot, path, bytes_str(after == NULL ? "" : after),
                            (size_t)limit, &r->arena, &list);
    if (err == ERR_INVALID) {
        respond_error(r, 422, "not_a_directory", "path", "this path is a file");
    } else if (err != OK) {
        respond_failure(r, err, "the directory");
    } else {
        struct json_writer w;
        respond_json(r, 200, &w);
        jwr_text(&w, "path", path);
        jwr_u64(&w, "position", snapshot_position(snapshot));
        jwr_array(&w, "entries");
        for (size_t i = 0; i < list.n; i++)
            entry_to_json(&w, NULL, &list.entries[i]);
        jwr_array_end(&w);
        if (list.more && list.n > 0)
            jwr_text(&w, "next", list.entries[list.n - 1].name);
        jwr_object_end(&w);
    }
    snapshot_close(snapshot);
}

static void respond_entry(struct request *r, const struct entry *e, bool immutable)
{
    struct content_reader *reader;
    int err = content_open(r->repo, &r->project, &e->where, e->size, &e->hash, &reader);
    if (err != OK) {
        respond_failure(r, err, "the file");
        return;
    }
    respond_header(r, "Mic-Kind", "%s", kind_name(e->kind));
    respond_header(r, "Mic-Mode", "%04o", (unsigned)e->mode);
    respond_header(r, "Mic-Stamp", "%llu", (unsigned long long)e->stamp);
    respond_source(r, "application/octet-stream", hash_hex(&e->hash).s, immutable,
                   content_source(reader));
}

void handle_file(struct request *r)
{
    struct bytes path;
    struct snapshot *snapshot;
    if (!request_path(r, r->rest, &path) || !snapshot_of(r, "at", &snapshot))
        return;
    struct entry entry;
    int err = snapshot_find(snapshot, path, &r->arena, &entry);
    if (err != OK)
        respond_failure(r, err, "the file");
    else if (entry.kind == KIND_DIR)
        respond_error(r, 422, "is_a_directory", "path", "this path is a directory");
    else
        respond_entry(r, &entry, request_query(r, "at") != NULL);
    snapshot_close(snapshot);
}

/* --- differences --- */

static void diff_write(struct request *r, struct snapshot *a, struct snapshot *b,
                       const struct snapshot_changes *changes)
{
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_u64(&w, "from", snapshot_position(a));
    jwr_u64(&w, "to", snapshot_position(b));
    jwr_array(&w, "changes");
    for (size_t i = 0; i < changes->n; i++) {
        jwr_object(&w, NULL);
        jwr_text(&w, "path", changes->changes[i].path);
        entry_to_json(&w, "a", changes->changes[i].a);
        entry_to_json(&w, "b", changes->changes[i].b);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    if (changes->more && changes->n > 0)
        jwr_text(&w, "next", changes->changes[changes->n - 1].path);
    jwr_object_end(&w);
}

void handle_diff(struct request *r)
{
    struct bytes path;
    uint64_t limit;
    struct snapshot *a;
    struct snapshot *b;
    const char *below = request_query(r, "path");
    const char *after = request_query(r, "after");
    if (!request_path(r, bytes_str(below == NULL ? "" : below), &path) ||
        !request_limit(r, LIST_MOST, LIST_DEFAULT, &limit))
        return;
    if (request_query(r, "from") == NULL) {
        respond_error(r, 400, "bad_query", "from", "say from which position");
        return;
    }
    if (!snapshot_of(r, "from", &a))
        return;
    if (snapshot_of(r, "to", &b)) {
        struct snapshot_changes changes;
        int err = snapshot_diff(a, b, path, bytes_str(after == NULL ? "" : after),
                                (size_t)limit, &r->arena, &changes);
        if (err != OK)
            respond_failure(r, err, "the trees");
        else
            diff_write(r, a, b, &changes);
        snapshot_close(b);
    }
    snapshot_close(a);
}

/* --- the log --- */

/* A page of the log, and where the next one begins: at a position, and behind the first `skip`
 * of what is filed under it. */
struct log_page {
    struct bytes path;
    bool all;
    uint64_t limit;
    uint64_t skip;
    bool more;
    uint64_t next;
    uint64_t next_skip;
};

/* Writes entries until the page is full; `page->skip` of those at position `page->next` are
 * passed over first. */
static int log_write(struct landlog *log, struct log_page *page, struct json_writer *w)
{
    const struct log_entry *entry;
    uint64_t written = 0;
    uint64_t passed = 0; /* entries under the position at hand */
    for (uint32_t scanned = 0;; scanned++) {
        int err = landlog_next(log, &entry);
        if (err != OK)
            return err == ERR_NOT_FOUND ? OK : err;
        if (scanned > 0 && entry->position != page->next) {
            page->skip = 0;
            passed = 0;
        }
        page->next = entry->position;
        passed++;
        if (passed <= page->skip)
            continue;
        if (written >= page->limit || scanned >= LOG_SCAN_MAX ||
            w->out->len >= LOG_PAGE_BYTES) {
            page->more = true;
            page->next_skip = passed - 1;
            return OK;
        }
        if (!page->all && entry->verdict != VERDICT_LANDED)
            continue;
        log_entry_to_json(w, entry, page->path);
        written++;
    }
}

/* The landings that changed `page->path`, of a window of positions: where no rollup helps, each
 * of them is looked at. */
static int path_log_write(struct request *r, struct log_page *page, uint64_t before,
                          struct json_writer *w)
{
    struct head head;
    int err = chain_head(r->repo, &r->project, &head, NULL);
    if (err != OK)
        return err;
    uint64_t upto = before < head.position ? before : head.position;
    page->next = log_window_before(upto, LOG_SCAN_MAX);
    if (upto == 0)
        return OK;
    struct path_log *log;
    const struct path_asked asked = {.path = page->path,
                                     .from = page->next + 1,
                                     .before = upto,
                                     .wanted = page->limit,
                                     .head = &head};
    err = path_log_open(r->repo, &r->project, &asked, &log);
    if (err != OK)
        return err;
    uint64_t written = 0;
    const struct log_entry *entry;
    while (err == OK) {
        err = path_log_next(log, &entry);
        if (err != OK)
            break;
        log_entry_to_json(w, entry, page->path);
        if (++written == page->limit || w->out->len >= LOG_PAGE_BYTES) {
            page->next = entry->position - 1;
            break;
        }
    }
    path_log_close(log);
    page->more = page->next > 0;
    return err == ERR_NOT_FOUND ? OK : err;
}

static bool log_asked(struct request *r, struct log_page *page, uint64_t *before)
{
    const char *below = request_query(r, "path");
    const char *all = request_query(r, "all");
    if (all != NULL && strcmp(all, "1") != 0 && strcmp(all, "0") != 0) {
        respond_error(r, 400, "bad_query", "all", "all is to be 0 or 1");
        return false;
    }
    page->all = all != NULL && strcmp(all, "1") == 0;
    return request_path(r, bytes_str(below == NULL ? "" : below), &page->path) &&
           request_limit(r, 1000, 100, &page->limit) &&
           request_u64(r, "before", UINT64_MAX - 1, UINT64_MAX, before) &&
           request_u64(r, "skip", UINT32_MAX, 0, &page->skip);
}

static int whole_log_write(struct request *r, struct log_page *page, uint64_t before,
                           struct json_writer *w)
{
    struct landlog *log;
    int err = landlog_open(r->repo, &r->project, before, &log);
    if (err != OK)
        return err;
    err = log_write(log, page, w);
    landlog_close(log);
    return err;
}

void handle_log(struct request *r)
{
    struct log_page page = {0};
    uint64_t before;
    if (!log_asked(r, &page, &before))
        return;
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "entries");
    /* What landed nothing changed no path. */
    int err = page.path.len > 0 ? path_log_write(r, &page, before, &w)
                                : whole_log_write(r, &page, before, &w);
    if (err != OK) {
        respond_failure(r, err, "the log");
        return;
    }
    jwr_array_end(&w);
    if (page.more)
        jwr_u64(&w, "next", page.next);
    if (page.more && page.next_skip > 0)
        jwr_u64(&w, "next_skip", page.next_skip);
    jwr_object_end(&w);
}
