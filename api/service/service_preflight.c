/* Would it land? Judged on a copy in memory of the head's tree, with the code of the landing
 * stage; the log says who was it. */
#include "api/service/parts.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "pipeline/repo/history/touched.h"
#include "pipeline/repo/judge.h"

struct look {
    struct service *service;
    struct id16 project;
    struct arena *arena;
    const struct batch *tip;
    struct tree_edit *edit;
    uint64_t position; /* that the next session would get, less one */
};

static struct look look_open(struct service *service, const struct id16 *project,
                             const struct batch *tip, struct arena *arena)
{
    struct tree tree = chain_tree(service->repo, project, tip);
    return (struct look){.service = service,
                         .project = *project,
                         .arena = arena,
                         .tip = tip,
                         .edit = tree_edit_open(&tree),
                         .position = tip->footer.position};
}

static void look_close(struct look *look)
{
    tree_edit_close(look->edit);
    chain_drop(look->service->repo, look->tip);
}

/* --- who was it --- */

/* The base at which the conflict's path was seen. Of a file that stands above written paths the
 * lowest of theirs. */
static uint64_t base_of(const struct session_view *view, const struct conflict *conflict)
{
    uint64_t base = UINT64_MAX;
    if (conflict->what == CONFLICT_GUARD) {
        for (size_t i = 0; i < view->n_guards; i++) {
            const struct record_guard *guard = &view->guards[i]->guard;
            if (bytes_equal(guard->path, conflict->path))
                return guard->base;
        }
    }
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *e = &view->effects[i];
        bool meant = conflict->what == CONFLICT_ANCESTOR ? path_below(e->path, conflict->path)
                                                         : bytes_equal(e->path, conflict->path);
        if (meant && e->by->operation.base < base)
            base = e->by->operation.base;
    }
    return base;
}

static bool touches_itself(enum conflict_what what)
{
    switch (what) {
    case CONFLICT_OPERATION:
    case CONFLICT_ANCESTOR:
        return true;
    case CONFLICT_GUARD:
    case CONFLICT_DIRECTORY:
        break;
    }
    return false;
}

/* What of the landings found belongs to the head that the answer is about. */
static void cause_fill(struct look *look, const struct touched *touched,
                       struct preflight_cause *out)
{
    out->landings = arena_array(look->arena, touched->n, struct preflight_landing);
    out->more = touched->n > PREFLIGHT_LANDINGS_MAX;
    for (uint32_t i = 0; i < touched->n && out->n < PREFLIGHT_LANDINGS_MAX; i++) {
        const struct log_entry *entry = &touched->landings[i];
        if (entry->position > look->tip->footer.position)
            continue;
        out->landings[out->n++] = (struct preflight_landing){.position = entry->position,
                                                             .session = entry->session,
                                                             .author = entry->author,
                                                             .goal = entry->goal,
                                                             .hlc = entry->hlc};
    }
}

/* All conflicts in one question. The answer does not hang on a log that is damaged. */
static int causes_find(struct look *look, const struct session_view *view,
                       const struct landing *landing, struct preflight_cause *out)
{
    struct touched_ask asks[PREFLIGHT_NAMED_MAX];
    struct touched *touched;
    uint64_t at;
    size_t n =
        landing->n_listed < PREFLIGHT_NAMED_MAX ? landing->n_listed : PREFLIGHT_NAMED_MAX;
    for (uint16_t i = 0; i < landing->n_listed; i++) {
        const struct conflict *conflict = &landing->conflicts[i];
        out[i] = (struct preflight_cause){.base = base_of(view, conflict), .more = true};
        if (i < n)
            asks[i] = (struct touched_ask){
                .what = touches_itself(conflict->what) ? TOUCHED_ITSELF : TOUCHED_BELOW,
                .path = conflict->path,
                .since = out[i].base,
                .max = PREFLIGHT_LANDINGS_MAX + 1};
    }
    if (n == 0)
        return OK;
    int err =
        touched_since(look->service->repo, &look->project, asks, n, look->arena, &touched, &at);
    for (size_t i = 0; i < n && err == OK; i++)
        cause_fill(look, &touched[i], &out[i]);
    return judge_store_failed(err) ? err : OK;
}

/* --- one session --- */

/* Makes of the tree what the session would: what landing it may fail of besides is found out by
 * that. Where its contents will lie does not count. */
static int session_try(struct look *look, const struct session_view *view)
{
    static const struct hash self;
    struct hash root;
    for (size_t i = 0; i < view->n_effects; i++) {
        struct content *content = &view->effects[i].content;
        if (content->carrier == CARRIER_INLINE_RAW || content->carrier == CARRIER_INLINE_ZSTD)
            content->carrier = CARRIER_TREE_RAW;
    }
    look->position++;
    int err = snapshot_apply(look->edit, view, &self, look->position);
    return err == OK ? tree_edit_root_hash(look->edit, &root) : err;
}

