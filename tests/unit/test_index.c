#include "api/cli/index.h"
#include "api/cli/scan.h"
#include "formats/base/hash.h"
#include "formats/path.h"
#include "pipeline/sys/file.h"
#include "tests/support/chance.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test_index.XXXXXX";

static void made(struct workspace *ws)
{
    folder_make(dir);
    struct id16 project = {{1}};
    ck_assert_int_eq(workspace_create(dir, "http://x", &project, bytes_str("demo")), OK);
    ck_assert_int_eq(workspace_open(ws, dir), OK);
}

static void removed(struct workspace *ws)
{
    workspace_close(ws);
    folder_remove(dir);
}

static void put(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert_int_eq(file_mkdirs(path), OK);
    *slash = '/';
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* Far from now, so that it is not taken for just changed. */
static void age(const char *name, long seconds)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static struct index_entry entry_of(const char *path, const char *text)
{
    return (struct index_entry){.path = bytes_str(path),
                                .kind = KIND_FILE,
                                .mode = MODE_PLAIN,
                                .size = strlen(text),
                                .hash = sha256(bytes_str(text))};
}

static void mark(struct workspace *ws, struct index_entry *e)
{
    struct stat st;
    ck_assert_int_eq(worktree_stat(&ws->tree, e->path, &st), OK);
    e->marked = true;
    e->mark = stat_mark_of(&st);
    e->work = e->hash;
}

START_TEST(what_is_saved_comes_back)
{
    struct index_entry entries[3] = {entry_of("a", "1"), entry_of("a/b", "2"),
                                     entry_of("a-b", "3")};
    entries[1].marked = true;
    entries[1].mark = (struct stat_mark){1, 2, 3, 4, 5};
    entries[1].work = sha256(bytes_str("x"));
    struct index index = {.position = 7, .entries = entries, .n = 3};
    index.tree = sha256(bytes_str("tree"));
    index.content = sha256(bytes_str("content"));
    struct buf bytes = {0};
    index_encode(&index, &bytes);
    AUTO_INDEX back = {0};
    ck_assert_int_eq(index_decode(&bytes, 100, &back), OK);
    ck_assert_uint_eq(back.position, 7);
    ck_assert(hash_equal(&back.tree, &index.tree));
    ck_assert(hash_equal(&back.content, &index.content));
    ck_assert_uint_eq(back.n, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(bytes_equal(back.entries[i].path, entries[i].path));
        ck_assert(hash_equal(&back.entries[i].hash, &entries[i].hash));
        ck_assert_int_eq(back.entries[i].marked, entries[i].marked);
    }
    ck_assert(stat_mark_equal(&back.entries[1].mark, &entries[1].mark));
    ck_assert(hash_equal(&back.entries[1].work, &entries[1].work));
    ck_assert_ptr_eq(index_find(&back, bytes_str("a/b")), &back.entries[1]);
    ck_assert_ptr_null(index_find(&back, bytes_str("a/c")));
    ck_assert(index_has_below(&back, bytes_str("a")));
    ck_assert(!index_has_below(&back, bytes_str("a-b")));
}
END_TEST

START_TEST(damage_is_refused)
{
    struct index_entry entries[2] = {entry_of("a", "1"), entry_of("b", "2")};
    struct index index = {.entries = entries, .n = 2};
    AUTO_BUF good = {0};
    index_encode(&index, &good);
    for (size_t i = 0; i < good.len; i++) {
        struct buf bad = {0};
        buf_append_bytes(&bad, buf_bytes(&good));
        bad.data[i] ^= 0x20;
        AUTO_INDEX back = {0};
        ck_assert_int_eq(index_decode(&bad, 0, &back), ERR_CORRUPT);
        bad.len = i;
        ck_assert_int_ne(index_decode(&bad, 0, &back), OK);
        buf_release(&bad);
    }
}
END_TEST

/* A mark is believed only when the file was last changed before the index was written. */
START_TEST(racy_marks_are_not_believed)
{
    for (int64_t written = 9; written <= 11; written++) {
        struct index_entry entry = entry_of("a", "1");
        entry.marked = true;
        entry.mark.mtime_ns = 10;
        struct index index = {.entries = &entry, .n = 1};
        struct buf bytes = {0};
        index_encode(&index, &bytes);
        AUTO_INDEX back = {0};
        ck_assert_int_eq(index_decode(&bytes, written, &back), OK);
        ck_assert_int_eq(back.entries[0].marked, written > 10);
    }
}
END_TEST

START_TEST(scan_reads_only_what_may_differ)
{
    struct workspace ws;
    made(&ws);
    put("same", "same");
    put("d/changed", "before");
    put("touched", "text");
    put("gone", "gone");
    age("same", 1000);
    age("d/changed", 1000);
    age("touched", 1000);
    struct index_entry entries[4] = {entry_of("d/changed", "before"), entry_of("gone", "gone"),
                                     entry_of("same", "same"), entry_of("touched", "text")};
    for (size_t i = 0; i < 4; i++)
        mark(&ws, &entries[i]);
    struct index index = {.entries = entries, .n = 4};
    ck_assert_int_eq(index_save(&ws, &index), OK);
    char gone[200];
    snprintf(gone, sizeof(gone), "%s/gone", dir);
    ck_assert_int_eq(unlink(gone), 0);
    put("d/changed", "behind"); /* as long as before */
    put("new", "new");
    age("touched", 2000);
    AUTO(arena_release) struct arena arena = {0};
    AUTO_INDEX loaded = {0};
    struct scan scan;
    ck_assert_int_eq(index_load(&ws, &loaded), OK);
    ck_assert_int_eq(scan_run(&ws, &loaded, &arena, &scan), OK);
    ck_assert_uint_eq(scan.read, 2);
    ck_assert_uint_eq(scan.n, 3);
    ck_assert(bytes_equal(scan.items[0].path, bytes_str("d/changed")));
    ck_assert_int_eq(scan.items[0].state, SCAN_MODIFIED);
    ck_assert_int_eq(scan.items[1].state, SCAN_DELETED);
    ck_assert_int_eq(scan.items[2].state, SCAN_ADDED);
    ck_assert(index_find(&loaded, bytes_str("touched"))->marked);
    /* What was touched, but is the same, is not read again. */
    ck_assert_int_eq(index_save(&ws, &loaded), OK);
    index_release(&loaded);
    ck_assert_int_eq(index_load(&ws, &loaded), OK);
    ck_assert_int_eq(scan_run(&ws, &loaded, &arena, &scan), OK);
    ck_assert_uint_le(scan.read, 1);
    removed(&ws);
}
END_TEST

/* A file that is as young as the look at it may change once more without a trace. */
START_TEST(a_look_believes_no_file_of_its_own_time)
{
    struct workspace ws;
    made(&ws);
    put("f", "text");
    age("f", 4000000000);
    struct index_entry entry = entry_of("f", "text");
    struct index index = {.entries = &entry, .n = 1};
    AUTO(arena_release) struct arena arena = {0};
    struct scan scan;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(scan_run(&ws, &index, &arena, &scan), OK);
        ck_assert_uint_eq(scan.read, 1);
        ck_assert_uint_eq(scan.n, 0);
        ck_assert(!entry.marked);
    }
    removed(&ws);
}
END_TEST

