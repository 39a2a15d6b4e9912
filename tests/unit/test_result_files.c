/* Results in a directory: found again, read in bounded memory, evicted while they are read. */
#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "tests/support/faulty_files.h"
#include "tests/support/folder.h"
#include "tests/support/result_files.h"
#include "tests/support/result_rig.h"
#include "tests/support/suite.h"

#define ROOM   ((uint64_t)64 * MIB)
#define MEMORY ((size_t)8 * MIB)
/* In memory one result may take a sixteenth of this: nothing stays there. */
#define NO_MEMORY ((size_t)100)

static const size_t lengths[] = {0, 1, 5000, RIG_CHUNK, RIG_CHUNK + 1, 20 * RIG_CHUNK + 3};

static char dir[] = "/tmp/mic-result-XXXXXX";

static void setup(void)
{
    folder_make(dir);
}

static void teardown(void)
{
    folder_remove(dir);
}

static void with_files(void (*test)(void))
{
    setup();
    test();
    teardown();
}

/* ---- found again ---- */

static void found_again(void)
{
    struct result_cache *cache = result_rig_open(dir, MEMORY, ROOM);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        (void)result_rig_put(cache, i, lengths[i], 10);
    struct result_cache_stats before = result_rig_stats(cache);
    ck_assert_uint_eq(before.disk.entries, ARRAY_LEN(lengths));
    ck_assert_uint_eq(result_files_count(dir), ARRAY_LEN(lengths));
    result_cache_close(cache);
    ck_assert_uint_eq(result_files_fresh(dir), 0);

    for (int memory = 0; memory < 2; memory++) {
        cache = result_rig_open(dir, memory ? MEMORY : NO_MEMORY, ROOM);
        struct result_cache_stats after = result_rig_stats(cache);
        ck_assert_uint_eq(after.disk.entries, before.disk.entries);
        ck_assert_uint_eq(after.disk.bytes, before.disk.bytes);
        ck_assert_uint_eq(after.bytes, before.bytes);
        ck_assert_uint_eq(after.ram.entries, 0);
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            ck_assert_int_eq(result_rig_get(cache, i, lengths[i]), OK);
            ck_assert_int_eq(result_rig_get(cache, i, lengths[i]), OK);
        }
        /* What has more than a sixteenth of the memory is read from its file again. */
        ck_assert_uint_eq(result_rig_stats(cache).ram.entries, memory ? ARRAY_LEN(lengths) : 0);
        ck_assert_uint_eq(result_rig_stats(cache).damaged, 0);
        result_cache_close(cache);
    }
}

START_TEST(what_has_a_file_is_found_again)
{
    with_files(found_again);
}
END_TEST

static void what_finish_says(void)
{
    struct result_cache *cache = result_rig_open(dir, MEMORY, ROOM);
    struct result put;
    ck_assert_int_eq(result_rig_try(cache, 1, (size_t)3 * RIG_CHUNK, 77, &put, NULL), OK);
    result_cache_close(cache);
    cache = result_rig_open(dir, MEMORY, ROOM);
    struct result_reader *r;
    ck_assert_int_eq(result_open(cache, &rig_project, &put.hash, &r), OK);
    ck_assert(hash_equal(&result_of(r)->chunks, &put.chunks));
    ck_assert_uint_eq(result_of(r)->chunk_size, put.chunk_size);
    ck_assert_int_eq(result_rig_read(r, 1, (size_t)3 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_open(cache, &rig_other, &put.hash, &r), ERR_NOT_FOUND);
    result_cache_close(cache);
}

START_TEST(the_same_result_after_a_restart)
{
    with_files(what_finish_says);
}
END_TEST

/* Two of the same size and cost: what was used often stays. */
static void used_often(void)
{
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    (void)result_rig_put(cache, 1, RIG_CHUNK, 100);
    (void)result_rig_put(cache, 2, RIG_CHUNK, 100);
    (void)result_rig_put(cache, 3, RIG_CHUNK, 100);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(result_rig_get(cache, 2, RIG_CHUNK), OK);
    result_cache_close(cache);
    cache = result_rig_open(dir, NO_MEMORY, (uint64_t)RIG_CHUNK * 3 / 2);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 1);
    ck_assert_uint_eq(result_files_count(dir), 1);
    ck_assert_int_eq(result_rig_get(cache, 2, RIG_CHUNK), OK);
    result_cache_close(cache);
}

