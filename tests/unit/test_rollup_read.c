#include "pipeline/repo/history/rollup_read.h"

#include <fcntl.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/history/rollup_build.h"
#include "pipeline/repo/history/rollup_list.h"
#include "pipeline/sys/log.h"
#include "tests/support/chance.h"
#include "tests/support/faulty.h"
#include "tests/support/log_maker.h"
#include "tests/support/long_history.h"
#include "tests/support/suite.h"

#define NOWHERE 12345678901234567u /* a key of nothing */

static void log_be_quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

static int put(void *arg, const struct rollup *rollup, struct bytes object)
{
    struct log_maker *m = arg;
    const struct rollup_shape *shape = &rollup->shape;
    struct key key = key_rollup(&shape->project, shape->level, shape->first, rollup_end(shape));
    return store_put(m->bc.mem, key.s, object, PUT_ANY, NULL);
}

static void make(struct log_maker *m, unsigned level, uint64_t first, unsigned columns)
{
    struct rollup_plan plan = {
        .project = m->bc.project, .level = level, .first = first, .columns = columns};
    plan.above = columns == ROLLUP_COLUMNS_MAX && level < ROLLUP_LEVELS;
    ck_assert_int_eq(rollup_build(&m->bc.repo, &plan, put, m), OK);
}

/* ---- where each key is ---- */

struct seen_at {
    uint64_t key;
    uint64_t position;
};

struct index {
    struct seen_at *items;
    size_t n;
    size_t cap;
};

static void index_note(void *arg, uint64_t position, uint64_t key)
{
    struct index *index = arg;
    if (index->n == index->cap) {
        index->cap = index->cap > 0 ? 2 * index->cap : 1024;
        index->items = realloc(index->items, index->cap * sizeof(*index->items));
        ck_assert_ptr_nonnull(index->items);
    }
    index->items[index->n++] = (struct seen_at){key, position};
}

static int index_order(const void *a, const void *b)
{
    const struct seen_at *left = a;
    const struct seen_at *right = b;
    if (left->key != right->key)
        return left->key > right->key ? 1 : -1;
    return (left->position > right->position) - (left->position < right->position);
}

static void index_make(struct log_maker *m, uint64_t end, struct index *index)
{
    *index = (struct index){0};
    log_maker_keys(m, 0, end, index_note, index);
    qsort(index->items, index->n, sizeof(*index->items), index_order);
}

