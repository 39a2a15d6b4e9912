#include "pipeline/derive/index/derive_index.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/derive/index/index_front.h"
#include "pipeline/derive/index/index_project.h"
#include "pipeline/sys/file.h"
#include "pipeline/sys/log.h"
#include "pipeline/sys/must_alloc.h"

#define FRONT_BYTES (64u * MIB)
#define CACHE_BYTES (64u * MIB)
#define OPEN_MAX    8u
#define LOOK_US     1000000u
#define KEEP_US     1000000u

/* At so much the database takes in what waits: large batches cost it less each. */
#define STAGE_ITEMS 65536u
#define STAGE_BYTES (32u * MIB)
/* At so much whoever brings more waits for that. */
#define STAGE_ITEMS_MAX (2 * STAGE_ITEMS)
#define STAGE_BYTES_MAX (2 * STAGE_BYTES)
/* Items that are taken in before others get a turn: runs ask meanwhile. */
#define TURN 64u

/* ---- opening ---- */

int derive_index_open(const struct derive_index_options *options, struct derive_index **out)
{
    int err = file_mkdirs(options->dir);
    if (err != OK)
        return err;
    struct derive_index *index = must_alloc(1, sizeof(*index));
    index->options = *options;
    size_t len = strlen(options->dir) + 1;
    index->dir = must_alloc(len, 1);
    memcpy(index->dir, options->dir, len);
    if (index->options.cache_bytes == 0)
        index->options.cache_bytes = CACHE_BYTES;
    if (index->options.open_max == 0)
        index->options.open_max = OPEN_MAX;
    if (index->options.look_us == 0)
        index->options.look_us = LOOK_US;
    index->front =
        index_front_open(options->front_bytes == 0 ? FRONT_BYTES : options->front_bytes);
    int failed = pthread_mutex_init(&index->lock, NULL);
    assert(failed == 0);
    (void)failed;
    bell_init(&index->bell);
    *out = index;
    return OK;
}

void derive_index_close(struct derive_index *index)
{
    if (index == NULL)
        return;
    derive_index_stop(index);
    while (index->projects != NULL) {
        struct index_project *p = index->projects;
        index->projects = p->next;
        assert(p->holders == 0);
        project_close(p);
    }
    held_cache_close(index->front);
    bell_release(&index->bell);
    (void)pthread_mutex_destroy(&index->lock);
    free(index->dir);
    free(index);
}

/* ---- the thread that fills databases ---- */

int derive_index_flush(struct derive_index *index)
{
    /* Those that are open now; each is held while it is filled, and then the next one behind it
     * in the order of their use. */
    int first = OK;
    AUTO(arena_release) struct arena arena = {0};
    void *items = NULL;
    size_t n = 0;
    size_t cap = 0;
    index_lock(&index->lock);
    for (struct index_project *p = index->projects; p != NULL; p = p->next) {
        struct index_project **held = arena_push(&arena, &items, &n, &cap, sizeof(*held));
        index->n_idle -= p->holders == 0;
        p->holders++;
        *held = p;
    }
    index_unlock(&index->lock);
    struct index_project **held = items;
    for (size_t i = 0; i < n; i++) {
        int err = project_flush(held[i]);
        first = first != OK ? first : err;
        project_forget(held[i]);
        project_read_ahead(held[i]);
        project_memos_read(held[i]);
        project_release(held[i]);
    }
    return first;
}

static void *keeper(void *arg)
{
    struct derive_index *index = arg;
    for (;;) {
        (void)bell_wait(&index->bell, KEEP_US);
        index_lock(&index->lock);
        bool stops = index->stops;
        index_unlock(&index->lock);
        if (stops)
            return NULL;
        int err = derive_index_flush(index);
        if (err != OK)
            log_warn("derive_index_not_kept", LOG_ERR(err));
    }
}

void derive_index_start(struct derive_index *index)
{
    index->stops = false;
    int failed = pthread_create(&index->keeper, NULL, keeper, index);
    assert(failed == 0);
    (void)failed;
    index->keeps = true;
}

void derive_index_stop(struct derive_index *index)
{
    if (!index->keeps)
        return;
    index_lock(&index->lock);
    index->stops = true;
    index_unlock(&index->lock);
    bell_ring(&index->bell);
    (void)pthread_join(index->keeper, NULL);
    index->keeps = false;
}

/* ---- what goes in ---- */

