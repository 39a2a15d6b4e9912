/* One answer after another: what has been answered before, what the model says of it, and
 * whether it is what somebody asked for. */
#include <stdlib.h>

#include "formats/base/hex.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_oracle.h"

#define SHORT_ID(id) id16_hex(id).s

static void answer_keep(struct oracle *o, struct oracle_project *p, const struct landing *l,
                        const struct hash *tree)
{
    struct known_answer *a = id_table_new(&o->answers, &l->session, &l->request, sizeof(*a));
    *a = (struct known_answer){.session = l->session,
                               .request = l->request,
                               .verdict = l->verdict,
                               .closes = l->closes,
                               .position = l->position,
                               .tree = *tree};
    oracle_keys_keep(a, l);
    if (l->closes && oracle_closed(o, &l->session) == NULL)
        id_table_put(&o->closed, &l->session, NULL, a);
    if (p->n_answers == p->cap_answers) {
        p->cap_answers = p->cap_answers == 0 ? 256 : p->cap_answers * 2;
        p->answers = reallocarray(p->answers, p->cap_answers, sizeof(struct known_answer *));
        if (p->answers == NULL)
            abort();
    }
    p->answers[p->n_answers++] = a;
}

/* --- seen --- */

static bool over_find(const struct asked_session *s, struct bytes path, struct seen *out)
{
    for (size_t i = 0; i < s->n_over; i++) {
        if (bytes_equal(s->over[i].path, path)) {
            *out = s->over[i].seen;
            return true;
        }
    }
    return false;
}

struct seen oracle_seen(const struct oracle_project *p, const struct asked_session *s,
                        uint64_t base, struct bytes path)
{
    struct seen seen;
    if (over_find(s, path, &seen))
        return seen;
    return serial_seen(serial_at(&p->serial, base), path);
}

static void seen_check(const struct oracle_project *p, const struct asked_session *s,
                       uint64_t base, struct bytes path, const struct seen *sent,
                       const struct seen *is)
{
    struct seen must = sent->said ? *sent : oracle_seen(p, s, base, path);
    if (!sent->said)
        count(COUNT_SEEN_FILLED);
    if (!is->said || !seen_equal(is, &must))
        broken("serial", "session %s at %lu: what it saw at %.*s in the tree of %lu is wrong",
               SHORT_ID(&s->id), (unsigned long)p->position + 1, (int)path.len,
               (const char *)path.data, (unsigned long)base);
}

static void guard_check(const struct oracle_project *p, const struct asked_session *s,
                        const struct record_guard *sent, const struct record_guard *is)
{
    struct seen must = sent->seen;
    if (!must.said && s->n_over > 0) {
        if (!over_find(s, sent->path, &must) && is->seen.kind == KIND_DIR)
            return; /* what earlier sessions of the series leave of it is checked as it lands */
    }
    if (!must.said)
        must = serial_guard(serial_at(&p->serial, sent->base), sent->path);
    if (!is->seen.said || !seen_equal(&is->seen, &must))
        broken("serial", "session %s: what it relied on at %.*s in the tree of %lu is wrong",
               SHORT_ID(&s->id), (int)sent->path.len, (const char *)sent->path.data,
               (unsigned long)sent->base);
    if (is->seen.kind == KIND_DIR)
        count(COUNT_GUARD_DIRECTORY);
}

/* --- what has landed --- */

static void operation_check(const struct oracle_project *p, const struct asked_session *s,
                            const struct record *sent, const struct record *is)
{
    const struct record_operation *a = &sent->operation;
    const struct record_operation *b = &is->operation;
    if (a->op != b->op || a->base != b->base || !bytes_equal(a->path, b->path) ||
        (a->op == OP_RENAME && !bytes_equal(a->target, b->target)))
        broken("serial", "session %s has landed another operation than was sent",
               SHORT_ID(&s->id));
    seen_check(p, s, a->base, a->path, &a->seen, &b->seen);
    if (a->op == OP_RENAME)
        seen_check(p, s, a->base, a->target, &a->target_seen, &b->target_seen);
    if (a->op == OP_DELETE)
        return;
    struct hash wanted = a->content.hash;
    if (hash_is_zero(&wanted))
        wanted = oracle_seen(p, s, a->base, a->path).hash;
    if (!hash_equal(&wanted, &b->content.hash))
        broken("named", "session %s has landed another content at %.*s than was sent",
               SHORT_ID(&s->id), (int)a->path.len, (const char *)a->path.data);
    if (b->content.carrier == CARRIER_MANIFEST)
        count(COUNT_LANDED_CHUNKS);
    if (oracle_inside(p, a->base))
        count(COUNT_BASE_INSIDE);
    if (p->position > a->base + 12)
        count(COUNT_BASE_OLD);
}

