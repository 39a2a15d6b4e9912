#include "pipeline/repo/history/rollup_build.h"

#include <fcntl.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/history/rollup_source.h"
#include "pipeline/sys/log.h"
#include "tests/support/chance.h"
#include "tests/support/faulty.h"
#include "tests/support/log_maker.h"
#include "tests/support/suite.h"

/* What one build gave: the object, and the one above if there was one. */
struct made {
    struct buf objects[2];
    struct rollup rollups[2];
    unsigned n;
    int err; /* what the sink answers */
};

static int keep(void *arg, const struct rollup *rollup, struct bytes object)
{
    struct made *made = arg;
    struct rollup checked;
    ck_assert_uint_lt(made->n, 2);
    ck_assert_int_eq(rollup_check(object, &checked), OK);
    ck_assert_mem_eq(&checked.shape.project, &rollup->shape.project, 16);
    ck_assert_uint_eq(object.len, rollup_len(&rollup->shape));
    made->rollups[made->n] = checked;
    buf_append_bytes(&made->objects[made->n++], object);
    return made->err;
}

static void made_release(struct made *made)
{
    buf_release(&made->objects[0]);
    buf_release(&made->objects[1]);
}

static int build(struct log_maker *m, struct rollup_plan plan, struct made *made)
{
    *made = (struct made){0};
    plan.project = m->bc.project;
    return rollup_build(&m->bc.repo, &plan, keep, made);
}

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

/* ---- against the exact sets ---- */

struct exact {
    const struct made *made;
    uint64_t missed;
    uint64_t *keys;
    size_t n;
    size_t cap;
};

/* Each object says "may be" to each key, in the column of its position. */
static void exact_note(void *arg, uint64_t position, uint64_t key)
{
    struct exact *exact = arg;
    uint64_t filed = position > 0 ? position : 1;
    for (unsigned i = 0; i < exact->made->n; i++) {
        const struct rollup_shape *shape = &exact->made->rollups[i].shape;
        struct rollup_hits hits = {{0}};
        uint64_t at = rollup_sector_at(shape, key);
        unsigned column = (unsigned)((filed - shape->first) / rollup_span(shape->level));
        struct bytes sector = bytes_of(exact->made->objects[i].data + at, ROLLUP_SECTOR);
        exact->missed += rollup_ask(shape, sector, key, &hits) != OK;
        exact->missed += !rollup_hit(&hits, column);
    }
    if (exact->n == exact->cap) {
        exact->cap = exact->cap > 0 ? 2 * exact->cap : 1024;
        exact->keys = realloc(exact->keys, exact->cap * sizeof(*exact->keys));
        ck_assert_ptr_nonnull(exact->keys);
    }
    exact->keys[exact->n++] = key;
}

