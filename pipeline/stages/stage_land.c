/* The landing stage: drains queue shards. A round reads a shard's queue, picks the sessions
 * that somebody asks to land or that are due to be folded, and works project by project. What
 * it keeps between rounds is cache. */
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "pipeline/stages/land.h"
#include "pipeline/sys/log.h"

/* Projects whose answers a drain remembers. */
#define MEMORY_MAX 256u

struct project_memory *land_memory(struct land *land, const struct id16 *project)
{
    struct project_memory *oldest = NULL;
    for (size_t i = 0; i < land->n_memory; i++) {
        struct project_memory *m = &land->memory[i];
        if (id16_equal(&m->project, project)) {
            m->used = land->round;
            return m;
        }
        if (oldest == NULL || m->used < oldest->used)
            oldest = m;
    }
    if (land->n_memory < MEMORY_MAX) {
        oldest = &land->memory[land->n_memory++];
    } else {
        assert(oldest != NULL);
        answered_close(oldest->answered);
    }
    *oldest = (struct project_memory){.project = *project,
                                      .answered = answered_open(land->repo, project),
                                      .used = land->round};
    return oldest;
}

struct answered *land_answered(struct land *land, const struct id16 *project)
{
    return land_memory(land, project)->answered;
}

/* --- which sessions a round works on --- */

/* A set of session ids, open addressing; an all-zero id is an empty slot. */
struct id_set {
    struct id16 *slots;
    size_t n_slots; /* a power of two */
};

static void id_set_init(struct id_set *set, struct arena *arena, size_t n)
{
    set->n_slots = 16;
    while (set->n_slots < 2 * n)
        set->n_slots *= 2;
    set->slots = arena_array(arena, set->n_slots, struct id16);
}

static struct id16 *id_set_slot(const struct id_set *set, const struct id16 *id)
{
    size_t i = (size_t)xxh3_64(bytes_of(id->b, sizeof(id->b))) & (set->n_slots - 1);
    while (!id16_is_zero(&set->slots[i]) && !id16_equal(&set->slots[i], id))
        i = (i + 1) & (set->n_slots - 1);
    return &set->slots[i];
}

static uint64_t group_oldest(const struct queue_group *group)
{
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < group->n; i++) {
        if (group->records[i].hlc < oldest)
            oldest = group->records[i].hlc;
    }
    return oldest;
}

static size_t sessions_named(const struct queue_group *group)
{
    size_t n = 1;
    for (uint32_t i = 0; i < group->n; i++) {
        if (group->records[i].kind == RECORD_LAND)
            n += group->records[i].land.n;
    }
    return n;
}

static void sessions_pick(struct id_set *set, const struct queue_group *group, uint64_t due_hlc)
{
    for (uint32_t i = 0; i < group->n; i++) {
        const struct record *record = &group->records[i];
        if (record->kind == RECORD_ABANDON || record->hlc <= due_hlc)
            *id_set_slot(set, &group->session) = group->session;
        if (record->kind != RECORD_LAND)
            continue;
        *id_set_slot(set, &group->session) = group->session;
        for (uint32_t k = 0; k < record->land.n; k++)
            *id_set_slot(set, &record->land.items[k].session) = record->land.items[k].session;
    }
}

/* --- the round --- */

struct round {
    struct land *land;
    uint32_t shard;
    struct queued **queued;
    size_t n_queued;
    struct group *groups; /* of the picked sessions, in the order of the queue */
    size_t n_groups;
    struct group **chosen; /* the same, by project and session */
};

static int group_order(const void *a, const void *b)
{
    const struct group *left = *(struct group *const *)a;
    const struct group *right = *(struct group *const *)b;
    int order = id16_compare(&left->group->project, &right->group->project);
    if (order == 0)
        order = id16_compare(&left->group->session, &right->group->session);
    return order != 0 ? order : (left > right) - (left < right);
}

/* Whether anything in it makes the round work on some session. */
static bool queued_asks(const struct queued *q, uint64_t due_hlc)
{
    return q->has_request || q->oldest_hlc <= due_hlc;
}

static bool round_has_work(const struct round *round, uint64_t due_hlc)
{
    for (size_t i = 0; i < round->n_queued; i++) {
        if (queued_asks(round->queued[i], due_hlc))
            return true;
    }
    return false;
}

static void round_add(struct round *round, struct queued *from, const struct queue_group *group,
                      size_t *cap)
{
    void *items = round->groups;
    struct group *slot =
        arena_push(&round->land->arena, &items, &round->n_groups, cap, sizeof(*slot));
    round->groups = items;
    *slot = (struct group){.from = from, .group = group};
}

