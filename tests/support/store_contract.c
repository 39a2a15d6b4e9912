#include "tests/support/store_contract.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/sys/clock.h"

#define MIB_64        (64u * 1024u * 1024u)
#define TIMEOUT_S     300
#define THREADS       8u
#define THREAD_ROUNDS 40u

/* Set before the tests, which run in processes of their own, are started. */
static const store_maker *makers;

static struct rig rig_open(int maker)
{
    struct rig rig = {0};
    makers[maker](&rig);
    return rig;
}

START_TEST(what_is_put_comes_back)
{
    AUTO_RIG rig = rig_open(_i);
    static const size_t sizes[] = {0, 1, 48, 4095, 4096, 16384, 65536, (1 << 20) + 1};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO_BUF data = {0};
        AUTO_BUF body = {0};
        char key[32];
        (void)snprintf(key, sizeof(key), "a/b/c-%zu", i);
        rig_expect_none(rig.store, key);
        rig_fill(&data, i, sizes[i]);
        buf_append(&body, "before", 6);
        ck_assert_int_eq(store_put(rig.store, key, buf_bytes(&data), PUT_ANY, NULL), OK);
        ck_assert_int_eq(store_get(rig.store, key, range_all(), &body, NULL, NULL), OK);
        ck_assert_uint_eq(body.len, 6 + data.len);
        ck_assert_int_eq(memcmp(body.data, "before", 6), 0);
        ck_assert(bytes_equal(bytes_of(body.data + 6, body.len - 6), buf_bytes(&data)));
    }
}
END_TEST

START_TEST(a_put_replaces_and_a_delete_removes)
{
    AUTO_RIG rig = rig_open(_i);
    rig_put(rig.store, "k", "long text");
    rig_put(rig.store, "k", "short");
    rig_expect(rig.store, "k", "short");
    ck_assert_int_eq(store_delete(rig.store, "k"), OK);
    rig_expect_none(rig.store, "k");
    ck_assert_int_eq(store_delete(rig.store, "k"), OK);
    ck_assert_int_eq(store_delete(rig.store, "never/was/there"), OK);
    rig_put(rig.store, "k", "again");
    rig_expect(rig.store, "k", "again");
}
END_TEST

static void expect_range(struct store *store, struct store_range range, const char *text)
{
    AUTO_BUF body = {0};
    uint64_t size = 0;
    ck_assert_int_eq(store_get(store, "digits", range, &body, NULL, &size), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str(text)));
    ck_assert_uint_eq(size, 10);
}

START_TEST(ranges)
{
    AUTO_RIG rig = rig_open(_i);
    AUTO_BUF body = {0};
    rig_put(rig.store, "digits", "0123456789");
    expect_range(rig.store, range_of(0, 3), "012");
    expect_range(rig.store, range_of(4, 2), "45");
    expect_range(rig.store, range_of(4, 0), "");
    expect_range(rig.store, range_of(8, 100), "89");
    expect_range(rig.store, range_of(0, UINT64_MAX), "0123456789");
    expect_range(rig.store, range_of(9, UINT64_MAX), "9");
    expect_range(rig.store, range_of(10, 5), "");
    expect_range(rig.store, range_suffix(3), "789");
    expect_range(rig.store, range_suffix(0), "");
    expect_range(rig.store, range_suffix(10), "0123456789");
    expect_range(rig.store, range_suffix(UINT64_MAX), "0123456789");
    expect_range(rig.store, range_none(), "");
    ck_assert_int_eq(store_get(rig.store, "digits", range_of(11, 1), &body, NULL, NULL),
                     ERR_INVALID);
    ck_assert_int_eq(store_get(rig.store, "digits", range_of(UINT64_MAX, 1), &body, NULL, NULL),
                     ERR_INVALID);
    ck_assert_int_eq(store_get(rig.store, "other", range_of(0, 1), &body, NULL, NULL),
                     ERR_NOT_FOUND);
    ck_assert_uint_eq(body.len, 0);
}
END_TEST

START_TEST(ranges_of_an_empty_object)
{
    AUTO_RIG rig = rig_open(_i);
    AUTO_BUF body = {0};
    rig_put(rig.store, "empty", "");
    const struct store_range good[] = {range_all(), range_of(0, 0), range_of(0, 9),
                                       range_suffix(9), range_none()};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t size = 7;
        ck_assert_int_eq(store_get(rig.store, "empty", good[i], &body, NULL, &size), OK);
        ck_assert_uint_eq(size, 0);
        ck_assert_uint_eq(body.len, 0);
    }
    ck_assert_int_eq(store_get(rig.store, "empty", range_of(1, 1), &body, NULL, NULL),
                     ERR_INVALID);
}
END_TEST

