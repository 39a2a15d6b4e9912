#include "pipeline/derive/derive.h"

#include <stdio.h>

#include "pipeline/derive/index/index_follow.h"
#include "pipeline/derive/invalidate.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/sys/bell.h"

/* A result that took less is computed again sooner than it is read from a file. */
#define FILE_COST_US 200u
#define PROGRESS_US  500000u
#define KNOWN_MAX    (64u * MIB)
/* They wait for the store, and for looks; so many gets that miss hold up no other. */
#define PLANNERS 16u

/* --- open and close --- */

/* What such functions gave is not served any more, also where another node has found it out. */
static void quarantined(void *arg, const struct id16 *project)
{
    struct derive *derive = arg;
    if (derive->executor != NULL) /* the index is filled once more when that has ended */
        executor_forget(derive->executor, project, NULL);
}

/* What was computed before it was pinned is looked for aside. */
static void pinned(void *arg, const struct id16 *project, const struct hash *address)
{
    struct derive *derive = arg;
    if (derive->invalidator != NULL)
        invalidator_pin(derive->invalidator, project, address);
}

/* What no tier could keep is not made: the room for results bounds what the directory takes for
 * one that is being written, too. */
static uint64_t result_max(const struct derive_options *options)
{
    uint64_t ram = options->ram_bytes;
    return options->disk_bytes > ram ? options->disk_bytes : ram;
}

static int parts_open(struct derive *derive, const struct derive_options *options)
{
    struct repo *repo = derive->repo;
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s/index", options->dir);
    if (len < 0 || (size_t)len >= sizeof(path))
        return ERR_INVALID;
    const struct result_cache_options results = {
        .dir = options->dir,
        .ram_bytes = options->ram_bytes,
        .disk_bytes = options->disk_bytes,
        .chunk_size = repo->bucket.chunk_size,
        .file_cost_us = FILE_COST_US,
        .clock = repo->clock,
    };
    /* First what only one process can have. */
    int err = result_cache_open(&results, &derive->results);
    if (err != OK)
        return err;
    const struct derive_index_options index = {.dir = path,
                                               .clock = repo->clock,
                                               .look_us = options->look_us,
                                               .follow = index_follow,
                                               .arg = repo,
                                               .quarantined = quarantined,
                                               .quarantined_arg = derive,
                                               .pinned = pinned,
                                               .pinned_arg = derive};
    err = derive_index_open(&index, &derive->index);
    if (err != OK)
        return err;
    const struct derive_log_options log = {.window_us = options->window_us,
                                           .batch_max = options->batch_max,
                                           .queue_max = options->queue_max,
                                           .durable = index_durable,
                                           .arg = derive->index};
    derive->log = derive_log_open(repo, &log);
    const struct executor_options executor = {
        .slots = options->slots,
        .planners = PLANNERS,
        .in_flight_max = options->in_flight_max,
        .result_max = result_max(options),
        .known_max = KNOWN_MAX,
        .progress_us = PROGRESS_US,
        .verify = options->verify,
        .function = options->function,
        .cache = derive->results,
        .clock = repo->clock,
        .rng = repo->rng,
    };
    derive->executor = executor_open(&executor);
    derive->invalidator = invalidator_open(derive);
    return OK;
}

int derive_open(struct derive *derive, struct repo *repo, const struct derive_options *options)
{
    *derive = (struct derive){.repo = repo, .verify = options->verify};
    int err = parts_open(derive, options);
    if (err != OK)
        derive_close(derive);
    return err;
}

void derive_start(struct derive *derive)
{
    derive_index_start(derive->index);
    derive_log_start(derive->log);
    invalidator_start(derive->invalidator);
}

void derive_stop(struct derive *derive)
{
    invalidator_stop(derive->invalidator);
    derive_log_stop(derive->log);
    derive_index_stop(derive->index);
}

void derive_close(struct derive *derive)
{
    /* Its last gets may look for news, and hear of pins. */
    if (derive->executor != NULL)
        executor_close(derive->executor);
    derive->executor = NULL;
    invalidator_close(derive->invalidator);
    derive->invalidator = NULL;
    if (derive->log != NULL)
        derive_log_close(derive->log);
    if (derive->index != NULL)
        derive_index_close(derive->index);
    if (derive->results != NULL)
        result_cache_close(derive->results);
}

/* --- putting --- */

