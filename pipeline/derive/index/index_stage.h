/* What was told and is not in the database yet: items by what they are about, in memory. The
 * database takes many in at once, sorted, which costs it a fraction of taking each as it
 * comes. Not thread-safe. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_STAGE_H
#define PIPELINE_DERIVE_INDEX_INDEX_STAGE_H

#include "pipeline/derive/index/index_rows.h"

/* What a key is the key of. */
enum stage_kind {
    STAGE_RECIPE = 1,
    STAGE_LEAF,   /* inline or uploaded */
    STAGE_MEMO,   /* by key */
    STAGE_OUTPUT, /* a memo, by its output */
    STAGE_TREE,
    STAGE_PIN,   /* or unpin */
    STAGE_CHUNK, /* one chunk of an item */
};

/* Pointers are into the stage's arena. */
struct staged {
    enum derive_kind kind;
    struct hash address;
    struct told told;
    union {
        struct bytes recipe;
        struct derive_leaf leaf; /* LEAF, UPLOAD */
        const struct memo *memo;
        const struct location *where;
        const struct quarantine *quarantine;
        const struct derive_chunk *chunk; /* CHUNKS: one of them */
    };
};

struct stage_slot {
    enum stage_kind kind; /* 0: empty */
    uint32_t at;          /* of the item */
    struct hash key;
};

struct index_stage {
    struct arena arena;
    struct staged *items;
    size_t n;
    size_t cap;
    struct stage_slot *slots; /* a power of two of them */
    size_t n_slots;
    size_t used;
};

/* All zero is an empty one. */
void index_stage_release(struct index_stage *);

/* Copies the item; chunks become one each. `offset` is where the bytes of an inline leaf lie in
 * its object. Of two memos of one key, and of two recipes that gave one chunk, the one told
 * first stays, of two pins of one address the one told later. When two memos of a key differ in
 * their output, `*twice` (all zero before) says what the function is quarantined for; its bytes
 * are the memo's. */
void index_stage_add(struct index_stage *, const struct derive_item *, const struct told *,
                     uint32_t offset, struct quarantine *twice);

/* NULL when there is none; until the next add. */
const struct staged *index_stage_find(const struct index_stage *, enum stage_kind,
                                      const struct hash *key);
/* Bytes of memory. */
size_t index_stage_bytes(const struct index_stage *);

/* What the function of two memos with one key and two outputs is quarantined for. */
struct quarantine index_quarantine_of(const struct memo *first, const struct memo *second);
/* Copies the names into the arena. */
struct quarantine index_quarantine_copy(struct arena *, const struct quarantine *);

#endif
