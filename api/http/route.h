/* Which handler a method and path mean. Patterns lie under /api/mic; ":id" is a project,
 * ":sid", ":hash" one component, "*path" all that is left, before
 * what may follow it in the pattern. */
#ifndef API_HTTP_ROUTE_H
#define API_HTTP_ROUTE_H

#include "api/http/request.h"

enum route_flags {
    ROUTE_WRITES = 1,     /* needs an author; refused while the clock is off */
    ROUTE_STREAMS = 2,    /* the body is an upload */
    ROUTE_NO_BODY = 4,    /* the body, if any, is passed over */
    ROUTE_EMPTY_OK = 8,   /* a body may be left out */
    ROUTE_STORELESS = 16, /* answered without the store, and without a service */
    ROUTE_SMALL_WHOLE =
        32,           /* of an upload: one of at most INLINE_CONTENT_MAX comes as the body */
    ROUTE_ASIDE = 64, /* may wait, so it is handled on a thread aside */
};

struct route {
    const char *method; /* HEAD goes where GET goes */
    const char *pattern;
    void (*handle)(struct request *);
    unsigned flags;
};

extern const struct route routes[];
extern const size_t routes_n;

enum route_method { ROUTE_GET = 1, ROUTE_POST = 2, ROUTE_PUT = 4, ROUTE_DELETE = 8 };

struct route_match {
    const struct route *route; /* NULL: none */
    unsigned methods;          /* what there is for this path: ROUTE_GET, … */
    struct bytes project;      /* points into `path` */
    struct bytes rest;
};
struct route_match route_find(const char *method, const char *path);
/* As the header Allow has them. */
const char *route_methods(unsigned methods);

/* The handlers, by file. */
void handle_health(struct request *);
void handle_ready(struct request *);
void handle_metrics(struct request *);
void handle_project_create(struct request *);
void handle_project_list(struct request *);
void handle_project(struct request *);
void handle_head(struct request *);
void handle_session_start(struct request *);
void handle_session_list(struct request *);
void handle_session(struct request *);
void handle_session_operations(struct request *);
void handle_session_guards(struct request *);
void handle_session_decisions(struct request *);
void handle_session_conversation(struct request *);
void handle_session_rebase(struct request *);
void handle_session_abandon(struct request *);
void handle_session_land(struct request *);
void handle_session_preflight(struct request *);
void handle_land(struct request *);
void handle_preflight(struct request *);
void handle_log(struct request *);
void handle_tree(struct request *);
void handle_file(struct request *);
void handle_diff(struct request *);
void handle_blob_put(struct request *);
void handle_blob(struct request *);
void handle_blobs_missing(struct request *);
void handle_tree_object(struct request *);
void handle_raw_blob(struct request *);
void handle_ref_list(struct request *);
void handle_ref(struct request *);
void handle_ref_log(struct request *);
void handle_ref_put(struct request *);
void handle_ref_delete(struct request *);
void handle_derive_leaf(struct request *);
void handle_derive_recipes(struct request *);
void handle_derive_get(struct request *);
void handle_derive_chunks(struct request *);
void handle_derive_progress(struct request *);
void handle_derive_verify(struct request *);
void handle_derive_recipe(struct request *);
void handle_derive_dependents(struct request *);
void handle_derive_lineage(struct request *);
void handle_derive_invalidate(struct request *);
void handle_derive_collect(struct request *);
void handle_derive_pin(struct request *);
void handle_derive_unpin(struct request *);
void handle_derive_pins(struct request *);
void handle_derive_functions(struct request *);
void handle_derive_status(struct request *);

#endif
