/* The answer to a session: looked for in the chain of batches, whose ids lie beside the
 * footers, and below the newest of them in the log, where the rollups say that it may lie. */
#include "pipeline/repo/chain_cache.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/history/rollup_read.h"

/* So many batches are read one by one before the log is asked; where the base lies further back
 * than that, only as many as the log mostly has not yet. */
#define BATCHES_READ_FIRST 16u
#define BATCHES_READ_FAR   3u

/* What an answer counts for, least first. A request that comes after the session was closed is
 * refused, which opens nothing. */
enum weight {
    WEIGHT_NONE,
    WEIGHT_ANY,
    WEIGHT_CLOSING,
    WEIGHT_FINAL, /* a landing or an abandonment: no older answer counts for more */
};

struct search {
    struct repo *repo;
    const struct id16 *project;
    const struct id16 *session;
    const struct id16 *asked; /* the request whose answer is looked for; NULL: any */
    uint64_t base;
    struct head head;
    struct landlog *log; /* open while it may be of use */
    bool without_log;
    enum weight weight;  /* of what was found */
    struct hash tree;    /* the batch with the answer, */
    struct id16 request; /* and which of its answers it is */
};

static void answer_note(struct search *search, enum verdict verdict, bool closes,
                        const struct hash *tree, const struct id16 *request)
{
    enum weight weight = closes ? WEIGHT_CLOSING : WEIGHT_ANY;
    if (verdict == VERDICT_LANDED || verdict == VERDICT_ABANDONED)
        weight = WEIGHT_FINAL;
    if (search->asked != NULL)
        weight = id16_equal(request, search->asked) ? WEIGHT_FINAL : WEIGHT_NONE;
    if (weight <= search->weight)
        return;
    search->weight = weight;
    search->tree = *tree;
    search->request = *request;
}

static bool is_done(const struct search *search)
{
    return search->weight == WEIGHT_FINAL;
}

static void batch_look(struct search *search, const struct batch *batch)
{
    for (uint32_t i = batch->footer.n_records; i > 0 && !is_done(search); i--) {
        const struct tree_id *id = &batch->ids[i - 1];
        if (id16_equal(&id->session, search->session))
            answer_note(search, id->verdict, id->closes, &batch->tree_hash, &id->request);
    }
}

/* ---- the log ---- */

static void log_leave(struct search *search)
{
    landlog_close(search->log);
    search->log = NULL;
    search->without_log = true;
}

