#include "pipeline/derive/cache/result_inside.h"

/* What it takes to read a file and check it: what memory saves where there is a file. */
#define READ_US           100u
#define READ_BYTES_PER_US 1024u

static void count(struct result_tier *tier, struct tier_part *part, uint64_t bytes)
{
    if (part->order.at != 0)
        gdsf_remove(&tier->order, &part->order);
    tier->bytes += bytes - part->bytes;
    tier->entries += part->bytes == 0;
    part->bytes = bytes;
}

static void uncount(struct result_tier *tier, struct tier_part *part)
{
    if (part->order.at != 0)
        gdsf_remove(&tier->order, &part->order);
    tier->bytes -= part->bytes;
    tier->entries--;
    part->bytes = 0;
}

void result_ram_count(struct result_cache *cache, struct result_entry *e)
{
    uint64_t bytes = ENTRY_BYTES + (e->chunks != NULL ? e->n_slabs * CHUNK_BYTES : 0);
    bytes += e->loaded_bytes;
    count(&cache->ram, &e->ram, bytes);
    bool filed = e->disk.bytes > 0;
    if (e->pinned && !filed)
        return;
    uint64_t cost_us = e->cost_us;
    uint64_t read_us = READ_US + bytes / READ_BYTES_PER_US;
    gdsf_add(&cache->ram.order, &e->ram.order, bytes,
             filed && read_us < cost_us ? read_us : cost_us);
}

void result_disk_count(struct result_cache *cache, struct result_entry *e)
{
    uint64_t bytes =
        e->result.size + (e->chunks != NULL ? e->n_slabs * sizeof(struct hash) : 0);
    bytes = (bytes / BLOCK_BYTES + 1) * BLOCK_BYTES;
    count(&cache->disk, &e->disk, bytes);
    if (!e->pinned)
        gdsf_add(&cache->disk.order, &e->disk.order, bytes, e->cost_us);
}

void result_ram_uncount(struct result_cache *cache, struct result_entry *e)
{
    uncount(&cache->ram, &e->ram);
}

void result_disk_uncount(struct result_cache *cache, struct result_entry *e)
{
    uncount(&cache->disk, &e->disk);
    /* What has no file any more is worth in memory what it costs to compute. */
    if (e->ram.bytes > 0)
        result_ram_count(cache, e);
}

static struct result_entry *ram_entry(struct gdsf_node *node)
{
    return (struct result_entry *)((char *)node - offsetof(struct result_entry, ram.order));
}

static struct result_entry *disk_entry(struct gdsf_node *node)
{
    return (struct result_entry *)((char *)node - offsetof(struct result_entry, disk.order));
}

/* The file that has to go first, uncounted. */
static struct result_entry *evict_file(struct result_cache *cache,
                                       const struct result_entry *fresh)
{
    struct gdsf_node *node = gdsf_take(&cache->disk.order);
    if (node == NULL)
        return NULL;
    struct result_entry *e = disk_entry(node);
    cache->disk.evictions += e != fresh;
    result_disk_uncount(cache, e);
    return e;
}

void result_make_room(struct result_cache *cache, const struct result_entry *fresh)
{
    while (cache->disk.bytes > cache->disk.bytes_max) {
        struct result_entry *e = evict_file(cache, fresh);
        if (e == NULL)
            break;
        result_entry_settle(cache, e);
    }
    while (cache->ram.bytes > cache->ram.bytes_max) {
        struct gdsf_node *node = gdsf_take(&cache->ram.order);
        if (node == NULL)
            break;
        struct result_entry *e = ram_entry(node);
        cache->ram.evictions += e != fresh;
        result_ram_uncount(cache, e);
        result_entry_settle(cache, e);
    }
}

void result_free_disk(struct result_cache *cache, uint64_t bytes)
{
    while (bytes > 0) {
        struct result_entry *e = evict_file(cache, NULL);
        /* One that has no file yet is what the room is for, or as good: it is worth the least.
         */
        if (e == NULL || !e->there)
            return;
        uint64_t len = e->result.size;
        bytes -= len < bytes ? len : bytes;
        result_entry_hold(e);
        result_entry_settle(cache, e);
        /* At once: who waits for the room must not wait for the queue. */
        result_file_work(cache, e);
        result_entry_drop(cache, e);
    }
}

void result_touch(struct result_cache *cache, struct result_entry *e)
{
    e->used_us = cache->clock->mono_us(cache->clock);
    gdsf_use(&cache->ram.order, &e->ram.order);
    gdsf_use(&cache->disk.order, &e->disk.order);
    result_entry_settle(cache, e);
}
