#include "formats/content.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/blob.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

/* One of each carrier. The frame of INLINE_ZSTD is not looked into when it is only read and
 * written. */
static const struct content samples[] = {
    {.kind = KIND_FILE,
     .mode = MODE_PLAIN,
     .size = 3,
     .hash = {{1}},
     .carrier = CARRIER_INLINE_RAW,
     .data = {(const uint8_t *)"abc", 3}},
    {.kind = KIND_FILE,
     .mode = MODE_EXEC,
     .size = 65536,
     .hash = {{2}},
     .carrier = CARRIER_INLINE_ZSTD,
     .data = {(const uint8_t *)"frame", 5}},
    {.kind = KIND_FILE,
     .mode = MODE_PLAIN,
     .size = 1u << 20,
     .hash = {{3}},
     .carrier = CARRIER_BLOB},
    {.kind = KIND_FILE,
     .mode = MODE_PLAIN,
     .size = 1ull << 40,
     .hash = {{4}},
     .carrier = CARRIER_MANIFEST,
     .manifest = {{5, [31] = 6}}},
    {.kind = KIND_LINK, .mode = 0, .size = 9, .hash = {{7}}, .carrier = CARRIER_SOURCE},
    {.kind = KIND_FILE,
     .mode = MODE_PLAIN,
     .size = 77,
     .hash = {{8}},
     .carrier = CARRIER_TREE_RAW,
     .offset = 0x01020304,
     .len = 77},
    {.kind = KIND_FILE,
     .mode = MODE_PLAIN,
     .size = 77,
     .hash = {{9}},
     .carrier = CARRIER_TREE_ZSTD,
     .offset = 0x01020304,
     .len = 50},
};

START_TEST(golden_bytes)
{
    AUTO_BUF out = {0};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        content_write(&out, &samples[i]);
    }
    golden_check("content", buf_bytes(&out));
    AUTO_BUF golden = {0};
    AUTO_BUF again = {0};
    golden_read("content", &golden);
    struct reader r;
    rd_init(&r, buf_bytes(&golden));
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct content c = content_read(&r);
        ck_assert_int_eq(rd_error(&r), 0);
        ck_assert(c.kind == samples[i].kind && c.mode == samples[i].mode);
        ck_assert(c.size == samples[i].size && c.carrier == samples[i].carrier);
        ck_assert(bytes_equal(c.data, samples[i].data));
        ck_assert(c.offset == samples[i].offset && c.len == samples[i].len);
        ck_assert(hash_equal(&c.hash, &samples[i].hash));
        ck_assert(hash_equal(&c.manifest, &samples[i].manifest));
        content_write(&again, &c);
    }
    ck_assert_int_eq(rd_end(&r), 0);
    golden_check("content", buf_bytes(&again));
}
END_TEST

static int reread(const struct content *c, size_t cut)
{
    AUTO_BUF out = {0};
    content_write(&out, c);
    struct reader r;
    rd_init(&r, bytes_of(out.data, out.len - cut));
    (void)content_read(&r);
    return rd_end(&r);
}

START_TEST(what_is_cut_short_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        AUTO_BUF out = {0};
        content_write(&out, &samples[i]);
        ck_assert_int_eq(reread(&samples[i], 0), 0);
        for (size_t cut = 1; cut <= out.len; cut++) {
            ck_assert_int_eq(reread(&samples[i], cut), ERR_CORRUPT);
        }
    }
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
    struct content c = samples[0];
    c.kind = KIND_DIR;
    c.mode = 0;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
    c = samples[0];
    c.kind = KIND_NONE;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
    c = samples[0];
    c.mode = 0777;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
    c = samples[0];
    c.size = 4;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
    c = samples[1];
    c.size = INLINE_CONTENT_MAX + 1;
    ck_assert_int_eq(reread(&c, 0), ERR_LIMIT);
    c = samples[2];
    c.size = CONTENT_SIZE_MAX;
    ck_assert_int_eq(reread(&c, 0), 0);
    c.size++;
    ck_assert_int_eq(reread(&c, 0), ERR_LIMIT);
    c = samples[5];
    c.len = 76;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
    c = samples[2];
    c.carrier = (enum carrier)0;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
    c.carrier = (enum carrier)8;
    ck_assert_int_eq(reread(&c, 0), ERR_CORRUPT);
}
END_TEST

