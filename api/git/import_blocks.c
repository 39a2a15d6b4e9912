#include "api/git/import_blocks.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCK_COMMITS  16u
#define BLOCKS_AHEAD   256u
#define READY_BYTES    (32u * MIB)
#define THREADS_MAX    16u
#define SESSION_EXPECT 2048u

struct berth {
    bool ready;
    int err;
    char problem[640];
    struct import_block block;
};

struct import_blocks {
    const struct session_terms *terms;
    const git_oid *commits;
    size_t n;
    size_t from;
    size_t n_blocks;
    struct git_report *report; /* the consumer's */
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
    pthread_mutex_t lock;
    pthread_cond_t room;  /* something was taken */
    pthread_cond_t ready; /* something was made */
    /* The lock guards all below. */
    size_t next_make;
    size_t next_take;
    size_t ready_bytes;
    bool closing;
    struct berth berths[BLOCKS_AHEAD];
};

static int block_make(struct import_blocks *blocks, struct session_maker *maker, size_t number,
                      struct import_block *out)
{
    size_t first = blocks->from + number * BLOCK_COMMITS;
    size_t end = first + BLOCK_COMMITS < blocks->n ? first + BLOCK_COMMITS : blocks->n;
    struct import_block block = {.first = first};
    block.ends = calloc(end - first, sizeof(*block.ends));
    if (block.ends == NULL)
        abort();
    (void)buf_reserve(&block.bytes, (end - first) * SESSION_EXPECT);
    int err = OK;
    for (size_t i = first; i < end && err == OK; i++) {
        const git_oid *parent = i == 0 ? NULL : &blocks->commits[i - 1];
        err = session_make(maker, parent, &blocks->commits[i], i, &block.bytes);
        if (err == OK)
            block.ends[block.n++] = block.bytes.len;
    }
    *out = block;
    return err;
}

/* The number of a block to make; false when there is none left. Nobody waits for room who makes
 * the block that the consumer needs next. */
static bool make_next(struct import_blocks *blocks, size_t *number)
{
    (void)pthread_mutex_lock(&blocks->lock);
    while (!blocks->closing && blocks->next_make < blocks->n_blocks) {
        size_t ahead = blocks->next_make - blocks->next_take;
        if (ahead == 0 || (ahead < BLOCKS_AHEAD && blocks->ready_bytes < READY_BYTES))
            break;
        (void)pthread_cond_wait(&blocks->room, &blocks->lock);
    }
    bool more = !blocks->closing && blocks->next_make < blocks->n_blocks;
    if (more)
        *number = blocks->next_make++;
    (void)pthread_mutex_unlock(&blocks->lock);
    return more;
}

static void made(struct import_blocks *blocks, size_t number, int err,
                 const struct git_report *report, const struct import_block *block)
{
    (void)pthread_mutex_lock(&blocks->lock);
    struct berth *berth = &blocks->berths[number % BLOCKS_AHEAD];
    berth->block = *block;
    berth->err = err;
    if (err != OK)
        memcpy(berth->problem, report->problem, sizeof(berth->problem));
    berth->ready = true;
    blocks->ready_bytes += block->bytes.len;
    (void)pthread_cond_signal(&blocks->ready);
    (void)pthread_mutex_unlock(&blocks->lock);
}

static void *thread_run(void *arg)
{
    struct import_blocks *blocks = arg;
    struct git_report report = {0};
    struct session_maker maker;
    int opened = session_maker_open(&maker, blocks->terms, &report);
    size_t number;
    while (make_next(blocks, &number)) {
        struct import_block block = {0};
        int err = opened != OK ? opened : block_make(blocks, &maker, number, &block);
        made(blocks, number, err, &report, &block);
        if (err != OK)
            break;
    }
    if (opened == OK)
        session_maker_close(&maker);
    return NULL;
}

int import_blocks_open(const struct session_terms *terms, const git_oid *commits, size_t n,
                       size_t from, unsigned threads, struct git_report *report,
                       struct import_blocks **out)
{
    struct import_blocks *blocks = calloc(1, sizeof(*blocks));
    if (blocks == NULL || pthread_mutex_init(&blocks->lock, NULL) != 0 ||
        pthread_cond_init(&blocks->room, NULL) != 0 ||
        pthread_cond_init(&blocks->ready, NULL) != 0)
        abort();
    blocks->terms = terms;
    blocks->commits = commits;
    blocks->n = n;
    blocks->from = from;
    blocks->n_blocks = (n - from + BLOCK_COMMITS - 1) / BLOCK_COMMITS;
    blocks->report = report;
    unsigned wanted = threads < 1 ? 1 : threads < THREADS_MAX ? threads : THREADS_MAX;
    while (blocks->n_threads < wanted &&
           pthread_create(&blocks->threads[blocks->n_threads], NULL, thread_run, blocks) == 0)
        blocks->n_threads++;
    if (blocks->n_threads == 0) {
        import_blocks_close(blocks);
        return git_fail(report, ERR_AGAIN, "no thread can be started");
    }
    *out = blocks;
    return OK;
}

int import_blocks_next(struct import_blocks *blocks, bool ready_only, struct import_block *out)
{
    int err = OK;
    *out = (struct import_block){0};
    (void)pthread_mutex_lock(&blocks->lock);
    struct berth *berth = &blocks->berths[blocks->next_take % BLOCKS_AHEAD];
    bool wanted = blocks->next_take < blocks->n_blocks && (berth->ready || !ready_only);
    while (wanted && !berth->ready)
        (void)pthread_cond_wait(&blocks->ready, &blocks->lock);
    if (wanted && berth->err != OK) {
        err = berth->err;
        memcpy(blocks->report->problem, berth->problem, sizeof(berth->problem));
    } else if (wanted) {
        *out = berth->block;
        *berth = (struct berth){0};
        blocks->ready_bytes -= out->bytes.len;
        blocks->next_take++;
        (void)pthread_cond_broadcast(&blocks->room);
    }
    (void)pthread_mutex_unlock(&blocks->lock);
    return err;
}

void import_block_release(struct import_block *block)
{
    buf_release(&block->bytes);
    free(block->ends);
    *block = (struct import_block){0};
}

void import_blocks_close(struct import_blocks *blocks)
{
    (void)pthread_mutex_lock(&blocks->lock);
    blocks->closing = true;
    (void)pthread_cond_broadcast(&blocks->room);
    (void)pthread_mutex_unlock(&blocks->lock);
    for (unsigned i = 0; i < blocks->n_threads; i++)
        (void)pthread_join(blocks->threads[i], NULL);
    for (size_t i = 0; i < BLOCKS_AHEAD; i++)
        import_block_release(&blocks->berths[i].block);
    (void)pthread_cond_destroy(&blocks->ready);
    (void)pthread_cond_destroy(&blocks->room);
    (void)pthread_mutex_destroy(&blocks->lock);
    free(blocks);
}
