/* The collection of a project that is under way, if any: the names that it is about to delete.
 * It is only ever put under a condition, and never deleted.
 *
 *   offset size field
 *        0   16 envelope "MCOL" version 1
 *       16   16 run: random, never zero
 *       32    8 count of the puts of this object: with the run it makes the bytes unlike any
 *               that ever lay there
 *       40    1 state: 1 open, 2 cooling, 3 closed
 *       41    8 opened, in ms by the store's Date
 *       49    8 until, in ms by the store's Date: cooling, when the run may be closed; else 0
 *       57    4 count of names, none when it is closed, each
 *                 1 what: 1 tree object, 2 blob     32 hash
 *               sorted, no two alike
 *
 * The first GC_HEAD_LEN bytes, with the checksum of all the rest among them, say which version
 * it is: who has read it before need not read the names again. */
#ifndef FORMATS_GC_H
#define FORMATS_GC_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

#define GC_HEAD_LEN  57u
#define GC_NAMES_MAX 65536u
#define GC_NAME_LEN  33u
#define GC_LEN_MAX   (GC_HEAD_LEN + 4u + GC_NAMES_MAX * GC_NAME_LEN)

enum gc_state {
    GC_OPEN = 1,    /* the names may go at any time */
    GC_COOLING = 2, /* they are gone, and a delete that was lost may still take effect */
    GC_CLOSED = 3,
};

enum gc_what {
    GC_TREE = 1,
    GC_BLOB = 2,
};

struct gc_name {
    enum gc_what what;
    struct hash hash;
};

struct gc {
    struct id16 run;
    uint64_t count;
    enum gc_state state;
    uint64_t opened_ms;
    uint64_t until_ms;
    struct gc_name *names; /* sorted by gc_name_compare */
    uint32_t n;
};

/* "open", "cooling", "closed" */
const char *gc_state_name(enum gc_state);

int gc_name_compare(const struct gc_name *, const struct gc_name *);
/* Whether the name is among the collection's. */
bool gc_has(const struct gc *, const struct gc_name *);

/* What gc_decode would refuse is a bug of the caller. */
void gc_encode(const struct gc *, struct buf *out);
int gc_decode(struct bytes in, struct arena *, struct gc *out) MUST_USE;

#endif
