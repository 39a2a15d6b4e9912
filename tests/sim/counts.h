/* What was met in a run, counted over all its seeds: a simulator that never met a fault has
 * proved nothing about it. */
#ifndef TESTS_SIM_COUNTS_H
#define TESTS_SIM_COUNTS_H

#include <stdarg.h>
#include <stdio.h>

#include "formats/base/types.h"

#define COUNTS(X)                                                    \
    X(CALL_GET, "calls: get")                                        \
    X(CALL_PUT, "calls: put")                                        \
    X(CALL_DELETE, "calls: delete")                                  \
    X(CALL_LIST, "calls: list")                                      \
    X(AGAIN_GET, "again: get")                                       \
    X(AGAIN_PUT, "again: put")                                       \
    X(AGAIN_DELETE, "again: delete")                                 \
    X(AGAIN_LIST, "again: list")                                     \
    X(DONE_PUT, "unknown, it happened: put")                         \
    X(DONE_DELETE, "unknown, it happened: delete")                   \
    X(LOST_PUT, "unknown, it never happened: put")                   \
    X(LOST_DELETE, "unknown, it never happened: delete")             \
    X(LATE_PUT, "unknown, it happened late: put")                    \
    X(LATE_DELETE, "unknown, it happened late: delete")              \
    X(LATE_HEAD, "a head put that happened late, and counted")       \
    X(TWICE_PUT, "made twice on the way: put")                       \
    X(TWICE_HEAD, "one's own head put told as conflict")             \
    X(SLOW, "a call that took seconds")                              \
    X(OUTAGE, "a store that is out for seconds")                     \
    X(EARLY_PUT, "a put that came too early for its key")            \
    X(RESTED, "a round of a drain that left a head to rest")         \
    X(STALE_LIST, "a list that was behind")                          \
    X(HELD, "a process stopped for longer than a minute")            \
    X(CLOCK_OFF, "a clock more than 30 s off")                       \
    X(CLOCK_STEP, "a clock that went back")                          \
    X(CRASH_FRONT, "crash: a front")                                 \
    X(CRASH_DRAIN, "crash: a drain")                                 \
    X(CRASH_APPEND, "crash: an append")                              \
    X(CRASH_ROLLUP, "crash: a rollup")                               \
    X(CRASH_PACK, "crash: a pack")                                   \
    X(CRASH_COLLECT, "crash: a collector")                           \
    X(CRASH_NODE, "crash: a node that derives")                      \
    X(CRASH_ON_WAY, "crash: with a write under way that came later") \
    X(CRASH_QUEUE_PUT, "crash after: a queue put")                   \
    X(CRASH_TREE_PUT, "crash after: a tree object put")              \
    X(CRASH_HEAD_PUT, "crash after: a head put")                     \
    X(CRASH_SESSION_PUT, "crash after: a session put")               \
    X(CRASH_LOG_PUT, "crash after: a log segment put")               \
    X(CRASH_ROLLUP_PUT, "crash after: a rollup put")                 \
    X(CRASH_DERIVE_PUT, "crash after: a derive object put")          \
    X(CRASH_MERGE_PUT, "crash after: a segment of a derive log put") \
    X(CRASH_DELETE, "crash after: a delete")                         \
    X(CRASH_BETWEEN, "crash between two calls")                      \
    X(STOP_FRONT, "a front ended in order")                          \
    X(STOP_DRAIN, "a drain ended in order")                          \
    X(STOP_NODE, "a node ended in order")                            \
    X(KILLED_ANSWERED, "a node killed right after its answer")       \
    X(INDEX_LOST, "a node that came back without its index")         \
    X(INDEX_KEPT, "and with it, as it was")                          \
    X(INDEX_DAMAGED, "and with one that is damaged")                 \
    X(HEAD_CONFLICT, "a head put that lost its race")                \
    X(QUEUE_MERGED, "waiting records put together again")            \
    X(COLLECTED, "a run that deleted something")                     \
    X(COLLECT_RESUMED, "a dead collector's run, ended by another")   \
    X(COLLECT_COOLING, "a run whose deletes were in doubt")          \
    X(PACKED, "a tree that was packed")                              \
    X(PACKED_AGAIN, "and again, for others had put the head")        \
    X(SEGMENT_SMALL, "a log segment of 100")                         \
    X(SEGMENT_LARGE, "a log segment of 1,000")                       \
    X(ROLLUP, "a rollup of 100")                                     \
    X(ROLLUP_LONGER, "a rollup of several hundred")                  \
    X(ROLLUP_REPLACED, "a rollup that a longer one has replaced")    \
    X(ROLLUP_ASKED, "rollups asked over a line")                     \
    X(FOLDED, "an open session folded")                              \
    X(RETIRED, "a session object retired")                           \
    X(LANDED, "landed")                                              \
    X(CONFLICTED, "conflicted")                                      \
    X(REFUSED, "refused")                                            \
    X(NOT_TRIED, "not tried")                                        \
    X(ABANDONED, "abandoned")                                        \
    X(BATCH_SHARED, "a batch with answers to several requests")      \
    X(BASE_INSIDE, "a base inside a batch")                          \
    X(BASE_OLD, "a base far below the head")                         \
    X(GUARD_DIRECTORY, "a guard on a directory that held")           \
    X(SEEN_FILLED, "seen filled in by a front")                      \
    X(RECORD_LATE, "a record of a session that was answered before") \
    X(RETRY_ELSEWHERE, "a retry through another front")              \
    X(RETRY_ANSWERED, "a request asked again after its answer")      \
    X(GIVEN_UP, "a request given up after it was not taken")         \
    X(ANSWER_LOST, "an answer that was lost on its way")             \
    X(PENDING, "told: durable, not decided yet")                     \
    X(TOLD_AGAIN, "told: it did not happen")                         \
    X(TOLD_UNKNOWN, "told: it may have happened")                    \
    X(READ_BACK, "one's writes read through any front")              \
    X(LOOKED, "a path read at a position")                           \
    X(FORETOLD, "told beforehand: it would land")                    \
    X(FORETOLD_CONFLICT, "told beforehand: it would conflict")       \
    X(UPLOADED, "content uploaded by itself")                        \
    X(UPLOADED_CHUNKS, "content uploaded in chunks")                 \
    X(UPLOAD_HELD, "an upload held up by a collection")              \
    X(UPLOAD_OVERLAP, "a chunk that was there for another content")  \
    X(LANDED_CHUNKS, "landed: content in chunks")                    \
    X(DERIVE_PUT, "put to be derived from, or as a memo")            \
    X(DERIVE_UPLOADED, "a leaf that was uploaded")                   \
    X(DERIVE_HELD, "a leaf held up by a collection")                 \
    X(DERIVE_AGAIN, "told of derivation: it did not happen")         \
    X(DERIVE_UNKNOWN, "told of derivation: it may have happened")    \
    X(DERIVE_SHARED, "a derive object with what several have put")   \
    X(DERIVE_LATE, "a derive object that came back when merged")     \
    X(DERIVE_MERGED, "a segment of a derive log")                    \
    X(DERIVE_FOUND, "a recipe or leaf found through any node")       \
    X(DERIVE_FOUND_DEAD, "found, and who answered for it is dead")   \
    X(DERIVE_ABSENT, "not found, for it was never put")              \
    X(DERIVE_READ, "a leaf read out of its object")                  \
    X(DERIVE_READ_MERGED, "a leaf read out of a segment")            \
    X(DERIVE_MEMO, "a memo, the first of its key")                   \
    X(DERIVE_QUARANTINED, "a function that gave two results")        \
    X(DERIVE_UNPINNED, "a pin that was taken away")                  \
    X(DERIVE_RAN, "a result that was computed")                      \
    X(DERIVE_KNOWN, "a result that was known")                       \
    X(DERIVE_MISSING, "a result whose input is missing")             \
    X(FOREIGN, "a stranger's records in a session")                  \
    X(LOCK_TAKEN, "a lock that was taken by another task")

enum count {
#define X(name, text) COUNT_##name,
    COUNTS(X)
#undef X
        COUNT_KINDS,
};

struct counts {
    uint64_t n[COUNT_KINDS];
};

void count(enum count);
/* Where the counts of this process go from here on. */
void counts_to(struct counts *);
const char *count_text(enum count);
void counts_print(FILE *, const struct counts *);

/* How a seed went; in memory that who forked the process sees. */
struct verdict_of_seed {
    uint64_t seed;
    bool ended;       /* it came to its end */
    char broken[32];  /* the name of what did not hold; empty: all did */
    char detail[320]; /* where and how */
    uint64_t calls;
    uint64_t steps;
    uint64_t digest;
    uint64_t virtual_ms;
};

void verdict_to(struct verdict_of_seed *);
/* Something that must always hold does not: says so, and ends the process. */
void broken(const char *name, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* Whether what happens is told on standard output. */
void trace_on(void);
bool trace_wanted(void);
void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
