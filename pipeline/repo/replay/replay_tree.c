/* Applying the log to a tree, and comparing the tree with what its batches say. */
#include <stdlib.h>

#include "pipeline/repo/chain.h"
#include "pipeline/repo/replay/replay_inside.h"

/* ---- one landing ---- */

/* What lay, before a landing, under a path that it changes. */
struct source {
    struct hash hash;
    struct entry entry;
};

static int source_order(const void *a, const void *b)
{
    const struct source *left = a;
    const struct source *right = b;
    return hash_compare(&left->hash, &right->hash);
}

struct applying {
    struct tree_edit *edit;
    const struct log_entry *entry;
    const struct location *wheres;
    struct replay_fault *fault;
    struct arena arena;
    struct source *sources; /* by hash; made when the first is asked for */
    size_t n_sources;
};

static int path_say(const struct applying *a, const struct log_effect *effect, const char *why)
{
    size_t len = effect->path.len < 200 ? effect->path.len : 200;
    return replay_say(a->fault, a->entry->position, "%.*s: %s", (int)len,
                      (const char *)effect->path.data, why);
}

/* A renamed file was under a path that the same landing took away. */
static int sources_make(struct applying *a)
{
    a->sources = arena_array(&a->arena, a->entry->n_effects, struct source);
    for (uint32_t i = 0; i < a->entry->n_effects; i++) {
        struct entry found;
        int err = tree_edit_find(a->edit, a->entry->effects[i].path, &found);
        if (err == ERR_NOT_FOUND || (err == OK && found.kind == KIND_DIR))
            continue;
        if (err != OK)
            return err;
        a->sources[a->n_sources++] = (struct source){.hash = found.hash, .entry = found};
    }
    qsort(a->sources, a->n_sources, sizeof(*a->sources), source_order);
    return OK;
}

static int source_find(struct applying *a, const struct log_effect *effect,
                       struct location *where)
{
    struct entry own;
    int err = tree_edit_find(a->edit, effect->path, &own);
    if (err == OK && own.kind != KIND_DIR && hash_equal(&own.hash, &effect->hash) &&
        own.size == effect->size) {
        *where = own.where;
        return OK;
    }
    if (err == OK || err == ERR_NOT_FOUND)
        err = a->sources == NULL ? sources_make(a) : OK;
    if (err != OK)
        return err;
    struct source wanted = {.hash = effect->hash};
    const struct source *found =
        bsearch(&wanted, a->sources, a->n_sources, sizeof(*a->sources), source_order);
    if (found == NULL || found->entry.size != effect->size)
        return path_say(a, effect, "no path that the landing changed had the content it keeps");
    *where = found->entry.where;
    return OK;
}

static int entry_make(struct applying *a, uint32_t i, struct entry *out)
{
    const struct log_effect *effect = &a->entry->effects[i];
    *out = (struct entry){.kind = effect->file_kind,
                          .mode = effect->mode,
                          .size = effect->size,
                          .hash = effect->hash,
                          .where = a->wheres != NULL ? a->wheres[i] : effect->where};
    return effect->where.place == PLACE_NONE ? source_find(a, effect, &out->where) : OK;
}

/* A directory counts as absent for an operation, so removing one is as removing nothing. */
static int removes_apply(struct applying *a)
{
    for (uint32_t i = 0; i < a->entry->n_effects; i++) {
        const struct log_effect *effect = &a->entry->effects[i];
        bool changed;
        if (effect->kind == EFFECT_WRITE)
            continue;
        int err = tree_edit_remove(a->edit, effect->path, a->entry->position, &changed);
        if (err != OK && err != ERR_CONFLICT)
            return err;
    }
    return OK;
}

static int effects_apply(struct applying *a)
{
    uint32_t n = a->entry->n_effects;
    struct entry *entries = arena_array(&a->arena, n, struct entry);
    for (uint32_t i = 0; i < n; i++) {
        int err =
            a->entry->effects[i].kind == EFFECT_WRITE ? entry_make(a, i, &entries[i]) : OK;
        if (err != OK)
            return err;
    }
    int err = removes_apply(a);
    for (uint32_t i = 0; i < n && err == OK; i++) {
        const struct log_effect *effect = &a->entry->effects[i];
        bool changed;
        if (effect->kind != EFFECT_WRITE)
            continue;
        err = tree_edit_put(a->edit, effect->path, &entries[i], a->entry->position, &changed);
        if (err == ERR_CONFLICT)
            err = path_say(a, effect,
                           "it cannot be written: a file or a directory is in its way");
    }
    return err;
}

int replay_apply(struct tree_edit *edit, const struct log_entry *entry,
                 const struct location *wheres, struct replay_fault *fault)
{
    struct applying a = {.edit = edit, .entry = entry, .wheres = wheres, .fault = fault};
    int err = effects_apply(&a);
    arena_release(&a.arena);
    return err;
}

/* ---- a batch ---- */

