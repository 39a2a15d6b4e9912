#include "pipeline/repo/repo.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/store/mem.h"
#include "tests/support/suite.h"

static uint64_t wall_ms;

static uint64_t test_wall(struct clock *clock UNUSED)
{
    return wall_ms;
}

static struct clock test_clock = {.wall_ms = test_wall};

static const struct repo_options options = {
    .page_cache_bytes = MIB, .shards = 4, .chunk_size = CHUNK_SIZE_DEFAULT};

START_TEST(the_first_makes_the_bucket_and_the_others_read_it)
{
    struct store *store = mem_store_open();
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    struct repo first;
    ck_assert_int_eq(repo_open(&first, store, &test_clock, &rng.rng, &options), 0);
    struct repo_options others = options;
    others.shards = 9;
    others.chunk_size = 2 * CHUNK_SIZE_DEFAULT;
    struct repo second;
    ck_assert_int_eq(repo_open(&second, store, &test_clock, &rng.rng, &others), 0);
    ck_assert(!id16_is_zero(&first.bucket.id));
    ck_assert(id16_equal(&first.bucket.id, &second.bucket.id));
    ck_assert_uint_eq(second.bucket.shards, 4);
    ck_assert_uint_eq(second.bucket.chunk_size, CHUNK_SIZE_DEFAULT);
    ck_assert_uint_ne(first.agent, second.agent);
    repo_close(&first);
    repo_close(&second);
    store_close(store);
}
END_TEST

START_TEST(a_bucket_that_is_damaged_is_not_made_again)
{
    struct store *store = mem_store_open();
    struct key key = key_bucket();
    ck_assert_int_eq(store_put(store, key.s, bytes_str("not a bucket"), PUT_ANY, NULL), 0);
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    struct repo repo;
    ck_assert_int_eq(repo_open(&repo, store, &test_clock, &rng.rng, &options), ERR_CORRUPT);
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_get(store, key.s, range_all(), &body, NULL, NULL), 0);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("not a bucket")));
    store_close(store);
}
END_TEST

START_TEST(settings_that_no_bucket_can_have_are_refused)
{
    struct store *store = mem_store_open();
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    struct repo repo;
    struct repo_options bad = options;
    bad.shards = 0;
    ck_assert_int_eq(repo_open(&repo, store, &test_clock, &rng.rng, &bad), ERR_INVALID);
    bad = options;
    bad.chunk_size = CHUNK_SIZE_MAX + 1;
    ck_assert_int_eq(repo_open(&repo, store, &test_clock, &rng.rng, &bad), ERR_INVALID);
    store_close(store);
}
END_TEST

START_TEST(stamps_only_grow)
{
    struct store *store = mem_store_open();
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    wall_ms = 1000000;
    struct repo repo;
    ck_assert_int_eq(repo_open(&repo, store, &test_clock, &rng.rng, &options), 0);
    uint64_t last = repo_hlc(&repo);
    ck_assert_uint_eq(hlc_ms(last), wall_ms);
    wall_ms -= 500; /* a clock that is set back */
    uint64_t next = repo_hlc(&repo);
    ck_assert_uint_gt(next, last);
    uint64_t seen = hlc_make(wall_ms + 5000, 7);
    repo_hlc_seen(&repo, seen);
    ck_assert_uint_gt(repo_hlc(&repo), seen);
    repo_hlc_seen(&repo, 1);
    ck_assert_uint_gt(repo_hlc(&repo), seen);
    repo_close(&repo);
    store_close(store);
}
END_TEST

/* A store with a clock of its own: 0 until it has answered. */
struct dated {
    struct store store;
    struct store *below;
    uint64_t ms;
};

static int dated_one(struct store *store, struct store_op *op)
{
    struct store *below = ((struct dated *)store)->below;
    return below->calls->one(below, op);
}

static uint64_t dated_ms(struct store *store)
{
    return ((struct dated *)store)->ms;
}

START_TEST(a_clock_that_is_off_is_noticed)
{
    static const struct store_calls calls = {
        .name = "dated", .one = dated_one, .date_ms = dated_ms};
    struct dated dated = {.store = {&calls}, .below = mem_store_open()};
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    wall_ms = 1000;
    struct repo repo;
    ck_assert_int_eq(repo_open(&repo, &dated.store, &test_clock, &rng.rng, &options), 0);
    ck_assert_int_eq(repo_clock_ok(&repo), 0);
    dated.ms = 1800000000000u;
    ck_assert_int_eq(repo_clock_ok(&repo), ERR_AGAIN);
    wall_ms = dated.ms + CLOCK_SKEW_MAX_MS;
    ck_assert_int_eq(repo_clock_ok(&repo), 0);
    wall_ms++;
    ck_assert_int_eq(repo_clock_ok(&repo), ERR_AGAIN);
    wall_ms = dated.ms - CLOCK_SKEW_MAX_MS;
    ck_assert_int_eq(repo_clock_ok(&repo), 0);
    wall_ms--;
    ck_assert_int_eq(repo_clock_ok(&repo), ERR_AGAIN);
    repo_close(&repo);
    store_close(dated.below);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_first_makes_the_bucket_and_the_others_read_it,
        a_bucket_that_is_damaged_is_not_made_again,
        settings_that_no_bucket_can_have_are_refused,
        stamps_only_grow,
        a_clock_that_is_off_is_noticed,
    };
    return suite_run("repo", tests, ARRAY_LEN(tests));
}
