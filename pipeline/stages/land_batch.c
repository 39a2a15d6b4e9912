/* One project's batch: decide each request against the tree as the ones before it left it,
 * build one tree object out of all answers, and make it true with one conditional put of the
 * head. */
#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/path.h"
#include "pipeline/repo/judge.h"
#include "pipeline/repo/put_once.h"
#include "pipeline/repo/tree/snapshot.h"
#include "pipeline/stages/land.h"
#include "pipeline/sys/log.h"

/* Attempts at one head put before the rest is left for the next round. */
#define ATTEMPTS_MAX 64u
#define BACKOFF_US   2000u
/* Older batches that a round reads before a batch of its own; who needs more waits outside. */
#define READS_MAX 64u

struct attempt {
    struct land *land;
    struct project_round *round;
    struct answered *answered;
    struct arena arena;
    struct head head;
    struct etag etag;
    const struct batch *tip;
    /* Read when the first session names an upload: after the head, which is what makes it
     * right. A run that is opened later fences before its second mark, so that the put of this
     * head gets 412. A batch in which no session names one needs no look at it, for nothing
     * else that it relies on can be condemned: its tree object is new, and all others are named
     * by the chain up to its head. */
    struct judge_uploads uploads;
    struct tree_edit *edit;
    struct tree_build build;
    uint64_t position;
    size_t decided; /* answers in the build */
    size_t landed;
    struct request *last_landed;
    size_t decided_max;
    bool cut; /* full before every request was looked at */
    /* The series under way: the record that asks for it, and what the sessions so far mean for
     * those that follow. */
    const struct id16 *series;
    bool series_ended;
    bool series_waits;
    bool series_lost;
    bool half; /* a session may be applied by half: the batch cannot be committed */
    bool redo; /* begin anew, with a batch of one answer */
};

static void attempt_release(struct attempt *a)
{
    chain_drop(a->land->repo, a->tip);
    condemned_drop(a->uploads.condemned);
    if (a->edit != NULL)
        tree_edit_close(a->edit);
    tree_build_release(&a->build);
    arena_release(&a->arena);
}

/* The batch goes on from the head as it is now. */
static int tip_take(struct attempt *a)
{
    struct repo *repo = a->land->repo;
    const struct id16 *project = &a->round->project;
    chain_drop(repo, a->tip);
    a->tip = NULL;
    struct project_memory *memory = land_memory(a->land, project);
    int err = OK;
    if (memory->head_round == a->land->round) {
        a->head = memory->head;
        a->etag = memory->etag;
        memory->head_round = 0;
    } else {
        err = chain_head(repo, project, &a->head, &a->etag);
    }
    if (err == OK)
        err = chain_tip(repo, project, &a->head, &a->tip);
    return err == OK ? answered_advance(a->answered, a->tip) : err;
}

static int attempt_begin(struct attempt *a)
{
    struct repo *repo = a->land->repo;
    bool read = false;
    int err = tip_take(a);
    if (err == OK)
        land_history_near(a->land, a->round, &read);
    if (err == OK && read)
        err = tip_take(a);
    if (err != OK)
        return err;
    repo_hlc_seen(repo, a->head.hlc);
    struct tree tree = chain_tree(repo, &a->round->project, a->tip);
    a->edit = tree_edit_open(&tree);
    a->position = a->head.position;
    for (size_t i = 0; i < a->round->n_requests; i++) {
        a->round->requests[i].decided = false;
        a->round->requests[i].work->closing = false;
    }
    return OK;
}

/* --- answers --- */

static int answer_add(struct attempt *a, struct request *r, struct landing *landing)
{
    landing->request = r->record->id;
    landing->session = r->work->id;
    landing->owner = r->group->group->owner;
    landing->hlc = r->record->hlc;
    if (landing->verdict == VERDICT_LANDED || landing->verdict == VERDICT_ABANDONED ||
        (r->item != NULL && r->record->land.whole))
        landing->closes = true;
    if (landing->verdict != VERDICT_LANDED)
        landing->position = a->position;
    int err = tree_build_record(&a->build, landing);
    if (err != OK)
        return err;
    r->decided = true;
    r->ends = landing->verdict != VERDICT_LANDED;
    r->work->closing = r->work->closing || landing->closes;
    a->series_ended = a->series_ended || r->ends;
    a->decided++;
    return OK;
}

