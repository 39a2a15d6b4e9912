/* A landing log by itself, as long as a test wants it: segments of a history that is drawn from
 * a seed, put straight into the store of a project in memory, and a head to go with them. No
 * tree objects lie below. */
#ifndef TESTS_SUPPORT_LOG_MAKER_H
#define TESTS_SUPPORT_LOG_MAKER_H

#include "formats/log_segment.h"
#include "tests/support/build_chain.h"

#define LOG_MAKER_HEAVY 7u
/* The path of those who want one that is touched now and then. */
#define LOG_MAKER_TOUCHED "now/and/then"

struct log_maker {
    struct build_chain bc;
    uint64_t seed;
    unsigned effects_max; /* a landing; with 0 it has none */
    uint64_t names;       /* out of which paths are made: few of them meet often */
    uint32_t heavy;       /* effects of the landing at position LOG_MAKER_HEAVY; 0: as others */
    uint64_t touched;     /* every so many landings delete LOG_MAKER_TOUCHED; 0: none does */
    uint64_t end;         /* the first position that no segment has */
};

void log_maker_init(struct log_maker *, uint64_t seed, unsigned effects_max, uint64_t names);
void log_maker_release(struct log_maker *);

/* Puts what is missing below `end` as the append stage would: segments of 1,000 where ten are
 * full; and a head at `end`. */
void log_maker_grow(struct log_maker *, uint64_t end);

/* The entries filed under `position`, as they are in the log. */
struct log_entry *log_maker_entries(struct log_maker *, uint64_t position, struct arena *,
                                    uint32_t *n);

/* All that is to be found at these positions: each key of each kind, with doubles, told one by
 * one. */
typedef void log_maker_tell(void *arg, uint64_t position, uint64_t key);
void log_maker_keys(struct log_maker *, uint64_t first, uint64_t end, log_maker_tell *,
                    void *arg);

#endif