static int session_judge(struct look *look, const struct session *session,
                         struct preflight_result *out, struct problem *problem)
{
    struct repo *repo = look->service->repo;
    struct landing *landing = &out->landing;
    struct session_view view;
    session_view(session, look->arena, &view);
    struct judge_uploads uploads = {0};
    int err =
        judge_session(repo, &look->project, look->edit, &view, &uploads, look->arena, landing);
    condemned_drop(uploads.condemned);
    if (err == OK && landing->verdict == VERDICT_LANDED)
        err = session_try(look, &view);
    if (err != OK && judge_store_failed(err))
        return service_problem(problem, err, "the tree");
    if (err != OK)
        judge_unfit(err, landing);
    out->causes = arena_array(look->arena, landing->n_listed, struct preflight_cause);
    err = causes_find(look, &view, landing, out->causes);
    return err == OK ? OK : service_problem(problem, err, "the log");
}

static struct head head_of(const struct batch *tip)
{
    return (struct head){
        .position = tip->footer.position, .tree_hash = tip->tree_hash, .hlc = tip->footer.hlc};
}

/* --- the questions --- */

int service_session_preflight(struct service *service, const struct id16 *project,
                              const struct id16 *sid, struct arena *arena,
                              struct preflight *out, struct problem *problem)
{
    struct session_current current;
    const struct batch *tip;
    int err = session_read(service->repo, project, sid, arena, &current);
    /* What nobody can read would land, too. */
    if (err == OK && current.partial)
        err = ERR_CORRUPT;
    if (err != OK)
        return service_problem(problem, err, "the session");
    /* The head up to which it was looked for an answer. */
    err = chain_batch(service->repo, project, &current.tip, &tip);
    if (err != OK)
        return service_problem(problem, err, "the project");
    struct preflight_result *result = arena_new(arena, struct preflight_result);
    *result = (struct preflight_result){.has_session = true,
                                        .session = *sid,
                                        .answered = current.session.state != SESSION_OPEN};
    struct look look = look_open(service, project, tip, arena);
    *out = (struct preflight){.head = head_of(tip), .results = result, .n = 1};
    if (result->answered)
        result->landing = current.answer;
    else
        err = session_judge(&look, &current.session, result, problem);
    look_close(&look);
    return err;
}

/* A client's own key makes a session one that may have been landed before: then it has its
 * answer. Under a key that was drawn just now there is none. */
static int answer_find(struct look *look, struct preflight_result *out, struct problem *problem)
{
    struct landing landing;
    struct hash tree;
    int err = landlog_session(look->service->repo, &look->project, &out->session, look->arena,
                              &landing, &tree);
    if (err == OK && landing.closes) {
        out->answered = true;
        out->landing = landing;
    }
    return err == OK || err == ERR_NOT_FOUND ? OK
                                             : service_problem(problem, err, "the session");
}

static bool is_keyed(const struct session *session)
{
    bool keyed = false;
    for (size_t i = 0; i < session->n_records; i++) {
        const struct record *record = &session->records[i];
        keyed = keyed || (record->kind == RECORD_START && record->start.key.len > 0);
    }
    return keyed;
}

static int series_judge(struct look *look, const struct session *sessions, const bool *keyed,
                        size_t n, struct preflight_result *results, struct problem *problem)
{
    bool ended = false;
    for (size_t i = 0; i < n; i++) {
        struct preflight_result *result = &results[i];
        int err = OK;
        *result = (struct preflight_result){.has_session = keyed[i], .session = sessions[i].id};
        if (ended) {
            result->landing = (struct landing){.verdict = VERDICT_NOT_TRIED,
                                               .reason = bytes_str("series_ended")};
            continue;
        }
        if (keyed[i])
            err = answer_find(look, result, problem);
        if (err == OK && !result->answered)
            err = session_judge(look, &sessions[i], result, problem);
        if (err != OK)
            return err;
        ended = result->landing.verdict != VERDICT_LANDED;
    }
    return OK;
}

int service_preflight(struct service *service, const struct caller *caller,
                      const struct id16 *project, struct session *sessions, size_t n,
                      struct arena *arena, struct preflight *out, struct problem *problem)
{
    bool *keyed = arena_array(arena, n, bool);
    struct head head;
    const struct batch *tip;
    for (size_t i = 0; i < n; i++)
        keyed[i] = is_keyed(&sessions[i]);
    int err = service_sessions_settle(service, caller, project, sessions, n, arena, problem);
    if (err != OK)
        return err;
    err = chain_head(service->repo, project, &head, NULL);
    if (err == OK)
        err = chain_tip(service->repo, project, &head, &tip);
    if (err != OK)
        return service_problem(problem, err, "the project");
    struct look look = look_open(service, project, tip, arena);
    struct preflight_result *results = arena_array(arena, n, struct preflight_result);
    err = series_judge(&look, sessions, keyed, n, results, problem);
    look_close(&look);
    if (err == OK)
        *out = (struct preflight){.head = head, .results = results, .n = n};
    return err;
}
