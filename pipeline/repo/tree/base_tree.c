#include "pipeline/repo/tree/base_tree.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/repo/history/batch_at.h"
#include "pipeline/repo/tree/base_changes.h"
#include "pipeline/repo/tree/snapshot.h"

#define BASES_MAX   256u
#define CHANGES_MAX 16u
#define HEADS_MAX   1024u /* a power of two */

struct base_tree {
    struct id16 project;
    uint64_t position;
    struct head head; /* one at or above it */
    struct tree tree; /* at the position, or before the batch that the position is inside of */
    struct base_changes *changes; /* inside a batch: what it did; else NULL */
    unsigned refs;
    bool cached;
    pthread_mutex_t lock;      /* of what follows */
    struct snapshot *replayed; /* inside a batch, when somebody needed it */
};

/* What looking through the bases needs lies together: most look-ups are of a new one. */
struct base_slot {
    uint64_t position;
    uint64_t used;
    struct base_tree *base; /* NULL: free */
};

struct head_seen {
    struct id16 project;
    struct head head;
};

struct base_cache {
    struct repo *repo;
    pthread_mutex_t lock;
    uint64_t clock; /* counts uses */
    struct base_slot bases[BASES_MAX];
    struct base_changes *changes[CHANGES_MAX];
    uint64_t changes_used[CHANGES_MAX];
    struct head_seen heads[HEADS_MAX]; /* by a hash of the project; a newer project takes the
                                          place of another */
};

struct base_cache *base_cache_open(struct repo *repo)
{
    struct base_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        abort();
    cache->repo = repo;
    int err = pthread_mutex_init(&cache->lock, NULL);
    assert(err == 0);
    return cache;
}

static void base_free(struct base_tree *base)
{
    snapshot_close(base->replayed);
    base_changes_drop(base->changes);
    (void)pthread_mutex_destroy(&base->lock);
    free(base);
}

void base_cache_close(struct base_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < BASES_MAX; i++) {
        if (cache->bases[i].base == NULL)
            continue;
        assert(cache->bases[i].base->refs == 0);
        base_free(cache->bases[i].base);
    }
    for (size_t i = 0; i < CHANGES_MAX; i++)
        base_changes_drop(cache->changes[i]);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* --- heads --- */

static struct head_seen *head_slot(struct base_cache *cache, const struct id16 *project)
{
    uint64_t hash = xxh3_64(bytes_of(project->b, sizeof(project->b)));
    return &cache->heads[hash & (HEADS_MAX - 1)];
}

struct head base_head(struct base_cache *cache, const struct id16 *project)
{
    struct head head = {0};
    (void)pthread_mutex_lock(&cache->lock);
    const struct head_seen *slot = head_slot(cache, project);
    if (id16_equal(&slot->project, project))
        head = slot->head;
    (void)pthread_mutex_unlock(&cache->lock);
    return head;
}

void base_head_seen(struct base_cache *cache, const struct id16 *project,
                    const struct head *head)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct head_seen *slot = head_slot(cache, project);
    if (!id16_equal(&slot->project, project) || head->hlc > slot->head.hlc)
        *slot = (struct head_seen){.project = *project, .head = *head};
    (void)pthread_mutex_unlock(&cache->lock);
}

int base_head_read(struct base_cache *cache, const struct id16 *project, struct head *out)
{
    struct head head;
    const struct batch *tip;
    int err = chain_head(cache->repo, project, &head, NULL);
    if (err == OK)
        err = chain_tip(cache->repo, project, &head, &tip);
    if (err != OK)
        return err;
    chain_drop(cache->repo, tip);
    base_head_seen(cache, project, &head);
    *out = head;
    return OK;
}

/* A head at or above `position`. */
static int head_above(struct base_cache *cache, const struct id16 *project, uint64_t position,
                      struct head *out)
{
    struct head head = base_head(cache, project);
    bool known = !hash_is_zero(&head.tree_hash);
    if (!known || position > head.position) {
        int err = base_head_read(cache, project, &head);
        if (err != OK)
            return err;
    }
    if (position != UINT64_MAX && position > head.position)
        return ERR_INVALID;
    *out = head;
    return OK;
}

/* --- opening --- */

/* What a batch changed, from the cache or its records. */
static int changes_open(struct base_cache *cache, const struct id16 *project,
                        const struct batch *batch, struct base_changes **out)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct base_changes *found = NULL;
    for (size_t i = 0; i < CHANGES_MAX && found == NULL; i++) {
        if (cache->changes[i] == NULL ||
            !base_changes_are(cache->changes[i], project, &batch->tree_hash))
            continue;
        found = base_changes_hold(cache->changes[i]);
        cache->changes_used[i] = ++cache->clock;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    if (found != NULL) {
        *out = found;
        return OK;
    }
    struct base_changes *made;
    int err = base_changes_read(cache->repo, project, batch, &made);
    if (err != OK)
        return err;
    (void)pthread_mutex_lock(&cache->lock);
    size_t oldest = 0;
    for (size_t i = 0; i < CHANGES_MAX; i++) {
        if (cache->changes_used[i] < cache->changes_used[oldest])
            oldest = i;
    }
    base_changes_drop(cache->changes[oldest]);
    cache->changes[oldest] = base_changes_hold(made);
    cache->changes_used[oldest] = ++cache->clock;
    (void)pthread_mutex_unlock(&cache->lock);
    *out = made;
    return OK;
}

