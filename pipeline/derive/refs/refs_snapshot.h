/* A project's references at one moment. The head of their tree is read once, and the project's
 * own head once, each when it is first needed: so everything that is asked of a snapshot is
 * answered as of one state of each, and what was asked is remembered.
 *
 * The ref `head` is the project's own tree: its value is the content hash of the root, and that
 * of a directory or file below where a path is given. Any other ref is an address that somebody
 * bound to the name; below one that is the content hash of a directory a path picks, too.
 *
 * One thread. */
#ifndef PIPELINE_DERIVE_REFS_REFS_SNAPSHOT_H
#define PIPELINE_DERIVE_REFS_REFS_SNAPSHOT_H

#include "formats/base/arena.h"
#include "formats/entry.h"
#include "formats/head.h"
#include "formats/recipe.h"
#include "pipeline/repo/repo.h"

/* Where recipes and trees are found by their addresses. Either may be NULL: then there are
 * none. Any thread. */
struct refs_source {
    /* ERR_NOT_FOUND for an address that is no recipe's: what it names has no inputs. What all
     * nodes had told at `since_us` is found; where that is 0, it is made this moment. */
    int (*recipe)(void *arg, const struct id16 *project, const struct hash *address,
                  uint64_t *since_us, struct arena *, struct recipe *out);
    /* Where the page of a directory with this content hash lies (PLACE_PAGE). ERR_NOT_FOUND. */
    int (*tree)(void *arg, const struct id16 *project, const struct hash *content,
                uint64_t *since_us, struct location *out);
    void *arg;
    /* When that was asked for which all this is read, by the monotonic clock; 0: when the first
     * is looked for. */
    uint64_t since_us;
};

struct refs_snapshot;

/* Reads nothing yet. `source` may be NULL; what its arg points to must live as long. */
struct refs_snapshot *refs_snapshot_open(struct repo *, const struct id16 *project,
                                         const struct refs_source *source) MUST_USE;
void refs_snapshot_close(struct refs_snapshot *);

struct ref_value {
    struct hash address;
    /* What was found in a tree: its kind, size and place. KIND_NONE: an address as it was
     * bound, of which nothing else is known. */
    enum kind kind;
    uint64_t size;
    struct location where;
    /* Position of the landing that bound the name, or changed what lies under the path. */
    uint64_t stamp;
};

/* ERR_NOT_FOUND when the name is not bound, or has nothing under the path; else the error of
 * what was read. */
int refs_snapshot_ref(struct refs_snapshot *, struct bytes name, struct bytes path,
                      struct ref_value *out) MUST_USE;
/* Only what the name is bound to; not for `head`. */
int refs_snapshot_bound(struct refs_snapshot *, struct bytes name, struct hash *out) MUST_USE;

/* What is under a name in the tree of references: KIND_DIR where it begins other names. */
int refs_snapshot_seen(struct refs_snapshot *, struct bytes name, struct seen *out) MUST_USE;

/* Every name that was asked for, but `head`, in the order of asking, and what was there. Valid
 * until the next question. */
struct ref_read {
    struct bytes name;
    struct seen seen;
    struct hash address; /* zero when it is not bound */
    uint64_t stamp;
};
const struct ref_read *refs_snapshot_reads(const struct refs_snapshot *, size_t *n);

/* The heads that it stands on, read if they were not. ERR_NOT_FOUND for the first when nothing
 * was ever bound. */
int refs_snapshot_refs_head(struct refs_snapshot *, struct head *out) MUST_USE;
int refs_snapshot_head(struct refs_snapshot *, struct head *out) MUST_USE;

struct ref_listed {
    struct bytes name;
    struct hash address;
    uint64_t stamp;
};
struct refs_listing {
    struct ref_listed *refs; /* in order of path_compare */
    size_t n;
    bool more;
};
/* The names below `prefix`, and that name itself ("" is all), behind `after` (empty: from the
 * first on), at most `max`. */
int refs_snapshot_list(struct refs_snapshot *, struct bytes prefix, struct bytes after,
                       size_t max, struct arena *, struct refs_listing *out) MUST_USE;

#endif
