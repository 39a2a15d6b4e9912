#include "pipeline/sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/sys/rng.h"

#define READ_STEP (64u * 1024u)
/* One write(2) takes no more than about 2 GiB. */
#define WRITE_STEP (1u << 30)

int err_from_errno(int e)
{
    switch (e) {
    case 0:
        return OK;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_CONFLICT;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case EINTR:
    case ENOMEM:
        return ERR_AGAIN;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return ERR_INVALID;
    default:
        return ERR_UNKNOWN;
    }
}

static void fd_release(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static void free_string(char **s)
{
    free(*s);
}

int file_read(const char *path, size_t max, struct buf *out)
{
    AUTO(fd_release) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    size_t before = out->len;
    for (;;) {
        ssize_t n = read(fd, buf_reserve(out, READ_STEP), READ_STEP);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        int err = n < 0 ? err_from_errno(errno) : OK;
        if (n > 0) {
            out->len += (size_t)n;
            err = out->len - before > max ? ERR_LIMIT : OK;
        }
        if (err != OK) {
            out->len = before;
            return err;
        }
        if (n == 0) {
            return OK;
        }
    }
}

int fd_write_all(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.data, data.len < WRITE_STEP ? data.len : WRITE_STEP);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_from_errno(errno);
        }
        data = bytes_of(data.data + n, data.len - (size_t)n);
    }
    return OK;
}

/* The folder that holds `path`, on the heap. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int folder_sync(const char *path)
{
    AUTO(free_string) char *folder = folder_of(path);
    if (folder == NULL) {
        return ERR_AGAIN;
    }
    AUTO(fd_release) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) != 0 ? ERR_UNKNOWN : OK;
}

static int write_temporary(const char *name, struct bytes data, unsigned mode, bool durable)
{
    AUTO(fd_release) int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    int err = fd_write_all(fd, data);
    /* Past the umask: the mode is what the caller asked for. */
    if (err == OK && fchmod(fd, (mode_t)mode) != 0) {
        err = err_from_errno(errno);
    }
    if (err == OK && durable && fsync(fd) != 0) {
        err = err_from_errno(errno);
    }
    return err;
}

int file_replace(const char *path, struct bytes data, unsigned mode, bool durable)
{
    char *name = NULL;
    if (asprintf(&name, "%s.%016llx.tmp", path, (unsigned long long)rng_u64(rng_system())) <
        0) {
        return ERR_AGAIN;
    }
    AUTO(free_string) char *owned = name;
    int err = write_temporary(owned, data, mode, durable);
    if (err == OK && rename(owned, path) != 0) {
        err = err_from_errno(errno);
    }
    if (err != OK) {
        (void)unlink(owned);
        return err;
    }
    return durable ? folder_sync(path) : OK;
}

int file_mkdirs(const char *path)
{
    AUTO(free_string) char *prefix = strdup(path);
    if (prefix == NULL) {
        return ERR_AGAIN;
    }
    if (*prefix == '\0') {
        return ERR_INVALID;
    }
    for (char *at = prefix + 1;; at++) {
        char c = *at;
        if (c != '/' && c != '\0') {
            continue;
        }
        *at = '\0';
        if (mkdir(prefix, 0777) != 0 && errno != EEXIST) {
            /* mkdir may be refused for a folder that is there, on a read-only file system for
             * one. */
            struct stat st;
            int cause = errno;
            if (stat(prefix, &st) != 0 || !S_ISDIR(st.st_mode)) {
                return err_from_errno(cause);
            }
        }
        *at = c;
        if (c == '\0') {
            break;
        }
    }
    struct stat st;
    if (stat(path, &st) != 0) {
        return err_from_errno(errno);
    }
    return S_ISDIR(st.st_mode) ? OK : ERR_INVALID;
}
