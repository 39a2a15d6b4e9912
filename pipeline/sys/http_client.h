/* HTTP/1.1 requests over kept connections. The only place that calls curl.
 *
 * A client is used by one thread at a time (http_pool.h has some for many). Bodies go out from
 * memory or from a callback, and come in to memory (bounded) or to a callback, so nothing is
 * ever held whole that the caller does not hold. Something is tried again only where nothing
 * happened: no connection stood, or the answer was 503 with Retry-After. A request other than
 * GET and HEAD is never on the wire twice, not even when a kept connection turns out to be
 * dead. Redirects are answers like others. */
#ifndef PIPELINE_SYS_HTTP_CLIENT_H
#define PIPELINE_SYS_HTTP_CLIENT_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"
#include "pipeline/sys/clock.h"

struct http_client;

struct http_client_options {
    uint64_t connect_ms; /* a connection must stand after this; 0: 10 s */
    uint64_t stall_ms;   /* a transfer that moves nothing for so long is given up; 0: 120 s */
    unsigned tries;      /* how often one request is sent at most; 0: 4 */
    const char *agent;   /* the User-Agent header */
    const char *ca_file; /* certificates to trust instead of the system's; NULL or "" for these.
                            Must stay as long as the client */
    size_t buffer_size;  /* of a transfer, for either way; 0: 512 KiB */
    struct clock *clock; /* for the pauses between tries */
};

int http_client_open(const struct http_client_options *, struct http_client **out) MUST_USE;
void http_client_close(struct http_client *);

/* Body going out, in pieces. `read` gives up to `len` bytes: 0 at the end; ERR_* gives up.
 * `rewind` begins again, for another try; NULL when that cannot be. */
struct http_source {
    long (*read)(void *arg, uint8_t *out, size_t len);
    int (*rewind)(void *arg);
    void *arg;
    int64_t size; /* -1: not known, sent in chunks */
};

/* Body coming in, in pieces. Called for answers 200 and 206 only; other bodies go to memory. An
 * error ends the transfer and is the call's error. */
struct http_sink {
    int (*write)(void *arg, struct bytes);
    void *arg;
};

#define HTTP_HEADERS_MAX 12u

struct http_call {
    /* in */
    const char *method;
    const char *url;
    const char *headers[HTTP_HEADERS_MAX]; /* each "Name: value"; ends with NULL */
    struct bytes data;                     /* the body, when `source` is not set */
    struct http_source source;
    struct http_sink sink;
    size_t body_max;     /* of a body in memory; more is ERR_LIMIT; 0: 16 MiB */
    uint64_t timeout_ms; /* for the whole call; 0: none */
    void *user;          /* the caller's own */
    /* out; release with http_call_release */
    int err; /* 0: there is an answer, whatever its status */
    int status;
    struct buf body;
    struct buf head; /* the answer's headers, as lines "name: value\n" */
    char why[256];   /* for people, when err */
};

/* Runs one call; gives call->err. ERR_AGAIN: nothing of it was sent; ERR_DENIED: neither, for
 * the server's certificate is not trusted; ERR_UNKNOWN: it may have reached the server. What
 * was in the out fields of an earlier run is released first. */
int http_call(struct http_client *, struct http_call *) MUST_USE;

#define HTTP_PARALLEL_MAX 64u

/* Runs calls side by side, at most `parallel` at a time (and at most HTTP_PARALLEL_MAX). `next`
 * gives the next one (NULL: no more); `done` is called for each as it ends, in any order, on
 * this thread; what is not 0 ends all and is given back.
 *
 * `again`, if it is not NULL, stands for the client's own tries: it is called when a call has
 * ended, and gives after how many milliseconds it is sent once more, or -1 when it is over. It
 * may change what goes in. */
struct http_feed {
    struct http_call *(*next)(void *arg);
    int (*done)(void *arg, struct http_call *);
    int64_t (*again)(void *arg, struct http_call *);
    void *arg;
};
int http_many(struct http_client *, unsigned parallel, const struct http_feed *) MUST_USE;

/* The value of header `name` (any case) in an answer; false when it has none. */
bool http_header(const struct http_call *, const char *name, struct bytes *out);
/* The Date of an answer in milliseconds since 1970; false when it has none, or comes out of a
 * cache on the way. */
bool http_date_ms(const struct http_call *, uint64_t *out);
/* The seconds of Retry-After; false when there is none, or it is a date. */
bool http_retry_after_ms(const struct http_call *, uint64_t *out);
void http_call_release(struct http_call *);

/* Appends `text` with everything but letters, digits and -._~ as %XX; '/' stays when `path`. */
void http_escape(struct buf *out, struct bytes text, bool path);

#endif
