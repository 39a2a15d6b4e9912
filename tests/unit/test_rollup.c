#include "formats/rollup.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "tests/support/chance.h"
#include "tests/support/fuzz.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/suite.h"

static const struct id16 project = {{1, 2, 3}};

struct filter {
    struct rollup rollup;
    uint8_t *object;
};

static void filter_open(struct filter *f, unsigned level, unsigned columns, uint64_t keys)
{
    f->rollup = (struct rollup){.shape = {.project = project,
                                          .level = level,
                                          .columns = columns,
                                          .first = 1,
                                          .sectors = rollup_sectors(keys, columns)}};
    ck_assert_uint_gt(f->rollup.shape.sectors, 0);
    f->object = calloc(1, rollup_len(&f->rollup.shape));
    ck_assert_ptr_nonnull(f->object);
}

static void filter_add(struct filter *f, unsigned column, uint64_t key)
{
    rollup_add(&f->rollup.shape, column, &key, 1, f->object);
    f->rollup.keys[column]++;
}

static struct bytes filter_bytes(const struct filter *f)
{
    return bytes_of(f->object, rollup_len(&f->rollup.shape));
}

static int filter_ask(const struct filter *f, uint64_t key, struct rollup_hits *hits)
{
    const struct rollup_shape *shape = &f->rollup.shape;
    uint64_t at = rollup_sector_at(shape, key);
    ck_assert_uint_le(at + ROLLUP_SECTOR, rollup_len(shape));
    AUTO_FUZZ_OBJECT sector = fuzz_copy(bytes_of(f->object + at, ROLLUP_SECTOR));
    return rollup_ask(shape, fuzz_bytes(&sector), key, hits);
}

/* Three columns of a hundred positions each, the last without a key. */
static void sample_open(struct filter *f)
{
    struct hash content = sha256(bytes_str("content"));
    struct id16 session = {{9, 8, 7}};
    filter_open(f, 1, 3, 3);
    f->rollup.source = 0x0123456789abcdef;
    filter_add(f, 0, rollup_key_path(bytes_str("")));
    filter_add(f, 0, rollup_key_path(bytes_str("src")));
    filter_add(f, 0, rollup_key_path(bytes_str("src/main.c")));
    filter_add(f, 1, rollup_key_content(&content));
    filter_add(f, 1, rollup_key_session(&session));
    rollup_seal(&f->rollup, f->object);
}

static int decode(struct bytes in)
{
    struct rollup rollup;
    return rollup_check(in, &rollup);
}

static int decode_header(struct bytes in)
{
    struct rollup rollup;
    return rollup_decode(in, &rollup);
}

START_TEST(golden_bytes)
{
    struct filter f;
    sample_open(&f);
    golden_check("rollup", filter_bytes(&f));
    AUTO_BUF golden = {0};
    golden_read("rollup", &golden);
    struct rollup rollup;
    ck_assert_int_eq(rollup_check(buf_bytes(&golden), &rollup), OK);
    ck_assert_uint_eq(rollup.shape.level, 1);
    ck_assert_uint_eq(rollup.shape.columns, 3);
    ck_assert_uint_eq(rollup.shape.first, 1);
    ck_assert_uint_eq(rollup_end(&rollup.shape), 301);
    ck_assert_uint_eq(rollup.shape.sectors, 1);
    ck_assert(id16_equal(&rollup.shape.project, &project));
    ck_assert_uint_eq(rollup.source, 0x0123456789abcdef);
    ck_assert_uint_eq(rollup.keys[0], 3);
    ck_assert_uint_eq(rollup.keys[1], 2);
    ck_assert_uint_eq(rollup.keys[2], 0);
    rollup_seal(&rollup, golden.data);
    golden_check("rollup", buf_bytes(&golden));
    free(f.object);
}
END_TEST

START_TEST(damage_is_refused)
{
    struct filter f;
    sample_open(&f);
    object_refuses_damage(filter_bytes(&f), decode);
    struct bytes header = bytes_of(f.object, ROLLUP_SECTOR);
    object_refuses_damage(header, decode_header);
    free(f.object);
}
END_TEST

