/* Reads through a segment of the landing log (formats/log_segment.h) without keeping anything:
 * for those who go through a whole log and want a few fields of each entry. The checksum is
 * checked, and so are all lengths and that no position is missing; paths and places are not.
 *
 *   log_scan_open, then log_scan_entry until ERR_NOT_FOUND; after each entry log_scan_effect
 *   for all of its effects, or for none. */
#ifndef FORMATS_LOG_SCAN_H
#define FORMATS_LOG_SCAN_H

#include "formats/base/wire.h"
#include "formats/log_segment.h"

struct log_scan {
    struct id16 project;
    uint64_t first;
    uint64_t end;
    /* The scan's own. */
    struct reader r;
    uint64_t next; /* the position that the next landing must have */
    uint32_t entries_left;
    uint32_t effects_left;
};

struct log_scan_entry {
    enum verdict verdict;
    uint64_t position;
    struct id16 session;
    struct bytes ids; /* request, session, owner, hlc, as they lie there */
    uint32_t n_effects;
};

struct log_scan_effect {
    enum effect_kind kind;
    struct bytes path;
    struct hash hash; /* write */
};

/* The scan points into `in`. ERR_CORRUPT. */
int log_scan_open(struct bytes in, struct log_scan *out) MUST_USE;
/* ERR_NOT_FOUND behind the last; ERR_CORRUPT. */
int log_scan_entry(struct log_scan *, struct log_scan_entry *out) MUST_USE;
/* The next effect of the entry; there must be one. ERR_CORRUPT. */
int log_scan_effect(struct log_scan *, struct log_scan_effect *out) MUST_USE;

#endif
