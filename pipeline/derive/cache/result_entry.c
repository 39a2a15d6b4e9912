#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hex.h"
#include "pipeline/derive/cache/result_inside.h"
#include "pipeline/sys/log.h"

/* ---- slabs ---- */

struct slab *slab_make(size_t space)
{
    struct slab *slab = malloc(sizeof(*slab) + space);
    if (slab == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    atomic_init(&slab->refs, 1);
    slab->len = 0;
    slab->next = NULL;
    return slab;
}

struct slab *slab_ref(struct slab *slab)
{
    (void)atomic_fetch_add(&slab->refs, 1);
    return slab;
}

void slab_unref(struct slab *slab)
{
    if (slab != NULL && atomic_fetch_sub(&slab->refs, 1) == 1)
        free(slab);
}

/* Large memory is given back to the system when it is freed: not under the lock. */
static void slab_bury(struct result_cache *cache, struct slab *slab)
{
    if (atomic_fetch_sub(&slab->refs, 1) == 1) {
        slab->next = cache->dead_slabs;
        cache->dead_slabs = slab;
    }
}

/* ---- the lock ---- */

void result_lock(struct result_cache *cache)
{
    int failed = pthread_mutex_lock(&cache->mutex);
    assert(failed == 0);
    (void)failed;
}

static void free_dead(struct result_cache *cache, struct result_entry *dead, struct slab *slabs)
{
    while (dead != NULL) {
        struct result_entry *next = dead->next;
        result_entry_free(cache, dead);
        dead = next;
    }
    while (slabs != NULL) {
        struct slab *next = slabs->next;
        free(slabs);
        slabs = next;
    }
}

void result_unlock(struct result_cache *cache)
{
    struct result_entry *dead = cache->dead;
    struct slab *slabs = cache->dead_slabs;
    cache->dead = NULL;
    cache->dead_slabs = NULL;
    int failed = pthread_mutex_unlock(&cache->mutex);
    assert(failed == 0);
    (void)failed;
    free_dead(cache, dead, slabs);
}

void result_leave(struct result_cache *cache)
{
    while (cache->work != NULL) {
        struct result_entry *e = cache->work;
        cache->work = e->next;
        e->queued = false;
        result_file_work(cache, e);
        result_entry_drop(cache, e);
    }
    result_unlock(cache);
}

/* ---- entries ---- */

struct result_entry *result_entry_make(const struct id16 *project, const struct result *result,
                                       struct hash *chunks)
{
    struct result_entry *e = must_alloc(1, sizeof(*e));
    e->project = *project;
    e->result = *result;
    e->fd = -1;
    e->ram.order.frequency = 1;
    e->disk.order.frequency = 1;
    e->n_slabs = chunks == NULL ? 1 : (uint32_t)((result->size - 1) / result->chunk_size + 1);
    e->slabs = must_alloc(e->n_slabs, sizeof(struct slab *));
    if (chunks != NULL) {
        e->chunks = chunks;
        e->nodes = must_alloc(e->n_slabs, sizeof(*e->nodes));
        for (uint32_t i = 0; i < e->n_slabs; i++)
            e->nodes[i].entry = e;
    }
    return e;
}

void result_entry_free(struct result_cache *cache, struct result_entry *e)
{
    for (uint32_t i = 0; i < e->n_slabs; i++)
        slab_unref(e->slabs[i]);
    if (e->fd >= 0)
        cache->files->shut(cache->files, e->fd);
    free(e->fresh);
    free(e->slabs);
    free(e->chunks);
    free(e->nodes);
    free(e);
}

struct result_entry *result_entry_find(struct result_cache *cache, const struct id16 *project,
                                       const struct hash *hash)
{
    struct result_node *node = result_table_first(&cache->entries, result_code(project, hash));
    for (; node != NULL; node = result_table_next(node)) {
        struct result_entry *e = (struct result_entry *)node;
        if (hash_equal(&e->result.hash, hash) && id16_equal(&e->project, project))
            return e;
    }
    return NULL;
}

struct result_entry *result_chunk_find(struct result_cache *cache, const struct id16 *project,
                                       const struct hash *hash, uint32_t *chunk)
{
    struct result_node *node = result_table_first(&cache->chunks, result_code(project, hash));
    for (; node != NULL; node = result_table_next(node)) {
        const struct chunk_node *c = (const struct chunk_node *)node;
        uint32_t at = (uint32_t)(c - c->entry->nodes);
        if (hash_equal(&c->entry->chunks[at], hash) &&
            id16_equal(&c->entry->project, project)) {
            *chunk = at;
            return c->entry;
        }
    }
    return NULL;
}

struct pin_node *result_pin_find(struct result_cache *cache, const struct id16 *project,
                                 const struct hash *hash)
{
    struct result_node *node = result_table_first(&cache->pins, result_code(project, hash));
    for (; node != NULL; node = result_table_next(node)) {
        struct pin_node *pin = (struct pin_node *)node;
        if (hash_equal(&pin->hash, hash) && id16_equal(&pin->project, project))
            return pin;
    }
    return NULL;
}

void result_entry_list(struct result_cache *cache, struct result_entry *e)
{
    e->listed = true;
    e->used_us = cache->clock->mono_us(cache->clock);
    result_table_add(&cache->entries, &e->node, result_code(&e->project, &e->result.hash));
    for (uint32_t i = 0; e->nodes != NULL && i < e->n_slabs; i++)
        result_table_add(&cache->chunks, &e->nodes[i].node,
                         result_code(&e->project, &e->chunks[i]));
    cache->stats.entries++;
    cache->stats.bytes += e->result.size;
    cache->stats.pinned += e->pinned;
}

static void unlist(struct result_cache *cache, struct result_entry *e)
{
    e->listed = false;
    result_table_remove(&cache->entries, &e->node);
    for (uint32_t i = 0; e->nodes != NULL && i < e->n_slabs; i++)
        result_table_remove(&cache->chunks, &e->nodes[i].node);
    cache->stats.entries--;
    cache->stats.bytes -= e->result.size;
    cache->stats.pinned -= e->pinned;
}

static void free_slabs(struct result_cache *cache, struct result_entry *e)
{
    for (uint32_t i = 0; i < e->n_slabs && e->n_loaded > 0; i++) {
        if (e->slabs[i] != NULL) {
            slab_bury(cache, e->slabs[i]);
            e->slabs[i] = NULL;
            e->n_loaded--;
        }
    }
    e->loaded_bytes = 0;
}

static void queue(struct result_cache *cache, struct result_entry *e)
{
    if (e->queued || e->busy || !result_file_is_due(e))
        return;
    e->queued = true;
    e->holders++;
    e->next = cache->work;
    cache->work = e;
}

void result_entry_settle(struct result_cache *cache, struct result_entry *e)
{
    /* What is in memory in parts only is of no use without its file. */
    if (e->disk.bytes == 0 && e->ram.bytes > 0 && e->n_loaded < e->n_slabs)
        result_ram_uncount(cache, e);
    if (e->listed && e->ram.bytes == 0 && e->disk.bytes == 0)
        unlist(cache, e);
    /* A file that stays, or is open, has the bytes; but who writes one, or is to write one when
     * the file before it is gone, takes them from here. */
    bool filed = e->n_filed == e->n_slabs && ((e->there && e->disk.bytes > 0) || e->fd >= 0);
    bool written = e->busy && (!e->there || e->going);
    if (e->ram.bytes == 0 && filed && !written)
        free_slabs(cache, e);
    if (e->fd >= 0 && e->readers == 0 && e->listed && !e->busy) {
        /* It has its name still, so this frees nothing and is fast. */
        cache->files->shut(cache->files, e->fd);
        e->fd = -1;
    }
    queue(cache, e);
    if (e->holders == 0 && !e->listed) {
        e->next = cache->dead;
        cache->dead = e;
    }
}

void result_entry_hold(struct result_entry *e)
{
    e->holders++;
}

void result_entry_drop(struct result_cache *cache, struct result_entry *e)
{
    assert(e->holders > 0);
    e->holders--;
    result_entry_settle(cache, e);
}

void result_entry_read(struct result_entry *e)
{
    e->holders++;
    e->readers++;
}

void result_entry_read_end(struct result_cache *cache, struct result_entry *e)
{
    assert(e->readers > 0);
    e->readers--;
    result_entry_drop(cache, e);
}

void result_entry_remove(struct result_cache *cache, struct result_entry *e)
{
    if (e->ram.bytes > 0)
        result_ram_uncount(cache, e);
    if (e->disk.bytes > 0)
        result_disk_uncount(cache, e);
    result_entry_settle(cache, e);
}

void result_entry_damaged(struct result_cache *cache, struct result_entry *e)
{
    result_lock(cache);
    bool first = e->listed;
    if (first) {
        cache->stats.damaged++;
        result_entry_remove(cache, e);
    }
    result_leave(cache);
    if (first) {
        struct hash_hex hash = hash_hex(&e->result.hash);
        struct id16_hex project = id16_hex(&e->project);
        log_warn("derive_result_damaged", LOG_STR("project", project.s),
                 LOG_STR("address", hash.s));
    }
}
