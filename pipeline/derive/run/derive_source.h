/* What a get sees of its project: recipes, memos, leaves, trees, and the refs as they are in
 * one snapshot. The executor knows nothing of where these lie; tests give it a table.
 *
 * One source serves one get. All of its calls may come from several threads at once, and may
 * wait for the store. Errors are passed up unchanged. */
#ifndef PIPELINE_DERIVE_RUN_DERIVE_SOURCE_H
#define PIPELINE_DERIVE_RUN_DERIVE_SOURCE_H

#include "formats/derive_object.h"
#include "pipeline/derive/function.h"

enum derive_is {
    DERIVE_IS_RECIPE = 1,
    DERIVE_IS_BYTES = 2, /* a leaf */
    DERIVE_IS_TREE = 3,
};

/* What lies under an address. */
struct derive_found {
    enum derive_is is;
    struct recipe recipe; /* RECIPE: settled; in the arena of the call */
    /* RECIPE: the address is not its own but the SHA-256 of what it is said to give, of `size`
     * bytes: this is checked before anybody gets them. It uses no refs. */
    bool by_content;
    uint64_t size; /* BYTES, or by content */
};

/* A leaf or a tree that is open. One thread. */
struct derive_input {
    struct fn_bytes *bytes; /* NULL: it is a tree */
    struct fn_tree *tree;   /* NULL: it is bytes */
    void (*close)(struct derive_input *);
};

struct derive_source {
    /* What an address is. Asks recipes, leaves and trees before it looks for news, so a leaf
     * costs no look for a recipe. ERR_NOT_FOUND. */
    int (*find)(struct derive_source *, const struct hash *address, struct arena *,
                struct derive_found *out);
    /* The memo that is known here; does not look for news. Byte runs need not last longer than
     * the source. ERR_NOT_FOUND. */
    int (*memo)(struct derive_source *, const struct hash *key, struct memo *out);
    /* Memos, chunks and quarantines, which are not waited for; copied. What cannot be told
     * (ERR_AGAIN) is computed again some day. */
    int (*tell)(struct derive_source *, const struct derive_item *, uint32_t n);
    /* The quarantine of a function's implementation. Byte runs need not last longer than the
     * source. ERR_NOT_FOUND when there is none. */
    int (*quarantine)(struct derive_source *, struct bytes function, struct bytes version,
                      const struct hash *implementation, struct quarantine *out);
    /* Opens a leaf or a tree. ERR_NOT_FOUND. */
    int (*open)(struct derive_source *, const struct hash *address, struct derive_input **out);
    /* What a ref, and a path below it, is in this snapshot. ERR_NOT_FOUND. */
    int (*ref)(struct derive_source *, struct bytes name, struct bytes path,
               struct hash *address);
    /* Whether the result of an address is to stay in the cache, as far as is known here: asked
     * after every run, so it is to be quick. */
    bool (*keeps)(struct derive_source *, const struct hash *address);
    /* The executor needs it no more. */
    void (*release)(struct derive_source *);
};

#endif
