#include "api/http/route.h"

#define BASE "/api/mic"

const struct route routes[] = {
    {"GET", "/health", handle_health, ROUTE_NO_BODY | ROUTE_STORELESS},
    {"GET", "/ready", handle_ready, ROUTE_NO_BODY | ROUTE_STORELESS},
    {"GET", "/metrics", handle_metrics, ROUTE_NO_BODY | ROUTE_STORELESS},
    {"POST", "/projects", handle_project_create, ROUTE_WRITES},
    {"GET", "/projects", handle_project_list, ROUTE_NO_BODY},
    {"GET", "/projects/:id", handle_project, ROUTE_NO_BODY},
    {"GET", "/projects/:id/head", handle_head, ROUTE_NO_BODY},
    {"POST", "/projects/:id/sessions", handle_session_start, ROUTE_WRITES},
    {"GET", "/projects/:id/sessions", handle_session_list, ROUTE_NO_BODY},
    {"GET", "/projects/:id/sessions/:sid", handle_session, ROUTE_NO_BODY},
    {"POST", "/projects/:id/sessions/:sid/operations", handle_session_operations, ROUTE_WRITES},
    {"POST", "/projects/:id/sessions/:sid/guards", handle_session_guards, ROUTE_WRITES},
    {"POST", "/projects/:id/sessions/:sid/decisions", handle_session_decisions, ROUTE_WRITES},
    {"POST", "/projects/:id/sessions/:sid/conversation", handle_session_conversation,
     ROUTE_WRITES},
    {"POST", "/projects/:id/sessions/:sid/rebase", handle_session_rebase, ROUTE_WRITES},
    {"POST", "/projects/:id/sessions/:sid/abandon", handle_session_abandon,
     ROUTE_WRITES | ROUTE_EMPTY_OK},
    {"POST", "/projects/:id/sessions/:sid/land", handle_session_land,
     ROUTE_WRITES | ROUTE_EMPTY_OK},
    {"POST", "/projects/:id/sessions/:sid/preflight", handle_session_preflight, ROUTE_NO_BODY},
    {"POST", "/projects/:id/land", handle_land, ROUTE_WRITES},
    {"POST", "/projects/:id/preflight", handle_preflight, 0},
    {"GET", "/projects/:id/log", handle_log, ROUTE_NO_BODY},
    {"GET", "/projects/:id/tree/*path", handle_tree, ROUTE_NO_BODY},
    {"GET", "/projects/:id/files/*path", handle_file, ROUTE_NO_BODY},
    {"GET", "/projects/:id/diff", handle_diff, ROUTE_NO_BODY},
    {"POST", "/projects/:id/blobs", handle_blob_put, ROUTE_WRITES | ROUTE_STREAMS},
    {"POST", "/projects/:id/blobs/missing", handle_blobs_missing, 0},
    {"GET", "/projects/:id/blobs/:hash", handle_blob, ROUTE_NO_BODY},
    {"GET", "/projects/:id/trees/:hash", handle_tree_object, ROUTE_NO_BODY},
    {"GET", "/projects/:id/raw-blobs/:hash", handle_raw_blob, ROUTE_NO_BODY},
    {"GET", "/projects/:id/refs", handle_ref_list, ROUTE_NO_BODY},
    {"GET", "/projects/:id/refs/*path/log", handle_ref_log, ROUTE_NO_BODY},
    {"GET", "/projects/:id/refs/*path", handle_ref, ROUTE_NO_BODY | ROUTE_ASIDE},
    {"PUT", "/projects/:id/refs/*path", handle_ref_put, ROUTE_WRITES | ROUTE_ASIDE},
    {"DELETE", "/projects/:id/refs/*path", handle_ref_delete,
     ROUTE_WRITES | ROUTE_NO_BODY | ROUTE_ASIDE},
    {"POST", "/projects/:id/derive/leaves", handle_derive_leaf,
     ROUTE_WRITES | ROUTE_STREAMS | ROUTE_SMALL_WHOLE},
    {"POST", "/projects/:id/derive/recipes", handle_derive_recipes, ROUTE_WRITES},
    {"POST", "/projects/:id/derive/invalidate", handle_derive_invalidate,
     ROUTE_WRITES | ROUTE_ASIDE},
    {"POST", "/projects/:id/derive/collect", handle_derive_collect,
     ROUTE_WRITES | ROUTE_EMPTY_OK | ROUTE_ASIDE},
    {"GET", "/projects/:id/derive/dependents", handle_derive_dependents,
     ROUTE_NO_BODY | ROUTE_ASIDE},
    {"GET", "/projects/:id/derive/functions", handle_derive_functions, ROUTE_NO_BODY},
    {"GET", "/projects/:id/derive/pins", handle_derive_pins, ROUTE_NO_BODY | ROUTE_ASIDE},
    {"GET", "/projects/:id/derive/status", handle_derive_status, ROUTE_NO_BODY | ROUTE_ASIDE},
    {"GET", "/projects/:id/derive/:hash", handle_derive_get, ROUTE_NO_BODY},
    {"GET", "/projects/:id/derive/:hash/recipe", handle_derive_recipe,
     ROUTE_NO_BODY | ROUTE_ASIDE},
    {"GET", "/projects/:id/derive/:hash/chunks", handle_derive_chunks, ROUTE_NO_BODY},
    {"GET", "/projects/:id/derive/:hash/progress", handle_derive_progress, ROUTE_NO_BODY},
    {"GET", "/projects/:id/derive/:hash/lineage", handle_derive_lineage,
     ROUTE_NO_BODY | ROUTE_ASIDE},
    {"POST", "/projects/:id/derive/:hash/verify", handle_derive_verify,
     ROUTE_WRITES | ROUTE_NO_BODY},
    {"POST", "/projects/:id/derive/:hash/pin", handle_derive_pin,
     ROUTE_WRITES | ROUTE_NO_BODY | ROUTE_ASIDE},
    {"POST", "/projects/:id/derive/:hash/unpin", handle_derive_unpin,
     ROUTE_WRITES | ROUTE_NO_BODY | ROUTE_ASIDE},
};
const size_t routes_n = ARRAY_LEN(routes);

