#include "pipeline/repo/check/fsck.h"

#include "formats/base/limits.h"
#include "formats/project_id.h"
#include "pipeline/repo/check/fsck_answers.h"
#include "pipeline/repo/check/fsck_blobs.h"
#include "pipeline/repo/check/fsck_chain.h"
#include "pipeline/repo/check/fsck_derive.h"
#include "pipeline/repo/check/fsck_log.h"
#include "pipeline/repo/check/fsck_names.h"
#include "pipeline/repo/check/fsck_queue.h"
#include "pipeline/repo/check/fsck_rebuild.h"
#include "pipeline/repo/check/fsck_rollups.h"
#include "pipeline/repo/check/fsck_sessions.h"
#include "pipeline/repo/check/fsck_tree.h"

/* --- a project --- */

static void companion_told(struct fsck_project *p, const struct fsck_batch *batch,
                           const char *key, const char *wrong)
{
    if (wrong == NULL || strcmp(wrong, "tree_missing") != 0)
        p->companions++;
    if (wrong != NULL)
        fsck_damage(p->fsck, "named", wrong, key, "%s was put along with it", batch->key.s);
}

/* Whether they are there; deep, also whether their footers are what their names say. Their
 * pages are looked at from the batch's root. */
static int companions_some(struct fsck_project *p, const struct fsck_batch *batch,
                           const struct hash *companions, size_t n)
{
    struct fsck_batch read[FSCK_AT_ONCE];
    struct fsck_gets gets = {0};
    bool deep = p->fsck->options->deep;
    for (size_t i = 0; i < n; i++) {
        struct key key = key_tree(&p->id, &companions[i]);
        read[i] = (struct fsck_batch){.tree = companions[i]};
        (void)fsck_gets_add(&gets, &key, range_none());
    }
    int err = deep ? fsck_batches_read(p, read, n, true, true) : fsck_gets_run(p->fsck, &gets);
    for (size_t i = 0; i < n; i++) {
        const char *wrong = gets.ops[i].err != OK ? "tree_missing" : NULL;
        if (err == OK)
            companion_told(p, batch, gets.keys[i].s, deep ? read[i].wrong : wrong);
        fsck_batch_release(&read[i]);
    }
    fsck_gets_clear(&gets);
    return err;
}

static int companions_check(struct fsck_project *p, const struct fsck_batch *batch)
{
    const struct footer *f = &batch->footer;
    int err = OK;
    for (size_t i = 0; i < f->n_companions && err == OK; i += FSCK_AT_ONCE) {
        size_t left = f->n_companions - i;
        err = companions_some(p, batch, f->companions + i,
                              left < FSCK_AT_ONCE ? left : FSCK_AT_ONCE);
    }
    return err;
}

static int deep_check(struct fsck_project *p, const struct fsck_batch *batch,
                      const struct fsck_records *records, uint64_t damages)
{
    int err = fsck_tree_check(p, batch, records);
    bool good = records->good && batch->root != NULL && p->fsck->counts.damages == damages;
    return err == OK && good ? fsck_rebuild_check(p, batch, records) : err;
}

static int batch_visit(void *arg, struct fsck_batch *batch)
{
    AUTO(arena_release) struct arena arena = {0};
    struct fsck_project *p = arg;
    struct fsck_records records;
    uint64_t damages = p->fsck->counts.damages;
    p->fsck->counts.batches++;
    fsck_answers_add(p->answers, batch);
    fsck_queue_mark(p->fsck->queue, batch);
    fsck_root_check(p, batch);
    int err = fsck_records_check(p, batch, &arena, &records);
    if (err == OK && batch->footer.n_companions > 0)
        err = companions_check(p, batch);
    if (err == OK && p->fsck->options->deep)
        err = deep_check(p, batch, &records, damages);
    return err;
}

static void unknown_visit(void *arg, uint64_t first, uint64_t end)
{
    fsck_log_unknown(((struct fsck_project *)arg)->log, first, end);
}

static int block_visit(void *arg, uint64_t from)
{
    return fsck_log_check(((struct fsck_project *)arg)->log, from);
}

static void tombstone_visit(void *arg, const struct id16 *session)
{
    fsck_answers_tombstone(arg, session);
}

/* A tree that could not be made again, though nothing that it needs was found to be wrong. */
static void unbuilt_tell(struct fsck_project *p)
{
    struct key key = key_tree(&p->id, &p->unbuilt);
    if (!hash_is_zero(&p->unbuilt) && p->fsck->counts.damages == p->damages_from)
        fsck_damage(p->fsck, "rebuild", "not_rebuilt", key.s,
                    "its tree cannot be made again out of the one before it");
}

/* The head has been taken: what is listed from here on has all that it commits to. */
static int parts_check(struct fsck_project *p)
{
    const struct fsck_visit visit = {
        .batch = batch_visit, .unknown = unknown_visit, .block = block_visit, .arg = p};
    uint64_t trees = 0;
    uint64_t batches = p->fsck->counts.batches;
    int err = fsck_project_keys(p, &trees);
    if (err == OK)
        err = fsck_rollups_listed(p->rollups);
    if (err == OK)
        err = fsck_blobs_open(p, &p->blobs);
    if (err == OK)
        err = fsck_derive_check(p);
    if (err == OK)
        err = fsck_log_open(p, &p->log);
    if (err == OK)
        err = fsck_sessions_walk(p, false, tombstone_visit, p->answers);
    if (err == OK)
        err = fsck_chain_walk(p, &visit);
    if (err == OK)
        err = fsck_log_check(p->log, 0);
    if (err == OK)
        err = fsck_rollups_rest(p->rollups);
    if (err == OK)
        err = fsck_answers_check(p->answers);
    if (err == OK && p->fsck->options->deep)
        err = fsck_blobs_read(p->blobs);
    uint64_t named = p->fsck->counts.batches - batches + p->companions;
    if (p->chain_whole && trees > named)
        p->fsck->counts.unnamed += trees - named;
    return err;
}

