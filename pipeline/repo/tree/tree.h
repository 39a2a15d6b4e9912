/* Reading the tree of a project at a batch: every byte is checked against the hash that its
 * parent holds. A page costs one range read when it is not in the page cache. */
#ifndef PIPELINE_REPO_TREE_TREE_H
#define PIPELINE_REPO_TREE_TREE_H

#include "pipeline/repo/repo.h"
#include "pipeline/repo/tree/page_cache.h"

struct tree {
    struct repo *repo;
    struct id16 project;
    struct location root; /* PLACE_PAGE; PLACE_NONE is the empty tree */
    struct hash content;  /* content hash of the root page */
    uint64_t position;
    uint64_t files;
    uint64_t bytes;
};

/* The page at `where`, from the cache or the store. Give it back with page_cache_drop.
 * ERR_CORRUPT, or the store's error (a page that is missing is ERR_CORRUPT: the parent says
 * that it is there). */
int tree_page(struct repo *, const struct id16 *project, const struct location *where,
              const struct page_held **out) MUST_USE;

/* The entry at `path`; "" gives the root as a directory without a name, whose stamp is the
 * tree's position. The name is copied into the arena. ERR_NOT_FOUND also when a component above
 * is not a directory. */
int tree_find(const struct tree *, struct bytes path, struct arena *,
              struct entry *out) MUST_USE;

struct tree_listing {
    struct entry *entries; /* sorted by name; names in the arena */
    size_t n;
    bool more;
};
/* The entries of directory `path` whose names are greater than `after`, at most `max`.
 * ERR_NOT_FOUND; ERR_INVALID when it is no directory. */
int tree_list(const struct tree *, struct bytes path, struct bytes after, size_t max,
              struct arena *, struct tree_listing *out) MUST_USE;

/* Visits everything below directory `path`, directories before what is in them, in order of
 * path_compare; no recursion. Pages that lie beside each other are read in longer and longer
 * ranges, so it is for who wants all of them. */
struct tree_walk;
int tree_walk_open(const struct tree *, struct bytes path, struct tree_walk **out) MUST_USE;
/* 0 and the next entry with its whole path (both valid until the next call), ERR_NOT_FOUND at
 * the end. */
int tree_walk_next(struct tree_walk *, struct bytes *path, const struct entry **out) MUST_USE;
/* Do not go into the directory that was given last; also when going into it has just failed. */
void tree_walk_skip(struct tree_walk *);
void tree_walk_close(struct tree_walk *);

/* What differs between two trees below directory `path`, in order of path_compare. Reads only
 * pages that differ: equal content hashes are passed over. Only files and links are given; a
 * directory that came or went is given as its files. A file at `path` itself is given, too;
 * what neither tree has is no difference. What is given is valid until the next call. */
struct tree_change {
    struct bytes path;
    const struct entry *a; /* NULL: it came */
    const struct entry *b; /* NULL: it went */
};
struct tree_diff;
int tree_diff_open(const struct tree *a, const struct tree *b, struct bytes path,
                   struct tree_diff **out) MUST_USE;
int tree_diff_next(struct tree_diff *,
                   struct tree_change *out) MUST_USE; /* ERR_NOT_FOUND at the end */
void tree_diff_close(struct tree_diff *);

#endif
