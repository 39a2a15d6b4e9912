/* After the answers: open sessions are folded into their objects, closed ones are retired, and
 * queue objects that are settled are deleted. All of it may be done again, or by another drain,
 * and changes nothing. */
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "pipeline/repo/put_once.h"
#include "pipeline/stages/land.h"
#include "pipeline/sys/log.h"

#define BURY_ATTEMPTS_MAX 8u

/* --- fates --- */

static bool is_request(const struct record *record)
{
    return record->kind == RECORD_LAND || record->kind == RECORD_ABANDON;
}

/* Counts, for each group, the requests in it that have no answer yet, and whether it has
 * anything else. What belongs to a request that is lost is lost with it. */
static void groups_scan(struct project_round *round)
{
    for (size_t i = 0; i < round->n_requests; i++) {
        struct request *r = &round->requests[i];
        r->group->unanswered += !r->answered;
        r->group->dead = r->group->dead || r->lost;
        r->work->lost = r->work->lost || r->lost;
    }
    for (size_t i = 0; i < round->n_works; i++) {
        struct work *work = &round->works[i];
        for (size_t k = 0; k < work->n; k++) {
            struct group *group = work->groups[k];
            for (uint32_t m = 0; m < group->group->n && !group->others; m++)
                group->others = !is_request(&group->group->records[m]);
        }
    }
}

static bool is_due(const struct land *land, const struct work *work, uint64_t more_ms)
{
    uint64_t now = land->repo->clock->wall_ms(land->repo->clock);
    return hlc_ms(work->oldest_hlc) + land->options.fold_after_ms + more_ms <= now;
}

/* What came whole is folded nowhere: its land, which is in the queue, brings an answer. */
bool land_fold_is_due(const struct land *land, const struct work *work)
{
    return work->n > 0 && !work->whole && !work->lost && is_due(land, work, 0);
}

/* False when it has to be looked up first. */
static bool closed_find(struct land *land, struct work *work)
{
    static const struct id16 no_request;
    struct answer answer;
    bool known =
        answered_find(land_answered(land, &work->project), &work->id, &no_request, &answer);
    work->closed = known && answer.closed;
    return known;
}

void land_work_lose(struct work *work, const char *why, int err)
{
    log_error("session_lost", LOG_STR("session", id16_hex(&work->id).s), LOG_STR("why", why),
              LOG_ERR(err));
    work->lost = true;
}

/* A session that came whole has no object. */
static void work_choose(struct land *land, struct work *work)
{
    bool fold = land_fold_is_due(land, work) || (work->fold && work->n > 0 && !work->whole);
    if (work->lost)
        return;
    if (!work->closed && fold && !closed_find(land, work))
        return;
    if (work->closed)
        work->step = SETTLE_RETIRE;
    else if (fold)
        work->step = SETTLE_FOLD;
    if (work->closed && work->whole && !work->object_read) {
        work->step = SETTLE_NOTHING;
        work->settled = true;
    }
}

/* What came of it. */
static int work_settle(struct land *land, struct work *work)
{
    int err = work->err;
    bool fold = work->step == SETTLE_FOLD;
    if (fold && (err == ERR_CORRUPT || err == ERR_LIMIT)) {
        land_work_lose(work, "object", err);
        return OK;
    }
    if (fold && err == ERR_NOT_FOUND) {
        /* Its start is on the way, or never comes. */
        if (land->complete && is_due(land, work, land->options.missing_after_ms))
            land_work_lose(work, "start", err);
        return OK;
    }
    work->settled = err == OK;
    if (work->put_off)
        return OK;
    if (err != OK)
        log_warn("session_not_settled", LOG_STR("session", id16_hex(&work->id).s),
                 LOG_ERR(err));
    return err;
}

static int works_settle(struct land *land, struct project_round *round)
{
    struct work **works = arena_array(&land->arena, round->n_works, struct work *);
    size_t n = 0;
    for (size_t i = 0; i < round->n_works; i++) {
        work_choose(land, &round->works[i]);
        if (round->works[i].step != SETTLE_NOTHING)
            works[n++] = &round->works[i];
    }
    land_objects_settle(land, works, n);
    int first = OK;
    for (size_t i = 0; i < round->n_works; i++) {
        struct work *work = &round->works[i];
        int err = work->step != SETTLE_NOTHING ? work_settle(land, work) : OK;
        first = first == OK ? err : first;
    }
    return first;
}

static int tip_advance(struct land *land, const struct id16 *project)
{
    struct head head;
    struct etag etag;
    const struct batch *tip;
    int err = chain_head(land->repo, project, &head, &etag);
    if (err == OK)
        err = chain_tip(land->repo, project, &head, &tip);
    if (err != OK)
        return err;
    err = answered_advance(land_answered(land, project), tip);
    chain_drop(land->repo, tip);
    return err;
}

