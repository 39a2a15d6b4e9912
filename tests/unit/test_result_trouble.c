/* Files that are damaged, a disk that is full, a process that is killed at any step. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "pipeline/sys/file.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty_files.h"
#include "tests/support/folder.h"
#include "tests/support/result_files.h"
#include "tests/support/result_rig.h"
#include "tests/support/suite.h"

#define ROOM      ((uint64_t)64 * MIB)
#define NO_MEMORY ((size_t)100)
#define LARGE     ((size_t)5 * RIG_CHUNK + 9)

static char dir[] = "/tmp/mic-result-XXXXXX";

static void with_files(void (*test)(void))
{
    folder_make(dir);
    test();
    folder_remove(dir);
}

/* ---- damage ---- */

static void flip(const char *path, uint64_t offset)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 4;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
}

static void flip_found(const char *path)
{
    flip(path, 70);
}

static void flip_late(const char *path)
{
    flip(path, LARGE - 1);
}

static void flip_manifest(const char *path)
{
    flip(path, LARGE + 70);
}

static void shorten(const char *path)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(truncate(path, st.st_size - 1), 0);
}

static void empty(const char *path)
{
    ck_assert_int_eq(truncate(path, 0), 0);
}

static void take_away(const char *path)
{
    ck_assert_int_eq(unlink(path), 0);
}

struct damage {
    size_t len;
    void (*harm)(const char *path);
    int at_once; /* what a get gives when it happens under an open cache */
    int later;   /* when it happens while the cache is closed */
};

static const struct damage damages[] = {
    {.len = 100, .harm = flip_found, .at_once = ERR_NOT_FOUND, .later = ERR_NOT_FOUND},
    {.len = 100, .harm = shorten, .at_once = ERR_NOT_FOUND, .later = ERR_NOT_FOUND},
    {.len = 100, .harm = empty, .at_once = ERR_NOT_FOUND, .later = ERR_NOT_FOUND},
    {.len = 100, .harm = take_away, .at_once = ERR_NOT_FOUND, .later = ERR_NOT_FOUND},
    {.len = LARGE, .harm = flip_found, .at_once = ERR_CORRUPT, .later = ERR_CORRUPT},
    {.len = LARGE, .harm = flip_late, .at_once = ERR_CORRUPT, .later = ERR_CORRUPT},
    {.len = LARGE, .harm = flip_manifest, .at_once = OK, .later = ERR_NOT_FOUND},
    {.len = LARGE, .harm = shorten, .at_once = OK, .later = ERR_NOT_FOUND},
    {.len = LARGE, .harm = empty, .at_once = ERR_CORRUPT, .later = ERR_NOT_FOUND},
    {.len = LARGE, .harm = take_away, .at_once = ERR_CORRUPT, .later = ERR_NOT_FOUND},
};

static void hurt_once(const struct damage *damage, bool closed)
{
    char path[RESULT_FILES_PATH_MAX];
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    struct hash hash = result_rig_put(cache, 1, damage->len, 10);
    result_pin(cache, &rig_project, &hash);
    if (closed)
        result_cache_close(cache);
    result_files_find(dir, "", path);
    damage->harm(path);
    if (closed)
        cache = result_rig_open(dir, NO_MEMORY, ROOM);

    int wanted = closed ? damage->later : damage->at_once;
    ck_assert_int_eq(result_rig_get(cache, 1, damage->len), wanted);
    if (wanted != OK) {
        /* It is gone, and said so; computed again it is there, and pinned still. */
        ck_assert_int_eq(result_rig_get(cache, 1, damage->len), ERR_NOT_FOUND);
        ck_assert_uint_eq(result_rig_stats(cache).entries, 0);
        ck_assert_uint_eq(result_rig_stats(cache).disk.bytes, 0);
        ck_assert_uint_eq(result_files_count(dir), 0);
        ck_assert_uint_eq(result_rig_stats(cache).damaged,
                          closed && damage->harm == take_away ? 0 : 1);
        (void)result_rig_put(cache, 1, damage->len, 10);
        ck_assert_int_eq(result_rig_get(cache, 1, damage->len), OK);
        ck_assert_uint_eq(result_rig_stats(cache).pinned,
                          !closed || wanted == ERR_CORRUPT || damage->harm == flip_found);
    }
    (void)result_drop(cache, &rig_project, &hash);
    result_cache_close(cache);
}

