#include "formats/page.h"

#include "formats/base/hash.h"
#include "formats/base/wire.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static const struct hash self = {{0x55, [31] = 0x55}};
static const struct hash none;

#define NAME(s)                             \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }

/* One of each kind and place; trees: 0x11 twice, 0x22, and this object itself. */
static struct entry *sample_entries(void)
{
    static struct entry entries[] = {
        {.name = NAME("a-blob"),
         .kind = KIND_FILE,
         .mode = MODE_PLAIN,
         .size = 1 << 20,
         .hash = {{1}},
         .stamp = 7,
         .where = {.place = PLACE_BLOB}},
        {.name = NAME("b-dir"),
         .kind = KIND_DIR,
         .size = 12345,
         .files = 3,
         .hash = {{2}},
         .stamp = 9,
         .where = {.place = PLACE_PAGE,
                   .tree = {{0x11}},
                   .offset = 8,
                   .len = 200,
                   .check = {{0x66}}}},
        {.name = NAME("c-empty"),
         .kind = KIND_FILE,
         .mode = MODE_PLAIN,
         .hash = {{3}},
         .stamp = 1},
        {.name = NAME("d-link"),
         .kind = KIND_LINK,
         .size = 4,
         .hash = {{4}},
         .stamp = 2,
         .where = {.place = PLACE_RAW, .offset = 99, .len = 4}},
        {.name = NAME("e-manifest"),
         .kind = KIND_FILE,
         .mode = MODE_PLAIN,
         .size = 1ull << 33,
         .hash = {{5}},
         .stamp = 3,
         .where = {.place = PLACE_MANIFEST, .check = {{0x77}}}},
        {.name = NAME("f-zstd"),
         .kind = KIND_FILE,
         .mode = MODE_EXEC,
         .size = 5000,
         .hash = {{6}},
         .stamp = UINT64_MAX,
         .where = {.place = PLACE_ZSTD, .tree = {{0x22}}, .offset = 1 << 20, .len = 600}},
        {.name = NAME("g-zstd"),
         .kind = KIND_FILE,
         .mode = MODE_PLAIN,
         .size = 5001,
         .hash = {{7}},
         .stamp = 4,
         .where = {.place = PLACE_ZSTD, .tree = {{0x11}}, .offset = 77, .len = 601}},
    };
    return entries;
}

#define SAMPLE_N 7u

static struct page sample(void)
{
    return (struct page){.level = 0, .n = SAMPLE_N, .entries = sample_entries()};
}

static int decode(struct bytes in)
{
    AUTO(arena_release) struct arena arena = {0};
    struct page page;
    return page_decode(in, &self, &arena, &page);
}

START_TEST(golden_bytes)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    struct page page = sample();
    ck_assert_int_eq(page_encode(&page, &out), 0);
    golden_check("page", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("page", &golden);
    struct page read;
    ck_assert_int_eq(page_decode(buf_bytes(&golden), &none, &arena, &read), 0);
    ck_assert_uint_eq(read.n, page.n);
    for (uint32_t i = 0; i < page.n; i++) {
        const struct entry *a = &page.entries[i];
        const struct entry *b = &read.entries[i];
        ck_assert(bytes_equal(a->name, b->name) && a->kind == b->kind && a->mode == b->mode);
        ck_assert(a->size == b->size && a->files == b->files && a->stamp == b->stamp);
        ck_assert(hash_equal(&a->hash, &b->hash) && a->where.place == b->where.place);
        ck_assert(hash_equal(&a->where.tree, &b->where.tree));
        ck_assert(a->where.offset == b->where.offset && a->where.len == b->where.len);
        ck_assert(hash_equal(&a->where.check, &b->where.check));
    }
    buf_clear(&out);
    ck_assert_int_eq(page_encode(&read, &out), 0);
    golden_check("page", buf_bytes(&out));
    struct hash content = page_content_hash(page.level, page.entries, page.n);
    struct hash bytes = page_hash(buf_bytes(&out));
    AUTO_BUF hashes = {0};
    wr_hash(&hashes, &content);
    wr_hash(&hashes, &bytes);
    golden_check("page_hashes", buf_bytes(&hashes));
}
END_TEST

