/* What only a directory store can show: processes, crashes, what lies in the directory. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/store/fs.h"
#include "pipeline/sys/clock.h"
#include "tests/support/store_rig.h"
#include "tests/support/suite.h"

#define RACERS      16u
#define RACE_ROUNDS 200u

static struct store *open_again(const struct rig *rig)
{
    struct store *store;
    ck_assert_int_eq(fs_store_open(rig->dir, &store), OK);
    return store;
}

/* Runs `run` in processes of their own, each with its own store on the directory; gives how
 * many ended with 0. */
static unsigned run_processes(const struct rig *rig, int (*run)(struct store *))
{
    pid_t pids[RACERS];
    unsigned good = 0;
    for (size_t i = 0; i < RACERS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            struct store *store;
            _exit(fs_store_open(rig->dir, &store) == OK ? run(store) : 9);
        }
    }
    for (size_t i = 0; i < RACERS; i++) {
        int status = 0;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
        good += WEXITSTATUS(status) == 0;
    }
    return good;
}

static int process_count_up(struct store *store)
{
    rig_count_up(store, RACE_ROUNDS);
    return 0;
}

START_TEST(processes_lose_no_increment)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    rig_put_zero(rig.store);
    ck_assert_uint_eq(run_processes(&rig, process_count_up), RACERS);
    rig_expect_number(rig.store, RACERS * RACE_ROUNDS);
}
END_TEST

static int process_put_if_absent(struct store *store)
{
    int err = store_put(store, "fresh/folder/race", bytes_str("x"), PUT_IF_ABSENT, NULL);
    return err == OK ? 0 : err == ERR_CONFLICT ? 1 : 2;
}

START_TEST(processes_that_put_if_absent_have_one_winner)
{
    for (int round = 0; round < 5; round++) {
        AUTO_RIG rig = {0};
        rig_open_fs(&rig, "/tmp");
        ck_assert_uint_eq(run_processes(&rig, process_put_if_absent), 1);
    }
}
END_TEST

/* How many entries the folder `inside` has. */
static unsigned files_in(const char *dir, const char *inside)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, inside);
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    unsigned n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return n;
}

START_TEST(a_fresh_open_sees_everything)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    rig_put(rig.store, "a/b", "1");
    struct etag etag;
    ck_assert_int_eq(store_put(rig.store, "head", bytes_str("2"), PUT_IF_ABSENT, &etag), OK);
    struct store *other = open_again(&rig);
    rig_expect(other, "a/b", "1");
    ck_assert_int_eq(store_put(other, "head", bytes_str("3"), PUT_IF_MATCH, &etag), OK);
    ck_assert_int_eq(store_put(other, "a/b", bytes_str("4"), PUT_IF_ABSENT, NULL),
                     ERR_CONFLICT);
    rig_expect(rig.store, "head", "3");
    store_close(other);
    ck_assert_uint_eq(files_in(rig.dir, ".micelio/tmp"), 0);
}
END_TEST

START_TEST(an_etag_that_nobody_wants_is_not_made)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    struct store_op op = {.verb = STORE_PUT, .key = "a", .data = bytes_str("1")};
    ck_assert_int_eq(store_one(rig.store, &op), OK);
    ck_assert_str_ne(op.etag.s, "");
    op = (struct store_op){
        .verb = STORE_PUT, .key = "b", .want_etag = ETAG_NEVER, .data = bytes_str("1")};
    ck_assert_int_eq(store_one(rig.store, &op), OK);
    ck_assert_str_eq(op.etag.s, "");
}
END_TEST

static void expect_made_of(struct store *store, const char *key, uint64_t seed, size_t len)
{
    AUTO_BUF want = {0};
    AUTO_BUF body = {0};
    rig_fill(&want, seed, len);
    ck_assert_int_eq(store_get(store, key, range_all(), &body, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&want), buf_bytes(&body)));
}

static size_t kill_len(uint32_t number)
{
    return number * 7919u % 100000u;
}

