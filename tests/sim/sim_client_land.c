/* Requests that get an answer, asked until it comes. */
#include <stdlib.h>

#include "api/service/parts.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "tests/sim/sim.h"

/* Tries, when nothing goes wrong any more, before a client takes it that nobody will ever
 * answer. */
#define TRIES_CALM_MAX 60u

struct land_call {
    struct call call; /* first */
    struct client *client;
    struct asked_request *request;
    uint64_t wait_ms;
    struct land_told told;
};

/* --- what a front answers --- */

static void answer_check(const struct oracle *o, const struct landing *landing)
{
    const struct known_answer *known = oracle_answer(o, &landing->session, &landing->request);
    if (known == NULL)
        broken("final", "session %s is told %s, and the head says nothing of it",
               id16_hex(&landing->session).s, verdict_name(landing->verdict));
    if (known->verdict != landing->verdict || known->position != landing->position)
        broken("final", "session %s is told %s at %lu, and it is %s at %lu",
               id16_hex(&landing->session).s, verdict_name(landing->verdict),
               (unsigned long)landing->position, verdict_name(known->verdict),
               (unsigned long)known->position);
}

static void request_learn(struct client *c, struct asked_request *r,
                          const struct land_result *result)
{
    if (result->n != r->n)
        broken("atomic", "a request about %zu sessions is answered for %zu", r->n, result->n);
    for (size_t i = 0; i < r->n; i++) {
        struct asked_session *s =
            ledger_session(&c->sim->ledger, r->project, &result->sessions[i]);
        if (s != r->sessions[i])
            broken("serial", "a request is answered about session %s",
                   id16_hex(&result->sessions[i]).s);
    }
    if (id16_is_zero(&r->id) || r->loose)
        r->id = result->request;
    if (!id16_equal(&r->id, &result->request))
        broken("once", "the same request has got another id");
}

void client_land_told(struct client *c, struct asked_request *r,
                      const struct land_result *result, struct land_told *out)
{
    struct oracle *o = &c->sim->oracle;
    *out = (struct land_told){.err = result->err,
                              .code = result->err == OK ? "" : result->problem.code,
                              .pending = result->pending,
                              .hlc = result->hlc};
    if (result->err != OK)
        return;
    request_learn(c, r, result);
    for (size_t i = 0; i < r->n && !result->pending; i++)
        answer_check(o, &result->landings[i]);
    if (result->pending && !oracle_was_durable(o, &r->sessions[0]->id, &r->id))
        broken("durable", "session %s: a request is told to be durable, and is not",
               id16_hex(&r->sessions[0]->id).s);
    r->accepted = true;
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < r->sessions[i]->n && r->sessions[i]->whole; k++)
            r->sessions[i]->records[k].durable = true;
    }
}

static void landed(void *arg, const struct land_result *result)
{
    struct land_call *lc = arg;
    client_land_told(lc->client, lc->request, result, &lc->told);
    call_done(&lc->call);
}

/* --- what it is asked --- */

static int land_whole(struct land_call *lc, struct service *service, struct problem *problem)
{
    struct asked_request *r = lc->request;
    struct arena *arena = client_arena();
    struct session *sessions = arena_array(arena, r->n, struct session);
    for (size_t i = 0; i < r->n; i++) {
        const struct asked_session *s = r->sessions[i];
        sessions[i].records = arena_array(arena, s->n, struct record);
        sessions[i].n_records = s->n;
        /* The service completes records in place; this client may send them again. */
        for (size_t k = 0; k < s->n; k++)
            sessions[i].records[k] = s->records[k].sent;
    }
    return service_land(service, &lc->client->caller,
                        &lc->client->sim->oracle.projects[r->project].id, sessions, r->n, arena,
                        lc->wait_ms, landed, lc, problem);
}

