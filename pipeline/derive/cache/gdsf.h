/* Which of many things goes first when there is no room: GreedyDual-Size-Frequency (Cherkasova
 * 1998). A thing is worth its cost times how often it was used for each of its bytes, on top of
 * what the last one that had to go was worth; so what is cheap and large goes first, and what
 * was dear once but is used no more goes in the end. Pure: no clock, no chance, no lock. */
#ifndef PIPELINE_DERIVE_CACHE_GDSF_H
#define PIPELINE_DERIVE_CACHE_GDSF_H

#include "formats/base/types.h"

/* Part of whatever is ordered. */
struct gdsf_node {
    uint32_t frequency; /* uses; set by the owner before the first add, and kept between adds */
    size_t at;          /* place in the order, from 1; 0: not in it */
    double per_byte;    /* cost of a byte */
    double worth;
    double sorted; /* what it was worth when it got its place: never more than it is now */
};

struct gdsf {
    struct gdsf_node **heap; /* the least `sorted` first */
    size_t n;
    size_t cap;
    double floor; /* the worth of the last that had to go */
};

/* All zero is empty. */
void gdsf_release(struct gdsf *);
void gdsf_add(struct gdsf *, struct gdsf_node *, uint64_t bytes, uint64_t cost_us);
/* One use more; of one that is not in the order, too. O(1). */
void gdsf_use(struct gdsf *, struct gdsf_node *);
void gdsf_remove(struct gdsf *, struct gdsf_node *);
/* Takes out the one that is worth least, and raises the floor to it; NULL when there is none.
 */
struct gdsf_node *gdsf_take(struct gdsf *) MUST_USE;

#endif
