/* Everything below a tree, directories before what is in them, in order of path_compare. No
 * recursion; in memory is one place in each directory on the way down. */
#ifndef PIPELINE_DERIVE_FUNCTIONS_FN_WALK_H
#define PIPELINE_DERIVE_FUNCTIONS_FN_WALK_H

#include "formats/base/buf.h"
#include "pipeline/derive/function.h"

struct fn_walk_dir {
    struct fn_dir *dir;
    size_t path_len; /* of the directory itself */
};

struct fn_walk {
    struct fn_tree *tree;
    struct arena arena;
    struct buf path;
    struct fn_walk_dir *dirs; /* from the top down to where we are */
    size_t depth;
    size_t cap;
    bool given;    /* the last place still stands on what was given last */
    bool go_below; /* that is a directory, which comes next */
};

/* A walk that failed to open needs no release. */
int fn_walk_open(struct fn_walk *, struct fn_tree *) MUST_USE;
void fn_walk_release(struct fn_walk *);
/* The next entry and its whole path, both valid until the next call; `*out` is NULL at the end.
 * ERR_LIMIT where a path is longer or deeper than paths are. */
int fn_walk_next(struct fn_walk *, struct bytes *path, const struct fn_entry **out) MUST_USE;
/* Do not go into the directory that was given last. */
void fn_walk_skip(struct fn_walk *);

/* Expands until the place stands on an entry, or is past the end. */
int fn_dir_entry(struct fn_dir *) MUST_USE;
/* Puts a name behind the first `len` bytes of a path. ERR_LIMIT. */
int fn_path_step(struct buf *path, size_t len, struct bytes name) MUST_USE;

#endif
