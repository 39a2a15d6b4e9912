/* A layer over a store that does what no store may, or what a store may and seldom does: for
 * tests of the probe. */
#ifndef TESTS_SUPPORT_LIAR_H
#define TESTS_SUPPORT_LIAR_H

#include "pipeline/store/store.h"

enum lie {
    LIE_NONE,
    LIE_IGNORES_IF_ABSENT,
    LIE_IGNORES_IF_MATCH,
    LIE_IGNORES_IF_MATCH_ON_NOTHING,
    LIE_TAKES_STALE_ETAGS, /* any that the key has ever had */
    LIE_TWO_WINNERS,       /* each etag may be used twice */
    LIE_TWO_CREATORS,      /* one more may make a key that is there, while it is new */
    LIE_WINNER_IS_LOST,    /* the second of two writers loses, and its bytes are there */
    LIE_REFUSES_AND_DOES,  /* what it answers a conflict to is done */
    LIE_NO_ETAG_MATCHES,   /* not even its own */
    LIE_STALE_READS,       /* a get after a put gives what was there before */
    LIE_STALE_LISTS,       /* a list after a put does not know of it */
    LIE_FORGETS_PUTS,      /* answers OK and does nothing */
    LIE_NO_ETAGS,          /* gives none */
    LIE_OTHER_ETAGS,       /* a get gives another than the put did */
    LIE_LISTS_BACKWARDS,
    LIE_CORRUPT_LISTS, /* as the s3 store calls a server's that are not in order */
    LIE_KEEPS_DELETED,
    LIE_NOBODY_WINS, /* in a race */
    LIE_REFUSES_CREATION,
    /* What a store may do. */
    LIE_BARE_ETAGS, /* takes If-Match with bare etags only; see liar_use_bare_etag */
    LIE_QUOTED_ETAGS,
    LIE_LOSERS_UNSURE,    /* who loses is not told */
    LIE_WINNER_UNSURE,    /* nor is who wins */
    LIE_WINNER_TOLD_LOST, /* as by a proxy that sends a put twice */
    LIE_OFTEN_LATER,      /* every other call is to be made again */
    LIE_DENIES,
    LIES,
};

/* Does not own `below`. */
struct store *liar_open(struct store *below, enum lie) MUST_USE;
void liar_use_bare_etag(struct store *, bool bare);

#endif
