/* One look at the derive log of a project. Between the files of its reader. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_LOOK_H
#define PIPELINE_DERIVE_LOG_DERIVE_LOOK_H

#include "formats/key.h"
#include "pipeline/derive/log/derive_follow.h"

/* Objects that are fetched side by side, and bytes, but for the first, that they bring. */
#define LOOK_AT_ONCE 64u
#define LOOK_BYTES   (64u * 1024u * 1024u)

struct look_fetch {
    uint64_t agent;
    uint64_t seq;
    struct key key;
    struct buf body;
};

struct look {
    struct repo *repo;
    struct id16 project;
    struct derive_cursor *cursor;
    derive_take_fn take;
    void *arg;
    struct look_fetch fetches[LOOK_AT_ONCE];
    size_t n;
    uint64_t bytes; /* that they bring, as far as it is known */
    bool gone;      /* one that was listed, which has been merged since */
};

/* What is wrong with an object itself, and not with the store. */
static inline bool look_is_damage(int err)
{
    return err == ERR_NOT_FOUND || err == ERR_CORRUPT || err == ERR_INVALID || err == ERR_LIMIT;
}

/* Takes in what should be the object `seq` of the agent: the next one, or one out of a hole.
 * `err`: what came of reading it. Damage makes a hole; fails when the store or the taker did.
 */
int look_take(struct look *, uint64_t agent, uint64_t seq, struct bytes encoded,
              int err) MUST_USE;

/* The agent's objects up to `last` are not read now: a hole. */
int look_miss(struct look *, uint64_t agent, uint64_t last, int err) MUST_USE;

/* Reads the new segment of that number, or one out of a hole, and takes in what it has and the
 * cursor has not. The segments before it are known, or holes. It is a hole itself while one of
 * its objects cannot be read. */
int look_segment(struct look *, uint64_t number) MUST_USE;

#endif
