/* Many threads put, read, pin and drop the same few results, in a cache that has room for some
 * of them. */
#include <pthread.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "tests/support/chance.h"
#include "tests/support/folder.h"
#include "tests/support/result_files.h"
#include "tests/support/result_rig.h"
#include "tests/support/suite.h"

#define THREADS 6u
#define ROUNDS  250u
#define RESULTS 24u

static struct result_cache *cache;
static struct hash hashes[RESULTS];

static size_t length_of(uint64_t seed)
{
    static const size_t lengths[] = {40, 3000, RIG_CHUNK, (size_t)3 * RIG_CHUNK + 1};
    return lengths[seed % ARRAY_LEN(lengths)];
}

/* Opens two, and reads them in turn. */
static void read_two(struct chance *chance)
{
    struct result_reader *readers[2] = {NULL, NULL};
    uint64_t seeds[2];
    for (size_t i = 0; i < 2; i++) {
        seeds[i] = chance_below(chance, RESULTS);
        int err = result_open(cache, &rig_project, &hashes[seeds[i]], &readers[i]);
        ck_assert(err == OK || err == ERR_NOT_FOUND);
        if (err != OK)
            readers[i] = NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        if (readers[i] != NULL)
            ck_assert_int_eq(result_rig_read(readers[i], seeds[i], length_of(seeds[i])), OK);
    }
}

static void put(struct chance *chance)
{
    uint64_t seed = chance_below(chance, RESULTS);
    uint64_t cost_us = chance_below(chance, 1000);
    struct result_reader *r;
    ck_assert_int_eq(result_rig_try(cache, seed, length_of(seed), cost_us, NULL, &r), OK);
    ck_assert_int_eq(result_rig_read(r, seed, length_of(seed)), OK);
}

static void *play(void *arg)
{
    struct chance chance = {.state = *(const uint64_t *)arg};
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct hash *hash = &hashes[chance_below(&chance, RESULTS)];
        uint64_t what = chance_below(&chance, 12);
        if (what < 4)
            put(&chance);
        else if (what < 8)
            read_two(&chance);
        else if (what == 8)
            result_pin(cache, &rig_project, hash);
        else if (what < 11)
            result_unpin(cache, &rig_project, hash);
        else
            (void)result_drop(cache, &rig_project, hash);
    }
    return NULL;
}

static void run(const char *dir, size_t ram_bytes, uint64_t disk_bytes)
{
    struct chance chance;
    chance_init(&chance, "threads");
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    for (uint64_t i = 0; i < RESULTS; i++) {
        AUTO_BUF content = {0};
        result_rig_content(i, length_of(i), &content);
        hashes[i] = sha256(buf_bytes(&content));
    }
    cache = result_rig_open(dir, ram_bytes, disk_bytes);
    for (size_t i = 0; i < THREADS; i++) {
        seeds[i] = chance_u64(&chance);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, play, &seeds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < RESULTS; i++)
        result_unpin(cache, &rig_project, &hashes[i]);
    struct result_cache_stats stats = result_rig_stats(cache);
    ck_assert_uint_eq(stats.damaged, 0);
    ck_assert_uint_eq(stats.unkept, 0);
    ck_assert_uint_eq(stats.pinned, 0);
    ck_assert_uint_le(stats.ram.bytes, ram_bytes);
    ck_assert_uint_le(stats.disk.bytes, disk_bytes);
    ck_assert_uint_gt(stats.entries, 0);
    if (dir != NULL) {
        ck_assert_uint_eq(result_files_count(dir), stats.disk.entries);
        ck_assert_uint_eq(result_files_fresh(dir), 0);
    }
    for (uint64_t i = 0; i < RESULTS; i++) {
        int err = result_rig_get(cache, i, length_of(i));
        ck_assert(err == OK || err == ERR_NOT_FOUND);
        (void)result_drop(cache, &rig_project, &hashes[i]);
    }
    stats = result_rig_stats(cache);
    ck_assert_uint_eq(stats.entries, 0);
    ck_assert_uint_eq(stats.bytes, 0);
    ck_assert_uint_eq(stats.ram.bytes, 0);
    ck_assert_uint_eq(stats.disk.bytes, 0);
    result_cache_close(cache);
}

START_TEST(in_memory)
{
    run(NULL, 12 * RIG_CHUNK, 0);
}
END_TEST

START_TEST(in_files)
{
    char dir[] = "/tmp/mic-result-XXXXXX";
    folder_make(dir);
    run(dir, 100, 12 * RIG_CHUNK);
    folder_remove(dir);
}
END_TEST

START_TEST(in_both)
{
    char dir[] = "/tmp/mic-result-XXXXXX";
    folder_make(dir);
    run(dir, 20 * RIG_CHUNK, 12 * RIG_CHUNK);
    folder_remove(dir);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {in_memory, in_files, in_both};
    return suite_run("result_threads", tests, ARRAY_LEN(tests));
}
