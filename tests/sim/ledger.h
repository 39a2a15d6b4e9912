/* What clients have asked for, and what the chain has answered: kept on the side, by the
 * simulator itself, in the plainest way. */
#ifndef TESTS_SIM_LEDGER_H
#define TESTS_SIM_LEDGER_H

#include "formats/landing.h"
#include "tests/sim/id_table.h"

#define PROJECTS_MAX 4u

struct asked_request;

/* One record as its client sends it, again and again if it must. */
struct asked_record {
    struct record sent; /* with its id once the base is known */
    uint64_t floor;     /* the greatest stamp that the client had seen when it sent it first */
    bool durable;       /* it was told so */
    bool maybe;         /* it was sent, and nobody told what became of it */
    bool never;         /* it was told that it did not happen, and gave it up */
};

struct asked_session {
    struct id16 id; /* zero while the front chooses the base */
    unsigned project;
    struct bytes author;
    struct id16 owner;
    struct bytes key;
    uint64_t base; /* UINT64_MAX: the front chooses it */
    bool whole;
    struct asked_request *request; /* whole: that brings it */
    struct asked_record *records;  /* the first is the start */
    size_t n;
    size_t cap;
    /* Whole: what earlier sessions of the series make of paths; n_over of them. */
    struct over {
        struct bytes path;
        struct seen seen;
    } * over;
    size_t n_over;
};

struct asked_request {
    struct id16 id; /* zero: not known yet */
    unsigned project;
    struct id16 owner;
    struct asked_session **sessions;
    size_t n;
    bool abandon;
    bool exact;       /* of an open session: it lands the records `ids` */
    bool loose;       /* it lands what a front reads: each try may be another request */
    struct id16 *ids; /* sorted */
    size_t n_ids;
    uint64_t floor;
    bool maybe;    /* it was sent, and may have been taken */
    bool accepted; /* it was told that it is durable, or answered */
    bool never;    /* it was told that it did not happen, and gave it up */
    bool answered; /* it was told the answer */
};

struct ledger {
    struct id16 projects[PROJECTS_MAX]; /* their ids */
    struct id_table sessions;           /* by id */
    struct asked_session **all;
    size_t n;
    size_t cap;
    struct asked_request **requests;
    size_t n_requests;
    size_t cap_requests;
};

struct asked_session *ledger_session_add(struct ledger *, const struct asked_session *);
struct asked_request *ledger_request_add(struct ledger *, const struct asked_request *);
/* The base is known now, and with it all ids. */
void asked_session_settle(struct ledger *, struct asked_session *, uint64_t base);
/* Adds a record to it; it stays where it is until the next. */
struct asked_record *asked_record_add(struct asked_session *, const struct record *);

/* What a request about an open session is called: to land exactly the records that its client
 * was told to be durable, or to abandon it. True when there may be other records. */
bool asked_request_exact(struct asked_request *, const struct asked_session *, struct arena *);
void asked_request_abandon(struct asked_request *, const struct asked_session *,
                           const char *reason);

/* Who asked for the session; one whose base a front chose is found by its key. NULL. */
struct asked_session *ledger_session(struct ledger *, unsigned project,
                                     const struct id16 *session);
struct asked_record *ledger_record(const struct asked_session *, const struct id16 *record);
/* NULL: nobody's that we know of. */
struct asked_request *ledger_request(struct ledger *, const struct asked_session *,
                                     const struct id16 *request);

#endif
