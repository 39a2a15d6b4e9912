/* Replay into a new project: it is the old one but for its id, whatever ended the runs that
 * made it; and nothing leads to it before it is whole. */
#include <stdio.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/replay/replay.h"
#include "pipeline/repo/tree/snapshot.h"
#include "tests/support/bucket_copy.h"
#include "tests/support/faulty.h"
#include "tests/support/history.h"
#include "tests/support/oracle.h"
#include "tests/support/suite.h"

/* ---- whether two projects are the same ---- */

static struct buf content_of(struct repo *repo, const struct id16 *project,
                             const struct entry *e)
{
    struct buf bytes = {0};
    struct content_reader *reader;
    if (e->where.place == PLACE_NONE)
        return bytes;
    ck_assert_int_eq(content_open(repo, project, &e->where, e->size, &e->hash, &reader), OK);
    ck_assert_int_eq(content_read_at(reader, 0, (size_t)e->size, &bytes), OK);
    content_close(reader);
    return bytes;
}

static void entry_same(struct repo *repo, const struct id16 *a, const struct id16 *b,
                       const struct entry *x, const struct entry *y)
{
    ck_assert(bytes_equal(x->name, y->name));
    ck_assert_int_eq(x->kind, y->kind);
    ck_assert_uint_eq(x->mode, y->mode);
    ck_assert_uint_eq(x->size, y->size);
    ck_assert_uint_eq(x->files, y->files);
    ck_assert_uint_eq(x->stamp, y->stamp);
    ck_assert(hash_equal(&x->hash, &y->hash));
    if (x->kind == KIND_DIR)
        return;
    struct buf left = content_of(repo, a, x);
    struct buf right = content_of(repo, b, y);
    ck_assert(bytes_equal(buf_bytes(&left), buf_bytes(&right)));
    buf_release(&left);
    buf_release(&right);
}

static void dir_same(struct repo *repo, struct snapshot *x, struct snapshot *y,
                     const struct id16 *a, const struct id16 *b, const char *path,
                     struct arena *arena)
{
    struct tree_listing left;
    struct tree_listing right;
    struct bytes at = bytes_str(path);
    struct bytes first = {0};
    ck_assert_int_eq(snapshot_list(x, at, first, 100000, arena, &left), OK);
    ck_assert_int_eq(snapshot_list(y, at, first, 100000, arena, &right), OK);
    ck_assert_uint_eq(left.n, right.n);
    for (size_t i = 0; i < left.n; i++) {
        const struct entry *e = &left.entries[i];
        entry_same(repo, a, b, e, &right.entries[i]);
        if (e->kind == KIND_DIR)
            dir_same(repo, x, y, a, b,
                     arena_printf(arena, "%s%s%.*s", path, path[0] != '\0' ? "/" : "",
                                  (int)e->name.len, (const char *)e->name.data),
                     arena);
    }
}

static void tree_same(struct repo *repo, const struct id16 *a, const struct id16 *b,
                      uint64_t position)
{
    AUTO(arena_release) struct arena arena = {0};
    struct snapshot *x;
    struct snapshot *y;
    ck_assert_int_eq(snapshot_open(repo, a, position, &x), OK);
    ck_assert_int_eq(snapshot_open(repo, b, position, &y), OK);
    dir_same(repo, x, y, a, b, "", &arena);
    snapshot_close(x);
    snapshot_close(y);
}

static void record_same(struct repo *repo, const struct id16 *a, const struct id16 *b,
                        const struct log_entry *entry)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landing x;
    struct landing y;
    ck_assert_int_eq(landlog_request(repo, a, &entry->session, &entry->request, &arena, &x),
                     OK);
    ck_assert_int_eq(landlog_request(repo, b, &entry->session, &entry->request, &arena, &y),
                     OK);
    ck_assert_uint_eq(x.landed.n_records, y.landed.n_records);
    ck_assert(bytes_equal(x.detail, y.detail));
    ck_assert_uint_eq(x.n_conflicts, y.n_conflicts);
    for (size_t i = 0; i < x.landed.n_records; i++)
        ck_assert(id16_equal(&x.landed.records[i].id, &y.landed.records[i].id));
    if (y.has_session)
        ck_assert(id16_equal(&y.landed.project, &x.landed.project));
}

/* Every answer up to `position`. Those that landed nothing and are filed under it may be behind
 * the end, and then only the old project has them. */