static void record_check_sent(const struct oracle *o, const struct oracle_project *p,
                              const struct asked_session *s, const struct record *is)
{
    struct asked_record *asked = ledger_record(s, &is->id);
    if (asked == NULL)
        broken("serial", "session %s has landed a record that nobody sent", SHORT_ID(&s->id));
    if (asked->never)
        broken("final", "session %s has landed a record that was told not to be taken",
               SHORT_ID(&s->id));
    if (is->hlc <= asked->floor)
        broken("causal", "session %s: a record is not later than what its sender had seen",
               SHORT_ID(&s->id));
    if (asked->sent.kind != is->kind)
        broken("serial", "session %s has landed another record", SHORT_ID(&s->id));
    if (is->kind == RECORD_OPERATION)
        operation_check(p, s, &asked->sent, is);
    else if (is->kind == RECORD_GUARD)
        guard_check(p, s, &asked->sent.guard, &is->guard);
    (void)o;
}

/* A land lands exactly the records that it names. */
static void records_exact(const struct asked_request *r, const struct asked_session *s,
                          const struct session *landed)
{
    AUTO(arena_release) struct arena arena = {0};
    size_t n = s->whole ? s->n : r->n_ids;
    struct id16 *ids = arena_array(&arena, n + landed->n_records, struct id16);
    struct record *sent = arena_array(&arena, s->n, struct record);
    for (size_t i = 0; i < s->n; i++)
        sent[i] = s->records[i].sent;
    if (s->whole)
        n = records_ids(sent, s->n, ids);
    else
        memcpy(ids, r->ids, n * sizeof(*ids));
    struct id16 *are = ids + n;
    size_t n_are = records_ids(landed->records, landed->n_records, are);
    if (n != n_are || memcmp(ids, are, n * sizeof(*ids)) != 0)
        broken("serial", "session %s has landed %zu records, and its request names %zu",
               SHORT_ID(&s->id), n_are, n);
}

void oracle_landed_check(struct oracle *o, struct oracle_project *p,
                         const struct landing *landing)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct session *landed = &landing->landed;
    struct asked_session *s =
        ledger_session(o->ledger, (unsigned)(p - o->projects), &landing->session);
    if (!landing->has_session || s == NULL)
        broken("serial", "session %s has landed, and nobody has asked for it",
               SHORT_ID(&landing->session));
    struct asked_request *r = ledger_request(o->ledger, s, &landing->request);
    if (r == NULL || r->abandon)
        broken("serial", "session %s has landed by a request that nobody made",
               SHORT_ID(&s->id));
    if (!id16_equal(&landed->owner, &s->owner) || !id16_equal(&landing->owner, &s->owner))
        broken("serial", "session %s has landed for another", SHORT_ID(&s->id));
    for (size_t i = 0; i < landed->n_records; i++)
        record_check_sent(o, p, s, &landed->records[i]);
    if (s->whole || r->exact)
        records_exact(r, s, landed);
    struct net net;
    struct bytes path = {0};
    net_of(landed->records, landed->n_records, false, &arena, &net);
    const char *wrong = serial_land(&p->serial, &net, &path);
    if (wrong != NULL)
        broken("serial", "session %s at %lu, %.*s: %s", SHORT_ID(&s->id),
               (unsigned long)landing->position, (int)path.len, (const char *)path.data, wrong);
}

/* --- what has not --- */

static void conflict_check_one(const struct oracle_project *p, const struct landing *landing,
                               const struct conflict *c)
{
    const struct tree_model *now = serial_at(&p->serial, serial_position(&p->serial));
    struct seen there = c->what == CONFLICT_GUARD || c->what == CONFLICT_DIRECTORY
                            ? serial_guard(now, c->path)
                            : serial_seen(now, c->path);
    if (!seen_equal(&there, &c->there))
        broken("serial", "session %s conflicts with what is not there, at %.*s",
               SHORT_ID(&landing->session), (int)c->path.len, (const char *)c->path.data);
    bool way = c->what == CONFLICT_OPERATION || c->what == CONFLICT_GUARD;
    if (way && seen_equal(&c->seen, &c->there))
        broken("serial", "session %s conflicts at %.*s, which is as it had seen it",
               SHORT_ID(&landing->session), (int)c->path.len, (const char *)c->path.data);
    if (c->by > serial_position(&p->serial))
        broken("serial", "a conflict with a landing that is still to come");
}

static bool reason_is(const struct landing *landing, const char *reason)
{
    return bytes_equal(landing->reason, bytes_str(reason));
}

void oracle_refused_check(struct oracle *o, struct oracle_project *p,
                          const struct landing *landing, const struct asked_request *r)
{
    if (landing->verdict == VERDICT_CONFLICTED) {
        if (landing->n_listed == 0)
            broken("serial", "session %s conflicts with nothing", SHORT_ID(&landing->session));
        for (uint16_t i = 0; i < landing->n_listed; i++)
            conflict_check_one(p, landing, &landing->conflicts[i]);
    }
    if (landing->verdict != VERDICT_REFUSED)
        return;
    if (reason_is(landing, "damaged") || reason_is(landing, "limit"))
        broken("durable", "session %s is refused in a world without damage: %.*s",
               SHORT_ID(&landing->session), (int)landing->reason.len,
               (const char *)landing->reason.data);
    if (reason_is(landing, "session_closed") && oracle_closed(o, &landing->session) == NULL)
        broken("final", "session %s is refused as closed, and is not",
               SHORT_ID(&landing->session));
    /* A request names only what was durable when it was made. */
    if (reason_is(landing, "records_missing") && r != NULL)
        broken("durable", "session %s is refused for records that are there",
               SHORT_ID(&landing->session));
}

