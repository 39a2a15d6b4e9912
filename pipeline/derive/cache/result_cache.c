#include "pipeline/derive/cache/result_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/buf.h"
#include "pipeline/derive/cache/result_inside.h"

/* One result takes at most this part of the memory where there is a directory for it. */
#define RAM_PART 16u

static int open_files(struct result_cache *cache, const struct result_cache_options *options)
{
    if (options->files != NULL) {
        cache->files = options->files;
    } else if (options->dir != NULL) {
        AUTO_BUF dir = {0};
        buf_printf(&dir, "%s/results%c", options->dir, 0);
        int err = file_area_open((const char *)dir.data, &cache->files);
        if (err != OK)
            return err;
        cache->files_are_mine = true;
    }
    return OK;
}

int result_cache_open(const struct result_cache_options *options, struct result_cache **out)
{
    assert(options->chunk_size >= CHUNK_SIZE_MIN && options->chunk_size <= CHUNK_SIZE_MAX);
    struct result_cache *cache = must_alloc(1, sizeof(*cache));
    int failed = pthread_mutex_init(&cache->mutex, NULL);
    assert(failed == 0);
    failed = pthread_cond_init(&cache->idle, NULL);
    assert(failed == 0);
    (void)failed;
    cache->chunk_size = options->chunk_size;
    cache->file_cost_us = options->file_cost_us;
    cache->clock = options->clock != NULL ? options->clock : clock_system();
    cache->ram.bytes_max = options->ram_bytes;
    cache->disk.bytes_max = options->disk_bytes;
    int err = open_files(cache, options);
    cache->ram_most = cache->files == NULL ? options->ram_bytes : options->ram_bytes / RAM_PART;
    if (err == OK && cache->files != NULL)
        err = result_scan(cache);
    if (err != OK) {
        result_cache_close(cache);
        return err;
    }
    *out = cache;
    return OK;
}

static void free_entries(struct result_cache *cache)
{
    for (size_t i = 0; i < cache->entries.n_buckets; i++) {
        for (struct result_node *node = cache->entries.buckets[i]; node != NULL;) {
            struct result_node *next = node->next;
            struct result_entry *e = (struct result_entry *)node;
            assert(e->holders == 0);
            result_entry_free(cache, e);
            node = next;
        }
    }
}

static void free_pins(struct result_cache *cache)
{
    for (size_t i = 0; i < cache->pins.n_buckets; i++) {
        for (struct result_node *node = cache->pins.buckets[i]; node != NULL;) {
            struct result_node *next = node->next;
            free(node);
            node = next;
        }
    }
}

void result_cache_close(struct result_cache *cache)
{
    if (cache == NULL)
        return;
    free_entries(cache);
    free_pins(cache);
    result_table_release(&cache->entries);
    result_table_release(&cache->chunks);
    result_table_release(&cache->pins);
    gdsf_release(&cache->ram.order);
    gdsf_release(&cache->disk.order);
    if (cache->files_are_mine)
        file_area_close(cache->files);
    (void)pthread_cond_destroy(&cache->idle);
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

/* ---- pins ---- */

/* What was counted as one that may go counts as one that may not, or the other way. */
static void pin_set(struct result_cache *cache, struct result_entry *e, bool pinned)
{
    cache->stats.pinned += pinned;
    cache->stats.pinned -= e->pinned;
    e->pinned = pinned;
    bool loaded = e->n_loaded == e->n_slabs;
    if (e->disk.bytes > 0 || (pinned && cache->files != NULL && loaded))
        result_disk_count(cache, e);
    if (e->ram.bytes > 0)
        result_ram_count(cache, e);
    result_entry_hold(e);
    result_make_room(cache, NULL);
    result_file_work(cache, e);
    result_entry_drop(cache, e);
}

void result_pin(struct result_cache *cache, const struct id16 *project, const struct hash *hash)
{
    struct pin_node *made = must_alloc(1, sizeof(*made));
    made->project = *project;
    made->hash = *hash;
    result_lock(cache);
    bool there = result_pin_find(cache, project, hash) != NULL;
    if (!there) {
        result_table_add(&cache->pins, &made->node, result_code(project, hash));
        struct result_entry *e = result_entry_find(cache, project, hash);
        if (e != NULL)
            pin_set(cache, e, true);
    }
    result_leave(cache);
    if (there)
        free(made);
}

void result_unpin(struct result_cache *cache, const struct id16 *project,
                  const struct hash *hash)
{
    result_lock(cache);
    struct pin_node *pin = result_pin_find(cache, project, hash);
    if (pin != NULL) {
        result_table_remove(&cache->pins, &pin->node);
        struct result_entry *e = result_entry_find(cache, project, hash);
        if (e != NULL)
            pin_set(cache, e, false);
    }
    result_leave(cache);
    free(pin);
}

/* ---- the rest ---- */

uint64_t result_drop(struct result_cache *cache, const struct id16 *project,
                     const struct hash *hash)
{
    result_lock(cache);
    struct result_entry *e = result_entry_find(cache, project, hash);
    uint64_t freed = e == NULL ? 0 : e->result.size;
    if (e != NULL)
        result_entry_remove(cache, e);
    result_leave(cache);
    return freed;
}

static struct result_tier_stats tier_stats(const struct result_tier *tier)
{
    return (struct result_tier_stats){
        .entries = tier->entries, .bytes = tier->bytes, .evictions = tier->evictions};
}

void result_cache_stats(struct result_cache *cache, struct result_cache_stats *out)
{
    result_lock(cache);
    *out = cache->stats;
    out->ram = tier_stats(&cache->ram);
    out->disk = tier_stats(&cache->disk);
    result_unlock(cache);
}
