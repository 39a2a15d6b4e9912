/* The service: every operation of the forge once, for whatever front encodes it. It checks,
 * reads through pipeline/repo, and writes through the intake queue; it never lands anything
 * itself.
 *
 * Calls come from any thread. Reads answer at once. Writes answer through a callback, from
 * another thread, when they are durable (or, with a wait, decided); so no thread sleeps for a
 * client. */
#ifndef API_SERVICE_SERVICE_H
#define API_SERVICE_SERVICE_H

#include "formats/landing.h"
#include "pipeline/derive/refs/refs_snapshot.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/intake/intake.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/repo.h"
#include "pipeline/repo/tree/snapshot.h"
#include "pipeline/store/pulse.h"

struct service;

struct service_options {
    struct intake_options
        intake; /* its hint is the caller's: it wakes a drain in this process */
    uint64_t wait_max_ms;
    uint64_t poll_ms; /* how often the heads that somebody waits for are read */
    uint64_t waiters_max;
    struct refs_source refs; /* where recipes and trees are found that refs are bound to */
    struct derive *derive;   /* the caller's, open and started; NULL: nothing is derived here */
    struct store *pulse; /* a layer of pulse.h under the repo's store; NULL: the store is taken
                            to be well */
};

int service_open(struct repo *, const struct service_options *, struct service **out) MUST_USE;
/* Starts and stops the threads of intake and waiters; stop settles or fails all that waits. The
 * simulator does not start them and calls service_step. */
void service_start(struct service *);
void service_stop(struct service *);
void service_close(struct service *);
/* One round of intake and of waiters, without threads. */
int service_step(struct service *) MUST_USE;
struct repo *service_repo(struct service *);
/* A project's head has moved to `head`: for a drain in the same process, which has put it.
 * Saves reading it; never needed for correctness. */
void service_landed(struct service *, const struct id16 *project, const struct head *head);

/* Who asks. */
struct caller {
    struct bytes author; /* 1 to AUTHOR_LEN_MAX bytes of UTF-8 */
    struct id16 owner;   /* owner_of(author) */
    uint64_t hlc;        /* the greatest that the client has seen; 0 when it says none */
    uint64_t asked_us;   /* when, by the monotonic clock; 0: now */
};

/* Why not: a code that a program can decide on, a sentence for people, and the offending field,
 * if it is one. */
struct problem {
    int err;          /* enum err */
    const char *code; /* stable: "not_found", "invalid", "queue_full", "project_damaged",
                         "hlc_ahead", "base_ahead", … */
    char message[320];
    char field[96]; /* empty: none */
};
/* Fills in a problem; gives err. */
int problem_set(struct problem *, int err, const char *code, const char *field, const char *fmt,
                ...) __attribute__((format(printf, 5, 6)));

/* Every write starts with this: refuses a client's hlc that is too far ahead (ERR_INVALID
 * hlc_ahead), and all writes while our clock is off (ERR_AGAIN clock_off). */
int service_admit(struct service *, const struct caller *, struct problem *) MUST_USE;

/* --- projects --- */
int service_project_create(struct service *, const struct caller *, struct bytes handle,
                           struct id16 *out, struct problem *) MUST_USE;
int service_project_find(struct service *, struct bytes name, struct id16 *out,
                         struct problem *) MUST_USE;

/* --- writes to sessions ---
 * Operations and guards come with their base, and without `seen` where the client did not say;
 * the service fills it in from the tree at that base, never from the session's own writes.
 *
 * What an operation may leave out besides: a content of CARRIER_SOURCE with an all-zero hash
 * keeps what the path has at the base (or by the session itself): a rename keeps all of it, a
 * write the bytes, with its own mode. Of CARRIER_BLOB and CARRIER_MANIFEST only kind, mode and
 * hash count.
 *
 * Problems, all ERR_INVALID unless said: base_ahead, path_invalid, field_invalid,
 * field_too_large, path_absent, path_is_directory, path_clash, blob_missing, content_too_large,
 * content_mismatch, content_invalid, guard_seen_missing, kind_invalid; not_found
 * (ERR_NOT_FOUND), not_owner (ERR_DENIED), session_closed and records_differ (ERR_CONFLICT),
 * session_full, series_too_long and request_too_large (ERR_LIMIT), queue_full, too_many_waiters
 * and clock_off (ERR_AGAIN), project_damaged (ERR_CORRUPT), again (ERR_AGAIN), unknown
 * (ERR_UNKNOWN: try again with the same key). */

