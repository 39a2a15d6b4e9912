#include "pipeline/repo/history/answered.h"

#include <stdlib.h>

#include "pipeline/repo/chain_cache.h"
#include "pipeline/repo/history/landlog.h"

/* Of a window with more answers the older half is forgotten: each takes about 100 bytes. */
#define ANSWERS_MAX 50000u
/* Batches that one step of a look-up reads where the log is damaged. */
#define STEP_BATCHES 64u

/* A pass over the log that is under way. */
struct look {
    struct id16 *sessions; /* sorted, so also by base */
    size_t n;              /* of those that are left; 0: no pass is under way */
    uint64_t upto;         /* what is filed above it was seen */
    bool by_chain;         /* the log is damaged */
};

struct answered {
    struct repo *repo;
    struct id16 project;
    bool has_tip;
    struct hash tip; /* newest batch in the window */
    uint64_t tip_batch;
    struct hash below; /* the batch before the oldest in the window; zero: there is none */
    uint64_t floor;    /* position before the oldest batch in the window */
    bool has_far;
    uint64_t far; /* sessions with this base or a lesser one are too far to be reached */
    struct answer_index index;
    struct look look;
};

struct answered *answered_open(struct repo *repo, const struct id16 *project)
{
    struct answered *a = calloc(1, sizeof(*a));
    if (a == NULL)
        abort();
    a->repo = repo;
    a->project = *project;
    return a;
}

void answered_close(struct answered *a)
{
    if (a == NULL)
        return;
    answer_index_release(&a->index);
    free(a->look.sessions);
    free(a);
}

/* --- the window --- */

static void window_add(struct answered *a, const struct tree_id *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        answer_index_add(&a->index, &ids[i].session, &ids[i].request, ids[i].verdict,
                         ids[i].closes);
}

/* Makes `tip` the only batch of the window. */
static void window_begin(struct answered *a, const struct batch *tip)
{
    answer_index_release(&a->index);
    a->look.n = 0; /* what it has passed over is not in the window any more */
    window_add(a, tip->ids, tip->footer.n_records);
    a->has_tip = true;
    a->tip = tip->tree_hash;
    a->tip_batch = tip->footer.batch;
    a->below = tip->footer.prev;
    a->floor = tip->footer.first;
    a->has_far = false;
}

int answered_advance(struct answered *a, const struct batch *tip)
{
    if (!a->has_tip || tip->footer.batch < a->tip_batch) {
        window_begin(a, tip);
        return OK;
    }
    if (hash_equal(&tip->tree_hash, &a->tip))
        return OK;
    /* The ids go in only when the way back to the old tip is whole: half a window would
     * forget. */
    AUTO_BUF found = {0};
    struct hash at = tip->tree_hash;
    while (!hash_equal(&at, &a->tip)) {
        const struct batch *batch;
        int err = chain_batch(a->repo, &a->project, &at, &batch);
        if (err == ERR_CORRUPT) { /* for who asks so far back, not for all */
            window_begin(a, tip);
            return OK;
        }
        if (err != OK)
            return err;
        bool past = batch->footer.batch <= a->tip_batch;
        at = batch->footer.prev;
        if (!past)
            buf_append(&found, batch->ids, batch->footer.n_records * sizeof(*batch->ids));
        chain_drop(a->repo, batch);
        if (past) { /* our old tip is not in this chain: another history */
            window_begin(a, tip);
            return OK;
        }
    }
    for (size_t i = 0; i < found.len; i += sizeof(struct tree_id)) {
        struct tree_id id;
        memcpy(&id, found.data + i, sizeof(id));
        window_add(a, &id, 1);
    }
    a->tip = tip->tree_hash;
    a->tip_batch = tip->footer.batch;
    return OK;
}

/* Takes the batch before the oldest in the window into it. */
static void window_extend(struct answered *a, const struct batch *batch)
{
    window_add(a, batch->ids, batch->footer.n_records);
    a->below = batch->footer.prev;
    a->floor = batch->footer.first;
}

/* The batch before the oldest, for a window that has room for it and where it is in memory. */
static const struct batch *window_older(const struct answered *a)
{
    if (a->index.n >= ANSWERS_MAX / 2 || hash_is_zero(&a->below))
        return NULL;
    return chain_cache_find(a->repo->chain, &a->project, &a->below);
}

void answered_trim(struct answered *a)
{
    if (a->index.n <= ANSWERS_MAX || a->look.n > 0)
        return;
    const struct batch *batch = chain_cache_find(a->repo->chain, &a->project, &a->tip);
    if (batch == NULL) {
        answer_index_release(&a->index);
        a->has_tip = false;
        return;
    }
    window_begin(a, batch);
    chain_drop(a->repo, batch);
    while ((batch = window_older(a)) != NULL) {
        window_extend(a, batch);
        chain_drop(a->repo, batch);
    }
}

