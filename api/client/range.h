/* Reading ranges of tree objects, with neighbours joined into long reads.
 *
 * A source gives the bytes, over HTTP or, in tests, from memory. It checks nothing: whoever
 * asked holds the hash of what he gets. */
#ifndef API_CLIENT_RANGE_H
#define API_CLIENT_RANGE_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

struct range_read {
    struct hash tree;
    bool suffix; /* the last `len` bytes, or all when there are fewer */
    uint64_t offset;
    uint64_t len;
    struct buf body; /* out: exactly `len` bytes, unless a suffix is shorter */
    int err;         /* out */
};

/* Reads are pulled by `next` (NULL: no more) and given back by `done` as they end, in any
 * order, all on the caller's thread. What `done` gives, if not 0, ends all. */
struct range_feed {
    struct range_read *(*next)(void *arg);
    int (*done)(void *arg, struct range_read *);
    void *arg;
};

struct range_source {
    int (*many)(struct range_source *, const struct range_feed *);
};

/* One read; appends to `out`. */
int range_read_one(struct range_source *, struct range_read *, struct buf *out) MUST_USE;

/* A piece of a tree object that somebody wants; `index` is the caller's. */
struct range_item {
    struct hash tree;
    uint32_t offset;
    uint32_t len;
    size_t index;
};

/* Neighbouring items that came in one read. */
struct range_group {
    const struct range_item *items;
    size_t n;
    uint64_t offset; /* of body's first byte in the tree object */
    struct buf body; /* `fn` may take it, and leaves an empty one */
};
typedef int (*range_group_fn)(void *arg, struct range_group *);

/* The bytes of an item of the group. */
struct bytes range_item_bytes(const struct range_group *, const struct range_item *);

/* Sorts the items by tree object and offset and reads them all. Memory: as many groups as the
 * source reads at a time. */
int range_fetch(struct range_source *, struct range_item *items, size_t n, range_group_fn fn,
                void *arg) MUST_USE;

#endif