static void log_same(struct repo *repo, const struct id16 *a, const struct id16 *b,
                     uint64_t position, bool whole)
{
    struct landlog *old;
    struct landlog *new;
    ck_assert_int_eq(landlog_open(repo, a, position, &old), OK);
    ck_assert_int_eq(landlog_open(repo, b, position, &new), OK);
    for (;;) {
        const struct log_entry *x;
        const struct log_entry *y;
        int err = landlog_next(new, &y);
        int was = landlog_next(old, &x);
        while (!whole && was == OK && x->verdict != VERDICT_LANDED && x->position == position &&
               (err != OK || !id16_equal(&x->request, &y->request) ||
                !id16_equal(&x->session, &y->session)))
            was = landlog_next(old, &x);
        ck_assert_int_eq(err, was);
        if (err == ERR_NOT_FOUND)
            break;
        ck_assert_int_eq(err, OK);
        ck_assert_int_eq(x->verdict, y->verdict);
        ck_assert(x->closes == y->closes);
        ck_assert_uint_eq(x->position, y->position);
        ck_assert_uint_eq(x->hlc, y->hlc);
        ck_assert(id16_equal(&x->request, &y->request));
        ck_assert(id16_equal(&x->session, &y->session));
        ck_assert(id16_equal(&x->owner, &y->owner));
        ck_assert(bytes_equal(x->author, y->author));
        ck_assert(bytes_equal(x->goal, y->goal));
        record_same(repo, a, b, y);
    }
    landlog_close(old);
    landlog_close(new);
}

/* `store`: of the new project; a repo with empty caches looks at it. */
static void same(struct history *h, struct store *store, const char *handle, uint64_t position,
                 bool whole)
{
    struct forge other;
    forge_join(&other, &h->forge, store);
    struct id16 made;
    const struct id16 *old = &h->forge.project;
    ck_assert_int_eq(project_find(&other.repo, bytes_str(handle), &made), OK);
    struct head head;
    ck_assert_int_eq(chain_head(&other.repo, &made, &head, NULL), OK);
    ck_assert_uint_eq(head.position, position);
    tree_same(&other.repo, old, &made, position);
    tree_same(&other.repo, old, &made, position / 2);
    log_same(&other.repo, old, &made, position, whole);
    struct oracle oracle = {0};
    oracle_check(&oracle, &other.repo, &made);
    oracle_release(&oracle);
    AUTO(arena_release) struct arena arena = {0};
    struct project_info was;
    struct project_info is;
    ck_assert_int_eq(project_info_get(&other.repo, old, &arena, &was), OK);
    ck_assert_int_eq(project_info_get(&other.repo, &made, &arena, &is), OK);
    ck_assert_uint_eq(was.hlc_created, is.hlc_created);
    /* And its own log can be replayed. */
    struct replay_options options = {.to = UINT64_MAX};
    struct replay_report report;
    int err = replay_verify(&other.repo, &made, &options, &report);
    ck_assert_msg(err == OK, "%s", report.fault.what);
    forge_release(&other);
}

static int into(struct history *h, struct store *store, const char *handle,
                const struct replay_options *options, struct replay_report *report)
{
    struct forge other;
    forge_join(&other, &h->forge, store);
    struct id16 made;
    int err =
        replay_into(&other.repo, &h->forge.project, bytes_str(handle), options, report, &made);
    forge_release(&other);
    return err;
}

/* ---- what must work ---- */

START_TEST(the_whole_project)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "whole");
    history_grow(&h, 450);
    history_append(&h);
    const struct replay_options sizes[] = {
        {.to = UINT64_MAX},
        {.to = UINT64_MAX, .landings_max = 1, .read_ahead = true},
        {.to = UINT64_MAX, .landings_max = 50},
    };
    const char *const names[] = {"copy", "copy-1", "copy-50"};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        int err = into(&h, NULL, names[i], &sizes[i], &report);
        ck_assert_msg(err == OK, "%s %s", err_name(err), report.fault.what);
        ck_assert_uint_eq(report.position, forge_position(&h.forge));
        same(&h, NULL, names[i], forge_position(&h.forge), true);
    }
    history_release(&h);
}
END_TEST

START_TEST(an_empty_project)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "empty");
    struct replay_options options = {.to = UINT64_MAX};
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), OK);
    same(&h, NULL, "copy", 0, true);
    history_release(&h);
}
END_TEST

