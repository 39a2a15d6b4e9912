/* A layer over any store that lets calls fail, by plan or by chance. Every get, put, delete and
 * list is one call, and so is each operation of a `many`: they run one after another, so that a
 * crash leaves the earlier ones done. Any thread.
 *
 * A call fails in one of these ways. What only reads has no effect that could be in doubt, so a
 * get or list gives ERR_AGAIN for each of the ways that are not a crash. */
#ifndef TESTS_SUPPORT_FAULTY_H
#define TESTS_SUPPORT_FAULTY_H

#include "pipeline/store/store.h"

enum fault {
    FAULT_NONE,
    FAULT_AGAIN,        /* ERR_AGAIN; it did not happen */
    FAULT_UNKNOWN_DONE, /* ERR_UNKNOWN; it did happen */
    FAULT_UNKNOWN_LOST, /* ERR_UNKNOWN; it did not happen and never will */
    FAULT_UNKNOWN_LATE, /* ERR_UNKNOWN; it happens when `late_calls` more calls have been made
                         */
    FAULT_CRASH_BEFORE, /* the process dies; the call did not happen */
    FAULT_CRASH_AFTER,  /* the process dies; the call happened and nobody heard of it */
    FAULTS,
};

const char *fault_name(enum fault);

/* Does not own `below`. Without a plan it passes everything through. */
struct store *faulty_store_open(struct store *below) MUST_USE;

/* Call number `call` fails so, counted from 1 since the last faulty_reset. At most 64 calls can
 * be planned; FAULT_NONE takes a plan back. */
void faulty_plan(struct store *, uint64_t call, enum fault);
/* Every call that is not planned fails by chance: of a thousand calls about odds[f] in the way
 * f. The operations of a `many` run in an order drawn from the same seed. */
void faulty_chance(struct store *, uint64_t seed, const unsigned odds[FAULTS]);
/* After how many calls an effect comes that is late; 3 unless told. By chance: up to so
 * many. */
void faulty_late_calls(struct store *, uint64_t calls);
/* Lets the late effects happen now, in the order of their calls. Those left at the close never
 * happen. */
void faulty_flush(struct store *);
/* Forgets plan, chance and counts, and revives the store after a crash. Late effects stay. */
void faulty_reset(struct store *);

/* What a crash does: a longjmp out of the code under test, or the end of a forked child. No
 * lock is held. When it returns, or without one, the store is dead until the reset: every later
 * call gives ERR_UNKNOWN and does nothing. */
void faulty_on_crash(struct store *, void (*crash)(void *arg), void *arg);
/* Called before each call with its number; `op` is NULL for a list. It may plan this very call,
 * and may use the store below. No lock is held. */
void faulty_watch(struct store *,
                  void (*watch)(void *arg, uint64_t call, const struct store_op *op),
                  void *arg);

/* Calls since the last reset, and how many of them failed in the way `fault`. */
uint64_t faulty_calls(struct store *);
uint64_t faulty_hits(struct store *, enum fault);

#endif