/* Of what only waits no more is looked at than whose it is: there may be much of it. */
static void round_choose(struct round *round, uint64_t due_hlc)
{
    struct arena *arena = &round->land->arena;
    size_t named = 0;
    for (size_t i = 0; i < round->n_queued; i++)
        named += queued_asks(round->queued[i], due_hlc) ? round->queued[i]->named : 0;
    struct id_set picked;
    id_set_init(&picked, arena, named);
    for (size_t i = 0; i < round->n_queued; i++) {
        const struct queue_object *object = &round->queued[i]->object;
        for (uint32_t k = 0; k < object->n && queued_asks(round->queued[i], due_hlc); k++)
            sessions_pick(&picked, &object->groups[k], due_hlc);
    }
    size_t cap = 0;
    for (size_t i = 0; i < round->n_queued; i++) {
        const struct queue_object *object = &round->queued[i]->object;
        for (uint32_t k = 0; k < object->n; k++) {
            if (!id16_is_zero(id_set_slot(&picked, &object->groups[k].session)))
                round_add(round, round->queued[i], &object->groups[k], &cap);
        }
    }
    round->chosen = arena_array(arena, round->n_groups, struct group *);
    for (size_t i = 0; i < round->n_groups; i++)
        round->chosen[i] = &round->groups[i];
    qsort(round->chosen, round->n_groups, sizeof(*round->chosen), group_order);
}

/* --- one project --- */

/* All at once: merging one by one costs as many passes over the session, in time and in
 * memory. */
void land_work_merge(struct land *land, struct work *work)
{
    size_t n = 0;
    for (size_t i = 0; i < work->n; i++)
        n += work->groups[i]->group->n;
    struct record *records = arena_array(&land->arena, n, struct record);
    size_t at = 0;
    for (size_t i = 0; i < work->n; i++) {
        const struct queue_group *group = work->groups[i]->group;
        if (!id16_equal(&group->owner, &work->session.owner))
            continue;
        memcpy(&records[at], group->records, group->n * sizeof(*records));
        at += group->n;
    }
    session_merge(&work->session, &land->arena, records, at);
}

static void work_init_bare(struct work *work, const struct id16 *project, const struct id16 *id)
{
    *work = (struct work){.project = *project, .id = *id, .oldest_hlc = UINT64_MAX};
    work->session = (struct session){.id = *id, .state = SESSION_OPEN, .project = *project};
}

static void work_init(struct land *land, struct work *work, struct group **groups, size_t n)
{
    work_init_bare(work, &groups[0]->group->project, &groups[0]->group->session);
    work->groups = groups;
    work->n = n;
    for (size_t i = 0; i < n; i++) {
        const struct queue_group *group = groups[i]->group;
        uint64_t oldest = group_oldest(group);
        if (oldest < work->oldest_hlc)
            work->oldest_hlc = oldest;
        for (uint32_t k = 0; k < group->n && !work->owned; k++) {
            const struct record *record = &group->records[k];
            if (record->kind != RECORD_START)
                continue;
            struct id16 id = session_id(&group->project, &group->owner, record->start.key,
                                        record->start.base);
            work->owned = id16_equal(&id, &work->id);
            work->session.owner = group->owner;
        }
    }
    if (work->owned)
        land_work_merge(land, work);
}

