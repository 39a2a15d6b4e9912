/* A session: what somebody set out to do, what was said and decided, and the changes that came
 * of it.
 *
 *   offset size field
 *        0   16 envelope "MSES" version 1
 *       16   16 session id
 *       32    1 state: 1 open, 2 landed, 3 abandoned,
 *               4 settled (a tombstone, its answer is in the chain)
 *       33   16 project id
 *       49   16 owner
 *       65    8 base: the greatest of its start's and its rebases'
 *       73    8 hlc created (of its start; 0 while that has not come)
 *       81    8 hlc updated (the greatest of its records)
 *       89    8 position (landed: its own)
 *       97    8 version: counts the puts of this object, so that no two repeat their bytes
 *      105    4 count of records
 *      109      the records, sorted by id, no two alike, no LAND and no ABANDON
 *
 * The same form is the object of an open session, the session inside a landing record (contents
 * then lie in the tree object of its landing), and what a client sends to land at once. */
#ifndef FORMATS_SESSION_H
#define FORMATS_SESSION_H

#include "formats/record.h"

enum session_state {
    SESSION_OPEN = 1,
    SESSION_LANDED = 2,
    SESSION_ABANDONED = 3,
    SESSION_SETTLED = 4,
};

struct session {
    struct id16 id;
    enum session_state state;
    struct id16 project; /* in which it was begun */
    struct id16 owner;
    uint64_t base;
    uint64_t hlc_created;
    uint64_t hlc_updated;
    uint64_t position;
    uint64_t version;
    struct record *records; /* sorted by id */
    size_t n_records;
};

/* Sorts the records by id first; no two may have the same. */
void session_encode(struct session *, struct buf *out);
/* Checks limits, each record, and the records' order. A session holds no LAND and no ABANDON.
 * Whether base and the hlcs are what the records give is not looked at. */
int session_decode(struct bytes in, struct arena *, struct session *out) MUST_USE;

/* Merges `n` records into the session, which knows its id, project and owner: a union by record
 * id, of two copies the lower hlc counts. Sets base and the hlcs to what the records give.
 * Commutative, associative, idempotent. LAND and ABANDON records are not kept. A start record
 * that does not give the session's id is dropped; the caller drops the records of other owners.
 * A session that is landed, abandoned or settled takes no more. Record structs are copied into
 * the arena; the byte runs that they point to are not. Gives how many were new. Costs O(n log
 * n) and one pass over the session, so many records are best merged at once. */
size_t session_merge(struct session *, struct arena *, const struct record *records, size_t n);

/* Gives every record of a session that was put together as a whole its id: record_id with the
 * client's key "k" (in decimal) for the k-th record (from 0) of equal payload, in the order of
 * the array, which stays. So client and front come to the same ids. The session's own id is set
 * by its project, its owner and the start record, which must be among them with a base below
 * BASE_END. */
void session_assign_ids(struct session *);

/* What a session comes to: the net effect per path, of the records that hold. */
enum effect_kind {
    EFFECT_WRITE = 1,
    EFFECT_DELETE = 2,
    EFFECT_MOVED = 3, /* the source of a rename: a delete that does not hold on a gone path */
};

struct effect {
    struct bytes path;
    enum effect_kind kind;
    struct seen seen;
    struct content content;  /* WRITE */
    struct bytes source;     /* WRITE by a rename: whose content it keeps (see session_view) */
    const struct record *by; /* the record that won */
};

struct session_view {
    const struct record *start; /* of several the lowest (hlc, id); NULL while none has come */
    struct effect *effects;     /* sorted by bytes of path, one a path */
    size_t n_effects;
    const struct record **guards; /* sorted by path, one a path */
    size_t n_guards;
    const struct record **decisions; /* these two in order of (hlc, id) */
    size_t n_decisions;
    const struct record **turns;
    size_t n_turns;
};

/* Per path the highest (hlc, record id) wins, and only the winner's seen counts. A write that
 * keeps its source (CARRIER_SOURCE) and whose hash the session itself brings in another record
 * gets that record's carrier, with its own kind and mode. One that is still CARRIER_SOURCE then
 * is found in the tree at `source`, or at its own path when that is empty: where what the
 * record saw there is something else, because an earlier rename of the session brought the
 * content there, `source` is the path that held this content in what the session saw. So a
 * chain of renames leads to where it began. O(n log n). */
void session_view(const struct session *, struct arena *, struct session_view *out);

#endif
