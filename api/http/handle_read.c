/* Reading the tree and its history: listings, files, differences, the log. */
#include <stdio.h>
#include <stdlib.h>

#include "api/http/content_source.h"
#include "api/http/route.h"
#include "api/http/session_json.h"
#include "formats/base/hex.h"
#include "formats/path.h"

#define LIST_DEFAULT 1000u
#define LIST_MOST    10000u
/* Log entries that one request looks at when it filters by path. */
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

static bool touches(const struct log_entry *entry, struct bytes path)
{
    for (uint32_t i = 0; path.len > 0 && i < entry->n_effects; i++) {
        struct bytes touched = entry->effects[i].path;
        if (bytes_equal(touched, path) || path_below(touched, path))
            return true;
    }
    return path.len == 0;
}

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
        if (!(page->all || entry->verdict == VERDICT_LANDED) || !touches(entry, page->path))
            continue;
        log_entry_to_json(w, entry);
        written++;
    }
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

void handle_log(struct request *r)
{
    struct log_page page = {0};
    uint64_t before;
    struct landlog *log;
    if (!log_asked(r, &page, &before))
        return;
    int err = landlog_open(r->repo, &r->project, before, &log);
    if (err != OK) {
        respond_failure(r, err, "the log");
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "entries");
    err = log_write(log, &page, &w);
    landlog_close(log);
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
