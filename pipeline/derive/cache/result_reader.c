#include <stdlib.h>

#include "pipeline/derive/cache/result_inside.h"

struct result_reader {
    struct fn_bytes bytes;
    struct result_cache *cache;
    struct result_entry *entry; /* read; NULL when `slab` is all of it */
    struct slab *slab;          /* of the last view; NULL before the first */
    uint32_t chunk;             /* that it is */
    struct result result;
};

/* Keeps in memory what was read, if there is a place for it. */
static void chunk_keep(struct result_cache *cache, struct result_entry *e, uint32_t chunk,
                       struct slab *slab)
{
    if (e->disk.bytes == 0 || e->slabs[chunk] != NULL ||
        e->loaded_bytes + slab->len > cache->ram_most)
        return;
    e->slabs[chunk] = slab_ref(slab);
    e->n_loaded++;
    e->loaded_bytes += slab->len;
    result_ram_count(cache, e);
    result_make_room(cache, e);
}

/* The chunk of an entry that is read: from memory, or from its file. */
static int chunk_load(struct result_cache *cache, struct result_entry *e, uint32_t chunk,
                      struct slab **out)
{
    result_lock(cache);
    struct slab *slab = e->slabs[chunk];
    if (slab != NULL)
        slab_ref(slab);
    result_unlock(cache);
    if (slab == NULL) {
        int err = result_file_read(cache, e, chunk, &slab);
        if (err == ERR_CORRUPT)
            result_entry_damaged(cache, e);
        if (err != OK)
            return err;
        result_lock(cache);
        chunk_keep(cache, e, chunk, slab);
        result_leave(cache);
    }
    *out = slab;
    return OK;
}

static int view(struct fn_bytes *bytes, uint64_t offset, struct bytes *out)
{
    struct result_reader *r = (struct result_reader *)bytes;
    assert(offset < bytes->size);
    uint64_t from = 0;
    if (r->entry != NULL) {
        uint32_t chunk = (uint32_t)(offset / r->result.chunk_size);
        if (r->slab == NULL || r->chunk != chunk) {
            struct slab *slab;
            int err = chunk_load(r->cache, r->entry, chunk, &slab);
            if (err != OK)
                return err;
            slab_unref(r->slab);
            r->slab = slab;
            r->chunk = chunk;
        }
        from = (uint64_t)chunk * r->result.chunk_size;
    }
    size_t at = (size_t)(offset - from);
    *out = bytes_of(r->slab->data + at, r->slab->len - at);
    return OK;
}

static struct result_reader *reader_make(struct result_cache *cache,
                                         const struct result *result)
{
    struct result_reader *r = malloc(sizeof(*r));
    if (r == NULL)
        abort();
    *r = (struct result_reader){
        .bytes = {.size = result->size, .view = view}, .cache = cache, .result = *result};
    return r;
}

struct result_reader *result_reader_make(struct result_cache *cache, struct result_entry *e)
{
    struct result_reader *r = reader_make(cache, &e->result);
    r->entry = e;
    return r;
}

/* One chunk of an entry that is read, or all of an entry in one piece; the entry is let go. */
static int open_chunk(struct result_cache *cache, struct result_entry *e, uint32_t chunk,
                      struct result_reader **out)
{
    struct slab *slab;
    int err = chunk_load(cache, e, chunk, &slab);
    if (err == OK) {
        struct result result = {.hash = e->chunks != NULL ? e->chunks[chunk] : e->result.hash,
                                .size = slab->len,
                                .chunk_size = e->result.chunk_size};
        *out = reader_make(cache, &result);
        (*out)->slab = slab;
    }
    result_lock(cache);
    cache->stats.hits += err == OK;
    result_entry_read_end(cache, e);
    result_leave(cache);
    return err;
}

/* What a hash names: a whole entry, or a chunk of one. */
struct found {
    struct result_entry *entry;
    uint32_t chunk;
    bool many; /* all of an entry that has chunks */
};

static bool find(struct result_cache *cache, const struct id16 *project,
                 const struct hash *hash, struct found *out)
{
    *out = (struct found){.entry = result_entry_find(cache, project, hash)};
    out->many = out->entry != NULL && out->entry->chunks != NULL;
    if (out->entry == NULL)
        out->entry = result_chunk_find(cache, project, hash, &out->chunk);
    return out->entry != NULL;
}

/* Gives the reader where nothing is to be read for it; else the entry is held. */
static struct result_reader *open_found(struct result_cache *cache, const struct found *found,
                                        const struct hash *hash)
{
    struct result_entry *e = found->entry;
    result_touch(cache, e);
    struct slab *slab = found->many ? NULL : e->slabs[found->chunk];
    if (slab == NULL)
        result_entry_read(e);
    if (found->many)
        return result_reader_make(cache, e);
    if (slab == NULL)
        return NULL;
    struct result result = {
        .hash = *hash, .size = slab->len, .chunk_size = e->result.chunk_size};
    struct result_reader *r = reader_make(cache, &result);
    r->slab = slab_ref(slab);
    return r;
}

int result_open(struct result_cache *cache, const struct id16 *project, const struct hash *hash,
                struct result_reader **out)
{
    for (;;) {
        struct found found;
        result_lock(cache);
        if (!find(cache, project, hash, &found)) {
            cache->stats.misses++;
            result_unlock(cache);
            return ERR_NOT_FOUND;
        }
        struct result_reader *r = open_found(cache, &found, hash);
        cache->stats.hits += r != NULL;
        result_leave(cache);
        if (r != NULL) {
            *out = r;
            return OK;
        }
        int err = open_chunk(cache, found.entry, found.chunk, out);
        if (err != ERR_CORRUPT)
            return err;
        /* It is gone; perhaps another result has this chunk. */
    }
}

struct result_reader *result_share(const struct result_reader *r)
{
    struct result_reader *other = reader_make(r->cache, &r->result);
    if (r->entry != NULL) {
        result_lock(r->cache);
        result_entry_read(r->entry);
        result_unlock(r->cache);
        other->entry = r->entry;
    } else if (r->slab != NULL) {
        other->slab = slab_ref(r->slab);
    }
    return other;
}

struct fn_bytes *result_bytes(struct result_reader *r)
{
    return &r->bytes;
}

const struct result *result_of(const struct result_reader *r)
{
    return &r->result;
}

const struct hash *result_chunks(const struct result_reader *r, uint32_t *n)
{
    const struct hash *chunks = r->entry != NULL ? r->entry->chunks : NULL;
    *n = chunks != NULL ? r->entry->n_slabs : 0;
    return chunks;
}

void result_close(struct result_reader *r)
{
    if (r == NULL)
        return;
    slab_unref(r->slab);
    if (r->entry != NULL) {
        result_lock(r->cache);
        result_entry_read_end(r->cache, r->entry);
        result_leave(r->cache);
    }
    free(r);
}

bool result_has(struct result_cache *cache, const struct id16 *project, const struct hash *hash,
                uint64_t *size)
{
    struct found found;
    result_lock(cache);
    bool has = find(cache, project, hash, &found);
    if (has && size != NULL)
        *size =
            found.many ? found.entry->result.size : result_chunk_len(found.entry, found.chunk);
    result_unlock(cache);
    return has;
}
