#include "pipeline/repo/history/touched.h"

#include "formats/path.h"
#include "formats/rollup.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/repo/history/rollup_read.h"

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

static bool is_done(const struct search *search)
{
    return search->n >= search->ask->max;
}

static void entry_note(struct search *search, const struct log_entry *entry,
                       struct arena *arena)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct log_entry touching;
    if (entry->position <= search->ask->since || is_done(search) ||
        !entry_touches(search->ask, entry, &scratch, &touching))
        return;
    struct log_entry *item =
        arena_push(arena, &search->landings, &search->n, &search->cap, sizeof(*item));
    *item = log_entry_keep(arena, &touching);
}

/* The rollups cover keys of what lies below a path, too, so what they give is looked at. */
static uint64_t key_of(const struct touched_ask *ask)
{
    return ask->what == TOUCHED_KEY ? ask->key : rollup_key_path(ask->path);
}

/* What one run of the log has for the asks that it may concern, until these have enough. */
static int run_search(struct landlog *log, const struct rollup_range *range,
                      struct search *searches, size_t n, struct arena *arena)
{
    const struct log_entry *entry;
    bool wanted = true;
    int err = landlog_run(log, range->from, range->end);
    while (err == OK && wanted && (err = landlog_next(log, &entry)) == OK) {
        wanted = false;
        for (size_t i = 0; i < n; i++) {
            if ((range->asks >> i & 1) == 0)
                continue;
            entry_note(&searches[i], entry, arena);
            wanted = wanted || !is_done(&searches[i]);
        }
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

/* At most ROLLUP_ASKS_MAX of them. */
static int many_search(struct landlog *log, struct rollup_reader *rollups, uint64_t head,
                       struct search *searches, size_t n, struct arena *arena)
{
    struct rollup_asked asked[ROLLUP_ASKS_MAX];
    struct rollup_range range;
    for (size_t i = 0; i < n; i++) {
        const struct touched_ask *ask = searches[i].ask;
        asked[i].key = key_of(ask);
        asked[i].from = ask->since < UINT64_MAX ? ask->since + 1 : UINT64_MAX;
    }
    rollup_reader_ask_many(rollups, asked, n, head + 1);
    while (rollup_reader_next(rollups, &range)) {
        int err = run_search(log, &range, searches, n, arena);
        if (err != OK)
            return err;
        for (unsigned i = 0; i < n; i++) {
            if (is_done(&searches[i]))
                rollup_reader_drop(rollups, i);
        }
    }
    return OK;
}

static int all_search(struct repo *repo, const struct id16 *project, const struct head *head,
                      struct search *searches, size_t n, struct arena *arena)
{
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any = any || searches[i].ask->since < head->position;
    if (!any)
        return OK;
    struct rollup_reader *rollups = rollup_reader_open(repo, project);
    rollup_reader_ahead(rollups, ROLLUP_AHEAD_FIRST, ROLLUP_AHEAD_MAX);
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i += ROLLUP_ASKS_MAX) {
        size_t some = n - i < ROLLUP_ASKS_MAX ? n - i : ROLLUP_ASKS_MAX;
        struct landlog *log;
        err = landlog_open_at(repo, project, head, UINT64_MAX, &log);
        if (err != OK)
            break;
        err = many_search(log, rollups, head->position, searches + i, some, arena);
        landlog_close(log);
    }
    rollup_reader_close(rollups);
    return err;
}

int touched_since(struct repo *repo, const struct id16 *project, const struct touched_ask *asks,
                  size_t n, struct arena *arena, struct touched **out, uint64_t *at)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct search *searches = arena_array(&scratch, n, struct search);
    for (size_t i = 0; i < n; i++)
        searches[i].ask = &asks[i];
    struct head head;
    int err = chain_head(repo, project, &head, NULL);
    if (err == OK)
        err = all_search(repo, project, &head, searches, n, arena);
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
