/* Results in memory, without a directory. */
#include "pipeline/derive/cache/result_cache.h"

#include "formats/base/hash.h"
#include "formats/blob.h"
#include "tests/support/result_rig.h"
#include "tests/support/suite.h"

#define ROOM ((size_t)8 * MIB)

static const size_t lengths[] = {0,
                                 1,
                                 100,
                                 4096,
                                 4097,
                                 RIG_CHUNK - 1,
                                 RIG_CHUNK,
                                 RIG_CHUNK + 1,
                                 2 * RIG_CHUNK,
                                 5 * RIG_CHUNK + 77};

START_TEST(what_is_put_is_got)
{
    struct result_cache *cache = result_rig_open(NULL, ROOM, 0);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        ck_assert_int_eq(result_rig_get(cache, i, lengths[i]), ERR_NOT_FOUND);
        struct hash hash = result_rig_put(cache, i, lengths[i], 10);
        ck_assert(result_has(cache, &rig_project, &hash, NULL));
        ck_assert(!result_has(cache, &rig_other, &hash, NULL));
        struct result_reader *r;
        ck_assert_int_eq(result_open(cache, &rig_other, &hash, &r), ERR_NOT_FOUND);
        ck_assert_int_eq(result_rig_get(cache, i, lengths[i]), OK);
        ck_assert_int_eq(result_rig_get(cache, i, lengths[i]), OK);
    }
    struct result_cache_stats stats = result_rig_stats(cache);
    ck_assert_uint_eq(stats.hits, 2 * ARRAY_LEN(lengths));
    ck_assert_uint_eq(stats.misses, 2 * ARRAY_LEN(lengths));
    ck_assert_uint_eq(stats.entries, ARRAY_LEN(lengths));
    ck_assert_uint_eq(stats.disk.entries, 0);
    ck_assert_uint_eq(stats.ram.entries, ARRAY_LEN(lengths));
    ck_assert_uint_gt(stats.ram.bytes, stats.bytes);
    result_cache_close(cache);
}
END_TEST

/* The manifest's hash is that of the manifest, and each chunk is found by its own. */
START_TEST(chunks_are_results_of_their_own)
{
    const size_t len = 3 * RIG_CHUNK + 5;
    AUTO_BUF content = {0};
    result_rig_content(1, len, &content);
    struct hash chunks[4];
    for (size_t i = 0; i < 4; i++)
        chunks[i] = sha256(bytes_of(content.data + i * RIG_CHUNK, i < 3 ? RIG_CHUNK : 5));
    struct manifest manifest = {.size = len,
                                .hash = sha256(buf_bytes(&content)),
                                .chunk_size = RIG_CHUNK,
                                .n = 4,
                                .chunks = chunks};
    AUTO_BUF encoded = {0};
    manifest_encode(&manifest, &encoded);
    struct hash wanted = sha256(buf_bytes(&encoded));

    struct result_cache *cache = result_rig_open(NULL, ROOM, 0);
    struct result result;
    ck_assert_int_eq(result_rig_try(cache, 1, len, 10, &result, NULL), OK);
    ck_assert(hash_equal(&result.chunks, &wanted));
    ck_assert_uint_eq(result.chunk_size, RIG_CHUNK);
    for (size_t i = 0; i < 4; i++) {
        struct result_reader *r;
        struct bytes view;
        ck_assert(result_has(cache, &rig_project, &chunks[i], NULL));
        ck_assert_int_eq(result_open(cache, &rig_project, &chunks[i], &r), OK);
        ck_assert(hash_equal(&result_of(r)->hash, &chunks[i]));
        ck_assert(hash_is_zero(&result_of(r)->chunks));
        ck_assert_uint_eq(result_bytes(r)->size, i < 3 ? RIG_CHUNK : 5);
        ck_assert_int_eq(result_bytes(r)->view(result_bytes(r), 2, &view), OK);
        ck_assert_int_eq(memcmp(view.data, content.data + i * RIG_CHUNK + 2, view.len), 0);
        result_close(r);
    }
    ck_assert_uint_eq(result_rig_stats(cache).entries, 1);
    result_cache_close(cache);
}
END_TEST

