/* A landing record: the answer to one request about one session, for good. It lies in the tree
 * object that the head put made true.
 *
 *   offset size field
 *        0   16 envelope "MLRC" version 1
 *       16    1 verdict, plus 128 when the answer closes the session
 *       17   16 request: id of the land or abandon record
 *       33   16 session
 *       49   16 owner
 *       65    8 hlc of the request
 *       73    8 position: landed, its own; else the project's when it was decided
 *       81  1+n reason: a stable code; empty for landed
 *           2+n detail: a sentence for people
 *             4 count of all conflicts
 *             2 count of those listed here, each
 *                 1 what   2+n path   seen of the client   seen of what is there
 *                 8 position that put it there
 *             1 whether the session follows: only a landed one's does, and in the chain each
 *           4+n the session's bytes */
#ifndef FORMATS_LANDING_H
#define FORMATS_LANDING_H

#include "formats/session.h"

#define REASON_LEN_MAX 255u
#define DETAIL_LEN_MAX 4096u

enum verdict {
    VERDICT_LANDED = 1,
    VERDICT_CONFLICTED = 2,
    VERDICT_REFUSED = 3,
    VERDICT_NOT_TRIED = 4, /* an earlier session of the series did not land */
    VERDICT_ABANDONED = 5,
};

#define VERDICT_CLOSES 128u /* in the byte of a verdict: the answer closes the session */

enum conflict_what {
    CONFLICT_OPERATION = 1, /* the path is not as the operation saw it */
    CONFLICT_GUARD = 2,     /* the path is not as the guard saw it */
    CONFLICT_DIRECTORY = 3, /* a directory stands where a file is to go */
    CONFLICT_ANCESTOR = 4,  /* a file stands where a directory above the path is to go */
};

struct conflict {
    enum conflict_what what;
    struct bytes path;
    struct seen seen;
    struct seen there;
    /* Stamp of what is there; for a path that is gone, of its nearest directory: an upper
     * bound. */
    uint64_t by;
};

struct landing {
    enum verdict verdict;
    /* No later request about this session is tried: landed, abandoned, or it came whole. */
    bool closes;
    struct id16 request;
    struct id16 session;
    struct id16 owner;
    uint64_t hlc;
    uint64_t position;
    struct bytes reason;  /* at most REASON_LEN_MAX, UTF-8 */
    struct bytes detail;  /* at most DETAIL_LEN_MAX, UTF-8 */
    uint32_t n_conflicts; /* all */
    uint16_t n_listed;    /* in `conflicts`, at most CONFLICTS_LISTED_MAX */
    struct conflict *conflicts;
    bool has_session;
    struct session landed; /* when has_session */
};

/* Whether a byte that was read is a verdict. */
bool verdict_known(enum verdict);
/* "landed", "conflicted", "refused", "not_tried", "abandoned" */
const char *verdict_name(enum verdict);
/* "operation", "guard", "directory", "ancestor" */
const char *conflict_what_name(enum conflict_what);

/* Sorts the session's records, as session_encode does. */
void landing_encode(struct landing *, struct buf *out);
int landing_decode(struct bytes in, struct arena *, struct landing *out) MUST_USE;

#endif
