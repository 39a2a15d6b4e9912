/* Everything that can be read of a project, as a list of named answers: what was read, as a
 * digest, or the error. Two lists, read from two buckets or at two times, are compared name by
 * name. */
#ifndef TESTS_SUPPORT_FACTS_H
#define TESTS_SUPPORT_FACTS_H

#include "tests/support/world.h"

/* Facts of one group follow each other; where a group ends with an error, the rest of it was
 * not read. An item of a list that is not there is no fact. */
struct fact {
    const char *group;
    const char *name; /* in the group */
    int err;
    struct id16 value;
};

struct facts {
    struct arena arena;
    struct fact *items;
    size_t n;
    size_t cap;
};

/* Reads all of it with the repo, whose caches are best empty: `untouched`, or what stays as it
 * was after landings that touch nothing of it, and after the sessions `open` and `drop` have
 * got an answer. */
void facts_read(struct facts *, struct repo *, const struct world_project *, bool untouched);
void facts_release(struct facts *);

/* Whether it is in order that a fact of `want` reads as `err` now: ERR_NOT_FOUND also when it
 * is missing from a list. ERR_CORRUPT always is. */
typedef bool facts_allow(void *arg, const struct fact *want, int err);

/* The first fact that is neither as in `want` nor an error that is in order, as text in the
 * arena of `got`; NULL when there is none. Counts the errors in `*errors`. */
const char *facts_differ(struct facts *got, const struct facts *want, facts_allow *allow,
                         void *arg, unsigned *errors) MUST_USE;

#endif
