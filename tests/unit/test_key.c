#include "formats/key.h"

#include "formats/project_id.h"
#include "tests/support/suite.h"

static const struct id16 project = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3}};
static const struct id16 session = {{0xff, 0xee, 0xdd}};
static const struct hash hash = {{0xab, 0xcd, 0xef}};

#define PID  "0123456789abcdef0102030000000000"
#define SID  "ffeedd00000000000000000000000000"
#define HASH "abcdef0000000000000000000000000000000000000000000000000000000000"

static void is(struct key key, const char *expected)
{
    ck_assert_str_eq(key.s, expected);
}

START_TEST(names_are_spelled)
{
    is(key_bucket(), "bucket");
    is(key_handle(bytes_str("a.b_c-9")), "handles/a.b_c-9");
    is(key_handle_prefix(), "handles/");
    is(key_queue(10, 0x1234, 0xabc, 7),
       "queue/000a/0000000000001234-0000000000000abc-0000000000000007");
    is(key_queue_prefix(65535), "queue/ffff/");
    is(key_dead(1, UINT64_MAX, 2, 3),
       "queue/dead/0001-ffffffffffffffff-0000000000000002-0000000000000003");
    is(key_dead_prefix(), "queue/dead/");
    is(key_lease(255), "leases/00ff");
    is(key_project(&project), "projects/" PID "/project");
    is(key_head(&project), "projects/" PID "/head");
    is(key_gc(&project), "projects/" PID "/gc");
    is(key_tree(&project, &hash), "projects/" PID "/trees/ab/" HASH ".bin");
    is(key_blob(&project, &hash), "projects/" PID "/blobs/ab/" HASH);
    is(key_log(&project, 1, 101), "projects/" PID "/landing-log/000000000001-000000000101.log");
    is(key_log_prefix(&project), "projects/" PID "/landing-log/");
    is(key_rollup(&project, 2, 1, 10001),
       "projects/" PID "/landing-log/bloom-index/level-2/000000000001-000000010001.bloom");
    is(key_rollup_prefix(&project, 3), "projects/" PID "/landing-log/bloom-index/level-3/");
    is(key_rollups_prefix(&project), "projects/" PID "/landing-log/bloom-index/");
    is(key_session(&project, &session), "projects/" PID "/sessions/" SID ".bin");
    is(key_session_prefix(&project), "projects/" PID "/sessions/");
    is(key_derive(&project, 0xabc, 10),
       "projects/" PID "/derive/0000000000000abc/000000000000000a.bin");
    is(key_derive_segment(&project, 11),
       "projects/" PID "/derive/segments/000000000000000b.bin");
    is(key_derive_prefix(&project), "projects/" PID "/derive/");
    is(key_derive_segment_prefix(&project), "projects/" PID "/derive/segments/");
}
END_TEST

/* The tree of a project's references lies below the project. */
START_TEST(names_of_references_are_spelled)
{
    struct id16 refs = project_id_refs(&project);
    struct id16 plain = project_id_plain(&refs);
    ck_assert(project_id_is_refs(&refs) && !project_id_is_refs(&project));
    ck_assert(id16_equal(&plain, &project) && !id16_equal(&refs, &project));
    is(key_project_prefix(&project), "projects/" PID "/");
    is(key_project_prefix(&refs), "projects/" PID "/refs/");
    is(key_project(&refs), "projects/" PID "/refs/project");
    is(key_head(&refs), "projects/" PID "/refs/head");
    is(key_gc(&refs), "projects/" PID "/refs/gc");
    is(key_tree(&refs, &hash), "projects/" PID "/refs/trees/ab/" HASH ".bin");
    is(key_tree_prefix(&refs), "projects/" PID "/refs/trees/");
    is(key_blob(&refs, &hash), "projects/" PID "/refs/blobs/ab/" HASH);
    is(key_blob_prefix(&refs), "projects/" PID "/refs/blobs/");
    is(key_log(&refs, 1, 101),
       "projects/" PID "/refs/landing-log/000000000001-000000000101.log");
    is(key_log_prefix(&refs), "projects/" PID "/refs/landing-log/");
    is(key_rollup(&refs, 2, 1, 10001),
       "projects/" PID "/refs/landing-log/bloom-index/level-2/000000000001-000000010001.bloom");
    is(key_rollup_prefix(&refs, 3), "projects/" PID "/refs/landing-log/bloom-index/level-3/");
    is(key_rollups_prefix(&refs), "projects/" PID "/refs/landing-log/bloom-index/");
    is(key_derive_prefix(&refs), "projects/" PID "/refs/derive/");
    is(key_session(&refs, &session), "projects/" PID "/refs/sessions/" SID ".bin");
    is(key_session_prefix(&refs), "projects/" PID "/refs/sessions/");
}
END_TEST

