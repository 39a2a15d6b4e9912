/* Open sessions: started, written to through one front and another, rebased, landed, abandoned,
 * and written to once more when they are closed. */
#include <stdlib.h>

#include "api/service/parts.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "tests/sim/sim.h"

#define TRIES_CALM_MAX 100u

struct write_call {
    struct call call; /* first */
    struct client *client;
    struct asked_session *session;
    struct asked_record **records;
    size_t n;
    size_t first; /* number of the first */
    int err;
    const char *code;
    uint64_t hlc;
};

static void written(void *arg, const struct written *result)
{
    struct write_call *wc = arg;
    struct asked_session *s = wc->session;
    wc->err = result->err;
    wc->code = result->err == OK ? "" : result->problem.code;
    wc->hlc = result->hlc;
    if (result->err == OK && (result->n != wc->n || !id16_equal(&result->session, &s->id)))
        broken("serial", "a write is answered about another session");
    for (size_t i = 0; i < wc->n && result->err == OK; i++) {
        struct asked_record *record = &s->records[wc->first + i];
        if (!id16_equal(&result->records[i], &record->sent.id))
            broken("once", "session %s: a record has got another id", id16_hex(&s->id).s);
        if (!oracle_was_durable(&wc->client->sim->oracle, &s->id, &record->sent.id))
            broken("durable", "session %s: a record is told to be durable, and is not",
                   id16_hex(&s->id).s);
        record->durable = true;
    }
    call_done(&wc->call);
}

static void write_run(struct call *call, struct process *front)
{
    struct write_call *wc = (struct write_call *)call;
    struct asked_session *s = wc->session;
    const struct id16 *project = &wc->client->sim->oracle.projects[s->project].id;
    struct problem problem = {0};
    int err;
    if (wc->first == 0) {
        const struct record_start *start = &s->records[0].sent.start;
        const struct session_start asked = {
            .key = start->key, .base = start->base, .goal = start->goal};
        err = service_session_start(front->service, &wc->client->caller, project, &asked,
                                    written, wc, &problem);
    } else {
        struct arena *arena = client_arena();
        struct record *records = arena_array(arena, wc->n, struct record);
        struct bytes *keys = arena_array(arena, wc->n, struct bytes);
        for (size_t i = 0; i < wc->n; i++) {
            records[i] = s->records[wc->first + i].sent;
            keys[i] = make_key((unsigned)(wc->first + i));
        }
        err = service_session_write(front->service, &wc->client->caller, project, &s->id,
                                    records, keys, wc->n, written, wc, &problem);
    }
    if (err == OK)
        return;
    wc->err = err;
    wc->code = problem.code;
    trace("%s refuses a write: %s: %s", front->name, problem.code, problem.message);
    call_done(call);
}

static void refused_check(const struct write_call *wc)
{
    const struct sim *sim = wc->client->sim;
    const struct asked_session *s = wc->session;
    bool closed = oracle_closed(&sim->oracle, &s->id) != NULL;
    if (strcmp(wc->code, "project_damaged") == 0)
        broken("named", "a front says project_damaged in a world without damage");
    if (strcmp(wc->code, "session_closed") == 0 && !closed)
        broken("final", "session %s is said to be closed, and is not", id16_hex(&s->id).s);
    if (wc->err == ERR_NOT_FOUND && s->records[0].durable && sim->profile.lag_us == 0)
        broken("durable", "session %s, which was started, is not found", id16_hex(&s->id).s);
}

int client_try_write(struct client *c, struct asked_session *s, size_t first, size_t n,
                     struct process *front)
{
    bool was_closed = oracle_closed(&c->sim->oracle, &s->id) != NULL;
    struct write_call *wc = arena_new(client_arena(), struct write_call);
    *wc = (struct write_call){
        .call.run = write_run, .client = c, .session = s, .first = first, .n = n};
    call_make(&wc->call, front, client_patience_us(0));
    if (wc->call.refused)
        return ERR_AGAIN;
    if (wc->call.state != CALL_DONE || wc->err == ERR_UNKNOWN) {
        for (size_t i = first; i < first + n; i++)
            s->records[i].maybe = true;
        return ERR_UNKNOWN;
    }
    client_seen(c, wc->hlc);
    if (wc->err == OK && was_closed && first > 0)
        broken("final", "session %s takes a record, and had its answer for good before",
               id16_hex(&s->id).s);
    if (wc->err != OK)
        refused_check(wc);
    return strcmp(wc->code, "hlc_ahead") == 0 ? ERR_AGAIN : wc->err;
}

