/* Queue objects that are sealed, on their way into the store. Between the files of the
 * intake. */
#ifndef PIPELINE_REPO_INTAKE_INTAKE_PUT_H
#define PIPELINE_REPO_INTAKE_INTAKE_PUT_H

#include "formats/queue_object.h"
#include "pipeline/repo/repo.h"

#define INTAKE_HEADER_MAX 64u

/* Who is to be told what became of an object. */
struct intake_expect {
    void (*done)(void *arg, int err);
    void *arg;
};

struct intake_object {
    struct intake_object *next;
    uint32_t shard;
    uint64_t hlc;
    uint64_t seq;
    struct buf bytes; /* begun by queue_object_begin, groups appended */
    size_t header_len;
    uint32_t groups;
    struct intake_expect *expects;
    size_t n_expects;
    size_t cap_expects;
    int err; /* what became of it */
};

struct intake_object *intake_object_new(struct repo *, uint32_t shard, uint64_t seq) MUST_USE;
void intake_object_expect(struct intake_object *, void (*done)(void *arg, int err), void *arg);

/* What the one who puts is told, from within intake_put. */
struct intake_teller {
    /* The outcome of an object is known. */
    void (*settled)(void *arg, const struct intake_object *);
    /* Some puts have been made side by side. `taken`: the store took all of them. Gives how
     * long to leave it alone before those that it did not take are put again. */
    uint64_t (*round)(void *arg, uint64_t took_us, bool taken);
    void *arg;
};

/* Puts all objects of the list side by side. As soon as the outcome of one is known, calls
 * `settled`, then tells who expects it and frees it. Gives how many groups that were. */
uint32_t intake_put(struct repo *, struct intake_object *list,
                    const struct intake_teller *) MUST_USE;

#endif
