/* One request on its way to the store and back. */
#ifndef TESTS_SIM_FLIGHT_H
#define TESTS_SIM_FLIGHT_H

#include "tests/sim/far_store.h"

struct flight {
    struct flight *prev; /* of the line that waits for it */
    struct flight *next;
    struct far_line *line; /* NULL: nobody waits any more */
    struct far_end *end;
    struct store_op op;    /* with a key, data and a body of its own */
    struct etag condition; /* op's etag is what came of it */
    struct buf data;
    struct buf body;
    enum trouble trouble;
    uint64_t reply_us; /* when who asked is told */
    unsigned due;      /* effects that are still to come */
    bool happened;
    bool dropped; /* it died with who asked: no effect any more */
    bool shared;  /* who asked has been told: it is freed with its last effect */
};

/* Sends it. */
struct flight *flight_begin(struct far_line *, const struct store_op *, enum trouble);
/* What who asked is told, at reply_us or later; the flight is not theirs any more. */
int flight_end(struct flight *, struct store_op *out);
/* Nobody will ask; it may still happen. */
void flight_abandon(struct flight *);

/* The effect at the far end, now. Gives its outcome. */
int far_end_effect(struct far_end *, struct store_op *);
/* Counts a call; draws its way there and back. */
uint64_t far_end_latency(struct far_end *);
void far_end_count(struct far_end *, int under_way);
void far_end_called(struct far_end *);

#endif