/* Each sector is one that may lie there. */
START_TEST(sectors_of_two_objects_are_no_object)
{
    struct filter f;
    struct filter g;
    filter_open(&f, 1, 4, 10000);
    filter_open(&g, 1, 4, 10000);
    filter_add(&g, 0, 1);
    rollup_seal(&f.rollup, f.object);
    rollup_seal(&g.rollup, g.object);
    ck_assert_int_eq(decode(filter_bytes(&f)), OK);
    memcpy(f.object + ROLLUP_SECTOR, g.object + ROLLUP_SECTOR, ROLLUP_SECTOR);
    ck_assert_int_eq(decode(filter_bytes(&f)), ERR_CORRUPT);
    free(f.object);
    free(g.object);
}
END_TEST

START_TEST(header_says_what_it_must)
{
    struct filter f;
    sample_open(&f);
    struct bytes header = bytes_of(f.object, ROLLUP_SECTOR);
    const struct {
        size_t at;
        size_t len;
        uint8_t bytes[8];
    } bad[] = {
        {16, 1, {0}},      {16, 1, {2}},
        {16, 1, {4}},      {17, 1, {0}},
        {17, 1, {4}},      {17, 1, {101}},
        {18, 1, {1}},      {20, 4, {0xff, 0xff, 0xff, 0xff}},
        {40, 8, {0}},      {47, 1, {2}},
        {47, 1, {101}},    {40, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
        {48, 8, {0}},      {55, 1, {0x2e}},
        {63, 1, {101}},    {71, 1, {1}},
        {88 + 12, 1, {1}}, {4095, 1, {1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(object_decode_with(header, bad[i].at, bad[i].bytes, bad[i].len,
                                         decode_header) == ERR_CORRUPT,
                      "case %zu", i);
    free(f.object);
}
END_TEST

START_TEST(names)
{
    static const struct {
        unsigned level;
        uint64_t first, end;
        bool ok;
    } cases[] = {
        {1, 1, 101, true},        {1, 101, 201, true},     {1, 1, 10001, true},
        {1, 301, 10001, true},    {2, 1, 10001, true},     {2, 10001, 30001, true},
        {3, 1, 1000001, true},    {3, 1, 100000001, true}, {1, 9901, 10001, true},
        {1, 0, 100, false},       {1, 1, 1, false},        {1, 101, 1, false},
        {1, 2, 102, false},       {1, 1, 151, false},      {1, 9901, 10101, false},
        {1, 1, 10101, false},     {2, 101, 10101, false},  {0, 1, 101, false},
        {4, 1, 100000001, false}, {2, 1, 1000001, true},   {2, 990001, 1010001, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(rollup_name_ok(cases[i].level, cases[i].first, cases[i].end) ==
                          cases[i].ok,
                      "case %zu", i);
}
END_TEST

START_TEST(name_and_size_give_the_shape)
{
    struct rollup_shape shape;
    ck_assert_int_eq(rollup_shape_of(&project, 1, 101, 301, 3 * ROLLUP_SECTOR, &shape), OK);
    ck_assert_uint_eq(shape.columns, 2);
    ck_assert_uint_eq(shape.sectors, 2);
    ck_assert_uint_eq(rollup_end(&shape), 301);
    ck_assert_uint_eq(rollup_len(&shape), 3 * ROLLUP_SECTOR);
    ck_assert_int_eq(rollup_shape_of(&project, 1, 101, 301, ROLLUP_SECTOR, &shape), OK);
    ck_assert_uint_eq(shape.sectors, 0);
    ck_assert_int_eq(rollup_shape_of(&project, 1, 102, 302, ROLLUP_SECTOR, &shape),
                     ERR_INVALID);
    static const uint64_t sizes[] = {0, 1, ROLLUP_SECTOR - 1, ROLLUP_SECTOR + 1,
                                     ROLLUP_MAX + (uint64_t)ROLLUP_SECTOR};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        ck_assert_int_eq(rollup_shape_of(&project, 1, 101, 301, sizes[i], &shape), ERR_CORRUPT);
}
END_TEST

START_TEST(kinds_of_keys_have_names_of_their_own)
{
    struct hash hash = {{'a'}};
    struct id16 id = {{'a'}};
    struct bytes hash_path = bytes_of(hash.b, sizeof(hash.b));
    struct bytes id_path = bytes_of(id.b, sizeof(id.b));
    ck_assert_uint_ne(rollup_key_path(hash_path), rollup_key_content(&hash));
    ck_assert_uint_ne(rollup_key_path(id_path), rollup_key_session(&id));
    ck_assert_uint_ne(rollup_key_path(bytes_str("a")), rollup_key_path(bytes_str("b")));
}
END_TEST

/* Number 22 of the schedules: one flipped bit must not be a silent "no". */
START_TEST(schedule_22_a_flipped_bit_is_no_answer)
{
    struct filter f;
    sample_open(&f);
    uint64_t key = rollup_key_path(bytes_str("src"));
    uint64_t at = rollup_sector_at(&f.rollup.shape, key);
    struct rollup_hits hits;
    ck_assert_int_eq(filter_ask(&f, key, &hits), OK);
    ck_assert(rollup_hit(&hits, 0) && !rollup_hit(&hits, 1) && !rollup_hit(&hits, 2));
    for (unsigned bit = 0; bit < 8 * ROLLUP_SECTOR; bit++) {
        f.object[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(filter_ask(&f, key, &hits) == ERR_CORRUPT, "bit %u", bit);
        f.object[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(f.object);
}
END_TEST

/* Number 21: who knows the object as it was asks the wrong place of the one that is there. */
START_TEST(schedule_21_a_sector_of_another_filter_is_no_answer)
{
    struct filter f;
    struct filter g;
    struct rollup_hits hits;
    filter_open(&f, 1, 4, 10000);
    filter_open(&g, 1, 4, 20000);
    rollup_seal(&f.rollup, f.object);
    rollup_seal(&g.rollup, g.object);
    struct rollup_shape shape = f.rollup.shape;
    uint64_t key = rollup_key_path(bytes_str("a"));
    uint64_t at = rollup_sector_at(&shape, key);
    ck_assert_int_eq(rollup_ask(&shape, bytes_of(f.object + at, ROLLUP_SECTOR), key, &hits),
                     OK);
    ck_assert_int_eq(rollup_ask(&shape, bytes_of(g.object + at, ROLLUP_SECTOR), key, &hits),
                     ERR_CORRUPT);
    /* The neighbour, less than a sector, another place, another project. */
    uint64_t other = at == ROLLUP_SECTOR ? 2 * ROLLUP_SECTOR : ROLLUP_SECTOR;
    struct bytes sector = bytes_of(f.object + at, ROLLUP_SECTOR);
    ck_assert_int_eq(rollup_ask(&shape, bytes_of(f.object + other, ROLLUP_SECTOR), key, &hits),
                     ERR_CORRUPT);
    ck_assert_int_eq(rollup_ask(&shape, bytes_of(f.object + at, ROLLUP_SECTOR - 1), key, &hits),
                     ERR_CORRUPT);
    shape.first += 400;
    ck_assert_int_eq(rollup_ask(&shape, sector, key, &hits), ERR_CORRUPT);
    shape = f.rollup.shape;
    shape.level = 2;
    ck_assert_int_eq(rollup_ask(&shape, sector, key, &hits), ERR_CORRUPT);
    shape = f.rollup.shape;
    shape.project.b[3] ^= 1;
    ck_assert_int_eq(rollup_ask(&shape, sector, key, &hits), ERR_CORRUPT);
    shape = f.rollup.shape;
    shape.sectors = 0;
    ck_assert_int_eq(rollup_ask(&shape, sector, key, &hits), ERR_CORRUPT);
    free(f.object);
    free(g.object);
}
END_TEST

/* ---- rates ---- */

/* Of a thousand questions, by the exact formula, where a block has `keys` in the mean. */
static double false_positives(double keys)
{
    double e = 1;
    double term = 1;
    for (unsigned i = 1; i < 20; i++)
        e += term *= -keys / 64 / i;
    double share = 1; /* of blocks without a key */
    for (unsigned i = 0; i < 64; i++)
        share *= e;
    double sum = 0;
    double clear = 1; /* a row of a block of i keys is not set */
    for (unsigned i = 0; i < 300; i++) {
        double set = 1 - clear;
        sum += share * set * set * set * set * set * set * set * set;
        share *= keys / (i + 1);
        clear *= 31.0 / 32;
    }
    return sum * 1000;
}

START_TEST(filters_are_sized_by_the_exact_formula)
{
    uint64_t keys = 10000000;
    double blocks = rollup_sectors(keys, 1) * 127.0;
    double rate = false_positives((double)keys / blocks);
    ck_assert_msg(rate > 0.99 && rate <= 1.0, "%f", rate);
    blocks = rollup_sectors(keys / 100, 100);
    rate = false_positives((double)keys / 100 / blocks);
    ck_assert_msg(rate > 0.99 && rate <= 1.0, "%f", rate);
    /* What the textbook takes would give twice as many. */
    ck_assert(false_positives(256 / 14.6) > 1.8);
    for (unsigned columns = 1; columns <= ROLLUP_COLUMNS_MAX; columns++) {
        ck_assert_uint_eq(rollup_sectors(0, columns), 1);
        ck_assert_uint_eq(rollup_sectors(1, columns), 1);
        ck_assert_uint_eq(rollup_sectors(UINT64_MAX, columns), 0);
        ck_assert_uint_eq(rollup_sectors(ROLLUP_MAX, columns), 0);
        ck_assert_uint_eq(rollup_sectors(UINT64_MAX / 1000 + 1, columns), 0);
    }
}
END_TEST

/* Keys that all filters have and that none has, as random numbers in order. */
static uint64_t key_of(uint64_t seed, uint64_t i)
{
    return xxh3_64_seed(bytes_of(&i, sizeof(i)), seed);
}

/* A filter with `keys` in the fullest column, and one less in each that follows, says "may be"
 * to each of them; how often it does to others. The framework's checks are slow, so few are
 * made. */
static uint64_t wrong_of_filter(unsigned level, unsigned columns, uint64_t keys, uint64_t asked,
                                uint64_t seed)
{
    struct filter f;
    struct rollup_hits hits;
    uint64_t missed = 0;
    uint64_t wrong = 0;
    filter_open(&f, level, columns, keys);
    const struct rollup_shape *shape = &f.rollup.shape;
    for (unsigned c = 0; c < columns; c++) {
        for (uint64_t i = 0; i < keys - c; i++) {
            uint64_t key = key_of(seed + c, i);
            rollup_add(shape, c, &key, 1, f.object);
        }
    }
    rollup_seal(&f.rollup, f.object);
    for (uint64_t i = 0; i < keys + asked; i++) {
        unsigned c = i < keys ? (unsigned)(i % columns) : columns;
        uint64_t key = key_of(seed + c, i < keys ? i - c : i);
        if (i < keys && i < c)
            continue;
        struct bytes sector = bytes_of(f.object + rollup_sector_at(shape, key), ROLLUP_SECTOR);
        missed += rollup_ask(shape, sector, key, &hits) != OK;
        missed += i < keys && !rollup_hit(&hits, c);
        if (i >= keys)
            wrong += (uint64_t)__builtin_popcountll(hits.words[0]) +
                     (uint64_t)__builtin_popcountll(hits.words[1]);
    }
    ck_assert_uint_eq(missed, 0);
    free(f.object);
    return wrong;
}

/* Of so many filters together: one alone may have more than its share of full blocks. */
static void rate_check(unsigned level, unsigned columns, uint64_t keys, unsigned filters)
{
    struct chance chance;
    uint64_t asked = 300000 / columns / filters;
    uint64_t wrong = 0;
    chance_init(&chance, "rate");
    for (unsigned i = 0; i < filters; i++)
        wrong += wrong_of_filter(level, columns, keys, asked, chance_u64(&chance));
    double rate = 1000.0 * (double)wrong / (double)(asked * columns * filters);
    printf("level %u, %u columns of %llu keys: %.3f in a thousand\n", level, columns,
           (unsigned long long)keys, rate);
    ck_assert_msg(rate <= 1.3, "%f", rate);
}

/* Counts that fill their sectors, so that nothing is better by rounding. */
START_TEST(rates_of_single_filters)
{
    rate_check(1, 1, 1924, 50);
    rate_check(2, 1, 100090, 1);
    rate_check(3, 1, 1000000, 1);
}
END_TEST

START_TEST(rates_of_sliced_filters)
{
    rate_check(1, 100, 850, 1);
    rate_check(2, 100, 8300, 1);
    rate_check(1, 64, 900, 1);
    rate_check(1, 65, 900, 1);
    rate_check(2, 63, 900, 1);
    rate_check(2, 2, 20000, 3);
    rate_check(2, 16, 5000, 1);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        damage_is_refused,
        sectors_of_two_objects_are_no_object,
        header_says_what_it_must,
        names,
        name_and_size_give_the_shape,
        kinds_of_keys_have_names_of_their_own,
        schedule_22_a_flipped_bit_is_no_answer,
        schedule_21_a_sector_of_another_filter_is_no_answer,
        filters_are_sized_by_the_exact_formula,
        rates_of_single_filters,
        rates_of_sliced_filters,
    };
    return suite_run("rollup", tests, ARRAY_LEN(tests));
}
