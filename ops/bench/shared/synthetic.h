/* Synthetic projects: a history of so many landings, and a tree of so many files, the same for
 * the same seed where the repo's clock and chance are the same. What is put is what the landing
 * stage would have put; only intake, conflicts and the heads in between are left out, and many
 * tree objects are put at a time. One thread.
 *
 * Directories have `fan` entries, the last ones less. The path of a file is its number in base
 * `fan`, a directory for each digit but the last: dir-04/dir-00/file-17.txt. */
#ifndef OPS_BENCH_SHARED_SYNTHETIC_H
#define OPS_BENCH_SHARED_SYNTHETIC_H

#include "formats/head.h"
#include "pipeline/repo/repo.h"
#include "pipeline/repo/tree/tree_build.h"

#define SYNTHETIC_FAN_MAX  100u /* more names would be cut into pages */
#define SYNTHETIC_PATH_MAX 512u

struct synthetic_options {
    uint64_t seed;
    unsigned fan;
    uint64_t files;
    /* The files come from no landing: one batch without records has a tree whose equal
     * directories are one page, so that a billion files take a few pages. It passes the check,
     * but not the deep one or a replay, which find a tree that no record makes. Otherwise the
     * first landings write them, 10,000 each. */
    bool shared;
    uint64_t landings; /* after these */
    unsigned batch;    /* landings of a batch */
    unsigned writes;   /* files that a landing writes, at most `fan` */
    bool scattered;    /* they may lie in any directories; else in one */
    /* So many of the landings write the file in the middle; 0: as it comes. */
    unsigned rare;
};

struct synthetic {
    struct id16 project;
    struct head head;
    uint64_t batches; /* with landings */
    uint64_t tree_bytes;
    char rare[SYNTHETIC_PATH_MAX];
};

/* The path of file number `i` out of `files`. */
void synthetic_path(uint64_t i, uint64_t files, unsigned fan,
                    char out[static SYNTHETIC_PATH_MAX]);

/* Makes the project `handle`: all but its log and rollups, which are the stages' work. */
int synthetic_make(struct repo *, struct bytes handle, const struct synthetic_options *,
                   struct synthetic *out) MUST_USE;

/* Appends the pages of a directory of `files` files, the paths of which are those of
 * synthetic_path below it, to a tree object; of pages that are alike one, and the contents.
 * Gives the directory as an entry without a name. Where `top_page` is not NULL it gets the
 * bytes of the directory's own page, which is then not appended and has no place. */
int shared_tree_add(struct tree_build *, unsigned fan, uint64_t files, struct buf *top_page,
                    struct entry *out) MUST_USE;

/* Puts a tree object as the batch that follows the head, and then the head. The footer's root
 * and counts are the caller's, of a batch without records. */
int synthetic_put_batch(struct repo *, const struct id16 *project, struct tree_build *,
                        struct bytes root_page, struct footer *) MUST_USE;

#endif