static void pin_take(struct index_project *p, const struct derive_item *item,
                     const struct told *told)
{
    const struct derive_index_options *options = &p->index->options;
    if (pin_set_take(&p->pins, &item->address, item->kind == DERIVE_PIN, told) &&
        options->pinned != NULL)
        options->pinned(options->pinned_arg, &p->id, &item->address);
}

/* One item. Under the project's lock. */
static void item_take(struct index_project *p, const struct derive_object *object, uint32_t i,
                      struct bytes encoded)
{
    struct held_cache *front = p->index->front;
    const struct derive_item *item = &object->items[i];
    struct told told = {object->hlc, object->agent, object->seq, i};
    struct quarantine twice = {0};
    uint32_t offset =
        item->kind == DERIVE_LEAF ? (uint32_t)(item->data.data - encoded.data) : 0;
    index_stage_add(p->stage, item, &told, offset, &twice);
    if (twice.function.len > 0) {
        struct derive_item found = {.kind = DERIVE_QUARANTINE, .quarantine = twice};
        struct quarantine none;
        project_quarantine(p, &twice);
        index_stage_add(p->stage, &found, &told, 0, &none);
    }
    if (item->kind == DERIVE_QUARANTINE)
        project_quarantine(p, &item->quarantine);
    if (item->kind == DERIVE_PIN || item->kind == DERIVE_UNPIN)
        pin_take(p, item, &told);
    if (item->kind == DERIVE_MEMO) {
        index_front_remove(front, &p->id, FRONT_MEMO, &item->address);
        project_memo_told(p, &item->address);
    }
    /* What others told before this process was there mostly is not asked for. */
    if (item->kind == DERIVE_RECIPE && (p->complete || !p->looking))
        index_front_add(front, &p->id, FRONT_RECIPE, &item->address, item->data);
}

/* Whether so much waits that the caller has to make room. */
static bool stage_full(struct index_project *p)
{
    index_lock(&p->lock);
    size_t bytes = index_stage_bytes(p->stage);
    size_t n = p->stage->n;
    index_unlock(&p->lock);
    if (n >= STAGE_ITEMS_MAX || bytes >= STAGE_BYTES_MAX)
        return true;
    bool much = n >= STAGE_ITEMS || bytes >= STAGE_BYTES;
    if (much && p->index->keeps)
        bell_ring(&p->index->bell);
    return much && !p->index->keeps;
}

static int items_take(struct index_project *p, const struct derive_object *object,
                      struct bytes encoded)
{
    for (uint32_t i = 0; i < object->n;) {
        int err = stage_full(p) ? project_flush(p) : OK;
        if (err != OK)
            return err;
        index_lock(&p->lock);
        for (uint32_t taken = 0; i < object->n && taken < TURN; i++) {
            const struct derive_item *item = &object->items[i];
            item_take(p, object, i, encoded);
            taken += item->kind == DERIVE_CHUNKS ? item->chunks.n : 1;
        }
        index_unlock(&p->lock);
    }
    return OK;
}

int derive_index_apply(struct derive_index *index, const struct derive_object *object,
                       struct bytes encoded)
{
    struct index_project *p;
    int err = project_hold(index, &object->project, &p);
    if (err != OK)
        return err;
    index_lock(&p->lock);
    uint64_t generation = p->generation;
    bool known = object->seq <= project_read_of(p, object->agent);
    index_unlock(&p->lock);
    if (!known)
        err = items_take(p, object, encoded);
    index_lock(&p->lock);
    /* A database that was made anew meanwhile has lost what lies before this object. */
    if (err == OK && p->generation == generation &&
        object->seq == project_read_of(p, object->agent) + 1)
        project_read_set(p, object->agent, object->seq);
    index_unlock(&p->lock);
    project_release(p);
    return err;
}

int derive_index_agents(struct derive_index *index, const struct id16 *project,
                        struct arena *arena, struct derive_read **out, size_t *n)
{
    struct index_project *p;
    int err = project_hold(index, project, &p);
    if (err != OK)
        return err;
    index_lock(&p->lock);
    struct derive_read *reads = arena_array(arena, p->n_reads, struct derive_read);
    for (size_t i = 0; i < p->n_reads; i++)
        reads[i] = p->reads[i].read;
    *out = reads;
    *n = p->n_reads;
    index_unlock(&p->lock);
    project_release(p);
    return OK;
}
