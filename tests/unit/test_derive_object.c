#include "formats/derive_object.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

#define ITEMS 8u

static struct buf recipe_bytes;

static void sample(struct derive_item *items)
{
    struct recipe recipe = {.function = bytes_str("identity"), .version = bytes_str("1.0.0")};
    buf_clear(&recipe_bytes);
    recipe_encode(&recipe, &recipe_bytes);
    items[0] = (struct derive_item){.kind = DERIVE_RECIPE, .data = buf_bytes(&recipe_bytes)};
    items[1] = (struct derive_item){.kind = DERIVE_LEAF, .data = bytes_str("a leaf")};
    items[2] =
        (struct derive_item){.kind = DERIVE_UPLOAD, .address = {{0x21}}, .size = 5 * MIB};
    items[3] = (struct derive_item){.kind = DERIVE_MEMO,
                                    .memo = {.key = {{0x31}},
                                             .function = bytes_str("identity"),
                                             .version = bytes_str("1.0.0"),
                                             .implementation = {{0x32}},
                                             .cost_us = 77,
                                             .size = 6,
                                             .output = {{0x33}},
                                             .chunk_size = MIB}};
    items[4] = (struct derive_item){
        .kind = DERIVE_TREE,
        .address = {{0x41}},
        .where = {
            .place = PLACE_PAGE, .tree = {{0x42}}, .offset = 8, .len = 99, .check = {{0x43}}}};
    items[5] = (struct derive_item){.kind = DERIVE_QUARANTINE,
                                    .quarantine = {.function = bytes_str("dice"),
                                                   .version = bytes_str("6"),
                                                   .implementation = {{0x51}},
                                                   .key = {{0x52}},
                                                   .first = {{0x53}},
                                                   .second = {{0x54}}}};
    items[6] = (struct derive_item){.kind = DERIVE_PIN, .address = {{0x61}}};
    items[7] = (struct derive_item){.kind = DERIVE_UNPIN, .address = {{0x71}}};
}

static void encode(const struct derive_item *items, uint32_t n, struct buf *out)
{
    struct id16 project = {{0xaa, 0xbb}};
    buf_clear(out);
    derive_object_begin(out, &project, 0x0102030405060708, 42, 0x1112131415161718);
    for (uint32_t i = 0; i < n; i++)
        derive_item_write(out, &items[i]);
    derive_object_finish(out, n);
}

static int decode(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    return derive_object_decode(in, &arena, &object);
}

