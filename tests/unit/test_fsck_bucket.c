/* Damage beside the chain: to the log, sessions, the queue, uploaded contents, handles and
 * projects. Each is found by its name and key, and nothing else is. */
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/blob.h"
#include "formats/key.h"
#include "formats/lease.h"
#include "formats/log_segment.h"
#include "formats/rollup.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/project.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"
#include "tests/support/world.h"

static struct world world;
static struct store *store;
static struct clock_manual now;
static struct fsck_result result;
static const struct world_project *p;

static void world_open(void)
{
    world_build(&world);
    p = &world.projects[0];
}

static void setup(void)
{
    store = bucket_copy_store(&world.copy);
    clock_manual_init(&now, world.ms + 600000);
}

static void teardown(void)
{
    store_close(store);
}

/* But for the dead letter, which is no damage. */
static void run(bool deep)
{
    fsck_rig_run(store, &now.clock, deep, 0, &result);
    size_t n = 0;
    for (size_t i = 0; i < result.n; i++) {
        if (strcmp(result.kept[i].problem, "dead_letter") != 0)
            result.kept[n++] = result.kept[i];
    }
    result.n = n;
}

static void is_clean(void)
{
    run(true);
    ck_assert_msg(result.err == OK && result.n == 0, "%s", fsck_rig_text(&result));
}

static void finds(bool deep, const char *invariant, const char *problem, const char *key)
{
    run(deep);
    const char *text = fsck_rig_text(&result);
    ck_assert_msg(result.err == OK && result.n == 1, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].problem, problem) == 0, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].invariant, invariant) == 0, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].key, key) == 0, "not %s\n%s", key, text);
    ck_assert_msg(result.kept[0].damage == (invariant[0] != '\0'), "%s", text);
}

static void finds_both(const char *invariant, const char *problem, const char *key)
{
    finds(false, invariant, problem, key);
    finds(true, invariant, problem, key);
}

static void put(const char *key, struct bytes bytes)
{
    ck_assert_int_eq(store_put(store, key, bytes, PUT_ANY, NULL), OK);
}

static void get(const char *key, struct buf *out)
{
    ck_assert_int_eq(store_get(store, key, range_all(), out, NULL, NULL), OK);
}

static void gone(const char *key)
{
    ck_assert_int_eq(store_get(store, key, range_none(), NULL, NULL, NULL), OK);
    ck_assert_int_eq(store_delete(store, key), OK);
}

static void flip(const char *key, size_t at)
{
    AUTO_BUF bytes = {0};
    get(key, &bytes);
    bytes.data[at < bytes.len ? at : bytes.len - 1] ^= 1;
    put(key, buf_bytes(&bytes));
}

/* --- the log --- */

/* Lands until there are three segments; among the answers in the last are two conflicts. */
static void log_append(void)
{
    struct forge f;
    world_join(&f, &world, 0, store, now.ms);
    while (forge_position(&f) < 301) {
        for (unsigned i = 0; i < 2 && forge_position(&f) == 250; i++) {
            struct draft d = draft_open(&f, "ann", i == 0 ? "c0" : "c1", 250);
            draft_write(&d, "never", "text", "something");
            (void)forge_submit(&f, &d, 1);
        }
        char *key = arena_printf(&f.arena, "more%u", (unsigned)forge_position(&f));
        forge_land_text(&f, key, key, key, NULL);
    }
    struct stage *append = stage_append_open(&f.repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    forge_release(&f);
}

static void log_grow(void)
{
    log_append();
    is_clean();
    ck_assert_uint_eq(result.counts.segments, 4);
}

START_TEST(lost_log_segment)
{
    log_grow();
    struct key key = key_log(&p->id, 101, 201);
    gone(key.s);
    finds_both("rebuild", "log_segment_missing", key.s);
}
END_TEST

/* Derived from the chain: the newest is made again. */
START_TEST(log_that_is_only_shorter)
{
    log_grow();
    struct key key = key_log(&p->id, 201, 301);
    gone(key.s);
    is_clean();
    ck_assert_uint_eq(result.counts.segments, 3);
}
END_TEST

static void segment_change(struct key *key, void (*change)(struct log_segment *))
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    AUTO_BUF changed = {0};
    struct log_segment segment;
    get(key->s, &bytes);
    ck_assert_int_eq(log_segment_decode(buf_bytes(&bytes), &arena, &segment), OK);
    change(&segment);
    log_segment_encode(&segment, &arena, &changed);
    put(key->s, buf_bytes(&changed));
}