/* --- each --- */

/* The answers of a series: in its order, and not tried behind the first that did not land. */
static void series_check(const struct oracle *o, const struct asked_request *r,
                         const struct asked_session *s, const struct landing *landing)
{
    bool ended = false;
    for (size_t i = 0; i < r->n && r->sessions[i] != s; i++) {
        const struct known_answer *before =
            oracle_answer(o, &r->sessions[i]->id, &landing->request);
        if (before == NULL)
            broken("serial", "session %s is answered before an earlier one of its series",
                   SHORT_ID(&s->id));
        ended = ended || before->verdict != VERDICT_LANDED;
    }
    if (ended != (landing->verdict == VERDICT_NOT_TRIED))
        broken("serial", "session %s of a series: %s, and the series has%s ended",
               SHORT_ID(&s->id), verdict_name(landing->verdict), ended ? "" : " not");
}

static void count_verdict(enum verdict verdict)
{
    static const enum count counts_of[] = {[VERDICT_LANDED] = COUNT_LANDED,
                                           [VERDICT_CONFLICTED] = COUNT_CONFLICTED,
                                           [VERDICT_REFUSED] = COUNT_REFUSED,
                                           [VERDICT_NOT_TRIED] = COUNT_NOT_TRIED,
                                           [VERDICT_ABANDONED] = COUNT_ABANDONED};
    count(counts_of[verdict]);
}

static void request_check(struct oracle *o, struct oracle_project *p,
                          const struct landing *landing, uint64_t hlc)
{
    struct asked_session *s =
        ledger_session(o->ledger, (unsigned)(p - o->projects), &landing->session);
    bool strange = s == NULL || !id16_equal(&s->owner, &landing->owner);
    struct asked_request *r = strange ? NULL : ledger_request(o->ledger, s, &landing->request);
    if (strange && landing->verdict != VERDICT_REFUSED)
        broken("serial", "session %s: a stranger's request is %s", SHORT_ID(&landing->session),
               verdict_name(landing->verdict));
    if (r != NULL && r->never)
        broken("final", "session %s: a request that was told not to be taken has an answer",
               SHORT_ID(&landing->session));
    if (r != NULL && landing->hlc <= r->floor)
        broken("causal", "session %s: a request of %.3f s, and its sender had seen %.3f s",
               SHORT_ID(&landing->session), sim_stamp_s(landing->hlc), sim_stamp_s(r->floor));
    if (hlc <= landing->hlc && !o->profile->clock_off && o->profile->skew_ms <= 14000)
        broken("causal", "session %s: the answer is not later than the request",
               SHORT_ID(&landing->session));
    if (r != NULL && r->n > 1)
        series_check(o, r, s, landing);
    if (landing->verdict == VERDICT_ABANDONED && (r == NULL || !r->abandon))
        broken("serial", "session %s is abandoned, and nobody has asked for that",
               SHORT_ID(&landing->session));
    if (landing->verdict != VERDICT_LANDED)
        oracle_refused_check(o, p, landing, r);
}

void oracle_answer_add(struct oracle *o, struct oracle_project *p,
                       const struct landing *landing, const struct hash *tree, uint64_t hlc)
{
    const struct known_answer *closed = oracle_closed(o, &landing->session);
    bool lands = landing->verdict == VERDICT_LANDED;
    if (oracle_answer(o, &landing->session, &landing->request) != NULL)
        broken("once", "session %s: a request has two answers", SHORT_ID(&landing->session));
    if (closed != NULL && lands)
        broken("once", "session %s lands at %lu, and was %s at %lu before",
               SHORT_ID(&landing->session), (unsigned long)landing->position,
               verdict_name(closed->verdict), (unsigned long)closed->position);
    if (closed != NULL && landing->verdict == VERDICT_ABANDONED)
        broken("final", "session %s is abandoned, and was %s before",
               SHORT_ID(&landing->session), verdict_name(closed->verdict));
    if ((lands || landing->verdict == VERDICT_ABANDONED) && !landing->closes)
        broken("once", "session %s is answered for good, and stays open",
               SHORT_ID(&landing->session));
    request_check(o, p, landing, hlc);
    if (lands)
        oracle_landed_check(o, p, landing);
    if (landing->position != serial_position(&p->serial))
        broken("atomic", "session %s is answered at %lu, after %lu landings",
               SHORT_ID(&landing->session), (unsigned long)landing->position,
               (unsigned long)serial_position(&p->serial));
    count_verdict(landing->verdict);
    answer_keep(o, p, landing, tree);
    trace("  session %s: %s at %lu", SHORT_ID(&landing->session),
          verdict_name(landing->verdict), (unsigned long)landing->position);
}
