/* A database that is missing, damaged, of another version or behind, or whose process was
 * killed while it wrote: everything that is in the log is found all the same. */
#include "pipeline/derive/index/derive_index.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/derive/index/index_db.h"
#include "pipeline/sys/log.h"
#include "tests/support/chance.h"
#include "tests/support/index_rig.h"
#include "tests/support/suite.h"

#define ROUNDS  30u
#define OBJECTS 40u
#define EACH    25u /* of each kind in an object */

static struct index_rig rig;
static struct hash root;

/* Recipes that all name the root, memos, leaves and pins. */
static void log_make(unsigned objects)
{
    static struct derive_item items[4 * EACH];
    root = rig_hash(123456);
    for (uint64_t o = 0; o < objects; o++) {
        for (uint64_t i = 0; i < EACH; i++) {
            uint64_t n = o * EACH + i;
            struct hash pinned = rig_hash(n);
            items[4 * i] = rig_recipe(&rig, n, &root, 1, NULL);
            items[4 * i + 1] = rig_memo(n, n + 1000000);
            items[4 * i + 2] = rig_leaf(&rig, n);
            items[4 * i + 3] = rig_pin(&pinned, true);
        }
        (void)index_rig_log(&rig, 1 + o % 3, 100 + o, items, ARRAY_LEN(items));
    }
}

static void log_apply(unsigned objects)
{
    for (unsigned o = 0; o < objects; o++)
        index_rig_apply(&rig, &rig.log[o]);
}

static void item_is_found(const struct derive_item *item)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF canonical = {0};
    struct derive_leaf leaf;
    struct memo memo;
    bool pinned = false;
    if (item->kind == DERIVE_RECIPE) {
        ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project, &item->address,
                                             DERIVE_MISS_LOOK, &canonical),
                         OK);
        ck_assert(bytes_equal(buf_bytes(&canonical), item->data));
    } else if (item->kind == DERIVE_LEAF) {
        ck_assert_int_eq(
            derive_index_leaf(rig.index, &rig.project, &item->address, DERIVE_MISS_LOOK, &leaf),
            OK);
        ck_assert_uint_eq(leaf.size, item->data.len);
    } else if (item->kind == DERIVE_MEMO) {
        ck_assert_int_eq(derive_index_memo(rig.index, &rig.project, &item->address,
                                           DERIVE_MISS_LOOK, &arena, &memo),
                         OK);
        ck_assert(hash_equal(&memo.output, &item->memo.output));
        ck_assert_int_eq(derive_index_output(rig.index, &rig.project, &item->memo.output,
                                             DERIVE_MISS_LOOK, &arena, &memo),
                         OK);
        ck_assert(hash_equal(&memo.key, &item->address));
    } else {
        ck_assert_int_eq(derive_index_pinned(rig.index, &rig.project, &item->address, &pinned),
                         OK);
        ck_assert(pinned);
    }
}

/* What is asked first decides who notices, so each round begins with another. */
static void everything_is_found(uint64_t first)
{
    size_t n = rig.n * 4 * EACH;
    for (size_t k = 0; k < n; k++) {
        size_t i = (k + first) % n;
        item_is_found(&rig.log[i / (4 * EACH)].object.items[i % (4 * EACH)]);
    }
    struct derive_counts counts;
    struct derive_walk walk;
    struct derive_root from = {.address = &root};
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &from, NULL, NULL, &walk), OK);
    ck_assert_uint_eq(walk.count, rig.n * EACH);
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(counts.recipes, rig.n * EACH);
    ck_assert_uint_eq(counts.memos, rig.n * EACH);
    ck_assert_uint_eq(counts.leaves, rig.n * EACH);
    ck_assert_uint_eq(counts.pins, rig.n * EACH);
}

static void walk_is_whole(void)
{
    struct derive_walk walk;
    struct derive_root from = {.address = &root};
    ck_assert_int_eq(derive_index_walk(rig.index, &rig.project, &from, NULL, NULL, &walk), OK);
    ck_assert_uint_eq(walk.count, rig.n * EACH);
}

static void closed(void)
{
    derive_index_close(rig.index);
}

static void opened(void)
{
    rig.looks = 0;
    rig.given = 0;
    ck_assert_int_eq(derive_index_open(&rig.options, &rig.index), OK);
}

static void whole_open(void)
{
    index_rig_open(&rig);
    log_make(OBJECTS);
    log_apply(OBJECTS);
    closed();
}