/* Takes the next component off; false at the end. */
static bool component(const char **at, struct bytes *out)
{
    if (**at != '/')
        return false;
    const char *begin = *at + 1;
    const char *end = strchrnul(begin, '/');
    *out = bytes_of(begin, (size_t)(end - begin));
    *at = end;
    return true;
}

/* Takes what follows "*path" in the pattern off the rest, which must have something before it.
 */
static bool rest_ends(struct bytes *rest, struct bytes ending)
{
    if (ending.len == 0)
        return true;
    if (rest->len <= ending.len ||
        memcmp(rest->data + rest->len - ending.len, ending.data, ending.len) != 0)
        return false;
    rest->len -= ending.len;
    return true;
}

static bool pattern_match(const char *pattern, const char *path, struct route_match *match)
{
    struct bytes want;
    struct bytes have;
    while (component(&pattern, &want)) {
        if (bytes_equal(want, bytes_str("*path"))) {
            /* "tree" and "tree/" are the root. */
            match->rest = bytes_str(*path == '/' ? path + 1 : path);
            return rest_ends(&match->rest, bytes_str(pattern));
        }
        if (!component(&path, &have) || have.len == 0)
            return false;
        if (bytes_equal(want, bytes_str(":id")))
            match->project = have;
        else if (want.data[0] == ':')
            match->rest = have;
        else if (!bytes_equal(want, have))
            return false;
    }
    return *path == '\0';
}

static const struct {
    const char *name;
    enum route_method bit;
} methods_known[] = {
    {"GET", ROUTE_GET}, {"POST", ROUTE_POST}, {"PUT", ROUTE_PUT}, {"DELETE", ROUTE_DELETE}};

static unsigned method_bit(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods_known); i++) {
        if (strcmp(methods_known[i].name, name) == 0)
            return methods_known[i].bit;
    }
    return 0;
}

struct route_match route_find(const char *method, const char *path)
{
    struct route_match match = {0};
    if (strncmp(path, BASE, strlen(BASE)) != 0)
        return match;
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < routes_n; i++) {
        struct route_match found = {0};
        if (!pattern_match(routes[i].pattern, path + strlen(BASE), &found))
            continue;
        if (strcmp(routes[i].method, asked) == 0) {
            found.route = &routes[i];
            return found;
        }
        match.methods |= method_bit(routes[i].method);
    }
    return match;
}

const char *route_methods(unsigned methods)
{
    if ((methods & (ROUTE_PUT | ROUTE_DELETE)) != 0)
        return "GET, HEAD, PUT, DELETE";
    if (methods == ROUTE_POST)
        return "POST";
    return (methods & ROUTE_POST) != 0 ? "GET, HEAD, POST" : "GET, HEAD";
}