/* Puts object after object and tells each number that is safe. */
static void write_until_killed(const char *dir, int tell, uint32_t first)
{
    struct store *store;
    ck_assert_int_eq(fs_store_open(dir, &store), OK);
    for (uint32_t number = first;; number++) {
        AUTO_BUF data = {0};
        char key[64];
        rig_fill(&data, number, kill_len(number));
        (void)snprintf(key, sizeof(key), "k/%u/%08u", number % 16, number);
        struct etag etag;
        AUTO_BUF head = {0};
        /* The object may have been put by one who was killed before telling. */
        int err = store_put(store, key, buf_bytes(&data), PUT_IF_ABSENT, NULL);
        ck_assert(err == OK || err == ERR_CONFLICT);
        ck_assert_int_eq(store_get(store, "head", range_all(), &head, &etag, NULL), OK);
        ck_assert_int_eq(
            store_put(store, "head", bytes_of(&number, sizeof(number)), PUT_IF_MATCH, &etag),
            OK);
        ck_assert_int_eq(write(tell, &number, sizeof(number)), sizeof(number));
    }
}

static void expect_whole(struct store *store, const char *prefix, uint32_t last)
{
    struct arena arena = {0};
    struct store_list list = {.more = true};
    const char *after = "";
    uint32_t seen = 0;
    while (list.more) {
        ck_assert_int_eq(store_list(store, &arena, prefix, after, 100, &list), OK);
        for (size_t i = 0; i < list.n; i++) {
            uint32_t number = (uint32_t)strtoul(strrchr(list.keys[i].key, '/') + 1, NULL, 10);
            expect_made_of(store, list.keys[i].key, number, kill_len(number));
            seen += number <= last;
            after = list.keys[i].key;
        }
    }
    ck_assert_uint_eq(seen, last);
    arena_release(&arena);
}

START_TEST(a_killed_writer_tears_and_loses_nothing)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    struct rng_seeded rng;
    rig_seed(&rng);
    uint32_t last = 0;
    ck_assert_int_eq(store_put(rig.store, "head", bytes_of(&last, sizeof(last)), PUT_ANY, NULL),
                     OK);
    for (int round = 0; round < 15; round++) {
        int pipe_fds[2];
        ck_assert_int_eq(pipe(pipe_fds), 0);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            (void)close(pipe_fds[0]);
            write_until_killed(rig.dir, pipe_fds[1], last + 1);
        }
        (void)close(pipe_fds[1]);
        /* On a loaded machine it may take the first one long to begin. */
        if (round == 0)
            ck_assert_int_eq(read(pipe_fds[0], &last, sizeof(last)), sizeof(last));
        clock_system()->sleep_us(clock_system(), 5000 + rng_below(&rng.rng, 60000));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        while (read(pipe_fds[0], &last, sizeof(last)) == sizeof(last)) {
        }
        (void)close(pipe_fds[0]);
        struct store *store = open_again(&rig);
        expect_whole(store, "k/", last);
        AUTO_BUF head = {0};
        uint32_t number = 0;
        ck_assert_int_eq(store_get(store, "head", range_all(), &head, NULL, NULL), OK);
        ck_assert_uint_eq(head.len, sizeof(number));
        memcpy(&number, head.data, sizeof(number));
        /* The next one may have been put without being told. */
        ck_assert(number == last || number == last + 1);
        last = number;
        store_close(store);
    }
    ck_assert_uint_gt(last, 0);
}
END_TEST

static void path_of(const struct rig *rig, const char *key, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", rig->dir, key);
}