static void hurt(void)
{
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        hurt_once(&damages[i], false);
        hurt_once(&damages[i], true);
    }
}

START_TEST(what_is_damaged_is_a_miss_and_removed)
{
    with_files(hurt);
}
END_TEST

/* What is in memory has been checked, and needs no file. */
static void hurt_below_memory(void)
{
    char path[RESULT_FILES_PATH_MAX];
    struct result_cache *cache = result_rig_open(dir, 64 * MIB, ROOM);
    (void)result_rig_put(cache, 1, LARGE, 10);
    result_files_find(dir, "", path);
    flip(path, 3);
    ck_assert_int_eq(result_rig_get(cache, 1, LARGE), OK);
    result_cache_close(cache);
}

START_TEST(memory_does_not_ask_the_file)
{
    with_files(hurt_below_memory);
}
END_TEST

/* A chunk that another result has, too, is found there. */
static void hurt_one_of_two(void)
{
    char path[RESULT_FILES_PATH_MAX];
    AUTO_BUF content = {0};
    result_rig_content(1, LARGE, &content);
    struct hash chunk = sha256(bytes_of(content.data, RIG_CHUNK));
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    for (size_t len = LARGE - 1; len <= LARGE; len++)
        (void)result_rig_put(cache, 1, len, 10);
    struct hash_hex hash = {0};
    struct hash whole = sha256(buf_bytes(&content));
    hash = hash_hex(&whole);
    for (int i = 0; i < 2; i++) {
        struct result_reader *r;
        ck_assert_int_eq(result_open(cache, &rig_project, &chunk, &r), OK);
        result_close(r);
        if (i == 0) {
            result_files_find(dir, hash.s, path);
            flip(path, 3);
        }
    }
    ck_assert_int_eq(result_rig_get(cache, 1, LARGE - 1), OK);
    result_cache_close(cache);
}

START_TEST(a_chunk_is_found_in_another_result)
{
    with_files(hurt_one_of_two);
}
END_TEST

