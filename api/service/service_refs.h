/* References: names in a project that addresses are bound to, and can be bound anew. They are a
 * tree of their own beside the project's (formats/project_id.h), so a bind is a landing in it:
 * decided by compare and set, with its place in a history, durable and final as any other. It
 * is made with the first bind.
 *
 * A bind looks for a cycle through the recipes below the new address and through the refs that
 * these name, all in one snapshot, and guards every ref that it has read. So of two binds at
 * once that would close a cycle between them one does not land, and finds the cycle when it is
 * tried again. */
#ifndef API_SERVICE_SERVICE_REFS_H
#define API_SERVICE_SERVICE_REFS_H

#include "api/service/service.h"
#include "pipeline/derive/refs/refs_history.h"
#include "pipeline/derive/refs/refs_snapshot.h"

/* What a name is to be bound to when it is bound anew or deleted. */
enum ref_expected_what {
    REF_ANYTHING,
    REF_UNBOUND,
    REF_BOUND,
};
struct ref_expected {
    enum ref_expected_what what;
    struct hash address; /* BOUND */
};

struct ref_done {
    int err; /* 0: it is as asked, or `pending` */
    struct problem problem;
    bool pending; /* durable, not decided within the wait */
    uint64_t
        position; /* of the tree of references: that of the landing that bound or deleted */
    uint64_t hlc;
};
typedef void (*ref_done_fn)(void *arg, const struct ref_done *);

/* Binds the name. What it is bound to already is not landed again. The arena and `name` must
 * live until the callback, which may come before this returns.
 *
 * Problems: ref_invalid (the name), ref_clash (a name begins with another and a slash),
 * ref_conflict (ERR_CONFLICT: it is not bound as expected; the sentence says how), ref_cycle
 * (ERR_CONFLICT, and the sentence names the refs of it), ref_too_much (ERR_LIMIT: more lies
 * below the address than is looked at), and those of a landing. `ref_moved` (ERR_AGAIN), from
 * the callback: a ref that was read was bound anew meanwhile, and the same call is to be made
 * again. */
int service_ref_bind(struct service *, const struct caller *, const struct id16 *project,
                     struct bytes name, const struct hash *address, const struct ref_expected *,
                     struct arena *, uint64_t wait_ms, ref_done_fn, void *arg,
                     struct problem *) MUST_USE;
/* Deletes the name. not_found (ERR_NOT_FOUND) when it is not bound. */
int service_ref_delete(struct service *, const struct caller *, const struct id16 *project,
                       struct bytes name, const struct ref_expected *, struct arena *,
                       uint64_t wait_ms, ref_done_fn, void *arg, struct problem *) MUST_USE;

/* A snapshot of the project's references, for get and list (refs_snapshot.h). */
struct refs_snapshot *service_refs_snapshot(struct service *, const struct caller *,
                                            const struct id16 *project) MUST_USE;

#endif