static int tree_check(struct fsck *fsck, const struct id16 *id, bool *has_refs)
{
    size_t ids_max = fsck->options->ids_max > 0 ? fsck->options->ids_max : FSCK_IDS_MAX;
    struct fsck_project p = {.fsck = fsck, .id = *id, .damages_from = fsck->counts.damages};
    bool absent;
    fsck->counts.projects += !project_id_is_refs(id);
    int err = fsck_chain_tip(&p, &absent);
    if (err == OK)
        err = fsck_project_names(&p, !absent);
    if (err != OK)
        return err;
    p.answers = fsck_answers_open(&p, ids_max);
    p.rollups = fsck_rollups_open(&p);
    err = parts_check(&p);
    if (err == OK)
        unbuilt_tell(&p);
    fsck_answers_close(p.answers);
    fsck_blobs_close(p.blobs);
    fsck_log_close(p.log);
    fsck_rollups_close(p.rollups);
    *has_refs = p.has_refs;
    return err;
}

/* The project, and the tree of its references. */
static int project_check(struct fsck *fsck, const struct id16 *id)
{
    struct id16 refs = project_id_refs(id);
    bool has_refs = false;
    int err = tree_check(fsck, id, &has_refs);
    return err == OK && has_refs ? tree_check(fsck, &refs, &has_refs) : err;
}

/* --- the bucket --- */

/* What could be known of the bucket without its object: no shard is taken for wrong by it. */
static int bucket_read(struct fsck *fsck, struct store *store)
{
    AUTO_BUF bytes = {0};
    struct bucket bucket;
    struct key key = key_bucket();
    fsck->store = store;
    int err = store_get(store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = bucket_decode(buf_bytes(&bytes), &bucket);
    fsck->bucket_known = err == OK;
    if (err == OK || err == ERR_NOT_FOUND || !fsck_is_damage(err))
        return err;
    fsck_damage(fsck, "named", "bucket_damaged", key.s, "it cannot be decoded");
    return OK;
}

/* A repo for what reads through one; where the bucket's object is damaged, with one made up. */
static int repo_make(struct fsck *fsck, struct clock *clock, struct rng *rng)
{
    const struct bucket made_up = {.id = {.b = {1}}, .shards = 1, .chunk_size = CHUNK_SIZE_MAX};
    const struct repo_options options = {.page_cache_bytes = fsck->options->page_cache_bytes,
                                         .shards = made_up.shards,
                                         .chunk_size = made_up.chunk_size};
    struct key key = key_bucket();
    struct store *store = fsck->store;
    if (!fsck->bucket_known) {
        bucket_encode(&made_up, &fsck->bucket);
        overlay_store_init(&fsck->with_bucket, store, &key, buf_bytes(&fsck->bucket));
        store = &fsck->with_bucket.store;
    }
    int err = repo_open(&fsck->repo, store, clock, rng, &options);
    if (err == OK)
        fsck->repo.store = fsck->store;
    return err;
}

static int projects_check(struct fsck *fsck, const struct id16 *only)
{
    struct fsck_projects projects = {.fsck = fsck};
    if (only != NULL)
        return project_check(fsck, only);
    int err = fsck_top_check(fsck);
    if (err == OK)
        err = fsck_handles_check(fsck);
    if (err == OK)
        err = fsck_leases_check(fsck);
    while (err == OK) {
        struct id16 id;
        err = fsck_projects_next(&projects, &id);
        if (err == ERR_NOT_FOUND)
            return OK;
        if (err == OK)
            err = project_check(fsck, &id);
    }
    return err;
}

/* The queue is read before any head: what is answered by one is then done with, but for what
 * a drain is about to do. */
static int bucket_check(struct fsck *fsck)
{
    const char *name = fsck->options->project;
    struct id16 only;
    int err = name != NULL ? fsck_project_find(fsck, name, &only) : OK;
    if (err == ERR_CORRUPT) /* told */
        return OK;
    if (err != OK)
        return err;
    err = fsck_queue_open(fsck, name != NULL ? &only : NULL, &fsck->queue);
    if (err == OK)
        err = projects_check(fsck, name != NULL ? &only : NULL);
    if (err == OK)
        err = fsck_queue_check(fsck->queue);
    fsck_queue_close(fsck->queue);
    return err;
}

int fsck_run(struct store *store, struct clock *clock, struct rng *rng,
             const struct fsck_options *options, struct fsck_counts *out)
{
    struct fsck fsck = {.options = options};
    int err = bucket_read(&fsck, store);
    if (err == OK)
        err = repo_make(&fsck, clock, rng);
    if (err == OK) {
        err = bucket_check(&fsck);
        repo_close(&fsck.repo);
    }
    buf_release(&fsck.bucket);
    *out = fsck.counts;
    return err;
}
