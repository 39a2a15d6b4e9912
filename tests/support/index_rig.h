/* An index over a derive log that lies in memory: for tests of the index. Whatever is not as
 * expected fails the test. */
#ifndef TESTS_SUPPORT_INDEX_RIG_H
#define TESTS_SUPPORT_INDEX_RIG_H

#include "pipeline/derive/index/derive_index.h"
#include "tests/support/forge.h"

struct rig_object {
    struct bytes encoded;
    struct derive_object object;
};

struct index_rig {
    char dir[64];
    struct clock_manual clock;
    struct derive_index_options options;
    struct derive_index *index;
    struct id16 project;
    struct arena arena;
    struct rig_object *log; /* what lies in the bucket */
    size_t n;
    size_t cap;
    unsigned looks; /* how often it was looked for new objects */
    unsigned given; /* objects that looks gave */
    int look_err;   /* looks fail with it */
};

void index_rig_open(struct index_rig *);
void index_rig_close(struct index_rig *);
/* The index is closed and opened again, as by another process. */
void index_rig_reopen(struct index_rig *);
/* The path of the project's database. */
const char *index_rig_file(struct index_rig *);

/* Puts an object of an agent into the log, its next one; it is not told to the index. */
const struct rig_object *index_rig_log(struct index_rig *, uint64_t agent, uint64_t hlc,
                                       const struct derive_item *, uint32_t n);
/* The same, and the index takes it in at once. */
void index_rig_tell(struct index_rig *, uint64_t agent, uint64_t hlc,
                    const struct derive_item *, uint32_t n);
void index_rig_apply(struct index_rig *, const struct rig_object *);

/* Items; what they hold lies in the rig's arena. */
struct derive_item rig_leaf(struct index_rig *, uint64_t n);
/* A recipe of a function called f, with a parameter that says `n`. */
struct derive_item rig_recipe(struct index_rig *, uint64_t n, const struct hash *inputs,
                              uint32_t n_inputs, const char *ref);
/* A memo of key `key` whose output says `output`. */
struct derive_item rig_memo(uint64_t key, uint64_t output);
struct derive_item rig_tree(uint64_t content, uint32_t offset);
struct derive_item rig_upload(uint64_t n, uint64_t size);
/* `n` chunks of the least size, and one of a byte, of an output that says `output`; the hash of
 * each says `chunk` and on. */
struct derive_item rig_chunks(struct index_rig *, uint64_t recipe, uint64_t output,
                              uint64_t chunk, uint32_t n);
struct derive_item rig_pin(const struct hash *, bool pin);
/* A hash that says `n`. */
struct hash rig_hash(uint64_t n);

#endif