/* A file that is changed twice within one tick of the clock, to the same size, and has all its
 * times as the index has them: only that the index is as young gives it away. */
START_TEST(same_size_same_times)
{
    struct workspace ws;
    made(&ws);
    put("f", "one");
    struct index_entry entry = entry_of("f", "one");
    mark(&ws, &entry);
    struct index index = {.entries = &entry, .n = 1};
    ck_assert_int_eq(index_save(&ws, &index), OK);
    put("f", "two");
    struct stat st;
    ck_assert_int_eq(worktree_stat(&ws.tree, bytes_str("f"), &st), OK);
    entry.mark = stat_mark_of(&st); /* as it would be, had the clock not moved on */
    ck_assert_int_eq(index_save(&ws, &index), OK);
    /* The index is given the very time of the file. */
    char path[200];
    snprintf(path, sizeof(path), "%s/.mic/index", dir);
    struct timespec times[2] = {st.st_mtim, st.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    AUTO(arena_release) struct arena arena = {0};
    AUTO_INDEX loaded = {0};
    struct scan scan;
    ck_assert_int_eq(index_load(&ws, &loaded), OK);
    ck_assert_int_eq(scan_run(&ws, &loaded, &arena, &scan), OK);
    ck_assert_uint_eq(scan.n, 1);
    ck_assert_int_eq(scan.items[0].state, SCAN_MODIFIED);
    removed(&ws);
}
END_TEST

START_TEST(ignored_files_and_what_cannot_be_held)
{
    struct workspace ws;
    made(&ws);
    put(".micignore", "*.o\nbuild/\n!keep.o\n");
    put("a.o", "x");
    put("keep.o", "x");
    put("build/in", "x");
    put("build/tracked", "changed");
    put("sub/.micignore", "/here\n");
    put("sub/here", "x");
    put("sub/.git/config", "x");
    put("bad\nname", "x");
    char fifo[200];
    snprintf(fifo, sizeof(fifo), "%s/pipe", dir);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    struct index_entry entry = entry_of("build/tracked", "before");
    struct index index = {.entries = &entry, .n = 1};
    AUTO(arena_release) struct arena arena = {0};
    struct scan scan;
    ck_assert_int_eq(scan_run(&ws, &index, &arena, &scan), OK);
    static const char *const want[] = {".micignore", "build/tracked", "keep.o",
                                       "sub/.micignore"};
    ck_assert_uint_eq(scan.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        ck_assert(bytes_equal(scan.items[i].path, bytes_str(want[i])));
    ck_assert_uint_eq(scan.n_skipped, 2);
    removed(&ws);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_saved_comes_back,
        damage_is_refused,
        racy_marks_are_not_believed,
        scan_reads_only_what_may_differ,
        a_look_believes_no_file_of_its_own_time,
        same_size_same_times,
        ignored_files_and_what_cannot_be_held,
    };
    return suite_run("index", tests, ARRAY_LEN(tests));
}
