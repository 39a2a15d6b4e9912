#include "api/cli/renames.h"

#include <stdlib.h>

#include "formats/path.h"

int changes_between(struct client *client, struct bytes project, uint64_t from, uint64_t to,
                    struct bytes path, struct arena *arena, struct client_changes *out)
{
    struct client_changes all = {0};
    size_t cap = 0;
    struct client_changes page = {0};
    do {
        int err = client_diff(client, project, from, to, path, page.next, arena, &page);
        if (err != OK)
            return err;
        for (size_t i = 0; i < page.n; i++) {
            struct client_change *change =
                arena_push(arena, (void **)&all.changes, &all.n, &cap, sizeof(*change));
            *change = page.changes[i];
        }
    } while (page.next.len > 0);
    *out = all;
    return OK;
}

struct gone {
    const struct client_change *change;
    bool used;
};

static int gone_order(const void *a, const void *b)
{
    const struct client_change *left = ((const struct gone *)a)->change;
    const struct client_change *right = ((const struct gone *)b)->change;
    int order = hash_compare(&left->a->hash, &right->a->hash);
    return order != 0 ? order : bytes_compare(left->path, right->path);
}

/* The first one that has at least this hash. */
static size_t gone_lower(const struct gone *gone, size_t n, const struct hash *hash)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (hash_compare(&gone[mid].change->a->hash, hash) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const struct client_change *source_take(struct gone *gone, size_t n,
                                               const struct client_change *came)
{
    struct gone *best = NULL;
    for (size_t i = gone_lower(gone, n, &came->b->hash); i < n; i++) {
        const struct client_change *change = gone[i].change;
        if (!hash_equal(&change->a->hash, &came->b->hash))
            break;
        if (gone[i].used || change->a->kind != came->b->kind)
            continue;
        bool same_name = bytes_equal(path_base(change->path), path_base(came->path));
        if (best == NULL || same_name)
            best = &gone[i];
        if (same_name)
            break;
    }
    if (best == NULL)
        return NULL;
    best->used = true;
    return best->change;
}

const struct client_change **renames_find(const struct client_changes *changes,
                                          struct arena *arena)
{
    const struct client_change **from =
        arena_array(arena, changes->n, const struct client_change *);
    struct gone *gone = arena_array(arena, changes->n, struct gone);
    size_t n = 0;
    for (size_t i = 0; i < changes->n; i++) {
        const struct client_change *change = &changes->changes[i];
        if (change->b == NULL && change->a->size > 0)
            gone[n++] = (struct gone){.change = change};
    }
    if (n > 0)
        qsort(gone, n, sizeof(*gone), gone_order);
    for (size_t i = 0; i < changes->n && n > 0; i++) {
        const struct client_change *change = &changes->changes[i];
        if (change->a == NULL)
            from[i] = source_take(gone, n, change);
    }
    return from;
}
