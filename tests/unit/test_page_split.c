#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/page.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"

struct names {
    struct arena arena;
    struct bytes *v;
    size_t n;
    size_t cap;
};

#define AUTO_NAMES AUTO(names_release) struct names

static void names_release(struct names *names)
{
    arena_release(&names->arena);
}

static void names_add(struct names *names, struct bytes name)
{
    struct bytes *at = arena_push(&names->arena, (void **)(void *)&names->v, &names->n,
                                  &names->cap, sizeof(*at));
    *at = arena_copy(&names->arena, name);
}

static int by_bytes(const void *a, const void *b)
{
    const struct bytes *x = a;
    const struct bytes *y = b;
    return bytes_compare(*x, *y);
}

/* Sorts them and drops what is there twice. */
static void names_sort(struct names *names)
{
    qsort(names->v, names->n, sizeof(*names->v), by_bytes);
    size_t n = 0;
    for (size_t i = 0; i < names->n; i++) {
        if (n == 0 || !bytes_equal(names->v[n - 1], names->v[i])) {
            names->v[n++] = names->v[i];
        }
    }
    names->n = n;
}

/* A random name of `len` bytes from a small alphabet. */
static struct bytes draw(struct chance *c, uint8_t *room, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        room[i] = (uint8_t)('a' + chance_below(c, 26));
    }
    return bytes_of(room, len);
}

static void names_draw(struct names *names, struct chance *c, size_t n, size_t least,
                       size_t most)
{
    uint8_t room[NAME_LEN_MAX];
    for (size_t i = 0; i < n; i++) {
        names_add(names, draw(c, room, least + chance_below(c, most - least + 1)));
    }
    names_sort(names);
}

static uint64_t weight_of(const struct bytes *names, size_t from, size_t to)
{
    uint64_t weight = 0;
    for (size_t i = from; i < to; i++) {
        weight += page_weight(names[i]);
    }
    return weight;
}

/* The second rule of the header, word by word and slowly. */
static void reference_cut(const struct bytes *names, size_t from, size_t to, uint8_t level,
                          bool *cut)
{
    uint64_t total = weight_of(names, from, to);
    if (total <= PAGE_CUT_OVER) {
        return;
    }
    size_t best = 0;
    uint64_t before = 0;
    for (size_t i = from; i < to; before += page_weight(names[i]), i++) {
        if (before < PAGE_LEAST || total - before < PAGE_LEAST) {
            continue;
        }
        if (best == 0 || xxh3_64_seed(names[i], level) < xxh3_64_seed(names[best], level)) {
            best = i;
        }
    }
    if (best != 0) {
        cut[best] = true;
        reference_cut(names, from, best, level, cut);
        reference_cut(names, best, to, level, cut);
    }
}

/* Gives the number of cuts by the first rule. */
static size_t reference(const struct bytes *names, size_t n, uint8_t level, bool open_end,
                        bool *cut)
{
    memset(cut, 0, n + 1);
    cut[0] = true;
    size_t start = 0;
    size_t boundaries = 0;
    uint64_t before = 0;
    uint64_t behind = weight_of(names, 0, n);
    for (size_t i = 0; i < n; i++) {
        if (before >= PAGE_LEAST && (open_end || behind >= PAGE_LEAST) &&
            page_boundary(names[i], level)) {
            cut[i] = true;
            boundaries++;
            reference_cut(names, start, i, level, cut);
            start = i;
            before = 0;
        }
        before += page_weight(names[i]);
        behind -= page_weight(names[i]);
    }
    reference_cut(names, start, n, level, cut);
    return boundaries;
}

/* Splits, checks what always holds, and gives the number of pages. */
static size_t split_checked(struct names *names, uint8_t level, bool open_end, uint32_t *cuts)
{
    size_t n = names->n;
    memset(cuts, 0xee, (n + 1) * sizeof(*cuts));
    size_t n_cuts = page_split(names->v, n, level, open_end, cuts);
    ck_assert_uint_ge(n_cuts, 1);
    ck_assert_uint_le(n_cuts, n == 0 ? 1 : n);
    ck_assert_uint_eq(cuts[0], 0);
    bool *expected = arena_alloc(&names->arena, n + 1);
    size_t by_first_rule = reference(names->v, n, level, open_end, expected);
    size_t n_expected = 0;
    for (size_t i = 0; i <= n; i++) {
        n_expected += expected[i];
    }
    ck_assert_uint_eq(n_cuts, n_expected);
    size_t n_boundaries = 0;
    for (size_t k = 0; k < n_cuts; k++) {
        size_t end = k + 1 < n_cuts ? cuts[k + 1] : n;
        ck_assert(expected[cuts[k]]);
        n_boundaries += k > 0 && page_boundary(names->v[cuts[k]], level);
        ck_assert(n == 0 || cuts[k] < end);
        uint64_t weight = weight_of(names->v, cuts[k], end);
        ck_assert(weight >= PAGE_LEAST || n_cuts == 1 || (open_end && end == n));
        /* Twice the least and one name is room enough for a place. */
        ck_assert_uint_le(weight, PAGE_CUT_OVER);
    }
    /* What tells the two rules apart afterwards. */
    ck_assert_uint_eq(n_boundaries, by_first_rule);
    return n_cuts;
}

