#include <stdlib.h>

#include "formats/base/buf.h"
#include "formats/base/hash.h"
#include "pipeline/derive/cache/result_inside.h"
#include "pipeline/sys/log.h"

/* What is to be done next to an entry's file. */
enum step {
    STEP_NONE,
    STEP_WRITE,
    STEP_RENAME,
    STEP_REMOVE,
};

/* A name tells the frequency in powers of two, so that it is seldom changed. */
static uint32_t frequency_named(const struct result_entry *e)
{
    uint32_t frequency = e->disk.order.frequency;
    return 1u << (31 - (uint32_t)__builtin_clz(frequency | 1));
}

static enum step step_of(const struct result_entry *e)
{
    if (e->disk.bytes == 0)
        return e->there || e->fresh != NULL ? STEP_REMOVE : STEP_NONE;
    if (!e->there)
        return STEP_WRITE;
    if (!e->stuck && (e->named_pinned != e->pinned || e->named_frequency != frequency_named(e)))
        return STEP_RENAME;
    return STEP_NONE;
}

bool result_file_is_due(const struct result_entry *e)
{
    return step_of(e) != STEP_NONE;
}

/* The name that it has, or would have with what may change in it as given. */
static void name_of(const struct result_entry *e, uint32_t frequency, bool pinned,
                    char out[RESULT_NAME_MAX])
{
    struct result_name name = {.project = e->project,
                               .hash = e->result.hash,
                               .serial = e->serial,
                               .size = e->result.size,
                               .cost_us = e->cost_us,
                               .frequency = frequency,
                               .many = e->chunks != NULL,
                               .pinned = pinned};
    result_name_write(&name, out);
}

/* ---- a full disk ---- */

void result_file_unkept(struct result_cache *cache, int err)
{
    result_lock(cache);
    bool first = !cache->full_told;
    cache->full_told = true;
    cache->stats.unkept++;
    result_unlock(cache);
    if (first)
        log_warn("derive_results_not_kept", LOG_ERR(err),
                 LOG_STR("why", "the cache's directory takes no more files; results are "
                                "served and not kept"));
}

static void make_room(struct result_cache *cache, uint64_t bytes)
{
    result_lock(cache);
    result_free_disk(cache, bytes);
    result_unlock(cache);
}

int result_file_create(struct result_cache *cache, char fresh[FILE_AREA_NAME_MAX], int *fd)
{
    int err = cache->files->create(cache->files, fresh, fd);
    if (err != ERR_AGAIN)
        return err;
    make_room(cache, 1);
    return cache->files->create(cache->files, fresh, fd);
}

int result_file_write(struct result_cache *cache, int fd, uint64_t offset, struct bytes data)
{
    int err = cache->files->write(cache->files, fd, offset, data);
    if (err != ERR_AGAIN)
        return err;
    make_room(cache, data.len);
    return cache->files->write(cache->files, fd, offset, data);
}

/* ---- steps; each is called under the lock and leaves it meanwhile ---- */

static int write_manifest(struct result_cache *cache, const struct result_entry *e, int fd)
{
    if (e->chunks == NULL)
        return OK;
    struct manifest manifest = {.size = e->result.size,
                                .hash = e->result.hash,
                                .chunk_size = e->result.chunk_size,
                                .n = e->n_slabs,
                                .chunks = e->chunks};
    AUTO_BUF out = {0};
    manifest_encode(&manifest, &out);
    return result_file_write(cache, fd, e->result.size, buf_bytes(&out));
}

static int write_slabs(struct result_cache *cache, const struct result_entry *e, int fd)
{
    for (uint32_t i = 0; i < e->n_slabs; i++) {
        struct bytes data = bytes_of(e->slabs[i]->data, e->slabs[i]->len);
        int err = result_file_write(cache, fd, (uint64_t)i * e->result.chunk_size, data);
        if (err != OK)
            return err;
    }
    return OK;
}

/* The whole file under a fresh name, from memory. */
static int write_fresh(struct result_cache *cache, const struct result_entry *e,
                       char fresh[FILE_AREA_NAME_MAX])
{
    struct file_area *files = cache->files;
    int fd;
    int err = result_file_create(cache, fresh, &fd);
    if (err != OK)
        return err;
    err = write_slabs(cache, e, fd);
    if (err == OK)
        err = write_manifest(cache, e, fd);
    files->shut(files, fd);
    if (err != OK)
        (void)files->remove(files, fresh);
    return err;
}

/* Whatever is read here does not change while the entry is busy and has no name. */
static int write_named(struct result_cache *cache, struct result_entry *e, const char *name)
{
    struct file_area *files = cache->files;
    char fresh[FILE_AREA_NAME_MAX];
    const char *from = fresh;
    int err;
    if (e->fresh != NULL) {
        from = e->fresh;
        err = write_manifest(cache, e, e->fd);
    } else {
        err = write_fresh(cache, e, fresh);
    }
    if (err != OK)
        return err;
    err = files->rename(files, from, name);
    if (err != OK && from == fresh)
        (void)files->remove(files, fresh);
    return err;
}

