/* All objects of a store as they were at some time: to fill other stores with, and to see what
 * has become of them there. */
#ifndef TESTS_SUPPORT_BUCKET_COPY_H
#define TESTS_SUPPORT_BUCKET_COPY_H

#include "pipeline/store/store.h"

struct bucket_object {
    const char *key;
    struct bytes bytes;
};

struct bucket_copy {
    struct arena arena;
    struct bucket_object *objects; /* sorted by key */
    size_t n;
};

void bucket_copy_take(struct bucket_copy *, struct store *);
void bucket_copy_release(struct bucket_copy *);
/* NULL when there is none of that key. */
const struct bucket_object *bucket_copy_find(const struct bucket_copy *, const char *key);
/* A new store in memory with all of it. */
struct store *bucket_copy_store(const struct bucket_copy *);

#endif
