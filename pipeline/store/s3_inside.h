/* What the files of the s3 store share: the store, and one request on its way. */
#ifndef PIPELINE_STORE_S3_INSIDE_H
#define PIPELINE_STORE_S3_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/store/s3.h"
#include "pipeline/store/s3_sign.h"
#include "pipeline/store/s3_xml.h"
#include "pipeline/sys/http_pool.h"
#include "pipeline/sys/log.h"

#define S3_KEY_MAX 1024u /* bytes of an object's name, prefix included */

struct s3_store {
    struct store store;
    struct arena strings; /* of all that is const below */
    const char *base;     /* scheme and host, as in http://127.0.0.1:7480 */
    const char *host;     /* with its port */
    const char *path;     /* before the key, escaped: "", "/bucket" */
    const char *prefix;   /* "", or ends with a slash */
    const char *region;
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
    enum s3_provider_id chosen; /* in the options */
    unsigned concurrency;
    unsigned tries;
    uint64_t timeout_ms;
    struct clock *clock;
    struct rng *rng;
    struct http_pool *pool;
    _Atomic bool bare_etag;
    _Atomic bool troubled; /* no request went well since the last that is in the log */
    pthread_mutex_t lock;  /* of all that follows */
    struct s3_day_key day_key;
    char day[9];         /* that of day_key; "" for none */
    uint64_t date_ms;    /* of the last answer; 0: none yet */
    uint64_t date_at_us; /* when it came, on our clocks */
    uint64_t wall_at_ms;
    char server[64]; /* the Server header of an answer */
    char why[S3_WHY_MAX];
    uint64_t said_at_us; /* when a log line was last written */
    uint64_t quiet_us;   /* how long after it no other is; 0: as long as at first */
    uint64_t left_out;   /* lines since then */
};

/* One request on its way. All zero is a new one; release at its end. */
struct s3_call {
    struct http_call http; /* first */
    struct s3_store *s3;
    enum s3_what what;
    struct store_op *op; /* NULL for a list */
    bool busy;           /* it has been handed to the client */
    unsigned sent;       /* how often */
    uint64_t begun_us;
    int err;
    const char *odd; /* what is wrong with an answer that is none, for people; or NULL */
    /* what is sent */
    struct buf key; /* the object's name in the bucket, or what names begin with, and a NUL */
    struct buf url;
    struct buf lines; /* the headers, a NUL behind each */
    char payload[HASH_HEX_LEN + 1];
    char range[64]; /* the value of Range; "" for none */
    /* get */
    bool by_head;   /* the size decides, so that is asked for */
    bool too_big;   /* more came than a get may give */
    size_t body_at; /* where the object's bytes begin in op->body */
    uint64_t got;   /* bytes that came */
    /* list */
    struct s3_param params[8];
    size_t n_params;
    struct arena *arena; /* of the page */
    struct s3_page page;
};

/* ---- s3.c ---- */

extern const struct store_calls s3_calls;

/* ---- s3_request.c ---- */

/* Makes the first request; `key` is the prefix for a list. What is not 0 ends the call before
 * it began. */
int s3_call_begin(struct s3_call *, struct s3_store *, enum s3_what, const char *key) MUST_USE;
/* Makes and signs the request as it is to be sent now. */
void s3_call_write(struct s3_call *);

/* ---- s3_call.c ---- */

/* There is an answer, or there will be none: gives after how many milliseconds the call is to
 * be sent again, and has made it anew for that; or -1, and call->err is what came of it. */
int64_t s3_call_end(struct s3_call *);
/* Runs one call that has begun; gives call->err. */
int s3_call_run(struct s3_call *) MUST_USE;
void s3_call_release(struct s3_call *);
/* Remembers what is wrong, and logs it, one line a second at most; what is `ordinary` for those
 * who debug only. `verb` and `name` say of what. */
void s3_say(struct s3_store *, bool ordinary, const char *verb, const char *name, int err,
            const char *what);
/* An answer's etag without its quotes; false when it has none that can be sent back. */
bool s3_etag_read(const struct http_call *, struct etag *out);
bool s3_etag_ok(const struct etag *);
/* The store's clock as its answers tell; 0 before the first, and when our own clocks have come
 * apart since, as they do while a machine sleeps: then the next answer tells. */
uint64_t s3_date_ms(struct s3_store *);

/* ---- s3_get.c ---- */

/* Chooses method and Range, and where the body goes. */
void s3_get_write(struct s3_call *);
/* What an answer of status 200, 206 or 416 is worth; fills in the op. ERR_AGAIN: another
 * request is wanted, which s3_get_write makes. */
int s3_get_check(struct s3_call *) MUST_USE;

/* ---- s3_list.c ---- */

int s3_list(struct store *, struct arena *, const char *prefix, const char *after, size_t max,
            struct store_list *out) MUST_USE;

#endif
