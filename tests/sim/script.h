/* Schedules that are played by hand: a calm world of two fronts, two drains and an append, a
 * script that says who does what, and gates that hold a process at a call. */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/sim.h"

/* Of a collector; none runs by itself. */
#define SCRIPT_GRACE_MS 1000u

struct script {
    struct sim sim;
    struct process *fronts[2];
    struct process *drains[2];
    struct process *append;
    struct client *ann; /* their tasks are the script's */
    struct client *ben;
};

/* Plays it in a world of its own, lets everything settle, and looks once more. */
void script_play(void (*play)(struct script *), struct verdict_of_seed *);

/* --- who does what --- */

/* A session of the client's that is not known to anybody yet. */
struct asked_session *script_session(struct script *, struct client *, uint64_t base,
                                     bool whole);
/* `seen` NULL: the front fills it in; "-": absent; else the text that was there. */
void script_write(struct script *, struct asked_session *, const char *path, const char *text,
                  const char *seen);
void script_delete(struct script *, struct asked_session *, const char *path, const char *seen);
void script_rebase(struct script *, struct asked_session *, uint64_t base);

/* A request to land these whole sessions, as a series. */
struct asked_request *script_series(struct script *, struct asked_session **, size_t n);
/* One to land, or abandon, an open session with the records that are durable now. */
struct asked_request *script_land(struct script *, struct asked_session *);
struct asked_request *script_abandon(struct script *, struct asked_session *);

/* Sends what the session has from `first` on, through that front, until it is durable. */
void script_send(struct script *, struct asked_session *, size_t first, struct process *front);
/* Asks through that front, and waits for the answer (or, `wait` false, until it is durable). */
void script_ask(struct script *, struct asked_request *, struct process *front, bool wait);
/* Lands a whole session that writes `path`, which held `seen`; NULL deletes it. */
void script_land_text(struct script *, struct client *, const char *path, const char *text,
                      const char *seen);

/* The answer must be this one. */
void script_expect(struct script *, const struct asked_request *, size_t session, enum verdict);
/* What lies at `path` at the head must be this text; NULL: nothing. */
void script_expect_text(struct script *, const char *path, const char *text);
uint64_t script_position(struct script *);
/* Until the queue is empty. */
void script_drained(struct script *);

/* --- who is held where --- */

struct gate {
    const struct process *process; /* NULL: any */
    bool lists;                    /* at a list */
    enum store_verb verb;          /* else at such a call */
    enum key_kind kind;
    char key[STORE_KEY_MAX + 1]; /* of this key only; empty: any of the kind */
    enum trouble trouble;        /* how the call goes wrong, when it is let through */
    bool again;                  /* it stays, and meets the next such call, too */
    bool open;                   /* nobody is held */
    unsigned reached;
};

/* A copy of it from here on; the script looks at it and opens it. */
struct gate *script_gate(struct script *, const struct gate *);
/* Until somebody is held there, or went through. */
void script_reached(struct script *, const struct gate *);

#endif
