#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/derive/cache/result_inside.h"

/* Most results are small: the first run of memory is, too. */
#define SPACE_FIRST  (4u * KIB)
#define SPACE_SECOND (64u * KIB)

struct result_writer {
    struct fn_out out;
    struct result_cache *cache;
    struct id16 project;
    bool kept; /* else it is hashed and counted only */
    bool finished;

    struct slab *now; /* the chunk that is being filled; its len is not set */
    size_t space;     /* of it */

    /* The chunks that are full. */
    uint64_t size;
    struct hash *hashes;
    struct slab **slabs; /* those in memory; NULL for the others */
    uint32_t n;
    uint32_t cap;
    uint64_t held; /* bytes of these slabs */
    struct sha256_ctx whole;

    /* The file, once they are too much for memory. */
    int fd;
    char fresh[FILE_AREA_NAME_MAX];
    uint32_t n_filed;
    int full; /* why the file takes no more */
};

/* How many bytes a writer holds in memory before it goes on in a file. */
static uint64_t held_most(const struct result_cache *cache)
{
    if (cache->files == NULL)
        return cache->ram.bytes_max;
    return cache->ram_most > cache->chunk_size ? cache->ram_most : cache->chunk_size;
}

static size_t filled(const struct result_writer *w)
{
    return w->now == NULL ? 0 : (size_t)(w->out.at - w->now->data);
}

static void space_set(struct result_writer *w, struct slab *slab, size_t space, size_t used)
{
    w->now = slab;
    w->space = space;
    w->out.at = slab->data + used;
    w->out.space = space - used;
}

static void *must_realloc(void *memory, size_t n, size_t size)
{
    void *grown = realloc(memory, n * size);
    if (grown == NULL)
        abort();
    return grown;
}

static void space_grow(struct result_writer *w)
{
    size_t space = w->space < SPACE_SECOND ? SPACE_SECOND : w->cache->chunk_size;
    size_t used = filled(w);
    struct slab *grown = must_realloc(w->now, 1, sizeof(*grown) + space);
    space_set(w, grown, space, used);
}

/* ---- full chunks ---- */

static void chunk_count(struct result_writer *w, struct slab *slab)
{
    struct bytes data = bytes_of(slab->data, slab->len);
    if (w->n == w->cap) {
        w->cap = w->cap == 0 ? 8 : w->cap * 2;
        w->hashes = must_realloc(w->hashes, w->cap, sizeof(*w->hashes));
        w->slabs = must_realloc(w->slabs, w->cap, sizeof(struct slab *));
    }
    if (w->n == 0)
        sha256_init(&w->whole);
    sha256_update(&w->whole, data);
    w->hashes[w->n] = sha256(data);
    w->slabs[w->n] = slab;
    w->n++;
    w->size += data.len;
    w->held += data.len;
}

static void chunk_let_go(struct result_writer *w, uint32_t i)
{
    w->held -= w->slabs[i]->len;
    slab_unref(w->slabs[i]);
    w->slabs[i] = NULL;
}

/* All chunks that are in memory go into the file. */
static int chunks_file(struct result_writer *w)
{
    if (w->full == OK && w->fd < 0) {
        w->full = result_file_create(w->cache, w->fresh, &w->fd);
        if (w->full != OK)
            w->fd = -1;
    }
    while (w->full == OK && w->n_filed < w->n) {
        const struct slab *slab = w->slabs[w->n_filed];
        w->full =
            result_file_write(w->cache, w->fd, (uint64_t)w->n_filed * w->cache->chunk_size,
                              bytes_of(slab->data, slab->len));
        if (w->full != OK)
            break;
        chunk_let_go(w, w->n_filed);
        w->n_filed++;
    }
    /* The rest may stay in memory as long as there is that much. */
    return w->full != OK && w->held > w->cache->ram.bytes_max ? w->full : OK;
}

/* Takes the chunk that is full. */
static int chunk_push(struct result_writer *w)
{
    struct slab *slab = w->now;
    slab->len = (uint32_t)filled(w);
    w->now = NULL;
    w->out.at = NULL;
    w->out.space = 0;
    chunk_count(w, slab);
    if (!w->kept) {
        chunk_let_go(w, w->n - 1);
        return OK;
    }
    if (w->held <= held_most(w->cache) && w->n_filed == 0 && w->full == OK)
        return OK;
    return w->cache->files == NULL ? ERR_LIMIT : chunks_file(w);
}

static int flush(struct fn_out *out)
{
    struct result_writer *w = (struct result_writer *)out;
    if (out->space > 0)
        return OK;
    if (w->size + filled(w) >= RESULT_SIZE_MAX)
        return ERR_LIMIT;
    if (w->now != NULL && w->space < w->cache->chunk_size) {
        space_grow(w);
        return OK;
    }
    if (w->now != NULL) {
        int err = chunk_push(w);
        if (err != OK)
            return err;
    }
    space_set(w, slab_make(w->cache->chunk_size), w->cache->chunk_size, 0);
    return OK;
}

/* ---- begin and end ---- */