struct written {
    int err;                /* 0: durable */
    struct problem problem; /* when err */
    struct id16 session;
    struct id16 *records; /* ids in the order given; valid during the callback */
    size_t n;
    uint64_t hlc;
};
typedef void (*written_fn)(void *arg, const struct written *);

struct session_start {
    struct bytes key; /* the client's own, for retries; empty: a random one */
    /* UINT64_MAX: the head's position now; then a retry may be another session. */
    uint64_t base;
    struct bytes goal;
    struct attribute *attributes;
    uint32_t n_attributes;
};
/* ERR at once (problem filled in, the callback is not called), or 0 and the callback later. */
int service_session_start(struct service *, const struct caller *, const struct id16 *project,
                          const struct session_start *, written_fn, void *arg,
                          struct problem *) MUST_USE;

/* Adds records (any kind but START and LAND) to a session of the caller's. `keys` are the
 * client's own, one a record; empty: a random one. Their bases: UINT64_MAX means the base in
 * the session as it is read now. Answered sessions and foreign ones are refused (ERR_CONFLICT
 * session_closed, ERR_DENIED not_owner). */
int service_session_write(struct service *, const struct caller *, const struct id16 *project,
                          const struct id16 *sid, struct record *records,
                          const struct bytes *keys, size_t n, written_fn, void *arg,
                          struct problem *) MUST_USE;

/* --- landing --- */
struct land_result {
    int err; /* 0: `landings` has an answer for each session, or `pending` */
    struct problem problem;
    bool pending; /* durable, not decided within the wait */
    struct id16 request;
    /* In the order of the sessions; valid during the callback. Without their sessions and hlcs
     * (0), which are with the records in the chain. */
    struct landing *landings;
    struct id16 *sessions;
    size_t n;
    uint64_t hlc;
};
typedef void (*landed_fn)(void *arg, const struct land_result *);

/* Asks for an open session to land: exactly the records whose ids hash to `records`
 * (records_differ when the session has others by now), or, when that is NULL, those that the
 * front reads now (project_damaged while a part of the queue cannot be read). `key` is the
 * client's own for the request; empty: the hash of the records, so that a plain retry is the
 * same request. wait_ms 0: answered `pending` when durable. */
int service_session_land(struct service *, const struct caller *, const struct id16 *project,
                         const struct id16 *sid, const struct hash *records, struct bytes key,
                         uint64_t wait_ms, landed_fn, void *arg, struct problem *) MUST_USE;
int service_session_abandon(struct service *, const struct caller *, const struct id16 *project,
                            const struct id16 *sid, struct bytes reason, uint64_t wait_ms,
                            landed_fn, void *arg, struct problem *) MUST_USE;

/* Lands whole sessions in one request: a series, in that order. Each session has its START
 * record and its other records, in the order meant (array order counts; ids and hlcs are given
 * here, the author is the caller's). A START's base of UINT64_MAX is the head's position now,
 * an operation's that of its START. A key that is empty is drawn at random: such a request, and
 * one whose base is left to the front, cannot be retried safely. What is missing of `seen` in a
 * series is what its earlier sessions leave over the base. The arena and what the records point
 * to must live until the callback. */
int service_land(struct service *, const struct caller *, const struct id16 *project,
                 struct session *sessions, size_t n, struct arena *, uint64_t wait_ms,
                 landed_fn, void *arg, struct problem *) MUST_USE;

