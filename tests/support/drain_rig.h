/* A forge, and a second drain on its bucket over a store that can be told to refuse some calls
 * for as long as one likes. */
#ifndef TESTS_SUPPORT_DRAIN_RIG_H
#define TESTS_SUPPORT_DRAIN_RIG_H

#include "tests/support/faulty.h"
#include "tests/support/forge.h"

struct drain_rig {
    struct forge f;     /* the bucket, and whoever writes to the queue */
    struct forge drain; /* a drain over `faulty`, which remembers nothing yet */
    struct store *faulty;
    /* What the drain's store refuses: calls of this verb on keys that begin so. Empty: none. */
    enum store_verb refused_verb;
    char refused[STORE_KEY_MAX + 1];
    /* What happens at the first call that would be refused, instead, once: then nothing is
     * refused any more, unless it says so. */
    void (*meanwhile)(void);
};

void drain_rig_open(struct drain_rig *);
void drain_rig_close(struct drain_rig *);

void drain_rig_refuse(struct drain_rig *, enum store_verb, const char *prefix);
/* Time goes by, for both. */
void drain_rig_pass(struct drain_rig *, uint64_t ms);
/* Runs the second drain until it has nothing to do. */
void drain_rig_run(struct drain_rig *);

/* Flips a bit of an object, `from_end` bytes before its last. */
void drain_rig_damage(struct drain_rig *, const char *key, size_t from_end);
/* Of the tree object that the head names: its footer cannot be read. */
void drain_rig_damage_tip(struct drain_rig *);
/* Lands `n` sessions, in a batch each, through the first drain. */
void drain_rig_land(struct drain_rig *, const char *name, int n);
/* The state of the session's object. A tombstone has no records. */
enum session_state drain_rig_state(struct drain_rig *, const struct draft *);

/* The ids of the draft's records, sorted. Gives how many. */
size_t draft_ids(const struct draft *, struct id16 *out);

#endif
