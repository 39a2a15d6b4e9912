#include "pipeline/repo/answered.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/repo/landlog.h"

/* A window that holds more ids is begun anew: 64 bytes each. */
#define IDS_MAX 250000u
/* Batches that one question reads backwards before it turns to the log. */
#define READS_MAX 64u

struct seen_id {
    struct tree_id id; /* session all zero: an empty slot */
    bool looked_up;    /* not an answer: below the window this session was looked up already */
};

struct answered {
    struct repo *repo;
    struct id16 project;
    bool has_tip;
    struct hash tip; /* newest batch in the window */
    uint64_t tip_batch;
    struct hash below;     /* the batch before the oldest in the window; zero: there is none */
    uint64_t floor;        /* position before the oldest batch in the window */
    struct seen_id *slots; /* open addressing, several a session */
    size_t n_slots;        /* a power of two */
    size_t used;
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
    free(a->slots);
    free(a);
}

static size_t slot_of(const struct answered *a, const struct id16 *session)
{
    return (size_t)xxh3_64(bytes_of(session->b, sizeof(session->b))) & (a->n_slots - 1);
}

static void slots_insert(struct answered *a, const struct seen_id *seen)
{
    size_t i = slot_of(a, &seen->id.session);
    while (!id16_is_zero(&a->slots[i].id.session))
        i = (i + 1) & (a->n_slots - 1);
    a->slots[i] = *seen;
    a->used++;
}

static void window_add(struct answered *a, const struct seen_id *seen)
{
    if (a->used * 2 >= a->n_slots) {
        struct seen_id *old = a->slots;
        size_t n_old = a->n_slots;
        a->n_slots = n_old == 0 ? 1024 : n_old * 2;
        a->slots = calloc(a->n_slots, sizeof(*a->slots));
        if (a->slots == NULL)
            abort();
        a->used = 0;
        for (size_t i = 0; i < n_old; i++) {
            if (!id16_is_zero(&old[i].id.session))
                slots_insert(a, &old[i]);
        }
        free(old);
    }
    slots_insert(a, seen);
}

static void window_add_batch(struct answered *a, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->footer.n_records; i++)
        window_add(a, &(struct seen_id){.id = batch->ids[i]});
}

/* Makes `tip` the only batch of the window. */
static void window_begin(struct answered *a, const struct batch *tip)
{
    free(a->slots);
    a->slots = NULL;
    a->n_slots = 0;
    a->used = 0;
    window_add_batch(a, tip);
    a->has_tip = true;
    a->tip = tip->tree_hash;
    a->tip_batch = tip->footer.batch;
    a->below = tip->footer.prev;
    a->floor = tip->footer.first;
}

int answered_advance(struct answered *a, const struct batch *tip)
{
    if (!a->has_tip || a->used > IDS_MAX || tip->footer.batch < a->tip_batch) {
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
        struct seen_id seen = {0};
        memcpy(&seen.id, found.data + i, sizeof(seen.id));
        window_add(a, &seen);
    }
    a->tip = tip->tree_hash;
    a->tip_batch = tip->footer.batch;
    return OK;
}

/* Takes in one more batch at the old end. */
static int window_extend(struct answered *a)
{
    const struct batch *batch;
    int err = chain_batch(a->repo, &a->project, &a->below, &batch);
    if (err != OK)
        return err;
    window_add_batch(a, batch);
    a->below = batch->footer.prev;
    a->floor = batch->footer.first;
    chain_drop(a->repo, batch);
    return OK;
}

/* Looks at what the window holds of the session. `looked_up` tells whether below it was
 * searched before. */
static void window_find(const struct answered *a, const struct id16 *session,
                        const struct id16 *request, struct answer *out, bool *looked_up)
{
    *out = (struct answer){0};
    *looked_up = false;
    if (a->n_slots == 0)
        return;
    for (size_t i = slot_of(a, session); !id16_is_zero(&a->slots[i].id.session);
         i = (i + 1) & (a->n_slots - 1)) {
        const struct seen_id *seen = &a->slots[i];
        if (!id16_equal(&seen->id.session, session))
            continue;
        if (seen->looked_up) {
            *looked_up = true;
            continue;
        }
        bool same = id16_equal(&seen->id.request, request);
        if (same || (seen->id.closes && !out->answered))
            out->verdict = seen->id.verdict;
        out->answered = out->answered || same;
        out->closed = out->closed || seen->id.closes;
    }
}

/* The log's word on a session whose base lies far below the window; remembered as the window's
 * own. */
static int look_up_below(struct answered *a, const struct id16 *session)
{
    uint64_t base = session_id_base(session);
    struct landlog *log;
    int err = landlog_open(a->repo, &a->project, a->floor, &log);
    if (err != OK)
        return err;
    const struct log_entry *entry;
    while ((err = landlog_next(log, &entry)) == OK && entry->position >= base) {
        if (!id16_equal(&entry->session, session))
            continue;
        window_add(a, &(struct seen_id){.id = {.session = *session,
                                               .request = entry->request,
                                               .verdict = entry->verdict,
                                               .closes = entry->closes}});
    }
    landlog_close(log);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    window_add(a, &(struct seen_id){.id = {.session = *session}, .looked_up = true});
    return OK;
}

/* One step further back. Chain and log say the same, so damage to one sends the look-up to the
 * other. */
static int look_further(struct answered *a, const struct id16 *session, unsigned reads,
                        bool *log_damaged)
{
    bool by_log = reads >= READS_MAX && !*log_damaged;
    int err = by_log ? look_up_below(a, session) : window_extend(a);
    if (err != ERR_CORRUPT)
        return err;
    if (!by_log && *log_damaged)
        return err;
    *log_damaged = by_log;
    return by_log ? window_extend(a) : look_up_below(a, session);
}

int answered_find(struct answered *a, const struct id16 *session, const struct id16 *request,
                  struct answer *out)
{
    assert(a->has_tip);
    uint64_t base = session_id_base(session);
    bool looked_up;
    bool log_damaged = false;
    window_find(a, session, request, out, &looked_up);
    /* An answer that landed nothing lies in a batch that ends where it began: at the base, at
     * the least. */
    for (unsigned reads = 0;
         !out->answered && !looked_up && !hash_is_zero(&a->below) && a->floor >= base;
         reads++) {
        int err = look_further(a, session, reads, &log_damaged);
        if (err != OK)
            return err;
        window_find(a, session, request, out, &looked_up);
    }
    return OK;
}