static mode_t mode_of(const struct rig *rig, const char *key)
{
    char path[128];
    struct stat st;
    path_of(rig, key, path);
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void set_mode(const struct rig *rig, const char *key, mode_t mode)
{
    char path[128];
    path_of(rig, key, path);
    ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(a_mark_is_taken_off_by_whoever_sees_the_object)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    rig_put(rig.store, "a/k", "x");
    mode_t plain = mode_of(&rig, "a/k");
    ck_assert_uint_eq(plain & S_IXUSR, 0);
    set_mode(&rig, "a/k", plain | S_IXUSR);
    rig_expect(rig.store, "a/k", "x");
    ck_assert_uint_eq(mode_of(&rig, "a/k"), plain);
    set_mode(&rig, "a/k", plain | S_IXUSR);
    ck_assert_int_eq(store_get(rig.store, "a/k", range_none(), NULL, NULL, NULL), OK);
    ck_assert_uint_eq(mode_of(&rig, "a/k"), plain);
    set_mode(&rig, "a/k", plain | S_IXUSR);
    ck_assert_int_eq(store_put(rig.store, "a/k", bytes_str("y"), PUT_IF_ABSENT, NULL),
                     ERR_CONFLICT);
    ck_assert_uint_eq(mode_of(&rig, "a/k"), plain);
}
END_TEST

START_TEST(keys_do_not_lie_below_each_other)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    rig_put(rig.store, "a/b", "x");
    ck_assert_int_eq(store_put(rig.store, "a", bytes_str("y"), PUT_ANY, NULL), ERR_INVALID);
    ck_assert_int_eq(store_put(rig.store, "a", bytes_str("y"), PUT_IF_ABSENT, NULL),
                     ERR_INVALID);
    ck_assert_int_eq(store_put(rig.store, "a/b/c", bytes_str("y"), PUT_ANY, NULL), ERR_INVALID);
    rig_expect_none(rig.store, "a");
    rig_expect_none(rig.store, "a/b/c");
    ck_assert_int_eq(store_delete(rig.store, "a"), OK);
    ck_assert_int_eq(store_delete(rig.store, "a/b/c"), OK);
    rig_expect(rig.store, "a/b", "x");
    ck_assert_uint_eq(files_in(rig.dir, ".micelio/tmp"), 0);
}
END_TEST

START_TEST(foreign_files_are_no_objects)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    char path[128];
    rig_put(rig.store, "f/good", "f/good");
    path_of(&rig, "f/link", path);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    path_of(&rig, "f/pipe", path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    path_of(&rig, "f/a+b", path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_get(rig.store, "f/link", range_all(), &body, NULL, NULL),
                     ERR_CORRUPT);
    ck_assert_int_eq(store_get(rig.store, "f/pipe", range_all(), &body, NULL, NULL),
                     ERR_CORRUPT);
    static const char *const want[] = {"f/good"};
    rig_expect_list(rig.store, "", "", 10, want, 1, false);
}
END_TEST

START_TEST(a_file_that_is_cut_or_replaced_between_reads)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    static uint8_t data[300000];
    pthread_t reader;
    struct rig_replacing replacing = {.store = rig.store};
    memset(data, 9, sizeof(data));
    char path[128];
    path_of(&rig, "k", path);
    ck_assert_int_eq(store_put(rig.store, "k", bytes_of(data, 90000), PUT_ANY, NULL), OK);
    ck_assert_int_eq(pthread_create(&reader, NULL, rig_read_whole, &replacing), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(store_put(rig.store, "k", bytes_of(data, 90000), PUT_ANY, NULL), OK);
    }
    atomic_store(&replacing.done, true);
    ck_assert_int_eq(pthread_join(reader, NULL), 0);
    for (int i = 0; i < 200; i++) {
        AUTO_BUF body = {0};
        ck_assert_int_eq(truncate(path, i % 2 == 0 ? 10 : 90000), 0);
        int err = store_get(rig.store, "k", range_of(5, 80000), &body, NULL, NULL);
        ck_assert_int_eq(err, OK);
        ck_assert_uint_eq(body.len, i % 2 == 0 ? 5 : 80000);
    }
}
END_TEST

START_TEST(a_folder_removed_by_hand_is_made_again)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    char path[128];
    rig_put(rig.store, "a/b/c", "1");
    ck_assert_int_eq(store_delete(rig.store, "a/b/c"), OK);
    path_of(&rig, "a/b", path);
    ck_assert_int_eq(rmdir(path), 0);
    path_of(&rig, "a", path);
    ck_assert_int_eq(rmdir(path), 0);
    rig_put(rig.store, "a/b/c", "2");
    rig_expect(rig.store, "a/b/c", "2");
}
END_TEST

