/* Whoever closes a file that has no name any more frees its blocks, and on some file systems
 * waits for the device to take them back: longer than for all the rest of a put or delete. A
 * thread does that, so that nobody waits. */
#include <unistd.h>

#include "pipeline/store/fs_inside.h"

static void *reaper_run(void *arg)
{
    struct fs_reaper *reaper = arg;
    (void)pthread_mutex_lock(&reaper->mutex);
    for (;;) {
        while (reaper->n == 0 && !reaper->stop) {
            (void)pthread_cond_wait(&reaper->wake, &reaper->mutex);
        }
        if (reaper->n == 0) {
            break;
        }
        int fd = reaper->fds[--reaper->n];
        (void)pthread_mutex_unlock(&reaper->mutex);
        (void)close(fd);
        (void)pthread_mutex_lock(&reaper->mutex);
    }
    (void)pthread_mutex_unlock(&reaper->mutex);
    return NULL;
}

void fs_reaper_init(struct fs_reaper *reaper)
{
    (void)pthread_mutex_init(&reaper->mutex, NULL);
    (void)pthread_cond_init(&reaper->wake, NULL);
}

void fs_reaper_release(struct fs_reaper *reaper)
{
    (void)pthread_mutex_lock(&reaper->mutex);
    reaper->stop = true;
    (void)pthread_cond_signal(&reaper->wake);
    (void)pthread_mutex_unlock(&reaper->mutex);
    if (reaper->running) {
        (void)pthread_join(reaper->thread, NULL);
    }
    (void)pthread_cond_destroy(&reaper->wake);
    (void)pthread_mutex_destroy(&reaper->mutex);
}

void fs_reap(struct fs_reaper *reaper, int fd)
{
    if (fd < 0) {
        return;
    }
    (void)pthread_mutex_lock(&reaper->mutex);
    if (!reaper->running) {
        reaper->running = pthread_create(&reaper->thread, NULL, reaper_run, reaper) == 0;
    }
    bool taken = reaper->running && reaper->n < FS_REAPER_FDS;
    if (taken) {
        reaper->fds[reaper->n++] = fd;
        (void)pthread_cond_signal(&reaper->wake);
    }
    (void)pthread_mutex_unlock(&reaper->mutex);
    if (!taken) {
        (void)close(fd);
    }
}