START_TEST(up_to_a_position)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "to");
    history_grow(&h, 140);
    history_append(&h);
    for (uint64_t to = 0; to < 140; to += 1 + to / 4) {
        struct replay_options options = {.to = to, .landings_max = 20};
        char name[32];
        (void)snprintf(name, sizeof(name), "copy-%llu", (unsigned long long)to);
        int err = into(&h, NULL, name, &options, &report);
        ck_assert_msg(err == OK, "%llu: %s %s", (unsigned long long)to, err_name(err),
                      report.fault.what);
        ck_assert_uint_eq(report.position, to);
        same(&h, NULL, name, to, false);
    }
    struct replay_options options = {.to = forge_position(&h.forge) + 1};
    ck_assert_int_eq(into(&h, NULL, "beyond", &options, &report), ERR_INVALID);
    struct id16 none;
    ck_assert_int_eq(project_find(&h.forge.repo, bytes_str("beyond"), &none), ERR_NOT_FOUND);
    history_release(&h);
}
END_TEST

START_TEST(a_handle_that_is_taken_is_refused)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "taken");
    history_grow(&h, 20);
    struct replay_options options = {.to = 10};
    size_t objects = forge_count(&h.forge, "projects/");
    ck_assert_int_eq(into(&h, NULL, "demo", &options, &report), ERR_CONFLICT);
    ck_assert_int_eq(into(&h, NULL, "No Handle", &options, &report), ERR_INVALID);
    ck_assert_uint_eq(forge_count(&h.forge, "projects/"), objects);
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), OK);
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), OK); /* done before */
    ck_assert(report.done_before);
    ck_assert_uint_eq(report.position, 10);
    options.to = 11;
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), ERR_CONFLICT);
    history_release(&h);
}
END_TEST

START_TEST(landing_goes_on_in_the_new_project)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "on");
    history_grow(&h, 60);
    struct replay_options options = {.to = 55};
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), OK);
    struct forge f;
    forge_join(&f, &h.forge, NULL);
    ck_assert_int_eq(project_find(&f.repo, bytes_str("copy"), &f.project), OK);
    forge_land_text(&f, "more", "one/more", "file", NULL);
    ck_assert_uint_eq(forge_position(&f), 56);
    ck_assert_str_eq(forge_text(&f, "one/more"), "file");
    forge_release(&f);
    history_release(&h);
}
END_TEST

/* ---- what must be found ---- */

START_TEST(a_flipped_content_ends_it_and_nothing_has_the_name)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "flip");
    history_grow(&h, 100);
    forge_land_text(&h.forge, "unique", "unique/file", "unique text", NULL);
    uint64_t position = forge_position(&h.forge);
    history_grow(&h, 130);
    struct log_entry entry;
    struct forge *f = &h.forge;
    ck_assert_int_eq(landlog_at(&f->repo, &f->project, position, &f->arena, &entry), OK);
    struct key key = key_tree(&f->project, &entry.tree);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(f->store, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[entry.effects[0].where.offset] ^= 1;
    ck_assert_int_eq(store_put(f->store, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    struct replay_options options = {.to = UINT64_MAX, .landings_max = 10};
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), ERR_CORRUPT);
    ck_assert_uint_eq(report.fault.first, position);
    ck_assert_ptr_nonnull(strstr(report.fault.what, "unique/file"));
    struct id16 none;
    ck_assert_int_eq(project_find(&f->repo, bytes_str("copy"), &none), ERR_NOT_FOUND);
    /* What is before it can be brought back. */
    options.to = position - 1;
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), OK);
    same(&h, NULL, "copy", position - 1, false);
    history_release(&h);
}
END_TEST

START_TEST(a_log_that_is_not_what_its_records_say_is_found)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "goal");
    history_grow(&h, 210);
    history_append(&h);
    struct forge *f = &h.forge;
    struct key key = key_log(&f->project, 101, 201);
    AUTO_BUF bytes = {0};
    struct log_segment segment;
    ck_assert_int_eq(store_get(f->store, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(log_segment_decode(buf_bytes(&bytes), &f->arena, &segment), OK);
    uint32_t at = segment.n / 2;
    while (segment.entries[at].verdict != VERDICT_LANDED)
        at++;
    segment.entries[at].goal = bytes_str("another goal");
    AUTO_BUF changed = {0};
    log_segment_encode(&segment, &f->arena, &changed);
    ck_assert_int_eq(store_put(f->store, key.s, buf_bytes(&changed), PUT_ANY, NULL), OK);
    struct replay_options options = {.to = UINT64_MAX};
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), ERR_CORRUPT);
    ck_assert_uint_eq(report.fault.first, segment.entries[at].position);
    ck_assert_ptr_nonnull(strstr(report.fault.what, "is not what the record"));
    history_release(&h);
}
END_TEST