static void goal_change(struct log_segment *segment)
{
    segment->entries[segment->n / 2].goal = bytes_str("another");
}

static void answers_swap(struct log_segment *segment)
{
    struct log_entry *e = segment->entries;
    for (uint32_t i = 1; i < segment->n; i++) {
        if (e[i].verdict == VERDICT_LANDED || e[i - 1].verdict == VERDICT_LANDED)
            continue;
        struct log_entry first = e[i - 1];
        e[i - 1] = e[i];
        e[i] = first;
        return;
    }
    ck_abort_msg("there are not two of them");
}

static void place_change(struct log_segment *segment)
{
    segment->entries[1].effects[0].where.offset++;
}

static void last_forget(struct log_segment *segment)
{
    segment->n--;
}

START_TEST(log_that_says_something_else)
{
    log_grow();
    struct key key = key_log(&p->id, 201, 301);
    AUTO_BUF whole = {0};
    get(key.s, &whole);
    void (*const changes[])(struct log_segment *) = {goal_change, answers_swap, place_change};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        segment_change(&key, changes[i]);
        finds_both("rebuild", "log_differs", key.s);
        put(key.s, buf_bytes(&whole));
    }
    /* One that lacks a position cannot be decoded. */
    segment_change(&key, last_forget);
    finds_both("named", "log_damaged", key.s);
    put(key.s, buf_bytes(&whole));
    flip(key.s, 300);
    finds_both("named", "log_damaged", key.s);
}
END_TEST

START_TEST(log_of_another_project)
{
    AUTO_BUF bytes = {0};
    struct key key = key_log(&p->id, 1, 101);
    get(key_log(&world.projects[1].id, 1, 101).s, &bytes);
    put(key.s, buf_bytes(&bytes));
    finds_both("named", "log_damaged", key.s);
}
END_TEST

START_TEST(rollup_that_is_damaged)
{
    AUTO_BUF whole = {0};
    AUTO_BUF other = {0};
    struct key key = key_rollup(&p->id, 1, 1, 101);
    log_grow();
    get(key.s, &whole);
    flip(key.s, whole.len - 2000);
    finds_both("nofalse", "rollup_damaged", key.s);
    put(key.s, (struct bytes){0});
    finds_both("nofalse", "rollup_damaged", key.s);
    /* Whole, and another project's. */
    get(key_rollup(&world.projects[1].id, 1, 1, 101).s, &other);
    put(key.s, buf_bytes(&other));
    finds_both("nofalse", "rollup_damaged", key.s);
    /* Whole, and of other positions. */
    put(key.s, buf_bytes(&whole));
    put(key_rollup(&p->id, 1, 101, 201).s, buf_bytes(&whole));
    finds_both("nofalse", "rollup_damaged", key_rollup(&p->id, 1, 101, 201).s);
}
END_TEST

/* Its checksums hold: some of its bits are not set that should be. */
START_TEST(rollup_that_lacks_a_key)
{
    AUTO_BUF bytes = {0};
    struct rollup rollup;
    struct key key = key_rollup(&p->id, 1, 1, 101);
    get(key.s, &bytes);
    ck_assert_int_eq(rollup_check(buf_bytes(&bytes), &rollup), OK);
    size_t at = ROLLUP_SECTOR;
    while (bytes.data[at] == 0)
        at++;
    bytes.data[at] = 0;
    rollup_seal(&rollup, bytes.data);
    put(key.s, buf_bytes(&bytes));
    finds_both("nofalse", "rollup_lacks_key", key.s);
    ck_assert_ptr_nonnull(strstr(result.kept[0].detail, " of position "));
    /* Nobody can say what a damaged segment had; that the filter is whole is seen all the same.
     */
    flip(key_log(&p->id, 1, 101).s, 300);
    finds_both("named", "log_damaged", key_log(&p->id, 1, 101).s);
    flip(key_log(&p->id, 1, 101).s, 300);
    flip(key.s, bytes.len - 2000);
    finds_both("nofalse", "rollup_damaged", key.s);
}
END_TEST

