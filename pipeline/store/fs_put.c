#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "pipeline/store/etag.h"
#include "pipeline/store/fs_inside.h"
#include "pipeline/sys/file.h"

/* From so many on, one sync of the whole file system is less work than one of each file or
 * folder. */
#define SYNC_ALL_FROM 3u

/* What stops a put before its object has its name. */
static int put_err(int e)
{
    switch (e) {
    case ENOENT:
        return ERR_AGAIN;
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
    case EEXIST:
        return ERR_INVALID;
    case EFBIG:
        return ERR_LIMIT;
    default:
        return err_from_errno(e);
    }
}

static void put_failed(struct fs_store *fs, struct fs_put *put, int err)
{
    if (put->name[0] != '\0') {
        (void)unlinkat(fs->tmp, put->name, 0);
        put->name[0] = '\0';
    }
    if (put->fd >= 0) {
        (void)close(put->fd);
        put->fd = -1;
    }
    put->op->err = err;
}

/* Whether the condition of a PUT_IF_MATCH holds now. The file that it would replace is given
 * open, so that its blocks are not freed by the rename. */
static int match(struct fs_store *fs, const struct store_op *op, int *replaced)
{
    struct etag now;
    int fd = -1;
    int err = fs_etag(fs, op->key, &now, &fd);
    if (err != OK) {
        return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
    }
    if (!etag_equal(&now, &op->etag)) {
        (void)close(fd);
        return ERR_CONFLICT;
    }
    *replaced = fd;
    return OK;
}

static int temporary_open(struct fs_store *fs, struct fs_put *put)
{
    uint64_t seq = atomic_fetch_add(&fs->seq, 1);
    (void)snprintf(put->name, sizeof(put->name), "%016" PRIx64 "-%" PRIx64, fs->agent, seq);
    put->fd =
        openat(fs->tmp, put->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644 | FS_MARK);
    if (put->fd < 0) {
        put->name[0] = '\0';
        return put_err(errno);
    }
    return OK;
}

void fs_put_begin(struct fs_store *fs, struct fs_put *put, struct store_op *op)
{
    int now = -1;
    *put = (struct fs_put){.op = op, .fd = -1};
    op->err = OK;
    /* Who has lost already is told so before anything is written; who wins is decided under the
     * lock. */
    int err = op->condition == PUT_IF_MATCH ? match(fs, op, &now) : OK;
    if (now >= 0) {
        (void)close(now);
    }
    if (err == OK) {
        err = fs_folder_make(fs, op->key);
    }
    if (err == OK) {
        err = temporary_open(fs, put);
    }
    if (err == OK) {
        err = fd_write_all(put->fd, op->data);
    }
    if (err != OK) {
        put_failed(fs, put, err);
    }
}

static int sync_err(int e)
{
    return e == ENOSPC || e == EDQUOT ? ERR_AGAIN : ERR_UNKNOWN;
}

/* The bytes of all go to the disk. */
void fs_put_sync(struct fs_store *fs, struct fs_put *puts, size_t n)
{
    bool all = n >= SYNC_ALL_FROM && syncfs(fs->root) == 0;
    for (size_t i = 0; i < n && !all; i++) {
        if (puts[i].fd >= 0 && fsync(puts[i].fd) != 0) {
            put_failed(fs, &puts[i], sync_err(errno));
        }
    }
}

/* The name must not be there. Not every file system can rename so; a link does the same in two
 * steps. */