static uint32_t *cuts_for(struct names *names)
{
    return arena_alloc(&names->arena, (names->n + 1) * sizeof(uint32_t));
}

START_TEST(few_names_are_one_page)
{
    uint32_t cuts[2] = {7, 7};
    ck_assert_uint_eq(page_split(NULL, 0, 0, false, cuts), 1);
    ck_assert_uint_eq(cuts[0], 0);
    struct bytes one = bytes_str("one");
    ck_assert_uint_eq(page_split(&one, 1, 0, false, cuts), 1);
    ck_assert_uint_eq(cuts[0], 0);
    struct chance c;
    chance_init(&c, "few_names_are_one_page");
    for (unsigned i = 0; i < 100; i++) {
        AUTO_NAMES names = {0};
        names_draw(&names, &c, 1 + chance_below(&c, 60), 1, 20);
        ck_assert_uint_eq(split_checked(&names, 0, false, cuts_for(&names)), 1);
    }
}
END_TEST

START_TEST(boundaries_come_by_weight)
{
    struct chance c;
    chance_init(&c, "boundaries_come_by_weight");
    uint8_t room[NAME_LEN_MAX];
    static const size_t lens[] = {8, 100, 255};
    for (size_t k = 0; k < ARRAY_LEN(lens); k++) {
        size_t hits = 0;
        size_t both = 0;
        const size_t tries = 400000;
        for (size_t i = 0; i < tries; i++) {
            struct bytes name = draw(&c, room, lens[k]);
            hits += page_boundary(name, 0);
            both += page_boundary(name, 0) && page_boundary(name, 1);
        }
        size_t expected = tries * (44 + lens[k]) / PAGE_TARGET;
        ck_assert_uint_gt(hits, expected / 2);
        ck_assert_uint_lt(hits, expected * 2);
        /* What begins a page need not begin one on the next level. */
        ck_assert_uint_lt(both, hits / 4 + 10);
    }
}
END_TEST

START_TEST(boundaries_are_the_same_everywhere)
{
    /* Buckets rely on it for ever: of these names exactly these begin a page. */
    char found[64] = "";
    for (unsigned i = 0; i < 10000; i++) {
        char name[16];
        size_t len = (size_t)snprintf(name, sizeof(name), "name-%u", i);
        if (page_boundary(bytes_of(name, len), 0)) {
            size_t at = strlen(found);
            (void)snprintf(found + at, sizeof(found) - at, "%u ", i);
        }
    }
    ck_assert_str_eq(found, "113 5248 6596 6958 6989 7811 ");
}
END_TEST

START_TEST(random_names)
{
    struct chance c;
    chance_init(&c, "random_names");
    for (unsigned i = 0; i < 30; i++) {
        AUTO_NAMES names = {0};
        names_draw(&names, &c, 1 + chance_below(&c, 9000), 1,
                   1 + chance_below(&c, NAME_LEN_MAX));
        uint8_t level = (uint8_t)chance_below(&c, PAGE_LEVELS_MAX);
        bool open_end = chance_below(&c, 2) == 0;
        (void)split_checked(&names, level, open_end, cuts_for(&names));
    }
}
END_TEST

START_TEST(pages_are_about_the_target)
{
    struct chance c;
    chance_init(&c, "pages_are_about_the_target");
    AUTO_NAMES names = {0};
    names_draw(&names, &c, 100000, 5, 40);
    size_t n_cuts = page_split(names.v, names.n, 0, false, cuts_for(&names));
    uint64_t mean = weight_of(names.v, 0, names.n) / n_cuts;
    ck_assert_uint_gt(mean, PAGE_TARGET / 2);
    ck_assert_uint_lt(mean, PAGE_TARGET * 2);
}
END_TEST