/* What lands there would be said no of. */
START_TEST(rollup_that_reaches_over_the_head)
{
    AUTO_BUF bytes = {0};
    struct rollup rollup = {
        .shape = {.project = p->id, .level = 1, .columns = 1, .first = 101, .sectors = 1}};
    struct key key = key_rollup(&p->id, 1, 101, 201);
    size_t len = rollup_len(&rollup.shape);
    memset(buf_reserve(&bytes, len), 0, len);
    bytes.len = len;
    rollup_seal(&rollup, bytes.data);
    put(key.s, buf_bytes(&bytes));
    finds_both("nofalse", "rollup_over_head", key.s);
    /* And when it has landed there. */
    log_append();
    finds_both("nofalse", "rollup_lacks_key", key.s);
}
END_TEST

static void behind(struct log_segment *segment)
{
    for (uint32_t i = 0; i < segment->n; i++)
        segment->entries[i].position += 100;
    segment->first += 100;
    segment->end += 100;
}

START_TEST(log_that_reaches_over_the_head)
{
    struct key first = key_log(&p->id, 1, 101);
    struct key second = key_log(&p->id, 101, 201);
    AUTO_BUF whole = {0};
    AUTO_BUF moved = {0};
    get(first.s, &whole);
    segment_change(&first, behind);
    get(first.s, &moved);
    put(second.s, buf_bytes(&moved));
    put(first.s, buf_bytes(&whole));
    finds_both("rebuild", "log_over_head", second.s);
}
END_TEST

/* --- sessions --- */

static void session_get(const struct id16 *id, struct arena *arena, struct session *out)
{
    AUTO_BUF bytes = {0};
    get(key_session(&p->id, id).s, &bytes);
    ck_assert_int_eq(session_decode(arena_copy(arena, buf_bytes(&bytes)), arena, out), OK);
}

static void session_put(const struct id16 *name, struct session *session)
{
    AUTO_BUF bytes = {0};
    session_encode(session, &bytes);
    put(key_session(&p->id, name).s, buf_bytes(&bytes));
}

START_TEST(damaged_session)
{
    AUTO(arena_release) struct arena arena = {0};
    struct key key = key_session(&p->id, &p->open);
    struct session session;
    flip(key.s, 70);
    finds_both("named", "session_damaged", key.s);
    session_get(&p->drop, &arena, &session);
    session_put(&p->open, &session);
    finds_both("named", "session_damaged", key.s);
}
END_TEST

START_TEST(tombstone_without_an_answer)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session session;
    session_get(&p->open, &arena, &session);
    session.state = SESSION_SETTLED;
    session.n_records = 0;
    session_put(&p->open, &session);
    finds_both("durable", "settled_unanswered", key_session(&p->id, &p->open).s);
}
END_TEST

/* --- the queue --- */

START_TEST(queue_object_that_is_settled)
{
    struct forge f;
    AUTO_BUF bytes = {0};
    struct store_list list;
    world_join(&f, &world, 0, store, now.ms);
    struct draft d = draft_open(&f, "ann", "queued", WORLD_POSITION);
    draft_write(&d, "queued", "text", NULL);
    (void)forge_submit(&f, &d, 1);
    ck_assert_int_eq(store_list(store, &f.arena, "queue/0000/", "", 10, &list), OK);
    const char *key = list.keys[list.n - 1].key;
    get(key, &bytes);
    forge_drain(&f);
    ck_assert_int_eq(store_get(store, key, range_none(), NULL, NULL, NULL), ERR_NOT_FOUND);
    put(key, buf_bytes(&bytes));
    /* A drain may be about to delete it. */
    now.ms = f.clock.ms + 30000;
    is_clean();
    now.ms += 60000;
    finds_both("once", "queue_object_settled", key);
    /* It was: while the check waited. */
    gone(key);
    is_clean();
    forge_release(&f);
}
END_TEST

