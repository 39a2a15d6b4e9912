#include "pipeline/repo/history/answered.h"

#include <stdlib.h>

#include "pipeline/repo/chain_cache.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/history/rollup_read.h"

/* Of a window with more answers the older half is forgotten: each takes about 100 bytes. */
#define ANSWERS_MAX 50000u
/* Batches that one step of a look-up reads where the log is damaged, */
#define STEP_BATCHES 64u
/* and where the log does not have them yet: enough for a segment of one landing each. */
#define TAIL_BATCHES 128u
/* So few positions are read without asking the rollups about them. */
#define NEAR_POSITIONS (4u * LOG_SPAN_LARGE)

/* A look-up that is under way. It goes through the log once for those of its sessions that are
 * furthest back, as many as the rollups are asked about at once, and then for the next. */
struct look {
    struct id16 *sessions; /* sorted, so also by base */
    size_t n;              /* of those that are left; 0: nothing is under way */
    size_t n_asked;        /* the first so many are gone through the log for; 0: not begun */
    struct rollup_reader *rollups;
    struct rollup_range range; /* of the log, in which they may be; what is left of it */
    bool in_range;
    bool unbroken;      /* the range begins where all was seen */
    uint64_t seen_from; /* all that is filed under it or later was seen */
    bool by_chain;      /* the log is damaged */
};