START_TEST(conditions)
{
    AUTO_RIG rig = rig_open(_i);
    struct etag one = {{0}};
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("0"), PUT_IF_MATCH, &one),
                     ERR_CONFLICT);
    rig_expect_none(rig.store, "k");
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("1"), PUT_IF_ABSENT, &one), OK);
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("x"), PUT_IF_ABSENT, NULL),
                     ERR_CONFLICT);
    rig_expect(rig.store, "k", "1");
    struct etag two = one;
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("2"), PUT_IF_MATCH, &two), OK);
    ck_assert_str_ne(one.s, two.s);
    struct etag stale = one;
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("y"), PUT_IF_MATCH, &stale),
                     ERR_CONFLICT);
    ck_assert_str_eq(stale.s, one.s);
    rig_expect(rig.store, "k", "2");
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("3"), PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("z"), PUT_IF_MATCH, &two),
                     ERR_CONFLICT);
    ck_assert_int_eq(store_delete(rig.store, "k"), OK);
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("z"), PUT_IF_MATCH, &two),
                     ERR_CONFLICT);
    ck_assert_int_eq(store_put(rig.store, "k", bytes_str("4"), PUT_IF_ABSENT, NULL), OK);
    rig_expect(rig.store, "k", "4");
}
END_TEST

START_TEST(etags_are_of_the_bytes)
{
    AUTO_RIG rig = rig_open(_i);
    static const size_t sizes[] = {0, 48, 16383, 16384, 16385, 100000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO_BUF data = {0};
        AUTO_BUF body = {0};
        rig_fill(&data, 1, sizes[i]);
        struct etag of_put = {{0}};
        ck_assert_int_eq(store_put(rig.store, "k", buf_bytes(&data), PUT_ANY, &of_put), OK);
        ck_assert_uint_gt(strlen(of_put.s), 0);
        const struct store_range ranges_of_it[] = {range_all(), range_of(0, 1), range_suffix(2),
                                                   range_none()};
        for (size_t j = 0; j < ARRAY_LEN(ranges_of_it); j++) {
            struct etag etag = {{0}};
            ck_assert_int_eq(store_get(rig.store, "k", ranges_of_it[j], &body, &etag, NULL),
                             OK);
            ck_assert_str_eq(etag.s, of_put.s);
        }
        struct store_op op = {
            .verb = STORE_GET, .key = "k", .range = range_all(), .body = &body};
        ck_assert_int_eq(store_one(rig.store, &op), OK);
        ck_assert_str_eq(op.etag.s, of_put.s);
        struct etag changed = {{0}};
        data.data[data.len / 2] ^= 1;
        ck_assert_int_eq(store_put(rig.store, "k", buf_bytes(&data), PUT_ANY, &changed), OK);
        ck_assert(sizes[i] == 0 || strcmp(changed.s, of_put.s) != 0);
    }
}
END_TEST

START_TEST(odd_keys_are_refused)
{
    AUTO_RIG rig = rig_open(_i);
    char longest[STORE_KEY_MAX + 2];
    char name[STORE_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof(longest); i++) {
        longest[i] = i % 2 == 0 ? 'k' : '/';
    }
    longest[STORE_KEY_MAX - 1] = 'k';
    longest[STORE_KEY_MAX] = 'k';
    longest[STORE_KEY_MAX + 1] = '\0';
    memset(name, 'n', sizeof(name));
    name[STORE_NAME_MAX + 1] = '\0';
    const char *const odd[] = {"",      "/",    "/a",          "a/",       "a//b", ".",
                               "..",    "a/..", "../a",        "a/.b",     ".a",   "a b",
                               "a\nb",  "a\\b", "a:b",         "\xc3\xa4", "a+b",  "a%2fb",
                               longest, name,   ".micelio/tmp"};
    AUTO_BUF body = {0};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        ck_assert(!store_key_ok(odd[i]));
        ck_assert_int_eq(store_put(rig.store, odd[i], bytes_str("x"), PUT_ANY, NULL),
                         ERR_INVALID);
        ck_assert_int_eq(store_get(rig.store, odd[i], range_all(), &body, NULL, NULL),
                         ERR_INVALID);
        ck_assert_int_eq(store_delete(rig.store, odd[i]), ERR_INVALID);
    }
    longest[STORE_KEY_MAX] = '\0';
    name[STORE_NAME_MAX] = '\0';
    const char *const good[] = {"A.-_z09", "a..", "-", "_/-/0", longest, name};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        rig_put(rig.store, good[i], "x");
        rig_expect(rig.store, good[i], "x");
    }
    struct arena arena = {0};
    struct store_list list;
    ck_assert_int_eq(store_list(rig.store, &arena, "../", "", 9, &list), ERR_INVALID);
    ck_assert_int_eq(store_list(rig.store, &arena, "a//", "", 9, &list), ERR_INVALID);
    ck_assert_int_eq(store_list(rig.store, &arena, "", "", 9, &list), OK);
    ck_assert_uint_eq(list.n, ARRAY_LEN(good));
    arena_release(&arena);
}
END_TEST