int result_begin(struct result_cache *cache, const struct id16 *project,
                 struct result_writer **out)
{
    struct result_writer *w = must_alloc(1, sizeof(*w));
    w->out.flush = flush;
    w->cache = cache;
    w->kept = project != NULL;
    if (w->kept)
        w->project = *project;
    w->fd = -1;
    space_set(w, slab_make(SPACE_FIRST), SPACE_FIRST, 0);
    *out = w;
    return OK;
}

struct fn_out *result_out(struct result_writer *w)
{
    return &w->out;
}

uint64_t result_written(const struct result_writer *w)
{
    return w->size + filled(w);
}

/* The last chunk; and what it all is. A single one is no chunk. */
static int conclude(struct result_writer *w, struct result *result)
{
    *result = (struct result){.chunk_size = w->cache->chunk_size};
    size_t last = filled(w);
    if (w->n == 0) {
        struct slab *slab = w->now;
        slab->len = (uint32_t)last;
        result->hash = sha256(bytes_of(slab->data, last));
        result->size = last;
        return OK;
    }
    int err = last > 0 ? chunk_push(w) : OK;
    if (err != OK)
        return err;
    result->hash = sha256_final(&w->whole);
    result->size = w->size;
    if (w->n > 1) {
        struct manifest manifest = {.size = w->size,
                                    .hash = result->hash,
                                    .chunk_size = result->chunk_size,
                                    .n = w->n,
                                    .chunks = w->hashes};
        AUTO_BUF encoded = {0};
        manifest_encode(&manifest, &encoded);
        result->chunks = sha256(buf_bytes(&encoded));
    }
    return OK;
}

/* What was written, as an entry; the writer keeps nothing of it. */
static struct result_entry *entry_take(struct result_writer *w, const struct result *result,
                                       uint64_t cost_us)
{
    bool many = w->n > 1;
    struct result_entry *e = result_entry_make(&w->project, result, many ? w->hashes : NULL);
    e->cost_us = cost_us;
    /* A file that has nothing of it stays with the writer, which removes it. */
    if (w->n_filed > 0) {
        e->n_filed = w->n_filed;
        e->fd = w->fd;
        e->fresh = strdup(w->fresh);
        if (e->fresh == NULL)
            abort();
        w->fd = -1;
    }
    if (w->n == 0) {
        e->slabs[0] = must_realloc(w->now, 1, sizeof(struct slab) + w->now->len);
        w->now = NULL;
    }
    for (uint32_t i = 0; i < w->n; i++)
        e->slabs[i] = w->slabs[i];
    for (uint32_t i = 0; i < e->n_slabs; i++) {
        if (e->slabs[i] != NULL) {
            e->n_loaded++;
            e->loaded_bytes += e->slabs[i]->len;
        }
    }
    if (many)
        w->hashes = NULL;
    w->n = 0;
    return e;
}

/* Whether what is in memory of it may stay there, and whether it is to have a file. */
static void place(struct result_cache *cache, struct result_entry *e, bool full)
{
    bool loaded = e->n_loaded == e->n_slabs && e->loaded_bytes <= cache->ram_most;
    bool file = cache->files != NULL && !full &&
                (e->pinned || e->cost_us >= cache->file_cost_us || !loaded);
    if (file)
        result_disk_count(cache, e);
    if (loaded)
        result_ram_count(cache, e);
    if (file || loaded)
        result_entry_list(cache, e);
    result_make_room(cache, e);
}

static struct result_reader *keep(struct result_cache *cache, struct result_entry *e, bool full,
                                  bool read)
{
    result_lock(cache);
    result_entry_read(e);
    if (result_entry_find(cache, &e->project, &e->result.hash) == NULL) {
        e->pinned = result_pin_find(cache, &e->project, &e->result.hash) != NULL;
        place(cache, e, full);
    }
    result_file_work(cache, e);
    struct result_reader *reader = NULL;
    if (read)
        reader = result_reader_make(cache, e);
    else
        result_entry_read_end(cache, e);
    result_leave(cache);
    return reader;
}

int result_finish(struct result_writer *w, uint64_t cost_us, struct result *out,
                  struct result_reader **reader)
{
    assert(!w->finished);
    w->finished = true;
    struct result result;
    int err = conclude(w, &result);
    if (err != OK)
        return err;
    if (!w->kept) {
        *out = result;
        if (reader != NULL)
            *reader = NULL;
        return OK;
    }
    if (w->full != OK)
        result_file_unkept(w->cache, w->full);
    struct result_entry *e = entry_take(w, &result, cost_us);
    struct result_reader *made = keep(w->cache, e, w->full != OK, reader != NULL);
    *out = result;
    if (reader != NULL)
        *reader = made;
    return OK;
}

void result_writer_close(struct result_writer *w)
{
    if (w == NULL)
        return;
    for (uint32_t i = 0; i < w->n; i++)
        slab_unref(w->slabs[i]);
    slab_unref(w->now);
    sha256_release(&w->whole);
    if (w->fd >= 0) {
        w->cache->files->shut(w->cache->files, w->fd);
        (void)w->cache->files->remove(w->cache->files, w->fresh);
    }
    free(w->hashes);
    free(w->slabs);
    free(w);
}