int replay_compare(struct tree_edit *edit, const struct replay_batch *batch,
                   struct replay_fault *fault)
{
    const struct footer *f = &batch->footer;
    struct hash content;
    struct entry root;
    int err = tree_edit_root_hash(edit, &content);
    if (err == OK)
        err = tree_edit_find(edit, bytes_of(NULL, 0), &root);
    if (err != OK)
        return err;
    uint64_t first = f->position > f->first ? f->first + 1 : f->position;
    if (!hash_equal(&content, &f->root_content))
        return replay_say(fault, first,
                          "after position %llu the log makes a tree with content hash %s, its "
                          "batch %s says %s",
                          (unsigned long long)f->position, hash_hex(&content).s,
                          hash_hex(&batch->tree).s, hash_hex(&f->root_content).s);
    if (root.files != f->files || root.size != f->bytes)
        return replay_say(fault, first,
                          "after position %llu the log makes a tree of %llu files and %llu "
                          "bytes, its batch %s says %llu and %llu",
                          (unsigned long long)f->position, (unsigned long long)root.files,
                          (unsigned long long)root.size, hash_hex(&batch->tree).s,
                          (unsigned long long)f->files, (unsigned long long)f->bytes);
    return OK;
}

/* Whether the batches from `*at` back to `place` have answered nothing and left the tree as it
 * was. They are of collections and of packing, so there are few. */
static int quiet_between(struct repo *repo, const struct id16 *project,
                         const struct replay_place *place, struct hash at, uint64_t number,
                         struct replay_fault *fault)
{
    while (number > place->batch) {
        const struct batch *batch;
        int err = chain_batch(repo, project, &at, &batch);
        if (err == ERR_CORRUPT)
            return replay_say(fault, place->position,
                              "the tree object %s is missing or damaged", hash_hex(&at).s);
        if (err != OK)
            return err;
        struct hash tree = at;
        const struct footer *f = &batch->footer;
        bool quiet = f->batch == number && f->n_records == 0 && f->first == place->position &&
                     f->position == place->position;
        number = f->batch - 1;
        at = f->prev;
        chain_drop(repo, batch);
        if (!quiet)
            return replay_say(fault, place->position + 1,
                              "the log leaves out batch %s of the chain", hash_hex(&tree).s);
    }
    if (place->begun && !hash_equal(&at, &place->tree))
        return replay_say(fault, place->position,
                          "the chain does not lead back to batch %s, which the log names",
                          hash_hex(&place->tree).s);
    return OK;
}

/* Positions of the entries as the batch says. */
static int entries_follow(const struct replay_batch *batch, struct replay_fault *fault)
{
    uint64_t position = batch->footer.first;
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct log_entry *entry = &batch->entries[i];
        position += entry->verdict == VERDICT_LANDED;
        if (entry->position != position)
            return replay_say(
                fault, position, "the log has position %llu where %llu comes next",
                (unsigned long long)entry->position, (unsigned long long)position);
    }
    if (position != batch->footer.position)
        return replay_say(fault, position + 1,
                          "the log ends batch %s at position %llu, not %llu",
                          hash_hex(&batch->tree).s, (unsigned long long)position,
                          (unsigned long long)batch->footer.position);
    return OK;
}

int replay_follows(struct repo *repo, const struct id16 *project,
                   const struct replay_place *place, const struct replay_batch *batch,
                   struct replay_fault *fault)
{
    const struct footer *f = &batch->footer;
    if (f->first != place->position || f->batch <= place->batch || f->hlc <= place->hlc)
        return replay_say(fault, place->position + 1,
                          "batch %s does not follow the one before it in the log",
                          hash_hex(&batch->tree).s);
    if (batch->n != f->n_records)
        return replay_say(fault, f->first + 1,
                          "batch %s has %u answers, the log has %u of them",
                          hash_hex(&batch->tree).s, f->n_records, batch->n);
    int err = quiet_between(repo, project, place, f->prev, f->batch - 1, fault);
    return err == OK ? entries_follow(batch, fault) : err;
}

int replay_head_reached(struct repo *repo, const struct id16 *project,
                        const struct replay_place *place, const struct head *head,
                        struct replay_fault *fault)
{
    if (place->position != head->position)
        return replay_say(
            fault, place->position + 1, "the log ends at position %llu, the head is at %llu",
            (unsigned long long)place->position, (unsigned long long)head->position);
    const struct batch *tip;
    int err = chain_tip(repo, project, head, &tip);
    if (err == ERR_CORRUPT)
        return replay_say(fault, place->position, "the head's tree object %s cannot be read",
                          hash_hex(&head->tree_hash).s);
    if (err != OK)
        return err;
    uint64_t number = tip->footer.batch;
    chain_drop(repo, tip);
    return quiet_between(repo, project, place, head->tree_hash, number, fault);
}

void replay_place_move(struct replay_place *place, const struct replay_batch *batch)
{
    *place = (struct replay_place){.position = batch->footer.position,
                                   .batch = batch->footer.batch,
                                   .hlc = batch->footer.hlc,
                                   .tree = batch->tree,
                                   .begun = true};
}