static int land_open(struct land_call *lc, struct service *service, struct problem *problem)
{
    struct asked_request *r = lc->request;
    const struct id16 *project = &lc->client->sim->oracle.projects[r->project].id;
    const struct id16 *sid = &r->sessions[0]->id;
    if (r->abandon)
        return service_session_abandon(service, &lc->client->caller, project, sid,
                                       bytes_str("no more"), lc->wait_ms, landed, lc, problem);
    struct hash records = sha256(bytes_of(r->ids, r->n_ids * sizeof(*r->ids)));
    return service_session_land(service, &lc->client->caller, project, sid,
                                r->exact ? &records : NULL, bytes_of(NULL, 0), lc->wait_ms,
                                landed, lc, problem);
}

static void land_run(struct call *call, struct process *front)
{
    struct land_call *lc = (struct land_call *)call;
    struct problem problem = {0};
    int err = lc->request->sessions[0]->whole ? land_whole(lc, front->service, &problem)
                                              : land_open(lc, front->service, &problem);
    if (err == OK)
        return;
    lc->told = (struct land_told){.err = err, .code = problem.code};
    trace("%s refuses: %s: %s", front->name, problem.code, problem.message);
    call_done(call);
}

/* --- asking --- */

static void refused_check(const struct client *c, const struct asked_request *r,
                          const struct land_told *told)
{
    const struct asked_session *s = r->sessions[0];
    if (strcmp(told->code, "project_damaged") == 0)
        broken("named", "a front says project_damaged in a world without damage");
    if (told->err == ERR_NOT_FOUND && !s->whole && c->sim->profile.lag_us == 0)
        broken("durable", "session %s, which was started, is not found", id16_hex(&s->id).s);
}

/* Whether the request may be tried again with another outcome. */
static bool is_passing(const struct land_told *told)
{
    return told->err == ERR_AGAIN || told->err == ERR_UNKNOWN ||
           strcmp(told->code, "hlc_ahead") == 0;
}

bool client_try_land(struct client *c, struct asked_request *r, struct process *front,
                     uint64_t wait_ms, struct land_told *out)
{
    struct land_call *lc = arena_new(client_arena(), struct land_call);
    lc->client = c;
    lc->request = r;
    lc->wait_ms = wait_ms;
    lc->call.run = land_run;
    call_make(&lc->call, front, client_patience_us(wait_ms));
    if (lc->call.refused)
        return false;
    if (lc->call.state != CALL_DONE) {
        r->maybe = true;
        return false;
    }
    *out = lc->told;
    client_seen(c, out->hlc);
    if (out->err == OK) {
        r->answered = r->answered || !out->pending;
        if (out->pending)
            count(COUNT_PENDING);
        return true;
    }
    refused_check(c, r, out);
    if (out->err == ERR_AGAIN)
        count(COUNT_TOLD_AGAIN);
    if (out->err == ERR_UNKNOWN) {
        count(COUNT_TOLD_UNKNOWN);
        r->maybe = true;
    }
    return true;
}

/* One try. True when there is nothing more to ask. */
static bool ask_once(struct client *c, struct asked_request *r, struct process *front)
{
    static const uint64_t waits_ms[] = {0, 500, 5000, 30000};
    bool calm = c->sim->calm;
    struct land_told told;
    uint64_t wait_ms = waits_ms[calm ? 3 : world_below(ARRAY_LEN(waits_ms))];
    if (!client_try_land(c, r, front, wait_ms, &told))
        return false;
    if (told.err == OK && told.pending)
        client_read_session(c, r->sessions[0]);
    if (told.err == OK)
        return r->answered || (!calm && world_chance(2000));
    if (is_passing(&told))
        return !r->accepted && !calm && world_chance(2500);
    return true;
}

static void positions_learn(struct client *c, const struct asked_request *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct known_answer *a =
            oracle_answer(&c->sim->oracle, &r->sessions[i]->id, &r->id);
        if (a != NULL && a->position > c->position[r->project])
            c->position[r->project] = a->position;
    }
}

/* It has no answer, and must never get one; but for one of an open session: what a front reads
 * there may make the same request. */
static void give_up(struct client *c, struct asked_request *r)
{
    const struct ledger *l = &c->sim->ledger;
    r->never = true;
    for (size_t i = 0; i < l->n_requests; i++) {
        if (l->requests[i]->loose && l->requests[i]->sessions[0] == r->sessions[0])
            r->never = false;
    }
    count(COUNT_GIVEN_UP);
}

