/* References in tests: a front whose recipes and trees are found in a table, and what came of a
 * bind. */
#ifndef TESTS_SUPPORT_REF_RIG_H
#define TESTS_SUPPORT_REF_RIG_H

#include "api/service/service_refs.h"
#include "tests/support/front.h"

struct ref_rig {
    struct forge forge;
    struct front front;
    struct refs_source source;
    struct ref_rig_recipe *recipes;
    size_t n;
    size_t cap;
    uint64_t looked_up;    /* recipes that were asked for */
    struct hash content;   /* of the one directory that is known by its content hash … */
    struct location where; /* … and where its page lies */
    struct arena arena;    /* of what is asked */
};

void ref_rig_open(struct ref_rig *);
void ref_rig_close(struct ref_rig *);
/* A second process on the first one's bucket and recipes. */
void ref_rig_join(struct ref_rig *, const struct ref_rig *first);

/* Some leaf's address. */
struct hash ref_rig_leaf(unsigned number);
/* The address of a recipe with these inputs, which is found from now on. */
struct hash ref_rig_recipe(struct ref_rig *, const struct recipe_input *, uint32_t n);
/* One of these, over a ref or over an address. */
struct hash ref_rig_over_ref(struct ref_rig *, const char *name);
struct hash ref_rig_over(struct ref_rig *, const struct hash *address);

extern const struct ref_expected ref_anything;
extern const struct ref_expected ref_unbound;
struct ref_expected ref_bound_to(const struct hash *);

struct ref_reply {
    unsigned calls; /* of the callback */
    int err;        /* refused at once, or what the callback said */
    struct problem problem;
    bool pending;
    uint64_t position;
};
/* Sends it; nothing runs yet. `address` NULL deletes. */
void ref_rig_send(struct ref_rig *, const char *name, const struct hash *address,
                  const struct ref_expected *, struct ref_reply *);
/* The same, and lets everything settle. */
struct ref_reply ref_rig_put(struct ref_rig *, const char *name, const struct hash *address,
                             const struct ref_expected *);
/* Binds; the running test fails when that does not land. Gives the position. */
uint64_t ref_rig_bind(struct ref_rig *, const char *name, const struct hash *address);
/* The running test fails unless the name is bound to it; NULL: to nothing. */
void ref_rig_is(struct ref_rig *, const char *name, const struct hash *address);

#endif
