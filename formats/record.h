/* A record: one write to a session. Folding records into a session is a merge by record id, so
 * records may come in any order, twice, or late.
 *
 *   size field
 *     16 record id
 *      8 hlc
 *      1 kind
 *    4+n payload, by kind:
 *        1 START         1+n client's key   8 base   1+n author   4+n goal
 *                        2 count of attributes, each 1+n name, 4+n value
 *        2 OPERATION     1 op (1 write, 2 delete, 3 rename)   8 base   2+n path   seen of path
 *                        write:  content
 *                        rename: 2+n target   seen of target   content
 *        3 GUARD         8 base   2+n path (empty: the whole tree)   seen
 *        4 DECISION      4+n text
 *        5 CONVERSATION  1+n role   4+n text
 *        6 REBASE        8 base
 *        7 ABANDON       4+n reason
 *        8 LAND          1 whether the sessions came whole, in the request that lands them
 *                        4 count of sessions (at least 1), each 16 session id, 4 count of the
 *                        records that it lands, each 16 record id, sorted: exactly these are
 *                        landed, whatever else has come since
 *
 * Strings are UTF-8. Bases are positions; the client says them. */
#ifndef FORMATS_RECORD_H
#define FORMATS_RECORD_H

#include "formats/base/arena.h"
#include "formats/base/limits.h"
#include "formats/content.h"

/* Positions that a client can name are below: a session id has 48 bits for its base. */
#define BASE_END (1ull << 48)

/* Bytes of the shortest record: a decision without text. */
#define RECORD_LEN_MIN 33u

enum record_kind {
    RECORD_START = 1,
    RECORD_OPERATION = 2,
    RECORD_GUARD = 3,
    RECORD_DECISION = 4,
    RECORD_CONVERSATION = 5,
    RECORD_REBASE = 6,
    RECORD_ABANDON = 7,
    RECORD_LAND = 8,
};

enum op {
    OP_WRITE = 1,
    OP_DELETE = 2,
    OP_RENAME = 3,
};

struct attribute {
    struct bytes name;
    struct bytes value; /* any bytes */
};

struct record_start {
    struct bytes key;
    uint64_t base;
    struct bytes author;
    struct bytes goal;
    struct attribute *attributes;
    uint32_t n_attributes;
};

struct record_operation {
    enum op op;
    uint64_t base;
    struct bytes path;
    struct seen seen;
    struct bytes target; /* RENAME */
    struct seen target_seen;
    struct content content; /* WRITE, and of the target for RENAME */
};

struct record_guard {
    uint64_t base;
    struct bytes path;
    struct seen seen;
};

struct record_land_item {
    struct id16 session;
    struct id16 *records; /* sorted, no two alike */
    uint32_t n;
};

struct record {
    struct id16 id;
    uint64_t hlc;
    enum record_kind kind;
    union {
        struct record_start start;
        struct record_operation operation;
        struct record_guard guard;
        struct bytes decision;
        struct {
            struct bytes role;
            struct bytes text;
        } conversation;
        uint64_t rebase;
        struct bytes abandon;
        struct {
            bool whole; /* the sessions came with this request: any answer closes them */
            struct record_land_item *items;
            uint32_t n;
        } land;
    };
};

/* The kind and the payload's fields: what a record id is computed from. The kind is part of it,
 * because a decision and an abandon have payloads of the same form. */
void record_payload(const struct record *, struct buf *out);
/* Writes a record that passes record_check. */
void record_write(struct buf *, const struct record *);
/* Checks what record_check does; byte runs point into the input. Fails through the reader. */
struct record record_read(struct reader *, struct arena *);
/* Whether the record may be written: paths, kinds, modes, texts (UTF-8), bases and limits.
 * ERR_INVALID or ERR_LIMIT, and then `field` (may be NULL) gets the name of the offending
 * field, a constant string. */
int record_check(const struct record *, const char **field) MUST_USE;

/* Order of two records of a session in time: by hlc, and by id where that is equal. */
int record_time_compare(const struct record *a, const struct record *b);

/* Hash over author (owner), session, the client's key for this record and the payload as the
 * client sent it. */
struct id16 record_id(const struct id16 *owner, const struct id16 *session, struct bytes key,
                      struct bytes payload);

/* The id of the session that `start` begins: 48 bits of its base (which must fit), 80 bits of a
 * hash over project, owner, key, base. */
struct id16 session_id(const struct id16 *project, const struct id16 *owner, struct bytes key,
                       uint64_t base);
/* The base in a session id. */
uint64_t session_id_base(const struct id16 *session);

/* The owner that an author's name stands for. */
struct id16 owner_of(struct bytes author);

/* The ids that a land of these records names: of every kind but LAND and ABANDON, sorted, no
 * two alike. `out` has room for n. Gives how many. */
size_t records_ids(const struct record *records, size_t n, struct id16 *out);
/* SHA-256 over them (16 bytes each): what a client names the same set by. */
struct hash records_hash(const struct record *records, size_t n, struct arena *scratch);

#endif