START_TEST(golden_bytes)
{
    struct derive_item items[ITEMS];
    AUTO_BUF out = {0};
    sample(items);
    encode(items, ITEMS, &out);
    golden_check("derive_object", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("derive_object", &golden);
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    ck_assert_int_eq(derive_object_decode(buf_bytes(&golden), &arena, &object), OK);
    ck_assert_uint_eq(object.n, ITEMS);
    ck_assert_uint_eq(object.seq, 42);
    ck_assert_uint_eq(object.items[2].size, 5 * MIB);
    ck_assert_uint_eq(object.items[4].where.len, 99);
    encode(object.items, object.n, &out);
    golden_check("derive_object", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(items_are_named)
{
    struct derive_item items[ITEMS];
    AUTO_BUF out = {0};
    sample(items);
    encode(items, ITEMS, &out);
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    ck_assert_int_eq(derive_object_decode(buf_bytes(&out), &arena, &object), OK);
    struct hash recipe = recipe_address(buf_bytes(&recipe_bytes));
    struct hash leaf = sha256(bytes_str("a leaf"));
    ck_assert(hash_equal(&object.items[0].address, &recipe));
    ck_assert(hash_equal(&object.items[1].address, &leaf));
    ck_assert_uint_eq(object.items[2].address.b[0], 0x21);
    ck_assert_uint_eq(object.items[3].address.b[0], 0x31);
    ck_assert_uint_eq(object.items[4].address.b[0], 0x41);
    ck_assert_uint_eq(object.items[5].address.b[0], 0x52);
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
    AUTO_BUF out = {0};
    struct derive_item item = {.kind = (enum derive_kind)10};
    encode(&item, 1, &out);
    buf_append(&out, "\0\0\0\0", 4); /* as long as the least item */
    derive_object_finish(&out, 1);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
    item = (struct derive_item){.kind = DERIVE_RECIPE, .data = bytes_str("none")};
    encode(&item, 1, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
    item = (struct derive_item){.kind = DERIVE_UPLOAD, .size = CONTENT_SIZE_MAX};
    encode(&item, 1, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
    item.size++;
    encode(&item, 1, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), ERR_CORRUPT);
    static uint8_t large[INLINE_CONTENT_MAX + 1];
    item =
        (struct derive_item){.kind = DERIVE_LEAF, .data = bytes_of(large, INLINE_CONTENT_MAX)};
    encode(&item, 1, &out);
    ck_assert_int_eq(decode(buf_bytes(&out)), OK);
    item.data.len++;
    encode(&item, 1, &out);
    ck_assert_int_ne(decode(buf_bytes(&out)), OK);
}
END_TEST

/* ---- chunks ---- */

#define SIZE (2 * CHUNK_SIZE_MIN + 5u)

static struct hash hashes[DERIVE_CHUNKS_MAX + 1];

static struct derive_item chunks_of(uint64_t size, uint32_t first, uint32_t n)
{
    return (struct derive_item){.kind = DERIVE_CHUNKS,
                                .chunks = {.recipe = {{0x81}},
                                           .output = {{0x82}},
                                           .size = size,
                                           .chunk_size = CHUNK_SIZE_MIN,
                                           .first = first,
                                           .n = n,
                                           .hashes = hashes}};
}

static int chunks_decode(const struct derive_item *item)
{
    AUTO_BUF out = {0};
    encode(item, 1, &out);
    return decode(buf_bytes(&out));
}

START_TEST(golden_chunks)
{
    hashes[0] = (struct hash){{0x91}};
    hashes[1] = (struct hash){{0x92}};
    struct derive_item items[] = {chunks_of(SIZE, 1, 2), chunks_of(7, 0, 1)};
    items[1].chunks.output = hashes[0];
    AUTO_BUF out = {0};
    encode(items, 2, &out);
    golden_check("derive_chunks", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("derive_chunks", &golden);
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    ck_assert_int_eq(derive_object_decode(buf_bytes(&golden), &arena, &object), OK);
    ck_assert_uint_eq(object.n, 2);
    const struct derive_chunks *chunks = &object.items[0].chunks;
    ck_assert_uint_eq(object.items[0].address.b[0], 0x82);
    ck_assert_uint_eq(chunks->recipe.b[0], 0x81);
    ck_assert_uint_eq(chunks->size, SIZE);
    ck_assert_uint_eq(chunks->first, 1);
    ck_assert_uint_eq(chunks->n, 2);
    ck_assert_uint_eq(chunks->hashes[1].b[0], 0x92);
    encode(object.items, object.n, &out);
    golden_check("derive_chunks", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(chunks_agree_with_sizes)
{
    struct derive_item item = chunks_of(SIZE, 0, 3);
    ck_assert_int_eq(chunks_decode(&item), OK);
    item = chunks_of(SIZE, 0, 4);
    ck_assert_int_eq(chunks_decode(&item), ERR_CORRUPT);
    item = chunks_of(SIZE, UINT32_MAX, 1);
    ck_assert_int_eq(chunks_decode(&item), ERR_CORRUPT);
    item = chunks_of(SIZE, 0, 0);
    ck_assert_int_eq(chunks_decode(&item), ERR_CORRUPT);
    item = chunks_of(RESULT_SIZE_MAX + 1, 0, 1);
    ck_assert_int_eq(chunks_decode(&item), ERR_CORRUPT);
    item = chunks_of(SIZE, 0, 1);
    item.chunks.chunk_size = CHUNK_SIZE_MIN - 1;
    ck_assert_int_eq(chunks_decode(&item), ERR_CORRUPT);
    /* As many as an item has, and no more. */
    item = chunks_of((uint64_t)CHUNK_SIZE_MIN * 2000, 0, DERIVE_CHUNKS_MAX);
    ck_assert_int_eq(chunks_decode(&item), OK);
    item.chunks.n++;
    ck_assert_int_ne(chunks_decode(&item), OK);
    /* The only one is all of it. */
    item = chunks_of(0, 0, 1);
    ck_assert_int_eq(chunks_decode(&item), ERR_CORRUPT);
    item.chunks.output = hashes[0];
    ck_assert_int_eq(chunks_decode(&item), OK);
    ck_assert_uint_eq(derive_chunks_count(0, 10), 1);
    ck_assert_uint_eq(derive_chunks_count(10, 10), 1);
    ck_assert_uint_eq(derive_chunks_count(11, 10), 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {golden_bytes, items_are_named, what_is_wrong_is_refused,
                                  golden_chunks, chunks_agree_with_sizes};
    int failed = suite_run("derive_object", tests, ARRAY_LEN(tests));
    buf_release(&recipe_bytes);
    return failed;
}
