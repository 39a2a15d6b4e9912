/* The parts of the service, between its files. */
#ifndef API_SERVICE_PARTS_H
#define API_SERVICE_PARTS_H

#include <stdatomic.h>

#include "api/service/service.h"
#include "api/service/store_look.h"
#include "api/service/waiters.h"
#include "pipeline/repo/tree/base_tree.h"

struct service {
    struct repo *repo;
    struct service_options options;
    struct intake *intake;
    struct base_cache *bases;
    struct waiters *waiters;
    struct store_look *look; /* NULL without a pulse */
    struct derive *derive;   /* NULL: this server derives nothing */
    struct derive_gets *gets;
    atomic_uint_fast64_t groups_accepted;
    atomic_uint_fast64_t groups_refused;
};

/* The position that a base means: UINT64_MAX is the head's as it is now. A problem when there
 * is no such project, or the base is above the head. */
int service_base(struct service *, const struct id16 *project, uint64_t base, uint64_t *out,
                 struct problem *) MUST_USE;

/* Whether `record` may be accepted; a problem that names the field when not. */
int service_record_check(const struct record *, struct problem *) MUST_USE;

/* A client's key, or one drawn at random when it has none. In the arena. */
struct bytes service_key(struct service *, struct bytes key, struct arena *);

/* The caller's session as it is now; a problem when nobody has heard of it, or it is
 * another's. */
int service_session_open(struct service *, const struct caller *, const struct id16 *project,
                         const struct id16 *sid, struct arena *, struct session_current *out,
                         struct problem *) MUST_USE;

/* Completes whole sessions as a land of them does, in place, and refuses what it refuses:
 * bases, ids, and what is missing of `seen`. But a content may be named without its bytes: its
 * carrier is TREE_RAW then. */
int service_sessions_settle(struct service *, const struct caller *, const struct id16 *project,
                            struct session *sessions, size_t n, struct arena *,
                            struct problem *) MUST_USE;

/* What intake_add refuses with. */
int service_intake_problem(struct problem *, int err);

/* The id of a land: over its sessions, the hashes of what it lands of each, and the client's
 * key. */
struct id16 service_request_id(const struct id16 *owner, struct bytes key, bool whole,
                               const struct id16 *sessions, const struct hash *records,
                               size_t n);

#endif
