/* How many store requests work costs. The landing batch and the waiters have theirs in
 * test_land and test_service_land. */
#include <check.h>

#include "formats/base/hash.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/tree/snapshot.h"
#include "tests/support/chance.h"
#include "tests/support/drain_rig.h"
#include "tests/support/suite.h"

static struct forge f;

static void setup(void)
{
    forge_init(&f);
}

static void teardown(void)
{
    forge_release(&f);
}

/* Since the last call. */
static struct trace_counts counts(void)
{
    return trace_store_counts(f.trace, true);
}

static uint64_t requests(const struct trace_counts *c)
{
    uint64_t n = c->lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c->gets[kind] + c->puts[kind] + c->deletes[kind];
    return n;
}

static void expect_text(struct forge *forge, const char *path, const char *text)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF body = {0};
    struct snapshot *snapshot;
    struct entry entry;
    struct content_reader *reader;
    ck_assert_int_eq(snapshot_open(&forge->repo, &forge->project, UINT64_MAX, &snapshot), OK);
    ck_assert_int_eq(snapshot_find(snapshot, bytes_str(path), &arena, &entry), OK);
    ck_assert_int_eq(content_open(&forge->repo, &forge->project, &entry.where, entry.size,
                                  &entry.hash, &reader),
                     OK);
    ck_assert_int_eq(content_read_at(reader, 0, entry.size, &body), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str(text)));
    content_close(reader);
    snapshot_close(snapshot);
}

/* Cold: the head, one suffix read, one range read a level and one for the content. Warm: none
 * but the head. */
START_TEST(a_file_is_read)
{
    setup();
    forge_land_text(&f, "deep", "a/b/c/f", "text", NULL);
    struct forge cold;
    forge_join(&cold, &f, NULL);
    (void)counts();
    expect_text(&cold, "a/b/c/f", "text");
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(c.gets[TRACE_TREE], 1 + 3 + 1);
    ck_assert_uint_eq(requests(&c), 6);
    expect_text(&cold, "a/b/c/f", "text");
    c = counts();
    ck_assert_uint_eq(c.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(requests(&c), 1);
    forge_release(&cold);
    teardown();
}
END_TEST

/* A session that has an object of its own: one get and one put more, to retire it. */
START_TEST(an_open_session_lands)
{
    setup();
    struct draft draft = draft_open(&f, "ann", "open", 0);
    draft_write(&draft, "a", "1", NULL);
    struct id16 records[2];
    ck_assert_uint_eq(draft_ids(&draft, records), 2);
    forge_write(&f, &draft);
    f.clock.ms += f.land_options.fold_after_ms + 1;
    (void)forge_drain(&f);
    ck_assert_uint_eq(forge_count(&f, "projects/"), 4); /* project, head, tree, session */
    struct id16 request = forge_land(&f, &draft, records, 2);
    (void)counts();
    ck_assert_int_gt(f.land->run(f.land), 0);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.gets[TRACE_SESSION], 1);
    ck_assert_uint_eq(c.puts[TRACE_SESSION], 1);
    ck_assert_uint_eq(c.gets[TRACE_TREE], 0);
    ck_assert_uint_eq(c.puts[TRACE_TREE], 1);
    ck_assert_uint_eq(c.puts[TRACE_HEAD], 1);
    ck_assert_uint_eq(c.gets[TRACE_QUEUE], 1);
    ck_assert_uint_eq(c.deletes[TRACE_QUEUE], 1);
    ck_assert_uint_eq(c.lists, 1);
    ck_assert_int_eq(forge_answer(&f, &draft.session.id, &request).verdict, VERDICT_LANDED);
    teardown();
}
END_TEST

static void upload(struct bytes data, struct content *out)
{
    struct upload *upload = upload_open(&f.repo, &f.project);
    ck_assert_int_eq(upload_write(upload, data), OK);
    ck_assert_int_eq(upload_finish(upload, NULL, out), OK);
    upload_close(upload);
}

/* One put a blob or chunk, and one for a manifest, and then a look whether a collection is
 * about to take it; one look for each hash that is not remembered. */
START_TEST(content_is_uploaded)
{
    setup();
    size_t len = 3 * (size_t)f.repo.bucket.chunk_size + 5;
    uint8_t *data = arena_alloc(&f.arena, len + 8);
    struct chance chance = {.state = 7};
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = chance_u64(&chance);
        memcpy(data + i, &word, 8);
    }
    struct content small;
    struct content large;
    (void)counts();
    upload(bytes_of(data, 1000), &small);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.puts[TRACE_BLOB], 1);
    ck_assert_uint_eq(c.gets[TRACE_GC], 1);
    ck_assert_uint_eq(requests(&c), 2);
    upload(bytes_of(data, len), &large);
    c = counts();
    ck_assert_uint_eq(c.puts[TRACE_BLOB], 4 + 1);
    ck_assert_uint_eq(c.gets[TRACE_GC], 1);
    ck_assert_uint_eq(requests(&c), 6);

    struct forge cold;
    forge_join(&cold, &f, NULL);
    struct hash hashes[2] = {small.hash, {{1}}};
    bool missing[2];
    (void)counts();
    ck_assert_int_eq(blob_missing(&cold.repo, &f.project, NULL, hashes, 2, missing, NULL), OK);
    ck_assert(!missing[0] && missing[1]);
    c = counts();
    ck_assert_uint_eq(c.gets[TRACE_BLOB], 2);
    ck_assert_uint_eq(requests(&c), 2);
    ck_assert_int_eq(blob_missing(&cold.repo, &f.project, NULL, hashes, 1, missing, NULL), OK);
    c = counts();
    ck_assert_uint_eq(requests(&c), 0);
    forge_release(&cold);
    teardown();
}
END_TEST

/* One list a shard. */
START_TEST(an_idle_forge)
{
    setup();
    forge_land_text(&f, "one", "a", "1", NULL);
    (void)forge_drain(&f);
    (void)counts();
    ck_assert_int_eq(f.land->run(f.land), 0);
    struct trace_counts c = counts();
    ck_assert_uint_eq(c.lists, f.repo.bucket.shards);
    ck_assert_uint_eq(requests(&c), f.repo.bucket.shards);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_file_is_read,
        an_open_session_lands,
        content_is_uploaded,
        an_idle_forge,
    };
    return suite_run("budget", tests, ARRAY_LEN(tests));
}
