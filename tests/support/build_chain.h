/* A project in memory whose batches are made by hand: tree pages, records, footer and head,
 * without the intake queue and the landing stage. What goes wrong fails the running test. */
#ifndef TESTS_SUPPORT_BUILD_CHAIN_H
#define TESTS_SUPPORT_BUILD_CHAIN_H

#include "formats/head.h"
#include "formats/landing.h"
#include "pipeline/repo/repo.h"
#include "pipeline/store/trace.h"

struct build_chain {
    struct store *mem;
    struct store *trace; /* over mem; what the repo uses */
    struct clock clock;  /* stands still */
    struct rng_seeded rng;
    struct repo repo;
    struct id16 project; /* made, with nothing in it */
    struct id16 owner;
    struct head head; /* of the project, as put last */
    struct etag etag; /* of that head */
    struct arena arena;
    uint16_t companions; /* that each batch names, to make footers long */
    /* The next batch pretends that so many landings in so many batches came before it, of which
     * only the first is there. 0: it does not. */
    uint64_t landings_before;
    uint64_t batches_before;
};

#define BUILD_CHAIN_CHUNK 65536u /* chunk size of its bucket */

void build_chain_init(struct build_chain *);
void build_chain_release(struct build_chain *);
/* Opens the repo again, with empty caches, and sets the counts to zero: as another process. */
void build_chain_cold(struct build_chain *);
/* The counts since they were asked for last. */
struct trace_counts build_chain_counts(struct build_chain *);

struct build_op {
    enum op op;
    const char *path;
    const char *text;   /* WRITE, and what the source of a RENAME holds */
    const char *target; /* RENAME */
};

struct build_answer {
    enum verdict verdict; /* 0: landed */
    const char *key;      /* of the session; NULL: one of its own */
    uint64_t base;
    uint8_t request; /* tells two requests about one session apart */
    bool closes;     /* also when it is neither a landing nor an abandonment */
    const struct build_op *ops;
    size_t n_ops;
};

/* One batch with these answers, in this order, and its head. */
void build_chain_put(struct build_chain *, const struct build_answer *, size_t n);
/* A batch with one landing that writes one file. */
void build_chain_write(struct build_chain *, const char *path, const char *text);
/* `n` batches with one landing each; the one at position p writes "file" as "text p" and
 * "dir/p". */
void build_chain_grow(struct build_chain *, unsigned n);

struct id16 build_chain_session(const struct build_chain *, const char *key, uint64_t base);

/* Replaces bytes of an object behind everybody's back: flips a bit of the byte at `offset`,
 * counted from the end when negative. */
void build_chain_flip(struct build_chain *, const char *key, long offset);

#endif
