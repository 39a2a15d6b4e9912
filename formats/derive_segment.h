/* A segment of the derive log: old objects, merged into one, so that a project's log does not
 * have more objects with every start of a process. A project's segments are numbered from 1;
 * number n + 1 is put only when n is there. An object lies in one segment at most, byte for
 * byte as its agent put it.
 *
 *   offset size field
 *        0   16 envelope "MDSG" version 1, whose checksum is over the head only
 *       16   16 project
 *       32    8 number
 *       40    4 length of the head, from offset 0
 *       44    4 count of runs, each: objects of one agent whose numbers follow each other
 *                 8 agent
 *                 8 number of the first
 *                 4 count of objects, at least 1, each
 *                   4 its length
 *     head      the objects (derive_object.h), run by run
 *
 * A reader who has read all that a head names need not read the rest. */
#ifndef FORMATS_DERIVE_SEGMENT_H
#define FORMATS_DERIVE_SEGMENT_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

/* What tells how long the head is. */
#define DERIVE_SEGMENT_LEAST 44u

struct derive_run {
    uint64_t agent;
    uint64_t first;
    uint32_t n;
    uint32_t *lens;
    uint64_t offset; /* in the segment, of its first object; not written */
};

struct derive_segment {
    struct id16 project;
    uint64_t number;
    struct derive_run *runs;
    uint32_t n;
};

/* Appends the head, to an empty buffer; the objects follow it. */
void derive_segment_encode(const struct derive_segment *, struct buf *out);
/* The length of the head, from the beginning of a segment of at least DERIVE_SEGMENT_LEAST
 * bytes. */
int derive_segment_head_len(struct bytes beginning, uint32_t *out) MUST_USE;
/* From the whole head, and nothing else. */
int derive_segment_decode(struct bytes head, struct arena *,
                          struct derive_segment *out) MUST_USE;

/* The bytes from the beginning of the segment to the end of its last object. */
uint64_t derive_segment_size(const struct derive_segment *, uint32_t head_len);

#endif
