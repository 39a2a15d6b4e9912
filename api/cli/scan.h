/* Comparing the files of a workspace with its index. Files whose stat is the index's are not
 * read. */
#ifndef API_CLI_SCAN_H
#define API_CLI_SCAN_H

#include "api/cli/index.h"

enum scan_state {
    SCAN_ADDED,
    SCAN_MODIFIED,
    SCAN_DELETED,
};

struct scan_item {
    struct bytes path;
    enum scan_state state;
    const struct index_entry *base; /* NULL: not in the base */
    enum kind kind;                 /* of what is there; not for SCAN_DELETED */
    uint16_t mode;
    uint64_t size;
    bool hashed; /* `hash` is known */
    struct hash hash;
    struct stat_mark mark;
};

struct scan_skipped {
    struct bytes path;
    const char *why;
};

struct scan {
    struct scan_item *items; /* what differs, sorted by path_compare */
    size_t n;
    struct scan_skipped *skipped; /* what the forge cannot hold */
    size_t n_skipped;
    uint64_t files;   /* looked at */
    uint64_t read;    /* of them, read */
    bool index_dirty; /* marks have been renewed: worth saving */
};

/* The index's marks are renewed in place. Paths that are new lie in the arena. */
int scan_run(struct workspace *, struct index *, struct arena *, struct scan *out) MUST_USE;

/* The item of a path, or NULL when it is as in the base. */
const struct scan_item *scan_find(const struct scan *, struct bytes path);

#endif