START_TEST(too_much_inline_is_refused)
{
    AUTO_BUF data = {0};
    memset(buf_reserve(&data, INLINE_CONTENT_MAX + 1), 'x', INLINE_CONTENT_MAX + 1);
    struct content c = samples[0];
    c.size = INLINE_CONTENT_MAX;
    c.data = bytes_of(data.data, INLINE_CONTENT_MAX);
    ck_assert_int_eq(reread(&c, 0), 0);
    c.size++;
    c.data.len++;
    ck_assert_int_eq(reread(&c, 0), ERR_LIMIT);
}
END_TEST

START_TEST(inline_content_comes_back)
{
    static const char text[] = "the same, the same, the same, the same, the same";
    AUTO(arena_release) struct arena arena = {0};
    const struct {
        struct bytes plain;
        enum carrier carrier;
    } cases[] = {
        {{NULL, 0}, CARRIER_INLINE_RAW},
        {bytes_str("short"), CARRIER_INLINE_RAW},
        {bytes_of(text, sizeof(text)), CARRIER_INLINE_ZSTD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct content c = content_inline(&arena, KIND_FILE, MODE_EXEC, cases[i].plain);
        ck_assert_int_eq(c.carrier, cases[i].carrier);
        ck_assert_uint_eq(c.size, cases[i].plain.len);
        ck_assert(c.data.len <= c.size);
        struct hash hash = sha256(cases[i].plain);
        ck_assert(hash_equal(&c.hash, &hash));
        struct bytes plain;
        ck_assert_int_eq(content_plain(&arena, &c, &plain), 0);
        ck_assert(bytes_equal(plain, cases[i].plain));
        ck_assert_int_eq(reread(&c, 0), 0);
    }
}
END_TEST

START_TEST(false_content_is_refused)
{
    static const char text[] = "the same, the same, the same, the same, the same";
    AUTO(arena_release) struct arena arena = {0};
    struct bytes plain;
    struct content c = content_inline(&arena, KIND_FILE, MODE_PLAIN, bytes_str(text));
    c.hash.b[0] ^= 1;
    ck_assert_int_eq(content_plain(&arena, &c, &plain), ERR_CORRUPT);
    c.hash.b[0] ^= 1;
    c.size++;
    ck_assert_int_eq(content_plain(&arena, &c, &plain), ERR_CORRUPT);
    c.size--;
    c.carrier = CARRIER_INLINE_RAW;
    ck_assert_int_eq(content_plain(&arena, &c, &plain), ERR_CORRUPT);
    c = content_inline(&arena, KIND_FILE, MODE_PLAIN, bytes_str("raw"));
    c.data = bytes_str("rav");
    ck_assert_int_eq(content_plain(&arena, &c, &plain), ERR_CORRUPT);
    c.data = bytes_str("raww");
    ck_assert_int_eq(content_plain(&arena, &c, &plain), ERR_CORRUPT);
    c.carrier = CARRIER_BLOB;
    ck_assert_int_eq(content_plain(&arena, &c, &plain), ERR_INVALID);
}
END_TEST

START_TEST(stored_content_is_checked)
{
    AUTO(arena_release) struct arena arena = {0};
    struct bytes plain = bytes_str("stored, stored, stored, stored");
    struct hash hash = sha256(plain);
    AUTO_BUF frame = {0};
    zstd_pack(plain, &frame);
    struct bytes out;
    ck_assert_int_eq(content_unpack(&arena, false, plain, plain.len, &hash, &out), 0);
    ck_assert(out.data == plain.data);
    struct bytes stored = buf_bytes(&frame);
    ck_assert_int_eq(content_unpack(&arena, true, stored, plain.len, &hash, &out), 0);
    ck_assert(bytes_equal(out, plain));
    ck_assert_int_eq(content_unpack(&arena, false, stored, plain.len, &hash, &out),
                     ERR_CORRUPT);
    ck_assert_int_eq(content_unpack(&arena, true, plain, plain.len, &hash, &out), ERR_CORRUPT);
    ck_assert_int_eq(content_unpack(&arena, true, stored, 1, &hash, &out), ERR_CORRUPT);
    ck_assert_int_eq(content_unpack(&arena, true, stored, CHUNK_SIZE_MAX + 1, &hash, &out),
                     ERR_LIMIT);
    hash.b[31] ^= 1;
    ck_assert_int_eq(content_unpack(&arena, true, stored, plain.len, &hash, &out), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        what_is_cut_short_is_refused,
        what_does_not_go_together_is_refused,
        too_much_inline_is_refused,
        inline_content_comes_back,
        false_content_is_refused,
        stored_content_is_checked,
    };
    return suite_run("content", tests, ARRAY_LEN(tests));
}
