/* Reading a project's tree by itself: pages are read as ranges of tree objects, and each is
 * checked against the hash that its parent holds, up to the tree hash that the head says. So
 * whatever the server gives, what comes out is that tree or an error. Paths are checked, too:
 * what comes out can be written below a directory. */
#ifndef API_CLIENT_THICK_TREE_H
#define API_CLIENT_THICK_TREE_H

#include "api/client/range.h"
#include "formats/tree_object.h"

/* What one walk gives at most: a tree that names a page over and over could else fill the
 * memory. */
#define THICK_ENTRIES_MAX 20000000u

struct thick_tree {
    struct hash tree;     /* its name */
    struct footer footer; /* lives as long as the arena */
};

/* The tree object `tree`. ERR_CORRUPT when its footer is not what its name says. */
int thick_tree_open(struct range_source *, const struct hash *tree, struct arena *,
                    struct thick_tree *out) MUST_USE;
/* The tree object whose batch made `position`, found from a later one: its footer.position is
 * at least `position`, and `position` is over its footer.first, or is footer.position.
 * ERR_NOT_FOUND when `position` is over the later one's. */
int thick_tree_at(struct range_source *, const struct thick_tree *later, uint64_t position,
                  struct arena *, struct thick_tree *out) MUST_USE;

struct thick_change {
    struct bytes path;
    const struct entry *a; /* NULL: it came. Files and links only */
    const struct entry *b; /* NULL: it went */
};
struct thick_changes {
    struct thick_change *changes; /* sorted by path_compare */
    size_t n;
};

/* What differs from tree `a` (NULL: the empty one) to tree `b`. Reads only pages that differ.
 * ERR_LIMIT over THICK_ENTRIES_MAX. What is only a different stamp or place is no change. */
int thick_tree_diff(struct range_source *, const struct thick_tree *a,
                    const struct thick_tree *b, struct arena *,
                    struct thick_changes *out) MUST_USE;

/* The entry at `path`; "" gives the root as a directory. ERR_NOT_FOUND. */
int thick_tree_find(struct range_source *, const struct thick_tree *, struct bytes path,
                    struct arena *, struct entry *out) MUST_USE;

#endif
