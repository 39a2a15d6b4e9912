#include "pipeline/store/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/store/fs_inside.h"
#include "pipeline/sys/clock.h"
#include "pipeline/sys/file.h"
#include "pipeline/sys/rng.h"

#define SWEEP_AGE_MS (24ull * 60 * 60 * 1000)

static int fs_one(struct store *store, struct store_op *op)
{
    struct fs_store *fs = fs_of(store);
    struct fs_put put;
    switch (op->verb) {
    case STORE_GET:
        return fs_get_begin(fs, op, NULL);
    case STORE_PUT:
        fs_put_begin(fs, &put, op);
        fs_put_sync(fs, &put, 1);
        fs_put_rename(fs, &put, 1);
        fs_put_settle(fs, &put, 1);
        return op->err;
    case STORE_DELETE:
        return fs_delete(fs, op);
    }
    return ERR_INVALID;
}

/* At most FS_WAVE operations. Reads that memory can answer are done at once, which is faster
 * than any thread could take them over; the disk works on the others, side by side, while the
 * rest goes on. */
static void run_wave(struct fs_store *fs, struct store_op *ops, size_t n)
{
    struct fs_get gets[FS_WAVE];
    struct fs_put puts[FS_WAVE];
    size_t n_gets = 0;
    size_t n_puts = 0;
    for (size_t i = 0; i < n; i++) {
        switch (ops[i].verb) {
        case STORE_GET:
            (void)fs_get_begin(fs, &ops[i], &gets[n_gets]);
            n_gets += gets[n_gets].fd >= 0;
            break;
        case STORE_PUT:
            fs_put_begin(fs, &puts[n_puts++], &ops[i]);
            break;
        case STORE_DELETE:
            (void)fs_delete(fs, &ops[i]);
            break;
        }
    }
    for (size_t i = 0; i < n_gets; i++) {
        (void)fs_get_end(&gets[i]);
    }
    fs_put_sync(fs, puts, n_puts);
    fs_put_rename(fs, puts, n_puts);
    fs_put_settle(fs, puts, n_puts);
}

static int fs_many(struct store *store, struct store_op *ops, size_t n)
{
    for (size_t at = 0; at < n; at += FS_WAVE) {
        run_wave(fs_of(store), ops + at, n - at < FS_WAVE ? n - at : FS_WAVE);
    }
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err != OK) {
            return ops[i].err;
        }
    }
    return OK;
}

/* The store's clock is its machine's. */
static uint64_t fs_date_ms(struct store *store)
{
    (void)store;
    struct clock *clock = clock_system();
    return clock->wall_ms(clock);
}

static void fs_close(struct store *store)
{
    struct fs_store *fs = fs_of(store);
    const int fds[] = {fs->root, fs->tmp, fs->locks};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    fs_reaper_release(&fs->reaper);
    fs_locks_release(fs);
    (void)pthread_mutex_destroy(&fs->known_mutex);
    free(fs);
}

static int open_err(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return ERR_LIMIT;
    case EEXIST:
        return ERR_INVALID;
    default:
        return err_from_errno(e);
    }
}

static int sync_folder_above(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL) {
        abort();
    }
    char *slash = strrchr(copy, '/');
    if (slash != NULL) {
        slash[slash == copy] = '\0';
    }
    int fd = open(slash == NULL ? "." : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0) {
        return open_err(errno);
    }
    int err = fsync(fd) == 0 ? OK : open_err(errno);
    (void)close(fd);
    return err;
}

/* Makes `dir` and what is missing above it, and makes durable that they are there. */
static int make_dir(const char *dir)
{
    char *path = strdup(dir);
    if (path == NULL) {
        abort();
    }
    int err = *path == '\0' ? ERR_INVALID : OK;
    for (size_t at = 1, len = strlen(path); at <= len && err == OK; at++) {
        char c = path[at];
        if ((c != '/' && c != '\0') || path[at - 1] == '/') {
            continue;
        }
        path[at] = '\0';
        if (mkdir(path, 0777) == 0) {
            err = sync_folder_above(path);
        } else if (errno != EEXIST && access(path, F_OK) != 0) {
            err = open_err(errno == ENOENT ? EACCES : errno);
        }
        path[at] = c;
    }
    free(path);
    return err;
}

static int open_folder(int at, const char *path, int *out)
{
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return open_err(errno);
    }
    *out = fd;
    return OK;
}

static int open_inside(int root, const char *path, int *out)
{
    if (mkdirat(root, path, 0777) != 0 && errno != EEXIST) {
        return open_err(errno);
    }
    return open_folder(root, path, out);
}

/* Whether the file system keeps the mark, and lets it be taken off again. */
static int probe_mark(struct fs_store *fs)
{
    char name[40];
    struct stat marked;
    struct stat plain;
    (void)snprintf(name, sizeof(name), "%016llx-mark", (unsigned long long)fs->agent);
    int fd = openat(fs->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644 | FS_MARK);
    if (fd < 0) {
        return open_err(errno);
    }
    bool kept = fstat(fd, &marked) == 0 && (marked.st_mode & FS_MARK) != 0 &&
                fchmod(fd, marked.st_mode & 07777 & ~(mode_t)FS_MARK) == 0 &&
                fstat(fd, &plain) == 0 && (plain.st_mode & FS_MARK) == 0;
    fs->mark = kept ? FS_MARK : 0;
    (void)close(fd);
    (void)unlinkat(fs->tmp, name, 0);
    return OK;
}

/* Temporaries of processes that died. One that is in use is never a day old. */
static void sweep(struct fs_store *fs)
{
    int fd = openat(fs->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    uint64_t now = fs_date_ms(&fs->store);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        if (entry->d_name[0] != '.' &&
            fstatat(fs->tmp, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            (uint64_t)st.st_mtime * 1000 + SWEEP_AGE_MS < now) {
            (void)unlinkat(fs->tmp, entry->d_name, 0);
        }
    }
    (void)closedir(dir);
}

static int open_all(struct fs_store *fs, const char *dir)
{
    int inside = -1;
    int err = make_dir(dir);
    if (err == OK) {
        err = open_folder(AT_FDCWD, dir, &fs->root);
    }
    if (err == OK) {
        err = open_inside(fs->root, ".micelio", &inside);
    }
    if (err == OK) {
        err = open_inside(inside, "tmp", &fs->tmp);
    }
    if (err == OK) {
        err = open_inside(inside, "locks", &fs->locks);
    }
    if (err == OK && (fsync(inside) != 0 || fsync(fs->root) != 0)) {
        err = open_err(errno);
    }
    if (inside >= 0) {
        (void)close(inside);
    }
    if (err == OK) {
        err = probe_mark(fs);
    }
    return err;
}

int fs_store_open(const char *dir, struct store **out)
{
    static const struct store_calls calls = {
        .name = "fs",
        .one = fs_one,
        .many = fs_many,
        .list = fs_list,
        .date_ms = fs_date_ms,
        .close = fs_close,
    };
    struct fs_store *fs = calloc(1, sizeof(*fs));
    if (fs == NULL || pthread_mutex_init(&fs->known_mutex, NULL) != 0) {
        abort();
    }
    fs->store.calls = &calls;
    fs->root = fs->tmp = fs->locks = -1;
    fs->agent = rng_u64(rng_system());
    fs_locks_init(fs);
    fs_reaper_init(&fs->reaper);
    int err = open_all(fs, dir);
    if (err != OK) {
        fs_close(&fs->store);
        return err;
    }
    sweep(fs);
    *out = &fs->store;
    return OK;
}
