#include "pipeline/repo/tree/page_cache.h"

#include <pthread.h>
#include <stdio.h>

#include "formats/base/hash.h"
#include "tests/support/suite.h"
#include "tests/support/tree_model.h"

static const struct id16 project = {{1}};
static const struct id16 other_project = {{2}};

/* A page of one file called `name`, and where it is said to lie. */
static struct location page_of(const char *name, uint64_t stamp, uint8_t tree, struct buf *out)
{
    struct entry e = model_file_entry(1);
    e.name = bytes_str(name);
    e.stamp = stamp;
    struct page page = {.n = 1, .entries = &e};
    out->len = 0;
    ck_assert_int_eq(page_encode(&page, out), 0);
    return (struct location){.place = PLACE_PAGE,
                             .tree = {{tree}},
                             .len = (uint32_t)out->len,
                             .check = page_hash(buf_bytes(out))};
}

static void add(struct held_cache *cache, const struct location *where, const struct buf *bytes)
{
    const struct page_held *held;
    ck_assert_int_eq(page_cache_add(cache, &project, where, buf_bytes(bytes), &held), 0);
    page_cache_drop(cache, held);
}

static bool has(struct held_cache *cache, const struct id16 *of, const struct location *where)
{
    const struct page_held *held = page_cache_find(cache, of, where);
    page_cache_drop(cache, held);
    return held != NULL;
}

START_TEST(a_page_is_found_again)
{
    struct held_cache *cache = page_cache_open(1 << 20);
    AUTO_BUF bytes = {0};
    struct location where = page_of("a", 5, 1, &bytes);
    ck_assert(!has(cache, &project, &where));
    const struct page_held *held;
    ck_assert_int_eq(page_cache_add(cache, &project, &where, buf_bytes(&bytes), &held), 0);
    memset(bytes.data, 0, bytes.len); /* it was copied */
    const struct page_held *again = page_cache_find(cache, &project, &where);
    ck_assert_ptr_eq(again, held);
    ck_assert_uint_eq(held->page.n, 1);
    ck_assert(bytes_equal(held->page.entries[0].name, bytes_str("a")));
    ck_assert_uint_eq(held->page.entries[0].stamp, 5);
    page_cache_drop(cache, held);
    page_cache_drop(cache, again);
    struct held_cache_stats stats = held_cache_stats(cache);
    ck_assert_uint_eq(stats.hits, 1);
    ck_assert_uint_eq(stats.misses, 1);
    ck_assert_uint_gt(stats.bytes, bytes.len);
    held_cache_close(cache);
}
END_TEST

START_TEST(projects_trees_and_stamps_are_told_apart)
{
    struct held_cache *cache = page_cache_open(1 << 20);
    AUTO_BUF bytes = {0};
    struct location where = page_of("a", 5, 1, &bytes);
    add(cache, &where, &bytes);
    ck_assert(has(cache, &project, &where));
    ck_assert(!has(cache, &other_project, &where));
    struct location elsewhere = where;
    elsewhere.tree.b[0] = 2;
    ck_assert(!has(cache, &project, &elsewhere));
    struct location restamped = page_of("a", 6, 1, &bytes);
    ck_assert(!has(cache, &project, &restamped));
    held_cache_close(cache);
}
END_TEST

START_TEST(bytes_of_another_hash_are_refused)
{
    struct held_cache *cache = page_cache_open(1 << 20);
    AUTO_BUF bytes = {0};
    struct location where = page_of("a", 5, 1, &bytes);
    const struct page_held *held = NULL;
    where.check.b[31] ^= 1;
    ck_assert_int_eq(page_cache_add(cache, &project, &where, buf_bytes(&bytes), &held),
                     ERR_CORRUPT);
    where.check.b[31] ^= 1;
    struct bytes shorter = bytes_of(bytes.data, bytes.len - 1);
    ck_assert_int_eq(page_cache_add(cache, &project, &where, shorter, &held), ERR_CORRUPT);
    /* The right hash of what is no page. */
    where.check = page_hash(bytes_str("no page"));
    ck_assert_int_eq(page_cache_add(cache, &project, &where, bytes_str("no page"), &held),
                     ERR_CORRUPT);
    ck_assert_ptr_null(held);
    ck_assert_uint_eq(held_cache_stats(cache).bytes, 0);
    held_cache_close(cache);
}
END_TEST