/* What an open session's object has. */
START_TEST(queue_object_that_is_folded)
{
    struct forge f;
    AUTO_BUF bytes = {0};
    struct store_list list;
    world_join(&f, &world, 0, store, now.ms);
    struct draft d = draft_open(&f, "ann", "folded", WORLD_POSITION);
    draft_write(&d, "folded", "text", NULL);
    forge_write(&f, &d);
    ck_assert_int_eq(store_list(store, &f.arena, "queue/0000/", "", 10, &list), OK);
    const char *key = list.keys[list.n - 1].key;
    get(key, &bytes);
    now.ms += 120000;
    is_clean();
    f.clock.ms += 120000;
    forge_drain(&f);
    ck_assert_int_eq(store_get(store, key, range_none(), NULL, NULL, NULL), ERR_NOT_FOUND);
    put(key, buf_bytes(&bytes));
    finds_both("once", "queue_object_settled", key);
    forge_drain(&f); /* which is what mends it */
    is_clean();
    forge_release(&f);
}
END_TEST

/* However old it is. */
START_TEST(queue_object_that_waits)
{
    struct forge f;
    world_join(&f, &world, 0, store, now.ms);
    struct draft open = draft_open(&f, "ann", "open", WORLD_POSITION);
    struct draft more = open;
    more.session.records = NULL;
    more.session.n_records = more.cap = 0;
    draft_write(&open, "one", "text", NULL);
    struct id16 ids[4];
    size_t n = records_ids(open.session.records, open.session.n_records, ids);
    forge_write(&f, &open);
    f.clock.ms += 120000;
    forge_drain(&f);
    ck_assert_int_eq(store_get(store, key_session(&p->id, &open.session.id).s, range_none(),
                               NULL, NULL, NULL),
                     OK);
    draft_write(&more, "two", "text", NULL);
    forge_write(&f, &more);
    (void)forge_land(&f, &open, ids, n);
    struct draft whole = draft_open(&f, "ann", "whole", WORLD_POSITION);
    draft_write(&whole, "three", "text", NULL);
    (void)forge_submit(&f, &whole, 1);
    now.ms = f.clock.ms + 600000;
    is_clean();
    forge_release(&f);
}
END_TEST

static const char *key_under(struct arena *arena, const char *prefix)
{
    struct store_list list;
    ck_assert_int_eq(store_list(store, arena, prefix, "", 1, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    return list.keys[0].key;
}

START_TEST(damaged_queue_objects)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    const char *key = key_under(&arena, "queue/0000/");
    get(key, &bytes);
    flip(key, 30);
    finds_both("named", "queue_object_damaged", key);
    gone(key);
    const char *other = "queue/0000/0000000000000001-0000000000000002-0000000000000003";
    put(other, buf_bytes(&bytes));
    finds_both("named", "queue_object_damaged", other);
    gone(other);
    is_clean();
    key = key_under(&arena, "queue/dead/");
    flip(key, 30);
    finds_both("named", "dead_letter_damaged", key);
}
END_TEST

START_TEST(damaged_lease)
{
    AUTO_BUF bytes = {0};
    struct key key = key_lease(0);
    get(key.s, &bytes);
    flip(key.s, 20);
    finds_both("named", "lease_damaged", key.s);
    put(key.s, buf_bytes(&bytes));
    put(key_lease(1).s, buf_bytes(&bytes));
    finds_both("named", "lease_damaged", key_lease(1).s);
}
END_TEST

/* --- uploaded contents --- */

START_TEST(missing_blob)
{
    struct key key = key_blob(&p->id, &p->blob);
    gone(key.s);
    finds_both("durable", "blob_missing", key.s);
}
END_TEST

START_TEST(missing_manifest)
{
    struct key key = key_blob(&p->id, &p->large);
    gone(key.s);
    finds_both("durable", "blob_missing", key.s);
}
END_TEST

static struct hash chunk_of_large(void)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct manifest manifest;
    get(key_blob(&p->id, &p->large).s, &bytes);
    ck_assert_int_eq(manifest_decode(buf_bytes(&bytes), &arena, &manifest), OK);
    return manifest.chunks[1];
}