/* Another drain may have answered a session for good while this one put its object, and have
 * left no tombstone, because the session came whole besides: then nobody else knows that there
 * is an object. One read of the head for all that were folded. */
static int folded_check(struct land *land, struct project_round *round)
{
    struct work **folded = arena_array(&land->arena, round->n_works, struct work *);
    struct work **closed = arena_array(&land->arena, round->n_works, struct work *);
    size_t n = 0;
    size_t n_closed = 0;
    for (size_t i = 0; i < round->n_works; i++) {
        if (round->works[i].folded)
            folded[n++] = &round->works[i];
    }
    int err = n == 0 ? OK : tip_advance(land, &round->project);
    for (size_t i = 0; i < n && err == OK; i++) {
        if (!closed_find(land, folded[i]))
            err = ERR_AGAIN;
        if (err == OK && folded[i]->closed) {
            folded[i]->step = SETTLE_RETIRE;
            closed[n_closed++] = folded[i];
        }
    }
    if (err == OK)
        land_objects_settle(land, closed, n_closed);
    for (size_t i = 0; i < n; i++) {
        if (err == OK && folded[i]->closed)
            err = folded[i]->err;
    }
    for (size_t i = 0; i < n && err != OK; i++)
        folded[i]->settled = false;
    return err;
}

/* A request stays until the sessions that it has closed are put away: once they are answered,
 * nothing else leads to their objects. */
static void groups_hold(struct project_round *round)
{
    for (size_t i = 0; i < round->n_requests; i++) {
        const struct work *work = round->requests[i].work;
        if (work->closed && !work->settled && !work->lost)
            round->requests[i].group->held = true;
    }
}

static enum fate group_fate(const struct work *work, const struct group *group)
{
    bool foreign = work->owned && !id16_equal(&group->group->owner, &work->session.owner);
    bool settled = work->settled || foreign || !group->others;
    if (group->unanswered == 0 && settled && !group->held)
        return FATE_SETTLED;
    /* A request that can still be answered keeps its group in the queue. */
    bool dead = group->dead || (work->lost && group->unanswered == 0);
    return dead ? FATE_DEAD : FATE_WAITS;
}

int land_settle_project(struct land *land, struct project_round *round)
{
    groups_scan(round);
    int first = works_settle(land, round);
    int err = folded_check(land, round);
    first = first == OK ? err : first;
    groups_hold(round);
    for (size_t i = 0; i < round->n_works; i++) {
        struct work *work = &round->works[i];
        for (size_t k = 0; k < work->n; k++)
            work->groups[k]->fate = group_fate(work, work->groups[k]);
    }
    return first;
}

/* --- the queue --- */

/* Puts the groups as one object under `key`, which is spelled of the shard, `hlc`, `agent` and
 * `seq`. ERR_CONFLICT: something else lies there. */
static int groups_put(struct land *land, const struct key *key, uint64_t hlc, uint64_t agent,
                      uint64_t seq, const struct queue_group *const *groups, size_t n)
{
    AUTO_BUF bytes = {0};
    queue_object_begin(&bytes, hlc, agent, seq);
    for (size_t i = 0; i < n; i++)
        queue_group_write(&bytes, groups[i]);
    queue_object_finish(&bytes, (uint32_t)n);
    return put_once(land->repo, key->s, buf_bytes(&bytes));
}

/* Named by the object that it comes from and its place in it: however often it is done again,
 * there is one. Where garbage has taken the name there is another. */
static int group_bury(struct land *land, uint32_t shard, const struct group *group)
{
    const struct queue_object *from = &group->from->object;
    uint64_t name[3] = {from->seq, (uint64_t)(group->group - from->groups), 0};
    int err = ERR_CONFLICT;
    for (; err == ERR_CONFLICT && name[2] < BURY_ATTEMPTS_MAX; name[2]++) {
        uint64_t seq = xxh3_64(bytes_of(name, sizeof(name)));
        struct key key = key_dead(shard, from->hlc, from->agent, seq);
        err = groups_put(land, &key, from->hlc, from->agent, seq, &group->group, 1);
    }
    if (err != OK)
        return err;
    log_error("record_dead", LOG_STR("project", id16_hex(&group->group->project).s),
              LOG_STR("session", id16_hex(&group->group->session).s));
    return OK;
}