static int refuse(struct attempt *a, struct request *r, const char *reason, const char *detail)
{
    struct landing landing = {
        .verdict = VERDICT_REFUSED, .reason = bytes_str(reason), .detail = bytes_str(detail)};
    return answer_add(a, r, &landing);
}

static int refuse_unfit(struct attempt *a, struct request *r, int err)
{
    struct landing landing;
    judge_unfit(err, &landing);
    return answer_add(a, r, &landing);
}

/* Whether it is known to be another's than the session's owner. */
static bool is_foreign(const struct request *r)
{
    const struct work *work = r->work;
    return work->owned && !id16_equal(&work->session.owner, &r->group->group->owner);
}

/* A request of another than the session's owner: dropped, without an answer. */
static void drop_foreign(struct attempt *a, struct request *r)
{
    r->answered = true;
    r->ends = true;
    a->series_ended = true;
}

/* --- what a land names --- */

static int id_order(const struct record *record, const struct id16 *id)
{
    return id16_compare(&record->id, id);
}

/* The records that `item` names, out of the work's session; false when some have not come. */
static bool records_select(struct attempt *a, const struct work *work,
                           const struct record_land_item *item, struct session *out)
{
    const struct session *all = &work->session;
    *out = *all;
    out->records = arena_array(&a->arena, item->n, struct record);
    out->n_records = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < item->n; i++) {
        while (at < all->n_records && id_order(&all->records[at], &item->records[i]) < 0)
            at++;
        if (at == all->n_records || id_order(&all->records[at], &item->records[i]) != 0)
            return false;
        out->records[out->n_records++] = all->records[at];
    }
    return true;
}

/* Whether what the request waits for will not come any more. Of a queue that was read in part
 * nobody can say that. */
static bool request_overdue(const struct attempt *a, const struct request *r)
{
    if (!a->land->complete)
        return false;
    uint64_t now = a->land->repo->clock->wall_ms(a->land->repo->clock);
    return hlc_ms(r->record->hlc) + a->land->options.missing_after_ms < now;
}

/* --- landing one session --- */

/* A record whose content is to lie in the tree object. */
struct to_place {
    struct bytes path;
    struct record *record;
};

static int path_order(const void *a, const void *b)
{
    const struct to_place *left = a;
    const struct to_place *right = b;
    int order = path_compare(left->path, right->path);
    return order != 0 ? order : id16_compare(&left->record->id, &right->record->id);
}

static size_t contents_inline(struct session *session, struct to_place *out)
{
    size_t n = 0;
    for (size_t i = 0; i < session->n_records; i++) {
        struct record *record = &session->records[i];
        const struct record_operation *operation = &record->operation;
        if (record->kind != RECORD_OPERATION || operation->op == OP_DELETE)
            continue;
        if (operation->content.carrier == CARRIER_INLINE_RAW ||
            operation->content.carrier == CARRIER_INLINE_ZSTD)
            out[n++] = (struct to_place){
                operation->op == OP_RENAME ? operation->target : operation->path, record};
    }
    return n;
}

/* Moves inline contents into the tree object, in order of their paths, so that who goes through
 * the tree finds the next one beside the last: the records then say where they lie. */
static int contents_place(struct attempt *a, struct session *session)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct to_place *places = arena_array(&scratch, session->n_records, struct to_place);
    size_t n = contents_inline(session, places);
    if (n > 1)
        qsort(places, n, sizeof(*places), path_order);
    for (size_t i = 0; i < n; i++) {
        struct content *content = &places[i].record->operation.content;
        int err = tree_build_add(&a->build, content->data, &content->offset);
        if (err != OK)
            return err;
        content->len = (uint32_t)content->data.len;
        content->carrier =
            content->carrier == CARRIER_INLINE_RAW ? CARRIER_TREE_RAW : CARRIER_TREE_ZSTD;
    }
    return OK;
}