static void put_file(const char *name, const char *text)
{
    char path[RESULT_FILES_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/results/%s", dir, name);
    ck_assert_int_eq(file_replace(path, bytes_str(text), 0600, false), OK);
}

#define SOME_PROJECT "01020300000000000000000000000000"
#define SHA_OF_ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* Names that are nearly right, and one that is. */
static void garbage(void)
{
    static const char *const names[] = {
        "ba/x",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC,
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-3-a-1-two",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-3-a-1-onex",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-3-a-1",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-3-a-0-one",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-01-3-a-1-one",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "--1-3-a-1-one",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-4-a-1-one",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-3-a-1-many",
        "ba/" SOME_PROJECT "-" SHA_OF_ABC "-1-10000000000000003-a-1-one",
        "bb/" SOME_PROJECT "-" SHA_OF_ABC "-1-3-a-1-one",
        "new/1",
    };
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    result_cache_close(cache);
    char folder[RESULT_FILES_PATH_MAX];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(folder, sizeof(folder), "%s/results/b%c", dir, 'a' + i);
        ck_assert_int_eq(file_mkdirs(folder), OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put_file(names[i], "abc");
    put_file("readme", "not mine: it stays");
    put_file("ba/" SOME_PROJECT "-" SHA_OF_ABC "-7-3-a-1-one", "abc");

    cache = result_rig_open(dir, NO_MEMORY, ROOM);
    ck_assert_uint_eq(result_rig_stats(cache).entries, 1);
    ck_assert_uint_eq(result_rig_stats(cache).damaged, ARRAY_LEN(names) - 1);
    ck_assert_uint_eq(result_files_count(dir), 1);
    ck_assert_uint_eq(result_files_fresh(dir), 0);
    struct hash hash = sha256(bytes_str("abc"));
    struct result_reader *r;
    ck_assert_int_eq(result_open(cache, &rig_project, &hash, &r), OK);
    result_close(r);
    result_cache_close(cache);
    (void)snprintf(folder, sizeof(folder), "%s/results/readme", dir);
    ck_assert_int_eq(access(folder, F_OK), 0);
}

START_TEST(files_that_are_none_of_ours_are_removed)
{
    with_files(garbage);
}
END_TEST

/* ---- a cache over files that fail ---- */

struct rig {
    struct file_area *below;
    struct file_area *files;
    struct result_cache *cache;
};

static void rig_begin(struct rig *rig, size_t ram_bytes, uint64_t disk_bytes)
{
    ck_assert_int_eq(file_area_open(dir, &rig->below), OK);
    rig->files = faulty_files_open(rig->below);
    struct result_cache_options options = {.ram_bytes = ram_bytes,
                                           .disk_bytes = disk_bytes,
                                           .chunk_size = RIG_CHUNK,
                                           .files = rig->files};
    ck_assert_int_eq(result_cache_open(&options, &rig->cache), OK);
}

static void rig_end(struct rig *rig)
{
    result_cache_close(rig->cache);
    if (!faulty_files_dead(rig->files))
        ck_assert_uint_eq(faulty_files_counts(rig->files).opened, 0);
    faulty_files_close(rig->files);
    file_area_close(rig->below);
}

/* ---- what happens between the look at a name and the file ---- */

static struct rig between;
static struct hash between_hash;

static void rename_it(void *arg)
{
    (void)arg;
    result_pin(between.cache, &rig_project, &between_hash);
}

static void remove_it(void *arg)
{
    (void)arg;
    (void)result_drop(between.cache, &rig_project, &between_hash);
}

static void changed_meanwhile(void)
{
    rig_begin(&between, NO_MEMORY, ROOM);
    for (size_t len = 100; len <= LARGE; len += LARGE - 100) {
        between_hash = result_rig_put(between.cache, 1, len, 10);
        faulty_files_on_file(between.files, rename_it, NULL);
        ck_assert_int_eq(result_rig_get(between.cache, 1, len), OK);
        ck_assert_uint_eq(result_rig_stats(between.cache).pinned, 1);
        faulty_files_on_file(between.files, remove_it, NULL);
        ck_assert_int_eq(result_rig_get(between.cache, 1, len), OK);
        ck_assert_int_eq(result_rig_get(between.cache, 1, len), ERR_NOT_FOUND);
        result_unpin(between.cache, &rig_project, &between_hash);
    }
    ck_assert_uint_eq(result_rig_stats(between.cache).damaged, 0);
    rig_end(&between);
}

START_TEST(renamed_or_removed_before_it_is_opened)
{
    with_files(changed_meanwhile);
}
END_TEST

/* Results without files, worth more than what memory saves of one that has a file. */
static void fill_memory(void *arg)
{
    const struct rig *rig = arg;
    for (uint64_t i = 0; i < 40; i++)
        (void)result_rig_put(rig->cache, 100 + i, 4 * RIG_CHUNK - 2048, 999);
}

/* It lies in memory, its first file is open still, and it gets another one: the memory that the
 * file is written from has to stay until it is there. */
static void evicted_while_written(void)
{
    const size_t len = 3 * RIG_CHUNK;
    struct rig rig;
    rig_begin(&rig, NO_MEMORY, ROOM);
    between_hash = result_rig_put(rig.cache, 1, len, 2000);
    rig_end(&rig);
    ck_assert_int_eq(file_area_open(dir, &rig.below), OK);
    rig.files = faulty_files_open(rig.below);
    struct result_cache_options options = {.ram_bytes = 64 * RIG_CHUNK + 65536,
                                           .disk_bytes = 20 * RIG_CHUNK,
                                           .chunk_size = RIG_CHUNK,
                                           .file_cost_us = 1000,
                                           .files = rig.files};
    ck_assert_int_eq(result_cache_open(&options, &rig.cache), OK);
    struct result_reader *r;
    struct bytes view;
    ck_assert_int_eq(result_open(rig.cache, &rig_project, &between_hash, &r), OK);
    for (size_t at = 0; at < len; at += RIG_CHUNK)
        ck_assert_int_eq(result_bytes(r)->view(result_bytes(r), at, &view), OK);
    (void)result_rig_put(rig.cache, 2, 19 * RIG_CHUNK, 1000000);
    ck_assert_uint_eq(result_rig_stats(rig.cache).disk.entries, 1);
    ck_assert(result_has(rig.cache, &rig_project, &between_hash, NULL));
    faulty_files_on_file(rig.files, fill_memory, &rig);
    result_pin(rig.cache, &rig_project, &between_hash);
    ck_assert_uint_eq(result_rig_stats(rig.cache).pinned, 1);
    ck_assert_int_eq(result_rig_read(r, 1, len), OK);
    ck_assert_int_eq(result_rig_get(rig.cache, 1, len), OK);
    ck_assert_uint_eq(result_rig_stats(rig.cache).damaged, 0);
    rig_end(&rig);
}

START_TEST(evicted_from_memory_while_its_file_is_written)
{
    with_files(evicted_while_written);
}
END_TEST

static void pin_and_fill(void *arg)
{
    const struct rig *rig = arg;
    result_pin(rig->cache, &rig_project, &between_hash);
    fill_memory(arg);
}

/* Its file goes for want of room, and while that is removed it is pinned, and so gets another
 * one; and it goes out of memory, where the new one is to be written from. */
static void pinned_while_removed(void)
{
    const size_t len = 3 * RIG_CHUNK;
    struct rig rig;
    ck_assert_int_eq(file_area_open(dir, &rig.below), OK);
    rig.files = faulty_files_open(rig.below);
    struct result_cache_options options = {.ram_bytes = 64 * RIG_CHUNK + 65536,
                                           .disk_bytes = 20 * RIG_CHUNK,
                                           .chunk_size = RIG_CHUNK,
                                           .file_cost_us = 1000,
                                           .files = rig.files};
    ck_assert_int_eq(result_cache_open(&options, &rig.cache), OK);
    between_hash = result_rig_put(rig.cache, 1, len, 2000);
    faulty_files_on_remove(rig.files, pin_and_fill, &rig);
    (void)result_rig_put(rig.cache, 2, 19 * RIG_CHUNK, 1000000);
    ck_assert_uint_eq(result_rig_stats(rig.cache).pinned, 1);
    ck_assert_int_eq(result_rig_get(rig.cache, 1, len), OK);
    ck_assert_uint_eq(result_rig_stats(rig.cache).damaged, 0);
    rig_end(&rig);
}

START_TEST(pinned_while_its_file_is_removed)
{
    with_files(pinned_while_removed);
}
END_TEST

/* ---- a full disk ---- */

static unsigned lines_of(int fd)
{
    char text[4096];
    unsigned lines = 0;
    ssize_t n = pread(fd, text, sizeof(text), 0);
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static void full(void)
{
    char path[RESULT_FILES_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    int log = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(log, 0);
    log_to_fd(log);
    struct rig rig;
    rig_begin(&rig, 8 * RIG_CHUNK, ROOM);
    faulty_files_room(rig.files, 0);
    struct result_reader *r;
    for (uint64_t i = 0; i < 5; i++) {
        size_t len = i * RIG_CHUNK;
        ck_assert_int_eq(result_rig_try(rig.cache, i, len, 10, NULL, &r), OK);
        ck_assert_int_eq(result_rig_read(r, i, len), OK);
    }
    ck_assert_uint_eq(result_rig_stats(rig.cache).unkept, 5);
    ck_assert_uint_eq(result_rig_stats(rig.cache).disk.entries, 0);
    ck_assert_uint_eq(lines_of(log), 1);
    /* It is no longer than the memory that there is. */
    ck_assert_int_eq(result_rig_try(rig.cache, 9, 20 * RIG_CHUNK, 10, NULL, &r), ERR_AGAIN);
    ck_assert_uint_eq(result_files_fresh(dir), 0);
    ck_assert_uint_eq(result_files_count(dir), 0);
    /* A result that met it half way is put together of both. */
    faulty_files_room(rig.files, 3 * RIG_CHUNK);
    ck_assert_int_eq(result_rig_try(rig.cache, 9, 9 * RIG_CHUNK, 10, NULL, &r), OK);
    ck_assert_uint_eq(result_rig_stats(rig.cache).disk.entries, 0);
    ck_assert_uint_eq(result_files_fresh(dir), 0);
    ck_assert_int_eq(result_rig_read(r, 9, 9 * RIG_CHUNK), OK);
    /* And when there is room again, it is kept again. */
    faulty_files_room(rig.files, UINT64_MAX);
    (void)result_rig_put(rig.cache, 9, 9 * RIG_CHUNK, 10);
    ck_assert_int_eq(result_rig_get(rig.cache, 9, 9 * RIG_CHUNK), OK);
    ck_assert_uint_eq(result_rig_stats(rig.cache).disk.entries, 1);
    log_to_fd(2);
    rig_end(&rig);
    (void)close(log);
}

START_TEST(on_a_full_disk_results_are_served_and_not_kept)
{
    with_files(full);
}
END_TEST

/* What the cache itself has there goes first. */
static void makes_room(void)
{
    struct rig rig;
    rig_begin(&rig, NO_MEMORY, ROOM);
    faulty_files_room(rig.files, 8 * RIG_CHUNK);
    for (uint64_t i = 0; i < 20; i++) {
        (void)result_rig_put(rig.cache, i, RIG_CHUNK, 10 * (i + 1) * (i + 1));
        ck_assert_int_eq(result_rig_get(rig.cache, i, RIG_CHUNK), OK);
    }
    (void)result_rig_put(rig.cache, 30, 5 * RIG_CHUNK, 1000000);
    ck_assert_int_eq(result_rig_get(rig.cache, 30, 5 * RIG_CHUNK), OK);
    ck_assert_uint_eq(result_rig_stats(rig.cache).unkept, 0);
    ck_assert_uint_gt(result_rig_stats(rig.cache).disk.evictions, 12);
    rig_end(&rig);
}

START_TEST(on_a_full_disk_room_is_made_first)
{
    with_files(makes_room);
}
END_TEST

/* ---- killed ---- */

/* Changes of every kind; stops when the process is dead. Gives whether the pin was set. */
static bool work(struct rig *rig)
{
    bool pinned = false;
    for (uint64_t i = 0; i < 6 && !faulty_files_dead(rig->files); i++) {
        size_t len = i % 2 == 0 ? 300 : LARGE;
        int err = result_rig_try(rig->cache, i, len, 10 * i, NULL, NULL);
        for (int uses = 0; uses < 3 && err == OK; uses++)
            err = result_rig_get(rig->cache, i, len);
        ck_assert(err == OK || faulty_files_dead(rig->files));
        AUTO_BUF content = {0};
        result_rig_content(i, len, &content);
        struct hash hash = sha256(buf_bytes(&content));
        if (i == 2 && !faulty_files_dead(rig->files)) {
            result_pin(rig->cache, &rig_project, &hash);
            pinned = !faulty_files_dead(rig->files);
        }
        if (i == 4)
            (void)result_drop(rig->cache, &rig_project, &hash);
    }
    return pinned;
}

/* Everything that is there is whole, and there is nothing else. */
static void look(bool pinned)
{
    struct result_cache *cache = result_rig_open(dir, NO_MEMORY, ROOM);
    struct result_cache_stats stats = result_rig_stats(cache);
    ck_assert_uint_eq(stats.damaged, 0);
    ck_assert_uint_eq(stats.entries, result_files_count(dir));
    ck_assert_uint_eq(result_files_fresh(dir), 0);
    uint64_t found = 0;
    for (uint64_t i = 0; i < 6; i++) {
        size_t len = i % 2 == 0 ? 300 : LARGE;
        int err = result_rig_get(cache, i, len);
        ck_assert(err == OK || err == ERR_NOT_FOUND);
        found += err == OK;
    }
    ck_assert_uint_eq(found, stats.entries);
    if (pinned) {
        ck_assert_uint_eq(stats.pinned, 1);
        ck_assert_int_eq(result_rig_get(cache, 2, 300), OK);
    }
    result_cache_close(cache);
}

START_TEST(killed_at_any_step)
{
    bool died = true;
    unsigned most = 0;
    for (uint64_t call = 1; died; call++) {
        char part[] = "/tmp/mic-result-XXXXXX";
        folder_make(part);
        memcpy(dir, part, sizeof(dir));
        struct rig rig;
        char area[RESULT_FILES_PATH_MAX];
        (void)snprintf(area, sizeof(area), "%s/results", dir);
        ck_assert_int_eq(file_area_open(area, &rig.below), OK);
        rig.files = faulty_files_open(rig.below);
        struct result_cache_options options = {.ram_bytes = NO_MEMORY,
                                               .disk_bytes = 12 * RIG_CHUNK,
                                               .chunk_size = RIG_CHUNK,
                                               .files = rig.files};
        ck_assert_int_eq(result_cache_open(&options, &rig.cache), OK);
        faulty_files_die(rig.files, call);
        bool pinned = work(&rig);
        died = faulty_files_dead(rig.files);
        rig_end(&rig);
        look(pinned);
        folder_remove(dir);
        most++;
    }
    ck_assert_uint_gt(most, 30);
}
END_TEST

/* A real one, wherever it is. */
static void killed(void)
{
    for (unsigned round = 0; round < 5; round++) {
        int ready[2];
        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct result_cache *cache = result_rig_open(dir, NO_MEMORY, 40 * RIG_CHUNK);
            for (uint64_t i = 0;; i++) {
                (void)result_rig_put(cache, i % 50, i % 2 == 0 ? 300 : LARGE, i % 7);
                if (i == 60)
                    (void)!write(ready[1], "", 1);
            }
        }
        char byte;
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        (void)close(ready[0]);
        (void)close(ready[1]);
        struct result_cache *cache = result_rig_open(dir, NO_MEMORY, 40 * RIG_CHUNK);
        ck_assert_uint_gt(result_rig_stats(cache).entries, 3);
        ck_assert_uint_eq(result_rig_stats(cache).damaged, 0);
        uint64_t found = 0;
        for (uint64_t i = 0; i < 50; i++)
            found += result_rig_get(cache, i, i % 2 == 0 ? 300 : LARGE) == OK;
        ck_assert_uint_eq(found, result_rig_stats(cache).entries);
        result_cache_close(cache);
    }
}

START_TEST(killed_for_good)
{
    with_files(killed);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_damaged_is_a_miss_and_removed,
        memory_does_not_ask_the_file,
        a_chunk_is_found_in_another_result,
        files_that_are_none_of_ours_are_removed,
        renamed_or_removed_before_it_is_opened,
        evicted_from_memory_while_its_file_is_written,
        pinned_while_its_file_is_removed,
        on_a_full_disk_results_are_served_and_not_kept,
        on_a_full_disk_room_is_made_first,
        killed_at_any_step,
        killed_for_good,
    };
    return suite_run("result_trouble", tests, ARRAY_LEN(tests));
}