static int base_fill(struct base_cache *cache, struct base_tree *base,
                     const struct batch *batch)
{
    struct repo *repo = cache->repo;
    if (batch->footer.position == base->position) {
        base->tree = chain_tree(repo, &base->project, batch);
        return OK;
    }
    const struct batch *before;
    int err = chain_batch(repo, &base->project, &batch->footer.prev, &before);
    if (err != OK)
        return err;
    if (before->footer.position != batch->footer.first)
        err = ERR_CORRUPT;
    else
        base->tree = chain_tree(repo, &base->project, before);
    chain_drop(repo, before);
    return err != OK ? err : changes_open(cache, &base->project, batch, &base->changes);
}

static struct base_tree *cache_find(struct base_cache *cache, const struct id16 *project,
                                    uint64_t position)
{
    struct base_tree *found = NULL;
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < BASES_MAX && found == NULL; i++) {
        struct base_slot *slot = &cache->bases[i];
        if (slot->position != position || slot->base == NULL ||
            !id16_equal(&slot->base->project, project))
            continue;
        found = slot->base;
        found->refs++;
        slot->used = ++cache->clock;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return found;
}

/* Takes a base in, in the place of the one that was not used for longest. Where all are held,
 * it is not kept. */
static void cache_add(struct base_cache *cache, struct base_tree *base)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct base_slot *slot = NULL;
    for (size_t i = 0; i < BASES_MAX; i++) {
        struct base_slot *at = &cache->bases[i];
        if (at->base == NULL) {
            slot = at;
            break;
        }
        if ((slot == NULL || at->used < slot->used) && at->base->refs == 0)
            slot = at;
    }
    struct base_tree *old = slot == NULL ? NULL : slot->base;
    if (slot != NULL) {
        *slot = (struct base_slot){
            .position = base->position, .used = ++cache->clock, .base = base};
        base->cached = true;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    if (old != NULL)
        base_free(old);
}

int base_open(struct base_cache *cache, const struct id16 *project, uint64_t position,
              struct base_tree **out)
{
    struct head head;
    struct base_tree *base =
        position == UINT64_MAX ? NULL : cache_find(cache, project, position);
    if (base == NULL) {
        int err = head_above(cache, project, position, &head);
        if (err != OK)
            return err;
    }
    if (position == UINT64_MAX) {
        position = head.position;
        base = cache_find(cache, project, position);
    }
    if (base != NULL) {
        *out = base;
        return OK;
    }
    const struct batch *batch;
    int err = position == head.position
                  ? chain_tip(cache->repo, project, &head, &batch)
                  : batch_at(cache->repo, project, &head, position, &batch);
    if (err != OK)
        return err;
    base = calloc(1, sizeof(*base));
    if (base == NULL)
        abort();
    *base =
        (struct base_tree){.project = *project, .position = position, .head = head, .refs = 1};
    int failed = pthread_mutex_init(&base->lock, NULL);
    assert(failed == 0);
    err = base_fill(cache, base, batch);
    chain_drop(cache->repo, batch);
    if (err != OK) {
        base_free(base);
        return err;
    }
    cache_add(cache, base);
    *out = base;
    return OK;
}

void base_drop(struct base_cache *cache, struct base_tree *base)
{
    (void)pthread_mutex_lock(&cache->lock);
    assert(base->refs > 0);
    bool last = --base->refs == 0 && !base->cached;
    (void)pthread_mutex_unlock(&cache->lock);
    if (last)
        base_free(base);
}

uint64_t base_position(const struct base_tree *base)
{
    return base->position;
}

/* --- reading --- */

static int tree_at(const struct tree *tree, struct bytes path, struct entry *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry entry;
    int err = tree_find(tree, path, &arena, &entry);
    if (err != OK)
        return err;
    entry.name = bytes_of(NULL, 0);
    *out = entry;
    return OK;
}

/* By the batch's replay. */
static int replayed_at(struct base_tree *base, struct bytes path, struct entry *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry entry;
    (void)pthread_mutex_lock(&base->lock);
    int err = OK;
    if (base->replayed == NULL)
        err = snapshot_open_at(base->tree.repo, &base->project, &base->head, base->position,
                               &base->replayed);
    if (err == OK)
        err = snapshot_find(base->replayed, path, &arena, &entry);
    (void)pthread_mutex_unlock(&base->lock);
    if (err != OK)
        return err;
    entry.name = bytes_of(NULL, 0);
    *out = entry;
    return OK;
}

int base_find(struct base_tree *base, struct bytes path, struct entry *out)
{
    if (base->changes == NULL)
        return tree_at(&base->tree, path, out);
    const struct base_change *change = base_changes_at(base->changes, path, base->position);
    if (change != NULL && change->there.kind != KIND_NONE) {
        *out = change->there;
        return OK;
    }
    bool below = base_changes_below(base->changes, path, base->position);
    if (below)
        return replayed_at(base, path, out);
    int err = tree_at(&base->tree, path, out);
    /* Removing a directory is removing nothing. */
    if (err == OK && change != NULL && out->kind != KIND_DIR)
        return ERR_NOT_FOUND;
    return err;
}

int base_kind(struct base_tree *base, struct bytes path, enum kind *out)
{
    if (base->changes != NULL &&
        base_changes_stand_below(base->changes, path, base->position)) {
        *out = KIND_DIR;
        return OK;
    }
    struct entry entry;
    int err = base_find(base, path, &entry);
    if (err == OK)
        *out = entry.kind;
    else if (err == ERR_NOT_FOUND)
        *out = KIND_NONE;
    return err == ERR_NOT_FOUND ? OK : err;
}
