/* One HTTP request on its way: what was asked, and the answer under construction. A handler
 * fills in an answer with one of the respond calls, at once or, after request_wait, from
 * another thread. */
#ifndef API_HTTP_REQUEST_H
#define API_HTTP_REQUEST_H

#include <microhttpd.h>

#include "api/http/aside.h"
#include "api/http/server.h"
#include "api/json/json.h"
#include "api/service/service.h"
#include "formats/base/limits.h"

#define ANSWER_HEADERS_MAX 12u
/* Bytes of a source that are read at once; a shorter one is read before its answer begins. */
#define SOURCE_BLOCK (256u * KIB)
/* All requests together hold at most so much memory; one that holds little is never refused. */
#define HELD_MAX  (512u * MIB)
#define HELD_FREE (16u * KIB)

/* Bytes that are sent as they are read. `read` appends [offset, offset + len). */
struct source {
    uint64_t size;
    int (*read)(void *arg, uint64_t offset, size_t len, struct buf *out);
    void (*close)(void *arg);
    void *arg;
};

/* Bytes that come when they come: an answer without a known length. */
struct stream {
    /* Writes at most `max` bytes; 0: none are there, and the connection has been suspended
     * until request_resume; STREAM_END: there are no more. On the connection's own thread. */
    long (*next)(void *arg, char *out, size_t max);
    void (*close)(void *arg);
    void *arg;
};
#define STREAM_END (-1L)

struct answer_header {
    const char *name;  /* a constant */
    const char *value; /* in the request's arena */
};

struct request {
    struct http_server *server;
    struct service *service; /* NULL, and no repo: the server has none yet */
    struct repo *repo;
    struct MHD_Connection *connection;
    const struct route *route;
    struct arena arena;
    struct buf body;
    struct json_t *json;   /* of the body */
    struct upload *upload; /* of a streamed body */
    struct id16 project;   /* of :id */
    struct bytes rest;     /* :sid, :hash or *path */
    struct caller caller;
    /* What became of it so far; only the connection's own thread looks at these. */
    uint64_t length; /* of the body, as its header says */
    uint64_t came;   /* bytes of the body */
    uint64_t held;   /* by request_hold */
    bool binary;     /* the answer is wanted as bytes */
    bool url_cut;    /* the address has a NUL, and was cut there */
    bool head;       /* the method is HEAD */
    bool chunked;
    bool unframed; /* where the body ends is not known: no other request may follow */
    bool begun;
    bool dispatched;
    bool suspended;           /* the answer comes from elsewhere */
    void (*again)(void *arg); /* what goes on with it; NULL: nothing */
    void *again_arg;
    struct aside_work aside;
    bool *aside_waits; /* on an aside thread: told when the answer comes from elsewhere */
    /* The answer. */
    unsigned status; /* 0: none yet */
    struct buf out;
    struct source source; /* instead of `out` when source.read is set */
    size_t ahead;         /* bytes of the source that `out` has already */
    struct stream stream; /* instead of both when stream.next is set */
    struct answer_header headers[ANSWER_HEADERS_MAX];
    size_t n_headers;
};

/* Counts memory that the request holds until its end. False: there is no room, and the answer
 * says so. */
bool request_hold(struct request *, uint64_t bytes);

/* --- what was asked --- */

/* NULL when it is not there. */
const char *request_header(struct request *, const char *name);
const char *request_query(struct request *, const char *name);
/* A decimal number from the query, at most `max`; `otherwise` when it is not there. On a bad
 * one false, and the answer says so. */
bool request_u64(struct request *, const char *name, uint64_t max, uint64_t otherwise,
                 uint64_t *out);
/* ?limit=: from 1 to `most`. */
bool request_limit(struct request *, uint64_t most, uint64_t otherwise, uint64_t *out);
/* ?wait=: "30s", "500ms", "2"; seconds without a unit. 0 when it is not there. */
bool request_wait_ms(struct request *, uint64_t *out);
/* A path of the tree in the query or the URL ("" is the root); checked. */
bool request_path(struct request *, struct bytes path, struct bytes *out);
/* The hash, or address, that the URL names; `field` is what it is called. */
bool request_hash(struct request *, const char *field, struct hash *out);
/* The body as a JSON object, which lives as long as the request; `optional`: an empty body
 * gives an empty object. */
bool request_json(struct request *, bool optional, struct json_problem *, struct json_at *top);

/* Ends the upload; when it fails, or its hash is not the one expected (unless that is NULL),
 * false, and the answer says so. */
bool request_upload_finish(struct request *, const struct hash *expected, struct content *out);

/* --- the answer --- */

void respond_header(struct request *, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void respond_problem(struct request *, const struct problem *);
void respond_error(struct request *, unsigned status, const char *code, const char *field,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* What was tried failed for `err`; `what` is what was read or written, as in
 * service_problem. */
void respond_failure(struct request *, int err, const char *what);
void respond_json_problem(struct request *, const struct json_problem *);
/* Begins a JSON object as the answer; the caller writes its fields and ends it. */
void respond_json(struct request *, unsigned status, struct json_writer *);
void respond_bytes(struct request *, unsigned status, const char *type, struct bytes);
/* Content with an entity tag (given without quotes): ranges, If-None-Match, HEAD. Takes the
 * source over. The first block is read at once, so that what cannot be read is answered as an
 * error. */
void respond_source(struct request *, const char *type, const char *etag, bool immutable,
                    struct source);

/* An answer of this type that goes on. Takes the stream over. */
void respond_stream(struct request *, const char *type, struct stream);

/* Whether the client has this content already; then that is the answer. Headers are the
 * caller's. */
bool respond_not_modified(struct request *, const char *etag);

/* The store is away: nothing that needs it can be answered. */
bool request_store_away(struct request *);
/* The server's time, or that of its wall clock as long as it has no bucket. */
uint64_t request_hlc(struct request *);

/* The status that an error is. */
unsigned problem_status(const struct problem *);

/* Suspends the connection until request_resume, which is called from any thread when the answer
 * is filled in. */
void request_suspend(struct request *);
void request_resume(struct request *);
/* The same without an answer: `run` goes on with the request, where its handler began, and
 * answers or suspends it again. */
void request_again(struct request *, void (*run)(void *arg), void *arg);
/* Has `run` called on a thread aside, with the connection suspended. */
void request_aside(struct request *, void (*run)(void *arg), void *arg);
/* One piece of such work. */
void request_aside_run(struct aside_work *);

#endif
