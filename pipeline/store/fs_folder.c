#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "pipeline/store/fs_inside.h"
#include "pipeline/sys/file.h"

/* How long the folder's part of `path` is: 0 for the root. */
static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool fs_same_folder(const char *key, const char *other)
{
    return bytes_equal(bytes_of(key, folder_len(key)), bytes_of(other, folder_len(other)));
}

static size_t slot_of(const struct id16 *digest)
{
    return ((size_t)digest->b[0] << 8 | digest->b[1]) % FS_KNOWN;
}

static bool is_known(struct fs_store *fs, struct bytes folder)
{
    struct id16 digest = xxh3_128(folder);
    (void)pthread_mutex_lock(&fs->known_mutex);
    bool known = id16_equal(&fs->known[slot_of(&digest)], &digest);
    (void)pthread_mutex_unlock(&fs->known_mutex);
    return known;
}

static void set_known(struct fs_store *fs, struct bytes folder, bool known)
{
    static const struct id16 nothing;
    struct id16 digest = xxh3_128(folder);
    (void)pthread_mutex_lock(&fs->known_mutex);
    fs->known[slot_of(&digest)] = known ? digest : nothing;
    (void)pthread_mutex_unlock(&fs->known_mutex);
}

int fs_folder_sync(struct fs_store *fs, const char *key)
{
    char folder[STORE_KEY_MAX + 1];
    size_t len = folder_len(key);
    if (len == 0) {
        return fsync(fs->root) == 0 ? OK : ERR_UNKNOWN;
    }
    memcpy(folder, key, len);
    folder[len] = '\0';
    int fd = openat(fs->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return ERR_UNKNOWN;
    }
    int err = fsync(fd) == 0 ? OK : ERR_UNKNOWN;
    (void)close(fd);
    return err;
}

/* A folder that is there already may have been made by another process that has not synced it
 * yet, so the folder above it is synced in any case, once. */
static int make_one(struct fs_store *fs, const char *folder)
{
    if (mkdirat(fs->root, folder, 0777) != 0 && errno != EEXIST) {
        /* A folder above that has vanished can be made again. */
        return errno == ENOENT ? ERR_AGAIN : err_from_errno(errno);
    }
    int err = fs_folder_sync(fs, folder);
    if (err == OK) {
        set_known(fs, bytes_str(folder), true);
    }
    return err;
}

int fs_folder_make(struct fs_store *fs, const char *key)
{
    char folder[STORE_KEY_MAX + 1];
    size_t len = folder_len(key);
    if (len == 0 || is_known(fs, bytes_of(key, len))) {
        return OK;
    }
    memcpy(folder, key, len);
    folder[len] = '\0';
    for (size_t at = 1; at <= len; at++) {
        if (at < len && key[at] != '/') {
            continue;
        }
        folder[at] = '\0';
        int err = is_known(fs, bytes_of(folder, at)) ? OK : make_one(fs, folder);
        if (err != OK) {
            return err;
        }
        folder[at] = key[at];
    }
    return OK;
}

void fs_folder_forget(struct fs_store *fs, const char *key)
{
    for (size_t len = folder_len(key); len > 0; len--) {
        if (key[len] == '/') {
            set_known(fs, bytes_of(key, len), false);
        }
    }
}