START_TEST(how_often_it_was_used_is_found_again)
{
    with_files(used_often);
}
END_TEST

static void pins(void)
{
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    struct hash one = result_rig_put(cache, 1, 100, 1);
    struct hash two = result_rig_put(cache, 2, (size_t)2 * RIG_CHUNK, 1);
    struct hash three = result_rig_put(cache, 3, 100, 1);
    (void)result_rig_put(cache, 4, (size_t)2 * RIG_CHUNK, 1000000);
    result_pin(cache, &rig_project, &one);
    result_pin(cache, &rig_project, &two);
    result_pin(cache, &rig_project, &three);
    result_unpin(cache, &rig_project, &three);
    result_cache_close(cache);
    /* Room for none of them. */
    cache = result_rig_open(dir, NO_MEMORY, 1);
    ck_assert_uint_eq(result_rig_stats(cache).pinned, 2);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 2);
    ck_assert_uint_eq(result_files_count(dir), 2);
    ck_assert_int_eq(result_rig_get(cache, 1, 100), OK);
    ck_assert_int_eq(result_rig_get(cache, 2, (size_t)2 * RIG_CHUNK), OK);
    result_unpin(cache, &rig_project, &one);
    result_unpin(cache, &rig_project, &two);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 0);
    ck_assert_uint_eq(result_files_count(dir), 0);
    result_cache_close(cache);
}

START_TEST(pins_are_found_again)
{
    with_files(pins);
}
END_TEST

static void second(void)
{
    struct result_cache *cache = result_rig_open(dir, MEMORY, ROOM);
    struct result_cache_options options = {.dir = dir, .chunk_size = RIG_CHUNK};
    struct result_cache *other;
    ck_assert_int_eq(result_cache_open(&options, &other), ERR_CONFLICT);
    result_cache_close(cache);
    ck_assert_int_eq(result_cache_open(&options, &other), OK);
    result_cache_close(other);
}

START_TEST(one_cache_has_a_directory)
{
    with_files(second);
}
END_TEST

/* ---- what gets a file ---- */

static void cheap(void)
{
    struct result_cache_options options = {.dir = dir,
                                           .ram_bytes = MEMORY,
                                           .disk_bytes = ROOM,
                                           .chunk_size = RIG_CHUNK,
                                           .file_cost_us = 1000};
    struct result_cache *cache;
    ck_assert_int_eq(result_cache_open(&options, &cache), OK);
    struct hash hash = result_rig_put(cache, 1, 100, 999);
    ck_assert_uint_eq(result_rig_stats(cache).disk.entries, 0);
    (void)result_rig_put(cache, 2, 100, 1000);
    ck_assert_uint_eq(result_rig_stats(cache).disk.entries, 1);
    (void)result_rig_put(cache, 3, MEMORY / 8, 1); /* too long for memory */
    ck_assert_uint_eq(result_rig_stats(cache).disk.entries, 2);
    result_pin(cache, &rig_project, &hash);
    ck_assert_uint_eq(result_rig_stats(cache).disk.entries, 3);
    ck_assert_uint_eq(result_files_count(dir), 3);
    ck_assert_uint_eq(result_rig_stats(cache).ram.entries, 2);
    result_cache_close(cache);
}

START_TEST(what_is_cheap_gets_no_file)
{
    with_files(cheap);
}
END_TEST

/* ---- bounded memory ---- */

