/* A queue object: what one front took in within one window, for one shard.
 *
 *   offset size field
 *        0   16 envelope "MQUE" version 1
 *       16    8 hlc
 *       24    8 agent
 *       32    8 sequence number of the agent
 *       40    4 count of groups, each
 *                16 project   16 session   16 owner
 *                 4 count of records (at least 1), the records */
#ifndef FORMATS_QUEUE_OBJECT_H
#define FORMATS_QUEUE_OBJECT_H

#include "formats/record.h"

struct queue_group {
    struct id16 project;
    struct id16 session;
    struct id16 owner;
    struct record *records;
    uint32_t n;
};

struct queue_object {
    uint64_t hlc;
    uint64_t agent;
    uint64_t seq;
    struct queue_group *groups;
    uint32_t n;
};

void queue_group_write(struct buf *, const struct queue_group *);
/* Starts an object, in an empty buffer, whose groups the caller appends as bytes of
 * queue_group_write; then queue_object_finish fills in the count and closes the envelope. So a
 * front copies each group once. */
void queue_object_begin(struct buf *out, uint64_t hlc, uint64_t agent, uint64_t seq);
void queue_object_finish(struct buf *out, uint32_t groups);
int queue_object_decode(struct bytes in, struct arena *, struct queue_object *out) MUST_USE;

#endif
