#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "pipeline/store/fs_inside.h"
#include "pipeline/sys/file.h"

void fs_locks_init(struct fs_store *fs)
{
    for (size_t i = 0; i < FS_LOCKS; i++) {
        fs->lock[i].fd = -1;
        if (pthread_mutex_init(&fs->lock[i].mutex, NULL) != 0) {
            abort();
        }
    }
}

void fs_locks_release(struct fs_store *fs)
{
    for (size_t i = 0; i < FS_LOCKS; i++) {
        if (fs->lock[i].fd >= 0) {
            (void)close(fs->lock[i].fd);
        }
        (void)pthread_mutex_destroy(&fs->lock[i].mutex);
    }
}

static size_t lock_of(const char *key)
{
    return xxh3_64(bytes_str(key)) % FS_LOCKS;
}

/* Threads share the lock file's descriptor, and with it the lock, so the mutex is what keeps
 * them apart. */
int fs_lock(struct fs_store *fs, const char *key)
{
    size_t at = lock_of(key);
    struct fs_lock *lock = &fs->lock[at];
    (void)pthread_mutex_lock(&lock->mutex);
    int err = OK;
    if (lock->fd < 0) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%02zx", at);
        lock->fd = openat(fs->locks, name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        err = lock->fd < 0 ? err_from_errno(errno) : OK;
    }
    while (err == OK && flock(lock->fd, LOCK_EX) != 0) {
        err = errno == EINTR ? OK : ERR_AGAIN;
    }
    if (err != OK) {
        (void)pthread_mutex_unlock(&lock->mutex);
        return err == ERR_DENIED ? err : ERR_AGAIN;
    }
    return OK;
}

void fs_unlock(struct fs_store *fs, const char *key)
{
    struct fs_lock *lock = &fs->lock[lock_of(key)];
    (void)flock(lock->fd, LOCK_UN);
    (void)pthread_mutex_unlock(&lock->mutex);
}
