#include "formats/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

static struct arena arena;

static struct record with_id(struct record record, uint8_t id)
{
    record.id = sample_id(id);
    return record;
}

static void assert_same(struct session a, struct session b)
{
    AUTO_BUF a_bytes = {0};
    AUTO_BUF b_bytes = {0};
    session_encode(&a, &a_bytes);
    session_encode(&b, &b_bytes);
    ck_assert(bytes_equal(buf_bytes(&a_bytes), buf_bytes(&b_bytes)));
}

START_TEST(a_union_by_record_id)
{
    struct session session = sample_session_empty("k", 41);
    struct record records[] = {
        with_id(sample_write(30, "a", "x"), 3),
        with_id(sample_start(20, "k", 41), 1),
        with_id(sample_delete(10, "b", sample_absent()), 2),
    };
    ck_assert_uint_eq(session_merge(&session, &arena, records, 3), 3);
    ck_assert_uint_eq(session.n_records, 3);
    for (size_t i = 0; i < 3; i++) {
        struct id16 id = sample_id((uint8_t)(i + 1));
        ck_assert(id16_equal(&session.records[i].id, &id));
    }
    ck_assert_uint_eq(session.base, 41);
    ck_assert_uint_eq(session.hlc_created, 20);
    ck_assert_uint_eq(session.hlc_updated, 30);
    ck_assert_uint_eq(session_merge(&session, &arena, records, 3), 0);
    ck_assert_uint_eq(session.n_records, 3);
    struct record more[] = {records[0], with_id(sample_write(40, "c", "x"), 0)};
    ck_assert_uint_eq(session_merge(&session, &arena, more, 2), 1);
    ck_assert_uint_eq(session.n_records, 4);
    ck_assert_uint_eq(session.hlc_updated, 40);
    ck_assert_uint_eq(session_merge(&session, &arena, NULL, 0), 0);
}
END_TEST

/* A retry with a later hlc must not beat a write that came between the two. */
START_TEST(of_two_copies_the_lower_hlc_counts)
{
    for (int first = 0; first < 2; first++) {
        struct record copies[] = {
            with_id(sample_write(10, "a", "one"), 1),
            with_id(sample_write(30, "a", "one"), 1),
        };
        struct record between = with_id(sample_write(20, "a", "two"), 2);
        struct session session = sample_session_empty("k", 41);
        (void)session_merge(&session, &arena, &copies[first], 1);
        (void)session_merge(&session, &arena, &between, 1);
        (void)session_merge(&session, &arena, &copies[1 - first], 1);
        ck_assert_uint_eq(session.n_records, 2);
        ck_assert_uint_eq(session.records[0].hlc, 10);
        ck_assert_uint_eq(session.hlc_updated, 20);
        struct session_view view;
        session_view(&session, &arena, &view);
        ck_assert_uint_eq(view.n_effects, 1);
        ck_assert(bytes_equal(view.effects[0].content.data, bytes_str("two")));
    }
}
END_TEST

/* Records under the id of somebody else's session: the start, which is public too, gives the id
 * of its owner's session only. */
START_TEST(a_start_of_another_session_is_dropped)
{
    struct record start = with_id(sample_start(10, "k", 41), 1);
    struct session mine = sample_session_empty("k", 41);
    struct session foreign = mine;
    foreign.owner = sample_id(0x77);
    struct session elsewhere = mine;
    elsewhere.project = sample_id(0x78);
    ck_assert_uint_eq(session_merge(&foreign, &arena, &start, 1), 0);
    ck_assert_uint_eq(session_merge(&elsewhere, &arena, &start, 1), 0);
    ck_assert_uint_eq(foreign.n_records, 0);
    ck_assert_uint_eq(foreign.hlc_created, 0);
    struct record others[] = {
        with_id(sample_start(10, "l", 41), 2),
        with_id(sample_start(10, "k", 42), 3),
        with_id(sample_start(10, "k", BASE_END), 4),
        with_id(sample_start(10, "k", 41 + BASE_END), 5),
    };
    ck_assert_uint_eq(session_merge(&mine, &arena, others, ARRAY_LEN(others)), 0);
    ck_assert_uint_eq(session_merge(&mine, &arena, &start, 1), 1);
    ck_assert_uint_eq(mine.hlc_created, 10);
}
END_TEST

START_TEST(requests_are_not_kept)
{
    struct session session = sample_session_empty("k", 41);
    struct record records[] = {
        {.id = sample_id(1), .hlc = 10, .kind = RECORD_LAND},
        {.id = sample_id(2), .hlc = 11, .kind = RECORD_ABANDON},
    };
    ck_assert_uint_eq(session_merge(&session, &arena, records, 2), 0);
    ck_assert_uint_eq(session.n_records, 0);
    ck_assert_uint_eq(session.hlc_updated, 0);
}
END_TEST

