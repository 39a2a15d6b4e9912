/* Derive objects on their way into the store. Between the files of the log. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_BATCH_H
#define PIPELINE_DERIVE_LOG_DERIVE_BATCH_H

#include "formats/key.h"
#include "pipeline/derive/log/derive_log.h"

struct derive_told {
    derive_told_fn told;
    void *arg;
};

/* What becomes one object. */
struct derive_batch {
    struct derive_batch *next;
    struct buf items; /* bytes of derive_item_write */
    uint32_t n_items;
    struct derive_told *tells;
    size_t n_tells;
    size_t cap_tells;
    /* When it has a number: */
    uint64_t seq; /* 0: none yet */
    uint64_t hlc;
    struct key key;
    struct buf bytes;  /* the object; never changed while a put of it is in doubt */
    uint64_t begun_us; /* when it was put first */
    unsigned puts;
    bool unknown; /* a put under this key may have happened, or may still happen */
};

struct derive_batch *derive_batch_new(void) MUST_USE;
void derive_batch_free(struct derive_batch *);
/* Copies one tell's items, `n` of them, into it. */
void derive_batch_add(struct derive_batch *, struct bytes items, uint32_t n,
                      derive_told_fn told, void *arg);
/* Answers all who told; the second time nobody. Gives how many they were. */
size_t derive_batch_tell(struct derive_batch *, int err);

/* Gives it a number, a new stamp, and its bytes. No put under a number before is in doubt. */
void derive_batch_number(struct derive_batch *, struct repo *, const struct id16 *project,
                         uint64_t seq);

enum derive_fate {
    DERIVE_DURABLE,
    DERIVE_TAKEN, /* another's object stands under the name: ours cannot come there any more */
    DERIVE_REFUSED, /* it did not happen, and trying again does not help */
    DERIVE_WAITS,   /* it is to be put again */
};
/* What a put's reply means; where something lies there already, it is read. */
enum derive_fate derive_batch_judge(struct derive_batch *, struct repo *, int err) MUST_USE;

#endif
