/* Sessions, operations and answers as JSON: the forms that api/openapi.yaml describes. */
#ifndef API_HTTP_SESSION_JSON_H
#define API_HTTP_SESSION_JSON_H

#include "api/json/json.h"
#include "api/service/service.h"

/* --- in: what is wrong goes into the problem of `at`; strings live as long as the JSON value
 * --- */

/* What the sessions are for. A preflight needs no goal, and may name a content by its hash and
 * size alone (CARRIER_TREE_RAW): its bytes come when it lands. */
enum json_purpose {
    JSON_TO_LAND,
    JSON_TO_ASK,
};

/* Reads one record out of an item of "operations", "guards", "decisions" or "conversation", and
 * its key. A base that is not said is UINT64_MAX. */
struct record record_from_json(const struct json_at *item, enum record_kind, enum json_purpose,
                               struct arena *, struct bytes *key);
/* A whole session: its start record first, then the others in their order. Ids and hlcs are
 * left to the service. */
struct session session_from_json(const struct json_at *object, const struct caller *,
                                 enum json_purpose, struct arena *);
/* What a session starts with. */
struct session_start start_from_json(const struct json_at *object, struct arena *);

/* --- out --- */

/* Fields kind, mode (of files), size, hash into the open object. */
void content_fields(struct json_writer *, enum kind, uint16_t mode, uint64_t size,
                    const struct hash *);
void seen_to_json(struct json_writer *, const char *name, const struct seen *);
/* An entry of a tree, or null. */
void entry_to_json(struct json_writer *, const char *name, const struct entry *);
void landing_to_json(struct json_writer *, const char *name, const struct landing *);
/* The fields of a preflight's answer into the open object. */
void preflight_to_json(struct json_writer *, const struct preflight *);
/* Of the effects with `path` (empty: all of them) those on it and below it, and what is gone.
 */
void log_entry_to_json(struct json_writer *, const struct log_entry *, struct bytes path);
/* All of a session as it stands. */
void session_to_json(struct json_writer *, const struct session_current *, struct arena *);
/* The line that a list has for a session. */
void session_line_to_json(struct json_writer *, const struct session *, struct arena *);

#endif