static void streamed(void)
{
    struct file_area *below;
    ck_assert_int_eq(file_area_open(dir, &below), OK);
    struct file_area *files = faulty_files_open(below);
    struct result_cache_options options = {
        .ram_bytes = NO_MEMORY, .disk_bytes = ROOM, .chunk_size = RIG_CHUNK, .files = files};
    struct result_cache *cache;
    ck_assert_int_eq(result_cache_open(&options, &cache), OK);
    const size_t len = 40 * RIG_CHUNK;
    AUTO_BUF content = {0};
    result_rig_content(9, len, &content);
    struct result_writer *w;
    ck_assert_int_eq(result_begin(cache, &rig_project, &w), OK);
    for (size_t at = 0; at < len; at += RIG_CHUNK) {
        ck_assert_int_eq(fn_put(result_out(w), bytes_of(content.data + at, RIG_CHUNK)), OK);
        /* All but the last two chunks are in the file. */
        uint64_t chunks = at / RIG_CHUNK + 1;
        ck_assert_uint_ge(faulty_files_counts(files).writes + 2, chunks);
    }
    struct result result;
    ck_assert_int_eq(result_finish(w, 1, &result, NULL), OK);
    result_writer_close(w);
    ck_assert_uint_eq(result_rig_stats(cache).ram.bytes, 0);

    /* A view reads one chunk. */
    struct result_reader *r;
    struct bytes view;
    struct faulty_files_counts before = faulty_files_counts(files);
    ck_assert_int_eq(result_open(cache, &rig_project, &result.hash, &r), OK);
    ck_assert_int_eq(result_bytes(r)->view(result_bytes(r), 17 * RIG_CHUNK + 5, &view), OK);
    ck_assert_uint_eq(view.len, RIG_CHUNK - 5);
    ck_assert_int_eq(memcmp(view.data, content.data + 17 * RIG_CHUNK + 5, view.len), 0);
    struct faulty_files_counts after = faulty_files_counts(files);
    ck_assert_uint_eq(after.reads - before.reads, 1);
    ck_assert_uint_eq(after.read_bytes - before.read_bytes, RIG_CHUNK);
    result_close(r);
    ck_assert_int_eq(result_rig_get(cache, 9, len), OK);
    ck_assert_uint_eq(faulty_files_counts(files).opened, 0);
    result_cache_close(cache);
    faulty_files_close(files);
    file_area_close(below);
}

START_TEST(any_length_through_bounded_memory)
{
    with_files(streamed);
}
END_TEST

/* The tiers keep to their budgets, whatever comes. */
static void budgets(void)
{
    const uint64_t disk_most = 40 * RIG_CHUNK;
    struct result_cache *cache = result_rig_open(dir, MEMORY / 8, disk_most);
    for (uint64_t i = 0; i < 300; i++) {
        size_t len = (size_t)(i * 7919 % (3 * RIG_CHUNK));
        (void)result_rig_put(cache, i, len, i * 104729 % 1000);
        if (i >= 10) {
            uint64_t past = i - 10;
            int err = result_rig_get(cache, past, (size_t)(past * 7919 % (3 * RIG_CHUNK)));
            ck_assert(err == OK || err == ERR_NOT_FOUND);
        }
        struct result_cache_stats stats = result_rig_stats(cache);
        ck_assert_uint_le(stats.ram.bytes, MEMORY / 8);
        ck_assert_uint_le(stats.disk.bytes, disk_most);
        ck_assert_uint_eq(result_files_count(dir), stats.disk.entries);
    }
    ck_assert_uint_gt(result_rig_stats(cache).disk.evictions, 100);
    ck_assert_uint_gt(result_rig_stats(cache).ram.evictions, 100);
    ck_assert_uint_gt(result_rig_stats(cache).hits, 20);
    result_cache_close(cache);
}

START_TEST(within_the_budgets)
{
    with_files(budgets);
}
END_TEST

static void unfinished(void)
{
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    AUTO_BUF content = {0};
    result_rig_content(4, (size_t)5 * RIG_CHUNK, &content);
    struct result_writer *w;
    ck_assert_int_eq(result_begin(cache, &rig_project, &w), OK);
    ck_assert_int_eq(fn_put(result_out(w), buf_bytes(&content)), OK);
    ck_assert_uint_eq(result_files_fresh(dir), 1);
    result_writer_close(w);
    ck_assert_uint_eq(result_files_fresh(dir), 0);
    ck_assert_uint_eq(result_files_count(dir), 0);
    result_cache_close(cache);
}

START_TEST(what_is_not_finished_leaves_nothing)
{
    with_files(unfinished);
}
END_TEST

/* ---- read while it goes ---- */

