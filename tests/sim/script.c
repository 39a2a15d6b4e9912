#include "tests/sim/script.h"

#include "api/service/parts.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"

#define GATES_MAX 16u
/* Virtual time after which a script is taken to hang. */
#define SCRIPT_US_MAX 3600000000u

static struct gate gates[GATES_MAX];
static size_t n_gates;
static struct script *playing;
static bool played;

/* --- gates --- */

static bool gate_meets(const struct gate *gate, const struct process *process,
                       const struct store_op *op)
{
    if (gate->process != NULL && gate->process != process)
        return false;
    if (op == NULL || gate->lists)
        return op == NULL && gate->lists;
    return op->verb == gate->verb && key_kind(op->key, NULL) == gate->kind &&
           (gate->key[0] == '\0' || strcmp(gate->key, op->key) == 0);
}

static enum trouble plan(void *process, const struct store_op *op)
{
    for (size_t i = 0; i < n_gates; i++) {
        struct gate *gate = &gates[i];
        if (!gate_meets(gate, process, op) || (gate->reached > 0 && !gate->again))
            continue;
        gate->reached++;
        trace("%s is at its gate", ((struct process *)process)->name);
        while (!gate->open)
            task_pause(1000);
        return gate->trouble;
    }
    return TROUBLE_NONE;
}

struct gate *script_gate(struct script *s, const struct gate *gate)
{
    (void)s;
    assert(n_gates < GATES_MAX);
    gates[n_gates] = *gate;
    return &gates[n_gates++];
}

void script_reached(struct script *s, const struct gate *gate)
{
    (void)s;
    while (gate->reached == 0)
        task_pause(1000);
}

/* --- playing --- */

static void play_life(void *arg)
{
    void (*const *play)(struct script *) = arg;
    for (unsigned i = 0; i < playing->sim.n_fronts; i++) {
        while (!playing->sim.processes[i].up)
            task_pause(1000);
    }
    (*play)(playing);
    for (size_t i = 0; i < n_gates; i++) {
        gates[i].open = true;
        gates[i].trouble = TROUBLE_NONE;
    }
    played = true;
}

static bool is_played(struct sim *sim)
{
    (void)sim;
    return played;
}

void script_play(void (*play)(struct script *), struct verdict_of_seed *verdict)
{
    static struct script script;
    struct sim *sim = &script.sim;
    verdict_to(verdict);
    world_open(1);
    profile_calm(&sim->profile);
    sim->profile.appends = 1;
    sim->profile.grace_ms = SCRIPT_GRACE_MS;
    sim_open(sim);
    for (unsigned i = 0; i < sim->n_processes; i++) {
        sim->processes[i].calm = true;
        sim->processes[i].line.plan = plan;
    }
    for (unsigned i = 0; i < 2; i++) {
        script.fronts[i] = &sim->processes[i];
        script.drains[i] = &sim->processes[2 + i];
    }
    script.append = &sim->processes[4];
    script.ann = &sim->clients[0];
    script.ben = &sim->clients[1];
    playing = &script;
    (void)task_start(NULL, play_life, &play);
    sim_run_until(sim, is_played, SCRIPT_US_MAX, "the script");
    sim_finish(sim);
    verdict->calls = far_end_calls(sim->end);
    verdict->ended = true;
}

/* --- sessions --- */

struct asked_session *script_session(struct script *s, struct client *c, uint64_t base,
                                     bool whole)
{
    struct asked_session *draft = arena_new(client_arena(), struct asked_session);
    make_session(c, draft, 0, base, whole);
    if (whole)
        return draft;
    struct asked_session *kept = ledger_session_add(&s->sim.ledger, draft);
    asked_session_settle(&s->sim.ledger, kept, base);
    make_id(kept, &kept->records[0], 0);
    return kept;
}

static struct seen seen_text(const char *text)
{
    if (text == NULL)
        return (struct seen){0};
    if (strcmp(text, "-") == 0)
        return (struct seen){.said = true};
    return (struct seen){
        .said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = sha256(bytes_str(text))};
}

static void record_add(struct asked_session *session, const struct record *record)
{
    struct asked_record *added = asked_record_add(session, record);
    if (!session->whole)
        make_id(session, added, (unsigned)session->n - 1);
}

void script_write(struct script *s, struct asked_session *session, const char *path,
                  const char *text, const char *seen)
{
    struct record record = {.kind = RECORD_OPERATION};
    (void)s;
    record.operation = (struct record_operation){
        .op = OP_WRITE,
        .base = session->base,
        .path = bytes_str(path),
        .seen = seen_text(seen),
        .content = content_inline(client_arena(), KIND_FILE, MODE_PLAIN, bytes_str(text))};
    record_add(session, &record);
}

void script_delete(struct script *s, struct asked_session *session, const char *path,
                   const char *seen)
{
    struct record record = {.kind = RECORD_OPERATION};
    (void)s;
    record.operation = (struct record_operation){.op = OP_DELETE,
                                                 .base = session->base,
                                                 .path = bytes_str(path),
                                                 .seen = seen_text(seen)};
    record_add(session, &record);
}