START_TEST(an_inner_page)
{
    struct entry children[] = {
        {.name = NAME("a"),
         .kind = KIND_DIR,
         .files = 10,
         .where = {.place = PLACE_PAGE, .tree = {{1}}}},
        {.name = NAME("m"),
         .kind = KIND_DIR,
         .files = 10,
         .where = {.place = PLACE_PAGE, .tree = {{1}}}},
    };
    struct page page = {.level = 1, .n = 2, .entries = children};
    AUTO_BUF out = {0};
    ck_assert_int_eq(page_encode(&page, &out), 0);
    golden_check("page_inner", buf_bytes(&out));
    object_refuses_damage(buf_bytes(&out), decode);
    /* Files have no place above the lowest level. */
    struct bytes in = buf_bytes(&out);
    const uint8_t zero = 0, eight = 8;
    ck_assert_int_eq(object_decode_with(in, 16, &zero, 1, decode), 0);
    ck_assert_int_eq(object_decode_with(in, 16, &eight, 1, decode), ERR_LIMIT);
    page = sample();
    buf_clear(&out);
    ck_assert_int_eq(page_encode(&page, &out), 0);
    const uint8_t one = 1;
    ck_assert_int_eq(object_decode_with(buf_bytes(&out), 16, &one, 1, decode), ERR_CORRUPT);
}
END_TEST

START_TEST(an_empty_page)
{
    AUTO(arena_release) struct arena arena = {0};
    struct page page = {0};
    AUTO_BUF out = {0};
    ck_assert_int_eq(page_encode(&page, &out), 0);
    struct page read;
    ck_assert_int_eq(page_decode(buf_bytes(&out), &self, &arena, &read), 0);
    ck_assert_uint_eq(read.n, 0);
    ck_assert_ptr_null(page_find(&read, bytes_str("a")));
    ck_assert_ptr_null(page_child(&read, bytes_str("a")));
    const uint8_t one = 1;
    ck_assert_int_eq(object_decode_with(buf_bytes(&out), 16, &one, 1, decode), ERR_CORRUPT);
}
END_TEST

START_TEST(damage_is_refused)
{
    AUTO_BUF out = {0};
    struct page page = sample();
    ck_assert_int_eq(page_encode(&page, &out), 0);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

START_TEST(what_this_object_holds_says_so)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF out = {0};
    struct page page = sample();
    ck_assert_int_eq(page_encode(&page, &out), 0);
    struct page read;
    ck_assert_int_eq(page_decode(buf_bytes(&out), &self, &arena, &read), 0);
    ck_assert(hash_equal(&read.entries[3].where.tree, &self));
    ck_assert(hash_equal(&read.entries[1].where.tree, &page.entries[1].where.tree));
    /* A place without a tree gets none. */
    ck_assert(hash_is_zero(&read.entries[0].where.tree));
}
END_TEST

/* The sample with one entry changed, encoded by hand: the encoder does not take it. */
static int decode_entry(size_t at_in_entry, const void *data, size_t len)
{
    AUTO_BUF out = {0};
    struct page page = sample();
    ck_assert_int_eq(page_encode(&page, &out), 0);
    /* The table has two trees; then comes the count, then the first entry. */
    size_t first = 19 + 2 * 32 + 4;
    return object_decode_with(buf_bytes(&out), first + at_in_entry, data, len, decode);
}

START_TEST(bad_entries_are_refused)
{
    static const uint8_t kinds[] = {0, 2, 3, 4, 255};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        ck_assert_int_eq(decode_entry(0, &kinds[i], 1), ERR_CORRUPT);
    }
    ck_assert_int_eq(decode_entry(1, "\x06", 1), ERR_CORRUPT);
    ck_assert_int_eq(decode_entry(1, "\xff", 1), ERR_CORRUPT);
    ck_assert_int_eq(decode_entry(1, "\x00", 1), ERR_CORRUPT); /* no place, but a size */
    ck_assert_int_eq(decode_entry(2, "\x01\xff", 2), ERR_CORRUPT);
    ck_assert_int_eq(decode_entry(4, "\xff\xff", 2), ERR_CORRUPT); /* a size over all limits */
    ck_assert_int_eq(decode_entry(52, "\x00", 1), ERR_CORRUPT);
    ck_assert_int_eq(decode_entry(53, "b-e", 3), ERR_CORRUPT); /* behind "b-dir" */
    ck_assert_int_eq(decode_entry(53, "a/blob", 6), ERR_CORRUPT);
    ck_assert_int_eq(decode_entry(53, "a\0blob", 6), ERR_CORRUPT);
    ck_assert_int_eq(decode_entry(53, "A", 1), 0);
}
END_TEST

START_TEST(dots_are_refused)
{
    struct entry e = {.name = NAME("xx"), .kind = KIND_FILE, .mode = MODE_PLAIN};
    struct page page = {.n = 1, .entries = &e};
    AUTO_BUF out = {0};
    ck_assert_int_eq(page_encode(&page, &out), 0);
    ck_assert_int_eq(object_decode_with(buf_bytes(&out), out.len - 2, ".x", 2, decode), 0);
    ck_assert_int_eq(object_decode_with(buf_bytes(&out), out.len - 2, "..", 2, decode),
                     ERR_CORRUPT);
}
END_TEST