static struct work *work_find(struct project_round *round, const struct id16 *session)
{
    size_t low = 0;
    size_t high = round->n_works;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = id16_compare(&round->works[middle].id, session);
        if (order == 0)
            return &round->works[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int request_order(const void *a, const void *b)
{
    const struct request *left = a;
    const struct request *right = b;
    if (left->record->hlc != right->record->hlc)
        return left->record->hlc < right->record->hlc ? -1 : 1;
    int order = id16_compare(&left->record->id, &right->record->id);
    if (order != 0)
        return order;
    return (left->series > right->series) - (left->series < right->series);
}

static int copy_order(const void *a, const void *b)
{
    const struct request *left = *(struct request *const *)a;
    const struct request *right = *(struct request *const *)b;
    int order = id16_compare(&left->record->id, &right->record->id);
    if (order == 0)
        order = (left->series > right->series) - (left->series < right->series);
    return order != 0 ? order : (left > right) - (left < right);
}

/* Two copies of one record are one request: the lower hlc counts. */
static void copies_mark(struct land *land, struct project_round *round)
{
    struct request **all = arena_array(&land->arena, round->n_requests, struct request *);
    for (size_t i = 0; i < round->n_requests; i++)
        all[i] = &round->requests[i];
    qsort(all, round->n_requests, sizeof(*all), copy_order);
    for (size_t i = 1; i < round->n_requests; i++) {
        struct request *before = all[i - 1];
        if (id16_equal(&before->record->id, &all[i]->record->id) &&
            before->series == all[i]->series)
            all[i]->copy_of = before->copy_of != NULL ? before->copy_of : before;
    }
}

/* Whether the session comes whole, with this land: which it does not where the land is known to
 * be another's. */
static bool comes_whole(const struct request *r)
{
    const struct work *work = r->work;
    return r->record->land.whole &&
           (!work->owned || id16_equal(&work->session.owner, &r->group->group->owner));
}

static void requests_collect(struct land *land, struct project_round *round)
{
    size_t cap = 0;
    for (size_t i = 0; i < round->n_works; i++) {
        for (size_t k = 0; k < round->works[i].n; k++)
            cap += sessions_named(round->works[i].groups[k]->group) +
                   round->works[i].groups[k]->group->n;
    }
    round->requests = arena_array(&land->arena, cap, struct request);
    for (size_t i = 0; i < round->n_works; i++) {
        struct work *work = &round->works[i];
        for (size_t k = 0; k < work->n; k++) {
            struct group *group = work->groups[k];
            for (uint32_t m = 0; m < group->group->n; m++) {
                const struct record *record = &group->group->records[m];
                struct request r = {.record = record, .work = work, .group = group};
                if (record->kind == RECORD_ABANDON) {
                    work->asked = true;
                    round->requests[round->n_requests++] = r;
                }
                if (record->kind != RECORD_LAND)
                    continue;
                for (uint32_t s = 0; s < record->land.n; s++) {
                    r.series = s;
                    r.item = &record->land.items[s];
                    r.work = work_find(round, &r.item->session);
                    assert(r.work != NULL);
                    r.work->asked = true;
                    r.work->whole = r.work->whole || comes_whole(&r);
                    round->requests[round->n_requests++] = r;
                }
            }
        }
    }
    qsort(round->requests, round->n_requests, sizeof(*round->requests), request_order);
    copies_mark(land, round);
}

static int work_order(const void *a, const void *b)
{
    const struct work *left = a;
    const struct work *right = b;
    return id16_compare(&left->id, &right->id);
}

/* One work a session, also for those of which the queue has nothing but that a land names them:
 * their records may be on the way, or in the object. */
static void works_collect(struct land *land, struct project_round *round, struct group **groups,
                          size_t n)
{
    size_t named = 0;
    for (size_t i = 0; i < n; i++)
        named += sessions_named(groups[i]->group);
    round->works = arena_array(&land->arena, n + named, struct work);
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && id16_equal(&groups[end]->group->session, &groups[i]->group->session))
            end++;
        work_init(land, &round->works[round->n_works++], &groups[i], end - i);
        i = end;
    }
    struct work *more = &round->works[round->n_works];
    size_t n_more = 0;
    for (size_t i = 0; i < n; i++) {
        const struct queue_group *group = groups[i]->group;
        for (uint32_t k = 0; k < group->n; k++) {
            const struct record *record = &group->records[k];
            for (uint32_t s = 0; record->kind == RECORD_LAND && s < record->land.n; s++) {
                const struct id16 *id = &record->land.items[s].session;
                if (work_find(round, id) == NULL)
                    work_init_bare(&more[n_more++], &group->project, id);
            }
        }
    }
    if (n_more == 0)
        return;
    qsort(more, n_more, sizeof(*more), work_order);
    for (size_t i = 0; i < n_more; i++) {
        if (i == 0 || !id16_equal(&more[i - 1].id, &more[i].id))
            round->works[round->n_works++] = more[i];
    }
    qsort(round->works, round->n_works, sizeof(*round->works), work_order);
}

/* Whether somebody asks for an answer while the head rests. What comes meanwhile is taken
 * along. */
static bool project_rests(struct land *land, struct group **groups, size_t n)
{
    bool asks = false;
    for (size_t i = 0; i < n && !asks; i++)
        asks = groups[i]->from->has_request;
    struct key head = key_head(&groups[0]->group->project);
    return asks && land_pace_put_off(&land->pace, head.s);
}

/* Works through the groups [0, n) of one project. */
static int project_run(struct land *land, struct group **groups, size_t n, uint32_t *decided)
{
    struct project_round round = {.project = groups[0]->group->project};
    if (project_rests(land, groups, n))
        return OK;
    works_collect(land, &round, groups, n);
    requests_collect(land, &round);
    int err = land_project(land, &round);
    *decided += round.decided + round.looked;
    if (err == ERR_CORRUPT || err == ERR_NOT_FOUND) {
        for (size_t i = 0; i < n; i++)
            groups[i]->fate = FATE_DEAD;
    } else if (err == OK) {
        err = land_settle_project(land, &round);
        err = round.err != OK ? round.err : err;
    }
    if (err != OK)
        log_warn("project_not_drained", LOG_STR("project", id16_hex(&round.project).s),
                 LOG_ERR(err));
    return err == ERR_CORRUPT || err == ERR_NOT_FOUND ? OK : err;
}