static int number_order(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static uint64_t distinct(struct exact *exact)
{
    uint64_t n = 1;
    if (exact->n == 0)
        return 0;
    qsort(exact->keys, exact->n, sizeof(*exact->keys), number_order);
    for (size_t i = 1; i < exact->n; i++)
        n += exact->keys[i] != exact->keys[i - 1];
    return n;
}

/* No key is missed, and each column's count is that of its set. */
static void made_check(struct log_maker *m, const struct made *made)
{
    const struct rollup *rollup = &made->rollups[0];
    uint64_t span = rollup_span(rollup->shape.level);
    struct exact all = {.made = made};
    for (unsigned c = 0; c < rollup->shape.columns; c++) {
        struct exact column = {.made = made};
        uint64_t first = rollup->shape.first + c * span;
        log_maker_keys(m, first == 1 ? 0 : first, first + span, exact_note, &column);
        ck_assert_uint_eq(column.missed, 0);
        ck_assert_uint_eq(rollup->keys[c], distinct(&column));
        for (size_t i = 0; i < column.n && made->n > 1; i++)
            exact_note(&all, first, column.keys[i]);
        free(column.keys);
    }
    if (made->n > 1)
        ck_assert_uint_eq(made->rollups[1].keys[0], distinct(&all));
    free(all.keys);
}

START_TEST(a_hundred_landings)
{
    struct chance chance;
    chance_init(&chance, "a_hundred_landings");
    for (unsigned round = 0; round < 20; round++) {
        struct log_maker m;
        struct made made;
        log_maker_init(&m, chance_u64(&chance), (unsigned)chance_below(&chance, 6),
                       1 + chance_below(&chance, 3000));
        log_maker_grow(&m, 1601);
        for (uint64_t first = 1; first < 1601; first += 300) {
            unsigned columns = first == 301 ? 3 : 1;
            ck_assert_int_eq(
                build(&m, (struct rollup_plan){.level = 1, .first = first, .columns = columns},
                      &made),
                OK);
            ck_assert_uint_eq(made.n, 1);
            ck_assert_uint_eq(made.rollups[0].shape.columns, columns);
            made_check(&m, &made);
            made_release(&made);
        }
        log_maker_release(&m);
    }
}
END_TEST

START_TEST(a_full_group_and_the_one_above)
{
    struct chance chance;
    struct log_maker m;
    struct made made;
    chance_init(&chance, "a_full_group_and_the_one_above");
    log_maker_init(&m, chance_u64(&chance), 4, 20000);
    log_maker_grow(&m, 20001);
    ck_assert_int_eq(
        build(&m,
              (struct rollup_plan){.level = 1, .first = 10001, .columns = 100, .above = true},
              &made),
        OK);
    ck_assert_uint_eq(made.n, 2);
    ck_assert_uint_eq(made.rollups[1].shape.level, 2);
    ck_assert_uint_eq(made.rollups[1].shape.columns, 1);
    ck_assert_uint_eq(made.rollups[1].shape.first, 10001);
    ck_assert_uint_eq(made.rollups[1].source, made.rollups[0].source);
    made_check(&m, &made);
    /* By itself it is the same. */
    struct made above;
    ck_assert_int_eq(
        build(&m, (struct rollup_plan){.level = 2, .first = 10001, .columns = 1}, &above), OK);
    ck_assert(bytes_equal(buf_bytes(&above.objects[0]), buf_bytes(&made.objects[1])));
    made_release(&above);
    ck_assert_int_eq(
        build(&m, (struct rollup_plan){.level = 2, .first = 1, .columns = 2}, &above), OK);
    made_check(&m, &above);
    made_release(&above);
    made_release(&made);
    log_maker_release(&m);
}
END_TEST

/* Whatever may be kept: the same bytes. */
START_TEST(passes_make_the_same)
{
    struct chance chance;
    struct log_maker m;
    struct made whole;
    chance_init(&chance, "passes_make_the_same");
    log_maker_init(&m, chance_u64(&chance), 3, 5000);
    log_maker_grow(&m, 10001);
    struct rollup_plan plan = {.level = 1, .first = 1, .columns = 100, .above = true};
    build_chain_cold(&m.bc);
    ck_assert_int_eq(build(&m, plan, &whole), OK);
    ck_assert_uint_eq(build_chain_counts(&m.bc).gets[TRACE_LOG], 10);
    static const size_t kept[] = {40000, 20000, 3000, 1200};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct made made;
        plan.keys_kept = kept[i];
        ck_assert_int_eq(build(&m, plan, &made), OK);
        ck_assert_uint_eq(made.n, 2);
        ck_assert(bytes_equal(buf_bytes(&made.objects[0]), buf_bytes(&whole.objects[0])));
        ck_assert(bytes_equal(buf_bytes(&made.objects[1]), buf_bytes(&whole.objects[1])));
        made_release(&made);
        ck_assert_uint_ge(build_chain_counts(&m.bc).gets[TRACE_LOG], i == 0 ? 10 : 60);
    }
    made_release(&whole);
    /* In one column alone the keys become too many while they come. */
    plan = (struct rollup_plan){.level = 1, .first = 1, .columns = 1};
    ck_assert_int_eq(build(&m, plan, &whole), OK);
    for (plan.keys_kept = 120; plan.keys_kept < 1200; plan.keys_kept += 24) {
        struct made made;
        ck_assert_int_eq(build(&m, plan, &made), OK);
        ck_assert(bytes_equal(buf_bytes(&made.objects[0]), buf_bytes(&whole.objects[0])));
        made_release(&made);
    }
    made_release(&whole);
    log_maker_release(&m);
}
END_TEST

/* The same entries in ten segments and in one. */
START_TEST(segments_of_both_lengths_make_the_same)
{
    struct log_maker m;
    struct made before;
    struct made after;
    struct rollup_plan plan = {.level = 1, .first = 201, .columns = 4};
    log_maker_init(&m, 5, 3, 500);
    log_maker_grow(&m, 901);
    ck_assert_int_eq(build(&m, plan, &before), OK);
    log_maker_grow(&m, 1001);
    ck_assert_int_eq(build(&m, plan, &after), OK);
    ck_assert(bytes_equal(buf_bytes(&before.objects[0]), buf_bytes(&after.objects[0])));
    made_check(&m, &after);
    /* Another log has another source. */
    ck_assert_uint_ne(after.rollups[0].source, 0);
    made_release(&after);
    m.seed++;
    m.end = 1;
    log_maker_grow(&m, 1001);
    ck_assert_int_eq(build(&m, plan, &after), OK);
    ck_assert_uint_ne(after.rollups[0].source, before.rollups[0].source);
    made_release(&before);
    made_release(&after);
    log_maker_release(&m);
}
END_TEST

/* Ten segments become one while they are read: after the second of four. */
static void ten_become_one(void *arg, uint64_t call, const struct store_op *op UNUSED)
{
    if (call == 3)
        log_maker_grow(arg, 1001);
}