/* An answer that landed nothing lies in a batch that ends where it began: at the base, at the
 * least. */
static bool window_reaches(const struct answered *a, uint64_t base)
{
    return hash_is_zero(&a->below) || a->floor < base;
}

bool answered_find(const struct answered *a, const struct id16 *session,
                   const struct id16 *request, struct answer *out)
{
    assert(a->has_tip);
    bool complete = answer_index_find(&a->index, session, request, out);
    return complete || out->answered || window_reaches(a, session_id_base(session));
}

static int reach(struct answered *a, uint64_t base, unsigned *reads)
{
    while (*reads > 0 && !window_reaches(a, base)) {
        const struct batch *batch;
        (*reads)--;
        int err = chain_batch(a->repo, &a->project, &a->below, &batch);
        if (err != OK)
            return err;
        window_extend(a, batch);
        chain_drop(a->repo, batch);
    }
    return OK;
}

int answered_reach(struct answered *a, uint64_t base, unsigned *reads)
{
    assert(a->has_tip);
    if (a->has_far && base <= a->far)
        return OK;
    int err = reach(a, base, reads);
    if ((err == OK || err == ERR_CORRUPT) && !window_reaches(a, base)) {
        a->has_far = true;
        a->far = base;
    }
    return err == ERR_CORRUPT ? OK : err;
}

/* --- looking up --- */

static int id_order(const void *a, const void *b)
{
    return id16_compare(a, b);
}

static bool look_has(const struct look *look, const struct id16 *session)
{
    return look->n > 0 &&
           bsearch(session, look->sessions, look->n, sizeof(*session), id_order) != NULL;
}

/* Begins a pass, unless one is under way that somebody still waits for. */
static void look_begin(struct answered *a, const struct id16 *sessions, size_t n)
{
    struct look *look = &a->look;
    for (size_t i = 0; i < n; i++) {
        if (look_has(look, &sessions[i]))
            return;
    }
    free(look->sessions);
    *look = (struct look){.upto = a->floor};
    look->sessions = calloc(n + 1, sizeof(*sessions));
    if (look->sessions == NULL)
        abort();
    static const struct id16 no_request;
    for (size_t i = 0; i < n; i++) {
        struct answer answer;
        if (!answered_find(a, &sessions[i], &no_request, &answer))
            look->sessions[look->n++] = sessions[i];
    }
    if (look->n > 0)
        qsort(look->sessions, look->n, sizeof(*sessions), id_order);
}

/* Everything filed above `position` was seen: who has a greater base is done. */
static void look_passed(struct answered *a, uint64_t position)
{
    struct look *look = &a->look;
    while (look->n > 0 && session_id_base(&look->sessions[look->n - 1]) > position)
        answer_index_complete(&a->index, &look->sessions[--look->n]);
    look->upto = position;
}

static int look_in_log(struct answered *a, size_t entries_max)
{
    struct look *look = &a->look;
    struct landlog *log;
    int err = landlog_open(a->repo, &a->project, look->upto, &log);
    if (err != OK)
        return err;
    const struct log_entry *entry;
    for (size_t i = 0; (err = landlog_next(log, &entry)) == OK; i++) {
        if (entry->position < look->upto) {
            look_passed(a, entry->position);
            /* The next step begins with all that is filed under this position. */
            if (i >= entries_max || look->n == 0)
                break;
        }
        if (look_has(look, &entry->session))
            answer_index_add(&a->index, &entry->session, &entry->request, entry->verdict,
                             entry->closes);
    }
    landlog_close(log);
    if (err != ERR_NOT_FOUND)
        return err;
    while (look->n > 0) /* the beginning */
        answer_index_complete(&a->index, &look->sessions[--look->n]);
    return OK;
}

/* The window then reaches who is done. */
static int look_in_chain(struct answered *a)
{
    struct look *look = &a->look;
    unsigned reads = STEP_BATCHES;
    int err = reach(a, session_id_base(&look->sessions[0]), &reads);
    while (look->n > 0 && window_reaches(a, session_id_base(&look->sessions[look->n - 1])))
        look->n--;
    return err;
}

int answered_look_up(struct answered *a, const struct id16 *sessions, size_t n,
                     size_t entries_max)
{
    struct look *look = &a->look;
    look_begin(a, sessions, n);
    if (look->n == 0)
        return OK;
    int err = look->by_chain ? ERR_CORRUPT : look_in_log(a, entries_max);
    if (err == ERR_CORRUPT) {
        look->by_chain = true;
        err = look->n == 0 ? OK : look_in_chain(a);
    }
    if (err == ERR_CORRUPT)
        look->n = 0; /* the next time may find it mended */
    return err;
}