START_TEST(lists_are_in_the_order_of_bytes)
{
    AUTO_RIG rig = rig_open(_i);
    /* Sorted. A folder's name compares with its slash: behind '-' and '.', before digits. */
    static const char *const keys[] = {"a-/x", "a-b", "a.b",     "a/-",  "a/b/c",
                                       "a/b0", "a0",  "b/c/d/e", "b/c0", "c"};
    size_t n = ARRAY_LEN(keys);
    rig_expect_list(rig.store, "", "", 100, NULL, 0, false);
    for (size_t i = 0; i < n; i++) {
        size_t at = i * 7 % n; /* in no order */
        rig_put(rig.store, keys[at], keys[at]);
    }
    rig_expect_list(rig.store, "", "", 100, keys, n, false);
    rig_expect_list(rig.store, "", "", n, keys, n, false);
    rig_expect_list(rig.store, "", "", n - 1, keys, n - 1, true);
    rig_expect_list(rig.store, "", "", 0, NULL, 0, true);
    rig_expect_list(rig.store, "a", "", 100, keys, 7, false);
    rig_expect_list(rig.store, "a/", "", 100, keys + 3, 3, false);
    rig_expect_list(rig.store, "a/b", "", 100, keys + 4, 2, false);
    rig_expect_list(rig.store, "a/b/", "", 100, keys + 4, 1, false);
    rig_expect_list(rig.store, "a/b/c", "", 100, keys + 4, 1, false);
    rig_expect_list(rig.store, "a/b/c", "a/b/c", 100, NULL, 0, false);
    rig_expect_list(rig.store, "a/b/c/", "", 100, NULL, 0, false);
    rig_expect_list(rig.store, "c/", "", 100, NULL, 0, false);
    rig_expect_list(rig.store, "zz/y", "", 100, NULL, 0, false);
    rig_expect_list(rig.store, "", "a/b/c", 2, keys + 5, 2, true);
    rig_expect_list(rig.store, "", "a/b", 1, keys + 4, 1, true);
    rig_expect_list(rig.store, "", "b", 100, keys + 7, 3, false);
    rig_expect_list(rig.store, "b", "a", 100, keys + 7, 2, false);
    rig_expect_list(rig.store, "a", "b", 100, NULL, 0, false);
    rig_expect_list(rig.store, "", "zzz", 100, NULL, 0, false);
    ck_assert_int_eq(store_delete(rig.store, "b/c/d/e"), OK);
    rig_expect_list(rig.store, "b/c/", "", 100, NULL, 0, false);
    rig_expect_list(rig.store, "b", "", 100, keys + 8, 1, false);
}
END_TEST

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A key out of few letters, no part of which is a whole other key: its last component ends in
 * 'k', others never do. */
static void random_key(struct rng *rng, char *out)
{
    static const char letters[] = "a-.0Z";
    size_t len = 0;
    for (uint64_t depth = rng_below(rng, 3) + 1; depth > 0; depth--) {
        out[len++] = "aZ0"[rng_below(rng, 3)];
        for (uint64_t more = rng_below(rng, 3); more > 0; more--) {
            out[len++] = letters[rng_below(rng, 5)];
        }
        out[len++] = depth > 1 ? '/' : 'k';
    }
    out[len] = '\0';
}