/* A writer that is asked for room exactly where a chunk ends has written one piece still. */
START_TEST(a_flush_at_the_end_of_a_chunk_adds_nothing)
{
    struct result_cache *cache = result_rig_open(NULL, ROOM, 0);
    struct result_writer *w;
    AUTO_BUF content = {0};
    result_rig_content(3, RIG_CHUNK, &content);
    ck_assert_int_eq(result_begin(cache, &rig_project, &w), OK);
    struct fn_out *out = result_out(w);
    ck_assert_int_eq(fn_put(out, buf_bytes(&content)), OK);
    ck_assert_int_eq(out->flush(out), OK);
    ck_assert_uint_gt(out->space, 0);
    struct result result;
    struct result_reader *r;
    ck_assert_int_eq(result_finish(w, 1, &result, &r), OK);
    ck_assert(hash_is_zero(&result.chunks));
    ck_assert_uint_eq(result.size, RIG_CHUNK);
    result_writer_close(w);
    ck_assert_int_eq(result_rig_read(r, 3, RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 3, RIG_CHUNK), OK);
    result_cache_close(cache);
}
END_TEST

START_TEST(what_is_not_finished_is_not_there)
{
    struct result_cache *cache = result_rig_open(NULL, ROOM, 0);
    AUTO_BUF content = {0};
    result_rig_content(4, (size_t)3 * RIG_CHUNK, &content);
    struct result_writer *w;
    ck_assert_int_eq(result_begin(cache, &rig_project, &w), OK);
    ck_assert_int_eq(fn_put(result_out(w), buf_bytes(&content)), OK);
    result_writer_close(w);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 0);
    ck_assert_int_eq(result_rig_get(cache, 4, (size_t)3 * RIG_CHUNK), ERR_NOT_FOUND);
    result_writer_close(NULL);
    result_close(NULL);
    result_cache_close(cache);
}
END_TEST

START_TEST(what_is_only_hashed_is_not_kept)
{
    struct result_cache *cache = result_rig_open(NULL, RIG_CHUNK, 0);
    const size_t len = 9 * RIG_CHUNK;
    AUTO_BUF content = {0};
    result_rig_content(5, len, &content);
    struct hash hash = sha256(buf_bytes(&content));
    struct result_writer *w;
    struct result result;
    struct result_reader *r;
    ck_assert_int_eq(result_begin(cache, NULL, &w), OK);
    ck_assert_int_eq(fn_put(result_out(w), buf_bytes(&content)), OK);
    ck_assert_int_eq(result_finish(w, 1, &result, &r), OK);
    ck_assert_ptr_null(r);
    ck_assert(hash_equal(&result.hash, &hash));
    ck_assert(!hash_is_zero(&result.chunks));
    result_writer_close(w);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 0);
    result_cache_close(cache);
}
END_TEST

/* Without a directory a result is no longer than the memory; one that has no place beside
 * others is served, and not kept. */
START_TEST(memory_is_the_limit)
{
    struct result_cache *cache = result_rig_open(NULL, 10 * RIG_CHUNK, 0);
    ck_assert_int_eq(result_rig_try(cache, 1, (size_t)12 * RIG_CHUNK, 1, NULL, NULL),
                     ERR_LIMIT);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 0);
    (void)result_rig_put(cache, 2, (size_t)6 * RIG_CHUNK, 1000000);
    struct result_reader *r;
    ck_assert_int_eq(result_rig_try(cache, 3, (size_t)6 * RIG_CHUNK, 10, NULL, &r), OK);
    ck_assert_int_eq(result_rig_get(cache, 3, (size_t)6 * RIG_CHUNK), ERR_NOT_FOUND);
    ck_assert_int_eq(result_rig_get(cache, 2, (size_t)6 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_read(r, 3, (size_t)6 * RIG_CHUNK), OK);
    ck_assert_uint_eq(result_rig_stats(cache).ram.evictions, 0);
    result_cache_close(cache);
}
END_TEST