START_TEST(missing_chunk)
{
    struct hash chunk = chunk_of_large();
    struct key key = key_blob(&p->id, &chunk);
    gone(key.s);
    finds_both("durable", "blob_missing", key.s);
}
END_TEST

/* Of an upload that nothing names it is no damage: it counts as not there. */
START_TEST(missing_chunk_of_a_partial_upload)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    AUTO_BUF other = {0};
    struct manifest manifest;
    get(key_blob(&p->id, &p->large).s, &bytes);
    ck_assert_int_eq(manifest_decode(buf_bytes(&bytes), &arena, &manifest), OK);
    manifest.hash.b[9] ^= 1;
    manifest.chunks[1].b[3] ^= 1;
    manifest_encode(&manifest, &other);
    struct key key = key_blob(&p->id, &manifest.hash);
    put(key.s, buf_bytes(&other));
    run(false);
    ck_assert_uint_eq(result.n, 0);
    finds(true, "", "upload_partial", key.s);
}
END_TEST

START_TEST(damaged_contents)
{
    struct hash chunk = chunk_of_large();
    const struct hash *hashes[] = {&chunk, &p->blob};
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        struct key key = key_blob(&p->id, hashes[i]);
        flip(key.s, 100);
        run(false);
        ck_assert_uint_eq(result.n, 0);
        finds(true, "named", "blob_damaged", key.s);
        flip(key.s, 100);
    }
    struct key key = key_blob(&p->id, &p->large);
    flip(key.s, 70);
    finds_both("named", "blob_damaged", key.s);
}
END_TEST

/* A manifest of other chunks, that are all there: the whole is another content. */
START_TEST(manifest_of_another_content)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    AUTO_BUF changed = {0};
    struct manifest manifest;
    struct key key = key_blob(&p->id, &p->large);
    get(key.s, &bytes);
    ck_assert_int_eq(manifest_decode(buf_bytes(&bytes), &arena, &manifest), OK);
    struct hash last = manifest.chunks[1];
    manifest.chunks[1] = p->blob;
    manifest_encode(&manifest, &changed);
    put(key.s, buf_bytes(&changed));
    finds_both("named", "blob_damaged", key.s);
    put(key.s, buf_bytes(&bytes));
    is_clean();
    /* Under a name that nobody has landed: chunks of right and of wrong sizes. */
    manifest.hash.b[9] ^= 1;
    key = key_blob(&p->id, &manifest.hash);
    for (unsigned i = 0; i < 2; i++) {
        manifest.chunks[1] = i == 0 ? last : p->blob;
        buf_clear(&changed);
        manifest_encode(&manifest, &changed);
        put(key.s, buf_bytes(&changed));
        run(false);
        ck_assert_uint_eq(result.n, 0);
        finds(true, "named", "blob_damaged", key.s);
    }
}
END_TEST

/* --- handles and projects --- */

START_TEST(handles_and_projects)
{
    struct key handle = key_handle(bytes_str(p->handle));
    struct key project = key_project(&p->id);
    AUTO_BUF bytes = {0};
    AUTO_BUF info = {0};
    get(handle.s, &bytes);
    get(project.s, &info);
    flip(handle.s, 20);
    finds_both("named", "handle_damaged", handle.s);
    AUTO_BUF other = {0};
    get(key_handle(bytes_str("other")).s, &other);
    put(handle.s, buf_bytes(&other));
    finds_both("named", "handle_damaged", handle.s);
    gone(handle.s);
    finds_both("durable", "handle_missing", handle.s);
    put(handle.s, buf_bytes(&bytes));
    flip(project.s, 20);
    finds_both("named", "project_damaged", project.s);
    gone(project.s);
    finds_both("durable", "project_missing", project.s);
    put(project.s, buf_bytes(&info));
    is_clean();
}
END_TEST

