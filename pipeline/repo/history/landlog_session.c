/* The answer to a session: looked for in the chain of batches, whose ids lie beside the
 * footers, and in the log's segments where these take fewer reads. */
#include "pipeline/repo/chain_cache.h"
#include "pipeline/repo/history/landlog_segment.h"

/* So many batches are read one by one before it is asked whether segments would take fewer. */
#define BATCHES_READ_FIRST 16u

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

/* ---- segments ---- */

/* The segment that holds `upto`, listed again when a longer one has taken its place. */
static int segment_fetch(struct search *search, uint64_t upto, struct arena *arena,
                         struct log_segment *out)
{
    int err = ERR_NOT_FOUND;
    for (unsigned i = 0; i < LANDLOG_LISTS_MAX && err == ERR_NOT_FOUND; i++) {
        struct landlog_segment_ref *segments;
        size_t n;
        err = landlog_segments(search->repo, search->project, arena, &segments, &n);
        if (err != OK)
            return err;
        const struct landlog_segment_ref *ref = landlog_segment_at(segments, n, upto);
        if (ref == NULL || ref->end <= upto)
            return ERR_CORRUPT;
        err = landlog_segment_get(search->repo, search->project, ref, arena, out);
    }
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

static int segments_search(struct search *search, struct landlog_segment_ref *segments,
                           size_t n, uint64_t upto)
{
    for (;;) {
        AUTO(arena_release) struct arena arena = {0};
        struct log_segment segment;
        const struct landlog_segment_ref *ref = landlog_segment_at(segments, n, upto);
        int err = landlog_segment_get(search->repo, search->project, ref, &arena, &segment);
        if (err == ERR_NOT_FOUND)
            err = segment_fetch(search, upto, &arena, &segment);
        if (err != OK)
            return err;
        for (uint32_t i = segment.n; i > 0 && !is_done(search); i--) {
            const struct log_entry *entry = &segment.entries[i - 1];
            if (id16_equal(&entry->session, search->session))
                answer_note(search, entry->verdict, entry->closes, &entry->tree,
                            &entry->request);
        }
        if (is_done(search) || segment.first <= search->base || segment.first <= 1)
            return OK;
        upto = segment.first - 1;
    }
}

/* Whether so many segments are fewer than the batches before `batch` down to the base. */
static int segments_fewer(struct search *search, const struct batch *batch, size_t reads,
                          bool *out)
{
    const struct batch *oldest;
    int err = chain_find(search->repo, search->project, &search->head, search->base, &oldest);
    if (err != OK)
        return err;
    *out = reads < batch->footer.batch - oldest->footer.batch;
    chain_drop(search->repo, oldest);
    return OK;
}

/* Searches the segments for what is filed up to `batch`'s first position, if they have all of
 * it, and in fewer reads than there are batches left, unless these are damaged. `*done` when
 * that was all. The log is derived from the chain, so damage to it sends the search back
 * there. */
static int segments_try(struct search *search, const struct batch *batch, bool damaged,
                        bool *done)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *segments;
    size_t n;
    *done = false;
    int err = landlog_segments(search->repo, search->project, &arena, &segments, &n);
    if (err == ERR_CORRUPT)
        return OK;
    if (err != OK)
        return err;
    uint64_t upto = batch->footer.first;
    if (n == 0 || segments[n - 1].end <= upto)
        return OK;
    size_t reads = 0;
    for (size_t i = 0; i < n; i++)
        reads += segments[i].end > search->base && segments[i].first <= upto;
    bool fewer = damaged;
    if (!damaged)
        err = segments_fewer(search, batch, reads, &fewer);
    if (err != OK || !fewer)
        return err;
    struct search before = *search;
    err = segments_search(search, segments, n, upto);
    *done = err == OK;
    if (err == ERR_CORRUPT) {
        *search = before;
        err = OK;
    }
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

static int chain_search(struct search *search)
{
    const struct batch *batch;
    int err = chain_tip(search->repo, search->project, &search->head, &batch);
    if (err != OK)
        return err;
    unsigned reads = 0;
    unsigned ask_at = BATCHES_READ_FIRST;
    bool done = false;
    while (err == OK) {
        batch_look(search, batch);
        /* What was answered before this batch was answered at its first position or earlier. */
        if (is_done(search) || batch->footer.batch == 0 || batch->footer.first < search->base)
            break;
        const struct hash *prev = &batch->footer.prev;
        reads += !batch_cached(search, prev);
        if (reads > ask_at) {
            /* Asked again after as many reads once more: the segments may begin further
             * back. */
            ask_at = 2 * reads;
            err = segments_try(search, batch, false, &done);
            if (err != OK || done)
                break;
        }
        const struct batch *older;
        err = chain_batch(search->repo, search->project, prev, &older);
        if (err == ERR_CORRUPT) {
            err = segments_try(search, batch, true, &done);
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
