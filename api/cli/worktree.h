/* The files of a workspace, reached so that nothing outside of it is ever touched: every
 * directory on the way is opened without following symbolic links, from the one above. Paths
 * are those of formats/path.h, checked by whoever made them. One thread. */
#ifndef API_CLI_WORKTREE_H
#define API_CLI_WORKTREE_H

#include <sys/stat.h>

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/entry.h"

#define WORKTREE_SLOTS 128u

struct worktree {
    int root; /* owned */
    int tmp;  /* .mic/tmp, or -1 */
    struct {
        char *path;
        int fd;
    } slots[WORKTREE_SLOTS]; /* directories that are open already */
};

/* What stat says of a file, as far as it tells whether the file is the same. */
struct stat_mark {
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t ino;
    uint32_t mode;
};
struct stat_mark stat_mark_of(const struct stat *);
bool stat_mark_equal(const struct stat_mark *, const struct stat_mark *);
/* KIND_NONE for what the forge does not hold. */
enum kind stat_kind(const struct stat *);
uint16_t stat_mode(const struct stat *);

int worktree_open(struct worktree *, const char *root) MUST_USE;
void worktree_close(struct worktree *);

/* The directory at `path` ("" is the root), borrowed until the next call. ERR_NOT_FOUND; with
 * `create` it is made, and ERR_CONFLICT when something else stands on the way. */
int worktree_dir(struct worktree *, struct bytes path, bool create, int *fd) MUST_USE;

/* ERR_NOT_FOUND also when what is above is no directory. */
int worktree_stat(struct worktree *, struct bytes path, struct stat *out) MUST_USE;
/* Appends a file's bytes or a link's target; ERR_LIMIT over `max`. */
int worktree_read(struct worktree *, struct bytes path, size_t max, struct buf *out,
                  struct stat *st) MUST_USE;
/* The content's hash, in bounded memory, and what stat said of the file that was read. */
int worktree_hash(struct worktree *, struct bytes path, struct hash *out,
                  struct stat *st) MUST_USE;
/* Opens a file for reading. */
int worktree_file(struct worktree *, struct bytes path, int *fd) MUST_USE;

/* Makes a file or link that was not there: ERR_CONFLICT when something is. */
int worktree_create(struct worktree *, struct bytes path, enum kind, uint16_t mode,
                    struct bytes content, struct stat_mark *out) MUST_USE;
/* The same, over a file or link that may be there, which is never seen half written. A
 * directory there is ERR_CONFLICT, unless it is empty. */
int worktree_replace(struct worktree *, struct bytes path, enum kind, uint16_t mode,
                     struct bytes content, struct stat_mark *out) MUST_USE;
/* A new file that is to become one of the tree, for content that comes in pieces: it lies in
 * .mic/tmp until worktree_adopt gives it its place, or worktree_discard. */
struct worktree_temp {
    int fd;
    char name[40];
};
int worktree_temp_open(struct worktree *, struct worktree_temp *) MUST_USE;
int worktree_adopt(struct worktree *, struct worktree_temp *, struct bytes path, uint16_t mode,
                   struct stat_mark *out) MUST_USE;
void worktree_discard(struct worktree *, struct worktree_temp *);
/* Sets a file's permission to run. */
int worktree_chmod(struct worktree *, struct bytes path, uint16_t mode,
                   struct stat_mark *out) MUST_USE;
/* Removes a file or link, and the directories above that are empty then. It is OK when nothing
 * is there. */
int worktree_remove(struct worktree *, struct bytes path) MUST_USE;

#endif
