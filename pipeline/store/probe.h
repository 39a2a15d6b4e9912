/* Whether a store does what a store must (store.h), found out by trying: before anything is
 * built on it. What it cannot find out is what survives a crash.
 *
 * It puts some dozen small objects under probe/, in a folder of its own, and deletes them; what
 * a probe that died left there a day ago is deleted, too. Any number of probes may run at once.
 *
 *   If-None-Match  a put of what is there is refused and changes nothing; of 32 writers that
 *                  race to make one key, one wins, and its bytes stay
 *   If-Match       the same with the etag of other bytes, with a stale one, and on a key that
 *                  is not there; it holds with the etag that a get gives, quoted, bare or both;
 *                  of 32 writers that race with one etag, one wins, and its bytes stay
 *   reads          a get or list after a put shows it, and after a delete not; lists are sorted
 */
#ifndef PIPELINE_STORE_PROBE_H
#define PIPELINE_STORE_PROBE_H

#include "formats/bucket.h"
#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"
#include "pipeline/sys/rng.h"

#define PROBE_SAYS_MAX 600u

struct probe_options {
    struct clock *clock;
    struct rng *rng;
    unsigned writers; /* that race; 0: 32 */
    /* From now on If-Match is sent with the etag bare, or quoted; the probe leaves the form
     * that works, quoted if both do. NULL: the store has one way of saying it. */
    void (*use_bare_etag)(struct store *, bool bare);
};

struct probe_report {
    bool refused; /* the store does what no store may */
    bool quoted;  /* the form of etag that If-Match holds with, when both were tried */
    bool bare;
    unsigned writers;          /* of a race */
    unsigned unsure;           /* of them that were not told whether they won */
    char says[PROBE_SAYS_MAX]; /* when it did not pass: what the store did, in a sentence */
};

/* OK when the store passed; ERR_INVALID when it is refused; any other error of the store when
 * it could not be tried to the end. */
int probe_store(struct store *, const struct probe_options *,
                struct probe_report *out) MUST_USE;

/* The note of a probe that was passed lies in the store itself and is good for a day. `where`
 * says whom we talk to: for another address the note does not count. OK: it is good;
 * ERR_NOT_FOUND: there is none that is; else what the store says. */
int probe_remembered(struct store *, const struct hash *where, uint64_t now_ms,
                     struct probe_note *out) MUST_USE;
int probe_remember(struct store *, const struct probe_note *) MUST_USE;

#endif
