#include "pipeline/repo/object_ahead.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/store/mem.h"
#include "pipeline/store/trace.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"

#define PART 5000u

static struct store *mem;
static struct store *trace;
static struct object_ahead ahead;
static struct hash tree = {{0xab}};
static uint8_t *object;
static size_t size;

/* An object of `n` parts. */
static void setup(size_t n)
{
    struct chance chance = {.state = 9};
    mem = mem_store_open();
    trace = trace_store_open(mem);
    size = n * PART;
    object = calloc(1, size + 8);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = chance_u64(&chance);
        memcpy(object + i, &word, 8);
    }
    ck_assert_int_eq(store_put(mem, "object", bytes_of(object, size), PUT_ANY, NULL), OK);
    ahead = (struct object_ahead){0};
}

static void teardown(void)
{
    object_ahead_release(&ahead);
    store_close(trace);
    store_close(mem);
    free(object);
}

static void part_get(uint64_t offset, uint32_t len)
{
    struct location where = {.tree = tree, .offset = (uint32_t)offset, .len = len};
    struct bytes part;
    ck_assert_int_eq(object_ahead_get(&ahead, trace, "object", &where, &part), OK);
    ck_assert(bytes_equal(part, bytes_of(object + offset, len)));
    size_t held = 0;
    for (unsigned i = 0; i < OBJECT_AHEAD_WAYS; i++)
        held += ahead.ways[i].bytes.cap;
    ck_assert_uint_le(held, 12 * MIB);
}

static struct trace_counts counts(void)
{
    return trace_store_counts(trace, true);
}

static uint64_t gets(const struct trace_counts *counts)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < TRACE_KINDS; i++)
        n += counts->gets[i];
    return n;
}

/* Every part once: forwards, backwards. */
START_TEST(one_way)
{
    setup(2000);
    for (unsigned i = 0; i < 2000; i++)
        part_get(i * PART, PART);
    struct trace_counts found = counts();
    ck_assert_uint_le(gets(&found), 10);
    ck_assert_uint_eq(found.bytes_out, size);
    for (unsigned i = 2000; i-- > 0;)
        part_get(i * PART, PART);
    found = counts();
    ck_assert_uint_le(gets(&found), 10);
    ck_assert_uint_le(found.bytes_out, size);
    teardown();
}
END_TEST

/* Two up and one down, by turns. */
START_TEST(several_ways_by_turns)
{
    setup(3000);
    for (unsigned i = 0; i < 1000; i++) {
        part_get(i * PART, PART);
        part_get((1000 + i) * PART, PART);
        part_get((2999 - i) * PART, PART);
    }
    struct trace_counts found = counts();
    ck_assert_uint_le(gets(&found), 40);
    ck_assert_uint_le(found.bytes_out, 2 * size);
    teardown();
}
END_TEST

/* Parts that lie together, in any order: fewer reads, and not many times the bytes. */
START_TEST(a_small_piece_in_any_order)
{
    enum { N = 300 };
    static unsigned order[N];
    struct chance chance = {.state = 11};
    setup(N);
    for (unsigned i = 0; i < N; i++) {
        unsigned k = (unsigned)chance_below(&chance, i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    for (unsigned i = 0; i < N; i++)
        part_get(order[i] * PART, PART);
    struct trace_counts found = counts();
    ck_assert_uint_lt(gets(&found), N);
    ck_assert_uint_le(found.bytes_out, 6 * size);
    teardown();
}
END_TEST

/* Where few parts lie beside what was read, little is read that nobody asks for. */
START_TEST(a_large_piece_in_any_order)
{
    enum { N = 12000 };
    struct chance chance = {.state = 12};
    setup(N);
    for (unsigned i = 0; i < N; i++)
        part_get(chance_below(&chance, N) * PART, PART);
    ck_assert_uint_le(counts().bytes_out, 4 * size);
    teardown();
}
END_TEST

/* Parts of any length anywhere, also across what is there; each is what it should be. */
START_TEST(any_parts)
{
    struct chance chance;
    chance_init(&chance, "any_parts");
    setup(3000);
    uint64_t at = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t len =
            1 + chance_below(&chance, chance_below(&chance, 500) == 0 ? 4 * MIB : 9000);
        if (chance_below(&chance, 20) == 0)
            at = chance_below(&chance, size);
        else if (chance_below(&chance, 2) == 0)
            at = at > 12000 ? at - chance_below(&chance, 12000) : 0;
        else
            at += chance_below(&chance, 12000);
        at = at < size - 1 ? at : size - 1;
        part_get(at, (uint32_t)(len < size - at ? len : size - at));
    }
    teardown();
}
END_TEST

START_TEST(what_is_not_there)
{
    struct bytes part;
    setup(100);
    const struct location cases[] = {
        {.tree = tree, .offset = (uint32_t)size - 10, .len = 11},
        {.tree = tree, .offset = (uint32_t)size, .len = 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(object_ahead_get(&ahead, trace, "object", &cases[i], &part),
                         ERR_CORRUPT);
        part_get(size - 20, 20);
        ck_assert_int_eq(object_ahead_get(&ahead, trace, "object", &cases[i], &part),
                         ERR_CORRUPT);
        part_get(5, 20);
    }
    struct location where = cases[0];
    where.tree.b[0]++;
    ck_assert_int_eq(object_ahead_get(&ahead, trace, "other", &where, &part), ERR_NOT_FOUND);
    part_get(5, 20);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        one_way,
        several_ways_by_turns,
        a_small_piece_in_any_order,
        a_large_piece_in_any_order,
        any_parts,
        what_is_not_there,
    };
    return suite_run("object_ahead", tests, ARRAY_LEN(tests));
}