START_TEST(a_damaged_chunk_is_found)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "chunk");
    history_grow(&h, 60);
    struct forge *f = &h.forge;
    /* The last chunk of the large content. */
    AUTO_BUF bytes = {0};
    struct key key = key_blob(&f->project, &h.large.hash);
    struct manifest manifest;
    ck_assert_int_eq(store_get(f->store, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(manifest_decode(buf_bytes(&bytes), &f->arena, &manifest), OK);
    key = key_blob(&f->project, &manifest.chunks[manifest.n - 1]);
    AUTO_BUF chunk = {0};
    ck_assert_int_eq(store_get(f->store, key.s, range_all(), &chunk, NULL, NULL), OK);
    chunk.data[chunk.len - 1] ^= 1;
    ck_assert_int_eq(store_put(f->store, key.s, buf_bytes(&chunk), PUT_ANY, NULL), OK);
    struct replay_options options = {.to = UINT64_MAX};
    ck_assert_int_eq(into(&h, NULL, "copy", &options, &report), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(report.fault.what, "missing or damaged"));
    history_release(&h);
}
END_TEST

/* ---- ended anywhere ---- */

/* Whether anything leads to the new project. */
static bool is_named(struct store *store, const struct id16 *made)
{
    struct key info = key_project(made);
    struct key handle = key_handle(bytes_str("copy"));
    int by_id = store_get(store, info.s, range_none(), NULL, NULL, NULL);
    int by_handle = store_get(store, handle.s, range_none(), NULL, NULL, NULL);
    ck_assert(by_handle != OK || by_id == OK);
    return by_handle == OK;
}

START_TEST(ended_at_any_call_it_goes_on)
{
    static const enum fault faults[] = {FAULT_CRASH_BEFORE, FAULT_CRASH_AFTER,
                                        FAULT_UNKNOWN_DONE, FAULT_UNKNOWN_LOST, FAULT_AGAIN};
    struct history h;
    struct replay_report report;
    history_init(&h, "sweep");
    history_grow(&h, 30);
    uint64_t head = forge_position(&h.forge);
    AUTO(bucket_copy_release) struct bucket_copy copy = {0};
    bucket_copy_take(&copy, h.forge.mem);
    struct replay_options options = {.to = UINT64_MAX, .landings_max = 8};
    struct id16 made = {{0}};
    unsigned ended = 0;
    /* The id is the same each time. */
    struct store *first = bucket_copy_store(&copy);
    ck_assert_int_eq(into(&h, first, "copy", &options, &report), OK);
    struct forge look;
    forge_join(&look, &h.forge, first);
    ck_assert_int_eq(project_find(&look.repo, bytes_str("copy"), &made), OK);
    forge_release(&look);
    store_close(first);
    for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
        bool hit = true;
        for (uint64_t call = 1; hit; call++) {
            struct store *mem = bucket_copy_store(&copy);
            struct store *faulty = faulty_store_open(mem);
            struct forge other;
            forge_join(&other, &h.forge, faulty);
            faulty_reset(faulty);
            faulty_plan(faulty, call, faults[k]);
            struct id16 again = made;
            int err = replay_into(&other.repo, &h.forge.project, bytes_str("copy"), &options,
                                  &report, &again);
            ck_assert(id16_equal(&again, &made));
            hit = faulty_hits(faulty, faults[k]) + faulty_hits(faulty, FAULT_AGAIN) > 0;
            ended += err != OK;
            ck_assert(hit || err == OK);
            bool named = is_named(mem, &made);
            ck_assert(err != OK || named);
            faulty_reset(faulty);
            forge_release(&other);
            err = into(&h, faulty, "copy", &options, &report);
            ck_assert_msg(err == OK, "%s at call %llu: %s %s", fault_name(faults[k]),
                          (unsigned long long)call, err_name(err), report.fault.what);
            ck_assert_uint_le(report.from, head);
            if (call % 7 == 0 || !hit)
                same(&h, faulty, "copy", head, true);
            store_close(faulty);
            store_close(mem);
        }
    }
    ck_assert_uint_gt(ended, 50);
    history_release(&h);
}
END_TEST

struct rival {
    struct history *h;
    struct store *below;
    uint64_t at; /* the call before which it does all of it */
    bool head;   /* fails the first head put after the genesis in place of that */
    struct store *faulty;
    unsigned puts;
};

static void rival_watch(void *arg, uint64_t call, const struct store_op *op)
{
    struct rival *rival = arg;
    struct replay_options options = {.to = UINT64_MAX, .landings_max = 12};
    struct replay_report report;
    bool head =
        rival->head && op != NULL && op->verb == STORE_PUT && op->condition == PUT_IF_MATCH;
    if (head && rival->puts++ == 1)
        faulty_plan(rival->faulty, call, FAULT_UNKNOWN_DONE);
    if (call == rival->at)
        ck_assert_int_eq(into(rival->h, rival->below, "copy", &options, &report), OK);
}

