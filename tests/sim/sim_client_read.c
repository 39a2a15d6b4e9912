/* Reads through any front: one's own writes, the head, and what lies at a path at a position.
 * And what strangers do. */
#include "api/service/parts.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "tests/sim/sim.h"

struct read_call {
    struct call call; /* first */
    struct client *client;
    unsigned project;
    struct asked_session *session; /* to be read; NULL: the head */
    bool look;                     /* at a path */
    bool preflight;                /* whether the session would land */
    bool strange;
};

/* --- one's own session --- */

static bool read_fails(const struct sim *sim, int err, const char *what)
{
    if (err == OK)
        return false;
    /* A list that is behind may hide what is there, but never for good. */
    if (err != ERR_AGAIN && sim->profile.lag_us == 0)
        broken("durable", "%s cannot be read: %s", what, err_name(err));
    return true;
}

static void answer_compare(const struct oracle *o, const struct session_current *current,
                           bool was_closed)
{
    const struct known_answer *known = NULL;
    const char *id = id16_hex(&current->session.id).s;
    if (current->answered)
        known = oracle_answer(o, &current->session.id, &current->answer.request);
    if (current->answered && known == NULL)
        broken("final", "session %s is read with an answer that it has not", id);
    if (known != NULL && (known->verdict != current->answer.verdict ||
                          known->position != current->answer.position))
        broken("final", "session %s is read with another answer than it has", id);
    if (!current->answered && current->session.state != SESSION_OPEN)
        broken("durable", "session %s is read as put away, and without its answer", id);
    if (was_closed && current->session.state == SESSION_OPEN)
        broken("final", "session %s is read as open, and was answered for good", id);
}

/* `ids`: what was durable before it was read. */
static void session_compare(struct client *c, const struct session_current *current,
                            const struct id16 *ids, size_t n, bool was_closed)
{
    answer_compare(&c->sim->oracle, current, was_closed);
    count(COUNT_READ_BACK);
    if (current->session.state != SESSION_OPEN || c->sim->profile.lag_us > 0)
        return;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < current->session.n_records &&
               !id16_equal(&current->session.records[k].id, &ids[i]))
            k++;
        if (k == current->session.n_records)
            broken("durable", "session %s is read without a record of one's own",
                   id16_hex(&current->session.id).s);
    }
}

static void session_run(struct read_call *rc, struct process *front)
{
    AUTO(arena_release) struct arena arena = {0};
    struct client *c = rc->client;
    const struct asked_session *s = rc->session;
    struct id16 *ids = arena_array(&arena, s->n, struct id16);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->records[i].durable)
            ids[n++] = s->records[i].sent.id;
    }
    bool was_closed = oracle_closed(&c->sim->oracle, &s->id) != NULL;
    struct session_current current;
    int err = session_read(front->repo, &c->sim->oracle.projects[s->project].id, &s->id, &arena,
                           &current);
    if (n > 0 && !read_fails(c->sim, err, "a session"))
        session_compare(c, &current, ids, n, was_closed);
}

/* --- would it land --- */

/* Whether it is known which records the session has: none is on its way. */
static bool is_settled(const struct asked_session *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!s->records[i].durable && !s->records[i].never)
            return false;
    }
    return s->n > 0;
}

/* Held against the serial model at the head that the answer is about. */
static void preflight_compare(const struct oracle_project *p, const struct session *session,
                              const struct preflight *preflight)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct landing *said = &preflight->results[0].landing;
    uint64_t position = preflight->head.position;
    struct bytes path = {0};
    struct net net;
    net_of(session->records, session->n_records, false, &arena, &net);
    const char *wrong = serial_would_land(&p->serial, position, &net, &path);
    if (said->verdict == VERDICT_LANDED && wrong != NULL)
        broken("serial", "session %s is told to land at %lu, and %s: %.*s",
               id16_hex(&session->id).s, (unsigned long)position, wrong, (int)path.len,
               (const char *)path.data);
    if (said->verdict == VERDICT_CONFLICTED && wrong == NULL)
        broken("serial", "session %s is told to conflict at %lu, and would land",
               id16_hex(&session->id).s, (unsigned long)position);
    if (said->verdict == VERDICT_LANDED)
        count(COUNT_FORETOLD);
    if (said->verdict == VERDICT_CONFLICTED)
        count(COUNT_FORETOLD_CONFLICT);
}

