#include "pipeline/repo/intake/intake.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/intake/intake_put.h"
#include "pipeline/repo/intake/intake_window.h"
#include "pipeline/sys/bell.h"
#include "pipeline/sys/log.h"

struct intake {
    struct repo *repo;
    struct intake_options options;
    struct bell bell; /* something waits, an object is full, or stop */

    pthread_mutex_t lock;
    struct intake_object **open; /* a shard each, NULL when nothing waits; the one that fills */
    struct intake_object *sealed; /* those that are full, newest first */
    size_t bytes;                 /* that wait, those being put included */
    size_t groups;
    uint64_t seq;
    bool waiting;      /* there is something that no flush has taken yet */
    uint64_t first_us; /* when the oldest of it came */
    bool full;         /* an object is sealed: no more waiting for others */
    bool stopping;
    struct intake_window window;

    /* Of the flushing thread. */
    bool crowd;   /* an object of this flush was shared by several adds */
    bool failing; /* the last object was not put */

    bool threaded;
    pthread_t thread;
};

struct intake *intake_open(struct repo *repo, const struct intake_options *options)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    if (intake == NULL)
        abort();
    intake->repo = repo;
    intake->options = *options;
    intake->window.base_us = options->window_us;
    intake->open = calloc(repo->bucket.shards, sizeof(struct intake_object *));
    if (intake->open == NULL)
        abort();
    int err = pthread_mutex_init(&intake->lock, NULL);
    assert(err == 0);
    bell_init(&intake->bell);
    return intake;
}

void intake_close(struct intake *intake)
{
    if (intake == NULL)
        return;
    assert(intake->groups == 0 && !intake->threaded);
    free(intake->open);
    bell_release(&intake->bell);
    (void)pthread_mutex_destroy(&intake->lock);
    free(intake);
}

/* --- taking in --- */

static void seal(struct intake *intake, uint32_t shard)
{
    struct intake_object *object = intake->open[shard];
    intake->open[shard] = NULL;
    object->next = intake->sealed;
    intake->sealed = object;
    intake->full = true;
}

/* The object that fills of a shard, with room for `len` bytes. */
static struct intake_object *object_for(struct intake *intake, uint32_t shard, size_t len)
{
    size_t max = intake->options.batch_max;
    struct intake_object *object = intake->open[shard];
    if (object != NULL && object->bytes.len + len > max) {
        seal(intake, shard);
        object = NULL;
    }
    if (object == NULL) {
        object = intake_object_new(intake->repo, shard, intake->seq++);
        intake->open[shard] = object;
    }
    return object;
}

int intake_add(struct intake *intake, const struct queue_group *groups, size_t n,
               void (*done)(void *arg, int err), void *arg)
{
    assert(n > 0);
    /* Encoded before the lock is taken, so that a big request holds up nobody. */
    AUTO_BUF bytes = {0};
    for (size_t i = 0; i < n; i++) {
        assert(id16_equal(&groups[i].project, &groups[0].project));
        queue_group_write(&bytes, &groups[i]);
        if (bytes.len > QUEUE_OBJECT_MAX - INTAKE_HEADER_MAX)
            return ERR_LIMIT;
    }
    uint32_t shard = key_shard(&groups[0].project, intake->repo->bucket.shards);
    struct clock *clock = intake->repo->clock;
    (void)pthread_mutex_lock(&intake->lock);
    if (intake->stopping ||
        (intake->groups > 0 && intake->bytes + bytes.len > intake->options.queue_max)) {
        (void)pthread_mutex_unlock(&intake->lock);
        return ERR_AGAIN;
    }
    bool first = !intake->waiting;
    bool full = intake->full;
    if (first)
        intake->first_us = clock->mono_us(clock);
    intake->waiting = true;
    struct intake_object *object = object_for(intake, shard, bytes.len);
    buf_append_bytes(&object->bytes, buf_bytes(&bytes));
    intake_object_expect(object, done, arg);
    object->groups += (uint32_t)n;
    intake->bytes += bytes.len;
    intake->groups += n;
    if (object->bytes.len >= intake->options.batch_max)
        seal(intake, shard);
    bool ring = first || intake->full != full;
    (void)pthread_mutex_unlock(&intake->lock);
    if (ring)
        bell_ring(&intake->bell);
    return OK;
}

struct intake_load intake_load(struct intake *intake)
{
    (void)pthread_mutex_lock(&intake->lock);
    struct intake_load load = {.bytes = intake->bytes,
                               .groups = intake->groups,
                               .window_us = intake_window_us(&intake->window),
                               .pause_us = intake->window.pause_us,
                               .retry_s = intake_window_retry_s(&intake->window)};
    (void)pthread_mutex_unlock(&intake->lock);
    return load;
}

