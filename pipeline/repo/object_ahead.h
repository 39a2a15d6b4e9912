/* Reading parts of tree objects ahead: who asks for parts that lie beside each other, one after
 * the other, gets longer and longer ranges, in the direction in which it goes. It may go along
 * several ways in turn, as a walk does along each level of a tree. A part that lies elsewhere
 * costs a read of itself, as without. Nothing is checked here but that it is all there. One
 * thread. */
#ifndef PIPELINE_REPO_OBJECT_AHEAD_H
#define PIPELINE_REPO_OBJECT_AHEAD_H

#include "formats/base/buf.h"
#include "formats/entry.h"
#include "pipeline/store/store.h"

#define OBJECT_AHEAD_WAYS 4u

struct object_way {
    struct hash tree; /* what was read last: bytes of this tree object, from `from` on */
    uint64_t from;
    uint64_t window; /* bytes that the next read takes, if it is beside this one */
    uint64_t read;   /* bytes that the last read took */
    uint64_t given;  /* bytes that were asked for since */
    uint64_t used;   /* when: the greatest is the latest */
    struct buf bytes;
};

/* All zero is ready for use. */
struct object_ahead {
    struct object_way ways[OBJECT_AHEAD_WAYS];
    uint64_t uses;
};

void object_ahead_release(struct object_ahead *);

/* The bytes at `where` in the tree object under `key`, valid until the next call. ERR_CORRUPT
 * when the object is too short for them; else the store's errors. */
int object_ahead_get(struct object_ahead *, struct store *, const char *key,
                     const struct location *where, struct bytes *out) MUST_USE;

#endif
