#include "pipeline/sys/file_area.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/sys/file.h"

#define FRESH      "new"
#define FOLDER_LEN 2u
/* One pread or pwrite takes no more than about 2 GiB. */
#define TRANSFER_MAX ((size_t)1 << 30)

struct directory {
    struct file_area area;
    int root;
    int lock;
    _Atomic uint64_t made; /* files so far: part of their names until they get their own */
};

static struct directory *directory_of(struct file_area *area)
{
    return (struct directory *)area;
}

static int area_create(struct file_area *area, char name[FILE_AREA_NAME_MAX], int *fd)
{
    struct directory *d = directory_of(area);
    (void)snprintf(name, FILE_AREA_NAME_MAX, FRESH "/%" PRIx64, atomic_fetch_add(&d->made, 1));
    *fd = openat(d->root, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return *fd < 0 ? err_from_errno(errno) : OK;
}

static int area_write(struct file_area *area UNUSED, int fd, uint64_t offset, struct bytes data)
{
    while (data.len > 0) {
        size_t most = data.len < TRANSFER_MAX ? data.len : TRANSFER_MAX;
        ssize_t n = pwrite(fd, data.data, most, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        data = bytes_of(data.data + n, data.len - (size_t)n);
        offset += (uint64_t)n;
    }
    return OK;
}

static int area_rename(struct file_area *area, const char *from, const char *to)
{
    struct directory *d = directory_of(area);
    if (renameat(d->root, from, d->root, to) == 0)
        return OK;
    if (errno != ENOENT)
        return err_from_errno(errno);
    char folder[FOLDER_LEN + 1] = {0};
    memcpy(folder, to, FOLDER_LEN);
    if (mkdirat(d->root, folder, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    return renameat(d->root, from, d->root, to) == 0 ? OK : err_from_errno(errno);
}

static int area_remove(struct file_area *area, const char *name)
{
    return unlinkat(directory_of(area)->root, name, 0) == 0 ? OK : err_from_errno(errno);
}

static int area_open(struct file_area *area, const char *name, int *fd)
{
    *fd = openat(directory_of(area)->root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return *fd < 0 ? err_from_errno(errno) : OK;
}

static int area_read(struct file_area *area UNUSED, int fd, uint64_t offset, size_t len,
                     uint8_t *out)
{
    while (len > 0) {
        ssize_t n = pread(fd, out, len < TRANSFER_MAX ? len : TRANSFER_MAX, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return ERR_CORRUPT;
        out += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return OK;
}

static void area_shut(struct file_area *area UNUSED, int fd)
{
    (void)close(fd);
}

static void dir_release(DIR **dir)
{
    if (*dir != NULL)
        (void)closedir(*dir);
}

/* Opens the folder for readdir. */
static DIR *folder_open(int root, const char *name)
{
    int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL && fd >= 0)
        (void)close(fd);
    return dir;
}

/* The next plain file, and its size; NULL at the end. */
static const char *folder_next(DIR *dir, uint64_t *size)
{
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            *size = (uint64_t)st.st_size;
            return entry->d_name;
        }
    }
    return NULL;
}

static int list_folder(struct file_area *area, const char *folder, file_area_take take,
                       void *arg)
{
    AUTO(dir_release) DIR *dir = folder_open(directory_of(area)->root, folder);
    if (dir == NULL)
        return err_from_errno(errno);
    char name[FILE_AREA_NAME_MAX + NAME_MAX];
    const char *file;
    uint64_t size;
    while ((file = folder_next(dir, &size)) != NULL) {
        (void)snprintf(name, sizeof(name), "%s/%s", folder, file);
        take(arg, name, size);
    }
    return OK;
}

static int area_list(struct file_area *area, file_area_take take, void *arg)
{
    for (unsigned i = 0; i < 256; i++) {
        char folder[FOLDER_LEN + 1];
        (void)snprintf(folder, sizeof(folder), "%02x", i);
        int err = list_folder(area, folder, take, arg);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    return OK;
}

static int prepare(struct directory *d, const char *dir)
{
    int err = file_mkdirs(dir);
    if (err != OK)
        return err;
    d->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->root < 0)
        return err_from_errno(errno);
    d->lock = openat(d->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return err_from_errno(errno);
    if (flock(d->lock, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? ERR_CONFLICT : err_from_errno(errno);
    if (mkdirat(d->root, FRESH, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    AUTO(dir_release) DIR *fresh = folder_open(d->root, FRESH);
    if (fresh == NULL)
        return err_from_errno(errno);
    const char *file;
    uint64_t size;
    while ((file = folder_next(fresh, &size)) != NULL)
        (void)unlinkat(dirfd(fresh), file, 0);
    return OK;
}

int file_area_open(const char *dir, struct file_area **out)
{
    struct directory *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return ERR_AGAIN;
    d->area = (struct file_area){.create = area_create,
                                 .write = area_write,
                                 .rename = area_rename,
                                 .remove = area_remove,
                                 .open = area_open,
                                 .read = area_read,
                                 .shut = area_shut,
                                 .list = area_list};
    d->root = -1;
    d->lock = -1;
    int err = prepare(d, dir);
    if (err != OK) {
        file_area_close(&d->area);
        return err;
    }
    *out = &d->area;
    return OK;
}

void file_area_close(struct file_area *area)
{
    struct directory *d = directory_of(area);
    if (d->lock >= 0)
        (void)close(d->lock);
    if (d->root >= 0)
        (void)close(d->root);
    free(d);
}