/* Tries until they are durable, or leaves it. `patient`: it never leaves it. */
static void write_settle(struct client *c, struct asked_session *s, size_t first, size_t n,
                         bool patient)
{
    int err = ERR_AGAIN;
    unsigned calm_tries = 0;
    for (unsigned tries = 0; calm_tries < TRIES_CALM_MAX; tries++) {
        calm_tries += c->sim->calm;
        err = client_try_write(c, s, first, n, client_front(c));
        if (err != ERR_AGAIN && err != ERR_UNKNOWN)
            break;
        if (!patient && world_chance(err == ERR_UNKNOWN ? 3000 : 1000))
            break;
        client_rest(c, tries);
    }
    if (err == OK)
        return;
    if (patient && (err == ERR_AGAIN || err == ERR_UNKNOWN))
        broken("durable", "session %s: a write is never taken", id16_hex(&s->id).s);
    for (size_t i = first; i < first + n; i++) {
        if (!s->records[i].maybe && !s->records[i].durable) {
            s->records[i].never = true;
            count(COUNT_GIVEN_UP);
        }
    }
}

/* --- what a client does with a session --- */

static struct asked_session *session_start(struct client *c)
{
    struct sim *sim = c->sim;
    unsigned project = (unsigned)world_below(sim->profile.projects);
    uint64_t known = c->position[project];
    uint64_t base = world_chance(7000) ? known : world_below(known + 1);
    struct asked_session draft;
    make_session(c, &draft, project, base, false);
    struct asked_session *s = ledger_session_add(&sim->ledger, &draft);
    asked_session_settle(&sim->ledger, s, base);
    s->records[0].floor = c->caller.hlc;
    make_id(s, &s->records[0], 0);
    trace("client %u starts session %s", c->number, id16_hex(&s->id).s);
    write_settle(c, s, 0, 1, true);
    return s;
}

static void session_write(struct client *c, struct asked_session *s)
{
    size_t first = s->n;
    uint64_t base = s->base;
    /* A rebase raises the base that is shown; an operation has its own all the same. */
    if (world_chance(2000)) {
        struct record rebase = {.kind = RECORD_REBASE, .rebase = c->position[s->project]};
        (void)asked_record_add(s, &rebase);
    }
    if (world_chance(3000) && c->position[s->project] > base)
        base = world_between(base, c->position[s->project]);
    make_records(c, s, base, (unsigned)world_between(1, 3), MAKE_ALONE);
    for (size_t i = first; i < s->n; i++) {
        s->records[i].floor = c->caller.hlc;
        make_id(s, &s->records[i], (unsigned)i);
    }
    write_settle(c, s, first, s->n - first, false);
}

/* Sends something again that it has sent before; whatever came of it then, it is one record. */
static void session_write_again(struct client *c, struct asked_session *s)
{
    if (s->n < 2)
        return;
    size_t i = (size_t)world_between(1, s->n - 1);
    if (!s->records[i].never)
        (void)client_try_write(c, s, i, 1, client_front(c));
}

/* The same request, when the client has made it before. What a front reads may be the same
 * records again, and then it is the same request, too: so none is out for good any more, and
 * the first of them has seen the least. */
static struct asked_request *asked_before(const struct client *c, struct asked_request *draft)
{
    const struct ledger *l = &c->sim->ledger;
    struct asked_request *same = NULL;
    for (size_t i = 0; i < l->n_requests; i++) {
        struct asked_request *r = l->requests[i];
        if (r->sessions[0] != draft->sessions[0])
            continue;
        r->never = false;
        if (r->floor < draft->floor)
            draft->floor = r->floor;
        if (!draft->loose && id16_equal(&r->id, &draft->id))
            same = r;
    }
    return same;
}

static void session_land(struct client *c, struct asked_session *s, bool abandon)
{
    struct asked_request draft = {.project = s->project,
                                  .owner = s->owner,
                                  .n = 1,
                                  .abandon = abandon,
                                  .floor = c->caller.hlc};
    draft.sessions = arena_array(client_arena(), 1, struct asked_session *);
    draft.sessions[0] = s;
    bool maybe = asked_request_exact(&draft, s, client_arena());
    draft.exact = !abandon && world_chance(maybe ? 5000 : 8000);
    draft.loose = !abandon && !draft.exact;
    if (abandon)
        asked_request_abandon(&draft, s, "no more");
    if (draft.loose)
        draft.id = (struct id16){0};
    struct asked_request *r = asked_before(c, &draft);
    if (r == NULL)
        r = ledger_request_add(&c->sim->ledger, &draft);
    trace("client %u asks to %s session %s", c->number, abandon ? "abandon" : "land",
          id16_hex(&s->id).s);
    client_ask(c, r);
    if (!r->loose)
        c->old[c->n_old++ % CLIENT_OLD_MAX] = r;
}

void client_session_act(struct client *c)
{
    unsigned slot = (unsigned)world_below(CLIENT_OPEN_MAX);
    struct asked_session *s = c->open[slot];
    if (s == NULL) {
        c->open[slot] = session_start(c);
        return;
    }
    bool closed = oracle_closed(&c->sim->oracle, &s->id) != NULL;
    uint64_t roll = world_below(100);
    if (closed && roll < 70) {
        c->open[slot] = NULL;
        return;
    }
    if (roll < 45)
        session_write(c, s);
    else if (roll < 55)
        session_write_again(c, s);
    else if (roll < 70)
        client_preflight(c, s);
    else if (roll < 93)
        session_land(c, s, false);
    else
        session_land(c, s, true);
}