/* --- would it land? --- */

/* So many conflicts come with the landings that led to them, and each with so many of these. */
#define PREFLIGHT_NAMED_MAX    32u
#define PREFLIGHT_LANDINGS_MAX 8u

struct preflight_landing {
    uint64_t position;
    struct id16 session;
    struct bytes author;
    struct bytes goal;
    uint64_t hlc;
};
/* What led to one conflict: the landings that touched its path after the base at which it was
 * seen, newest first. */
struct preflight_cause {
    uint64_t base;
    struct preflight_landing *landings;
    size_t n;
    bool more; /* there are others, or they were not looked for */
};
struct preflight_result {
    bool has_session; /* not where a front has drawn its key */
    struct id16 session;
    bool answered; /* it has its answer, for good: `landing` */
    /* LANDED: it would land. Only the verdict, its reasons and the conflicts are filled in. */
    struct landing landing;
    struct preflight_cause *causes; /* landing.n_listed, unless it is answered */
};
struct preflight {
    struct head head; /* at which this was decided */
    struct preflight_result *results;
    size_t n;
};

/* What landing an open session now comes to, with all that it has now. It is decided against
 * the tree of the head by what the landing stage decides by, so it says that a session would
 * land only where landing it at this head would. (Not what the filters say, alone: that a path
 * was not touched since a base means that it is as it was there, and a client may say that it
 * has seen something else.) The reads that it costs do not depend on how far back the bases
 * are. Everything it gives lies in the arena. Anyone who may read the session may ask. */
int service_session_preflight(struct service *, const struct id16 *project,
                              const struct id16 *sid, struct arena *, struct preflight *out,
                              struct problem *) MUST_USE;
/* The same for whole sessions, as service_land gets them: a series is decided in its order, up
 * to the first that would not land. The caller need not have an author. A content that is to be
 * brought only when it lands is named, with the carrier TREE_RAW; what is named as uploaded
 * must be there. */
int service_preflight(struct service *, const struct caller *, const struct id16 *project,
                      struct session *sessions, size_t n, struct arena *, struct preflight *out,
                      struct problem *) MUST_USE;

/* --- reads --- */
struct head_info {
    struct head head;
    struct hash content; /* content hash of the tree */
    uint64_t files;
    uint64_t bytes;
};
int service_head(struct service *, const struct id16 *project, struct head_info *,
                 struct problem *) MUST_USE;

/* Everything else that is read is read through pipeline/repo directly (snapshot, content,
 * landlog, pending, blobs); this turns its errors into problems: what was read goes into the
 * sentence. */
int service_problem(struct problem *, int err, const char *what);

/* Numbers for /metrics and /health. */
struct service_stats {
    uint64_t sessions_landed, sessions_conflicted,
        sessions_refused; /* answers given to waiters here */
    uint64_t groups_accepted, groups_refused;
    uint64_t waiters;
    size_t intake_bytes;
    uint64_t intake_window_us; /* how long the intake gathers writes, or leaves the store alone
                                */
    bool store_ok;             /* it answers, as far as was heard lately */
};
void service_stats(struct service *, struct service_stats *);

/* Whether the store is away (pulse.h), so that there is no use in asking it anything: a thread
 * looks when it is back. Asks nothing itself. */
bool service_store_away(struct service *);
/* After how many seconds somebody who is turned away now had better come again: follows how
 * long the store has been away, or what it takes to put what waits. */
uint64_t service_retry_s(struct service *);
/* The part of it that is for a store that has been away for so long. */
static inline uint64_t away_retry_s(uint64_t away_us)
{
    uint64_t seconds = 1 + away_us / 4000000;
    return seconds < 10 ? seconds : 10;
}
/* How long what waits for the next step's puts is to wait for more; 0: no longer. */
uint64_t service_wait_us(struct service *);

#endif