START_TEST(the_least_recently_used_goes_first)
{
    AUTO_BUF bytes = {0};
    struct location where[3] = {page_of("a", 1, 1, &bytes)};
    struct held_cache *cache = page_cache_open(1 << 20);
    add(cache, &where[0], &bytes);
    size_t one = held_cache_stats(cache).bytes;
    held_cache_close(cache);

    cache = page_cache_open(2 * one);
    add(cache, &where[0], &bytes);
    where[1] = page_of("b", 1, 1, &bytes);
    add(cache, &where[1], &bytes);
    ck_assert(has(cache, &project, &where[0]));
    where[2] = page_of("c", 1, 1, &bytes);
    add(cache, &where[2], &bytes);
    ck_assert(has(cache, &project, &where[0]));
    ck_assert(!has(cache, &project, &where[1]));
    ck_assert(has(cache, &project, &where[2]));
    ck_assert_uint_eq(held_cache_stats(cache).bytes, 2 * one);
    held_cache_close(cache);
}
END_TEST

START_TEST(what_is_held_outlives_the_cache_list)
{
    struct held_cache *cache = page_cache_open(1);
    AUTO_BUF bytes = {0};
    struct location where = page_of("a", 5, 1, &bytes);
    const struct page_held *held;
    ck_assert_int_eq(page_cache_add(cache, &project, &where, buf_bytes(&bytes), &held), 0);
    ck_assert(!has(cache, &project, &where));
    ck_assert_uint_eq(held_cache_stats(cache).bytes, 0);
    ck_assert(bytes_equal(held->page.entries[0].name, bytes_str("a")));
    page_cache_drop(cache, held);
    held_cache_close(cache);
}
END_TEST

#define WORKERS 4
#define ROUNDS  4000
#define PAGES   50

struct worker {
    struct held_cache *cache;
    unsigned number;
    unsigned wrong;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    AUTO_BUF bytes = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%u", (i * 7 + w->number * 13) % PAGES);
        struct location where = page_of(name, 1, 1, &bytes);
        const struct page_held *held = page_cache_find(w->cache, &project, &where);
        if (held == NULL &&
            page_cache_add(w->cache, &project, &where, buf_bytes(&bytes), &held) != 0) {
            w->wrong++;
            continue;
        }
        w->wrong += !bytes_equal(held->page.entries[0].name, bytes_str(name));
        page_cache_drop(w->cache, held);
    }
    return NULL;
}

START_TEST(many_threads_share_it)
{
    struct held_cache *cache = page_cache_open(8000); /* room for some of the pages */
    pthread_t threads[WORKERS];
    struct worker workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.cache = cache, .number = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(workers[i].wrong, 0);
    }
    ck_assert_uint_le(held_cache_stats(cache).bytes, 8000);
    held_cache_close(cache);
}
END_TEST

START_TEST(thousands_of_pages)
{
    struct held_cache *cache = page_cache_open(64 << 20);
    AUTO_BUF bytes = {0};
    char name[16];
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        struct location where = page_of(name, 1, 1, &bytes);
        add(cache, &where, &bytes);
    }
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        struct location where = page_of(name, 1, 1, &bytes);
        ck_assert(has(cache, &project, &where));
    }
    held_cache_close(cache);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_page_is_found_again,
        projects_trees_and_stamps_are_told_apart,
        bytes_of_another_hash_are_refused,
        the_least_recently_used_goes_first,
        what_is_held_outlives_the_cache_list,
        many_threads_share_it,
        thousands_of_pages,
    };
    return suite_run("page_cache", tests, ARRAY_LEN(tests));
}
