/* The index of a workspace: its base, and beside each path what stat and hash said of the file
 * when it was last read. Base and cache lie in one file that is replaced whole, so the base
 * never moves without them.
 *
 *   offset size field
 *        0   16 envelope "MIDX" version 1
 *       16    8 position of the base
 *       24   32 tree object that has it
 *       56   32 content hash of the base's tree
 *       88    4 count of entries, sorted as path_compare does, each
 *               2+n path   1 kind (0: not in the base)   2 mode   8 size   32 hash
 *               1 whether a mark follows: 8 size  8 mtime  8 ctime (nanoseconds)  8 inode
 *               4 mode  32 hash of the file that had this mark
 *
 * Racy-clean: a file that was changed at or after the time when the index was written may have
 * been changed again without a trace in its times; so such a mark is not believed when the
 * index is read, and the file is read again. */
#ifndef API_CLI_INDEX_H
#define API_CLI_INDEX_H

#include "api/cli/workspace.h"

#define INDEX_BYTES_MAX (4ull << 30)

struct index_entry {
    struct bytes path;
    enum kind kind; /* of the base; KIND_NONE: it has none */
    uint16_t mode;
    uint64_t size;
    struct hash hash;
    bool marked; /* `mark` and `work` are believed */
    struct stat_mark mark;
    struct hash work;
};

struct index {
    uint64_t position;
    struct hash tree;
    struct hash content;
    struct index_entry *entries;
    size_t n;
    struct buf bytes; /* that paths point into */
};

#define AUTO_INDEX AUTO(index_release) struct index

/* An index that is all zero is the empty one. */
void index_release(struct index *);
/* ERR_NOT_FOUND; ERR_CORRUPT. */
int index_load(struct workspace *, struct index *out) MUST_USE;
int index_save(struct workspace *, const struct index *) MUST_USE;

void index_encode(const struct index *, struct buf *out);
/* Takes the bytes over. `written_ns`: when the file was written. */
int index_decode(struct buf *bytes, int64_t written_ns, struct index *out) MUST_USE;

struct index_entry *index_find(const struct index *, struct bytes path);
/* The first entry that is not before `path`; n when all are. */
size_t index_from(const struct index *, struct bytes path);
/* Whether some path of the base lies below directory `dir`. */
bool index_has_below(const struct index *, struct bytes dir);
static inline struct seen index_seen(const struct index_entry *e)
{
    struct seen seen = {.said = true};
    if (e != NULL && e->kind != KIND_NONE) {
        seen.kind = e->kind;
        seen.mode = e->mode;
        seen.hash = e->hash;
    }
    return seen;
}

#endif
