#include <stdlib.h>

#include "pipeline/derive/cache/result_inside.h"

struct collection {
    const struct id16 *project;
    uint64_t before_us; /* used before this */
    uint64_t max;
    struct result_collected *out;
    struct hash *hashes; /* of what goes; unless it is a dry run */
    size_t cap;
};

static void entry_look(struct collection *c, const struct result_entry *e, bool dry_run)
{
    struct result_collected *out = c->out;
    bool old = !e->pinned && e->used_us <= c->before_us;
    if (!id16_equal(&e->project, c->project))
        return;
    out->more |= old && out->entries == c->max;
    if (!old || out->entries == c->max) {
        out->kept++;
        return;
    }
    if (out->n_sample < RESULT_SAMPLE_MAX)
        out->sample[out->n_sample++] = e->result.hash;
    if (!dry_run) {
        if (out->entries == c->cap) {
            c->cap = c->cap == 0 ? 1024 : c->cap * 2;
            c->hashes = realloc(c->hashes, c->cap * sizeof(*c->hashes));
            if (c->hashes == NULL)
                abort();
        }
        c->hashes[out->entries] = e->result.hash;
    }
    out->entries++;
    out->bytes += e->result.size;
}

void result_collect(struct result_cache *cache, const struct id16 *project, uint64_t unused_us,
                    uint64_t max, bool dry_run, struct result_collected *out)
{
    uint64_t now_us = cache->clock->mono_us(cache->clock);
    struct collection c = {.project = project,
                           .before_us = now_us > unused_us ? now_us - unused_us : 0,
                           .max = max,
                           .out = out};
    *out = (struct result_collected){.entries = 0};
    result_lock(cache);
    for (size_t i = 0; i < cache->entries.n_buckets; i++) {
        for (const struct result_node *node = cache->entries.buckets[i]; node != NULL;
             node = node->next)
            entry_look(&c, (const struct result_entry *)node, dry_run);
    }
    result_unlock(cache);
    for (uint64_t i = 0; i < out->entries && !dry_run; i++)
        (void)result_drop(cache, project, &c.hashes[i]);
    free(c.hashes);
}