struct answered {
    struct repo *repo;
    struct id16 project;
    bool has_tip;
    struct hash tip; /* newest batch in the window */
    uint64_t tip_batch;
    struct hash below; /* the batch before the oldest in the window; zero: there is none */
    uint64_t floor;    /* position before the oldest batch in the window */
    struct footer low; /* of that batch, for the ancestors that it names */
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

static void look_end(struct look *look)
{
    rollup_reader_close(look->rollups);
    free(look->sessions);
    *look = (struct look){0};
}

void answered_close(struct answered *a)
{
    if (a == NULL)
        return;
    answer_index_release(&a->index);
    look_end(&a->look);
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
    look_end(&a->look); /* what it has passed over is not in the window any more */
    window_add(a, tip->ids, tip->footer.n_records);
    a->has_tip = true;
    a->tip = tip->tree_hash;
    a->tip_batch = tip->footer.batch;
    a->below = tip->footer.prev;
    a->floor = tip->footer.first;
    a->low = tip->footer;
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
    a->low = batch->footer;
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

/* So many batches at least have to be read to reach the base: those between the window and the
 * oldest ancestor that is known to be at it or above. */
static uint64_t window_lacks(const struct answered *a, uint64_t base)
{
    const struct ancestor *oldest = footer_toward(&a->low, base);
    return oldest != NULL ? a->low.batch - oldest->batch : 0;
}

int answered_reach(struct answered *a, uint64_t base, unsigned *reads)
{
    assert(a->has_tip);
    if (a->has_far && base <= a->far)
        return OK;
    int err = OK;
    if (!window_reaches(a, base) && window_lacks(a, base) <= *reads)
        err = reach(a, base, reads);
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
    look_end(look);
    look->seen_from = a->floor + 1;
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

/* All that is filed under `position` or later was seen: who has no lesser base is done. */
static void look_seen(struct answered *a, uint64_t position)
{
    struct look *look = &a->look;
    look->seen_from = position;
    while (look->n > 0 && session_id_base(&look->sessions[look->n - 1]) >= position)
        answer_index_complete(&a->index, &look->sessions[--look->n]);
    while (look->n_asked > look->n)
        rollup_reader_drop(look->rollups, (unsigned)--look->n_asked);
}

/* The window has grown: it tells of who is within its reach. */
static void look_reached(struct answered *a)
{
    struct look *look = &a->look;
    while (look->n > 0 && window_reaches(a, session_id_base(&look->sessions[look->n - 1])))
        look->n--;
    look->seen_from = a->floor + 1;
}

/* Begins to go through the log: the rollups are asked where to look. */
static void pass_begin(struct answered *a)
{
    struct look *look = &a->look;
    struct rollup_asked asked[ROLLUP_ASKS_MAX];
    uint64_t end = a->floor + 1;
    look->n_asked = look->n < ROLLUP_ASKS_MAX ? look->n : ROLLUP_ASKS_MAX;
    for (size_t i = 0; i < look->n_asked; i++) {
        asked[i].key = rollup_key_session(&look->sessions[i]);
        asked[i].from = session_id_base(&look->sessions[i]);
    }
    look->seen_from = end;
    if (look->rollups == NULL) {
        look->rollups = rollup_reader_open(a->repo, &a->project);
        rollup_reader_ahead(look->rollups, ROLLUP_AHEAD_FIRST, ROLLUP_AHEAD_MAX);
    }
    rollup_reader_ask_many(look->rollups, asked, look->n_asked, end);
    if (end - asked[0].from > NEAR_POSITIONS)
        return;
    for (unsigned i = 0; i < look->n_asked; i++)
        rollup_reader_drop(look->rollups, i);
    look->range = (struct rollup_range){.from = asked[0].from, .end = end};
    look->in_range = look->unbroken = true;
}

/* Who was asked for is done, and the others come nearer. */
static void pass_end(struct answered *a)
{
    struct look *look = &a->look;
    for (size_t i = 0; i < look->n_asked; i++)
        answer_index_complete(&a->index, &look->sessions[i]);
    look->n -= look->n_asked;
    memmove(look->sessions, look->sessions + look->n_asked, look->n * sizeof(*look->sessions));
    look->n_asked = 0;
}

/* Goes through the range at hand, as far as `*entries` of it reach, which it counts down. All
 * that is filed under one position is seen in one step. */
static int range_look(struct answered *a, struct landlog *log, size_t *entries)
{
    struct look *look = &a->look;
    const struct log_entry *entry;
    int err = landlog_run(log, look->range.from, look->range.end);
    if (err != OK)
        return err;
    while ((err = landlog_next(log, &entry)) == OK) {
        if (entry->position + 1 < look->range.end) {
            look->range.end = entry->position + 1;
            if (look->unbroken)
                look_seen(a, look->range.end);
            if (*entries == 0 || look->n == 0)
                return OK;
        }
        *entries -= *entries > 0;
        if (look_has(look, &entry->session))
            answer_index_add(&a->index, &entry->session, &entry->request, entry->verdict,
                             entry->closes);
    }
    if (err != ERR_NOT_FOUND)
        return err;
    look->in_range = false;
    if (look->unbroken)
        look_seen(a, look->range.from);
    return OK;
}

/* What is not in the log yet is taken into the window, where that is not too much. */
static int tail_look(struct answered *a, uint64_t log_end)
{
    unsigned reads = TAIL_BATCHES;
    int err = reach(a, log_end, &reads);
    look_reached(a);
    return err;
}

/* Goes on with the pass, until it ends or enough entries were seen. */
static int pass_look(struct answered *a, struct landlog *log, size_t entries)
{
    struct look *look = &a->look;
    int err = OK;
    while (err == OK && look->n > 0 && entries > 0) {
        if (look->in_range) {
            err = range_look(a, log, &entries);
        } else if (rollup_reader_next(look->rollups, &look->range)) {
            look->in_range = true;
            look->unbroken = look->range.end == look->seen_from;
        } else {
            pass_end(a);
            break;
        }
    }
    return err;
}

static int look_in_log(struct answered *a, size_t entries_max)
{
    struct look *look = &a->look;
    struct landlog *log;
    uint64_t upto = look->in_range ? look->range.end - 1 : a->floor;
    int err = landlog_open(a->repo, &a->project, upto, &log);
    if (err != OK)
        return err;
    uint64_t end = landlog_end(log);
    bool tail = end > 0 && end <= a->floor && look->n_asked == 0 &&
                a->floor - end < ANSWERS_MAX / 2 && a->index.n < ANSWERS_MAX;
    if (tail)
        err = tail_look(a, end);
    if (err == OK && look->n > 0 && (!tail || a->floor < end)) {
        if (look->n_asked == 0)
            pass_begin(a);
        err = pass_look(a, log, entries_max);
    }
    landlog_close(log);
    return err;
}

/* The window then reaches who is done. */
static int look_in_chain(struct answered *a)
{
    unsigned reads = STEP_BATCHES;
    a->look.n_asked = 0;
    a->look.in_range = false;
    int err = reach(a, session_id_base(&a->look.sessions[0]), &reads);
    look_reached(a);
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
