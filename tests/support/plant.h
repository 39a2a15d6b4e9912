/* A batch with something wrong in it, put behind the newest of a forge's project with the
 * project's own encoders: every checksum and hash is right. What fails fails the running
 * test. */
#ifndef TESTS_SUPPORT_PLANT_H
#define TESTS_SUPPORT_PLANT_H

#include "formats/key.h"
#include "formats/page.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/tree/tree_edit.h"
#include "tests/support/forge.h"

struct plant {
    struct forge *forge;
    struct arena arena;
    struct head head;
    struct etag etag;
    const struct batch *tip;
    struct tree_edit *edit;
    struct tree_build build;
    struct footer footer; /* follows the tip's; to be changed before the end */
    uint64_t position;    /* of the last landing so far */
    /* Changes the root page before it is encoded; may be NULL. */
    void (*root)(struct page *, struct footer *);
    struct hash tree; /* after plant_end */
    struct key key;   /* of its object */
};

void plant_begin(struct plant *, struct forge *);

/* A landing at the next position that writes one file whose text fits into a tree object raw.
 * It has seen that the path is absent. Its content is in the object already. */
struct landing plant_landing(struct plant *, const char *name, const char *path,
                             const char *text);
/* What the landing's session did, with this stamp; and its record. */
void plant_apply(struct plant *, const struct landing *, uint64_t stamp);
void plant_record(struct plant *, struct landing *);
/* Another answer to a request about a session. */
void plant_answer(struct plant *, const struct id16 *session, const struct id16 *request,
                  enum verdict);

/* Puts the object, and the head on it. */
void plant_end(struct plant *);

#endif