static size_t file_size(const char *path)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return (size_t)st.st_size;
}

static void file_write(const char *path, size_t at, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, data, len, (off_t)at), (ssize_t)len);
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(what_is_whole_is_kept)
{
    whole_open();
    opened();
    everything_is_found(0);
    ck_assert_uint_eq(rig.given, 0);
    index_rig_close(&rig);
}
END_TEST

START_TEST(missing)
{
    whole_open();
    ck_assert_int_eq(remove(index_rig_file(&rig)), 0);
    opened();
    everything_is_found(0);
    ck_assert_uint_eq(rig.given, OBJECTS);
    /* And now it is there again. */
    index_rig_reopen(&rig);
    everything_is_found(0);
    ck_assert_uint_eq(rig.given, 0);
    index_rig_close(&rig);
}
END_TEST

START_TEST(cut_short)
{
    static const size_t keep_percent[] = {0, 1, 50, 99};
    for (size_t i = 0; i < ARRAY_LEN(keep_percent); i++) {
        whole_open();
        const char *path = index_rig_file(&rig);
        size_t keep = file_size(path) * keep_percent[i] / 100;
        ck_assert_int_eq(truncate(path, (off_t)keep), 0);
        opened();
        everything_is_found(0);
        ck_assert_uint_eq(rig.given, OBJECTS);
        index_rig_close(&rig);
    }
}
END_TEST

START_TEST(nothing_but_garbage)
{
    struct chance chance;
    chance_init(&chance, "nothing_but_garbage");
    whole_open();
    const char *path = index_rig_file(&rig);
    for (size_t at = 0; at < file_size(path); at += 8) {
        uint64_t garbage = chance_u64(&chance);
        file_write(path, at, &garbage, 8);
    }
    opened();
    everything_is_found(0);
    ck_assert_uint_eq(rig.given, OBJECTS);
    index_rig_close(&rig);
}
END_TEST

/* Some bytes anywhere: whatever they belong to, nothing wrong is ever answered. */
START_TEST(some_bytes)
{
    struct chance chance;
    unsigned noticed = 0;
    chance_init(&chance, "some_bytes");
    whole_open();
    for (unsigned round = 0; round < ROUNDS; round++) {
        const char *path = index_rig_file(&rig);
        uint8_t garbage[64];
        size_t len = 1 + chance_below(&chance, sizeof(garbage));
        for (size_t i = 0; i < len; i++)
            garbage[i] = (uint8_t)chance_u64(&chance);
        file_write(path, chance_below(&chance, file_size(path) - len), garbage, len);
        opened();
        if (round % 2 == 0)
            walk_is_whole();
        everything_is_found(chance_below(&chance, OBJECTS * EACH * 4));
        noticed += rig.given > 0;
        closed();
    }
    ck_assert_uint_gt(noticed, ROUNDS / 2);
    opened();
    index_rig_close(&rig);
}
END_TEST

/* The same while the file is open. What SQLite has in memory is right, and hides it. */
START_TEST(some_bytes_while_it_is_open)
{
    struct chance chance;
    chance_init(&chance, "some_bytes_while_it_is_open");
    whole_open();
    rig.options.front_bytes = 1000;
    for (unsigned round = 0; round < ROUNDS / 3; round++) {
        const char *path = index_rig_file(&rig);
        opened();
        if (round % 2 == 0)
            walk_is_whole();
        for (unsigned i = 0; i < 20; i++) {
            uint64_t garbage = chance_u64(&chance);
            file_write(path, chance_below(&chance, file_size(path) - 8), &garbage, 8);
        }
        everything_is_found(chance_below(&chance, OBJECTS * EACH * 4));
        closed();
    }
    opened();
    index_rig_close(&rig);
}
END_TEST

/* A look that was made before the damage was met has seen nothing of the database that is made
 * anew. */
