/* Completes what clients leave out of their records: what they have seen, by the tree at the
 * base that each record names and never by the session's own earlier writes; the content that a
 * rename keeps; size and manifest of an uploaded blob. In a series of whole sessions, what is
 * seen is the base with what the earlier sessions of the request do.
 *
 * What a user would be surprised by is refused here (ERR_INVALID, 422), before anything is
 * accepted:
 *
 *   path_absent        a delete or rename without `seen` of a path that neither the base nor
 *                      the session has, as git rm does
 *   path_is_directory  the same of a directory: it is deleted or renamed by its files
 *   path_clash         a write at a directory that the session does not empty, or below a file
 *                      that it does not delete
 *   guard_seen_missing a guard on a directory that earlier sessions of the series changed says
 *                      what it has seen itself
 *   blob_missing       content that was not uploaded
 *   content_mismatch   inline bytes that are not what their size and hash say
 *   base_ahead         a base above the head */
#ifndef API_SERVICE_SEEN_FILL_H
#define API_SERVICE_SEEN_FILL_H

#include "api/service/parts.h"
#include "api/service/path_map.h"

struct seen_fill {
    struct service *service;
    struct id16 project;
    struct arena *arena;
    struct path_map *earlier; /* what the earlier sessions of a series did; NULL: no series */
    const struct session_view *view; /* what an open session has already; NULL: nothing */
    struct path_map own;             /* what the records before have done */
    bool named;             /* a content may be named without its bytes (CARRIER_TREE_RAW) */
    struct base_tree *base; /* the last that was asked, held */
    const struct condemned *condemned; /* read for the first upload that is named */
};

void seen_fill_init(struct seen_fill *, struct service *, const struct id16 *project,
                    struct arena *);
void seen_fill_release(struct seen_fill *);

/* Completes records that have passed service_record_check, in the order meant. */
int seen_fill_records(struct seen_fill *, struct record *records, size_t n,
                      struct problem *) MUST_USE;

/* Whether a whole session, completed, can be applied to its own base. */
int seen_fill_clash(struct seen_fill *, const struct session_view *, struct problem *) MUST_USE;

/* Goes on to the next session of a series: what this one does counts from here on. */
void seen_fill_next(struct seen_fill *, const struct session_view *);

#endif
