#include "pipeline/repo/history/touched.h"

#include "formats/path.h"
#include "formats/rollup.h"
#include "pipeline/repo/history/landlog_segment.h"

/* ---- what touches what ---- */

static bool key_of_path(struct bytes path, uint64_t key)
{
    bool found = rollup_key_path(path) == key;
    while (path.len > 0 && !found) {
        path.len--;
        if (path.len == 0 || path.data[path.len] == '/')
            found = rollup_key_path(path) == key;
    }
    return found;
}

static bool entry_has_key(const struct log_entry *entry, uint64_t key)
{
    bool found = rollup_key_session(&entry->session) == key;
    for (uint32_t i = 0; i < entry->n_effects && !found; i++) {
        const struct log_effect *effect = &entry->effects[i];
        found = key_of_path(effect->path, key) ||
                (effect->kind == EFFECT_WRITE && rollup_key_content(&effect->hash) == key);
    }
    return found;
}

static bool effect_touches(const struct touched_ask *ask, struct bytes changed)
{
    return bytes_equal(changed, ask->path) ||
           (ask->what == TOUCHED_BELOW && path_below(changed, ask->path));
}

/* Of the entry's effects those that are asked for; 0 when it touches nothing of it. */
static bool entry_touches(const struct touched_ask *ask, const struct log_entry *entry,
                          struct arena *arena, struct log_entry *out)
{
    *out = *entry;
    if (ask->what == TOUCHED_KEY)
        return entry_has_key(entry, ask->key);
    if (entry->verdict != VERDICT_LANDED)
        return false;
    out->n_effects = 0;
    for (uint32_t i = 0; i < entry->n_effects; i++)
        out->n_effects += effect_touches(ask, entry->effects[i].path);
    if (out->n_effects == 0)
        return false;
    out->effects = arena_array(arena, out->n_effects, struct log_effect);
    for (uint32_t i = 0, n = 0; i < entry->n_effects; i++) {
        if (effect_touches(ask, entry->effects[i].path))
            out->effects[n++] = entry->effects[i];
    }
    return true;
}

/* ---- looking ---- */

/* An ask while it is looked for. */
struct search {
    const struct touched_ask *ask;
    void *landings;
    size_t n;
    size_t cap;
};

static void entry_note(struct search *search, const struct log_entry *entry,
                       struct arena *arena)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct log_entry touching;
    if (entry->position <= search->ask->since || search->n >= search->ask->max ||
        !entry_touches(search->ask, entry, &scratch, &touching))
        return;
    struct log_entry *item =
        arena_push(arena, &search->landings, &search->n, &search->cap, sizeof(*item));
    *item = log_entry_keep(arena, &touching);
}

static int log_search(struct landlog *log, uint64_t since, struct search *searches, size_t n,
                      struct arena *arena)
{
    const struct log_entry *entry;
    int err;
    while ((err = landlog_next(log, &entry)) == OK && entry->position > since) {
        for (size_t i = 0; i < n; i++)
            entry_note(&searches[i], entry, arena);
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

int touched_since(struct repo *repo, const struct id16 *project, const struct touched_ask *asks,
                  size_t n, struct arena *arena, struct touched **out, uint64_t *at)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct search *searches = arena_array(&scratch, n, struct search);
    uint64_t since = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        searches[i].ask = &asks[i];
        since = asks[i].since < since ? asks[i].since : since;
    }
    struct head head;
    struct landlog *log;
    int err = chain_head(repo, project, &head, NULL);
    if (err == OK)
        err = landlog_open(repo, project, head.position, &log);
    if (err != OK)
        return err;
    err = log_search(log, since, searches, n, arena);
    landlog_close(log);
    if (err != OK)
        return err;
    struct touched *found = arena_array(arena, n, struct touched);
    for (size_t i = 0; i < n; i++)
        found[i] =
            (struct touched){.landings = searches[i].landings, .n = (uint32_t)searches[i].n};
    *out = found;
    *at = head.position;
    return OK;
}
