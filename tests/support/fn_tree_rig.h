/* Trees in memory for functions, whose directories are cut into pages by chance. Hashes of
 * directories are those of a project's tree whose directories have one page each. */
#ifndef TESTS_SUPPORT_FN_TREE_RIG_H
#define TESTS_SUPPORT_FN_TREE_RIG_H

#include "pipeline/derive/function.h"
#include "tests/support/chance.h"

struct rig_file {
    struct bytes path;
    enum kind kind; /* FILE or LINK */
    uint16_t mode;
    struct bytes content;
};

struct rig_tree {
    struct fn_tree tree; /* first: what functions take */
    struct arena arena;
    struct chance *chance; /* cuts pages, of large directories always; NULL: one page each */
    size_t view_max;       /* 0: all at once */
    unsigned open;         /* of directories and files, now */
    unsigned dirs;         /* opened so far */
    unsigned pages;        /* expanded so far */
    unsigned files;        /* opened so far */
    int err;               /* what a call gives when `err_at` calls have been made */
    unsigned err_at;       /* 0: never */
    unsigned calls;        /* that can fail; counted from when `err_at` or `called` is set */
    void (*called)(struct rig_tree *); /* at each of them; may be NULL */
};

/* The files are sorted by path_compare, and their contents outlive the tree. */
void rig_tree_init(struct rig_tree *, const struct rig_file *files, size_t n, struct chance *);
/* The running test fails when something was left open. */
void rig_tree_release(struct rig_tree *);

#endif