/* --- flushing --- */

/* Takes all that waits. */
static struct intake_object *take(struct intake *intake)
{
    (void)pthread_mutex_lock(&intake->lock);
    for (uint32_t shard = 0; shard < intake->repo->bucket.shards; shard++) {
        if (intake->open[shard] != NULL)
            seal(intake, shard);
    }
    struct intake_object *objects = intake->sealed;
    intake->sealed = NULL;
    intake->waiting = false;
    intake->full = false;
    (void)pthread_mutex_unlock(&intake->lock);
    return objects;
}

static void settled(void *arg, const struct intake_object *object)
{
    struct intake *intake = arg;
    (void)pthread_mutex_lock(&intake->lock);
    intake->bytes -= object->bytes.len - object->header_len;
    intake->groups -= object->groups;
    (void)pthread_mutex_unlock(&intake->lock);
    bool failing = object->err != OK;
    if (failing && !intake->failing)
        log_warn("queue_object_not_put", LOG_U64("shard", object->shard),
                 LOG_U64("groups", object->groups), LOG_ERR(object->err));
    else if (!failing && intake->failing)
        log_info("queue_object_put_again", LOG_U64("shard", object->shard));
    intake->failing = failing;
    if (!failing && intake->options.hint != NULL)
        intake->options.hint(intake->options.hint_arg, object->shard);
    intake->crowd = intake->crowd || object->n_expects > 1;
}

static uint64_t round_made(void *arg, uint64_t took_us, bool taken)
{
    struct intake *intake = arg;
    struct clock *clock = intake->repo->clock;
    uint64_t now_us = clock->mono_us(clock);
    (void)pthread_mutex_lock(&intake->lock);
    if (taken)
        intake_window_taken(&intake->window, now_us, took_us);
    else
        intake_window_refused(&intake->window, now_us);
    uint64_t pause_us = intake->window.pause_us;
    (void)pthread_mutex_unlock(&intake->lock);
    return pause_us;
}

int intake_flush(struct intake *intake)
{
    const struct intake_teller teller = {
        .settled = settled, .round = round_made, .arg = intake};
    struct intake_object *objects = take(intake);
    if (objects == NULL)
        return 0;
    intake->crowd = false;
    uint32_t groups = intake_put(intake->repo, objects, &teller);
    (void)pthread_mutex_lock(&intake->lock);
    intake->window.crowd = intake->crowd;
    (void)pthread_mutex_unlock(&intake->lock);
    return (int)groups;
}

uint64_t intake_wait_us(struct intake *intake)
{
    struct clock *clock = intake->repo->clock;
    uint64_t now_us = clock->mono_us(clock);
    (void)pthread_mutex_lock(&intake->lock);
    uint64_t due_us =
        intake->waiting && !intake->stopping
            ? intake_window_due_us(&intake->window, intake->first_us, intake->full)
            : now_us;
    (void)pthread_mutex_unlock(&intake->lock);
    return due_us > now_us ? due_us - now_us : 0;
}

/* --- the thread --- */

static void *run(void *arg)
{
    struct intake *intake = arg;
    for (;;) {
        (void)pthread_mutex_lock(&intake->lock);
        bool stopping = intake->stopping;
        bool idle = intake->groups == 0;
        (void)pthread_mutex_unlock(&intake->lock);
        if (idle && stopping)
            return NULL;
        if (idle) {
            (void)bell_wait(&intake->bell, BELL_FOR_EVER);
            continue;
        }
        uint64_t wait_us = intake_wait_us(intake);
        if (wait_us > 0)
            (void)bell_wait(&intake->bell, wait_us);
        else
            (void)!intake_flush(intake);
    }
}

void intake_start(struct intake *intake)
{
    assert(!intake->threaded);
    (void)pthread_mutex_lock(&intake->lock);
    intake->stopping = false;
    (void)pthread_mutex_unlock(&intake->lock);
    int err = pthread_create(&intake->thread, NULL, run, intake);
    assert(err == 0);
    intake->threaded = true;
}

void intake_stop(struct intake *intake)
{
    if (!intake->threaded)
        return;
    (void)pthread_mutex_lock(&intake->lock);
    intake->stopping = true;
    (void)pthread_mutex_unlock(&intake->lock);
    bell_ring(&intake->bell);
    (void)pthread_join(intake->thread, NULL);
    intake->threaded = false;
}
