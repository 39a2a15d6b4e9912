#include "pipeline/repo/repo.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/content/condemned.h"
#include "pipeline/repo/content/content_cache.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/intake/queue_read.h"
#include "pipeline/repo/known.h"
#include "pipeline/repo/tree/page_cache.h"

/* Batches whose footers and ids stay in memory. */
#define CHAIN_CACHE_BATCHES 4096u
#define CHAIN_CACHE_RECORDS (16u * MIB)
/* Handles and blobs that are remembered. */
#define KNOWN_FACTS 400000u
/* Bytes of decoded queue objects that stay in memory. */
#define QUEUE_CACHE_BYTES (64u * MIB)

static int bucket_get(struct repo *repo)
{
    struct key key = key_bucket();
    AUTO_BUF body = {0};
    int err = store_get(repo->store, key.s, range_all(), &body, NULL, NULL);
    if (err == 0)
        err = bucket_decode(buf_bytes(&body), &repo->bucket);
    return damage_unless_absent(repo, key.s, err);
}

/* Puts a new bucket if there is none. Whoever was first has decided what it is. */
static int bucket_make(struct repo *repo, const struct repo_options *options)
{
    struct bucket bucket = {
        .shards = options->shards,
        .chunk_size = options->chunk_size,
        .hlc_created = repo_hlc(repo),
    };
    repo->rng->fill(repo->rng, &bucket.id, sizeof(bucket.id));
    AUTO_BUF body = {0};
    bucket_encode(&bucket, &body);
    struct key key = key_bucket();
    int err = store_put(repo->store, key.s, buf_bytes(&body), PUT_IF_ABSENT, NULL);
    return err == ERR_CONFLICT ? 0 : err;
}

static int bucket_open(struct repo *repo, const struct repo_options *options)
{
    int err = bucket_get(repo);
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    err = bucket_make(repo, options);
    if (err != 0) {
        return err;
    }
    err = bucket_get(repo);
    /* A bucket that was just there and is gone is no bucket to work in. */
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int repo_open(struct repo *repo, struct store *store, struct clock *clock, struct rng *rng,
              const struct repo_options *options)
{
    if (options->shards == 0 || options->chunk_size < CHUNK_SIZE_MIN ||
        options->chunk_size > CHUNK_SIZE_MAX) {
        return ERR_INVALID;
    }
    *repo = (struct repo){.store = store, .clock = clock, .rng = rng};
    int failed = pthread_mutex_init(&repo->hlc_lock, NULL);
    assert(failed == 0);
    (void)failed;
    rng->fill(rng, &repo->agent, sizeof(repo->agent));
    int err = bucket_open(repo, options);
    if (err != 0) {
        (void)pthread_mutex_destroy(&repo->hlc_lock);
        return err;
    }
    repo->pages = page_cache_open(options->page_cache_bytes);
    repo->contents = content_cache_open(options->content_cache_bytes);
    repo->chain = chain_cache_open(CHAIN_CACHE_BATCHES, CHAIN_CACHE_RECORDS);
    repo->known = known_open(KNOWN_FACTS);
    repo->condemned = condemned_cache_open();
    repo->queue = queue_cache_open(repo->bucket.shards, QUEUE_CACHE_BYTES);
    return 0;
}

void repo_close(struct repo *repo)
{
    held_cache_close(repo->pages);
    held_cache_close(repo->contents);
    chain_cache_close(repo->chain);
    known_close(repo->known);
    condemned_cache_close(repo->condemned);
    queue_cache_close(repo->queue);
    (void)pthread_mutex_destroy(&repo->hlc_lock);
}

void repo_view_init(struct repo *view, const struct repo *repo, struct store *store)
{
    *view = (struct repo){
        .store = store,
        .clock = repo->clock,
        .rng = repo->rng,
        .bucket = repo->bucket,
        .agent = repo->agent,
        .pages = repo->pages,
        .chain = repo->chain,
        .known = repo->known,
        .condemned = repo->condemned,
    };
    int err = pthread_mutex_init(&view->hlc_lock, NULL);
    assert(err == 0);
    (void)err;
}

void repo_view_release(struct repo *view)
{
    (void)pthread_mutex_destroy(&view->hlc_lock);
}

uint64_t repo_hlc(struct repo *repo)
{
    uint64_t wall_ms = repo->clock->wall_ms(repo->clock);
    (void)pthread_mutex_lock(&repo->hlc_lock);
    uint64_t hlc = hlc_next(repo->hlc, wall_ms);
    repo->hlc = hlc;
    (void)pthread_mutex_unlock(&repo->hlc_lock);
    return hlc;
}

void repo_hlc_seen(struct repo *repo, uint64_t hlc)
{
    (void)pthread_mutex_lock(&repo->hlc_lock);
    if (hlc > repo->hlc) {
        repo->hlc = hlc;
    }
    (void)pthread_mutex_unlock(&repo->hlc_lock);
}

int repo_clock_ok(struct repo *repo)
{
    uint64_t store_ms = store_date_ms(repo->store);
    if (store_ms == 0) {
        return 0;
    }
    uint64_t wall_ms = repo->clock->wall_ms(repo->clock);
    uint64_t apart = wall_ms > store_ms ? wall_ms - store_ms : store_ms - wall_ms;
    return apart > CLOCK_SKEW_MAX_MS ? ERR_AGAIN : 0;
}
