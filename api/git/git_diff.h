/* What differs between two trees of a git repository, as the forge holds them: entries that it
 * cannot hold count as absent on both sides, so what is said of two trees depends on these two
 * only. No renames are looked for; a path that is a file here and a directory there comes as
 * the one going and the files of the other coming. */
#ifndef API_GIT_GIT_DIFF_H
#define API_GIT_GIT_DIFF_H

#include "api/git/git_lib.h"
#include "formats/entry.h"

/* A file or link; KIND_NONE: there is none. */
struct git_side {
    enum kind kind;
    uint16_t mode;
    git_oid oid;
};

struct git_change {
    struct bytes path;
    struct git_side a;
    struct git_side b;
};

struct git_changes {
    struct git_change *changes; /* one a path, in no useful order */
    size_t n;
};

struct git_diff_options {
    git_odb *odb;
    /* Called for each entry of tree b that is new or another there and cannot be held as it is;
     * the item has no commit. */
    void (*left_out)(void *arg, const struct git_left_out *);
    void *arg;
};

/* From tree `a` (NULL: the empty one) to `b`. Everything lies in the arena. Errors: those of
 * libgit2 when an object cannot be read; GIT_EINVALID for a tree that is none. */
int git_diff_trees(const struct git_diff_options *, const git_oid *a, const git_oid *b,
                   struct arena *, struct git_changes *out) MUST_USE;

#endif
