/* A client: it sends sessions and requests to fronts of its choice, tries again when nobody
 * knows what came of them, and holds every answer against what it knows. It never dies. */
#ifndef TESTS_SIM_SIM_CLIENT_H
#define TESTS_SIM_SIM_CLIENT_H

#include "tests/sim/ledger.h"
#include "tests/sim/sim_process.h"

#define CLIENT_OPEN_MAX 3u
#define CLIENT_OLD_MAX  128u

struct sim;

struct client {
    struct sim *sim;
    unsigned number;
    struct caller caller;            /* its hlc: the greatest that it has seen */
    uint64_t position[PROJECTS_MAX]; /* the greatest that it has been told of */
    unsigned keys;
    struct asked_session *open[CLIENT_OPEN_MAX];
    struct asked_request *old[CLIENT_OLD_MAX]; /* asked before; the newest take the place of the
                                                  oldest */
    unsigned n_old;
    struct task *task;
    bool ended;
};

void client_open(struct client *, struct sim *, unsigned number);
/* As its task: acts until the simulation is stopping. */
void client_life(void *client);

/* --- between its files --- */

struct arena *client_arena(void); /* never released */
struct process *client_front(struct client *);
/* It has seen such a stamp. */
void client_seen(struct client *, uint64_t hlc);
/* So long a client waits for an answer beyond what it asked for. */
uint64_t client_patience_us(uint64_t wait_ms);
/* A pause between two tries. */
void client_rest(struct client *, unsigned tries);

/* What a session is made of: puts operations and the like, `n` of them, behind what it has. All
 * bases are `base`. */
void make_session(struct client *, struct asked_session *, unsigned project, uint64_t base,
                  bool whole);
enum make_manner {
    MAKE_ALONE,  /* anything */
    MAKE_SERIES, /* a rename says which content it means */
    MAKE_PLAIN,  /* plain writes: an import */
};
void make_records(struct client *, struct asked_session *, uint64_t base, unsigned n,
                  enum make_manner);
/* What the session makes of paths, for those behind it in a series. */
void make_over(const struct asked_session *, struct asked_session *next);
/* The id of a record of an open session. */
void make_id(struct asked_session *, struct asked_record *, unsigned number);
struct bytes make_key(unsigned number);

/* Asks until there is an answer, or it gives up. */
void client_ask(struct client *, struct asked_request *);
/* Asks an old request again. */
void client_ask_again(struct client *);
void client_land_whole(struct client *);
void client_session_act(struct client *);
void client_read(struct client *);
/* A text that many write. */
struct bytes client_common(void);
/* Uploads the text through any front, and says what an operation names it by. False when that
 * did not come about. */
bool client_upload(struct client *, unsigned project, struct bytes text, struct content *out);
/* Uploads something that many do, and does nothing with it. */
void client_hoard(struct client *);
/* Content of a chunk or several, which is there if all went well. */
struct content client_upload_large(struct client *, unsigned project);
void client_read_session(struct client *, struct asked_session *);
/* Asks whether the session would land. */
void client_preflight(struct client *, struct asked_session *);
void client_read_head(struct client *, unsigned project);
void client_strange(struct client *);
/* Puts something to a node, or asks one. */
void client_derive(struct client *);

/* The answers that a front gives: held against the chain as it is at this moment. */
struct land_told {
    int err;
    const char *code;
    bool pending;
    uint64_t hlc;
};
void client_land_told(struct client *, struct asked_request *, const struct land_result *,
                      struct land_told *out);

/* One read of the session through that front, held against what is known of it. */
void client_read_through(struct client *, struct asked_session *, struct process *front);
/* One try through that front. False when no answer came back. */
bool client_try_land(struct client *, struct asked_request *, struct process *front,
                     uint64_t wait_ms, struct land_told *out);
/* One try at sending the records from `first` on (0: the start). 0 when they are durable,
 * ERR_AGAIN when they may be tried again, ERR_UNKNOWN when nobody knows, else what the front
 * says. */
int client_try_write(struct client *, struct asked_session *, size_t first, size_t n,
                     struct process *front);

#endif