START_TEST(names_without_a_boundary)
{
    struct chance c;
    chance_init(&c, "names_without_a_boundary");
    AUTO_NAMES names = {0};
    uint8_t room[NAME_LEN_MAX];
    while (names.n < 30000) {
        struct bytes name = draw(&c, room, 12);
        if (!page_boundary(name, 0)) {
            names_add(&names, name);
        }
    }
    names_sort(&names);
    size_t n_cuts = split_checked(&names, 0, false, cuts_for(&names));
    ck_assert_uint_gt(n_cuts, 5);
}
END_TEST

START_TEST(only_boundaries)
{
    struct chance c;
    chance_init(&c, "only_boundaries");
    AUTO_NAMES names = {0};
    uint8_t room[NAME_LEN_MAX];
    while (names.n < 1500) {
        struct bytes name = draw(&c, room, NAME_LEN_MAX);
        if (page_boundary(name, 0)) {
            names_add(&names, name);
        }
    }
    names_sort(&names);
    /* The floor keeps them from being pages of their own. */
    size_t n_cuts = split_checked(&names, 0, false, cuts_for(&names));
    ck_assert_uint_le(n_cuts, weight_of(names.v, 0, names.n) / PAGE_LEAST);
}
END_TEST

/* Names in order whose hashes only grow, or only shrink, and mark no boundary: each draws until
 * its hash falls into its own slice. */
static void names_monotone(struct names *names, struct chance *c, size_t n, bool growing)
{
    /* Each weighs 256 bytes, so places fall exactly on the floors. */
    char room[256 - 44];
    memset(room, 'x', sizeof(room));
    struct bytes name = bytes_of(room, sizeof(room));
    uint64_t slice_size = UINT64_MAX / (2 * n + 1);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(room, sizeof(room), "%08zu-", i);
        uint64_t slice = growing ? n + i : 2 * n - i;
        do {
            uint64_t drawn = chance_u64(c);
            hex_encode(room + 9, &drawn, sizeof(drawn));
        } while (xxh3_64_seed(name, 0) / slice_size != slice || page_boundary(name, 0));
        names_add(names, name);
    }
}

START_TEST(monotone_hashes)
{
    struct chance c;
    chance_init(&c, "monotone_hashes");
    for (int growing = 0; growing < 2; growing++) {
        AUTO_NAMES names = {0};
        names_monotone(&names, &c, 2000, growing == 1);
        ck_assert_uint_gt(weight_of(names.v, 0, names.n), PAGE_CUT_OVER);
        /* Each cut takes the least page there may be off one end. */
        size_t n_cuts = split_checked(&names, 0, false, cuts_for(&names));
        ck_assert_uint_gt(n_cuts, 50);
    }
}
END_TEST

START_TEST(a_prefix_with_an_open_end_is_cut_alike)
{
    struct chance c;
    chance_init(&c, "a_prefix_with_an_open_end_is_cut_alike");
    AUTO_NAMES names = {0};
    names_draw(&names, &c, 20000, 1, 40);
    uint32_t *all = cuts_for(&names);
    uint32_t *some = cuts_for(&names);
    size_t n_all = page_split(names.v, names.n, 0, false, all);
    for (size_t k = 1; k < n_all; k++) {
        if (!page_boundary(names.v[all[k]], 0)) {
            continue;
        }
        size_t n_some = page_split(names.v, all[k], 0, true, some);
        ck_assert_uint_eq(n_some, k);
        ck_assert_int_eq(memcmp(all, some, k * sizeof(*all)), 0);
    }
}
END_TEST

START_TEST(from_a_boundary_cut_on_it_is_cut_alike)
{
    struct chance c;
    chance_init(&c, "from_a_boundary_cut_on_it_is_cut_alike");
    AUTO_NAMES names = {0};
    names_draw(&names, &c, 20000, 1, 40);
    uint32_t *all = cuts_for(&names);
    uint32_t *some = cuts_for(&names);
    size_t n_all = page_split(names.v, names.n, 0, false, all);
    for (size_t k = 1; k < n_all; k++) {
        if (page_boundary(names.v[all[k]], 0)) {
            size_t n_some = page_split(names.v + all[k], names.n - all[k], 0, false, some);
            ck_assert_uint_eq(n_some, n_all - k);
            for (size_t i = 0; i < n_some; i++) {
                ck_assert_uint_eq(some[i] + all[k], all[k + i]);
            }
        }
    }
}
END_TEST