static void expect_like_model(struct store *store, char *const *keys, size_t n,
                              const char *prefix, const char *after, size_t max)
{
    const char *want[64];
    size_t found = 0;
    size_t all = 0;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(keys[i], prefix, strlen(prefix)) == 0 && strcmp(keys[i], after) > 0) {
            if (found < max) {
                want[found++] = keys[i];
            }
            all++;
        }
    }
    rig_expect_list(store, prefix, after, max, want, found, all > found);
}

START_TEST(lists_are_like_a_model)
{
    AUTO_RIG rig = rig_open(_i);
    struct rng_seeded rng;
    rig_seed(&rng);
    struct arena arena = {0};
    char *keys[60];
    size_t n = 0;
    while (n < ARRAY_LEN(keys)) {
        char key[32];
        random_key(&rng.rng, key);
        keys[n] = arena_str(&arena, bytes_str(key));
        if (store_put(rig.store, key, bytes_str(key), PUT_IF_ABSENT, NULL) == OK) {
            n++;
        }
    }
    qsort(keys, n, sizeof(keys[0]), compare_strings);
    for (int round = 0; round < 2000; round++) {
        char prefix[32];
        char after[32];
        (void)snprintf(prefix, sizeof(prefix), "%s", keys[rng_below(&rng.rng, n)]);
        prefix[rng_below(&rng.rng, strlen(prefix) + 1)] = '\0';
        (void)snprintf(after, sizeof(after), "%s", keys[rng_below(&rng.rng, n)]);
        if (rng_below(&rng.rng, 2) == 0) {
            after[rng_below(&rng.rng, strlen(after) + 1)] = '\0';
        }
        expect_like_model(rig.store, keys, n, prefix, after, rng_below(&rng.rng, 12));
    }
    arena_release(&arena);
}
END_TEST

START_TEST(a_list_gives_a_thousand_at_most)
{
    AUTO_RIG rig = rig_open(_i);
    struct arena arena = {0};
    size_t n = STORE_LIST_MAX + 5;
    struct store_op *ops = arena_array(&arena, n, struct store_op);
    for (size_t i = 0; i < n; i++) {
        ops[i] =
            (struct store_op){.verb = STORE_PUT, .key = arena_printf(&arena, "q/%06zu", i)};
    }
    ck_assert_int_eq(store_many(rig.store, ops, n), OK);
    struct store_list list;
    ck_assert_int_eq(store_list(rig.store, &arena, "q/", "", SIZE_MAX, &list), OK);
    ck_assert_uint_eq(list.n, STORE_LIST_MAX);
    ck_assert(list.more);
    const char *last = list.keys[list.n - 1].key;
    ck_assert_int_eq(store_list(rig.store, &arena, "q/", last, SIZE_MAX, &list), OK);
    ck_assert_uint_eq(list.n, 5);
    ck_assert(!list.more);
    ck_assert_str_eq(list.keys[4].key, "q/001004");
    arena_release(&arena);
}
END_TEST

START_TEST(many_gives_each_its_own_answer)
{
    AUTO_RIG rig = rig_open(_i);
    rig_put(rig.store, "there", "old");
    rig_put(rig.store, "gone", "old");
    AUTO_BUF one = {0};
    AUTO_BUF two = {0};
    AUTO_BUF three = {0};
    struct store_op ops[] = {
        {.verb = STORE_GET, .key = "there", .range = range_all(), .body = &one},
        {.verb = STORE_PUT, .key = "new/a", .data = bytes_str("A")},
        {.verb = STORE_GET, .key = "missing", .range = range_all(), .body = &two},
        {.verb = STORE_GET, .key = "bad//key", .range = range_all(), .body = &two},
        {.verb = STORE_PUT, .key = "new/b", .condition = PUT_IF_ABSENT, .data = bytes_str("B")},
        {.verb = STORE_PUT, .key = "gone2", .condition = PUT_IF_MATCH, .data = bytes_str("x")},
        {.verb = STORE_DELETE, .key = "gone"},
        {.verb = STORE_GET, .key = "there", .range = range_suffix(1), .body = &three},
    };
    static const int want[] = {OK, OK, ERR_NOT_FOUND, ERR_INVALID, OK, ERR_CONFLICT, OK, OK};
    ck_assert_int_eq(store_many(rig.store, ops, ARRAY_LEN(ops)), ERR_NOT_FOUND);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        ck_assert_int_eq(ops[i].err, want[i]);
    }
    ck_assert(bytes_equal(buf_bytes(&one), bytes_str("old")));
    ck_assert_uint_eq(two.len, 0);
    ck_assert(bytes_equal(buf_bytes(&three), bytes_str("d")));
    ck_assert_uint_eq(ops[7].size, 3);
    rig_expect(rig.store, "new/a", "A");
    rig_expect(rig.store, "new/b", "B");
    rig_expect_none(rig.store, "gone");
    struct etag etag = ops[1].etag;
    ck_assert_int_eq(store_put(rig.store, "new/a", bytes_str("C"), PUT_IF_MATCH, &etag), OK);
    ck_assert_int_eq(store_many(rig.store, ops, 0), OK);
    ck_assert_int_eq(store_many(rig.store, &ops[3], 1), ERR_INVALID);
}
END_TEST

