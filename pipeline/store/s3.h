/* A store that is a bucket of S3, or what begins with a prefix in one: AWS, Ceph, MinIO, R2 and
 * others. Any number of processes may use one bucket at once.
 *
 * An object of the store is one object of the bucket, put whole by one PUT; a condition is an
 * If-None-Match or If-Match header of that PUT, signed with it. An etag is the server's,
 * without its quotes. Objects of the bucket whose names are no keys of a store are not listed.
 *
 * A request is sent once more, with jitter and a few times at most, only where nothing
 * happened: no connection stood, or the server said that it did nothing (429, 503, 409); what
 * only reads also where anything else went wrong. A put or delete whose outcome is not known is
 * ERR_UNKNOWN, and what the server meanwhile makes of it nobody stops. A lost race may be
 * ERR_UNKNOWN, too (Ceph says 500), and so may a race that was won.
 *
 * A bucket that was never tried may keep none of this: probe.h tries. Bodies are hashed and the
 * hash is signed, so what is damaged on its way is refused. No secret is ever part of a log
 * line or a sentence. */
#ifndef PIPELINE_STORE_S3_H
#define PIPELINE_STORE_S3_H

#include "pipeline/store/s3_provider.h"
#include "pipeline/store/store.h"
#include "pipeline/sys/clock.h"
#include "pipeline/sys/rng.h"

#define S3_WHY_MAX 400u

enum s3_addressing {
    S3_ADDRESS_AUTO,    /* virtual on AWS where the bucket's name allows it, else path */
    S3_ADDRESS_PATH,    /* https://endpoint/bucket/key */
    S3_ADDRESS_VIRTUAL, /* https://bucket.endpoint/key */
};

/* NULL counts as "". Nothing needs to stay. */
struct s3_options {
    const char *bucket;
    const char *prefix;   /* every key gets it and a slash before it; "" for none */
    const char *endpoint; /* such as http://127.0.0.1:7480; "" for AWS in `region` */
    const char *region;
    enum s3_addressing addressing;
    enum s3_provider_id provider;
    const char *ca_file; /* certificates to trust instead of the system's; "" for these */
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* "" for none */
    unsigned concurrency;      /* requests of one `many` at a time; 0: 32 */
    unsigned tries;            /* how often one request is sent at most; 0: 4 */
    uint64_t connect_ms;       /* a connection must stand after this; 0: 3 s */
    uint64_t stall_ms;         /* one that moves nothing for so long is given up; 0: 20 s */
    uint64_t timeout_ms;       /* one request; 0: 5 minutes */
    struct clock *clock;
    struct rng *rng; /* any thread */
};

/* s3://BUCKET or s3://BUCKET/PREFIX; the strings are in `arena`. ERR_INVALID for anything
 * else. */
int s3_place_parse(const char *text, struct arena *arena, const char **bucket,
                   const char **prefix) MUST_USE;

/* Asks nothing of the server. ERR_INVALID, with a sentence in `why`, when the options make no
 * sense. */
int s3_store_open(const struct s3_options *, struct store **out, char why[S3_WHY_MAX]) MUST_USE;

/* Who serves the bucket, as far as it is known. */
const struct s3_provider *s3_store_provider(struct store *);
/* Whether that is to be found out, and so whether the probe may try both forms of If-Match. */
bool s3_store_is_auto(struct store *);
/* From now on If-Match is sent with a bare etag, or with a quoted one. */
void s3_store_use_bare_etag(struct store *, bool bare);

/* What went wrong last, in a sentence for people; "" when nothing has. */
void s3_store_why(struct store *, char why[S3_WHY_MAX]);

#endif