START_TEST(raw_bytes_are_as_long_as_they_say)
{
    struct entry e = {.name = NAME("x"),
                      .kind = KIND_FILE,
                      .mode = MODE_PLAIN,
                      .size = 9,
                      .where = {.place = PLACE_RAW, .len = 9}};
    struct page page = {.n = 1, .entries = &e};
    AUTO_BUF out = {0};
    ck_assert_int_eq(page_encode(&page, &out), 0);
    ck_assert_int_eq(object_decode_with(buf_bytes(&out), out.len - 1, "\x09", 1, decode), 0);
    ck_assert_int_eq(object_decode_with(buf_bytes(&out), out.len - 1, "\x08", 1, decode),
                     ERR_CORRUPT);
}
END_TEST

START_TEST(the_table_has_one_form)
{
    AUTO_BUF out = {0};
    struct page page = sample();
    ck_assert_int_eq(page_encode(&page, &out), 0);
    struct bytes in = buf_bytes(&out);
    const uint8_t *table = out.data + 19;
    uint8_t swapped[64];
    memcpy(swapped, table + 32, 32);
    memcpy(swapped + 32, table, 32);
    /* Other trees in the same order are another page, and a good one. */
    ck_assert_int_eq(object_decode_with(in, 19, swapped, 64, decode), 0);
    memcpy(swapped, table, 32);
    ck_assert_int_eq(object_decode_with(in, 19, swapped, 64, decode), ERR_CORRUPT);
    memset(swapped, 0, 32);
    ck_assert_int_eq(object_decode_with(in, 19, swapped, 64, decode), ERR_CORRUPT);
    /* "b-dir" is the first that uses the table: its index lies behind its name. */
    size_t index = 19 + 64 + 4 + (53 + 6) + (53 + 5);
    ck_assert_uint_eq(out.data[index + 1], 1);
    ck_assert_int_eq(object_decode_with(in, index, "\0\2", 2, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(in, index, "\0\3", 2, decode), ERR_CORRUPT);
    /* Nobody uses the second tree any more when "f-zstd" names the first. */
    size_t last = out.len - (53 + 6 + 10) - 10;
    ck_assert_uint_eq(out.data[last + 1], 2);
    ck_assert_int_eq(object_decode_with(in, last, "\0\1", 2, decode), ERR_CORRUPT);
}
END_TEST

START_TEST(false_counts_are_refused)
{
    AUTO_BUF out = {0};
    struct page page = sample();
    ck_assert_int_eq(page_encode(&page, &out), 0);
    struct bytes in = buf_bytes(&out);
    ck_assert_int_eq(object_decode_with(in, 17, "\xff\xff", 2, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(in, 19 + 64, "\xff\xff\xff\xff", 4, decode), ERR_LIMIT);
    ck_assert_int_eq(object_decode_with(in, 19 + 64, "\0\0\0\x08", 4, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(in, 19 + 64, "\0\0\0\x06", 4, decode), ERR_CORRUPT);
}
END_TEST

START_TEST(limits)
{
    uint32_t n = PAGE_BYTES_MAX / 54 + 1;
    AUTO(arena_release) struct arena arena = {0};
    struct page page = {.n = n, .entries = arena_array(&arena, n, struct entry)};
    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = &page.entries[i];
        e->name = bytes_str(arena_printf(&arena, "%06u", i));
        e->kind = KIND_FILE;
        e->mode = MODE_PLAIN;
        /* The same tree every other time: many in the table, many found there again. */
        e->where = (struct location){
            .place = PLACE_RAW,
            .tree = {{1, (uint8_t)(i >> 1), (uint8_t)(i >> 9), (uint8_t)(i >> 17)}}};
    }
    AUTO_BUF out = {0};
    buf_append(&out, "kept", 4);
    ck_assert_int_eq(page_encode(&page, &out), ERR_LIMIT);
    ck_assert_uint_eq(out.len, 4);
    page.n = 50000;
    ck_assert_int_eq(page_encode(&page, &out), ERR_LIMIT);
    ck_assert_uint_eq(out.len, 4);
    page.n = 45000;
    ck_assert_int_eq(page_encode(&page, &out), 0);
    ck_assert_uint_le(out.len, PAGE_BYTES_MAX + 4);
    struct page read;
    ck_assert_int_eq(page_decode(bytes_of(out.data + 4, out.len - 4), &self, &arena, &read), 0);
    ck_assert(hash_equal(&read.entries[44999].where.tree, &page.entries[44999].where.tree));
    AUTO_BUF large = {0};
    memset(buf_reserve(&large, PAGE_BYTES_MAX + 1), 0, PAGE_BYTES_MAX + 1);
    ck_assert_int_eq(
        page_decode(bytes_of(large.data, PAGE_BYTES_MAX + 1), &self, &arena, &read), ERR_LIMIT);
    page = (struct page){.level = PAGE_LEVELS_MAX, .n = 1, .entries = page.entries};
    ck_assert_int_eq(page_encode(&page, &out), ERR_LIMIT);
}
END_TEST

/* Schedules 24 and 39: neither stamps and places nor the hash of a manifest, which follows the
 * chunk size, is content. */
START_TEST(content_hash_covers_the_canonical_fields)
{
    struct entry e[2] = {
        {.name = NAME("a"), .kind = KIND_FILE, .mode = MODE_PLAIN, .size = 5, .hash = {{1}}},
        {.name = NAME("b"), .kind = KIND_DIR, .size = 6, .hash = {{2}}},
    };
    struct hash before = page_content_hash(0, e, 2);
    struct hash h;
#define SAME_WHEN(change, same)                       \
    do {                                              \
        struct entry kept = e[0];                     \
        change;                                       \
        h = page_content_hash(0, e, 2);               \
        ck_assert(hash_equal(&h, &before) == (same)); \
        e[0] = kept;                                  \
    } while (0)
    SAME_WHEN(e[0].stamp = 99, true);
    SAME_WHEN(e[0].files = 99, true);
    SAME_WHEN(e[0].where.place = PLACE_BLOB, true);
    SAME_WHEN(e[0].where.check.b[0] = 1, true);
    SAME_WHEN(e[0].where.tree.b[0] = 1, true);
    SAME_WHEN(e[0].kind = KIND_LINK, false);
    SAME_WHEN(e[0].mode = MODE_EXEC, false);
    SAME_WHEN(e[0].size = 6, false);
    SAME_WHEN(e[0].hash.b[31] = 1, false);
    SAME_WHEN(e[0].name = bytes_str("A"), false);
#undef SAME_WHEN
    h = page_content_hash(1, e, 2);
    ck_assert(!hash_equal(&h, &before));
    h = page_content_hash(0, e, 1);
    ck_assert(!hash_equal(&h, &before));
    /* By hand, as the header says it. */
    AUTO_BUF canonical = {0};
    wr_u8(&canonical, 0);
    for (size_t i = 0; i < 2; i++) {
        wr_u8(&canonical, (uint8_t)e[i].kind);
        wr_u16(&canonical, e[i].mode);
        wr_u64(&canonical, e[i].size);
        wr_hash(&canonical, &e[i].hash);
        wr_run8(&canonical, e[i].name);
    }
    h = sha512_256("micelio page", buf_bytes(&canonical));
    ck_assert(hash_equal(&h, &before));
}
END_TEST

START_TEST(find_and_child)
{
    struct page page = sample();
    for (uint32_t i = 0; i < page.n; i++) {
        ck_assert_ptr_eq(page_find(&page, page.entries[i].name), &page.entries[i]);
        ck_assert_ptr_eq(page_child(&page, page.entries[i].name), &page.entries[i]);
    }
    ck_assert_ptr_null(page_find(&page, bytes_str("")));
    ck_assert_ptr_null(page_find(&page, bytes_str("a")));
    ck_assert_ptr_null(page_find(&page, bytes_str("b-dirr")));
    ck_assert_ptr_null(page_find(&page, bytes_str("z")));
    ck_assert_ptr_eq(page_child(&page, bytes_str("")), &page.entries[0]);
    ck_assert_ptr_eq(page_child(&page, bytes_str("a")), &page.entries[0]);
    ck_assert_ptr_eq(page_child(&page, bytes_str("b-dirr")), &page.entries[1]);
    ck_assert_ptr_eq(page_child(&page, bytes_str("z")), &page.entries[SAMPLE_N - 1]);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        an_inner_page,
        an_empty_page,
        damage_is_refused,
        what_this_object_holds_says_so,
        bad_entries_are_refused,
        dots_are_refused,
        raw_bytes_are_as_long_as_they_say,
        the_table_has_one_form,
        false_counts_are_refused,
        limits,
        content_hash_covers_the_canonical_fields,
        find_and_child,
    };
    return suite_run("page", tests, ARRAY_LEN(tests));
}