void client_ask(struct client *c, struct asked_request *r)
{
    struct process *last = NULL;
    unsigned calm_tries = 0;
    for (unsigned tries = 0; calm_tries < TRIES_CALM_MAX; tries++) {
        struct process *front = client_front(c);
        if (last != NULL && last != front)
            count(COUNT_RETRY_ELSEWHERE);
        last = front;
        calm_tries += c->sim->calm;
        if (ask_once(c, r, front)) {
            if (r->answered)
                positions_learn(c, r);
            else if (!r->maybe && !r->accepted)
                give_up(c, r);
            return;
        }
        client_rest(c, tries);
    }
    broken("durable", "session %s: a request has no answer, however often it is asked",
           id16_hex(&r->sessions[0]->id).s);
}

void client_ask_again(struct client *c)
{
    unsigned n = c->n_old < CLIENT_OLD_MAX ? c->n_old : CLIENT_OLD_MAX;
    if (n == 0)
        return;
    struct asked_request *r = c->old[world_below(n)];
    if (r->never)
        return;
    if (r->answered)
        count(COUNT_RETRY_ANSWERED);
    struct process *front = client_front(c);
    (void)ask_once(c, r, front);
    if (r->answered)
        positions_learn(c, r);
}

/* --- whole sessions --- */

/* Inside the last batch of several that the client knows of. */
static uint64_t base_gathered(const struct client *c, unsigned project)
{
    uint64_t base = c->position[project];
    while (base > 0 && !oracle_inside(&c->sim->oracle.projects[project], base))
        base--;
    return base;
}

static uint64_t base_draw(struct client *c, unsigned project)
{
    uint64_t known = c->position[project];
    if (c->sim->profile.import)
        return known;
    if (c->sim->profile.gather && world_chance(7000))
        return base_gathered(c, project);
    if (world_chance(500))
        return UINT64_MAX;
    if (known > 0 && world_chance(2500))
        return world_below(known + 1);
    if (known > 30 && world_chance(3000))
        return known - world_below(30);
    return known;
}

void client_land_whole(struct client *c)
{
    struct sim *sim = c->sim;
    unsigned project = (unsigned)world_below(sim->profile.projects);
    uint64_t base = base_draw(c, project);
    size_t n = world_chance(7000) ? 1 : world_between(1, sim->profile.series_max);
    if (sim->profile.import)
        n = sim->profile.series_max - world_below(20);
    struct asked_request request = {
        .project = project, .owner = c->caller.owner, .n = n, .floor = c->caller.hlc};
    request.sessions = arena_array(client_arena(), n, struct asked_session *);
    struct asked_request *r = ledger_request_add(&sim->ledger, &request);
    struct asked_session over = {0};
    for (size_t i = 0; i < n; i++) {
        struct asked_session draft;
        make_session(c, &draft, project, base, true);
        draft.over = over.over;
        draft.n_over = over.n_over;
        draft.request = r;
        make_records(c, &draft, base, (unsigned)world_between(1, n > 20 ? 1 : 4),
                     n == 1   ? MAKE_ALONE
                     : n < 20 ? MAKE_SERIES
                              : MAKE_PLAIN);
        for (size_t k = 0; k < draft.n; k++)
            draft.records[k].floor = c->caller.hlc;
        struct asked_session *s = ledger_session_add(&sim->ledger, &draft);
        if (base != UINT64_MAX)
            asked_session_settle(&sim->ledger, s, base);
        r->sessions[i] = s;
        make_over(s, &over);
    }
    trace("client %u asks to land %zu whole sessions", c->number, n);
    if (base == UINT64_MAX) {
        /* Asked a second time it would be other sessions. */
        (void)ask_once(c, r, client_front(c));
        if (!r->maybe && !r->accepted)
            r->never = true;
        return;
    }
    client_ask(c, r);
    c->old[c->n_old++ % CLIENT_OLD_MAX] = r;
}