START_TEST(segments_that_are_replaced_meanwhile_make_the_same)
{
    struct log_maker m;
    struct made before;
    struct made after;
    struct rollup_plan plan = {.level = 1, .first = 201, .columns = 4};
    log_maker_init(&m, 5, 3, 500);
    log_maker_grow(&m, 901);
    ck_assert_int_eq(build(&m, plan, &before), OK);
    struct store *below = m.bc.repo.store;
    struct store *faulty = faulty_store_open(below);
    faulty_watch(faulty, ten_become_one, &m);
    m.bc.repo.store = faulty;
    ck_assert_int_eq(build(&m, plan, &after), OK);
    m.bc.repo.store = below;
    ck_assert_uint_eq(m.end, 1001);
    ck_assert(bytes_equal(buf_bytes(&before.objects[0]), buf_bytes(&after.objects[0])));
    made_release(&before);
    made_release(&after);
    store_close(faulty);
    log_maker_release(&m);
}
END_TEST

/* A landing with so many paths that its column would be too long beside 99 others; alone it is
 * not. */
START_TEST(too_many_keys_say_nothing)
{
    struct log_maker m;
    struct made made;
    log_maker_init(&m, 5, 0, 1);
    m.heavy = 400000;
    log_maker_grow(&m, 10001);
    ck_assert_int_eq(
        build(&m, (struct rollup_plan){.level = 1, .first = 1, .columns = 100, .above = true},
              &made),
        OK);
    ck_assert_uint_eq(made.n, 2);
    ck_assert_uint_eq(made.rollups[0].shape.sectors, 0);
    ck_assert_uint_eq(made.rollups[0].keys[0], 0);
    ck_assert_uint_gt(made.rollups[1].shape.sectors, 0);
    ck_assert_uint_gt(made.rollups[1].keys[0], 400000 + 10000);
    made_release(&made);
    log_maker_release(&m);
}
END_TEST

START_TEST(what_is_wrong_with_the_log_is_said)
{
    struct log_maker m;
    struct made made;
    struct rollup_plan plan = {.level = 1, .first = 1001, .columns = 5};
    log_be_quiet();
    log_maker_init(&m, 5, 3, 500);
    log_maker_grow(&m, 1401);
    ck_assert_int_eq(build(&m, plan, &made), ERR_CONFLICT);
    ck_assert_uint_eq(made.n, 0);
    log_maker_grow(&m, 1501);
    ck_assert_int_eq(build(&m, plan, &made), OK);
    made_release(&made);
    struct key key = key_log(&m.bc.project, 1201, 1301);
    build_chain_flip(&m.bc, key.s, -10);
    ck_assert_int_eq(build(&m, plan, &made), ERR_CORRUPT);
    /* One that is whole, and another's. */
    AUTO_BUF other = {0};
    struct key from = key_log(&m.bc.project, 1101, 1201);
    ck_assert_int_eq(store_get(m.bc.mem, from.s, range_all(), &other, NULL, NULL), OK);
    ck_assert_int_eq(store_put(m.bc.mem, key.s, buf_bytes(&other), PUT_ANY, NULL), OK);
    ck_assert_int_eq(build(&m, plan, &made), ERR_CORRUPT);
    ck_assert_int_eq(store_delete(m.bc.mem, key.s), OK);
    ck_assert_int_eq(build(&m, plan, &made), ERR_CONFLICT);
    plan = (struct rollup_plan){
        .project = m.bc.project, .level = 1, .first = 1, .columns = 1, .keys_kept = 0};
    made = (struct made){.err = ERR_AGAIN};
    ck_assert_int_eq(rollup_build(&m.bc.repo, &plan, keep, &made), ERR_AGAIN);
    made_release(&made);
    log_maker_release(&m);
}
END_TEST

START_TEST(where_the_log_ends)
{
    struct log_maker m;
    uint64_t end;
    log_maker_init(&m, 5, 0, 1);
    ck_assert_int_eq(rollup_source_end(&m.bc.repo, &m.bc.project, 1, &end), OK);
    ck_assert_uint_eq(end, 1);
    static const uint64_t ends[] = {101, 901, 1001, 1101, 3001, 3901, 4501};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        log_maker_grow(&m, ends[i]);
        for (size_t k = 0; k <= i; k++) {
            ck_assert_int_eq(rollup_source_end(&m.bc.repo, &m.bc.project, ends[k], &end), OK);
            ck_assert_uint_eq(end, ends[i]);
        }
        ck_assert_int_eq(rollup_source_end(&m.bc.repo, &m.bc.project, 1, &end), OK);
        ck_assert_uint_eq(end, ends[i]);
    }
    /* What lies behind a hole is not the log's yet. */
    struct key key = key_log(&m.bc.project, 4201, 4301);
    ck_assert_int_eq(store_delete(m.bc.mem, key.s), OK);
    ck_assert_int_eq(rollup_source_end(&m.bc.repo, &m.bc.project, 1, &end), OK);
    ck_assert_uint_eq(end, 4201);
    log_maker_release(&m);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_hundred_landings,
        a_full_group_and_the_one_above,
        passes_make_the_same,
        segments_of_both_lengths_make_the_same,
        segments_that_are_replaced_meanwhile_make_the_same,
        too_many_keys_say_nothing,
        what_is_wrong_with_the_log_is_said,
        where_the_log_ends,
    };
    return suite_run("rollup_build", tests, ARRAY_LEN(tests));
}
