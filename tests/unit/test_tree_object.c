#include "formats/tree_object.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "tests/support/chance.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static struct hash companions[2] = {{{0xc0}}, {{0xc1, [31] = 0xc2}}};

static struct footer first_footer(void)
{
    return (struct footer){
        .hlc = 1 << 16,
        .agent = 7,
        .root_content = {{0x11}},
        .root = {.offset = 8, .len = 23, .hash = {{0x12}}},
        .records = {.offset = 8, .hash = {{0x13}}},
        .ids = {.offset = 8, .hash = {{0x14}}},
    };
}

static struct hash tree_hash(const struct footer *f)
{
    AUTO_BUF out = {0};
    footer_encode(f, &out);
    return sha256(buf_bytes(&out));
}

static struct footer next_footer(const struct footer *prev, uint32_t landed, uint32_t others)
{
    struct footer next = first_footer();
    struct hash hash = tree_hash(prev);
    footer_follow(&next, prev, &hash);
    next.hlc = prev->hlc + 1;
    next.position = next.first + landed;
    next.n_records = landed + others;
    next.ids.len = next.n_records * TREE_ID_LEN;
    next.records.len = next.n_records * 200;
    return next;
}

static struct footer sample(void)
{
    struct footer f = first_footer();
    for (unsigned i = 0; i < 21; i++) {
        f = next_footer(&f, i % 3, 1);
    }
    f.agent = 0x0102030405060708;
    f.files = 1000;
    f.bytes = 123456789;
    f.n_companions = 2;
    f.companions = companions;
    return f;
}

static int decode(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct footer f;
    return footer_decode(in, &arena, &f);
}

START_TEST(golden_bytes)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    struct footer f = sample();
    footer_encode(&f, &out);
    golden_check("footer", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("footer", &golden);
    struct footer read;
    ck_assert_int_eq(footer_decode(buf_bytes(&golden), &arena, &read), 0);
    ck_assert(read.batch == 21 && read.first == f.first && read.position == f.position);
    ck_assert(read.hlc == f.hlc && read.agent == f.agent && read.files == 1000);
    ck_assert(read.bytes == f.bytes && hash_equal(&read.prev, &f.prev));
    ck_assert(hash_equal(&read.root_content, &f.root_content));
    ck_assert(read.root.offset == 8 && read.root.len == 23);
    ck_assert(read.n_records == f.n_records && read.records.len == f.records.len);
    ck_assert_uint_eq(read.ids.len, f.ids.len);
    ck_assert_uint_eq(read.n_ancestors, 3);
    ck_assert(read.n_companions == 2 && hash_equal(&read.companions[1], &companions[1]));
    buf_clear(&out);
    footer_encode(&read, &out);
    golden_check("footer", buf_bytes(&out));
}
END_TEST

START_TEST(fields_lie_where_they_should)
{
    AUTO_BUF out = {0};
    struct footer f = first_footer();
    footer_encode(&f, &out);
    ck_assert_uint_eq(out.len, 263);
    ck_assert_uint_eq(out.data[55], 7);     /* agent */
    ck_assert_uint_eq(out.data[104], 0x11); /* root content */
    ck_assert_uint_eq(out.data[143], 23);   /* root length */
    ck_assert_uint_eq(out.data[144], 0x12);
    ck_assert_uint_eq(out.data[184], 0x13);
    ck_assert_uint_eq(out.data[228], 0x14);
}
END_TEST

