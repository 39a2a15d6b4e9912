#include "api/client/thick_contents.h"

#include <pthread.h>
#include <stdlib.h>

#include "formats/content.h"

/* Groups that wait for a worker: with the source's own reads, what bounds memory. */
#define WAITING_MAX 4u
#define ARENA_KEEP  (1u << 20)

struct crew {
    const struct entry *const *entries;
    thick_content_fn fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct range_group waiting[WAITING_MAX]; /* the lock guards all below */
    unsigned n;
    bool over;
    int err;
};

struct worker {
    struct crew *crew;
    unsigned number;
    pthread_t thread;
};

static int group_unpack(struct crew *crew, unsigned worker, const struct range_group *group)
{
    AUTO(arena_release) struct arena arena = {0};
    for (size_t i = 0; i < group->n; i++) {
        const struct range_item *item = &group->items[i];
        const struct entry *e = crew->entries[item->index];
        struct bytes plain;
        int err = content_unpack(&arena, e->where.place == PLACE_ZSTD,
                                 range_item_bytes(group, item), e->size, &e->hash, &plain);
        if (err == OK)
            err = crew->fn(crew->arg, worker, item->index, plain);
        if (err != OK)
            return err;
        /* Frames can be far shorter than what is in them, so a group's contents are not
         * kept. */
        if (arena.used > ARENA_KEEP) {
            arena_release(&arena);
            arena_init(&arena);
        }
    }
    return OK;
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    pthread_mutex_lock(&crew->lock);
    for (;;) {
        while (crew->n == 0 && !crew->over && crew->err == OK)
            pthread_cond_wait(&crew->changed, &crew->lock);
        if (crew->n == 0 || crew->err != OK)
            break;
        struct range_group group = crew->waiting[0];
        crew->n--;
        memmove(crew->waiting, crew->waiting + 1, crew->n * sizeof(group));
        pthread_cond_broadcast(&crew->changed);
        pthread_mutex_unlock(&crew->lock);
        int err = group_unpack(crew, worker->number, &group);
        buf_release(&group.body);
        pthread_mutex_lock(&crew->lock);
        if (crew->err == OK)
            crew->err = err;
        if (err != OK)
            pthread_cond_broadcast(&crew->changed);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* A group came: it goes to whoever is free; reading waits while too many wait. */
static int group_came(void *arg, struct range_group *group)
{
    struct crew *crew = arg;
    pthread_mutex_lock(&crew->lock);
    while (crew->n == WAITING_MAX && crew->err == OK)
        pthread_cond_wait(&crew->changed, &crew->lock);
    int err = crew->err;
    if (err == OK) {
        crew->waiting[crew->n++] = *group;
        group->body = (struct buf){0};
        pthread_cond_broadcast(&crew->changed);
    }
    pthread_mutex_unlock(&crew->lock);
    return err;
}

static int crew_run(struct crew *crew, unsigned workers, struct range_source *source,
                    struct range_item *items, size_t n)
{
    struct worker crew_of[THICK_WORKERS_MAX];
    unsigned started = 0;
    for (; started < workers; started++) {
        crew_of[started] = (struct worker){.crew = crew, .number = started};
        if (pthread_create(&crew_of[started].thread, NULL, worker_run, &crew_of[started]) != 0)
            break;
    }
    int err = started == 0 ? ERR_AGAIN : range_fetch(source, items, n, group_came, crew);
    pthread_mutex_lock(&crew->lock);
    crew->over = true;
    if (crew->err == OK)
        crew->err = err;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < started; i++)
        pthread_join(crew_of[i].thread, NULL);
    for (unsigned i = 0; i < crew->n; i++)
        buf_release(&crew->waiting[i].body);
    return crew->err;
}

int thick_contents(struct range_source *source, const struct entry *const *entries, size_t n,
                   unsigned workers, thick_content_fn fn, void *arg)
{
    assert(workers >= 1 && workers <= THICK_WORKERS_MAX);
    struct range_item *items = calloc(n + 1, sizeof(*items));
    if (items == NULL)
        abort();
    size_t wanted = 0;
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++) {
        const struct entry *e = entries[i];
        if (!thick_in_tree(e))
            continue;
        /* An empty content has no bytes to ask for. */
        if (e->where.len == 0 && e->size == 0) {
            struct bytes none;
            err = content_unpack(NULL, false, bytes_of(NULL, 0), 0, &e->hash, &none);
            if (err == OK)
                err = fn(arg, 0, i, none);
            continue;
        }
        items[wanted++] = (struct range_item){
            .tree = e->where.tree, .offset = e->where.offset, .len = e->where.len, .index = i};
    }
    struct crew crew = {
        .entries = entries,
        .fn = fn,
        .arg = arg,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
    };
    if (err == OK && wanted > 0)
        err = crew_run(&crew, workers, source, items, wanted);
    free(items);
    return err;
}