void script_rebase(struct script *s, struct asked_session *session, uint64_t base)
{
    (void)s;
    record_add(session, &(struct record){.kind = RECORD_REBASE, .rebase = base});
}

/* --- requests --- */

struct asked_request *script_series(struct script *s, struct asked_session **drafts, size_t n)
{
    struct asked_request draft = {.owner = drafts[0]->owner, .n = n};
    draft.sessions = arena_array(client_arena(), n, struct asked_session *);
    struct asked_request *r = ledger_request_add(&s->sim.ledger, &draft);
    for (size_t i = 0; i < n; i++) {
        drafts[i]->request = r;
        if (i > 0)
            make_over(drafts[i - 1], drafts[i]);
        r->sessions[i] = ledger_session_add(&s->sim.ledger, drafts[i]);
        asked_session_settle(&s->sim.ledger, r->sessions[i], drafts[i]->base);
    }
    return r;
}

static struct asked_request *open_request(struct script *s, struct asked_session *session,
                                          struct asked_request *draft)
{
    draft->owner = session->owner;
    draft->n = 1;
    draft->sessions = arena_array(client_arena(), 1, struct asked_session *);
    draft->sessions[0] = session;
    return ledger_request_add(&s->sim.ledger, draft);
}

struct asked_request *script_land(struct script *s, struct asked_session *session)
{
    struct asked_request draft = {.exact = true};
    asked_request_exact(&draft, session, client_arena());
    return open_request(s, session, &draft);
}

struct asked_request *script_abandon(struct script *s, struct asked_session *session)
{
    struct asked_request draft = {.abandon = true};
    asked_request_abandon(&draft, session, "no more");
    return open_request(s, session, &draft);
}

static struct client *client_of(struct script *s, const struct id16 *owner)
{
    return id16_equal(&s->ann->caller.owner, owner) ? s->ann : s->ben;
}

static void send_some(struct script *s, struct asked_session *session, size_t first, size_t n,
                      struct process *front)
{
    struct client *c = client_of(s, &session->owner);
    int err = ERR_AGAIN;
    while (err != OK) {
        err = client_try_write(c, session, first, n, front);
        if (err != OK && err != ERR_AGAIN && err != ERR_UNKNOWN)
            broken("script", "a write is refused: %s", err_name(err));
        if (err != OK)
            task_pause(10000);
    }
}

void script_send(struct script *s, struct asked_session *session, size_t first,
                 struct process *front)
{
    if (first == 0)
        send_some(s, session, 0, 1, front);
    first = first == 0 ? 1 : first;
    if (session->n > first)
        send_some(s, session, first, session->n - first, front);
}

void script_ask(struct script *s, struct asked_request *r, struct process *front, bool wait)
{
    struct client *c = client_of(s, &r->owner);
    struct land_told told;
    for (;;) {
        bool came = client_try_land(c, r, front, wait ? 30000 : 0, &told);
        if (came && told.err == OK && (!wait || !told.pending))
            return;
        if (came && told.err != OK && told.err != ERR_AGAIN && told.err != ERR_UNKNOWN)
            broken("script", "a request is refused: %s", told.code);
        task_pause(10000);
    }
}

void script_land_text(struct script *s, struct client *c, const char *path, const char *text,
                      const char *seen)
{
    struct asked_session *session = script_session(s, c, script_position(s), true);
    if (text != NULL)
        script_write(s, session, path, text, seen);
    else
        script_delete(s, session, path, seen);
    struct asked_request *r = script_series(s, &session, 1);
    script_ask(s, r, s->fronts[0], true);
    script_expect(s, r, 0, VERDICT_LANDED);
}

/* --- what must be --- */

void script_expect(struct script *s, const struct asked_request *r, size_t session,
                   enum verdict verdict)
{
    const struct known_answer *a =
        oracle_answer(&s->sim.oracle, &r->sessions[session]->id, &r->id);
    if (a == NULL || a->verdict != verdict)
        broken("script", "session %s is %s, and must be %s",
               id16_hex(&r->sessions[session]->id).s,
               a == NULL ? "not answered" : verdict_name(a->verdict), verdict_name(verdict));
}

void script_expect_text(struct script *s, const char *path, const char *text)
{
    const struct oracle_project *p = &s->sim.oracle.projects[0];
    struct seen is = serial_seen(serial_at(&p->serial, p->position), bytes_str(path));
    struct seen must = seen_text(text == NULL ? "-" : text);
    if (!seen_equal(&is, &must))
        broken("script", "%s is not what it must be", path);
}

uint64_t script_position(struct script *s)
{
    return s->sim.oracle.projects[0].position;
}

void script_drained(struct script *s)
{
    while (!sim_queue_empty(&s->sim))
        task_pause(10000);
}
