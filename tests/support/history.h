/* A project with a history of everything that can land: writes, deletes, renames and swaps,
 * executable files, links, empty files, large contents and manifests, a wide directory, series,
 * conflicts, abandoned sessions and batches of any length. By seed. */
#ifndef TESTS_SUPPORT_HISTORY_H
#define TESTS_SUPPORT_HISTORY_H

#include "tests/support/chance.h"
#include "tests/support/forge.h"

#define HISTORY_PATHS 60u

struct history {
    struct forge forge;
    struct chance chance;
    /* What lies at the paths, if everything lands as it was meant to: a kind of 0 is nothing.
     */
    struct content files[HISTORY_PATHS];
    struct content blob;  /* uploaded */
    struct content large; /* uploaded, in chunks */
    unsigned key;         /* of the next session */
};

void history_init(struct history *, const char *test);
void history_release(struct history *);
/* Lands until the head is at `position` or beyond it. */
void history_grow(struct history *, uint64_t position);
/* Makes the segments of its log that can be made. */
void history_append(struct history *);

#endif