static void evicted(void)
{
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, 10 * RIG_CHUNK);
    struct result_reader *large;
    struct result_reader *small;
    struct result_reader *begun;
    struct result_reader *made;
    struct hash first = result_rig_put(cache, 1, (size_t)3 * RIG_CHUNK, 1);
    struct hash fifth = result_rig_put(cache, 5, (size_t)2 * RIG_CHUNK, 1);
    struct hash second_hash = result_rig_put(cache, 2, 100, 1);
    ck_assert_int_eq(result_rig_try(cache, 3, (size_t)2 * RIG_CHUNK, 1, NULL, &made), OK);
    ck_assert_int_eq(result_open(cache, &rig_project, &first, &large), OK);
    ck_assert_int_eq(result_open(cache, &rig_project, &fifth, &begun), OK);
    struct bytes view;
    ck_assert_int_eq(result_bytes(begun)->view(result_bytes(begun), 0, &view), OK);
    ck_assert_int_eq(result_open(cache, &rig_project, &second_hash, &small), OK);
    (void)result_rig_put(cache, 4, (size_t)10 * RIG_CHUNK - 2000, 1000000);
    ck_assert_uint_eq(result_files_count(dir), 1);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)3 * RIG_CHUNK), ERR_NOT_FOUND);
    ck_assert_uint_eq(result_drop(cache, &rig_project, &first), 0);
    ck_assert_int_eq(result_rig_read(large, 1, (size_t)3 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_read(begun, 5, (size_t)2 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_read(small, 2, 100), OK);
    ck_assert_int_eq(result_rig_read(made, 3, (size_t)2 * RIG_CHUNK), OK);
    ck_assert_uint_eq(result_rig_stats(cache).damaged, 0);
    result_cache_close(cache);
}

START_TEST(open_while_it_is_evicted)
{
    with_files(evicted);
}
END_TEST

/* One that is not worth its room is served all the same, in pieces and in one. */
static void not_kept(void)
{
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, 10 * RIG_CHUNK);
    (void)result_rig_put(cache, 1, (size_t)9 * RIG_CHUNK, 1000000);
    struct result_reader *r;
    ck_assert_int_eq(result_rig_try(cache, 2, (size_t)5 * RIG_CHUNK, 1, NULL, &r), OK);
    ck_assert_int_eq(result_rig_read(r, 2, (size_t)5 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_try(cache, 3, (size_t)50 * RIG_CHUNK, 1, NULL, &r), OK);
    ck_assert_int_eq(result_rig_read(r, 3, (size_t)50 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_try(cache, 4, RIG_CHUNK, 1, NULL, &r), OK);
    ck_assert_int_eq(result_rig_read(r, 4, RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)9 * RIG_CHUNK), OK);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 1);
    ck_assert_uint_eq(result_files_count(dir), 1);
    ck_assert_uint_eq(result_files_fresh(dir), 0);
    ck_assert_uint_eq(result_rig_stats(cache).disk.evictions, 0);
    result_cache_close(cache);
}

START_TEST(what_is_not_kept_is_served)
{
    with_files(not_kept);
}
END_TEST

static void dropped(void)
{
    struct result_cache *cache = result_rig_open(dir, MEMORY, ROOM);
    struct hash hash = result_rig_put(cache, 1, (size_t)3 * RIG_CHUNK, 1);
    struct result_reader *r;
    ck_assert_int_eq(result_open(cache, &rig_project, &hash, &r), OK);
    ck_assert_uint_eq(result_drop(cache, &rig_project, &hash), 3 * RIG_CHUNK);
    ck_assert_uint_eq(result_files_count(dir), 0);
    /* It comes again before the reader of the first is gone. */
    (void)result_rig_put(cache, 1, (size_t)3 * RIG_CHUNK, 1);
    ck_assert_uint_eq(result_files_count(dir), 1);
    ck_assert_int_eq(result_rig_read(r, 1, (size_t)3 * RIG_CHUNK), OK);
    ck_assert_int_eq(result_rig_get(cache, 1, (size_t)3 * RIG_CHUNK), OK);
    result_cache_close(cache);
}

START_TEST(dropped_is_gone)
{
    with_files(dropped);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_has_a_file_is_found_again,
        the_same_result_after_a_restart,
        how_often_it_was_used_is_found_again,
        pins_are_found_again,
        one_cache_has_a_directory,
        what_is_cheap_gets_no_file,
        any_length_through_bounded_memory,
        within_the_budgets,
        what_is_not_finished_leaves_nothing,
        open_while_it_is_evicted,
        what_is_not_kept_is_served,
        dropped_is_gone,
    };
    return suite_run("result_files", tests, ARRAY_LEN(tests));
}