START_TEST(names_of_references_parse)
{
    struct id16 refs = project_id_refs(&project);
    uint64_t first;
    uint64_t end;
    unsigned level;
    struct id16 sid;
    struct hash read;
    ck_assert_int_eq(key_log_parse(key_log(&refs, 1, 101).s, &first, &end), OK);
    ck_assert_uint_eq(end, 101);
    ck_assert_int_eq(key_rollup_parse(key_rollup(&refs, 2, 1, 10001).s, &level, &first, &end),
                     OK);
    ck_assert_uint_eq(level, 2);
    ck_assert_int_eq(key_session_parse(key_session(&refs, &session).s, &sid), OK);
    ck_assert(id16_equal(&sid, &session));
    ck_assert_int_eq(key_tree_parse(key_tree(&refs, &hash).s, &read), OK);
    ck_assert(hash_equal(&read, &hash));
    ck_assert_int_eq(key_blob_parse(key_blob(&refs, &hash).s, &read), OK);
}
END_TEST

/* No second spelling of one name, with the bit in the id or the word twice. */
START_TEST(other_names_of_references_are_refused)
{
#define REFS_PID "8123456789abcdef0102030000000000"
    static const char *const bad[] = {
        "projects/" REFS_PID "/sessions/" SID ".bin",
        "projects/" REFS_PID "/refs/sessions/" SID ".bin",
        "projects/" PID "/refs/refs/sessions/" SID ".bin",
        "projects/" PID "/refssessions/" SID ".bin",
        "projects/" PID "/refs//sessions/" SID ".bin",
        "projects/" PID "//sessions/" SID ".bin",
        "projects/" PID "sessions/" SID ".bin",
    };
    struct id16 sid;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(key_session_parse(bad[i], &sid), ERR_INVALID);
    /* References have no derive log. */
    static const char *const logs[] = {
        "projects/" REFS_PID "/derive/0000000000000001/0000000000000001.bin",
        "projects/" PID "/refs/derive/0000000000000001/0000000000000001.bin",
    };
    uint64_t agent;
    uint64_t seq;
    for (size_t i = 0; i < ARRAY_LEN(logs); i++)
        ck_assert_int_eq(key_derive_parse(logs[i], &agent, &seq), ERR_INVALID);
}
END_TEST

START_TEST(queue_keys_parse)
{
    uint32_t shard;
    uint64_t hlc, agent, seq;
    struct key key = key_queue(0xbeef, UINT64_MAX, 0x0123456789abcdef, 42);
    ck_assert_int_eq(key_queue_parse(key.s, &shard, &hlc, &agent, &seq), 0);
    ck_assert_uint_eq(shard, 0xbeef);
    ck_assert_uint_eq(hlc, UINT64_MAX);
    ck_assert_uint_eq(agent, 0x0123456789abcdef);
    ck_assert_uint_eq(seq, 42);
}
END_TEST

START_TEST(other_queue_keys_are_refused)
{
    static const char *const bad[] = {
        "",
        "queue/",
        "queue/000a/",
        "queue/00a/0000000000001234-0000000000000abc-0000000000000007",
        "queue/0000a/0000000000001234-0000000000000abc-0000000000000007",
        "queue/000A/0000000000001234-0000000000000abc-0000000000000007",
        "queue/000a/000000000001234-0000000000000abc-0000000000000007",
        "queue/000a/0000000000001234-0000000000000abc-000000000000000",
        "queue/000a/0000000000001234-0000000000000abc-00000000000000077",
        "queue/000a/0000000000001234_0000000000000abc-0000000000000007",
        "queue/000a/0000000000001234-0000000000000ABC-0000000000000007",
        "queue/dead/000a-0000000000001234-0000000000000abc-0000000000000007",
        "Queue/000a/0000000000001234-0000000000000abc-0000000000000007",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t shard;
        uint64_t hlc, agent, seq;
        ck_assert_int_eq(key_queue_parse(bad[i], &shard, &hlc, &agent, &seq), ERR_INVALID);
    }
}
END_TEST

