/* A store for a test, with what it stands on, and what tests of stores say often. Whatever is
 * not as expected fails the test. */
#ifndef TESTS_SUPPORT_STORE_RIG_H
#define TESTS_SUPPORT_STORE_RIG_H

#include <stdatomic.h>

#include "pipeline/store/store.h"
#include "pipeline/sys/rng.h"

struct rig {
    struct store *store;
    struct store *below; /* NULL for a store that is no layer */
    char dir[64];        /* removed at the end; empty for none */
    bool sweep;          /* all objects are deleted at the end */
};

#define AUTO_RIG AUTO(rig_release) struct rig

/* Makes a new folder in `where`. */
void rig_make_dir(struct rig *rig, const char *where);
/* A directory store in a new folder in `where`. */
void rig_open_fs(struct rig *rig, const char *where);
void rig_release(struct rig *rig);

/* Seeds by MIC_SEED or the clock, and prints how to have the same again. */
void rig_seed(struct rng_seeded *rng);
/* Appends `len` bytes that depend on `seed` and `len` only. */
void rig_fill(struct buf *out, uint64_t seed, size_t len);

void rig_put(struct store *store, const char *key, const char *text);
void rig_expect(struct store *store, const char *key, const char *text);
void rig_expect_none(struct store *store, const char *key);
/* A list gives the keys `want`, each with its own length as its size. */
void rig_expect_list(struct store *store, const char *prefix, const char *after, size_t max,
                     const char *const *want, size_t n, bool more);

/* The number at the key race/n. */
void rig_put_zero(struct store *store);
void rig_expect_number(struct store *store, uint64_t want);
/* Adds 1 to it by get and put-if-match, `rounds` times, whoever else does. */
void rig_count_up(struct store *store, unsigned rounds);

struct rig_replacing {
    struct store *store;
    _Atomic bool done;
};
/* A thread that reads the key k until `done` (`arg` is a struct rig_replacing): always 50,000
 * fives or 90,000 nines. */
void *rig_read_whole(void *arg);

#endif