START_TEST(base_is_the_greatest_of_start_and_rebases)
{
    struct session session = sample_session_empty("k", 41);
    struct record records[] = {
        {.id = sample_id(1), .hlc = 10, .kind = RECORD_REBASE, .rebase = 60},
        {.id = sample_id(2), .hlc = 20, .kind = RECORD_REBASE, .rebase = 50},
        with_id(sample_start(5, "k", 41), 3),
        with_id(sample_write(30, "a", "x"), 4),
    };
    records[3].operation.base = 99;
    ck_assert_uint_eq(session_merge(&session, &arena, &records[1], 1), 1);
    ck_assert_uint_eq(session.base, 50);
    ck_assert_uint_eq(session_merge(&session, &arena, records, 4), 3);
    ck_assert_uint_eq(session.base, 60);
}
END_TEST

/* What comes late for a session that is answered must not change it, and must not open it
 * again. */
START_TEST(a_session_that_is_over_takes_no_more)
{
    static const enum session_state over[] = {SESSION_LANDED, SESSION_ABANDONED,
                                              SESSION_SETTLED};
    for (size_t i = 0; i < ARRAY_LEN(over); i++) {
        struct session session = sample_session_landed(&arena);
        session.state = over[i];
        struct session before = session;
        struct record late = with_id(sample_write(UINT64_MAX, "late", "x"), 1);
        ck_assert_uint_eq(session_merge(&session, &arena, &late, 1), 0);
        assert_same(session, before);
        ck_assert_int_eq(session.state, over[i]);
    }
}
END_TEST

#define POOL 40u

/* Records of all kinds, some of them copies with another hlc, some with the same hlc and other
 * bytes. */
static void pool_fill(struct record *pool)
{
    static const char *const paths[] = {"a", "b", "c/d", "c", "e"};
    for (size_t i = 0; i < POOL; i++) {
        uint64_t hlc = (uint64_t)(rand() % 20);
        const char *path = paths[rand() % 5];
        const char *text = rand() % 2 ? "one" : "two";
        switch (rand() % 8) {
        case 0:
            pool[i] = sample_start(hlc, "k", 41);
            break;
        case 1:
            pool[i] = sample_start(hlc, "foreign", 41);
            break;
        case 2:
            pool[i] = (struct record){.hlc = hlc, .kind = RECORD_REBASE, .rebase = hlc + 41};
            break;
        case 3:
            pool[i] = sample_guard(hlc, path, sample_absent());
            break;
        case 4:
            pool[i] = sample_rename(hlc, path, "target", text);
            break;
        case 5:
            pool[i] = (struct record){.hlc = hlc, .kind = RECORD_ABANDON};
            break;
        default:
            pool[i] = sample_write(hlc, path, text);
            break;
        }
        pool[i].id = sample_id((uint8_t)(rand() % 25));
    }
}

/* Merges the pool in a random order, in random pieces, some of them more than once, or through
 * sessions that were encoded and decoded in between. */
static struct session merge_somehow(struct record *pool)
{
    for (size_t i = POOL - 1; i > 0; i--) {
        size_t j = (size_t)rand() % (i + 1);
        struct record swapped = pool[i];
        pool[i] = pool[j];
        pool[j] = swapped;
    }
    struct session session = sample_session_empty("k", 41);
    for (size_t at = 0; at < POOL;) {
        size_t n = 1 + (size_t)rand() % 12;
        if (n > POOL - at)
            n = POOL - at;
        (void)session_merge(&session, &arena, pool + at, n);
        at += n;
        if (rand() % 3 == 0) {
            size_t from = (size_t)rand() % at;
            (void)session_merge(&session, &arena, pool + from, at - from);
        }
        if (rand() % 4 == 0) {
            struct buf bytes = {0};
            session_encode(&session, &bytes);
            struct bytes kept = arena_copy(&arena, buf_bytes(&bytes));
            buf_release(&bytes);
            ck_assert_int_eq(session_decode(kept, &arena, &session), OK);
        }
    }
    return session;
}

START_TEST(any_order_duplication_and_split_gives_the_same)
{
    const char *given = getenv("MIC_SEED");
    unsigned seed = given == NULL ? 20261121u : (unsigned)strtoul(given, NULL, 10);
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 200; round++) {
        struct record pool[POOL];
        pool_fill(pool);
        struct session all = sample_session_empty("k", 41);
        (void)session_merge(&all, &arena, pool, POOL);
        for (int again = 0; again < 5; again++)
            assert_same(all, merge_somehow(pool));

        /* Associative: two halves that were folded apart, then together. */
        struct session left = sample_session_empty("k", 41);
        struct session right = left;
        (void)session_merge(&left, &arena, pool, POOL / 2);
        (void)session_merge(&right, &arena, pool + POOL / 2, POOL / 2);
        (void)session_merge(&left, &arena, right.records, right.n_records);
        assert_same(all, left);
        arena_release(&arena);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_union_by_record_id,
        of_two_copies_the_lower_hlc_counts,
        a_start_of_another_session_is_dropped,
        requests_are_not_kept,
        base_is_the_greatest_of_start_and_rebases,
        a_session_that_is_over_takes_no_more,
        any_order_duplication_and_split_gives_the_same,
    };
    int failed = suite_run("session_fold", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
