#include "pipeline/derive/run/fact_table.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "tests/support/suite.h"

#define MANY 20000u

static const struct id16 one = {.b = {1}};
static const struct id16 two = {.b = {2}};

static struct hash key_of(uint64_t n)
{
    return sha256(bytes_of(&n, sizeof(n)));
}

static void put(struct fact_table *table, const struct id16 *project, uint64_t n)
{
    struct hash key = key_of(n);
    const struct fact fact = {.result = {.hash = key, .size = n}, .cost_us = n + 1};
    fact_table_put(table, project, &key, &fact);
}

static bool is_there(struct fact_table *table, const struct id16 *project, uint64_t n)
{
    struct hash key = key_of(n);
    struct fact fact;
    if (!fact_table_find(table, project, &key, &fact))
        return false;
    ck_assert_uint_eq(fact.result.size, n);
    ck_assert_uint_eq(fact.cost_us, n + 1);
    ck_assert(hash_equal(&fact.result.hash, &key));
    return true;
}

static uint64_t count(struct fact_table *table, const struct id16 *project, uint64_t from,
                      uint64_t end)
{
    uint64_t n = 0;
    for (uint64_t i = from; i < end; i++)
        n += is_there(table, project, i);
    return n;
}

/* It grows: hardly anything goes while there is room for far more. */
START_TEST(what_was_put_is_found)
{
    struct fact_table *table = fact_table_open(64u * MIB);
    for (uint64_t n = 0; n < MANY; n++) {
        put(table, &one, n);
        ck_assert(is_there(table, &one, n));
    }
    ck_assert_uint_gt(count(table, &one, 0, MANY), MANY / 100 * 98);
    ck_assert_uint_eq(count(table, &one, MANY, 2 * MANY), 0);
    ck_assert_uint_eq(count(table, &two, 0, MANY), 0);
    put(table, &one, 7);
    ck_assert(is_there(table, &one, 7));
    fact_table_close(table);
}
END_TEST

/* What is put in a full one takes the place of something older. */
START_TEST(it_is_bounded)
{
    struct fact_table *table = fact_table_open(MIB);
    for (uint64_t n = 0; n < MANY; n++) {
        put(table, &one, n);
        ck_assert(is_there(table, &one, n));
    }
    uint64_t last = count(table, &one, MANY - 1000, MANY);
    uint64_t all = count(table, &one, 0, MANY);
    ck_assert_uint_gt(last, 900);
    ck_assert_uint_gt(all, 4000);
    ck_assert_uint_lt(all, 8000);
    fact_table_close(table);
}
END_TEST

START_TEST(what_is_forgotten_is_gone)
{
    struct fact_table *table = fact_table_open(16u * MIB);
    struct hash key = key_of(5);
    for (uint64_t n = 0; n < 1000; n++) {
        put(table, &one, n);
        put(table, &two, n);
    }
    fact_table_forget(table, &one, &key);
    ck_assert(!is_there(table, &one, 5));
    ck_assert(is_there(table, &two, 5));
    uint64_t before = count(table, &two, 0, 1000);
    fact_table_forget(table, &one, NULL);
    ck_assert_uint_eq(count(table, &one, 0, 1000), 0);
    ck_assert_uint_eq(count(table, &two, 0, 1000), before);
    for (uint64_t n = 0; n < 1000; n++)
        put(table, &one, n);
    ck_assert_uint_gt(count(table, &one, 0, 1000), 980);
    fact_table_close(table);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_put_is_found,
        it_is_bounded,
        what_is_forgotten_is_gone,
    };
    return suite_run("fact_table", tests, ARRAY_LEN(tests));
}
