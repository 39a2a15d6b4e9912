#include "pipeline/repo/intake/closed.h"

#include <stdlib.h>

#include "pipeline/repo/chain_cache.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/known.h"

/* So many batches are read one by one before it is asked whether the log has the rest. */
#define BATCHES_READ_FIRST 16u

enum standing {
    STANDING_ASKED, /* not told yet */
    STANDING_OPEN,
    STANDING_CLOSED,
};

/* One session that is asked about. The fact about it: `word` is its standing, `hash` the batch
 * up to which it was open. */
struct asked {
    struct id16 id;
    size_t index;
    uint64_t base;
    struct hash since; /* the batch up to which it was open; zero: not known */
    enum standing standing;
};

struct check {
    struct repo *repo;
    const struct id16 *project;
    const struct head *head;
    struct asked *asked; /* sorted by id */
    size_t n;
    size_t left;    /* not told yet */
    uint64_t floor; /* what is filed under positions over it has been looked at */
};

static int asked_order(const void *a, const void *b)
{
    const struct asked *left = a;
    const struct asked *right = b;
    return id16_compare(&left->id, &right->id);
}

static struct hash fact_name(const struct check *check, const struct id16 *id)
{
    return known_name("closed", check->project, bytes_of(id->b, sizeof(id->b)));
}

static void tell(struct check *check, struct asked *asked, enum standing standing)
{
    asked->standing = standing;
    check->left--;
}

/* --- the chain --- */

/* Nothing that closes a session was answered before the batch that it was found open at. */
static void since_check(struct check *check, const struct hash *at)
{
    for (size_t i = 0; i < check->n; i++) {
        struct asked *asked = &check->asked[i];
        if (asked->standing == STANDING_ASKED && hash_equal(&asked->since, at))
            tell(check, asked, STANDING_OPEN);
    }
}

static void answer_check(struct check *check, const struct id16 *session)
{
    struct asked key = {.id = *session};
    struct asked *asked =
        bsearch(&key, check->asked, check->n, sizeof(*check->asked), asked_order);
    if (asked != NULL && asked->standing == STANDING_ASKED)
        tell(check, asked, STANDING_CLOSED);
}

static void batch_check(struct check *check, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->footer.n_records; i++) {
        if (batch->ids[i].closes)
            answer_check(check, &batch->ids[i].session);
    }
    /* What was answered before this batch was answered at its first position or earlier. */
    bool oldest = hash_is_zero(&batch->footer.prev);
    for (size_t i = 0; i < check->n; i++) {
        struct asked *asked = &check->asked[i];
        if (asked->standing == STANDING_ASKED && (oldest || batch->footer.first < asked->base))
            tell(check, asked, STANDING_OPEN);
    }
    check->floor = batch->footer.first;
}

static bool batch_cached(const struct check *check, const struct hash *tree_hash)
{
    const struct batch *batch = chain_cache_find(check->repo->chain, check->project, tree_hash);
    chain_cache_drop(check->repo->chain, batch);
    return batch != NULL;
}

/* Whether segments have all that is still to be looked at. Damage to them sends the check back
 * to the chain. */
static int log_reaches(const struct check *check, bool *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *segments;
    size_t n;
    int err = landlog_segments(check->repo, check->project, &arena, &segments, &n);
    if (err == ERR_CORRUPT)
        return OK;
    if (err == OK)
        *out = n > 0 && segments[n - 1].end > check->floor;
    return err;
}

/* Ends when all is told, and where the log is to be asked: damage, or many batches to read. */
static int chain_check(struct check *check)
{
    struct hash at = check->head->tree_hash;
    unsigned reads = 0;
    unsigned ask_at = BATCHES_READ_FIRST;
    for (;;) {
        since_check(check, &at);
        if (check->left == 0)
            return OK;
        reads += !batch_cached(check, &at);
        if (reads > ask_at) {
            bool reaches = false;
            int err = log_reaches(check, &reaches);
            if (err != OK || reaches)
                return err;
            ask_at = 2 * reads;
        }
        const struct batch *batch;
        int err = chain_batch(check->repo, check->project, &at, &batch);
        if (err != OK)
            return err == ERR_CORRUPT ? OK : err;
        batch_check(check, batch);
        at = batch->footer.prev;
        chain_drop(check->repo, batch);
    }
}

/* --- the log --- */

static uint64_t lowest_base(const struct check *check)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < check->n; i++) {
        const struct asked *asked = &check->asked[i];
        if (asked->standing == STANDING_ASKED && asked->base < lowest)
            lowest = asked->base;
    }
    return lowest;
}

/* All that is left. Where the log is damaged, too, it stays as it is. */
static int log_check(struct check *check)
{
    uint64_t base = lowest_base(check);
    struct landlog *log;
    const struct log_entry *entry;
    int err = landlog_open(check->repo, check->project, check->floor, &log);
    if (err != OK)
        return err == ERR_CORRUPT ? OK : err;
    while (check->left > 0 && (err = landlog_next(log, &entry)) == OK &&
           entry->position >= base) {
        if (entry->closes)
            answer_check(check, &entry->session);
    }
    landlog_close(log);
    if (err != OK && err != ERR_NOT_FOUND)
        return err == ERR_CORRUPT ? OK : err;
    for (size_t i = 0; i < check->n; i++) {
        if (check->asked[i].standing == STANDING_ASKED)
            tell(check, &check->asked[i], STANDING_OPEN);
    }
    return OK;
}

/* --- together --- */

static void facts_find(struct check *check)
{
    for (size_t i = 0; i < check->n; i++) {
        struct asked *asked = &check->asked[i];
        struct hash name = fact_name(check, &asked->id);
        struct fact fact;
        if (!known_find(check->repo->known, &name, &fact))
            continue;
        asked->since = fact.hash;
        if (fact.word == STANDING_CLOSED)
            tell(check, asked, STANDING_CLOSED);
    }
}

static void facts_add(const struct check *check)
{
    for (size_t i = 0; i < check->n; i++) {
        const struct asked *asked = &check->asked[i];
        if (asked->standing == STANDING_ASKED)
            continue;
        struct hash name = fact_name(check, &asked->id);
        struct fact fact = {.word = (uint8_t)asked->standing, .hash = check->head->tree_hash};
        known_add(check->repo->known, &name, &fact);
    }
}

int closed_check(struct repo *repo, const struct id16 *project, const struct head *head,
                 const struct id16 *ids, size_t n, bool *closed)
{
    AUTO(arena_release) struct arena arena = {0};
    struct check check = {.repo = repo,
                          .project = project,
                          .head = head,
                          .asked = arena_array(&arena, n, struct asked),
                          .n = n,
                          .left = n,
                          .floor = head->position};
    for (size_t i = 0; i < n; i++)
        check.asked[i] =
            (struct asked){.id = ids[i], .index = i, .base = session_id_base(&ids[i])};
    if (n > 0)
        qsort(check.asked, n, sizeof(*check.asked), asked_order);
    facts_find(&check);
    int err = chain_check(&check);
    if (err == OK && check.left > 0)
        err = log_check(&check);
    if (err != OK)
        return err;
    facts_add(&check);
    for (size_t i = 0; i < n; i++)
        closed[check.asked[i].index] = check.asked[i].standing == STANDING_CLOSED;
    return OK;
}