START_TEST(many_of_hundreds)
{
    AUTO_RIG rig = rig_open(_i);
    struct arena arena = {0};
    enum { N = 300 };
    struct store_op *ops = arena_array(&arena, N, struct store_op);
    struct buf *bodies = arena_array(&arena, N, struct buf);
    for (size_t i = 0; i < N; i++) {
        char *key = arena_printf(&arena, "many/%zu/%zu", i % 7, i);
        ops[i] = (struct store_op){.verb = STORE_PUT, .key = key, .data = bytes_str(key)};
        ops[i].condition = PUT_IF_ABSENT;
    }
    ck_assert_int_eq(store_many(rig.store, ops, N), OK);
    for (size_t i = 0; i < N; i++) {
        ops[i] = (struct store_op){.verb = STORE_GET, .key = ops[i].key, .body = &bodies[i]};
    }
    ck_assert_int_eq(store_many(rig.store, ops, N), OK);
    for (size_t i = 0; i < N; i++) {
        ck_assert(bytes_equal(buf_bytes(&bodies[i]), bytes_str(ops[i].key)));
        buf_release(&bodies[i]);
        ops[i] = (struct store_op){.verb = STORE_DELETE, .key = ops[i].key};
    }
    ck_assert_int_eq(store_many(rig.store, ops, N), OK);
    rig_expect_list(rig.store, "many/", "", 10, NULL, 0, false);
    arena_release(&arena);
}
END_TEST

START_TEST(a_big_object)
{
    AUTO_RIG rig = rig_open(_i);
    AUTO_BUF data = {0};
    AUTO_BUF body = {0};
    rig_fill(&data, 64, MIB_64);
    struct etag etag;
    ck_assert_int_eq(store_put(rig.store, "big", buf_bytes(&data), PUT_IF_ABSENT, &etag), OK);
    struct etag back;
    ck_assert_int_eq(store_get(rig.store, "big", range_all(), &body, &back, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&data), buf_bytes(&body)));
    ck_assert_str_eq(etag.s, back.s);
    buf_clear(&body);
    ck_assert_int_eq(store_get(rig.store, "big", range_of(MIB_64 - 9, 99), &body, &back, NULL),
                     OK);
    ck_assert_uint_eq(body.len, 9);
    ck_assert_str_eq(etag.s, back.s);
}
END_TEST

START_TEST(the_date_is_one_of_milliseconds)
{
    AUTO_RIG rig = rig_open(_i);
    rig_put(rig.store, "k", "x");
    uint64_t now = clock_system()->wall_ms(clock_system());
    uint64_t date = store_date_ms(rig.store);
    ck_assert(date == 0 || (date + 60000 > now && date < now + 60000));
}
END_TEST

static uint64_t put_ms_of(struct store *store, const char *key)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    ck_assert_int_eq(store_list(store, &arena, key, "", 1, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    return list.keys[0].put_ms;
}

/* Who tells the date tells of each object when it was put, by the same clock, to the second at
 * least; putting the same bytes again renews it. */
START_TEST(a_list_tells_when_an_object_was_put)
{
    AUTO_RIG rig = rig_open(_i);
    rig_put(rig.store, "k", "x");
    uint64_t first = put_ms_of(rig.store, "k");
    uint64_t date = store_date_ms(rig.store);
    ck_assert(date == 0 ? first == 0 : first + 60000 > date && first < date + 60000);
    if (date == 0)
        return;
    uint64_t again = first;
    for (unsigned i = 0; i < 5000 && again == first; i++) {
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
        rig_put(rig.store, "k", "x");
        again = put_ms_of(rig.store, "k");
    }
    ck_assert_uint_gt(again, first);
}
END_TEST

/* ---- races ---- */

static void *thread_count_up(void *store)
{
    rig_count_up(store, THREAD_ROUNDS);
    return NULL;
}

static void run_threads(void *(*run)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run, arg), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}

