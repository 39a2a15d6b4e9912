/* A store over a scripted server: what the s3 store makes of odd answers. */
#ifndef TESTS_SUPPORT_S3_SCRIPT_H
#define TESTS_SUPPORT_S3_SCRIPT_H

#include "pipeline/store/s3.h"
#include "tests/support/scripted.h"

#define S3_SCRIPT_TRIES 3u

struct s3_script {
    struct script *script;
    struct store *store;
    struct clock clock; /* the machine's, and so much ahead: */
    uint64_t leap_us;
    uint64_t
        slept_ms; /* the wall clock alone: what a machine sleeps, the other does not count */
};

#define AUTO_S3_SCRIPT AUTO(s3_script_release) struct s3_script

/* The bucket `bucket` with the prefix `pre`, of access key AKID, secret key SECRET+/KEY and
 * session token TOKEN. Must not move. */
void s3_script_open(struct s3_script *, const struct script_step *steps, size_t n);
void s3_script_open_answering(struct s3_script *,
                              void (*answer)(void *arg, const char *request,
                                             struct script_step *out),
                              void *arg);
struct s3_options s3_script_options(struct s3_script *);
void s3_script_release(struct s3_script *);

/* Whether request `i` has a header line, or begins with a request line, of exactly this text.
 */
void s3_script_expect_line(struct s3_script *, unsigned i, const char *line);
void s3_script_expect_no_header(struct s3_script *, unsigned i, const char *name);

#define ERROR_BODY(code) \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>No.</Message></Error>"
#define ETAG(e) "ETag: \"" e "\"\r\n"

#endif
