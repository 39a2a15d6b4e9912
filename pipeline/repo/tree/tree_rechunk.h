/* Cutting a directory's pages again after changes, so that they are exactly what cutting all of
 * its names anew would give, but reading and making only the pages around the changes.
 *
 * A run begins with a page whose first name is a boundary (or with the first page) and ends
 * before the next such page. Where page_split begins a run depends only on the names since the
 * last run began, and, for the last one, on what is behind it to the end. So a run without
 * changes is left as it is when the one before it still ends where it did. */
#ifndef PIPELINE_REPO_TREE_TREE_RECHUNK_H
#define PIPELINE_REPO_TREE_TREE_RECHUNK_H

#include "pipeline/repo/tree/dir_pages.h"

struct dir_change {
    struct bytes name;
    const struct entry *entry; /* with its name; NULL: gone */
};

/* Takes every page that is new, pages of lower levels first; `top` is the last. */
struct page_sink {
    int (*take)(struct page_sink *, const struct page *, bool top, struct location *where);
};

struct rechunk_in {
    const struct dir_change *changes; /* sorted by name, no two alike */
    size_t n;
    const struct hash
        *content;           /* of the directory as changed, when the caller knows it, or NULL */
    struct page_sink *sink; /* NULL: only hashes are wanted, and new pages have no place */
};

/* Gives the directory's new top page as a page above it would name it: hash, size, files,
 * greatest stamp below, place. When nothing is left, that is an empty page. `lists` is for what
 * lives as long as the pages, `scratch` for what the result points to. ERR_LIMIT for more than
 * PAGE_LEVELS_MAX levels. */
int tree_rechunk(struct dir_pages *, const struct rechunk_in *, struct arena *lists,
                 struct arena *scratch, struct entry *top) MUST_USE;

#endif
