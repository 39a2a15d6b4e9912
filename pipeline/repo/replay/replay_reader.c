/* Reading ahead: a thread reads blocks of the log while others are replayed. */
#include <pthread.h>
#include <stdlib.h>

#include "pipeline/repo/replay/replay_inside.h"

/* Blocks that wait to be replayed. */
#define WAITING_MAX 2u

struct replay_reader {
    struct replay_source *source;
    bool ahead;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct replay_block *first; /* that waits */
    unsigned waiting;
    bool closing;
};

static void block_append(struct replay_reader *reader, struct replay_block *block)
{
    struct replay_block **at = &reader->first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = block;
    reader->waiting++;
}

static void *reader_run(void *arg)
{
    struct replay_reader *reader = arg;
    bool last = false;
    while (!last) {
        struct replay_block *block = replay_source_next(reader->source);
        last = block->err != OK;
        (void)pthread_mutex_lock(&reader->lock);
        while (reader->waiting == WAITING_MAX && !reader->closing)
            (void)pthread_cond_wait(&reader->changed, &reader->lock);
        last = last || reader->closing;
        block_append(reader, block);
        (void)pthread_cond_broadcast(&reader->changed);
        (void)pthread_mutex_unlock(&reader->lock);
    }
    return NULL;
}

struct replay_reader *replay_reader_open(struct replay_source *source, bool ahead)
{
    struct replay_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        abort();
    reader->source = source;
    int err = pthread_mutex_init(&reader->lock, NULL);
    assert(err == 0);
    err = pthread_cond_init(&reader->changed, NULL);
    assert(err == 0);
    /* Without a thread it is slower, and that is all. */
    reader->ahead = ahead && pthread_create(&reader->thread, NULL, reader_run, reader) == 0;
    return reader;
}

struct replay_block *replay_reader_next(struct replay_reader *reader)
{
    if (!reader->ahead)
        return replay_source_next(reader->source);
    (void)pthread_mutex_lock(&reader->lock);
    while (reader->first == NULL)
        (void)pthread_cond_wait(&reader->changed, &reader->lock);
    struct replay_block *block = reader->first;
    reader->first = block->next;
    reader->waiting--;
    (void)pthread_cond_broadcast(&reader->changed);
    (void)pthread_mutex_unlock(&reader->lock);
    return block;
}

void replay_reader_close(struct replay_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->ahead) {
        (void)pthread_mutex_lock(&reader->lock);
        reader->closing = true;
        (void)pthread_cond_broadcast(&reader->changed);
        (void)pthread_mutex_unlock(&reader->lock);
        (void)pthread_join(reader->thread, NULL);
    }
    while (reader->first != NULL) {
        struct replay_block *block = reader->first;
        reader->first = block->next;
        replay_block_free(block);
    }
    (void)pthread_cond_destroy(&reader->changed);
    (void)pthread_mutex_destroy(&reader->lock);
    free(reader);
}