static int land_session(struct attempt *a, struct request *r, struct session *session)
{
    a->half = true;
    int err = contents_place(a, session);
    if (err != OK)
        return err;
    struct session_view view;
    session_view(session, &a->arena, &view);
    static const struct hash self;
    err = snapshot_apply(a->edit, &view, &self, a->position + 1);
    if (err != OK)
        return err;
    a->position++;
    session->state = SESSION_LANDED;
    session->position = a->position;
    struct landing landing = {.verdict = VERDICT_LANDED,
                              .position = a->position,
                              .has_session = true,
                              .landed = *session};
    err = answer_add(a, r, &landing);
    if (err == OK) {
        a->half = false;
        a->landed++;
        a->last_landed = r;
    }
    return err;
}

static int decide_session(struct attempt *a, struct request *r, struct session *session)
{
    struct session_view view;
    struct landing landing;
    session_view(session, &a->arena, &view);
    a->uploads.awaits = false;
    int err = judge_session(a->land->repo, &a->round->project, a->edit, &view, &a->uploads,
                            &a->arena, &landing);
    if (err == OK && a->uploads.awaits) {
        log_debug("a session waits for a collection to end",
                  LOG_STR("session", id16_hex(&r->work->id).s));
        a->series_waits = true;
        return OK;
    }
    if (err != OK)
        return judge_store_failed(err) ? err : refuse_unfit(a, r, err);
    return landing.verdict == VERDICT_LANDED ? land_session(a, r, session)
                                             : answer_add(a, r, &landing);
}

/* --- one request --- */

/* A damaged object brings nothing: what it had is missing. */
static int object_ask(struct attempt *a, struct work *work)
{
    int err = land_object_read(a->land, work);
    return err == ERR_CORRUPT ? OK : err;
}

static int decide_land(struct attempt *a, struct request *r)
{
    struct work *work = r->work;
    struct session chosen;
    bool all = work->owned && records_select(a, work, r->item, &chosen);
    /* What came whole should be in the queue; before it is given up the object is asked all the
     * same. */
    if (!all && (!r->record->land.whole || request_overdue(a, r))) {
        int err = object_ask(a, work);
        if (err != OK)
            return err;
        all = work->owned && records_select(a, work, r->item, &chosen);
    }
    if (is_foreign(r)) {
        drop_foreign(a, r);
        return OK;
    }
    if (!all) {
        if (request_overdue(a, r))
            return refuse(a, r, "records_missing",
                          "records that the request names have not come in time");
        a->series_waits = true;
        return OK;
    }
    return decide_session(a, r, &chosen);
}

static int decide_abandon(struct attempt *a, struct request *r)
{
    struct work *work = r->work;
    if (!work->owned) {
        int err = object_ask(a, work);
        if (err != OK)
            return err;
    }
    if (!work->owned && !request_overdue(a, r))
        return OK;
    if (is_foreign(r)) {
        drop_foreign(a, r);
        return OK;
    }
    struct landing landing = {.verdict = VERDICT_ABANDONED, .reason = bytes_str("abandoned")};
    return answer_add(a, r, &landing);
}

/* What stands behind the end of its series: it may be another's all the same. */
static int decide_untried(struct attempt *a, struct request *r)
{
    if (!r->work->owned) {
        int err = object_ask(a, r->work);
        if (err != OK)
            return err;
    }
    if (is_foreign(r)) {
        drop_foreign(a, r);
        return OK;
    }
    struct landing landing = {.verdict = VERDICT_NOT_TRIED,
                              .reason = bytes_str("series_ended")};
    return answer_add(a, r, &landing);
}

static int decide(struct attempt *a, struct request *r)
{
    struct answer answer;
    if (!answered_find(a->answered, &r->work->id, &r->record->id, &answer)) {
        a->series_waits = true;
        return OK;
    }
    if (answer.closed)
        r->work->closed = true;
    if (answer.answered) {
        r->answered = true;
        r->ends = answer.verdict != VERDICT_LANDED;
        a->series_ended = a->series_ended || r->ends;
        return OK;
    }
    if (a->series_waits)
        return OK;
    if (a->series_ended)
        return decide_untried(a, r);
    if (answer.closed || r->work->closing)
        return refuse(a, r, "session_closed", "the session has been answered before");
    if (r->unfit != OK)
        return refuse_unfit(a, r, r->unfit);
    return r->item == NULL ? decide_abandon(a, r) : decide_land(a, r);
}

