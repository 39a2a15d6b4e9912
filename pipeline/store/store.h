/* A store: bytes with names, versions and conditions. Everything that lasts goes through these
 * five calls.
 *
 * A store is a stack of things with the same calls: a directory (fs), memory (mem), and layers
 * over another store (slow; faults in the tests; caches). Every call may come from any thread
 * at any time.
 *
 * What must stay true of every store:
 *   - a put is visible whole or not at all, and once it has returned OK it survives any crash;
 *   - of several puts under a condition at most the ones whose condition held take effect, one
 *     after another;
 *   - a get or list that begins after a put has returned OK sees it;
 *   - ERR_AGAIN means that nothing happened; ERR_UNKNOWN that it may have happened, or may
 *     still happen. A get or list never gives ERR_UNKNOWN, for it has no effect.
 *
 * Keys are the words of formats/key.h: 1 to 1,000 bytes out of A-Z a-z 0-9 . _ - /, no empty
 * component, none that begins with a dot, none over 255 bytes; anything else is ERR_INVALID. No
 * key is a directory of another.
 */
#ifndef PIPELINE_STORE_STORE_H
#define PIPELINE_STORE_STORE_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

#define STORE_KEY_MAX  1000u
#define STORE_NAME_MAX 255u         /* of a component of a key */
#define STORE_LIST_MAX 1000u        /* keys that one list gives at most */
#define STORE_GET_MAX  (2ull << 30) /* bytes that one get gives at most; ERR_LIMIT above */

/* The version of an object, opaque; empty for none. Equal etags mean equal bytes. */
struct etag {
    char s[80];
};

enum store_range_kind {
    RANGE_ALL,    /* the whole object */
    RANGE_FROM,   /* from `offset`, at most `len` bytes; ERR_INVALID when offset is past the end
                   */
    RANGE_SUFFIX, /* the last `len` bytes, or all when it has fewer */
    RANGE_NONE,   /* no bytes: only whether it is there, its size and etag */
};

struct store_range {
    enum store_range_kind kind;
    uint64_t offset;
    uint64_t len;
};

enum put_condition {
    PUT_ANY,
    PUT_IF_ABSENT, /* ERR_CONFLICT when the key exists */
    PUT_IF_MATCH,  /* ERR_CONFLICT when the key's etag is another, or there is no such key */
};

enum store_verb {
    STORE_GET,
    STORE_PUT,
    STORE_DELETE,
};

/* When a get or a put gives an etag. A store may have to read the whole object for it, so a
 * read of a part asks for it; of bytes that are at hand anyway it costs little, but something:
 * a put gives it unless it is never wanted. */
enum etag_want {
    ETAG_OF_WHOLE, /* with RANGE_ALL only; otherwise the etag is empty, or given where that is
                      free */
    ETAG_ALWAYS,
    ETAG_NEVER, /* empty, or given where that is free */
};

/* One operation of `many`: the caller fills in what goes in, the store what comes out. */
struct store_op {
    enum store_verb verb;
    const char *key;
    enum etag_want want_etag;
    /* get: in */
    struct store_range range;
    /* get: out. `body` is appended to; the caller owns it. */
    struct buf *body;
    uint64_t size; /* of the whole object */
    /* put: in */
    struct bytes data;
    enum put_condition condition;
    /* put: in for PUT_IF_MATCH; out, when it is OK, as `want_etag` says */
    struct etag etag;
    /* out: 0 or an enum err */
    int err;
};

struct store_key {
    const char *key; /* in the arena of the call */
    uint64_t size;
    uint64_t put_ms; /* when it was put last, by the store's own clock, in milliseconds since
                        1970, cut to what the store keeps of it; 0: the store does not tell */
};

struct store_list {
    struct store_key *keys; /* sorted by bytes */
    size_t n;
    bool more; /* list again with after = the last key */
};

struct store;

struct store_calls {
    const char *name;
    /* Runs one operation; gives op->err. */
    int (*one)(struct store *, struct store_op *op);
    /* Runs all side by side, in no order; each has its own err. Gives the first that is not 0,
     * in order of the vector, or 0. */
    int (*many)(struct store *, struct store_op *ops, size_t n);
    /* The keys that begin with `prefix` and are greater than `after` ("" for all), at most
     * `max`, sorted. */
    int (*list)(struct store *, struct arena *, const char *prefix, const char *after,
                size_t max, struct store_list *out);
    /* What the store's own clock shows now, in milliseconds since 1970, as far as its answers
     * tell; 0 when it has not answered yet. */
    uint64_t (*date_ms)(struct store *);
    /* See store_put_interval_ms. NULL: no bound is known. A layer gives that of the store
     * below. */
    uint32_t (*put_interval_ms)(struct store *);
    void (*close)(struct store *);
};

struct store {
    const struct store_calls *calls;
};

/* Appends the object's bytes to `body` (which may be NULL for RANGE_NONE). `etag` and `size`
 * may be NULL; an etag that nobody asks for costs nothing. */
int store_get(struct store *, const char *key, struct store_range, struct buf *body,
              struct etag *etag, uint64_t *size) MUST_USE;
/* `etag` is in for PUT_IF_MATCH and out on success; it may be NULL for the other conditions. */
int store_put(struct store *, const char *key, struct bytes data, enum put_condition,
              struct etag *etag) MUST_USE;
/* Deleting what is not there is OK. Never used on a key that is ever put under a condition, but
 * for objects whose names are never used again, or for the same bytes only: of the queue, of
 * trees, of the log, of derivation, of probes. */
int store_delete(struct store *, const char *key) MUST_USE;
/* One operation; gives op->err. */
int store_one(struct store *, struct store_op *op) MUST_USE;
/* Any number of operations side by side, in no order. Each has its own err; gives the first in
 * order of the vector that is not 0, or 0. Several on one key: any of them may come first. */
int store_many(struct store *, struct store_op *ops, size_t n) MUST_USE;
/* The keys that begin with `prefix` (which may end in the middle of a component, or be empty)
 * and are greater than `after` ("" for all), at most `max` and at most STORE_LIST_MAX, sorted
 * by bytes. ERR_INVALID for a prefix that no key has. An object that is put or deleted
 * meanwhile may be listed or not. */
int store_list(struct store *, struct arena *, const char *prefix, const char *after,
               size_t max, struct store_list *out) MUST_USE;
uint64_t store_date_ms(struct store *);
/* The store takes one put to a key in so many milliseconds, and answers more with ERR_AGAIN; 0:
 * no such bound is known. Who puts a key again and again keeps that distance, for every put
 * that is refused is a request for nothing. It may be known only once the store has
 * answered. */
uint32_t store_put_interval_ms(struct store *);
void store_close(struct store *);

/* Whether `key` is one that a store takes. */
bool store_key_ok(const char *key);

static inline struct store_range range_all(void)
{
    return (struct store_range){.kind = RANGE_ALL};
}

static inline struct store_range range_of(uint64_t offset, uint64_t len)
{
    return (struct store_range){.kind = RANGE_FROM, .offset = offset, .len = len};
}

static inline struct store_range range_suffix(uint64_t len)
{
    return (struct store_range){.kind = RANGE_SUFFIX, .len = len};
}

static inline struct store_range range_none(void)
{
    return (struct store_range){.kind = RANGE_NONE};
}

/* Where `range` lies in an object of `size` bytes: for those who write a store. ERR_INVALID
 * when it begins past the end; it may begin at the end. */
int range_resolve(struct store_range range, uint64_t size, uint64_t *offset,
                  uint64_t *len) MUST_USE;

#endif