START_TEST(a_look_before_the_damage_does_not_count)
{
    whole_open();
    opened();
    struct derive_leaf leaf;
    struct hash address = rig_leaf(&rig, 7).address;
    uint64_t since_us = rig.clock.us;
    rig.clock.us++;
    ck_assert_int_eq(derive_index_look(rig.index, &rig.project), OK);
    ck_assert_uint_eq(rig.given, 0);
    for (size_t at = 4096; at < file_size(index_rig_file(&rig)); at += 4096)
        file_write(index_rig_file(&rig), at + 8, "garbage", 7);
    ck_assert_int_eq(
        derive_index_leaf(rig.index, &rig.project, &address, DERIVE_MISS_TELL, &leaf),
        ERR_NOT_FOUND);
    ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, since_us), OK);
    ck_assert_int_eq(
        derive_index_leaf(rig.index, &rig.project, &address, DERIVE_MISS_TELL, &leaf), OK);
    ck_assert_uint_eq(rig.given, OBJECTS);
    index_rig_close(&rig);
}
END_TEST

START_TEST(of_another_version)
{
    whole_open();
    struct index_db *db;
    ck_assert_int_eq(index_db_open(index_rig_file(&rig), 1000, &db), OK);
    ck_assert_int_eq(index_db_run(db, "DELETE FROM recipe; PRAGMA user_version = 999"), OK);
    index_db_close(db);
    opened();
    everything_is_found(0);
    ck_assert_uint_eq(rig.given, OBJECTS);
    index_rig_close(&rig);
}
END_TEST

/* A file that was copied from another project's name. */
START_TEST(of_another_project)
{
    whole_open();
    const char *path = arena_str(&rig.arena, bytes_str(index_rig_file(&rig)));
    rig.project.b[0]++;
    ck_assert_int_eq(rename(path, index_rig_file(&rig)), 0);
    opened();
    struct derive_counts counts;
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(counts.recipes, 0);
    index_rig_close(&rig);
}
END_TEST

START_TEST(behind)
{
    index_rig_open(&rig);
    log_make(OBJECTS);
    log_apply(OBJECTS / 4);
    index_rig_reopen(&rig);
    everything_is_found(0);
    ck_assert_uint_eq(rig.given, OBJECTS - OBJECTS / 4);
    index_rig_close(&rig);
}
END_TEST

/* A file that cannot be made: an error that says to try again, and nothing is lost. */
START_TEST(no_place_for_it)
{
    whole_open();
    const char *path = index_rig_file(&rig);
    AUTO_BUF canonical = {0};
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    opened();
    ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project,
                                         &rig.log[0].object.items[0].address, DERIVE_MISS_LOOK,
                                         &canonical),
                     ERR_AGAIN);
    ck_assert_int_eq(derive_index_apply(rig.index, &rig.log[0].object, rig.log[0].encoded),
                     ERR_AGAIN);
    ck_assert_int_eq(rmdir(path), 0);
    everything_is_found(0);
    index_rig_close(&rig);
}
END_TEST

/* ---- kills ---- */

/* Applies, with a thread that fills the database all the time, until it is killed. */
static void child_fills(void)
{
    if (derive_index_open(&rig.options, &rig.index) != OK)
        _exit(2);
    derive_index_start(rig.index);
    for (unsigned o = 0; o < rig.n; o++) {
        if (derive_index_apply(rig.index, &rig.log[o].object, rig.log[o].encoded) != OK ||
            (o % 3 == 0 && derive_index_flush(rig.index) != OK))
            _exit(3);
        (void)usleep(3000);
    }
    for (;;)
        (void)pause();
}

START_TEST(killed_while_it_fills)
{
    struct chance chance;
    unsigned part = 0;
    chance_init(&chance, "killed_while_it_fills");
    index_rig_open(&rig);
    log_make(OBJECTS);
    closed();
    for (unsigned round = 0; round < 20; round++) {
        index_rig_file(&rig);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            child_fills();
        int status;
        ck_assert_int_eq(usleep((useconds_t)chance_below(&chance, 300000)), 0);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        opened();
        everything_is_found(chance_below(&chance, OBJECTS * EACH * 4));
        part += rig.given > 0 && rig.given < OBJECTS;
        closed();
        if (round % 2 == 0)
            ck_assert_int_eq(remove(index_rig_file(&rig)), 0);
    }
    (void)printf("killed half way: %u of 20\n", part);
    opened();
    index_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_whole_is_kept,
        missing,
        cut_short,
        nothing_but_garbage,
        some_bytes,
        some_bytes_while_it_is_open,
        a_look_before_the_damage_does_not_count,
        of_another_version,
        of_another_project,
        behind,
        no_place_for_it,
        killed_while_it_fills,
    };
    log_setup(LOG_ERROR, false); /* each round warns of what it has done */
    return suite_run("index_damage", tests, ARRAY_LEN(tests));
}