static int run_search(struct search *search, const struct rollup_range *range)
{
    const struct log_entry *entry;
    int err = landlog_run(search->log, range->from, range->end);
    while (err == OK && !is_done(search) && (err = landlog_next(search->log, &entry)) == OK) {
        if (id16_equal(&entry->session, search->session))
            answer_note(search, entry->verdict, entry->closes, &entry->tree, &entry->request);
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

/* Whether the segments of so many positions are fewer than the batches before `batch` down to
 * the base. */
static int segments_fewer(struct search *search, const struct batch *batch, uint64_t positions,
                          bool *out)
{
    const struct batch *oldest;
    int err = chain_find(search->repo, search->project, &search->head, search->base, &oldest);
    if (err != OK)
        return err;
    *out = positions / LOG_SPAN_LARGE < batch->footer.batch - oldest->footer.batch;
    chain_drop(search->repo, oldest);
    return OK;
}

/* What is filed up to `batch`'s first position, down to the base. Where no rollup says anything
 * and the chain takes fewer reads, `*done` is false. */
static int log_search(struct search *search, const struct batch *batch, bool damaged,
                      bool *done)
{
    struct rollup_reader *rollups = rollup_reader_open(search->repo, search->project);
    struct rollup_range range;
    uint64_t key = rollup_key_session(search->session);
    int err = OK;
    bool go_on = true;
    bool counted = damaged;
    rollup_reader_ahead(rollups, ROLLUP_AHEAD_FIRST, ROLLUP_AHEAD_MAX);
    rollup_reader_ask(rollups, key, search->base, batch->footer.first + 1);
    while (err == OK && go_on && !is_done(search) && rollup_reader_next(rollups, &range)) {
        if (!counted && range.end - range.from > LOG_SPAN_LARGE) {
            err = segments_fewer(search, batch, range.end - search->base, &go_on);
            counted = true;
        }
        if (err == OK && go_on)
            err = run_search(search, &range);
    }
    rollup_reader_close(rollups);
    *done = err == OK && go_on;
    return err;
}

/* Searches the log for what is filed up to `batch`'s first position, if its segments have all
 * of it. `*done` when that was all. The log is derived from the chain, so damage to it sends
 * the search back there. */
static int log_try(struct search *search, const struct batch *batch, bool damaged, bool *done)
{
    int err = OK;
    *done = false;
    if (search->log == NULL)
        err = landlog_open_at(search->repo, search->project, &search->head, batch->footer.first,
                              &search->log);
    if (err == OK && landlog_end(search->log) <= batch->footer.first)
        return OK;
    struct search before = *search;
    if (err == OK)
        err = log_search(search, batch, damaged, done);
    if (err == ERR_CORRUPT) {
        *search = before;
        err = OK;
    }
    log_leave(search);
    return err;
}

/* ---- the chain ---- */

static bool batch_cached(const struct search *search, const struct hash *tree_hash)
{
    const struct batch *batch =
        chain_cache_find(search->repo->chain, search->project, tree_hash);
    chain_cache_drop(search->repo->chain, batch);
    return batch != NULL;
}

/* How many batches are read before the log is asked. */
static unsigned read_first(const struct search *search, const struct footer *tip)
{
    const struct ancestor *older = footer_toward(tip, search->base);
    bool far = older != NULL && older->batch + BATCHES_READ_FIRST <= tip->batch;
    return far ? BATCHES_READ_FAR : BATCHES_READ_FIRST;
}

static int chain_search(struct search *search)
{
    const struct batch *batch;
    int err = chain_tip(search->repo, search->project, &search->head, &batch);
    if (err != OK)
        return err;
    unsigned first = read_first(search, &batch->footer);
    unsigned reads = 0;
    bool done = false;
    while (err == OK) {
        batch_look(search, batch);
        /* What was answered before this batch was answered at its first position or earlier. */
        if (is_done(search) || batch->footer.batch == 0 || batch->footer.first < search->base)
            break;
        const struct hash *prev = &batch->footer.prev;
        reads += !batch_cached(search, prev);
        if (reads > first && !search->without_log)
            err = log_try(search, batch, false, &done);
        if (err != OK || done)
            break;
        const struct batch *older;
        err = chain_batch(search->repo, search->project, prev, &older);
        if (err == ERR_CORRUPT) {
            err = log_try(search, batch, true, &done);
            err = err == OK && !done ? ERR_CORRUPT : err;
            break;
        }
        if (err != OK)
            break;
        chain_drop(search->repo, batch);
        batch = older;
    }
    chain_drop(search->repo, batch);
    return err;
}

/* The record of the answer that was found. */
static int answer_get(const struct search *search, struct arena *arena, struct landing *out)
{
    const struct batch *batch;
    int err = chain_batch(search->repo, search->project, &search->tree, &batch);
    if (err != OK)
        return err;
    err = ERR_CORRUPT;
    for (uint32_t i = 0; i < batch->footer.n_records; i++) {
        const struct tree_id *id = &batch->ids[i];
        if (id16_equal(&id->session, search->session) &&
            id16_equal(&id->request, &search->request)) {
            err = chain_record(search->repo, search->project, batch, i, arena, out);
            break;
        }
    }
    chain_drop(search->repo, batch);
    return err;
}

static int search_run(struct search *search, struct arena *arena, struct landing *out,
                      struct hash *tree)
{
    search->base = session_id_base(search->session);
    int err = chain_head(search->repo, search->project, &search->head, NULL);
    if (err != OK)
        return err;
    err = chain_search(search);
    landlog_close(search->log);
    if (err == OK && search->weight == WEIGHT_NONE)
        err = ERR_NOT_FOUND;
    if (err == OK)
        err = answer_get(search, arena, out);
    if (err == OK)
        *tree = search->tree;
    return err;
}

int landlog_session(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                    struct arena *arena, struct landing *out, struct hash *tree)
{
    struct search search = {.repo = repo, .project = project, .session = sid};
    return search_run(&search, arena, out, tree);
}

int landlog_request(struct repo *repo, const struct id16 *project, const struct id16 *sid,
                    const struct id16 *request, struct arena *arena, struct landing *out)
{
    struct search search = {.repo = repo, .project = project, .session = sid, .asked = request};
    struct hash tree;
    return search_run(&search, arena, out, &tree);
}
