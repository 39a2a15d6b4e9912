/* The inside of a tree edit: a node for each directory that was touched, a slot for each name
 * that was. Only tree_edit*.c include this. Nodes and slots live in the edit's arena and never
 * move. */
#ifndef PIPELINE_REPO_TREE_EDIT_NODE_H
#define PIPELINE_REPO_TREE_EDIT_NODE_H

#include "formats/page_canonical.h"
#include "pipeline/repo/tree/dir_pages.h"
#include "pipeline/repo/tree/tree_edit.h"

struct edit_slot;

/* A directory. One without files is not there, whatever it has in its lists. */
struct edit_node {
    struct edit_node *parent; /* NULL: the root */
    struct edit_slot *slot;   /* in the parent */
    struct edit_node *older;  /* in the list of all nodes */
    uint64_t number;          /* tells apart equal names in different directories */
    struct entry base;        /* as it was: KIND_NONE when it was not there */
    struct dir_pages pages;
    bool opened;                     /* `pages` is */
    struct edit_slot *changed_slots; /* the newest first */
    size_t n_changed_slots;
    /* Those of them that were put in order of their names, the oldest `n_sorted`: a directory
     * whose hash is asked for again and again is not sorted anew each time. */
    struct edit_slot **sorted;
    size_t n_sorted;
    size_t cap_sorted;
    /* Directories right below whose hash may be unknown. */
    struct edit_node *stale_children;
    struct edit_node *next_stale;
    bool is_stale; /* it is in that list of its parent */
    /* What the hash is made of, once it was asked for again and again while no name came or
     * went; for directories of one page. */
    struct page_canonical *canonical; /* NULL: never made */
    bool canonical_ok;                /* it is as the directory is, but for stale children */
    bool names_stand;                 /* no name came or went since the last hash */
    uint64_t files;
    uint64_t bytes;
    uint64_t stamp;
    bool changed;       /* it, or something below; also when that was undone since */
    bool content_known; /* `content` is its content hash as changed */
    struct hash content;
    struct location where; /* of the top page: the base's until sealed */
};

/* A name in a directory: a file, a directory, or neither. */
struct edit_slot {
    struct edit_slot *next;         /* in its bucket */
    struct edit_slot *next_changed; /* in its directory's list */
    struct edit_node *dir;
    struct bytes name;
    struct entry file;       /* KIND_NONE: no file; then it may be a directory */
    struct edit_node *child; /* NULL: never was a directory */
    bool changed;
};

struct sealed_page {
    struct location where;
    struct bytes encoded;
};

struct tree_edit {
    struct tree base;
    struct arena arena;
    struct edit_node *root;
    struct edit_node *nodes; /* all, the newest first */
    uint64_t n_nodes;
    struct edit_slot **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_slots;
    struct sealed_page *sealed;
    size_t n_sealed;
    size_t cap_sealed;
};

/* Where a path leads to. */
struct edit_spot {
    struct edit_node *dir; /* the deepest directory on the way */
    size_t dir_len;        /* of its path */
    struct bytes name;     /* the name in it where the way ends; empty for the root itself */
    struct bytes
        rest;   /* what of the path is left behind `name`; empty when all of it was gone */
    size_t len; /* of the path up to and with `name` */
    struct entry entry;     /* what is there, with `name`; KIND_NONE: nothing */
    struct edit_node *node; /* when that is a directory */
    struct edit_slot *slot; /* if there is one */
};

void edit_nodes_init(struct tree_edit *);
void edit_nodes_release(struct tree_edit *);

/* Reads the directory's top page, once. */
int edit_node_open(struct tree_edit *, struct edit_node *) MUST_USE;
/* The directory as an entry. Its place is known only while it is unchanged or once it is
 * sealed. */
struct entry edit_node_entry(const struct edit_node *);
static inline bool edit_node_there(const struct edit_node *n)
{
    return n->files > 0 || n->parent == NULL;
}

/* Goes along `path` as far as there are directories. */
int edit_spot_find(struct tree_edit *, struct bytes path, struct edit_spot *out) MUST_USE;
/* The slot at a spot whose path is gone to its end or where nothing is; makes it, and the
 * directories that lead there. */
struct edit_slot *edit_spot_slot(struct tree_edit *, const struct edit_spot *);
/* What is in the slot becomes `file` (KIND_NONE: nothing); all that follows from it for the
 * directories above is done. */
void edit_slot_set(struct edit_slot *, const struct entry *file, uint64_t stamp);

/* What the directory's changed names are now, sorted by name; entries in the arena. Those of
 * directories have a hash and a place when their nodes have. */
struct dir_change;
struct dir_change *edit_node_changes(struct tree_edit *, struct edit_node *, struct arena *,
                                     size_t *n);

/* The directory's hash is to be computed anew, before that of its parent. */
void edit_node_stale(struct edit_node *);
/* Computes the directory's content hash as changed, and those below it that are not known. */
int edit_node_hash(struct tree_edit *, struct edit_node *) MUST_USE;

#endif