/* One request has failed, and holds up no other: it is put off when the store has failed it,
 * and refused when it cannot be applied. A batch that is over a limit is committed without it,
 * or begun anew to try it alone. */
static int decide_failed(struct attempt *a, struct request *r, int err)
{
    bool full = err == ERR_LIMIT && a->decided > 0;
    a->redo = a->half;
    a->series_waits = true;
    if (judge_store_failed(err)) {
        r->postponed = true;
        if (a->round->err == OK)
            a->round->err = err;
        return OK;
    }
    a->cut = a->cut || full;
    if (full)
        a->decided_max = a->decided;
    else if (a->half)
        r->unfit = err;
    return full || a->half ? OK : err;
}

static int decide_next(struct attempt *a, struct request *r)
{
    if (a->series == NULL || !id16_equal(a->series, &r->record->id)) {
        a->series = &r->record->id;
        a->series_ended = false;
        a->series_waits = false;
        a->series_lost = false;
    }
    if (r->answered) {
        a->series_ended = a->series_ended || r->ends;
        return OK;
    }
    r->lost = r->lost || a->series_lost;
    if (r->lost || r->postponed) {
        a->series_lost = r->lost;
        a->series_waits = true;
        return OK;
    }
    int err = decide(a, r);
    return err == OK ? OK : decide_failed(a, r, err);
}

static int decide_all(struct attempt *a)
{
    for (size_t i = 0; i < a->round->n_requests && !a->redo; i++) {
        struct request *r = &a->round->requests[i];
        if (r->copy_of != NULL)
            continue;
        if (a->decided >= a->decided_max || a->build.bytes.len > TREE_CONTENTS_MAX) {
            a->cut = a->cut || (request_is_open(r) && !r->far);
            continue;
        }
        int err = decide_next(a, r);
        if (err != OK)
            return err;
    }
    return OK;
}

/* --- making it true --- */

/* Once the head names the tree object, others in this process look for it at once. */
static void commit_remember(struct attempt *a, const struct hash *tree,
                            const struct footer *footer)
{
    struct tree_id *ids;
    int err = tree_ids_decode(buf_bytes(&a->build.ids), a->build.n_records, &a->arena, &ids);
    if (err == OK)
        chain_remember(a->land->repo, &a->round->project, tree, footer, ids,
                       buf_bytes(&a->build.records));
    tree_edit_publish(a->edit, tree);
}

static void commit_done(struct attempt *a, const struct head *head)
{
    struct land *land = a->land;
    for (size_t i = 0; i < a->round->n_requests; i++) {
        struct request *r = &a->round->requests[i];
        r->answered = r->answered || r->decided;
        r->work->closed = r->work->closed || r->work->closing;
        if (r->decided && !r->work->closed)
            r->work->fold = true;
    }
    land_memory(land, &a->round->project)->ahead = true;
    a->round->landed += (uint32_t)a->landed;
    a->round->decided += (uint32_t)a->decided;
    log_debug("landed", LOG_STR("project", id16_hex(&a->round->project).s),
              LOG_U64("position", head->position), LOG_U64("answers", a->decided));
    if (land->options.landed != NULL)
        land->options.landed(land->options.landed_arg, &a->round->project, head);
}

/* 0 when the head names this batch. What keeps it from becoming a tree object, a page that only
 * sealing needs or a limit, is told from what the store says of its puts by `*sealing`. */
static int commit(struct attempt *a, bool *sealing)
{
    struct land *land = a->land;
    AUTO_BUF root = {0};
    struct footer footer = {0};
    footer_follow(&footer, &a->tip->footer, &a->tip->tree_hash);
    footer.position = a->position;
    footer.hlc = repo_hlc(land->repo);
    footer.agent = land->repo->agent;
    struct hash tree;
    int err = tree_edit_seal(a->edit, &a->build, &root, &footer);
    if (err == OK)
        err = tree_build_finish(&a->build, buf_bytes(&root), &footer, &tree);
    *sealing = err != OK && !judge_store_failed(err);
    struct key key = key_tree(&a->round->project, &tree);
    if (err == OK)
        err = put_once(land->repo, key.s, buf_bytes(&a->build.bytes));
    if (err != OK)
        return err;
    commit_remember(a, &tree, &footer);
    struct head head = {.position = footer.position, .tree_hash = tree, .hlc = footer.hlc};
    uint8_t bytes[HEAD_LEN];
    head_encode(&head, bytes);
    key = key_head(&a->round->project);
    err =
        store_put(land->repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &a->etag);
    land_pace_note(&land->pace, key.s);
    if (err == OK)
        commit_done(a, &head);
    return err;
}

