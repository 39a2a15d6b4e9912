/* Has it been answered already? What the window of answers does not tell is read here, before a
 * batch is begun or after all that can be is committed, so that no batch waits for it. */
#include "formats/base/hex.h"
#include "pipeline/repo/judge.h"
#include "pipeline/stages/land.h"
#include "pipeline/sys/log.h"

/* Entries of the log that one round looks through. */
#define LOOK_ENTRIES_MAX 20000u

static bool known(const struct answered *answered, const struct id16 *session,
                  const struct id16 *request)
{
    struct answer answer;
    return answered_find(answered, session, request, &answer);
}

/* What cannot be read now is far, too. */
void land_history_near(struct land *land, struct project_round *round, bool *read)
{
    struct answered *answered = land_answered(land, &round->project);
    unsigned before = round->reads;
    int err = OK;
    for (size_t i = 0; i < round->n_requests; i++) {
        struct request *r = &round->requests[i];
        if (!request_is_open(r))
            continue;
        r->far = !known(answered, &r->work->id, &r->record->id);
        if (!r->far || err != OK)
            continue;
        err = answered_reach(answered, session_id_base(&r->work->id), &round->reads);
        r->far = !known(answered, &r->work->id, &r->record->id);
    }
    *read = round->reads != before;
}

/* The sessions that cannot be told about: of requests, and of what is to be folded. */
static size_t unknown_collect(struct land *land, struct project_round *round, struct id16 *out)
{
    const struct answered *answered = land_answered(land, &round->project);
    static const struct id16 no_request;
    size_t n = 0;
    for (size_t i = 0; i < round->n_requests; i++) {
        const struct request *r = &round->requests[i];
        if (request_is_open(r) && !known(answered, &r->work->id, &r->record->id))
            out[n++] = r->work->id;
    }
    for (size_t i = 0; i < round->n_works; i++) {
        const struct work *work = &round->works[i];
        if (!work->closed && land_fold_is_due(land, work) &&
            !known(answered, &work->id, &no_request))
            out[n++] = work->id;
    }
    return n;
}

/* Landing it may be the second time, refusing it may be another answer: an operator has to
 * look. Others go on. */
static void unknown_lose(struct land *land, struct project_round *round, int err)
{
    const struct answered *answered = land_answered(land, &round->project);
    static const struct id16 no_request;
    for (size_t i = 0; i < round->n_requests; i++) {
        struct request *r = &round->requests[i];
        if (!request_is_open(r) || known(answered, &r->work->id, &r->record->id))
            continue;
        r->lost = true;
        log_error("history_damaged", LOG_STR("session", id16_hex(&r->work->id).s),
                  LOG_ERR(err));
    }
    for (size_t i = 0; i < round->n_works; i++) {
        struct work *work = &round->works[i];
        if (!work->closed && land_fold_is_due(land, work) &&
            !known(answered, &work->id, &no_request))
            land_work_lose(work, "history", err);
    }
}

void land_history_far(struct land *land, struct project_round *round, bool *more)
{
    struct answered *answered = land_answered(land, &round->project);
    struct id16 *sessions =
        arena_array(&land->arena, round->n_requests + round->n_works, struct id16);
    size_t n = unknown_collect(land, round, sessions);
    *more = false;
    if (n == 0)
        return;
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++)
        err = answered_reach(answered, session_id_base(&sessions[i]), &round->reads);
    if (err == OK)
        err = answered_look_up(answered, sessions, n, LOOK_ENTRIES_MAX);
    if (err == OK)
        round->looked = true;
    else if (!judge_store_failed(err))
        unknown_lose(land, round, err);
    else if (round->err == OK)
        round->err = err;
    for (size_t i = 0; i < round->n_requests && !*more; i++) {
        const struct request *r = &round->requests[i];
        *more = r->far && (r->lost || known(answered, &r->work->id, &r->record->id));
    }
}
