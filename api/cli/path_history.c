#include "api/cli/path_history.h"

#include "api/cli/renames.h"

#define PAGE_MAX 256u

static const struct client_operation *effect_on(const struct client_log_entry *entry,
                                                struct bytes path)
{
    for (size_t i = 0; i < entry->n_effects; i++) {
        if (bytes_equal(entry->effects[i].path, path))
            return &entry->effects[i];
    }
    return NULL;
}

static bool is_op(const struct client_operation *effect, const char *op)
{
    return bytes_equal(effect->op, bytes_str(op));
}

/* Whether another path went in this landing. */
static bool others_went(const struct client_log_entry *entry, struct bytes path)
{
    for (size_t i = 0; i < entry->n_effects; i++) {
        const struct client_operation *effect = &entry->effects[i];
        if (!is_op(effect, "write") && !bytes_equal(effect->path, path))
            return true;
    }
    return false;
}

/* A rename over a file that was there: the session says that it moved something away, and this
 * is what now lies at `to`. */
static const struct client_change *moved_over(const struct client_log_entry *entry,
                                              const struct client_changes *changes,
                                              const struct client_change *to)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct client_change *change = &changes->changes[i];
        if (change->b != NULL || change->a->kind != to->b->kind ||
            !hash_equal(&change->a->hash, &to->b->hash))
            continue;
        const struct client_operation *effect = effect_on(entry, change->path);
        if (effect != NULL && is_op(effect, "moved"))
            return change;
    }
    return NULL;
}

/* Where the content that the landing put at the path was before, which only the trees on both
 * sides of it tell. */
static int source_find(struct path_history *h, const struct client_log_entry *entry,
                       struct bytes *out)
{
    struct client_changes changes;
    int err = changes_between(h->client, h->project, entry->position - 1, entry->position,
                              bytes_of(NULL, 0), h->arena, &changes);
    if (err != OK)
        return err;
    const struct client_change **from = renames_find(&changes, h->arena);
    for (size_t i = 0; i < changes.n; i++) {
        const struct client_change *to = &changes.changes[i];
        if (!bytes_equal(to->path, h->path) || to->b == NULL)
            continue;
        const struct client_change *source =
            to->a == NULL ? from[i] : moved_over(entry, &changes, to);
        if (source != NULL)
            *out = source->path;
        break;
    }
    return OK;
}

void path_history_open(struct path_history *h, struct client *client, struct bytes project,
                       struct bytes path, uint64_t before, bool follow, size_t expected,
                       struct arena *arena)
{
    *h = (struct path_history){
        .client = client,
        .project = project,
        .arena = arena,
        .follow = follow,
        .path = path,
        .page.next = before == UINT64_MAX ? 0 : before,
        .wanted = expected == 0         ? 1
                  : expected < PAGE_MAX ? expected
                                        : PAGE_MAX,
        .opened = before != 0,
    };
}

/* The next page that has something in it, if there is one. */
static int page_get(struct path_history *h)
{
    while (h->opened && h->at == h->page.n) {
        int err = client_log(h->client, h->project, h->path, h->page.next, h->wanted, h->arena,
                             &h->page);
        if (err != OK)
            return err;
        h->at = 0;
        h->wanted = 2 * h->wanted < PAGE_MAX ? 2 * h->wanted : PAGE_MAX;
        h->opened = h->page.next > 0;
    }
    return OK;
}

int path_history_next(struct path_history *h, struct path_step *out)
{
    int err = page_get(h);
    if (err != OK)
        return err;
    if (h->at == h->page.n) {
        *out = (struct path_step){0};
        return OK;
    }
    const struct client_log_entry *entry = &h->page.entries[h->at++];
    struct path_step step = {
        .entry = entry, .path = h->path, .what = effect_on(entry, h->path)};
    if (step.what != NULL && is_op(step.what, "write") && others_went(entry, h->path)) {
        err = source_find(h, entry, &step.moved_from);
        if (err != OK)
            return err;
    }
    if (h->follow && step.moved_from.len > 0) {
        /* What landed before at the path that it has now is another file's history. */
        h->path = step.moved_from;
        h->page = (struct client_log){.next = entry->position - 1};
        h->at = 0;
        h->opened = entry->position > 1;
    }
    *out = step;
    return OK;
}
