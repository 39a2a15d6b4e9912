#include "pipeline/repo/check/fsck_inside.h"

#include <stdarg.h>
#include <stdio.h>

#define DETAIL_MAX 1024u

static void found(struct fsck *fsck, struct fsck_finding *finding, const char *fmt,
                  va_list args) __attribute__((format(printf, 3, 0)));
static void found(struct fsck *fsck, struct fsck_finding *finding, const char *fmt,
                  va_list args)
{
    char detail[DETAIL_MAX];
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    finding->detail = detail;
    if (finding->damage)
        fsck->counts.damages++;
    else
        fsck->counts.notes++;
    if (fsck->options->found != NULL)
        fsck->options->found(fsck->options->found_arg, finding);
    finding->detail = NULL;
}

void fsck_damage(struct fsck *fsck, const char *invariant, const char *problem, const char *key,
                 const char *fmt, ...)
{
    struct fsck_finding finding = {
        .damage = true, .invariant = invariant, .problem = problem, .key = key};
    va_list args;
    va_start(args, fmt);
    found(fsck, &finding, fmt, args);
    va_end(args);
}

void fsck_note(struct fsck *fsck, const char *problem, const char *key, const char *fmt, ...)
{
    struct fsck_finding finding = {.invariant = "", .problem = problem, .key = key};
    va_list args;
    va_start(args, fmt);
    found(fsck, &finding, fmt, args);
    va_end(args);
}

int fsck_ops_failed(const struct store_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err != OK && !fsck_is_damage(ops[i].err))
            return ops[i].err;
    }
    return OK;
}

size_t fsck_gets_add(struct fsck_gets *gets, const struct key *key, struct store_range range)
{
    assert(gets->n < FSCK_AT_ONCE);
    size_t i = gets->n++;
    gets->keys[i] = *key;
    gets->bodies[i] = (struct buf){0};
    gets->ops[i] = (struct store_op){.verb = STORE_GET,
                                     .key = gets->keys[i].s,
                                     .want_etag = ETAG_NEVER,
                                     .range = range,
                                     .body = &gets->bodies[i]};
    return i;
}

int fsck_gets_run(struct fsck *fsck, struct fsck_gets *gets)
{
    if (gets->n == 0)
        return OK;
    (void)!store_many(fsck->store, gets->ops, gets->n); /* each has its own outcome */
    return fsck_ops_failed(gets->ops, gets->n);
}

void fsck_gets_clear(struct fsck_gets *gets)
{
    for (size_t i = 0; i < gets->n; i++)
        buf_release(&gets->bodies[i]);
    gets->n = 0;
    gets->bytes = 0;
}

static int keys_list(struct fsck_keys *keys)
{
    arena_release(&keys->arena);
    keys->arena = (struct arena){0};
    keys->at = 0;
    keys->begun = true;
    return store_list(keys->store, &keys->arena, keys->prefix, keys->after, STORE_LIST_MAX,
                      &keys->list);
}

int fsck_keys_next(struct fsck_keys *keys, const struct store_key **out)
{
    while (keys->at == keys->list.n) {
        if (keys->begun && (!keys->list.more || keys->list.n == 0))
            return ERR_NOT_FOUND;
        if (keys->begun)
            (void)snprintf(keys->after, sizeof(keys->after), "%s",
                           keys->list.keys[keys->list.n - 1].key);
        int err = keys_list(keys);
        if (err != OK)
            return err;
    }
    *out = &keys->list.keys[keys->at++];
    return OK;
}

void fsck_keys_release(struct fsck_keys *keys)
{
    arena_release(&keys->arena);
}
