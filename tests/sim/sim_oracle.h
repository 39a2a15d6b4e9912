/* The oracle: told of every effect at the store, it holds what happened against the plain
 * serial model and against what clients have asked and were told. What does not hold ends the
 * run under its name in DESIGN 10.
 *
 * It knows all and costs no virtual time: it reads the store in memory, with a repo of its own,
 * when something has just happened. */
#ifndef TESTS_SIM_SIM_ORACLE_H
#define TESTS_SIM_SIM_ORACLE_H

#include "formats/queue_object.h"
#include "pipeline/repo/repo.h"
#include "tests/sim/far_store.h"
#include "tests/sim/ledger.h"
#include "tests/sim/serial.h"

/* One answer of the chain, for good. */
struct known_answer {
    struct id16 session;
    struct id16 request;
    enum verdict verdict;
    bool closes;
    uint64_t position;
    struct hash tree;
    uint64_t *keys; /* that rollups know it by */
    size_t n_keys;
};

struct oracle_project {
    struct id16 id;
    bool open; /* it has a head */
    struct hash tip;
    uint64_t position;
    uint64_t hlc;
    struct serial serial;
    struct known_answer **answers; /* in the order of the chain */
    size_t n_answers;
    size_t cap_answers;
    uint64_t *ends; /* positions at which batches end, ascending */
    size_t n_ends;
    size_t cap_ends;
};

struct oracle {
    struct far_end *end;
    const struct profile *profile;
    struct ledger *ledger;
    struct repo repo;
    struct oracle_project projects[PROJECTS_MAX];
    unsigned n_projects;
    struct id_table answers; /* known_answer by session and request */
    struct id_table closed;  /* known_answer by session */
    struct id_table pending; /* struct pending by session and record */
    struct id_table uploads; /* struct upload_known by project and half of the hash */
};

/* The watch that the far end is opened with. */
struct effect_watch oracle_watch(struct oracle *);
void oracle_open(struct oracle *, struct far_end *, const struct profile *, struct ledger *);
/* A project is there from here on. */
void oracle_project_add(struct oracle *, const struct id16 *);

/* NULL: it has no answer. */
const struct known_answer *oracle_answer(const struct oracle *, const struct id16 *session,
                                         const struct id16 *request);
const struct known_answer *oracle_closed(const struct oracle *, const struct id16 *session);
/* Whether the record was durable at any time. */
bool oracle_was_durable(const struct oracle *, const struct id16 *session,
                        const struct id16 *record);
/* Whether the position lies inside a batch. */
bool oracle_inside(const struct oracle_project *, uint64_t position);

/* After the end, when nothing goes wrong any more and nobody has anything to do: all that was
 * accepted has its answer, all that is durable is there, log and chain say the same. */
void oracle_final(struct oracle *);

/* Asks the rollups that the repo sees for something that was answered: they must not say no. */
void oracle_ask_rollups(struct oracle *, struct repo *);

/* When it was put last, if ever. */
uint64_t oracle_upload_put_us(struct oracle *, const struct id16 *project, const struct hash *);
/* A client was told that its upload is there, which was put at that time: from then on it stays
 * for the grace time of a collector, and so does each of its chunks. */
void oracle_upload_told(struct oracle *, const struct id16 *project, const struct hash *,
                        uint64_t put_us);

/* The same of a leaf that somebody derives from: it stays for ever. */
void oracle_leaf_told(struct oracle *, const struct id16 *project, const struct hash *);

/* --- between its files --- */

void oracle_upload_put(struct oracle *, const char *key, struct bytes data);
void oracle_upload_named(struct oracle *, const struct id16 *project,
                         const struct id16 *session, const struct record *);
void oracle_upload_deleting(struct oracle *, const char *key, struct bytes old);
void oracle_tree_deleting(struct oracle *, const char *key);

/* A record that lies in the queue, or did. */
struct pending {
    unsigned copies; /* in queue objects, dead ones included */
    struct id16 owner;
    enum record_kind kind;
};

/* The head moved. */
void oracle_head(struct oracle *, struct oracle_project *, struct bytes bytes);
/* One answer of a batch whose answers before are known: checks it and takes it in. */
void oracle_answer_add(struct oracle *, struct oracle_project *, const struct landing *,
                       const struct hash *tree, uint64_t hlc);
/* What a landed session has against what its client asked for. */
void oracle_landed_check(struct oracle *, struct oracle_project *, const struct landing *);
void oracle_refused_check(struct oracle *, struct oracle_project *, const struct landing *,
                          const struct asked_request *);
/* What an operation of the asked session saw at `path`, at the base that it names. */
struct seen oracle_seen(const struct oracle_project *, const struct asked_session *,
                        uint64_t base, struct bytes path);
void oracle_queue_put(struct oracle *, const char *key, struct bytes data);
void oracle_queue_deleting(struct oracle *, const char *key, struct bytes data);
void oracle_session_put(struct oracle *, const struct id16 *project, struct bytes old,
                        struct bytes data);
void oracle_segment_put(struct oracle *, struct oracle_project *, struct bytes data);
void oracle_keys_keep(struct known_answer *, const struct landing *);
void oracle_rollup_put(struct oracle_project *, const char *key, struct bytes old,
                       struct bytes data);
void oracle_rollup_deleting(struct oracle *, struct oracle_project *, const char *key);
/* Every key of every answer is found by its position. */
void oracle_rollups_final(const struct oracle_project *, struct repo *);
struct oracle_project *oracle_project(struct oracle *, const struct id16 *);

#endif
