#include "formats/blob.h"

#include <pthread.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static struct hash chunks[3] = {{{1}}, {{2, 3}}, {{4, [31] = 5}}};

static struct manifest sample(void)
{
    return (struct manifest){
        .size = 2 * (uint64_t)MIB + 17,
        .hash = {{0xaa, [31] = 0xbb}},
        .chunk_size = MIB,
        .n = 3,
        .chunks = chunks,
    };
}

static int decode(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct manifest m;
    return manifest_decode(in, &arena, &m);
}

START_TEST(golden_bytes)
{
    AUTO(arena_release) struct arena arena = {0};
    struct manifest m = sample();
    AUTO_BUF out = {0};
    manifest_encode(&m, &out);
    golden_check("manifest", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("manifest", &golden);
    struct manifest read;
    ck_assert_int_eq(manifest_decode(buf_bytes(&golden), &arena, &read), 0);
    ck_assert_uint_eq(read.size, m.size);
    ck_assert_uint_eq(read.chunk_size, m.chunk_size);
    ck_assert_uint_eq(read.n, m.n);
    ck_assert(hash_equal(&read.hash, &m.hash));
    ck_assert(hash_equal(&read.chunks[2], &chunks[2]));
    buf_clear(&out);
    manifest_encode(&read, &out);
    golden_check("manifest", buf_bytes(&out));
}
END_TEST

START_TEST(damage_is_refused)
{
    struct manifest m = sample();
    AUTO_BUF out = {0};
    manifest_encode(&m, &out);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

static int decode_sized(uint64_t size, uint32_t chunk_size)
{
    struct manifest m = sample();
    m.size = size;
    m.chunk_size = chunk_size;
    AUTO_BUF out = {0};
    manifest_encode(&m, &out);
    return decode(buf_bytes(&out));
}

START_TEST(count_and_sizes_agree)
{
    ck_assert_int_eq(decode_sized(3ull * MIB, MIB), 0);
    ck_assert_int_eq(decode_sized(2ull * MIB + 1, MIB), 0);
    ck_assert_int_eq(decode_sized(2ull * MIB, MIB), ERR_CORRUPT);
    ck_assert_int_eq(decode_sized(3ull * MIB + 1, MIB), ERR_CORRUPT);
    ck_assert_int_eq(decode_sized(0, MIB), ERR_CORRUPT);
    ck_assert_int_eq(decode_sized(UINT64_MAX, MIB), ERR_CORRUPT);
    ck_assert_int_eq(decode_sized(3, 1), ERR_CORRUPT);
    ck_assert_int_eq(decode_sized(3ull * MIB, 0), ERR_CORRUPT);
    ck_assert_int_eq(decode_sized(3ull * CHUNK_SIZE_MAX + 3, CHUNK_SIZE_MAX + 1), ERR_CORRUPT);
}
END_TEST

START_TEST(a_false_count_is_refused)
{
    struct manifest m = sample();
    AUTO_BUF out = {0};
    manifest_encode(&m, &out);
    const uint8_t huge[4] = {0xff, 0xff, 0xff, 0xff};
    const uint8_t four[4] = {0, 0, 0, 4};
    struct bytes in = buf_bytes(&out);
    ck_assert_int_eq(object_decode_with(in, 60, huge, 4, decode), ERR_LIMIT);
    ck_assert_int_eq(object_decode_with(in, 60, four, 4, decode), ERR_CORRUPT);
}
END_TEST

START_TEST(a_manifest_is_told_from_a_frame)
{
    struct manifest m = sample();
    AUTO_BUF out = {0};
    manifest_encode(&m, &out);
    ck_assert(manifest_is(buf_bytes(&out)));
    buf_clear(&out);
    zstd_pack(bytes_str("MMAN"), &out);
    ck_assert(!manifest_is(buf_bytes(&out)));
    ck_assert(!manifest_is(bytes_of("MMA", 3)));
    ck_assert(!manifest_is(bytes_of(NULL, 0)));
}
END_TEST

static void fill(struct buf *out, size_t len, unsigned step)
{
    uint8_t *at = buf_reserve(out, len);
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)(xxh3_64_seed(bytes_of(NULL, 0), i / step) & 0xff);
    }
    out->len += len;
}

START_TEST(what_is_packed_comes_back)
{
    static const size_t lens[] = {0, 1, 2, 100, 2048, 65536, 65537, 1048576, 3000000};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        for (unsigned step = 1; step <= 1000; step *= 10) {
            AUTO_BUF plain = {0};
            AUTO_BUF frame = {0};
            AUTO_BUF out = {0};
            fill(&plain, lens[i], step);
            zstd_pack(buf_bytes(&plain), &frame);
            uint64_t size;
            ck_assert_int_eq(zstd_size(buf_bytes(&frame), &size), 0);
            ck_assert_uint_eq(size, lens[i]);
            buf_append(&out, "kept", 4);
            ck_assert_int_eq(zstd_unpack(buf_bytes(&frame), size, &out), 0);
            ck_assert_uint_eq(out.len, size + 4);
            ck_assert(memcmp(out.data, "kept", 4) == 0);
            ck_assert(lens[i] == 0 || memcmp(out.data + 4, plain.data, lens[i]) == 0);
        }
    }
}
END_TEST

