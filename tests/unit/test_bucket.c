#include "formats/bucket.h"

#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "formats/project_id.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static struct bucket sample_bucket(void)
{
    return (struct bucket){{{1, 2, [15] = 3}}, 16, CHUNK_SIZE_DEFAULT, 0x0102030405060708};
}

static struct project_info sample_project(void)
{
    return (struct project_info){{{9, 8, [15] = 7}}, 0x1112131415161718, bytes_str("linux")};
}

static int decode_bucket(struct bytes in)
{
    struct bucket b;
    return bucket_decode(in, &b);
}

static int decode_project(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info p;
    return project_info_decode(in, &arena, &p);
}

static int decode_handle(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info p;
    return handle_decode(in, &arena, &p);
}

START_TEST(golden_bucket)
{
    AUTO_BUF out = {0};
    struct bucket b = sample_bucket();
    bucket_encode(&b, &out);
    golden_check("bucket", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("bucket", &golden);
    struct bucket read;
    ck_assert_int_eq(bucket_decode(buf_bytes(&golden), &read), 0);
    ck_assert(id16_equal(&read.id, &b.id));
    ck_assert(read.shards == b.shards && read.chunk_size == b.chunk_size);
    ck_assert_uint_eq(read.hlc_created, b.hlc_created);
    buf_clear(&out);
    bucket_encode(&read, &out);
    golden_check("bucket", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode_bucket);
}
END_TEST

START_TEST(golden_project)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    struct project_info p = sample_project();
    project_info_encode(&p, &out);
    golden_check("project", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("project", &golden);
    struct project_info read;
    ck_assert_int_eq(project_info_decode(buf_bytes(&golden), &arena, &read), 0);
    ck_assert(id16_equal(&read.id, &p.id) && read.hlc_created == p.hlc_created);
    ck_assert(bytes_equal(read.handle, p.handle));
    buf_clear(&out);
    project_info_encode(&read, &out);
    golden_check("project", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode_project);
}
END_TEST

START_TEST(golden_handle)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    struct project_info p = sample_project();
    handle_encode(&p, &out);
    golden_check("handle", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("handle", &golden);
    struct project_info read;
    ck_assert_int_eq(handle_decode(buf_bytes(&golden), &arena, &read), 0);
    ck_assert(id16_equal(&read.id, &p.id) && bytes_equal(read.handle, p.handle));
    buf_clear(&out);
    handle_encode(&read, &out);
    golden_check("handle", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode_handle);
}
END_TEST

static int decode_probe_note(struct bytes in)
{
    struct probe_note note;
    return probe_note_decode(in, &note);
}

START_TEST(golden_probe_note)
{
    AUTO_BUF out = {0};
    struct probe_note note = {{{1, 2, 3}}, 0x0102030405060708, true};
    probe_note_encode(&note, &out);
    golden_check("probe_note", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("probe_note", &golden);
    struct probe_note read;
    ck_assert_int_eq(probe_note_decode(buf_bytes(&golden), &read), 0);
    ck_assert(hash_equal(&read.where, &note.where) && read.passed_ms == note.passed_ms);
    ck_assert(read.bare_etag);
    buf_clear(&out);
    probe_note_encode(&read, &out);
    golden_check("probe_note", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode_probe_note);
    ck_assert_int_eq(
        object_decode_with(buf_bytes(&out), out.len - 1, "\2", 1, decode_probe_note),
        ERR_CORRUPT);
}
END_TEST

static int decode_changed(struct bucket b)
{
    AUTO_BUF out = {0};
    bucket_encode(&b, &out);
    return decode_bucket(buf_bytes(&out));
}

START_TEST(bad_buckets_are_refused)
{
    struct bucket b = sample_bucket();
    b.shards = 0;
    ck_assert_int_eq(decode_changed(b), ERR_CORRUPT);
    b.shards = 65536;
    ck_assert_int_eq(decode_changed(b), 0);
    b.shards = 65537;
    ck_assert_int_eq(decode_changed(b), ERR_CORRUPT);
    b = sample_bucket();
    b.chunk_size = CHUNK_SIZE_MIN - 1;
    ck_assert_int_eq(decode_changed(b), ERR_CORRUPT);
    b.chunk_size = CHUNK_SIZE_MAX + 1;
    ck_assert_int_eq(decode_changed(b), ERR_CORRUPT);
    b = sample_bucket();
    b.id = (struct id16){{0}};
    ck_assert_int_eq(decode_changed(b), ERR_CORRUPT);
}
END_TEST

START_TEST(bad_handles_are_refused)
{
    AUTO_BUF out = {0};
    struct project_info p = sample_project();
    project_info_encode(&p, &out);
    size_t at = out.len - p.handle.len;
    struct bytes in = buf_bytes(&out);
    ck_assert_int_eq(object_decode_with(in, at, "Linux", 5, decode_project), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(in, at, "li/ux", 5, decode_project), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(in, at, "..", 2, decode_project), ERR_CORRUPT);
    const uint8_t zero[16] = {0};
    ck_assert_int_eq(object_decode_with(in, 16, zero, 16, decode_project), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(in, at - 1, "\xff", 1, decode_project), ERR_LIMIT);
}
END_TEST

START_TEST(one_is_not_the_other)
{
    AUTO_BUF out = {0};
    struct project_info p = sample_project();
    project_info_encode(&p, &out);
    ck_assert_int_eq(decode_handle(buf_bytes(&out)), ERR_CORRUPT);
    buf_clear(&out);
    handle_encode(&p, &out);
    ck_assert_int_eq(decode_project(buf_bytes(&out)), ERR_CORRUPT);
}
END_TEST

START_TEST(a_handle_names_no_references)
{
    AUTO_BUF out = {0};
    struct project_info p = sample_project();
    p.id = project_id_refs(&p.id);
    handle_encode(&p, &out);
    ck_assert_int_eq(decode_handle(buf_bytes(&out)), ERR_CORRUPT);
    buf_clear(&out);
    project_info_encode(&p, &out);
    ck_assert_int_eq(decode_project(buf_bytes(&out)), OK);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_handle_names_no_references,
        golden_bucket,
        golden_project,
        golden_handle,
        golden_probe_note,
        bad_buckets_are_refused,
        bad_handles_are_refused,
        one_is_not_the_other,
    };
    return suite_run("bucket", tests, ARRAY_LEN(tests));
}
