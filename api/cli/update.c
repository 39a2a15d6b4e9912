#include "api/cli/update.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/cli/merge.h"
#include "api/client/call.h"
#include "formats/base/hex.h"
#include "formats/path.h"

#define CONFLICTS_MAX (16u << 20)

static int local_failed(struct update *u, int err, const char *what)
{
    if (u->client->problem.err == err)
        return err;
    return client_fail(u->client, err, err_name(err), "%s (%s)", what, err_name(err));
}

/* ---- the index --------------------------------------------------------------------------- */

static void entry_of_step(struct index_entry *e, const struct step *step)
{
    *e = (struct index_entry){
        .path = step->path,
        .kind = step->to->kind,
        .mode = step->to->mode,
        .size = step->to->size,
        .hash = step->to->hash,
        .marked = step->marked,
        .mark = step->mark,
        .work = step->to->hash,
    };
}

/* The old entries with the steps on top, both sorted. The entries are the caller's to free;
 * paths point into the old index and the arena. */
static void index_merge(const struct index *old, const struct plan *plan, struct index *out)
{
    out->entries = calloc(old->n + plan->n + 1, sizeof(*out->entries));
    if (out->entries == NULL)
        abort();
    size_t i = 0, k = 0;
    out->n = 0;
    while (i < old->n || k < plan->n) {
        int c = i == old->n    ? 1
                : k == plan->n ? -1
                               : path_compare(old->entries[i].path, plan->steps[k].path);
        if (c < 0) {
            out->entries[out->n++] = old->entries[i++];
            continue;
        }
        if (plan->steps[k].to != NULL)
            entry_of_step(&out->entries[out->n++], &plan->steps[k]);
        i += c == 0 ? 1 : 0;
        k++;
    }
}

static int conflicts_note(struct update *u)
{
    AUTO_BUF lines = {0};
    int err = workspace_get(u->ws, "conflicts", CONFLICTS_MAX, &lines);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    for (size_t i = 0; i < u->plan.n; i++) {
        const struct step *step = &u->plan.steps[i];
        if (step->conflict == NULL)
            continue;
        u->conflicts++;
        if (step->kind != STEP_MERGED && step->kind != STEP_SIDE)
            continue;
        buf_append_bytes(&lines, step->kind == STEP_SIDE ? step->side : step->path);
        buf_append(&lines, "\n", 1);
    }
    return lines.len == 0 ? OK : workspace_put(u->ws, "conflicts", buf_bytes(&lines));
}

static int finish(struct update *u, const struct index *old, const struct target *target)
{
    struct index now = {.position = target->position, .content = target->content};
    if (!target->inside)
        now.tree = target->tree.tree;
    index_merge(old, &u->plan, &now);
    int err = conflicts_note(u);
    if (err == OK)
        err = index_save(u->ws, &now);
    free(now.entries);
    if (err == OK)
        err = workspace_drop(u->ws, "journal");
    if (err != OK)
        return local_failed(u, err, "the index cannot be written");
    for (size_t i = 0; i < u->plan.n_merges; i++) {
        char name[HASH_HEX_LEN + 16];
        snprintf(name, sizeof(name), "staged/%s", hash_hex(&u->plan.merges[i].after).s);
        (void)!workspace_drop(u->ws, name);
    }
    for (size_t i = 0; i < u->plan.n; i++) {
        enum step_kind kind = u->plan.steps[i].kind;
        u->written += kind == STEP_PUT || kind == STEP_SIDE ? 1 : 0;
        u->removed += kind == STEP_REMOVE ? 1 : 0;
        u->merged += kind == STEP_MERGED ? 1 : 0;
    }
    u->position = target->position;
    return OK;
}

/* ---- running ----------------------------------------------------------------------------- */