START_TEST(log_keys_parse)
{
    static const uint64_t ends[][2] = {{0, 1}, {1, 101}, {1, 1000000000001}, {1, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        uint64_t first, end;
        struct key key = key_log(&project, ends[i][0], ends[i][1]);
        ck_assert_int_eq(key_log_parse(key.s, &first, &end), 0);
        ck_assert_uint_eq(first, ends[i][0]);
        ck_assert_uint_eq(end, ends[i][1]);
    }
}
END_TEST

START_TEST(other_log_keys_are_refused)
{
    static const char *const bad[] = {
        "projects/" PID "/landing-log/",
        "projects/" PID "/landing-log/000000000001-000000000101",
        "projects/" PID "/landing-log/1-101.log",
        "projects/" PID "/landing-log/0000000000001-000000000101.log",
        "projects/" PID "/landing-log/000000000101-000000000101.log",
        "projects/" PID "/landing-log/000000000001-99999999999999999999.log",
        "projects/" PID "/landing-log/-000000000101.log",
        "projects/" PID "/landing-log/bloom-index/level-1/000000000001-000000000101.bloom",
        "projects/0123/landing-log/000000000001-000000000101.log",
        "landing-log/000000000001-000000000101.log",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t first, end;
        ck_assert_int_eq(key_log_parse(bad[i], &first, &end), ERR_INVALID);
    }
}
END_TEST

START_TEST(rollup_keys_parse)
{
    for (unsigned level = 1; level <= 3; level++) {
        unsigned l;
        uint64_t first, end;
        struct key key = key_rollup(&project, level, 101, 1000000000001);
        ck_assert_int_eq(key_rollup_parse(key.s, &l, &first, &end), 0);
        ck_assert_uint_eq(l, level);
        ck_assert_uint_eq(first, 101);
        ck_assert_uint_eq(end, 1000000000001);
    }
}
END_TEST

START_TEST(other_rollup_keys_are_refused)
{
#define INDEX "projects/" PID "/landing-log/bloom-index/"
    static const char *const bad[] = {
        "projects/" PID "/landing-log/000000000001-000000000101.log",
        INDEX "level-1/",
        INDEX "level-0/000000000001-000000000101.bloom",
        INDEX "level-4/000000000001-000000000101.bloom",
        INDEX "level-01/000000000001-000000000101.bloom",
        INDEX "level-1/1-101.bloom",
        INDEX "level-1/000000000101-000000000101.bloom",
        INDEX "level-1/000000000001-000000000101.log",
        INDEX "level-1/000000000001-000000000101.bloomy",
        INDEX "level-/000000000001-000000000101.bloom",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        unsigned level;
        uint64_t first, end;
        ck_assert_int_eq(key_rollup_parse(bad[i], &level, &first, &end), ERR_INVALID);
    }
}
END_TEST

START_TEST(session_and_handle_keys_parse)
{
    struct id16 sid;
    ck_assert_int_eq(key_session_parse(key_session(&project, &session).s, &sid), 0);
    ck_assert(id16_equal(&sid, &session));
    struct bytes handle;
    ck_assert_int_eq(key_handle_parse("handles/linux", &handle), 0);
    ck_assert(bytes_equal(handle, bytes_str("linux")));
}
END_TEST

START_TEST(other_session_and_handle_keys_are_refused)
{
    static const char *const bad_sessions[] = {
        "projects/" PID "/sessions/",
        "projects/" PID "/sessions/" SID,
        "projects/" PID "/sessions/" SID ".bin.tmp",
        "projects/" PID "/sessions/FFEEDD00000000000000000000000000.bin",
        "projects/" PID "/session/" SID ".bin",
    };
    struct id16 sid;
    for (size_t i = 0; i < ARRAY_LEN(bad_sessions); i++) {
        ck_assert_int_eq(key_session_parse(bad_sessions[i], &sid), ERR_INVALID);
    }
    static const char *const bad_handles[] = {"handles/", "handles/A", "handles/a/b", "a",
                                              "handles/../x"};
    struct bytes handle;
    for (size_t i = 0; i < ARRAY_LEN(bad_handles); i++) {
        ck_assert_int_eq(key_handle_parse(bad_handles[i], &handle), ERR_INVALID);
    }
}
END_TEST

START_TEST(keys_of_trees_and_blobs_parse)
{
    struct hash read;
    struct key tree = key_tree(&project, &hash);
    struct key blob = key_blob(&project, &hash);
    ck_assert_int_eq(key_tree_parse(tree.s, &read), OK);
    ck_assert(hash_equal(&read, &hash));
    ck_assert_int_eq(key_blob_parse(blob.s, &read), OK);
    ck_assert(hash_equal(&read, &hash));
    ck_assert_int_eq(strncmp(tree.s, key_tree_prefix(&project).s, 48), 0);
    ck_assert_int_eq(strncmp(blob.s, key_blob_prefix(&project).s, 48), 0);
    ck_assert_int_eq(key_tree_parse(blob.s, &read), ERR_INVALID);
    ck_assert_int_eq(key_blob_parse(tree.s, &read), ERR_INVALID);
    for (size_t len = 0; len < strlen(blob.s); len++) {
        struct key cut = blob;
        cut.s[len] = '\0';
        ck_assert_int_eq(key_blob_parse(cut.s, &read), ERR_INVALID);
    }
    blob.s[strlen("projects/") + 32 + strlen("/blobs/")] =
        'f'; /* not the hash's first digits */
    ck_assert_int_eq(key_blob_parse(blob.s, &read), ERR_INVALID);
}
END_TEST

START_TEST(derive_keys_parse)
{
    uint64_t agent, seq;
    struct key object = key_derive(&project, UINT64_MAX, UINT64_MAX - 1);
    struct key segment = key_derive_segment(&project, 0x1234);
    ck_assert_int_eq(key_derive_parse(object.s, &agent, &seq), OK);
    ck_assert_uint_eq(agent, UINT64_MAX);
    ck_assert_uint_eq(seq, UINT64_MAX - 1);
    ck_assert_int_eq(key_derive_segment_parse(segment.s, &seq), OK);
    ck_assert_uint_eq(seq, 0x1234);
    /* A reader who lists comes to the segments last. */
    ck_assert_int_lt(strcmp(object.s, segment.s), 0);
    ck_assert_int_eq(key_derive_parse(segment.s, &agent, &seq), ERR_INVALID);
    ck_assert_int_eq(key_derive_segment_parse(object.s, &seq), ERR_INVALID);
    for (size_t len = 0; len < strlen(object.s); len++) {
        struct key cut = object;
        cut.s[len] = '\0';
        ck_assert_int_eq(key_derive_parse(cut.s, &agent, &seq), ERR_INVALID);
    }
    /* Numbers begin at 1, and the last one there is is none: what comes after it is 0. */
    static const uint64_t none[] = {0, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        object = key_derive(&project, 1, none[i]);
        segment = key_derive_segment(&project, none[i]);
        ck_assert_int_eq(key_derive_parse(object.s, &agent, &seq), ERR_INVALID);
        ck_assert_int_eq(key_derive_segment_parse(segment.s, &seq), ERR_INVALID);
    }
}
END_TEST

START_TEST(probe_keys_parse)
{
    uint64_t ms;
    uint64_t id;
    is(key_probe(0x1234, UINT64_MAX, "swap"), "probe/0000000000001234-ffffffffffffffff/swap");
    is(key_probe_prefix(), "probe/");
    is(key_probe_note(), "probe/passed");
    ck_assert_int_eq(key_probe_parse(key_probe(0x1234, 7, "a/b").s, &ms, &id), 0);
    ck_assert_uint_eq(ms, 0x1234);
    ck_assert_uint_eq(id, 7);
    static const char *const bad[] = {
        "probe/passed",
        "probe/0000000000001234-ffffffffffffffff",
        "probe/0000000000001234-ffffffffffffffff/",
        "probe/000000000000123-ffffffffffffffff/x",
        "probe/0000000000001234-FFFFFFFFFFFFFFFF/x",
        "prob/0000000000001234-ffffffffffffffff/x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(key_probe_parse(bad[i], &ms, &id), ERR_INVALID);
    }
}
END_TEST

START_TEST(projects_spread_over_shards)
{
    size_t counts[16] = {0};
    for (unsigned i = 0; i < 16000; i++) {
        struct id16 id = {{(uint8_t)i, (uint8_t)(i >> 8)}};
        uint32_t shard = key_shard(&id, 16);
        ck_assert_uint_lt(shard, 16);
        ck_assert_uint_eq(key_shard(&id, 16), shard);
        ck_assert_uint_eq(key_shard(&id, 1), 0);
        counts[shard]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        ck_assert_uint_gt(counts[i], 800);
        ck_assert_uint_lt(counts[i], 1200);
    }
    /* Buckets rely on it for ever. */
    ck_assert_uint_eq(key_shard(&project, 65536), 23107);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        names_are_spelled,
        names_of_references_are_spelled,
        names_of_references_parse,
        other_names_of_references_are_refused,
        queue_keys_parse,
        other_queue_keys_are_refused,
        log_keys_parse,
        other_log_keys_are_refused,
        rollup_keys_parse,
        other_rollup_keys_are_refused,
        session_and_handle_keys_parse,
        other_session_and_handle_keys_are_refused,
        keys_of_trees_and_blobs_parse,
        derive_keys_parse,
        probe_keys_parse,
        projects_spread_over_shards,
    };
    return suite_run("key", tests, ARRAY_LEN(tests));
}