START_TEST(other_frames_are_refused)
{
    AUTO_BUF frame = {0};
    AUTO_BUF out = {0};
    zstd_pack(bytes_str("hello, hello, hello, hello, hello, hello"), &frame);
    struct bytes in = buf_bytes(&frame);
    ck_assert_int_eq(zstd_unpack(in, 40, &out), 0);
    buf_clear(&out);
    ck_assert_int_eq(zstd_unpack(in, 39, &out), ERR_CORRUPT);
    ck_assert_int_eq(zstd_unpack(in, 41, &out), ERR_CORRUPT);
    ck_assert_int_eq(zstd_unpack(in, 0, &out), ERR_CORRUPT);
    ck_assert_int_eq(zstd_unpack(in, UINT64_MAX, &out), ERR_CORRUPT);
    for (size_t len = 0; len < in.len; len++) {
        ck_assert_int_eq(zstd_unpack(bytes_of(in.data, len), 40, &out), ERR_CORRUPT);
    }
    ck_assert_uint_eq(out.len, 0);
    /* Two frames are not one, nor is one with something behind it. */
    AUTO_BUF two = {0};
    buf_append_bytes(&two, in);
    buf_append_bytes(&two, in);
    ck_assert_int_eq(zstd_unpack(buf_bytes(&two), 40, &out), ERR_CORRUPT);
    ck_assert_int_eq(zstd_unpack(buf_bytes(&two), 80, &out), ERR_CORRUPT);
    ck_assert_int_eq(zstd_unpack(bytes_of(two.data, in.len + 1), 40, &out), ERR_CORRUPT);
    /* What the library would skip is not ours either, behind a frame or alone. */
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};
    ck_assert_int_eq(zstd_unpack(bytes_of(skippable, 8), 0, &out), ERR_CORRUPT);
    two.len = in.len;
    buf_append(&two, skippable, sizeof(skippable));
    ck_assert_int_eq(zstd_unpack(buf_bytes(&two), 40, &out), ERR_CORRUPT);
    ck_assert_int_eq(zstd_unpack(bytes_of(NULL, 0), 0, &out), ERR_CORRUPT);
    /* A size that the frame denies costs no memory. */
    AUTO_BUF fresh = {0};
    ck_assert_int_eq(zstd_unpack(in, 41, &fresh), ERR_CORRUPT);
    ck_assert_uint_eq(fresh.cap, 0);
}
END_TEST

START_TEST(a_frame_that_says_too_much_costs_nothing)
{
    /* Single segment, eight bytes of content size, one raw block of one byte. */
    static const uint8_t bomb[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0,  0,
                                   0,    1,    0,    0,    9,    0, 0, 'x'};
    uint64_t size;
    ck_assert_int_eq(zstd_size(bytes_of(bomb, sizeof(bomb)), &size), 0);
    ck_assert_uint_eq(size, 1ull << 40);
    AUTO_BUF out = {0};
    ck_assert_int_eq(zstd_unpack(bytes_of(bomb, sizeof(bomb)), size, &out), ERR_CORRUPT);
    ck_assert_uint_eq(out.cap, 0);
}
END_TEST

START_TEST(zeros_in_plenty)
{
    /* The greatest growth that there is must pass what is asked before unpacking. */
    size_t len = 64u * MIB;
    AUTO_BUF plain = {0};
    memset(buf_reserve(&plain, len), 0, len);
    plain.len = len;
    AUTO_BUF frame = {0};
    zstd_pack(buf_bytes(&plain), &frame);
    AUTO_BUF out = {0};
    ck_assert_int_eq(zstd_unpack(buf_bytes(&frame), len, &out), 0);
    ck_assert(bytes_equal(buf_bytes(&out), buf_bytes(&plain)));
}
END_TEST

START_TEST(the_same_into_an_arena)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF frame = {0};
    zstd_pack(bytes_str("plain"), &frame);
    struct bytes out;
    ck_assert_int_eq(zstd_unpack_arena(buf_bytes(&frame), 5, &arena, &out), 0);
    ck_assert(bytes_equal(out, bytes_str("plain")));
    ck_assert_int_eq(zstd_unpack_arena(buf_bytes(&frame), 4, &arena, &out), ERR_CORRUPT);
}
END_TEST

static void *pack_in_thread(void *arg)
{
    struct buf *frame = arg;
    AUTO_BUF plain = {0};
    fill(&plain, 100000, 7);
    zstd_pack(buf_bytes(&plain), frame);
    return NULL;
}

START_TEST(all_threads_pack_alike)
{
    pthread_t threads[4];
    struct buf frames[ARRAY_LEN(threads)] = {0};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pack_in_thread, &frames[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert(bytes_equal(buf_bytes(&frames[i]), buf_bytes(&frames[0])));
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        buf_release(&frames[i]);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        damage_is_refused,
        count_and_sizes_agree,
        a_false_count_is_refused,
        a_manifest_is_told_from_a_frame,
        what_is_packed_comes_back,
        other_frames_are_refused,
        a_frame_that_says_too_much_costs_nothing,
        zeros_in_plenty,
        the_same_into_an_arena,
        all_threads_pack_alike,
    };
    return suite_run("blob", tests, ARRAY_LEN(tests));
}