static void preflight_run(struct read_call *rc, struct process *front)
{
    AUTO(arena_release) struct arena arena = {0};
    struct client *c = rc->client;
    const struct asked_session *s = rc->session;
    struct oracle_project *p = &c->sim->oracle.projects[s->project];
    bool was_closed = oracle_closed(&c->sim->oracle, &s->id) != NULL;
    bool settled = is_settled(s);
    size_t n = s->n;
    struct preflight preflight;
    struct problem problem;
    struct session_current now;
    int err =
        service_session_preflight(front->service, &p->id, &s->id, &arena, &preflight, &problem);
    /* What the client has written meanwhile, the front may have seen, or not. */
    settled = settled && s->n == n;
    if (c->sim->profile.lag_us > 0 || !settled || read_fails(c->sim, err, "a preflight"))
        return;
    if (was_closed && !preflight.results[0].answered)
        broken("final", "session %s is told what would come of it, and was answered for good",
               id16_hex(&s->id).s);
    err = session_read(&c->sim->oracle.repo, &p->id, &s->id, &arena, &now);
    if (preflight.results[0].answered || err != OK || now.session.state != SESSION_OPEN)
        return;
    preflight_compare(p, &now.session, &preflight);
}

/* --- the head --- */

static void head_run(struct read_call *rc, struct process *front)
{
    struct client *c = rc->client;
    struct oracle_project *p = &c->sim->oracle.projects[rc->project];
    uint64_t told = c->position[rc->project];
    struct head_info info;
    struct problem problem;
    int err = service_head(front->service, &p->id, &info, &problem);
    if (err != OK) {
        if (err != ERR_AGAIN)
            broken("named", "the head cannot be read: %s", problem.message);
        return;
    }
    if (info.head.position < told)
        broken("monotone", "the head is at %lu, and was at %lu",
               (unsigned long)info.head.position, (unsigned long)told);
    struct hash must = tree_model_hash(serial_at(&p->serial, info.head.position));
    if (!hash_equal(&must, &info.content))
        broken("atomic", "a front shows a tree at %lu that never was",
               (unsigned long)info.head.position);
    if (info.head.position > c->position[rc->project])
        c->position[rc->project] = info.head.position;
    client_seen(c, info.head.hlc);
}

static void look_run(struct read_call *rc, struct process *front)
{
    static const char *const paths[] = {"", "a", "d", "d/a", "d/e", "f", "i", "i/a", "b"};
    struct client *c = rc->client;
    struct oracle_project *p = &c->sim->oracle.projects[rc->project];
    uint64_t position =
        world_chance(5000) ? UINT64_MAX : world_below(c->position[rc->project] + 1);
    struct bytes path = bytes_str(paths[world_below(ARRAY_LEN(paths))]);
    struct snapshot *snapshot;
    struct seen seen;
    int err = snapshot_open(front->repo, &p->id, position, &snapshot);
    if (err == OK) {
        position = snapshot_position(snapshot);
        err = snapshot_seen(snapshot, path, &seen);
        snapshot_close(snapshot);
    }
    if (err == ERR_AGAIN)
        return;
    if (err != OK)
        broken("named", "the tree at %lu cannot be read: %s", (unsigned long)position,
               err_name(err));
    struct seen must = serial_guard(serial_at(&p->serial, position), path);
    if (!seen_equal(&seen, &must))
        broken("atomic", "%.*s in the tree at %lu is not what it was", (int)path.len,
               (const char *)path.data, (unsigned long)position);
    count(COUNT_LOOKED);
}