START_TEST(old_temporaries_are_swept)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    char path[128];
    static const char *const names[] = {".micelio/tmp/old", ".micelio/tmp/young"};
    for (size_t i = 0; i < 2; i++) {
        path_of(&rig, names[i], path);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        ck_assert_int_ge(fd, 0);
        const struct timespec times[2] = {{.tv_sec = time(NULL) - 90000},
                                          {.tv_sec = time(NULL) - 90000}};
        ck_assert(i == 1 || futimens(fd, times) == 0);
        (void)close(fd);
    }
    store_close(open_again(&rig));
    ck_assert_uint_eq(files_in(rig.dir, ".micelio/tmp"), 1);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(directories_that_cannot_be_opened)
{
    AUTO_RIG rig = {0};
    rig_open_fs(&rig, "/tmp");
    struct store *store = NULL;
    char path[128];
    rig_put(rig.store, "file", "x");
    path_of(&rig, "file", path);
    ck_assert_int_eq(fs_store_open(path, &store), ERR_INVALID);
    path_of(&rig, "file/below", path);
    ck_assert_int_eq(fs_store_open(path, &store), ERR_INVALID);
    ck_assert_int_eq(fs_store_open("", &store), ERR_INVALID);
    ck_assert_int_eq(fs_store_open("/proc/no-such-place", &store), ERR_DENIED);
    ck_assert_ptr_null(store);
    path_of(&rig, "deep/er//still/", path);
    ck_assert_int_eq(fs_store_open(path, &store), OK);
    rig_put(store, "k", "x");
    rig_expect(rig.store, "deep/er/still/k", "x");
    store_close(store);
}
END_TEST

/* A file system of 1 MiB that only this process sees, at the rig's directory. */
static bool mount_small(const struct rig *rig)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", rig->dir, "tmpfs", 0, "size=1m") == 0;
}

START_TEST(a_full_disk_leaves_nothing_behind)
{
    AUTO_RIG rig = {0};
    rig_make_dir(&rig, "/tmp");
    if (!mount_small(&rig)) {
        printf("skipped: a full disk wants the right to mount one\n");
        (void)fflush(stdout);
        (void)rmdir(rig.dir);
        rig.dir[0] = '\0';
        return;
    }
    ck_assert_int_eq(fs_store_open(rig.dir, &rig.store), OK);
    AUTO_BUF data = {0};
    rig_fill(&data, 1, 300000);
    struct bytes bytes = buf_bytes(&data);
    struct etag etag;
    ck_assert_int_eq(store_put(rig.store, "a", bytes, PUT_IF_ABSENT, &etag), OK);
    ck_assert_int_eq(store_put(rig.store, "b", bytes, PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(rig.store, "c", bytes, PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(rig.store, "d", bytes, PUT_ANY, NULL), ERR_AGAIN);
    ck_assert_int_eq(store_put(rig.store, "e", bytes, PUT_IF_ABSENT, NULL), ERR_AGAIN);
    struct etag before = etag;
    ck_assert_int_eq(store_put(rig.store, "a", bytes, PUT_IF_MATCH, &etag), ERR_AGAIN);
    ck_assert_str_eq(etag.s, before.s);
    rig_expect_none(rig.store, "d");
    rig_expect_none(rig.store, "e");
    expect_made_of(rig.store, "a", 1, 300000);
    ck_assert_uint_eq(files_in(rig.dir, ".micelio/tmp"), 0);
    ck_assert_int_eq(store_delete(rig.store, "b"), OK);
    /* Its space is free a moment later. */
    int err = ERR_AGAIN;
    for (int tries = 0; tries < 1000 && err == ERR_AGAIN; tries++) {
        clock_system()->sleep_us(clock_system(), 1000);
        err = store_put(rig.store, "d", bytes, PUT_IF_ABSENT, NULL);
    }
    ck_assert_int_eq(err, OK);
    expect_made_of(rig.store, "d", 1, 300000);
    store_close(rig.store);
    rig.store = NULL;
    ck_assert_int_eq(umount(rig.dir), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        processes_lose_no_increment,
        processes_that_put_if_absent_have_one_winner,
        a_fresh_open_sees_everything,
        an_etag_that_nobody_wants_is_not_made,
        a_killed_writer_tears_and_loses_nothing,
        a_mark_is_taken_off_by_whoever_sees_the_object,
        keys_do_not_lie_below_each_other,
        foreign_files_are_no_objects,
        a_file_that_is_cut_or_replaced_between_reads,
        a_folder_removed_by_hand_is_made_again,
        old_temporaries_are_swept,
        directories_that_cannot_be_opened,
        a_full_disk_leaves_nothing_behind,
    };
    return suite_run("fs", tests, ARRAY_LEN(tests));
}
