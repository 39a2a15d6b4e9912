/* What one seed's world is like: how many of each there are, and how bad it gets. Drawn from
 * the seed, so that some seeds are calm and crowded, others small and stormy, and every kind of
 * trouble is met both alone and together with others. */
#ifndef TESTS_SIM_PROFILE_H
#define TESTS_SIM_PROFILE_H

#include "formats/base/limits.h"
#include "formats/base/types.h"

/* How a call to the store goes wrong. What only reads has no effect that could be in doubt: it
 * gives ERR_AGAIN for any of these. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_AGAIN, /* it did not happen */
    TROUBLE_DONE,  /* ERR_UNKNOWN: it did */
    TROUBLE_LOST,  /* ERR_UNKNOWN: it never will */
    TROUBLE_LATE,  /* ERR_UNKNOWN: it will, some time after the caller was told */
    TROUBLE_TWICE, /* something on the way makes the call twice, and tells of the second */
    TROUBLES,
};

/* Of the bucket: as small as it may be. */
#define SIM_CHUNK_SIZE CHUNK_SIZE_MIN

struct profile {
    unsigned projects;
    unsigned shards;
    unsigned fronts;
    unsigned drains;
    unsigned appends;
    unsigned rollups;
    unsigned packs;
    unsigned collectors;
    unsigned nodes;    /* that derive */
    uint64_t grace_ms; /* of theirs */
    unsigned clients;

    uint64_t latency_us;     /* of a call, at most, when all is well */
    unsigned slow;           /* of 10,000 calls, how many take seconds */
    unsigned odds[TROUBLES]; /* of 10,000 writes, how many go wrong so */
    unsigned read_odds;      /* and of 10,000 reads */
    unsigned crash;          /* of 10,000 calls, how many does the caller not survive */
    unsigned hold;   /* of 10,000 calls, at how many is the caller stopped for a while */
    unsigned outage; /* of 10,000 calls, how many begin an outage of the store */
    unsigned stop;   /* of 100 rounds of a process, after how many does it end */
    uint64_t lag_us; /* lists may be so far behind; 0: never */
    uint32_t put_interval_ms; /* a key takes one put in so long; 0: any number */
    uint64_t skew_ms;         /* clocks are so far off at most, to either side */
    bool clock_off;           /* now and then one is off by more than is allowed */

    uint64_t fold_after_ms;
    uint64_t missing_after_ms;
    uint32_t batch_max;
    uint64_t calls_min;  /* store calls before the clients come to an end, */
    uint64_t acts_min;   /* and what they have done by then */
    unsigned whole;      /* of 80 acts, how many land whole sessions; else open ones */
    unsigned hoard;      /* of 100 acts, how many upload something and name it nowhere */
    bool import;         /* one client lands series after series of short sessions */
    bool gather;         /* whole sessions begin where others began, inside a batch */
    unsigned think_ms;   /* of a client between two actions, at most */
    unsigned paths;      /* that clients work on: few, and they collide */
    unsigned series_max; /* sessions of a series, at most */
    unsigned derives;    /* of 100 acts, how many are about what is derived */
    bool refs;           /* half of what clients do is to bind references */
    bool strangers;      /* somebody writes into other people's sessions */
};

/* Draws from the world's chance. */
void profile_draw(struct profile *);
/* A world without trouble, for schedules that are played by hand. */
void profile_calm(struct profile *);

#endif
