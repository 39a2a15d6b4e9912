/* Which version of a text each of its lines came with. Versions are told from the newest back:
 * what a version has and the one before it has not came with it. Pure: where versions come from
 * is the caller's affair. */
#ifndef API_CLI_BLAME_H
#define API_CLI_BLAME_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"

#define BLAME_OPEN SIZE_MAX

struct blame {
    size_t *by; /* for each line of the newest version the number of the one that it came with,
                   or BLAME_OPEN */
    size_t n;
    size_t n_open; /* lines that no version is told for yet */
    /* inside */
    size_t *open;    /* the numbers of these lines, in order */
    size_t *at;      /* and which lines they are of the version at hand */
    struct buf text; /* the version at hand */
    size_t version;  /* its number */
    struct arena arena;
};

#define AUTO_BLAME AUTO(blame_release) struct blame
void blame_release(struct blame *);

/* Begins with the newest version. */
void blame_begin(struct blame *, struct bytes newest, size_t version);
/* The version before the one at hand, which is at hand then. ERR_INVALID when the two cannot be
 * compared. */
int blame_older(struct blame *, struct bytes text, size_t version) MUST_USE;
/* The same for one whose text is no other. */
void blame_same(struct blame *, size_t version);
/* There is none before the one at hand: what is open came with it. */
void blame_end(struct blame *);

#endif