/* What is cheap and large goes first; what is used often stays. */
START_TEST(evicted_by_what_they_save)
{
    struct result_cache *cache = result_rig_open(NULL, 8 * RIG_CHUNK, 0);
    (void)result_rig_put(cache, 1, (size_t)2 * RIG_CHUNK, 2000);
    (void)result_rig_put(cache, 2, (size_t)4 * RIG_CHUNK,
                         2000); /* as dear, and twice as large */
    (void)result_rig_put(cache, 3, (size_t)1 * RIG_CHUNK, 500);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(result_rig_get(cache, 3, RIG_CHUNK), OK);
    (void)result_rig_put(cache, 4, (size_t)2 * RIG_CHUNK, 5000);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)2 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 2, (size_t)4 * RIG_CHUNK), ERR_NOT_FOUND);
    ck_assert_int_eq(result_rig_get(cache, 3, RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 4, (size_t)2 * RIG_CHUNK), OK);
    ck_assert_uint_eq(result_rig_stats(cache).ram.evictions, 1);
    result_cache_close(cache);
}
END_TEST

START_TEST(open_while_it_is_evicted)
{
    struct result_cache *cache = result_rig_open(NULL, 8 * RIG_CHUNK, 0);
    struct result_reader *large;
    struct result_reader *small;
    struct hash first = result_rig_put(cache, 1, (size_t)4 * RIG_CHUNK, 1);
    struct hash second = result_rig_put(cache, 2, RIG_CHUNK, 1);
    ck_assert_int_eq(result_open(cache, &rig_project, &first, &large), OK);
    ck_assert_int_eq(result_open(cache, &rig_project, &second, &small), OK);
    (void)result_rig_put(cache, 3, (size_t)7 * RIG_CHUNK, 1000000);
    ck_assert(!result_has(cache, &rig_project, &first, NULL));
    ck_assert(!result_has(cache, &rig_project, &second, NULL));
    ck_assert_uint_eq(result_rig_stats(cache).entries, 1);
    ck_assert_int_eq(result_rig_read(large, 1, (size_t)4 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_read(small, 2, RIG_CHUNK), OK);
    result_cache_close(cache);
}
END_TEST

START_TEST(shared_while_it_is_evicted)
{
    struct result_cache *cache = result_rig_open(NULL, 8 * RIG_CHUNK, 0);
    struct result_reader *large;
    struct result_reader *small;
    struct hash first = result_rig_put(cache, 1, (size_t)4 * RIG_CHUNK, 1);
    struct hash second = result_rig_put(cache, 2, RIG_CHUNK, 1);
    ck_assert_int_eq(result_open(cache, &rig_project, &first, &large), OK);
    ck_assert_int_eq(result_open(cache, &rig_project, &second, &small), OK);
    (void)result_rig_put(cache, 3, (size_t)7 * RIG_CHUNK, 1000000);
    struct result_reader *others[] = {result_share(large), result_share(small)};
    result_close(large);
    result_close(small);
    ck_assert(hash_equal(&result_of(others[0])->hash, &first));
    ck_assert_int_eq(result_rig_read(others[0], 1, (size_t)4 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_read(others[1], 2, RIG_CHUNK), OK);
    result_cache_close(cache);
}
END_TEST

START_TEST(pinned_stay)
{
    struct result_cache *cache = result_rig_open(NULL, 8 * RIG_CHUNK, 0);
    struct hash hash = result_rig_put(cache, 1, (size_t)4 * RIG_CHUNK, 1);
    result_pin(cache, &rig_project, &hash);
    result_pin(cache, &rig_project, &hash);
    ck_assert_uint_eq(result_rig_stats(cache).pinned, 1);
    (void)result_rig_put(cache, 2, (size_t)7 * RIG_CHUNK, 1000000);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)4 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 2, (size_t)7 * RIG_CHUNK), ERR_NOT_FOUND);
    result_unpin(cache, &rig_project, &hash);
    result_unpin(cache, &rig_project, &hash);
    ck_assert_uint_eq(result_rig_stats(cache).pinned, 0);
    (void)result_rig_put(cache, 2, (size_t)7 * RIG_CHUNK, 1000000);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)4 * RIG_CHUNK), ERR_NOT_FOUND);
    ck_assert_int_eq(result_rig_get(cache, 2, (size_t)7 * RIG_CHUNK), OK);
    result_cache_close(cache);
}
END_TEST