START_TEST(threads_lose_no_increment)
{
    AUTO_RIG rig = rig_open(_i);
    rig_put_zero(rig.store);
    run_threads(thread_count_up, rig.store);
    rig_expect_number(rig.store, THREADS * THREAD_ROUNDS);
}
END_TEST

struct absent_race {
    struct store *store;
    _Atomic unsigned winners;
};

static void *thread_put_if_absent(void *arg)
{
    struct absent_race *race = arg;
    for (int i = 0; i < 20; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "new%d/race", i);
        int err = store_put(race->store, key, bytes_str("x"), PUT_IF_ABSENT, NULL);
        ck_assert(err == OK || err == ERR_CONFLICT);
        atomic_fetch_add(&race->winners, err == OK);
    }
    return NULL;
}

START_TEST(threads_that_put_if_absent_have_one_winner)
{
    AUTO_RIG rig = rig_open(_i);
    struct absent_race race = {.store = rig.store};
    run_threads(thread_put_if_absent, &race);
    ck_assert_uint_eq(atomic_load(&race.winners), 20);
}
END_TEST

/* Puts, gets, lists and deletes in a few folders, so that folders are empty again and again. */
static void *thread_put_and_delete(void *store)
{
    static _Atomic unsigned next;
    unsigned me = atomic_fetch_add(&next, 1);
    struct arena arena = {0};
    for (int i = 0; i < 15; i++) {
        char key[64];
        struct store_list list;
        (void)snprintf(key, sizeof(key), "busy/%d/%u", i % 3, me);
        rig_put(store, key, key);
        rig_expect(store, key, key);
        ck_assert_int_eq(store_list(store, &arena, "busy/", "", 100, &list), OK);
        bool listed = false;
        for (size_t j = 0; j < list.n; j++) {
            listed = listed || strcmp(list.keys[j].key, key) == 0;
        }
        ck_assert(listed);
        ck_assert_int_eq(store_delete(store, key), OK);
        rig_expect_none(store, key);
    }
    arena_release(&arena);
    return NULL;
}

START_TEST(threads_put_and_delete_in_one_folder)
{
    AUTO_RIG rig = rig_open(_i);
    run_threads(thread_put_and_delete, rig.store);
    rig_expect_list(rig.store, "busy", "", 10, NULL, 0, false);
}
END_TEST

START_TEST(readers_see_whole_objects_only)
{
    AUTO_RIG rig = rig_open(_i);
    uint8_t data[90000];
    pthread_t reader;
    struct rig_replacing replacing = {.store = rig.store};
    for (int i = 0; i < 40; i++) {
        size_t len = i % 2 == 0 ? 50000 : 90000;
        memset(data, i % 2 == 0 ? 5 : 9, len);
        ck_assert_int_eq(store_put(rig.store, "k", bytes_of(data, len), PUT_ANY, NULL), OK);
        if (i == 0) {
            ck_assert_int_eq(pthread_create(&reader, NULL, rig_read_whole, &replacing), 0);
        }
    }
    atomic_store(&replacing.done, true);
    ck_assert_int_eq(pthread_join(reader, NULL), 0);
}
END_TEST

int store_contract_run(const char *noun, const store_maker *given, size_t n)
{
    makers = given;
    const TTest *const tests[] = {
        what_is_put_comes_back,
        a_put_replaces_and_a_delete_removes,
        ranges,
        ranges_of_an_empty_object,
        conditions,
        etags_are_of_the_bytes,
        odd_keys_are_refused,
        lists_are_in_the_order_of_bytes,
        lists_are_like_a_model,
        a_list_gives_a_thousand_at_most,
        many_gives_each_its_own_answer,
        many_of_hundreds,
        a_big_object,
        the_date_is_one_of_milliseconds,
        a_list_tells_when_an_object_was_put,
        threads_lose_no_increment,
        threads_that_put_if_absent_have_one_winner,
        threads_put_and_delete_in_one_folder,
        readers_see_whole_objects_only,
    };
    Suite *suite = suite_create(noun);
    TCase *tcase = tcase_create(noun);
    tcase_set_timeout(tcase, TIMEOUT_S);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        tcase_add_loop_test(tcase, tests[i], 0, (int)n);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