START_TEST(another_process_may_do_the_same_at_the_same_time)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "rival");
    history_grow(&h, 30);
    AUTO(bucket_copy_release) struct bucket_copy copy = {0};
    bucket_copy_take(&copy, h.forge.mem);
    struct replay_options options = {.to = UINT64_MAX, .landings_max = 8};
    bool all = false;
    for (uint64_t at = 1; !all; at++) {
        struct store *mem = bucket_copy_store(&copy);
        struct store *faulty = faulty_store_open(mem);
        struct forge other;
        forge_join(&other, &h.forge, faulty);
        faulty_reset(faulty);
        struct rival rival = {.h = &h, .below = mem, .at = at};
        faulty_watch(faulty, rival_watch, &rival);
        struct id16 made;
        int err = replay_into(&other.repo, &h.forge.project, bytes_str("copy"), &options,
                              &report, &made);
        all = faulty_calls(faulty) < at;
        faulty_watch(faulty, NULL, NULL);
        ck_assert_msg(err == OK || err == ERR_AGAIN, "%s at call %llu: %s", err_name(err),
                      (unsigned long long)at, report.fault.what);
        forge_release(&other);
        ck_assert_int_eq(into(&h, faulty, "copy", &options, &report), OK);
        if (at % 5 == 0 || all)
            same(&h, faulty, "copy", forge_position(&h.forge), true);
        store_close(faulty);
        store_close(mem);
    }
    history_release(&h);
}
END_TEST

START_TEST(a_head_whose_put_nobody_knows_of_is_looked_at)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "unknown");
    history_grow(&h, 60);
    struct store *faulty = faulty_store_open(h.forge.trace);
    struct rival rival = {.h = &h, .head = true, .faulty = faulty};
    faulty_watch(faulty, rival_watch, &rival);
    struct replay_options options = {.to = UINT64_MAX, .landings_max = 8};
    ck_assert_int_eq(into(&h, faulty, "copy", &options, &report), OK);
    ck_assert_uint_eq(faulty_hits(faulty, FAULT_UNKNOWN_DONE), 1);
    faulty_watch(faulty, NULL, NULL);
    same(&h, faulty, "copy", forge_position(&h.forge), true);
    store_close(faulty);
    history_release(&h);
}
END_TEST

START_TEST(nothing_leads_to_it_before_it_is_whole)
{
    struct history h;
    struct replay_report report;
    history_init(&h, "hidden");
    history_grow(&h, 40);
    AUTO(bucket_copy_release) struct bucket_copy copy = {0};
    bucket_copy_take(&copy, h.forge.mem);
    struct store *mem = bucket_copy_store(&copy);
    struct store *faulty = faulty_store_open(mem);
    struct replay_options options = {.to = UINT64_MAX, .landings_max = 5};
    struct arena arena = {0};
    struct store_list list;
    uint64_t last = 0;
    int err = ERR_UNKNOWN;
    /* One process after another dies, each a few calls on. */
    for (uint64_t calls = 12; err != OK; calls += 3) {
        struct forge other;
        struct id16 made;
        faulty_reset(faulty);
        forge_join(&other, &h.forge, faulty);
        faulty_reset(faulty);
        faulty_plan(faulty, calls, FAULT_CRASH_AFTER);
        err = replay_into(&other.repo, &h.forge.project, bytes_str("copy"), &options, &report,
                          &made);
        forge_release(&other);
        ck_assert_uint_ge(report.position, last);
        last = report.from;
        ck_assert_int_eq(store_list(mem, &arena, "handles/", "", 10, &list), OK);
        ck_assert_uint_eq(
            list.n, err == OK || report.position == forge_position(&h.forge) ? list.n : 1);
    }
    faulty_reset(faulty);
    same(&h, faulty, "copy", forge_position(&h.forge), true);
    ck_assert_uint_gt(last, 0);
    store_close(faulty);
    store_close(mem);
    arena_release(&arena);
    history_release(&h);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_whole_project,
        an_empty_project,
        up_to_a_position,
        a_handle_that_is_taken_is_refused,
        landing_goes_on_in_the_new_project,
        a_flipped_content_ends_it_and_nothing_has_the_name,
        a_log_that_is_not_what_its_records_say_is_found,
        a_damaged_chunk_is_found,
        ended_at_any_call_it_goes_on,
        another_process_may_do_the_same_at_the_same_time,
        a_head_whose_put_nobody_knows_of_is_looked_at,
        nothing_leads_to_it_before_it_is_whole,
    };
    return suite_run("replay_into", tests, ARRAY_LEN(tests));
}