/* Whether the list shows work, and it is for this drain to do. */
static bool shard_is_ours(struct land *land, uint32_t shard, const struct shard_list *list,
                          uint64_t due_hlc)
{
    bool work = false;
    size_t n_read = 0;
    uint64_t oldest = UINT64_MAX;
    uint64_t newest = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct queued *q = list->queued[i];
        if (q->damaged || q->settled)
            continue;
        work = work || !q->read || queued_asks(q, due_hlc);
        n_read += q->read;
        oldest = q->hlc < oldest ? q->hlc : oldest;
        newest = q->hlc > newest ? q->hlc : newest;
    }
    if (!work && n_read <= LAND_WAITING_MAX) {
        shard_lease_idle(land->leases, shard);
        return false;
    }
    if (shard_lease_hold(land->leases, shard))
        return true;
    if (shard_lease_watch(land->leases, shard, oldest, newest))
        land->stage.waits = true;
    return false;
}

/* One round over one shard. Gives how many groups it settled, or an error when nothing could be
 * done. */
static int shard_run(struct land *land, uint32_t shard)
{
    struct round round = {.land = land, .shard = shard};
    struct shard_list list;
    int err = land_queue_list(land, shard, &list);
    if (err != OK)
        return err;
    uint64_t now = land->repo->clock->wall_ms(land->repo->clock);
    uint64_t fold_after = land->options.fold_after_ms;
    uint64_t due_hlc = now > fold_after ? hlc_make(now - fold_after, 0) : 0;
    if (!shard_is_ours(land, shard, &list, due_hlc))
        return land_queue_rest(land, shard, &list);
    land_queue_read(land, shard, &list, &round.queued, &round.n_queued);
    if (!round_has_work(&round, due_hlc) && round.n_queued <= LAND_WAITING_MAX)
        return 0;
    round_choose(&round, due_hlc);
    uint32_t decided = 0;
    int first = OK;
    /* A lease that is lost changes nothing of what is done, but the rest is another's. */
    for (size_t i = 0; i < round.n_groups && shard_lease_hold(land->leases, shard);) {
        size_t end = i + 1;
        while (end < round.n_groups &&
               id16_equal(&round.chosen[end]->group->project, &round.chosen[i]->group->project))
            end++;
        err = project_run(land, &round.chosen[i], end - i, &decided);
        first = first == OK ? err : first;
        i = end;
    }
    err = land_settle_dead(land, shard, round.groups, round.n_groups);
    int err_queue = land_settle_queue(land, shard, round.queued, round.n_queued, round.groups,
                                      round.n_groups);
    err = err == OK ? err_queue : err;
    first = first == OK ? err : first;
    /* What could not be put away is found again by the next round: no progress, or a store that
     * refuses would be asked without a pause, and so would one while a part of an object waits.
     */
    int settled = 0;
    for (size_t i = 0; i < round.n_groups && err == OK; i++)
        settled += round.groups[i].from->settled && round.groups[i].fate == FATE_SETTLED;
    return settled > 0 || decided > 0 ? settled + (int)decided : first;
}

static int stage_land_run(struct stage *stage)
{
    struct land *land = (struct land *)stage;
    int err = repo_clock_ok(land->repo);
    if (err != OK)
        return err;
    int total = 0;
    stage->waits = false;
    land->pace.least_us = 0;
    for (uint32_t shard = land->options.shard_first; shard < land->options.shard_end; shard++) {
        land->round++;
        int did = shard_run(land, shard);
        shard_lease_failing(land->leases, shard, did < 0);
        arena_release(&land->arena);
        if (did < 0)
            err = err == OK ? did : err;
        else
            total += did;
    }
    stage->again_ms = (land->pace.least_us + 999) / 1000;
    stage->waits = stage->waits || stage->again_ms > 0;
    return total > 0 ? total : err;
}

static void stage_land_close(struct stage *stage)
{
    struct land *land = (struct land *)stage;
    land_queue_end(land);
    shard_leases_close(land->leases);
    for (size_t i = 0; i < land->n_queued; i++)
        land_queued_free(land->queued[i]);
    for (size_t i = 0; i < land->n_memory; i++)
        answered_close(land->memory[i].answered);
    put_times_release(&land->pace.times);
    free(land->queued);
    free(land->memory);
    arena_release(&land->arena);
    free(land);
}

struct stage *stage_land_open(struct repo *repo, const struct land_options *options)
{
    struct land *land = calloc(1, sizeof(*land));
    struct project_memory *memory = calloc(MEMORY_MAX, sizeof(*memory));
    if (land == NULL || memory == NULL)
        abort();
    land->stage =
        (struct stage){.name = "land", .run = stage_land_run, .close = stage_land_close};
    land->repo = repo;
    land->pace.repo = repo;
    land->options = *options;
    land->leases = shard_leases_open(repo, options->shard_first, options->shard_end,
                                     options->lease_ms, options->lease_claim);
    land->memory = memory;
    return &land->stage;
}