/* --- strangers --- */

static void nobody_cares(void *arg, int err)
{
    (void)arg;
    (void)err;
}

/* A front that does not check: records of another in somebody's session, and a land of it. */
static void strange_run(struct read_call *rc, struct process *front)
{
    struct asked_session *s = rc->session;
    struct bytes author = bytes_str("stranger");
    struct id16 owner = owner_of(author);
    struct record records[2] = {{.kind = RECORD_OPERATION}, {.kind = RECORD_LAND}};
    records[0].operation = (struct record_operation){
        .op = OP_WRITE,
        .base = s->base,
        .path = bytes_str("a"),
        .seen = {.said = true},
        .content = content_inline(client_arena(), KIND_FILE, MODE_PLAIN, bytes_str("mine"))};
    struct record_land_item item = {.session = s->id, .records = &records[0].id, .n = 1};
    records[1].land.items = &item;
    records[1].land.n = 1;
    for (unsigned i = 0; i < 2; i++) {
        records[i].hlc = repo_hlc(front->repo);
        records[i].id = record_id(&owner, &s->id, bytes_of(&records[i].hlc, 8), author);
    }
    struct queue_group group = {.project = rc->client->sim->oracle.projects[s->project].id,
                                .session = s->id,
                                .owner = owner,
                                .records = records,
                                .n = 2};
    if (intake_add(front->service->intake, &group, 1, nobody_cares, NULL) == OK)
        count(COUNT_FOREIGN);
}

/* --- */

static void read_run(struct call *call, struct process *front)
{
    struct read_call *rc = (struct read_call *)call;
    if (rc->strange)
        strange_run(rc, front);
    else if (rc->look)
        look_run(rc, front);
    else if (rc->preflight)
        preflight_run(rc, front);
    else if (rc->session != NULL)
        session_run(rc, front);
    else
        head_run(rc, front);
    call_done(call);
}

static struct asked_session *session_any(const struct client *c)
{
    return c->open[world_below(CLIENT_OPEN_MAX)];
}

static const struct read_call *read_make(struct client *c, struct process *front,
                                         const struct read_call *draft)
{
    struct read_call *rc = arena_new(client_arena(), struct read_call);
    *rc = *draft;
    rc->client = c;
    rc->call.run = read_run;
    call_make(&rc->call, front, client_patience_us(0));
    return rc;
}

void client_read(struct client *c)
{
    unsigned project = (unsigned)world_below(c->sim->profile.projects);
    uint64_t roll = world_below(100);
    struct asked_session *s = session_any(c);
    if (roll < 40 && s != NULL)
        client_read_session(c, s);
    else if (roll < 65)
        (void)read_make(c, client_front(c),
                        &(struct read_call){.look = true, .project = project});
    else
        client_read_head(c, project);
}

void client_read_through(struct client *c, struct asked_session *s, struct process *front)
{
    (void)read_make(c, front, &(struct read_call){.session = s});
}

void client_read_session(struct client *c, struct asked_session *s)
{
    (void)read_make(c, client_front(c), &(struct read_call){.session = s});
}

void client_preflight(struct client *c, struct asked_session *s)
{
    (void)read_make(c, client_front(c), &(struct read_call){.preflight = true, .session = s});
}

void client_read_head(struct client *c, unsigned project)
{
    (void)read_make(c, client_front(c),
                    &(struct read_call){.session = NULL, .project = project});
}

/* In some other client's session. */
void client_strange(struct client *c)
{
    struct sim *sim = c->sim;
    const struct client *other = &sim->clients[world_below(sim->n_clients)];
    struct asked_session *s = session_any(other);
    if (s != NULL)
        (void)read_make(c, client_front(c), &(struct read_call){.session = s, .strange = true});
}
