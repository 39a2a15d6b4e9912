/* Derivation as C calls, as in client.h. An address is that of a leaf, a recipe or a tree. */
#ifndef API_CLIENT_CLIENT_DERIVE_H
#define API_CLIENT_CLIENT_DERIVE_H

#include "api/client/client.h"
#include "api/json/json.h"
#include "formats/recipe.h"

/* Puts bytes; gives their address. */
int client_derive_leaf(struct client *, struct bytes project, const struct http_source *,
                       struct hash *out) MUST_USE;
/* Puts a recipe, settled or not; gives its address. */
int client_derive_recipe(struct client *, struct bytes project, const struct recipe *,
                         struct hash *out) MUST_USE;

/* How far a result is that is still being computed. */
struct client_derive_progress {
    uint64_t nodes;
    uint64_t known;
    uint64_t runs;    /* that have ended */
    uint64_t running; /* now */
    uint64_t bytes;   /* that they have written */
    uint64_t elapsed_ms;
};
/* The bytes of a result, or a part of it (`range` as "0-99", NULL for all), computed where they
 * are not there; `verify` as "dual", or NULL. Waits for as long as it takes; when that is more
 * than a second, calls `wait` (may be NULL) now and then: twice a second for a whole result,
 * every few seconds for a part. */
struct client_derive_get {
    const char *range;
    const char *verify;
    struct http_sink sink;
    void (*wait)(void *arg, const struct client_derive_progress *);
    void *arg;
};
int client_derive_get(struct client *, struct bytes project, const struct hash *,
                      const struct client_derive_get *) MUST_USE;

/* Any other question: the answer as JSON, which is the caller's (`out` NULL: it is none). Waits
 * for as long as it takes. The answer's bytes are appended to `text`, unless that is NULL. */
struct client_ask {
    const char *method;
    const char *below; /* what is behind "/derive", with its query */
    struct bytes body; /* JSON, or empty */
};
int client_derive_ask(struct client *, struct bytes project, const struct client_ask *,
                      struct buf *text, struct json_t **out) MUST_USE;

#endif
