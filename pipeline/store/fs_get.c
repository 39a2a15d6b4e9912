#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pipeline/store/etag.h"
#include "pipeline/store/fs_inside.h"
#include "pipeline/sys/file.h"

#define DIGEST_STEP (16u * 1024u)

static int get_err(int e)
{
    switch (e) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EIO:
    case ELOOP:
    case EISDIR:
        return ERR_CORRUPT;
    default:
        /* A read has no effect that could be in doubt. */
        return err_from_errno(e) == ERR_UNKNOWN ? ERR_AGAIN : err_from_errno(e);
    }
}

/* Whoever sees a marked object makes it durable and takes the mark off. */
static int settle(struct fs_store *fs, const char *key, int fd, const struct stat *st)
{
    if ((st->st_mode & fs->mark) == 0) {
        return OK;
    }
    if (fs_folder_sync(fs, key) != OK) {
        return ERR_AGAIN;
    }
    /* Refused to all but the file's owner; the next reader then syncs once more. */
    (void)fchmod(fd, st->st_mode & 07777 & ~fs->mark);
    return OK;
}

/* Opens the object at `key`; ERR_NOT_FOUND for a folder, which is no object. */
static int object_open(struct fs_store *fs, const char *key, int *fd, struct stat *st)
{
    /* Not blocking, for a named pipe that somebody has laid there. */
    int opened = openat(fs->root, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0) {
        return get_err(errno);
    }
    int err = fstat(opened, st) != 0 ? get_err(errno) : OK;
    if (err == OK && !S_ISREG(st->st_mode)) {
        err = S_ISDIR(st->st_mode) ? ERR_NOT_FOUND : ERR_CORRUPT;
    }
    if (err != OK) {
        (void)close(opened);
        return err;
    }
    *fd = opened;
    return OK;
}

/* Reads at most `len` bytes, fewer only at the end of the file. */
static int read_at(int fd, uint8_t *out, uint64_t len, uint64_t offset, uint64_t *got)
{
    uint64_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, out + done, (size_t)(len - done), (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return get_err(errno);
        }
        if (n == 0) {
            break;
        }
        done += (uint64_t)n;
    }
    *got = done;
    return OK;
}

static int digest_file(int fd, uint64_t size, struct etag *out)
{
    uint8_t bytes[DIGEST_STEP];
    struct xxh3_128_ctx ctx = {0};
    uint64_t got = 0;
    int err = OK;
    bool small = size <= sizeof(bytes);
    if (!small) {
        xxh3_128_init(&ctx);
    }
    for (uint64_t at = 0; at < size && err == OK; at += got) {
        uint64_t want = size - at < sizeof(bytes) ? size - at : sizeof(bytes);
        err = read_at(fd, bytes, want, at, &got);
        if (err == OK && got < want) {
            err = ERR_CORRUPT;
        }
        if (!small) {
            xxh3_128_update(&ctx, bytes_of(bytes, (size_t)got));
        }
    }
    struct id16 digest = small ? xxh3_128(bytes_of(bytes, (size_t)got)) : xxh3_128_final(&ctx);
    if (err == OK) {
        *out = etag_of_digest(&digest, size);
    }
    return err;
}

int fs_etag(struct fs_store *fs, const char *key, struct etag *etag, int *fd)
{
    struct stat st = {0};
    int opened = -1;
    int err = object_open(fs, key, &opened, &st);
    if (err != OK) {
        return err;
    }
    err = digest_file(opened, (uint64_t)st.st_size, etag);
    if (err != OK) {
        (void)close(opened);
        return err;
    }
    *fd = opened;
    return OK;
}

int fs_settle(struct fs_store *fs, const char *key)
{
    int fd = -1;
    struct stat st = {0};
    int err = object_open(fs, key, &fd, &st);
    if (err == OK) {
        err = settle(fs, key, fd, &st);
        (void)close(fd);
        return err;
    }
    /* It was there a moment ago: it is deleted, or a folder. */
    return fstatat(fs->root, key, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)
               ? ERR_INVALID
               : OK;
}

/* The last step: the bytes are in the body, which does not count them yet. */
static int finish(struct fs_get *get)
{
    struct store_op *op = get->op;
    struct etag etag = {{0}};
    int err = OK;
    bool whole = op->range.kind == RANGE_ALL;
    if (op->want_etag == ETAG_ALWAYS || (op->want_etag == ETAG_OF_WHOLE && whole)) {
        if (whole) {
            etag = etag_of(bytes_of(op->body->data + op->body->len, (size_t)get->len));
        } else {
            err = digest_file(get->fd, op->size, &etag);
        }
    }
    if (err == OK && get->len > 0) {
        op->body->len += (size_t)get->len;
    }
    op->etag = etag;
    return err;
}

static int close_with(struct fs_get *get, int err)
{
    (void)close(get->fd);
    get->fd = -1;
    get->op->err = err;
    return err;
}

int fs_get_end(struct fs_get *get)
{
    uint64_t got = 0;
    int err = OK;
    if (get->len > 0) {
        uint8_t *out = buf_reserve(get->op->body, (size_t)get->len);
        err = read_at(get->fd, out, get->len, get->offset, &got);
        if (err == OK && got < get->len) {
            err = ERR_CORRUPT;
        }
    }
    return close_with(get, err == OK ? finish(get) : err);
}

/* Whether all bytes are in memory and now in the body; if not, the disk is set to work on
 * them. */
static bool read_from_memory(struct fs_get *get)
{
    struct iovec to = {
        .iov_base = buf_reserve(get->op->body, (size_t)get->len),
        .iov_len = (size_t)get->len,
    };
    ssize_t n = preadv2(get->fd, &to, 1, (off_t)get->offset, RWF_NOWAIT);
    if (n >= 0 && (uint64_t)n == get->len) {
        return true;
    }
    (void)posix_fadvise(get->fd, (off_t)get->offset, (off_t)get->len, POSIX_FADV_WILLNEED);
    return false;
}

int fs_get_begin(struct fs_store *fs, struct store_op *op, struct fs_get *later)
{
    struct fs_get get = {.op = op, .fd = -1};
    struct stat st = {0};
    if (later != NULL) {
        later->fd = -1;
    }
    op->err = object_open(fs, op->key, &get.fd, &st);
    if (op->err != OK) {
        return op->err;
    }
    int err = settle(fs, op->key, get.fd, &st);
    uint64_t size = (uint64_t)st.st_size;
    if (err == OK) {
        err = range_resolve(op->range, size, &get.offset, &get.len);
    }
    if (err == OK && get.len > STORE_GET_MAX) {
        err = ERR_LIMIT;
    }
    if (err != OK) {
        return close_with(&get, err);
    }
    op->size = size;
    if (later == NULL || get.len == 0) {
        return fs_get_end(&get);
    }
    if (read_from_memory(&get)) {
        return close_with(&get, finish(&get));
    }
    *later = get;
    return OK;
}