START_TEST(handle_of_no_project)
{
    AUTO_BUF bytes = {0};
    struct project_info info = {.id = {.b = {7}}, .handle = bytes_str("nobody")};
    handle_encode(&info, &bytes);
    struct key key = key_handle(info.handle);
    put(key.s, buf_bytes(&bytes));
    finds_both("durable", "project_missing", key.s);
}
END_TEST

/* Who loses the race for a handle leaves a project that nothing names. */
START_TEST(project_that_was_not_finished)
{
    struct forge f;
    struct id16 id;
    world_join(&f, &world, 1, store, now.ms);
    ck_assert_int_eq(project_create(&f.repo, bytes_str("late"), &id), OK);
    is_clean();
    gone(key_handle(bytes_str("late")).s);
    finds_both("", "project_unnamed", key_project(&id).s);
    gone(key_head(&id).s);
    finds_both("", "project_unnamed", key_project(&id).s);
    forge_release(&f);
}
END_TEST

START_TEST(unknown_keys)
{
    struct id16_hex id = id16_hex(&p->id);
    AUTO(arena_release) struct arena arena = {0};
    const char *const keys[] = {
        "other",
        "other/thing",
        "zzz",
        "handles/UPPER",
        "queue/other",
        "queue/dead/other",
        "leases/other",
        "projects/other",
        "projects/other/head",
        arena_printf(&arena, "projects/%s/other", id.s),
        arena_printf(&arena, "projects/%s/sessions/other.bin", id.s),
        arena_printf(&arena, "projects/%s/landing-log/000000000050-000000000150.log", id.s),
        arena_printf(&arena, "projects/%s/trees/00/other.bin", id.s),
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        put(keys[i], bytes_str("not the forge's"));
        finds_both("", "unknown_key", keys[i]);
        ck_assert_uint_eq(result.counts.keys, world.copy.n + 1);
        gone(keys[i]);
    }
}
END_TEST

START_TEST(damaged_bucket)
{
    flip("bucket", 20);
    finds_both("named", "bucket_damaged", "bucket");
    gone("bucket");
    run(false);
    ck_assert_int_eq(result.err, ERR_NOT_FOUND);
}
END_TEST

/* Damage to one project hides none of another. */
START_TEST(damage_hides_no_other)
{
    struct key head = key_head(&p->id);
    struct key blob = key_blob(&world.projects[1].id, &world.projects[1].blob);
    struct key session = key_session(&p->id, &p->open);
    gone(head.s);
    gone(blob.s);
    flip(session.s, 50);
    run(false);
    ck_assert_msg(result.n == 3 && result.counts.damages == 3, "%s", fsck_rig_text(&result));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lost_log_segment,
        log_that_is_only_shorter,
        log_that_says_something_else,
        log_of_another_project,
        rollup_that_is_damaged,
        rollup_that_lacks_a_key,
        rollup_that_reaches_over_the_head,
        log_that_reaches_over_the_head,
        damaged_session,
        tombstone_without_an_answer,
        queue_object_that_is_settled,
        queue_object_that_is_folded,
        queue_object_that_waits,
        damaged_queue_objects,
        damaged_lease,
        missing_blob,
        missing_manifest,
        missing_chunk,
        missing_chunk_of_a_partial_upload,
        damaged_contents,
        manifest_of_another_content,
        handles_and_projects,
        handle_of_no_project,
        project_that_was_not_finished,
        unknown_keys,
        damaged_bucket,
        damage_hides_no_other,
    };
    Suite *suite = suite_create("fsck_bucket");
    TCase *tcase = tcase_create("fsck_bucket");
    tcase_set_timeout(tcase, 120);
    tcase_add_unchecked_fixture(tcase, world_open, NULL);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