static int run(struct update *u, uint64_t position, enum plan_mode mode,
               const struct journal *journal, bool empty)
{
    struct client_ranges ranges;
    client_ranges_init(&ranges, u->client, &u->ws->project);
    u->client->problem = (struct client_problem){0};
    AUTO_INDEX index = {0};
    struct scan scan = {0};
    int err = index_load(u->ws, &index);
    if (err == ERR_NOT_FOUND && (empty || mode == PLAN_RESUME))
        err = OK;
    if (err == OK && !empty)
        err = scan_run(u->ws, &index, u->arena, &scan);
    if (err != OK)
        return local_failed(u, err, "the workspace cannot be read");
    u->from = index.position;
    struct target target;
    struct target_changes changes;
    err = target_find(&ranges, position, u->arena, &target);
    if (err == OK)
        err = target_diff(&ranges, &index, &target, u->arena, &changes);
    if (err == OK)
        err = plan_make(u->ws, u->client, &index, &scan, &target, &changes, mode, journal,
                        u->arena, &u->plan);
    if (err != OK)
        return local_failed(u, err, "the update cannot be planned");
    if (u->plan.n_lost > 0)
        return client_fail(u->client, ERR_CONFLICT, "would_lose",
                           "files that are changed here would be overwritten");
    struct journal now = {
        .kind = empty || mode == PLAN_RESUME ? JOURNAL_CHECKOUT : JOURNAL_SYNC,
        .position = target.position,
        .tree = target.tree.tree,
        .content = target.content,
        .merges = u->plan.merges,
        .n = u->plan.n_merges,
    };
    err = journal_put(u->ws, &now);
    if (err != OK)
        return local_failed(u, err, "the journal cannot be written");
    err = apply_plan(u->ws, &ranges, target.position, &u->plan, u->progress);
    return err != OK ? err : finish(u, &index, &target);
}

int update_run(struct update *u, uint64_t position, enum plan_mode mode)
{
    return run(u, position, mode, NULL, false);
}

int update_checkout(struct update *u, uint64_t position)
{
    return run(u, position, PLAN_SYNC, NULL, true);
}

int update_resume(struct update *u, bool *did)
{
    struct journal journal;
    int err = journal_get(u->ws, u->arena, &journal);
    if (did != NULL)
        *did = err != ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return local_failed(u, err, "the journal in .mic cannot be read");
    enum plan_mode mode = journal.kind == JOURNAL_CHECKOUT ? PLAN_RESUME : PLAN_SYNC;
    return run(u, journal.position, mode, &journal, false);
}

/* ---- conflicts left ---------------------------------------------------------------------- */

static bool line_begins(struct bytes text, const char *with)
{
    size_t len = strlen(with);
    for (size_t at = 0; at + len <= text.len;) {
        if (memcmp(text.data + at, with, len) == 0)
            return true;
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        if (end == NULL)
            return false;
        at = (size_t)(end - text.data) + 1;
    }
    return false;
}

static bool is_unresolved(struct workspace *ws, struct bytes path)
{
    static const char theirs[] = ".theirs";
    struct stat st;
    AUTO_BUF text = {0};
    if (worktree_stat(&ws->tree, path, &st) != OK)
        return false;
    /* What is put beside has a name that says so, at its end or, before a number, near it. */
    for (size_t i = 0; i + sizeof(theirs) - 1 <= path.len; i++) {
        if (memcmp(path.data + i, theirs, sizeof(theirs) - 1) == 0)
            return true;
    }
    if (worktree_read(&ws->tree, path, MERGE_MAX, &text, &st) != OK)
        return false;
    return line_begins(buf_bytes(&text), "<<<<<<< this workspace") &&
           line_begins(buf_bytes(&text), ">>>>>>> position ");
}

int update_unresolved(struct workspace *ws, struct arena *arena, struct unresolved *out)
{
    *out = (struct unresolved){0};
    AUTO_BUF lines = {0};
    int err = workspace_get(ws, "conflicts", CONFLICTS_MAX, &lines);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    size_t cap = 0;
    for (size_t at = 0; at < lines.len;) {
        const uint8_t *end = memchr(lines.data + at, '\n', lines.len - at);
        size_t len = end == NULL ? lines.len - at : (size_t)(end - lines.data) - at;
        struct bytes path = bytes_of(lines.data + at, len);
        if (is_unresolved(ws, path)) {
            struct bytes *slot =
                arena_push(arena, (void **)&out->paths, &out->n, &cap, sizeof(*slot));
            *slot = arena_copy(arena, path);
        }
        at += len + 1;
    }
    return out->n == 0 ? workspace_drop(ws, "conflicts") : OK;
}
