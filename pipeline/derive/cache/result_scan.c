#include <stdlib.h>

#include "formats/base/arena.h"
#include "formats/base/hash.h"
#include "pipeline/derive/cache/result_inside.h"
#include "pipeline/sys/log.h"

struct scan {
    struct result_cache *cache;
    uint64_t removed;
};

/* The hashes of the chunks, from the manifest behind the content. */
static int read_chunks(struct result_cache *cache, const char *file, uint64_t file_size,
                       const struct result_name *name, struct result *result,
                       struct hash **chunks)
{
    struct file_area *files = cache->files;
    size_t most = 128 + (size_t)(name->size / CHUNK_SIZE_MIN + 1) * sizeof(struct hash);
    if (file_size <= name->size || file_size - name->size > most)
        return ERR_CORRUPT;
    size_t len = (size_t)(file_size - name->size);
    AUTO(arena_release) struct arena arena = {0};
    uint8_t *bytes = arena_alloc(&arena, len);
    int fd;
    int err = files->open(files, file, &fd);
    if (err != OK)
        return err;
    err = files->read(files, fd, name->size, len, bytes);
    files->shut(files, fd);
    if (err != OK)
        return err;
    struct manifest manifest;
    err = manifest_decode(bytes_of(bytes, len), &arena, &manifest);
    if (err != OK)
        return err;
    if (manifest.size != name->size || !hash_equal(&manifest.hash, &name->hash) ||
        manifest.chunk_size != cache->chunk_size || manifest.n < 2)
        return ERR_CORRUPT;
    result->chunks = sha256(bytes_of(bytes, len));
    *chunks = must_alloc(manifest.n, sizeof(**chunks));
    memcpy(*chunks, manifest.chunks, manifest.n * sizeof(**chunks));
    return OK;
}

static void pin(struct result_cache *cache, const struct result_name *name)
{
    struct pin_node *node = must_alloc(1, sizeof(*node));
    node->project = name->project;
    node->hash = name->hash;
    result_table_add(&cache->pins, &node->node, result_code(&name->project, &name->hash));
}

static int take_in(struct result_cache *cache, const char *file, uint64_t size)
{
    struct result_name name;
    int err = result_name_parse(file, &name);
    if (err != OK)
        return err;
    /* Of two that are there, the one that is met first is as good as the other. */
    if (result_entry_find(cache, &name.project, &name.hash) != NULL || name.frequency == 0)
        return ERR_CONFLICT;
    if (name.size > RESULT_SIZE_MAX ||
        (!name.many && (size != name.size || size > cache->chunk_size)))
        return ERR_CORRUPT;
    struct result result = {
        .hash = name.hash, .size = name.size, .chunk_size = cache->chunk_size};
    struct hash *chunks = NULL;
    if (name.many)
        err = read_chunks(cache, file, size, &name, &result, &chunks);
    if (err != OK)
        return err;
    struct result_entry *e = result_entry_make(&name.project, &result, chunks);
    e->cost_us = name.cost_us;
    e->there = true;
    e->n_filed = e->n_slabs;
    e->serial = name.serial;
    e->disk.order.frequency = name.frequency;
    e->named_frequency = name.frequency;
    e->named_pinned = name.pinned;
    e->pinned = name.pinned;
    if (name.pinned)
        pin(cache, &name);
    if (cache->serial < name.serial)
        cache->serial = name.serial;
    result_disk_count(cache, e);
    result_entry_list(cache, e);
    return OK;
}

static void take(void *arg, const char *file, uint64_t size)
{
    struct scan *scan = arg;
    struct result_cache *cache = scan->cache;
    if (take_in(cache, file, size) != OK) {
        (void)cache->files->remove(cache->files, file);
        scan->removed++;
    }
}

int result_scan(struct result_cache *cache)
{
    struct scan scan = {.cache = cache};
    int err = cache->files->list(cache->files, take, &scan);
    if (err != OK)
        return err;
    result_lock(cache);
    cache->stats.damaged += scan.removed;
    result_make_room(cache, NULL);
    result_leave(cache);
    if (scan.removed > 0)
        log_warn("derive_results_removed", LOG_U64("files", scan.removed),
                 LOG_STR("why", "they are not whole, or nothing of this cache"));
    return OK;
}
