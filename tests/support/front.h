/* A front over a forge in memory, for tests of the service: requests put together by hand, and
 * what came of them kept. No threads: front_settle runs service and drain until nothing
 * moves. */
#ifndef TESTS_SUPPORT_FRONT_H
#define TESTS_SUPPORT_FRONT_H

#include "api/service/service.h"
#include "tests/support/forge.h"

struct front {
    struct forge *forge;
    struct service *service;
    struct id16 project;
};

void front_open(struct front *, struct forge *);
/* The same with a place where recipes and trees are found. */
void front_open_refs(struct front *, struct forge *, const struct refs_source *);
void front_close(struct front *);
/* Service and drain, until neither has anything to do. */
void front_settle(struct front *);

/* --- requests --- */

/* A session as a client sends it, in the forge's arena. */
struct asked {
    struct front *front;
    struct session session;
    size_t cap;
};

struct asked asked_open(struct front *, const char *key, uint64_t base);
struct record *asked_add(struct asked *, struct record);
/* Without seen; text NULL deletes. */
void asked_write(struct asked *, const char *path, const char *text);
void asked_delete(struct asked *, const char *path);
/* Without seen, and without content. */
void asked_rename(struct asked *, const char *path, const char *target);
void asked_guard(struct asked *, const char *path);

struct record record_write_of(struct front *, const char *path, const char *text,
                              uint64_t base);
struct caller caller_of(const char *author);

/* --- what came of them --- */

#define REPLY_SESSIONS_MAX 16u

struct reply {
    int err; /* refused at once, or what the callback said */
    struct problem problem;
    unsigned calls; /* of the callback */
    bool pending;
    struct id16 request;
    size_t n;
    struct id16 sessions[REPLY_SESSIONS_MAX];
    enum verdict verdicts[REPLY_SESSIONS_MAX];
    uint64_t positions[REPLY_SESSIONS_MAX];
    uint32_t conflicts[REPLY_SESSIONS_MAX];
    char reasons[REPLY_SESSIONS_MAX][32];
    struct id16 records[REPLY_SESSIONS_MAX]; /* of a write */
};

void reply_landed(void *arg, const struct land_result *);
void reply_written(void *arg, const struct written *);

/* Sends the sessions as one request of `author`; nothing runs yet. */
void front_land(struct front *, const char *author, struct asked *, size_t n, uint64_t wait_ms,
                struct reply *);
/* The same, and lets everything settle. */
struct reply front_landed(struct front *, const char *author, struct asked *, size_t n);
/* The code of the problem that the request is refused with; the running test fails when it is
 * not. */
const char *front_refused(struct front *, struct asked *, size_t n);

/* Asks whether they would land, as a series of one caller. Gives the code of the problem that
 * the question is refused with, or NULL. Unless `keyed` they go without their keys. */
const char *front_preflight(struct front *, const struct asked *, size_t n, bool keyed,
                            struct preflight *out);
struct preflight front_session_preflight(struct front *, const struct id16 *sid);

struct reply front_start(struct front *, const char *author, const char *key, uint64_t base);
struct reply front_write(struct front *, const char *author, const struct id16 *sid,
                         struct record *, size_t n);
struct reply front_session_land(struct front *, const char *author, const struct id16 *sid,
                                const struct hash *records);

#endif