static int rename_if_absent(struct fs_store *fs, const char *name, const char *key)
{
    if (renameat2(fs->tmp, name, fs->root, key, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) {
        return errno;
    }
    if (linkat(fs->tmp, name, fs->root, key, 0) != 0) {
        return errno;
    }
    (void)unlinkat(fs->tmp, name, 0);
    return 0;
}

/* Gives 0 or an errno. */
static int rename_once(struct fs_store *fs, const struct fs_put *put)
{
    const char *key = put->op->key;
    if (put->op->condition == PUT_IF_ABSENT) {
        return rename_if_absent(fs, put->name, key);
    }
    return renameat(fs->tmp, put->name, fs->root, key) == 0 ? 0 : errno;
}

static int rename_to_key(struct fs_store *fs, const struct fs_put *put)
{
    const char *key = put->op->key;
    int e = rename_once(fs, put);
    if (e == ENOENT) {
        /* Somebody has removed the folder by hand. */
        fs_folder_forget(fs, key);
        int err = fs_folder_make(fs, key);
        if (err != OK) {
            return err;
        }
        e = rename_once(fs, put);
    }
    if (e == EEXIST && put->op->condition == PUT_IF_ABSENT) {
        /* What is there counts as put, so it must be durable before anybody hears of it. */
        int err = fs_settle(fs, key);
        return err == OK ? ERR_CONFLICT : err;
    }
    return e == 0 ? OK : put_err(e);
}

static int rename_under_lock(struct fs_store *fs, const struct fs_put *put, int *replaced)
{
    const struct store_op *op = put->op;
    int err = fs_lock(fs, op->key);
    if (err != OK) {
        return err;
    }
    if (op->condition == PUT_IF_MATCH) {
        err = match(fs, op, replaced);
    }
    if (err == OK) {
        err = rename_to_key(fs, put);
    }
    fs_unlock(fs, op->key);
    return err;
}

void fs_put_rename(struct fs_store *fs, struct fs_put *puts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fs_put *put = &puts[i];
        if (put->fd < 0) {
            continue;
        }
        int replaced = -1;
        /* A put if absent needs no lock: who gives the name first has won. */
        int err = put->op->condition == PUT_IF_ABSENT ? rename_to_key(fs, put)
                                                      : rename_under_lock(fs, put, &replaced);
        fs_reap(&fs->reaper, replaced);
        if (err != OK) {
            put_failed(fs, put, err);
            continue;
        }
        put->name[0] = '\0';
        if (put->op->want_etag != ETAG_NEVER) {
            put->op->etag = etag_of(put->op->data);
        }
    }
}

/* What was put has a durable name: its mark goes. */
static void unmark(const struct fs_store *fs, const struct fs_put *put)
{
    struct stat st;
    if (fs->mark != 0 && fstat(put->fd, &st) == 0) {
        (void)fchmod(put->fd, st.st_mode & 07777 & ~fs->mark);
    }
}

/* Whether put `i` is the first that got its name in its folder. */
static bool is_first_in_folder(const struct fs_put *puts, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (puts[j].fd >= 0 && fs_same_folder(puts[j].op->key, puts[i].op->key)) {
            return false;
        }
    }
    return true;
}

/* One sync of the whole file system, where there are many folders. Gives whether it was
 * made. */
static bool settle_together(struct fs_store *fs, const struct fs_put *puts, size_t n)
{
    size_t folders = 0;
    for (size_t i = 0; i < n; i++) {
        folders += puts[i].fd >= 0 && is_first_in_folder(puts, i);
    }
    return folders >= SYNC_ALL_FROM && syncfs(fs->root) == 0;
}

void fs_put_settle(struct fs_store *fs, struct fs_put *puts, size_t n)
{
    bool together = n > 1 && settle_together(fs, puts, n);
    for (size_t i = 0; i < n; i++) {
        if (puts[i].fd < 0) {
            continue;
        }
        int err = together ? OK : fs_folder_sync(fs, puts[i].op->key);
        /* One sync is for all in the folder. */
        for (size_t j = n; j > i; j--) {
            struct fs_put *put = &puts[j - 1];
            if (put->fd < 0 || !fs_same_folder(put->op->key, puts[i].op->key)) {
                continue;
            }
            if (err == OK) {
                unmark(fs, put);
            }
            put->op->err = err;
            (void)close(put->fd);
            put->fd = -1;
        }
    }
}

int fs_delete(struct fs_store *fs, struct store_op *op)
{
    op->err = fs_lock(fs, op->key);
    if (op->err != OK) {
        return op->err;
    }
    int fd = openat(fs->root, op->key, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (unlinkat(fs->root, op->key, 0) != 0) {
        /* A folder is no object. */
        bool absent = errno == ENOENT || errno == ENOTDIR || errno == EISDIR;
        op->err = absent ? OK : err_from_errno(errno);
    }
    fs_unlock(fs, op->key);
    fs_reap(&fs->reaper, fd);
    return op->err;
}