START_TEST(damage_is_refused)
{
    AUTO_BUF out = {0};
    struct footer f = sample();
    footer_encode(&f, &out);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(what_does_not_agree_is_refused)
{
    AUTO_BUF out = {0};
    struct footer f = sample();
    footer_encode(&f, &out);
    struct bytes in = buf_bytes(&out);
    static const struct {
        size_t offset;
        const char *data;
        size_t len;
    } bad[] = {
        {23, "\x16", 1},             /* batch 22, but the ancestors of 21 */
        {23, "\x00", 1},             /* batch 0 has no ancestors */
        {31, "\x00", 1},             /* first is not the previous position */
        {31, "\x14", 1},             /* nor is this one */
        {39, "\x00", 1},             /* position before first */
        {38, "\x01", 1},             /* more landed than was answered */
        {56, "\x00\x00\x00\x00", 4}, /* prev is not the first ancestor */
        {140, "\x00\x40\x00\x01", 4},
        {136, "\x40\x00\x00\x00", 4},
        {180, "\x20\x00\x00\x01", 4},
        {219, "\x09", 1},
        {220, "\xff\xff\xff\xff", 4},
        {227, "\x01", 1},
        {260, "\x02", 1},
        {260, "\x11", 1},
        {260, "\xff", 1},
        {268, "\x13", 1}, /* the previous batch is another */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int err = object_decode_with(in, bad[i].offset, bad[i].data, bad[i].len, decode);
        ck_assert_msg(err == ERR_CORRUPT, "%zu", i);
    }
    ck_assert_int_eq(object_decode_with(in, 55, "\x42", 1, decode), 0);
    AUTO_BUF large = {0};
    memset(buf_reserve(&large, FOOTER_MAX + 1), 0, FOOTER_MAX + 1);
    ck_assert_int_eq(decode(bytes_of(large.data, FOOTER_MAX + 1)), ERR_LIMIT);
}
END_TEST

/* Follows the ancestors to the batch that made `position`; gives how many footers were read. */
static size_t walk(const struct footer *chain, size_t newest, uint64_t position, size_t *found)
{
    size_t at = newest;
    size_t reads = 1;
    for (;;) {
        const struct ancestor *a = footer_toward(&chain[at], position);
        if (a == NULL) {
            *found = at;
            return reads;
        }
        ck_assert_uint_lt(a->batch, at);
        at = a->batch;
        reads++;
    }
}

START_TEST(ancestors_lead_everywhere)
{
    enum { BATCHES = 5000 };
    static struct footer chain[BATCHES];
    static struct hash hashes[BATCHES];
    struct chance c;
    chance_init(&c, "ancestors_lead_everywhere");
    chain[0] = first_footer();
    hashes[0] = tree_hash(&chain[0]);
    for (size_t i = 1; i < BATCHES; i++) {
        chain[i] = next_footer(&chain[i - 1], (uint32_t)chance_below(&c, 4), 1);
        hashes[i] = tree_hash(&chain[i]);
        for (unsigned k = 0; k < chain[i].n_ancestors; k++) {
            const struct ancestor *a = &chain[i].ancestors[k];
            uint64_t step = 1ull << (4 * k);
            ck_assert_uint_eq(a->batch % step, 0);
            ck_assert(a->batch < i && a->batch + step >= i);
            ck_assert_uint_eq(a->position, chain[a->batch].position);
            ck_assert(hash_equal(&a->tree, &hashes[a->batch]));
        }
    }
    size_t batch = 0;
    for (uint64_t p = 0; p <= chain[BATCHES - 1].position; p++) {
        while (chain[batch].position < p) {
            batch++;
        }
        size_t found;
        size_t reads = walk(chain, BATCHES - 1, p, &found);
        ck_assert_uint_eq(found, batch);
        ck_assert_uint_le(reads, 1 + 4 * 16);
    }
    ck_assert_ptr_null(footer_toward(&chain[BATCHES - 1], chain[BATCHES - 1].position + 1));
    ck_assert_ptr_null(footer_toward(&chain[0], 0));
}
END_TEST

START_TEST(header_and_trailer)
{
    AUTO_BUF out = {0};
    tree_header_write(&out);
    ck_assert_uint_eq(out.len, TREE_HEADER_LEN);
    ck_assert_int_eq(memcmp(out.data, "MTRO\0\1\0\0", 8), 0);
    tree_trailer_write(&out, 263);
    uint32_t len = 0;
    ck_assert_int_eq(tree_trailer_find(buf_bytes(&out), &len), 0);
    ck_assert_uint_eq(len, 263);
    ck_assert_int_eq(tree_trailer_find(bytes_of(out.data + 8, 8), &len), 0);
    ck_assert_int_eq(tree_trailer_find(bytes_of(out.data + 9, 7), &len), ERR_CORRUPT);
    ck_assert_int_eq(tree_trailer_find(bytes_of(out.data, 15), &len), ERR_CORRUPT);
    ck_assert_int_eq(tree_trailer_find(bytes_of(NULL, 0), &len), ERR_CORRUPT);
    ck_assert_int_eq(tree_trailer_find(bytes_of("\0\1\0\0MTRE", 8), &len), 0);
    ck_assert_int_eq(tree_trailer_find(bytes_of("\0\1\0\1MTRE", 8), &len), ERR_LIMIT);
    ck_assert_int_eq(tree_trailer_find(bytes_of("\xff\xff\xff\xffMTRE", 8), &len), ERR_LIMIT);
    ck_assert_int_eq(tree_trailer_find(bytes_of("\0\0\0\0MTRE", 8), &len), ERR_CORRUPT);
    ck_assert_int_eq(tree_trailer_find(bytes_of("\0\0\1\6MTRE", 8), &len), ERR_CORRUPT);
    ck_assert_int_eq(tree_trailer_find(bytes_of("\0\1\0\0MTRF", 8), &len), ERR_CORRUPT);
}
END_TEST

static const struct tree_id ids[] = {
    {{{1, [15] = 2}}, {{3, [15] = 4}}, VERDICT_LANDED, true, 0},
    {{{5}}, {{6}}, VERDICT_CONFLICTED, false, 0x01020304},
    {{{7}}, {{8}}, VERDICT_REFUSED, true, UINT32_MAX},
    {{{7}}, {{8}}, VERDICT_NOT_TRIED, false, 1},
    {{{9}}, {{10}}, VERDICT_ABANDONED, true, 2},
};

START_TEST(golden_ids)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        tree_id_write(&out, &ids[i]);
    }
    golden_check("tree_ids", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("tree_ids", &golden);
    struct tree_id *read;
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&golden), ARRAY_LEN(ids), &arena, &read), 0);
    buf_clear(&out);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        ck_assert(id16_equal(&read[i].session, &ids[i].session));
        ck_assert(id16_equal(&read[i].request, &ids[i].request));
        ck_assert(read[i].verdict == ids[i].verdict && read[i].closes == ids[i].closes);
        ck_assert_uint_eq(read[i].offset, ids[i].offset);
        tree_id_write(&out, &read[i]);
    }
    golden_check("tree_ids", buf_bytes(&out));
}
END_TEST

START_TEST(bad_ids_are_refused)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    tree_id_write(&out, &ids[0]);
    struct tree_id *read;
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), 1, &arena, &read), 0);
    ck_assert_int_eq(tree_ids_decode(bytes_of(NULL, 0), 0, &arena, &read), 0);
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), 0, &arena, &read), ERR_CORRUPT);
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), 2, &arena, &read), ERR_CORRUPT);
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), UINT32_MAX, &arena, &read), ERR_CORRUPT);
    ck_assert_int_eq(tree_ids_decode(bytes_of(out.data, 36), 1, &arena, &read), ERR_CORRUPT);
    out.data[32] = 0;
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), 1, &arena, &read), ERR_CORRUPT);
    out.data[32] = VERDICT_CLOSES;
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), 1, &arena, &read), ERR_CORRUPT);
    out.data[32] = 6;
    ck_assert_int_eq(tree_ids_decode(buf_bytes(&out), 1, &arena, &read), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        fields_lie_where_they_should,
        damage_is_refused,
        what_does_not_agree_is_refused,
        ancestors_lead_everywhere,
        header_and_trailer,
        golden_ids,
        bad_ids_are_refused,
    };
    return suite_run("tree_object", tests, ARRAY_LEN(tests));
}
