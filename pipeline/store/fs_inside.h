/* What the files of the directory store share; nobody else includes this. See fs.h for how it
 * works. */
#ifndef PIPELINE_STORE_FS_INSIDE_H
#define PIPELINE_STORE_FS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "pipeline/store/store.h"

#define FS_LOCKS 256u
#define FS_KNOWN 8192u
/* Operations of `many` that are under way at once; each may hold one open file. */
#define FS_WAVE 64u
/* The mark of an object whose name may not be durable yet. */
#define FS_MARK S_IXUSR

struct fs_lock {
    pthread_mutex_t mutex; /* between threads */
    int fd; /* of a lock file, between processes; -1 until it is needed; under mutex */
};

/* Of the files that wait for the reaper; the next is closed by who has it. */
#define FS_REAPER_FDS 128u

struct fs_reaper {
    pthread_t thread;
    pthread_mutex_t mutex; /* of all that follows */
    pthread_cond_t wake;
    bool running; /* since the first file */
    bool stop;
    size_t n;
    int fds[FS_REAPER_FDS];
};

struct fs_store {
    struct store store;
    int root;
    int tmp;
    int locks;
    mode_t mark;    /* FS_MARK, or 0 where the file system cannot keep it */
    uint64_t agent; /* random: part of the names of temporaries */
    _Atomic uint64_t seq;
    struct fs_lock lock[FS_LOCKS];
    struct fs_reaper reaper;
    /* Digests of folders that are there and durable, each in the slot of its first bytes. */
    pthread_mutex_t known_mutex;
    struct id16 known[FS_KNOWN];
};

/* A put between its steps. */
struct fs_put {
    struct store_op *op;
    int fd;        /* of its file; -1 for none */
    char name[40]; /* of the temporary; empty once it has the object's name or is gone */
};

/* A get that waits for the disk. */
struct fs_get {
    struct store_op *op;
    int fd;
    uint64_t offset;
    uint64_t len;
};

/* fs_folder.c. The folder of `key` is made, with those above it, and all of them are
 * durable. */
int fs_folder_make(struct fs_store *, const char *key) MUST_USE;
/* Forgets that the folder of `key` is there, because it turned out not to be. */
void fs_folder_forget(struct fs_store *, const char *key);
/* Makes the names in the folder of `key` durable. */
int fs_folder_sync(struct fs_store *, const char *key) MUST_USE;
bool fs_same_folder(const char *key, const char *other) MUST_USE;

/* fs_reaper.c. `fd`, unless it is negative, is closed by another thread. */
void fs_reaper_init(struct fs_reaper *);
void fs_reaper_release(struct fs_reaper *);
void fs_reap(struct fs_reaper *, int fd);

/* fs_lock.c. Nobody else puts or deletes `key` until the unlock, but for puts if absent. */
void fs_locks_init(struct fs_store *);
void fs_locks_release(struct fs_store *);
int fs_lock(struct fs_store *, const char *key) MUST_USE;
void fs_unlock(struct fs_store *, const char *key);

/* fs_get.c. Gives op->err; or, when `later` is not NULL and the bytes are not in memory, leaves
 * the rest to fs_get_end, with the disk at work meanwhile, and later->fd >= 0. */
int fs_get_begin(struct fs_store *, struct store_op *op, struct fs_get *later);
int fs_get_end(struct fs_get *get);
/* The etag of what lies at `key` now, durable or not, and the open file, which the caller
 * closes. */
int fs_etag(struct fs_store *, const char *key, struct etag *etag, int *fd) MUST_USE;
/* Makes the object at `key` durable if it bears the mark; ERR_INVALID when it is no object. */
int fs_settle(struct fs_store *, const char *key) MUST_USE;

/* fs_put.c. The steps of puts, each for all of them; a put that has failed is passed over by
 * the later ones. */
void fs_put_begin(struct fs_store *, struct fs_put *, struct store_op *op);
void fs_put_sync(struct fs_store *, struct fs_put *puts, size_t n);
void fs_put_rename(struct fs_store *, struct fs_put *puts, size_t n);
void fs_put_settle(struct fs_store *, struct fs_put *puts, size_t n);
int fs_delete(struct fs_store *, struct store_op *op);

/* fs_list.c */
int fs_list(struct store *, struct arena *, const char *prefix, const char *after, size_t max,
            struct store_list *out) MUST_USE;

static inline struct fs_store *fs_of(struct store *store)
{
    return (struct fs_store *)store;
}

#endif