/* Where the key is, or would be. */
static size_t index_first(const struct index *index, uint64_t key)
{
    size_t low = 0;
    for (size_t high = index->n; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (index->items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- one question ---- */

struct asked {
    uint64_t positions; /* that the ranges have together */
    unsigned ranges;
    uint64_t oldest; /* of what was given */
};

/* Ranges come newest first, do not meet, and have all of the key's positions in [from, end). */
static struct asked ask(struct rollup_reader *reader, const struct index *index, uint64_t key,
                        uint64_t from, uint64_t end)
{
    struct asked asked = {.oldest = end};
    struct rollup_range range;
    uint64_t missing = 0;
    uint64_t found = 0;
    uint64_t wrong = 0;
    size_t first = index_first(index, key);
    size_t n = 0;
    for (; first + n < index->n && index->items[first + n].key == key; n++)
        missing +=
            index->items[first + n].position >= from && index->items[first + n].position < end;
    rollup_reader_ask(reader, key, from, end);
    size_t left = n; /* positions that are older than all ranges so far */
    while (rollup_reader_next(reader, &range)) {
        wrong += !(range.from >= from && range.from < range.end && range.end <= asked.oldest);
        while (left > 0 && index->items[first + left - 1].position >= range.end)
            left--;
        for (; left > 0 && index->items[first + left - 1].position >= range.from; left--)
            found++;
        asked.ranges++;
        asked.positions += range.end - range.from;
        asked.oldest = range.from;
    }
    /* One check for all: the framework's are slow. */
    ck_assert(found == missing && wrong == 0 && !rollup_reader_next(reader, &range));
    return asked;
}

static struct asked ask_all(struct log_maker *m, uint64_t key, uint64_t from, uint64_t end)
{
    static const struct index nothing;
    struct rollup_reader *reader = rollup_reader_open(&m->bc.repo, &m->bc.project);
    struct asked asked = ask(reader, &nothing, key, from, end);
    rollup_reader_close(reader);
    return asked;
}

/* ---- against the exact set ---- */

/* Something like what stages leave behind: groups of any size, single ones beside them, holes.
 */
static void scatter(struct log_maker *m, struct chance *chance)
{
    for (unsigned level = 1; level <= 2; level++) {
        uint64_t span = rollup_span(level);
        for (uint64_t first = 1; first + span <= m->end;) {
            uint64_t most = (m->end - first) / span;
            uint64_t left = ROLLUP_COLUMNS_MAX - (first - 1) / span % ROLLUP_COLUMNS_MAX;
            most = most < left ? most : left;
            unsigned columns = (unsigned)(1 + chance_below(chance, most));
            if (chance_below(chance, 4) == 0)
                columns = (unsigned)most;
            if (chance_below(chance, 5) > 0)
                make(m, level, first, columns);
            first += chance_below(chance, 5) > 0 ? columns * span : span;
        }
    }
}

/* Flips a bit somewhere, or puts something else there. */
static void damage(struct log_maker *m, struct chance *chance, const struct rollup_ref *ref,
                   unsigned level)
{
    struct key key = key_rollup(&m->bc.project, level, ref->first, ref->end);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(m->bc.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    uint64_t way = chance_below(chance, 6);
    for (unsigned i = 0; i < 64 && way == 0; i++)
        bytes.data[chance_below(chance, bytes.len)] ^= (uint8_t)(1u << chance_below(chance, 8));
    if (way == 1)
        bytes.len = chance_below(chance, bytes.len);
    if (way == 2)
        bytes.len -= ROLLUP_SECTOR;
    if (way == 3)
        memset(bytes.data, 0, bytes.len);
    if (way == 4)
        memset(buf_reserve(&bytes, ROLLUP_SECTOR), 0, ROLLUP_SECTOR),
            bytes.len += ROLLUP_SECTOR;
    ck_assert_int_eq(store_put(m->bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void damage_some(struct log_maker *m, struct chance *chance, unsigned of_ten)
{
    for (unsigned level = 1; level <= 2; level++) {
        AUTO(arena_release) struct arena arena = {0};
        struct rollup_ref *refs;
        size_t n;
        ck_assert_int_eq(
            rollup_list(&m->bc.repo, &m->bc.project, level, 1, m->end, &arena, &refs, &n), OK);
        for (size_t i = 0; i < n; i++) {
            if (chance_below(chance, 10) < of_ten)
                damage(m, chance, &refs[i], level);
        }
    }
}

/* How far is read ahead changes no answer. */
static void ahead_set(struct rollup_reader *reader, struct chance *chance)
{
    unsigned first = 1 + (unsigned)chance_below(chance, 5);
    rollup_reader_ahead(reader, first, first + (unsigned)chance_below(chance, 20));
}

static void questions(struct log_maker *m, struct chance *chance, const struct index *index)
{
    struct rollup_reader *reader = rollup_reader_open(&m->bc.repo, &m->bc.project);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t key = index->items[chance_below(chance, index->n)].key;
        uint64_t from = chance_below(chance, m->end);
        uint64_t end = from + 1 + chance_below(chance, m->end - from + 200);
        ahead_set(reader, chance);
        if (i % 4 == 0)
            (void)ask(reader, index, key, 0, m->end + 100);
        (void)ask(reader, index, key, from, end);
        (void)ask(reader, index, NOWHERE + i, from, end);
    }
    rollup_reader_close(reader);
}

START_TEST(no_key_is_ever_missed)
{
    struct chance chance;
    log_be_quiet();
    chance_init(&chance, "no_key_is_ever_missed");
    for (unsigned round = 0; round < 3; round++) {
        struct log_maker m;
        struct index index;
        log_maker_init(&m, chance_u64(&chance), 3, 10 + chance_below(&chance, 20000));
        log_maker_grow(&m, 20001 + 100 * chance_below(&chance, 120));
        index_make(&m, m.end, &index);
        scatter(&m, &chance);
        questions(&m, &chance, &index);
        damage_some(&m, &chance, 1 + round * 4);
        questions(&m, &chance, &index);
        free(index.items);
        log_maker_release(&m);
    }
}
END_TEST

/* ---- many keys at once ---- */

struct many {
    struct rollup_asked asks[ROLLUP_ASKS_MAX];
    size_t n;
    uint64_t end;
};

/* Whether all of an ask's positions are in ranges that are about it; `n` of these. */
static bool many_has(const struct many *many, size_t ask, const struct index *index,
                     const struct rollup_range *ranges, size_t n)
{
    uint64_t key = many->asks[ask].key;
    for (size_t i = index_first(index, key); i < index->n && index->items[i].key == key; i++) {
        uint64_t p = index->items[i].position;
        bool found = p < many->asks[ask].from || p >= many->end;
        for (size_t r = 0; r < n && !found; r++)
            found =
                (ranges[r].asks >> ask & 1) != 0 && ranges[r].from <= p && p < ranges[r].end;
        if (!found)
            return false;
    }
    return true;
}

static void ask_many(struct rollup_reader *reader, const struct index *index,
                     const struct many *many)
{
    AUTO(arena_release) struct arena arena = {0};
    void *ranges = NULL;
    size_t n = 0;
    size_t cap = 0;
    struct rollup_range range;
    uint64_t oldest = many->end;
    bool in_order = true;
    rollup_reader_ask_many(reader, many->asks, many->n, many->end);
    while (rollup_reader_next(reader, &range)) {
        in_order = in_order && range.from < range.end && range.end <= oldest;
        oldest = range.from;
        struct rollup_range *item = arena_push(&arena, &ranges, &n, &cap, sizeof(*item));
        *item = range;
    }
    ck_assert(in_order);
    for (size_t i = 0; i < many->n; i++)
        ck_assert(many_has(many, i, index, ranges, n));
}

static void many_questions(struct log_maker *m, struct chance *chance,
                           const struct index *index, unsigned rounds)
{
    struct rollup_reader *reader = rollup_reader_open(&m->bc.repo, &m->bc.project);
    for (unsigned round = 0; round < rounds; round++) {
        struct many many = {.end = 1 + chance_below(chance, m->end + 200)};
        many.n = 1 + (size_t)chance_below(chance, round % 2 == 0 ? 5 : ROLLUP_ASKS_MAX);
        for (size_t i = 0; i < many.n; i++) {
            bool somewhere = chance_below(chance, 3) > 0;
            many.asks[i].key = somewhere ? index->items[chance_below(chance, index->n)].key
                                         : chance_u64(chance);
            many.asks[i].from = chance_below(chance, many.end);
        }
        ahead_set(reader, chance);
        ask_many(reader, index, &many);
    }
    rollup_reader_close(reader);
}

START_TEST(of_many_keys_none_is_missed)
{
    struct chance chance;
    struct log_maker m;
    struct index index;
    log_be_quiet();
    chance_init(&chance, "of_many_keys_none_is_missed");
    log_maker_init(&m, chance_u64(&chance), 3, 30000);
    log_maker_grow(&m, 20001 + 100 * chance_below(&chance, 120));
    index_make(&m, m.end, &index);
    scatter(&m, &chance);
    many_questions(&m, &chance, &index, 60);
    damage_some(&m, &chance, 3);
    many_questions(&m, &chance, &index, 60);
    free(index.items);
    log_maker_release(&m);
}
END_TEST

START_TEST(damage_to_one_sector_concerns_one_ask)
{
    struct build_chain bc;
    struct rollup_range range;
    struct rollup_shape shape;
    uint64_t size;
    log_be_quiet();
    build_chain_init(&bc);
    bare_group_put(&bc, 1, 1, 100, 20);
    struct rollup_asked asks[2] = {{.key = 1}, {.key = UINT64_MAX}};
    struct key key = key_rollup(&bc.project, 1, 1, 10001);
    ck_assert_int_eq(store_get(bc.mem, key.s, range_none(), NULL, NULL, &size), OK);
    ck_assert_int_eq(rollup_shape_of(&bc.project, 1, 1, 10001, size, &shape), OK);
    build_chain_flip(&bc, key.s, (long)rollup_sector_at(&shape, asks[1].key) + 5);
    struct rollup_reader *reader = rollup_reader_open(&bc.repo, &bc.project);
    rollup_reader_ask_many(reader, asks, 2, 10001);
    for (uint64_t end = 10001; end > 1; end -= 100) {
        ck_assert(rollup_reader_next(reader, &range));
        ck_assert_uint_eq(range.end, end);
        ck_assert_uint_eq(range.asks, 2);
    }
    ck_assert_uint_eq(range.from, 0);
    ck_assert(!rollup_reader_next(reader, &range));
    rollup_reader_close(reader);
    build_chain_release(&bc);
}
END_TEST

/* What was dropped gets no more ranges, and costs no more reads. */
START_TEST(a_dropped_ask_is_not_gone_on_with)
{
    struct build_chain bc;
    struct rollup_range range;
    build_chain_init(&bc);
    bare_group_put(&bc, 1, 1, 100, 1);
    bare_group_put(&bc, 1, 20001, 100, 1);
    struct rollup_asked asks[2] = {{.key = 1}, {.key = UINT64_MAX / 2}};
    struct rollup_reader *reader = rollup_reader_open(&bc.repo, &bc.project);
    rollup_reader_ask_many(reader, asks, 2, 30001);
    ck_assert(rollup_reader_next(reader, &range));
    ck_assert_uint_eq(range.from, 10001);
    ck_assert_uint_eq(range.end, 20001);
    ck_assert_uint_eq(range.asks, 3);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_ROLLUP], 1); /* whole: it is small */
    rollup_reader_drop(reader, 0);
    rollup_reader_drop(reader, 1);
    ck_assert(!rollup_reader_next(reader, &range));
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_ROLLUP], 0);
    rollup_reader_close(reader);
    build_chain_release(&bc);
}
END_TEST

START_TEST(answers_before_the_first_landing_are_found)
{
    struct log_maker m;
    struct index index = {0};
    log_maker_init(&m, 3, 2, 1000);
    log_maker_grow(&m, 10001);
    make(&m, 1, 1, 100);
    log_maker_keys(&m, 0, 1, index_note, &index);
    ck_assert_uint_eq(index.n, 2);
    qsort(index.items, index.n, sizeof(*index.items), index_order);
    struct rollup_reader *reader = rollup_reader_open(&m.bc.repo, &m.bc.project);
    static const uint64_t ends[] = {1, 2, 50, 100, 101, 5000, 20000};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct asked asked = ask(reader, &index, index.items[0].key, 0, ends[i]);
        ck_assert_uint_eq(asked.oldest, 0);
        asked = ask(reader, &index, index.items[1].key, 1, ends[i] + 1);
        ck_assert_uint_ge(asked.oldest, 1);
    }
    rollup_reader_close(reader);
    free(index.items);
    log_maker_release(&m);
}
END_TEST

/* The last position before an object, and its first. */
START_TEST(runs_that_end_beside_a_border)
{
    struct log_maker m;
    struct index index;
    log_maker_init(&m, 3, 2, 1000);
    log_maker_grow(&m, 1001);
    index_make(&m, 1001, &index);
    make(&m, 1, 1, 4);
    make(&m, 1, 401, 4);
    make(&m, 1, 901, 1);
    struct rollup_reader *reader = rollup_reader_open(&m.bc.repo, &m.bc.project);
    for (size_t i = 0; i < index.n; i++) {
        uint64_t p = index.items[i].position;
        if (p % 100 > 1)
            continue;
        (void)ask(reader, &index, index.items[i].key, p, p + 1);
        (void)ask(reader, &index, index.items[i].key, p, p + 2);
        (void)ask(reader, &index, index.items[i].key, p > 0 ? p - 1 : 0, p + 1);
    }
    rollup_reader_close(reader);
    free(index.items);
    log_maker_release(&m);
}
END_TEST

START_TEST(what_no_filter_covers_may_contain_everything)
{
    struct log_maker m;
    log_maker_init(&m, 3, 2, 1000);
    log_maker_grow(&m, 5001);
    struct asked asked = ask_all(&m, NOWHERE, 0, 7000);
    ck_assert_uint_eq(asked.ranges, 1);
    ck_assert_uint_eq(asked.positions, 7000);
    ck_assert_uint_eq(ask_all(&m, NOWHERE, 5, 5).ranges, 0);
    ck_assert_uint_eq(ask_all(&m, NOWHERE, 6, 5).ranges, 0);
    make(&m, 1, 1, 32);
    make(&m, 1, 101, 1); /* left behind */
    make(&m, 1, 4001, 8);
    asked = ask_all(&m, NOWHERE, 0, 7000);
    /* Behind the last, and between the two. */
    ck_assert_uint_eq(asked.ranges, 2);
    ck_assert_uint_eq(asked.positions, 7000 - 4801 + 800);
    asked = ask_all(&m, NOWHERE, 3300, 4100);
    ck_assert_uint_eq(asked.positions, 701);
    log_maker_release(&m);
}
END_TEST

/* ---- schedules ---- */

struct scene {
    struct log_maker m;
    struct key key; /* of the one object: 32 columns */
};

static void scene_open(struct scene *s)
{
    log_be_quiet();
    log_maker_init(&s->m, 3, 2, 1000);
    log_maker_grow(&s->m, 3301);
    make(&s->m, 1, 1, 32);
    s->key = key_rollup(&s->m.bc.project, 1, 1, 3201);
    ck_assert_uint_eq(ask_all(&s->m, NOWHERE, 0, 3201).ranges, 0);
}

/* Number 21: the size that was listed is that of another object by now. Its sectors tell. */
START_TEST(schedule_21_a_filter_is_replaced_while_it_is_read)
{
    struct scene s;
    struct log_maker other;
    static const struct index nothing;
    scene_open(&s);
    struct rollup_reader *reader = rollup_reader_open(&s.m.bc.repo, &s.m.bc.project);
    ck_assert_uint_eq(ask(reader, &nothing, NOWHERE, 0, 3201).ranges, 0);
    /* A larger one under the same name, as if it had been written twice. */
    log_maker_init(&other, 3, 20, 100000);
    log_maker_grow(&other, 3301);
    make(&other, 1, 1, 32);
    AUTO_BUF larger = {0};
    AUTO_BUF smaller = {0};
    struct key key = key_rollup(&other.bc.project, 1, 1, 3201);
    ck_assert_int_eq(store_get(other.bc.mem, key.s, range_all(), &larger, NULL, NULL), OK);
    ck_assert_int_eq(store_get(s.m.bc.mem, s.key.s, range_all(), &smaller, NULL, NULL), OK);
    ck_assert_uint_gt(larger.len, smaller.len);
    ck_assert_int_eq(store_put(s.m.bc.mem, s.key.s, buf_bytes(&larger), PUT_ANY, NULL), OK);
    struct asked asked = ask(reader, &nothing, NOWHERE, 0, 3201);
    ck_assert_uint_eq(asked.positions, 3201);
    /* And the other way round: the place that is asked for may be gone. */
    struct index index;
    index_make(&other, 3201, &index);
    struct rollup_reader *old = rollup_reader_open(&other.bc.repo, &other.bc.project);
    ck_assert_uint_eq(ask(old, &nothing, NOWHERE, 0, 3201).ranges, 0);
    ck_assert_int_eq(store_put(other.bc.mem, key.s, buf_bytes(&smaller), PUT_ANY, NULL), OK);
    for (size_t i = 0; i < index.n; i += 97)
        (void)ask(old, &index, index.items[i].key, 0, 3201);
    rollup_reader_close(old);
    rollup_reader_close(reader);
    free(index.items);
    log_maker_release(&other);
    log_maker_release(&s.m);
}
END_TEST

/* Number 22: a bit of the sector that is asked, any of it. */
START_TEST(schedule_22_a_flipped_bit_makes_it_may_contain)
{
    struct scene s;
    scene_open(&s);
    struct rollup_shape shape;
    uint64_t size;
    ck_assert_int_eq(store_get(s.m.bc.mem, s.key.s, range_none(), NULL, NULL, &size), OK);
    ck_assert_int_eq(rollup_shape_of(&s.m.bc.project, 1, 1, 3201, size, &shape), OK);
    uint64_t at = rollup_sector_at(&shape, NOWHERE);
    for (unsigned i = 0; i < ROLLUP_SECTOR; i += 13) {
        build_chain_flip(&s.m.bc, s.key.s, (long)(at + i));
        struct asked asked = ask_all(&s.m, NOWHERE, 0, 3201);
        ck_assert_msg(asked.positions == 3201, "byte %u", i);
        build_chain_flip(&s.m.bc, s.key.s, (long)(at + i));
    }
    ck_assert_uint_eq(ask_all(&s.m, NOWHERE, 0, 3201).ranges, 0);
    log_maker_release(&s.m);
}
END_TEST

START_TEST(a_filter_of_other_positions_or_another_project_says_nothing)
{
    struct scene s;
    struct log_maker other;
    scene_open(&s);
    log_maker_init(&other, 3, 2, 1000);
    other.bc.project.b[0] ^= 1;
    log_maker_grow(&other, 3301);
    make(&other, 1, 1, 32);
    make(&other, 1, 1, 16);
    for (unsigned columns = 16; columns <= 32; columns *= 2) {
        AUTO_BUF bytes = {0};
        struct key key = key_rollup(&other.bc.project, 1, 1, 1 + columns * 100);
        ck_assert_int_eq(store_get(other.bc.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
        ck_assert_int_eq(store_put(s.m.bc.mem, s.key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
        ck_assert_uint_eq(ask_all(&s.m, NOWHERE, 0, 3201).positions, 3201);
    }
    /* One of this project under the name of its neighbour. */
    make(&s.m, 1, 1, 32);
    make(&s.m, 1, 3201, 1);
    AUTO_BUF bytes = {0};
    struct key key = key_rollup(&s.m.bc.project, 1, 3201, 3301);
    ck_assert_int_eq(store_get(s.m.bc.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_uint_eq(ask_all(&s.m, NOWHERE, 0, 3301).ranges, 0);
    key = key_rollup(&s.m.bc.project, 1, 3301, 3401);
    ck_assert_int_eq(store_put(s.m.bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    ck_assert_uint_eq(ask_all(&s.m, NOWHERE, 0, 3401).positions, 100);
    log_maker_release(&other);
    log_maker_release(&s.m);
}
END_TEST

/* What a rollup without sectors leaves to the level below. */
START_TEST(one_that_says_nothing_is_passed_over)
{
    struct scene s;
    scene_open(&s);
    struct rollup empty = {
        .shape = {.project = s.m.bc.project, .level = 2, .columns = 1, .first = 1}};
    uint8_t object[ROLLUP_SECTOR] = {0};
    rollup_seal(&empty, object);
    struct key key = key_rollup(&s.m.bc.project, 2, 1, 10001);
    ck_assert_int_eq(
        store_put(s.m.bc.mem, key.s, bytes_of(object, sizeof(object)), PUT_ANY, NULL), OK);
    ck_assert_uint_eq(ask_all(&s.m, NOWHERE, 0, 3201).ranges, 0);
    log_maker_release(&s.m);
}
END_TEST

/* A larger one takes the place of those that were listed. */
START_TEST(names_are_listed_again_when_one_has_gone)
{
    struct scene s;
    static const struct index nothing;
    scene_open(&s);
    struct rollup_reader *reader = rollup_reader_open(&s.m.bc.repo, &s.m.bc.project);
    ck_assert_uint_eq(ask(reader, &nothing, NOWHERE, 0, 3201).ranges, 0);
    log_maker_grow(&s.m, 6501);
    make(&s.m, 1, 1, 64);
    ck_assert_int_eq(store_delete(s.m.bc.mem, s.key.s), OK);
    ck_assert_uint_eq(ask(reader, &nothing, NOWHERE, 0, 3201).ranges, 0);
    rollup_reader_close(reader);
    log_maker_release(&s.m);
}
END_TEST

START_TEST(what_cannot_be_read_may_contain)
{
    struct scene s;
    scene_open(&s);
    struct store *faulty = faulty_store_open(s.m.bc.mem);
    struct store *trace = s.m.bc.repo.store;
    /* The list of all levels, and a sector; where that list fails, one list a level and the
     * sector. */
    static const struct {
        unsigned calls[2];
        uint64_t positions;
    } cases[] = {{{1, 1}, 0}, {{2, 2}, 3201}, {{1, 2}, 0},
                 {{1, 3}, 0}, {{1, 4}, 3201}, {{1, 5}, 3201}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        faulty_reset(faulty);
        faulty_plan(faulty, cases[i].calls[0], FAULT_AGAIN);
        faulty_plan(faulty, cases[i].calls[1], FAULT_AGAIN);
        s.m.bc.repo.store = faulty;
        struct asked asked = ask_all(&s.m, NOWHERE, 0, 3201);
        s.m.bc.repo.store = trace;
        ck_assert_uint_eq(asked.positions, cases[i].positions);
        ck_assert_uint_eq(faulty_hits(faulty, FAULT_AGAIN),
                          cases[i].calls[0] == cases[i].calls[1] ? 1 : 2);
    }
    store_close(faulty);
    log_maker_release(&s.m);
}
END_TEST

/* ---- the highest level ---- */

START_TEST(a_million_landings)
{
    struct chance chance;
    struct log_maker m;
    struct index index;
    chance_init(&chance, "a_million_landings");
    log_maker_init(&m, chance_u64(&chance), 1, 5000000);
    log_maker_grow(&m, 1000001);
    make(&m, 2, 1, 100);
    for (uint64_t first = 1; first < 1000001; first += 100000)
        make(&m, 1, first, 100);
    index_make(&m, m.end, &index);
    struct rollup_reader *reader = rollup_reader_open(&m.bc.repo, &m.bc.project);
    uint64_t wrong = 0;
    enum { absent = 20000 };
    for (unsigned i = 0; i < 300; i++) {
        const struct seen_at *seen = &index.items[chance_below(&chance, index.n)];
        (void)ask(reader, &index, seen->key, 0, seen->position + 1);
        (void)ask(reader, &index, seen->key, seen->position, 1000001);
    }
    (void)build_chain_counts(&m.bc);
    for (unsigned i = 0; i < absent; i++) {
        struct rollup_range range;
        rollup_reader_ask(reader, chance_u64(&chance), 0, 1000001);
        wrong += rollup_reader_next(reader, &range);
    }
    /* One of a thousand is asked further, of which the levels below leave next to none. */
    ck_assert_uint_le(build_chain_counts(&m.bc).gets[TRACE_ROLLUP], absent + absent / 100);
    ck_assert_uint_le(wrong, absent / 500);
    rollup_reader_close(reader);
    free(index.items);
    log_maker_release(&m);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        no_key_is_ever_missed,
        of_many_keys_none_is_missed,
        damage_to_one_sector_concerns_one_ask,
        a_dropped_ask_is_not_gone_on_with,
        answers_before_the_first_landing_are_found,
        runs_that_end_beside_a_border,
        what_no_filter_covers_may_contain_everything,
        schedule_21_a_filter_is_replaced_while_it_is_read,
        schedule_22_a_flipped_bit_makes_it_may_contain,
        a_filter_of_other_positions_or_another_project_says_nothing,
        one_that_says_nothing_is_passed_over,
        names_are_listed_again_when_one_has_gone,
        what_cannot_be_read_may_contain,
        a_million_landings,
    };
    return suite_run("rollup_read", tests, ARRAY_LEN(tests));
}