static void step_write(struct result_cache *cache, struct result_entry *e)
{
    char name[RESULT_NAME_MAX];
    uint32_t frequency = frequency_named(e);
    bool pinned = e->pinned;
    e->serial = ++cache->serial;
    name_of(e, frequency, pinned, name);
    result_unlock(cache);
    int err = write_named(cache, e, name);
    if (err != OK)
        result_file_unkept(cache, err);
    result_lock(cache);
    if (err != OK) {
        if (e->disk.bytes > 0)
            result_disk_uncount(cache, e);
        return;
    }
    free(e->fresh);
    e->fresh = NULL;
    e->there = true;
    e->n_filed = e->n_slabs;
    e->named_frequency = frequency;
    e->named_pinned = pinned;
}

static void step_rename(struct result_cache *cache, struct result_entry *e)
{
    char from[RESULT_NAME_MAX];
    char to[RESULT_NAME_MAX];
    uint32_t frequency = frequency_named(e);
    bool pinned = e->pinned;
    name_of(e, e->named_frequency, e->named_pinned, from);
    name_of(e, frequency, pinned, to);
    result_unlock(cache);
    int err = cache->files->rename(cache->files, from, to);
    result_lock(cache);
    if (err != OK) {
        /* Its old name is good enough. */
        e->stuck = true;
        return;
    }
    e->named_frequency = frequency;
    e->named_pinned = pinned;
}

/* Keeps an open file for all who read the entry; gives the one that is kept. */
static int file_keep(struct result_cache *cache, struct result_entry *e, int fd)
{
    result_lock(cache);
    int kept = e->fd < 0 ? fd : e->fd;
    e->fd = kept;
    result_unlock(cache);
    if (kept != fd)
        cache->files->shut(cache->files, fd);
    return kept;
}

/* Who still reads it keeps it open. */
static void step_remove(struct result_cache *cache, struct result_entry *e)
{
    struct file_area *files = cache->files;
    char name[FILE_AREA_NAME_MAX];
    assert(e->there || e->fresh != NULL);
    if (e->there)
        name_of(e, e->named_frequency, e->named_pinned, name);
    else if (e->fresh != NULL)
        memcpy(name, e->fresh, strlen(e->fresh) + 1);
    bool open = e->readers > 0 && e->fd < 0;
    e->going = true;
    result_unlock(cache);
    int fd = -1;
    if (open && files->open(files, name, &fd) == OK)
        (void)file_keep(cache, e, fd);
    (void)files->remove(files, name);
    result_lock(cache);
    e->going = false;
    e->there = false;
    free(e->fresh);
    e->fresh = NULL;
}

void result_file_work(struct result_cache *cache, struct result_entry *e)
{
    if (e->busy)
        return;
    e->busy = true;
    enum step step;
    while ((step = step_of(e)) != STEP_NONE) {
        switch (step) {
        case STEP_WRITE:
            step_write(cache, e);
            break;
        case STEP_RENAME:
            step_rename(cache, e);
            break;
        case STEP_REMOVE:
            step_remove(cache, e);
            break;
        case STEP_NONE:
            break;
        }
    }
    e->busy = false;
    int failed = pthread_cond_broadcast(&cache->idle);
    assert(failed == 0);
    (void)failed;
}

/* ---- reading ---- */

/* The entry's open file, or -1 and its name. When the name has failed before, nobody may be at
 * the file: it has its new name before the entry says so. */
static int file_look(struct result_cache *cache, struct result_entry *e, bool failed,
                     char name[RESULT_NAME_MAX])
{
    result_lock(cache);
    while (failed && e->busy) {
        int wrong = pthread_cond_wait(&cache->idle, &cache->mutex);
        assert(wrong == 0);
        (void)wrong;
    }
    int fd = e->fd;
    name[0] = '\0';
    if (e->there)
        name_of(e, e->named_frequency, e->named_pinned, name);
    result_unlock(cache);
    return fd;
}

/* The open file of an entry that is read. */
static int file_open(struct result_cache *cache, struct result_entry *e, int *out)
{
    char tried[RESULT_NAME_MAX] = "";
    for (;;) {
        char name[RESULT_NAME_MAX];
        int fd = file_look(cache, e, tried[0] != '\0', name);
        if (fd >= 0) {
            *out = fd;
            return OK;
        }
        if (name[0] == '\0' || strcmp(tried, name) == 0)
            return ERR_CORRUPT;
        int err = cache->files->open(cache->files, name, &fd);
        if (err == OK)
            *out = file_keep(cache, e, fd);
        if (err != ERR_NOT_FOUND)
            return err;
        memcpy(tried, name, sizeof(tried));
    }
}

int result_file_read(struct result_cache *cache, struct result_entry *e, uint32_t chunk,
                     struct slab **out)
{
    int fd;
    int err = file_open(cache, e, &fd);
    if (err != OK)
        return err;
    size_t len = (size_t)result_chunk_len(e, chunk);
    struct slab *slab = slab_make(len);
    slab->len = (uint32_t)len;
    err = cache->files->read(cache->files, fd, (uint64_t)chunk * e->result.chunk_size, len,
                             slab->data);
    if (err == OK) {
        struct hash hash = sha256(bytes_of(slab->data, len));
        const struct hash *named = e->chunks != NULL ? &e->chunks[chunk] : &e->result.hash;
        err = hash_equal(&hash, named) ? OK : ERR_CORRUPT;
    }
    if (err != OK) {
        slab_unref(slab);
        /* A disk that cannot give it back has lost it. */
        return err == ERR_UNKNOWN ? ERR_CORRUPT : err;
    }
    *out = slab;
    return OK;
}
