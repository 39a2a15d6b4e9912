/* One request of the client: its address, headers and answer. What every call of client.h is
 * made of; not for others. */
#ifndef API_CLIENT_CALL_H
#define API_CLIENT_CALL_H

#include "api/client/client.h"
#include "api/json/json.h"

struct call {
    struct client *client;
    struct http_call http;
    struct buf url;
    struct buf body;
    char author[300];
    char hlc[40];
    size_t n_headers;
    bool query; /* the url has a '?' already */
};

/* Begins a request to /api/mic followed by what `fmt` gives, whose text must need no escape. */
void call_begin(struct call *, struct client *, const char *method, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Begins one below a project; `below` is "" or begins with a slash. */
void call_project(struct call *, struct client *, const char *method, struct bytes project,
                  const char *below);
void call_path(struct call *, struct bytes path); /* appends "/" and the path, escaped */
void call_query(struct call *, const char *name, struct bytes value);
void call_query_u64(struct call *, const char *name, uint64_t value);
void call_header(struct call *, const char *line); /* `line` must outlive the call */
/* The body so far (call->body), and its type. */
void call_json(struct call *);
void call_release(struct call *);
#define AUTO_CALL AUTO(call_release) struct call

/* Runs it. Adopts the answer's hlc. A status of 400 and over is the enum err that it stands
 * for, and the problem has the server's words. */
int call_run(struct call *) MUST_USE;
/* Takes what came of the http call, for those that ran it by http_many. */
int call_result(struct call *) MUST_USE;
/* The answer as JSON. ERR_CORRUPT when it is none. */
int call_answer(struct call *, struct json_t **out) MUST_USE;
/* Runs it, and gives the top of its answer, which is to be an object. The value is the
 * caller's; what is wrong with its fields goes into `wrong`. */
int call_top(struct call *, struct json_t **value, struct json_problem *wrong,
             struct json_at *top) MUST_USE;
/* ERR_CORRUPT when the answer's fields were not as they should be, else 0. */
int call_fields(struct call *, const struct json_problem *) MUST_USE;

/* Fills in the client's problem from an error's JSON; what is no such JSON is told by its
 * status. Gives the err that it stands for. */
int call_problem(struct client *, int status, struct bytes body);
/* Fills in the client's problem; gives err. */
int client_fail(struct client *, int err, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* --- decoding what several answers have --- */
enum kind client_kind_parse(struct bytes name); /* KIND_NONE for an unknown one */
/* A kind's mode as JSON carries it: "0644", "0755"; 0 for links and directories. */
uint16_t client_mode_parse(struct bytes text);
struct entry client_entry_parse(const struct json_at *, struct arena *);
struct seen client_seen_parse(const struct json_at *object, const char *name);
struct client_operation client_operation_parse(const struct json_at *, struct arena *);
/* An answer's verdict (an unknown one is REFUSED), reasons and conflicts, and session and
 * position if they are there. */
void client_landing_parse(const struct json_at *, struct arena *, struct landing *out);

/* --- encoding what several requests have --- */
/* The fields of an OPERATION, GUARD, DECISION or CONVERSATION into the open object. ERR_INVALID
 * for another, or one with a content that cannot be sent. */
int client_record_json(struct json_writer *, const struct record *,
                       struct arena *scratch) MUST_USE;
void client_seen_json(struct json_writer *, const char *name, const struct seen *);

#endif