/* What to do after a batch that was not committed: 0 is to try again. */
static int commit_failed(struct attempt *a, int err, bool sealing, size_t *decided_max)
{
    struct clock *clock = a->land->repo->clock;
    if (sealing) {
        /* Some session's change cannot be made. It is looked for by halves, and refused by
         * itself. */
        if (a->decided == 1 && a->landed == 0)
            return err;
        if (a->landed == 1)
            a->last_landed->unfit = err;
        *decided_max = a->landed == 1 ? 1 : (a->decided + 1) / 2;
        return OK;
    }
    if (err == ERR_AGAIN)
        clock->sleep_us(clock, BACKOFF_US + rng_below(a->land->repo->rng, BACKOFF_US));
    /* A lost race, or an outcome that only the chain can tell. */
    return err == ERR_CONFLICT || err == ERR_UNKNOWN || err == ERR_AGAIN ? OK : err;
}

/* Whether another batch of this round could answer something after this one. What waits now
 * waits then, unless this batch has closed its session. */
static bool attempt_leaves_work(const struct attempt *a)
{
    bool more = a->cut;
    for (size_t i = 0; i < a->round->n_requests && !more; i++) {
        const struct request *r = &a->round->requests[i];
        more = request_is_open(r) && r->work->closed;
    }
    return more;
}

/* One try at one batch. `*done` when nothing more can be answered in this round. */
static int attempt_run(struct land *land, struct project_round *round, size_t *decided_max,
                       bool *done)
{
    struct attempt a = {.land = land,
                        .round = round,
                        .answered = land_answered(land, &round->project),
                        .decided_max = *decided_max};
    tree_build_init(&a.build);
    int err = attempt_begin(&a);
    if (err == OK)
        err = decide_all(&a);
    if (err == OK && a.redo) {
        *decided_max = 1;
    } else if (err == OK && a.decided == 0) {
        *done = true;
    } else if (err == OK) {
        bool sealing = false;
        err = commit(&a, &sealing);
        if (err == OK) {
            *decided_max = *decided_max < land->options.batch_max / 2 ? 2 * *decided_max
                                                                      : land->options.batch_max;
            *done = !attempt_leaves_work(&a);
        } else {
            err = commit_failed(&a, err, sealing, decided_max);
        }
    }
    attempt_release(&a);
    return err;
}

static int batches_run(struct land *land, struct project_round *round)
{
    size_t decided_max = land->options.batch_max;
    struct key head = key_head(&round->project);
    bool done = false;
    /* Also without a request: folding asks what the chain has answered up to now. */
    for (unsigned attempts = 0; !done; attempts++) {
        uint32_t before = round->decided;
        if (round->n_requests > 0 && land_pace_put_off(&land->pace, head.s))
            return OK;
        int err = attempt_run(land, round, &decided_max, &done);
        if (err != OK)
            return err;
        if (round->decided != before)
            attempts = 0;
        else if (attempts >= ATTEMPTS_MAX)
            return ERR_AGAIN;
    }
    return OK;
}

int land_project(struct land *land, struct project_round *round)
{
    bool more = false;
    round->reads = READS_MAX;
    answered_trim(land_answered(land, &round->project));
    land_objects_prefetch(land, round);
    int err = batches_run(land, round);
    if (err == OK)
        land_history_far(land, round, &more);
    if (err == OK && more)
        err = batches_run(land, round);
    if (err != OK)
        return err;
    for (size_t i = 0; i < round->n_requests; i++) {
        struct request *r = &round->requests[i];
        if (r->copy_of != NULL) {
            r->answered = r->copy_of->answered;
            r->lost = r->copy_of->lost;
        }
    }
    return OK;
}
