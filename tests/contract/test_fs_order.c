/* What a directory store has on the disk when: schedule 4, a short file after a power loss. The
 * calls that decide it are taken over from libc, noted, and made. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "formats/key.h"
#include "pipeline/store/fs.h"
#include "tests/support/store_rig.h"
#include "tests/support/suite.h"

#define NOTES_MAX 4096u

/* What is known of one inode. */
struct note {
    ino_t ino;
    off_t synced;     /* bytes that a sync found; -1: none did */
    bool names_dirty; /* a folder: a name in it has changed since its sync */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct note notes[NOTES_MAX];
static size_t n_notes;
static unsigned renames;
static bool watching;
static bool syncs_fail;
static struct timespec all_synced; /* when the last sync of everything began */

/* Under the mutex. */
static struct note *note_of(ino_t ino)
{
    for (size_t i = 0; i < n_notes; i++) {
        if (notes[i].ino == ino)
            return &notes[i];
    }
    ck_assert_uint_lt(n_notes, NOTES_MAX);
    notes[n_notes] = (struct note){.ino = ino, .synced = -1};
    return &notes[n_notes++];
}

static void note_sync(const struct stat *st)
{
    struct note *note = note_of(st->st_ino);
    note->synced = st->st_size;
    note->names_dirty = false;
}

int fsync(int fd)
{
    struct stat st;
    if (watching && syncs_fail) {
        errno = EIO;
        return -1;
    }
    ck_assert_int_eq(fstat(fd, &st), 0);
    int result = (int)syscall(SYS_fsync, fd);
    (void)pthread_mutex_lock(&mutex);
    note_sync(&st);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

/* Everything that was written up to now. */
int syncfs(int fd)
{
    if (watching && syncs_fail) {
        errno = EIO;
        return -1;
    }
    (void)pthread_mutex_lock(&mutex);
    (void)clock_gettime(CLOCK_REALTIME, &all_synced);
    for (size_t i = 0; i < n_notes; i++)
        notes[i].names_dirty = false;
    (void)pthread_mutex_unlock(&mutex);
    return (int)syscall(SYS_syncfs, fd);
}

/* A file system stamps changes with the coarse clock, so what is no later was before the sync.
 */
static bool is_synced(const struct stat *st)
{
    if (note_of(st->st_ino)->synced == st->st_size)
        return true;
    const struct timespec *changed = &st->st_mtim;
    return changed->tv_sec < all_synced.tv_sec ||
           (changed->tv_sec == all_synced.tv_sec && changed->tv_nsec <= all_synced.tv_nsec);
}

/* A name is given to what is on the disk whole, and to nothing else. */
static void note_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat st;
    struct stat folder;
    char path[STORE_KEY_MAX + 1];
    if (!watching)
        return;
    ck_assert_int_eq(fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW), 0);
    const char *slash = strrchr(to, '/');
    (void)snprintf(path, sizeof(path), "%.*s", slash == NULL ? 1 : (int)(slash - to),
                   slash == NULL ? "." : to);
    ck_assert_int_eq(fstatat(to_dir, path, &folder, 0), 0);
    (void)pthread_mutex_lock(&mutex);
    renames++;
    ck_assert_msg(is_synced(&st), "%s got its name before its bytes were on the disk", to);
    note_of(folder.st_ino)->names_dirty = true;
    (void)pthread_mutex_unlock(&mutex);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    note_rename(from_dir, from, to_dir, to);
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0u);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    note_rename(from_dir, from, to_dir, to);
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

/* Every name that a put has given is on the disk, too. */
static void expect_no_dirty_folder(void)
{
    (void)pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < n_notes; i++)
        ck_assert(!notes[i].names_dirty);
    (void)pthread_mutex_unlock(&mutex);
}

static struct rig rig;

static void setup(void)
{
    rig_open_fs(&rig, "/tmp");
    watching = true;
}

static void teardown(void)
{
    watching = false;
    rig_release(&rig);
}

START_TEST(a_put_is_on_the_disk_when_it_returns)
{
    setup();
    struct etag etag = {0};
    ck_assert_int_eq(store_put(rig.store, "a/b/c", bytes_str("one"), PUT_IF_ABSENT, &etag), OK);
    expect_no_dirty_folder();
    ck_assert_int_eq(store_put(rig.store, "a/b/c", bytes_str("two"), PUT_IF_MATCH, &etag), OK);
    expect_no_dirty_folder();
    ck_assert_int_eq(store_put(rig.store, "a/d", bytes_str("three"), PUT_ANY, NULL), OK);
    expect_no_dirty_folder();
    ck_assert_uint_eq(renames, 3);
    teardown();
}
END_TEST

/* `many` shares the work of a sync, of one file system or of one folder. */
START_TEST(many_puts_are_on_the_disk_when_they_return)
{
    setup();
    struct key keys[12];
    struct store_op ops[12];
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        (void)snprintf(keys[i].s, sizeof(keys[i].s), "m%zu/x%zu", i % 5, i);
        ops[i] = (struct store_op){.verb = STORE_PUT,
                                   .key = keys[i].s,
                                   .data = bytes_str("some text"),
                                   .condition = PUT_ANY};
    }
    for (size_t n = 1; n <= ARRAY_LEN(ops); n++) {
        renames = 0;
        ck_assert_int_eq(store_many(rig.store, ops, n), OK);
        ck_assert_uint_eq(renames, n);
        expect_no_dirty_folder();
    }
    teardown();
}
END_TEST

static void put_sync_fails_once(void)
{
    syncs_fail = true;
    int err = store_put(rig.store, "x/y", bytes_str("short"), PUT_IF_ABSENT, NULL);
    syncs_fail = false;
    ck_assert_int_ne(err, OK);
}

/* A sync that fails: the put fails with it, and the name is not given away for ever. */
START_TEST(a_sync_that_fails_gives_no_name)
{
    setup();
    rig_put(rig.store, "x/z", "makes the folder");
    unsigned before = renames;
    put_sync_fails_once();
    ck_assert_uint_eq(renames, before);
    ck_assert_int_eq(store_put(rig.store, "x/y", bytes_str("whole"), PUT_IF_ABSENT, NULL), OK);
    rig_expect(rig.store, "x/y", "whole");
    expect_no_dirty_folder();
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_put_is_on_the_disk_when_it_returns,
        many_puts_are_on_the_disk_when_they_return,
        a_sync_that_fails_gives_no_name,
    };
    return suite_run("fs order", tests, ARRAY_LEN(tests));
}