/* Whether the item is in the index, and so is durable. What cannot be told is put. */
static bool known(struct derive *derive, const struct id16 *project,
                  const struct derive_item *item)
{
    AUTO_BUF canonical = {0};
    struct derive_leaf leaf;
    struct location where;
    switch (item->kind) {
    case DERIVE_RECIPE:
        return derive_index_recipe(derive->index, project, &item->address, DERIVE_MISS_TELL,
                                   &canonical) == OK;
    case DERIVE_LEAF:
    case DERIVE_UPLOAD:
        return derive_index_leaf(derive->index, project, &item->address, DERIVE_MISS_TELL,
                                 &leaf) == OK;
    case DERIVE_TREE:
        return derive_index_tree(derive->index, project, &item->address, DERIVE_MISS_TELL,
                                 &where) == OK;
    case DERIVE_MEMO:
    case DERIVE_QUARANTINE:
    case DERIVE_PIN:
    case DERIVE_UNPIN:
    case DERIVE_CHUNKS:
        break;
    }
    return false;
}

int derive_put(struct derive *derive, const struct id16 *project,
               const struct derive_item *items, uint32_t n, derive_told_fn told, void *arg)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_item *unknown = arena_array(&arena, n, struct derive_item);
    uint32_t left = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!known(derive, project, &items[i]))
            unknown[left++] = items[i];
    }
    if (left > 0)
        return derive_log_tell(derive->log, project, unknown, left, told, arg);
    told(arg, OK, repo_hlc(derive->repo));
    return OK;
}

struct put_wait {
    struct bell bell;
    int err;
};

static void put_told(void *arg, int err, uint64_t hlc)
{
    struct put_wait *wait = arg;
    (void)hlc;
    wait->err = err;
    bell_ring(&wait->bell);
}

/* ERR_CONFLICT when it may be gone. */
static int blob_stays(struct repo *repo, const struct id16 *project, const struct hash *hash)
{
    const struct condemned *condemned;
    bool missing = true;
    int err = condemned_read(repo, project, &condemned);
    if (err != OK)
        return err;
    err = blob_missing(repo, project, condemned, hash, 1, &missing, NULL);
    condemned_drop(condemned);
    return err == OK && missing ? ERR_CONFLICT : err;
}

int derive_put_upload(struct derive *derive, const struct id16 *project,
                      const struct content *content)
{
    const struct derive_item item = {
        .kind = DERIVE_UPLOAD, .address = content->hash, .size = content->size};
    struct put_wait wait = {.err = OK};
    bell_init(&wait.bell);
    int err = derive_put(derive, project, &item, 1, put_told, &wait);
    if (err == OK) {
        (void)bell_wait(&wait.bell, BELL_FOR_EVER);
        err = wait.err;
    }
    bell_release(&wait.bell);
    return err == OK ? blob_stays(derive->repo, project, &content->hash) : err;
}

int derive_look(struct derive *derive, const struct id16 *project)
{
    return derive_index_look(derive->index, project);
}

int derive_look_since(struct derive *derive, const struct id16 *project, uint64_t since_us)
{
    return derive_index_look_since(derive->index, project, since_us);
}

/* --- for references --- */

static int refs_look(struct derive *derive, const struct id16 *project, uint64_t *since_us)
{
    if (*since_us == 0)
        *since_us = derive->repo->clock->mono_us(derive->repo->clock);
    return derive_look_since(derive, project, *since_us);
}

static int refs_recipe(void *arg, const struct id16 *project, const struct hash *address,
                       uint64_t *since_us, struct arena *arena, struct recipe *out)
{
    struct derive *derive = arg;
    struct derive_leaf leaf;
    AUTO_BUF canonical = {0};
    /* What is known as a leaf needs no look for a recipe of that address. */
    if (derive_index_leaf(derive->index, project, address, DERIVE_MISS_TELL, &leaf) == OK)
        return ERR_NOT_FOUND;
    int err =
        derive_index_recipe(derive->index, project, address, DERIVE_MISS_TELL, &canonical);
    if (err == ERR_NOT_FOUND) {
        err = refs_look(derive, project, since_us);
        if (err == OK)
            err = derive_index_recipe(derive->index, project, address, DERIVE_MISS_TELL,
                                      &canonical);
    }
    if (err != OK)
        return err;
    return recipe_decode(arena_copy(arena, buf_bytes(&canonical)), arena, out) == OK
               ? OK
               : ERR_CORRUPT;
}

static int refs_tree(void *arg, const struct id16 *project, const struct hash *content,
                     uint64_t *since_us, struct location *out)
{
    struct derive *derive = arg;
    int err = derive_index_tree(derive->index, project, content, DERIVE_MISS_TELL, out);
    if (err == ERR_NOT_FOUND) {
        err = refs_look(derive, project, since_us);
        if (err == OK)
            err = derive_index_tree(derive->index, project, content, DERIVE_MISS_TELL, out);
    }
    return err;
}

struct refs_source derive_refs_source(struct derive *derive)
{
    return (struct refs_source){.recipe = refs_recipe, .tree = refs_tree, .arg = derive};
}