int land_settle_dead(struct land *land, uint32_t shard, struct group *groups, size_t n)
{
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        if (groups[i].fate != FATE_DEAD)
            continue;
        int err = first == OK ? group_bury(land, shard, &groups[i]) : first;
        groups[i].fate = err == OK ? FATE_SETTLED : FATE_WAITS;
        first = err;
    }
    return first;
}

/* What a queue object still has that waits. */
struct leftover {
    struct queued *queued;
    const struct group *groups; /* those of this round */
    size_t n_groups;
    bool waits;
    bool merge;
};

static int size_order(const void *a, const void *b)
{
    const struct leftover *left = *(struct leftover *const *)a;
    const struct leftover *right = *(struct leftover *const *)b;
    return (left->queued->size > right->queued->size) -
           (left->queued->size < right->queued->size);
}

/* Which objects are to be put together: the smallest of those that wait, as many as one object
 * holds. The largest of them stays where it is unless the others have as many bytes: so bytes
 * are put again a logarithmic number of times. */
static bool merge_choose(struct land *land, struct leftover *left, size_t n)
{
    struct leftover **waiting = arena_array(&land->arena, n, struct leftover *);
    size_t n_waiting = 0;
    for (size_t i = 0; i < n; i++) {
        if (left[i].waits)
            waiting[n_waiting++] = &left[i];
    }
    if (n_waiting <= LAND_WAITING_MAX)
        return false;
    qsort(waiting, n_waiting, sizeof(*waiting), size_order);
    size_t chosen = 0;
    uint64_t bytes = 0;
    while (chosen < n_waiting && bytes + waiting[chosen]->queued->size <= QUEUE_OBJECT_MAX / 2)
        bytes += waiting[chosen++]->queued->size;
    if (chosen > 0 && waiting[chosen - 1]->queued->size > bytes / 2)
        chosen--;
    for (size_t i = 0; i < chosen && chosen > 1; i++)
        waiting[i]->merge = true;
    return chosen > 1;
}

static void leftover_fill(struct leftover *left, const struct group *groups, size_t n)
{
    size_t settled = 0;
    left->groups = groups;
    while (left->n_groups < n && groups[left->n_groups].from == left->queued)
        settled += groups[left->n_groups++].fate == FATE_SETTLED;
    left->waits = settled < left->queued->object.n;
}

/* The groups of the object that wait: those that this round has not settled. */
static size_t leftover_groups(const struct leftover *left, const struct queue_group **out)
{
    const struct queue_object *object = &left->queued->object;
    size_t n = 0;
    for (size_t i = 0, at = 0; i < object->n; i++) {
        bool settled = false;
        if (at < left->n_groups && left->groups[at].group == &object->groups[i])
            settled = left->groups[at++].fate == FATE_SETTLED;
        if (!settled)
            out[n++] = &object->groups[i];
    }
    return n;
}

static int queue_merge(struct land *land, uint32_t shard, const struct leftover *left, size_t n)
{
    size_t max = 0;
    for (size_t i = 0; i < n; i++)
        max += left[i].merge ? left[i].queued->object.n : 0;
    const struct queue_group **waiting =
        arena_array(&land->arena, max, const struct queue_group *);
    size_t n_waiting = 0;
    for (size_t i = 0; i < n; i++) {
        if (left[i].merge)
            n_waiting += leftover_groups(&left[i], waiting + n_waiting);
    }
    uint64_t hlc = repo_hlc(land->repo); /* one agent gives every stamp once */
    struct key key = key_queue(shard, hlc, land->repo->agent, hlc);
    return groups_put(land, &key, hlc, land->repo->agent, hlc, waiting, n_waiting);
}

int land_settle_queue(struct land *land, uint32_t shard, struct queued **queued, size_t n,
                      const struct group *groups, size_t n_groups)
{
    struct leftover *left = arena_array(&land->arena, n, struct leftover);
    for (size_t i = 0, at = 0; i < n; i++) {
        left[i].queued = queued[i];
        leftover_fill(&left[i], groups + at, n_groups - at);
        at += left[i].n_groups;
    }
    int err = OK;
    bool merged = merge_choose(land, left, n);
    if (merged) {
        err = queue_merge(land, shard, left, n);
        merged = err == OK;
    }
    struct store_op *ops = arena_array(&land->arena, n, struct store_op);
    size_t n_ops = 0;
    for (size_t i = 0; i < n; i++) {
        if (left[i].waits && !(merged && left[i].merge))
            continue;
        left[i].queued->settled = true;
        if (!land->options.delete_late)
            ops[n_ops++] =
                (struct store_op){.verb = STORE_DELETE, .key = left[i].queued->key.s};
    }
    int err_deletes = n_ops == 0 ? OK : store_many(land->repo->store, ops, n_ops);
    return err == OK ? err_deletes : err;
}