/* The run between boundary cuts that index `at` lies in; false when a boundary inside it was
 * skipped, or when `at` itself is a cut. */
static bool clean_run(const struct names *names, const uint32_t *cuts, size_t n_cuts, size_t at,
                      size_t *from, size_t *to)
{
    *from = 0;
    *to = names->n;
    for (size_t k = 1; k < n_cuts; k++) {
        if (!page_boundary(names->v[cuts[k]], 0)) {
            continue;
        }
        if (cuts[k] < at) {
            *from = cuts[k];
        } else if (*to == names->n) {
            *to = cuts[k];
        }
    }
    for (size_t i = *from + 1; i < *to; i++) {
        if (page_boundary(names->v[i], 0)) {
            return false;
        }
    }
    return *from < at && at < *to;
}

START_TEST(an_insertion_moves_cuts_in_its_run_only)
{
    struct chance c;
    chance_init(&c, "an_insertion_moves_cuts_in_its_run_only");
    size_t tried = 0;
    AUTO_NAMES names = {0};
    names_draw(&names, &c, 30000, 1, 40);
    uint32_t *before = cuts_for(&names);
    size_t n_before = page_split(names.v, names.n, 0, false, before);
    struct bytes *more = arena_alloc(&names.arena, (names.n + 1) * sizeof(*more));
    uint32_t *after = arena_alloc(&names.arena, (names.n + 2) * sizeof(*after));
    for (unsigned i = 0; i < 300; i++) {
        uint8_t room[20];
        struct bytes name = draw(&c, room, sizeof(room));
        size_t at = 0;
        while (at < names.n && bytes_compare(names.v[at], name) < 0) {
            at++;
        }
        size_t from, to;
        if (page_boundary(name, 0) || !clean_run(&names, before, n_before, at, &from, &to)) {
            continue;
        }
        tried++;
        memcpy(more, names.v, at * sizeof(*more));
        more[at] = name;
        memcpy(more + at + 1, names.v + at, (names.n - at) * sizeof(*more));
        size_t n_after = page_split(more, names.n + 1, 0, false, after);
        size_t a = 0, b = 0;
        while (a < n_before && before[a] <= from) {
            ck_assert_uint_eq(before[a], after[a]);
            a++;
        }
        while (a < n_before && before[a] < to) {
            a++;
        }
        while (b < n_after && after[b] < to + 1) {
            b++;
        }
        ck_assert_uint_eq(n_before - a, n_after - b);
        for (; a < n_before; a++, b++) {
            ck_assert_uint_eq(before[a] + 1, after[b]);
        }
    }
    ck_assert_uint_gt(tried, 0);
}
END_TEST

START_TEST(a_million_names)
{
    /* As one run without boundaries it would take for ever if a cut cost more than O(log n). */
    struct chance c;
    chance_init(&c, "a_million_names");
    const size_t n = 1000000;
    AUTO_NAMES names = {0};
    names.v = arena_array(&names.arena, n, struct bytes);
    uint64_t *numbers = arena_array(&names.arena, n, uint64_t);
    for (size_t i = 0; i < n;) {
        numbers[i] = chance_u64(&c);
        names.v[i] = bytes_of(&numbers[i], sizeof(numbers[i]));
        i += !page_boundary(names.v[i], 3);
    }
    names.n = n;
    uint32_t *cuts = cuts_for(&names);
    size_t n_cuts = page_split(names.v, n, 3, false, cuts);
    ck_assert_uint_gt(n_cuts, n * 52 / PAGE_CUT_OVER);
    for (size_t k = 0; k < n_cuts; k++) {
        size_t end = k + 1 < n_cuts ? cuts[k + 1] : n;
        ck_assert_uint_ge((end - cuts[k]) * 52, PAGE_LEAST);
        ck_assert_uint_le((end - cuts[k]) * 52, PAGE_CUT_OVER);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        few_names_are_one_page,
        boundaries_come_by_weight,
        boundaries_are_the_same_everywhere,
        random_names,
        pages_are_about_the_target,
        names_without_a_boundary,
        only_boundaries,
        monotone_hashes,
        a_prefix_with_an_open_end_is_cut_alike,
        from_a_boundary_cut_on_it_is_cut_alike,
        an_insertion_moves_cuts_in_its_run_only,
        a_million_names,
    };
    return suite_run("page_split", tests, ARRAY_LEN(tests));
}