/* A pin is about the hash: it holds for what comes later, and after a drop. */
START_TEST(pinned_before_it_is_there)
{
    struct result_cache *cache = result_rig_open(NULL, 8 * RIG_CHUNK, 0);
    AUTO_BUF content = {0};
    result_rig_content(1, 100, &content);
    struct hash hash = sha256(buf_bytes(&content));
    result_pin(cache, &rig_project, &hash);
    ck_assert_uint_eq(result_rig_stats(cache).pinned, 0);
    ck_assert_int_eq(result_rig_get(cache, 1, 100), ERR_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        (void)result_rig_put(cache, 1, 100, 1);
        ck_assert_uint_eq(result_rig_stats(cache).pinned, 1);
        (void)result_rig_put(cache, 2, (size_t)7 * RIG_CHUNK, 1000000);
        (void)result_rig_put(cache, 3, (size_t)7 * RIG_CHUNK, 2000000);
        ck_assert_int_eq(result_rig_get(cache, 1, 100), OK);
        ck_assert_uint_eq(result_drop(cache, &rig_project, &hash), 100);
        ck_assert_uint_eq(result_rig_stats(cache).pinned, 0);
        ck_assert_int_eq(result_rig_get(cache, 1, 100), ERR_NOT_FOUND);
    }
    result_cache_close(cache);
}
END_TEST

START_TEST(dropped_is_gone)
{
    struct result_cache *cache = result_rig_open(NULL, ROOM, 0);
    struct hash hash = result_rig_put(cache, 1, (size_t)4 * RIG_CHUNK, 1);
    struct result_reader *r;
    ck_assert_int_eq(result_open(cache, &rig_project, &hash, &r), OK);
    ck_assert_uint_eq(result_drop(cache, &rig_other, &hash), 0);
    ck_assert_uint_eq(result_drop(cache, &rig_project, &hash), 4 * RIG_CHUNK);
    ck_assert_uint_eq(result_drop(cache, &rig_project, &hash), 0);
    ck_assert_uint_eq(result_rig_stats(cache).ram.bytes, 0);
    ck_assert_uint_eq(result_rig_stats(cache).ram.evictions, 0);
    ck_assert_int_eq(result_rig_read(r, 1, (size_t)4 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)4 * RIG_CHUNK), ERR_NOT_FOUND);
    result_cache_close(cache);
}
END_TEST

/* What two runs gave is there once, and each has its bytes. */
START_TEST(finished_twice_is_there_once)
{
    struct result_cache *cache = result_rig_open(NULL, ROOM, 0);
    struct result_reader *a;
    struct result_reader *b;
    ck_assert_int_eq(result_rig_try(cache, 1, (size_t)2 * RIG_CHUNK, 1, NULL, &a), OK);
    ck_assert_int_eq(result_rig_try(cache, 1, (size_t)2 * RIG_CHUNK, 1, NULL, &b), OK);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 1);
    ck_assert_int_eq(result_rig_read(a, 1, (size_t)2 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_read(b, 1, (size_t)2 * RIG_CHUNK), OK);
    result_cache_close(cache);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_put_is_got,
        chunks_are_results_of_their_own,
        a_flush_at_the_end_of_a_chunk_adds_nothing,
        what_is_not_finished_is_not_there,
        what_is_only_hashed_is_not_kept,
        memory_is_the_limit,
        evicted_by_what_they_save,
        open_while_it_is_evicted,
        shared_while_it_is_evicted,
        pinned_stay,
        pinned_before_it_is_there,
        dropped_is_gone,
        finished_twice_is_there_once,
    };
    return suite_run("result_cache", tests, ARRAY_LEN(tests));
}
