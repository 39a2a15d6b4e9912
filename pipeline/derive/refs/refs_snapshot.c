#include "pipeline/derive/refs/refs_snapshot.h"

#include "formats/base/hash.h"
#include "formats/path.h"
#include "formats/project_id.h"
#include "formats/ref.h"
#include "pipeline/derive/refs/refs_values.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/damage.h"

/* One of the two trees, as of the head that was read for it. */
struct stand {
    bool begun;
    int err; /* of reading it: ERR_NOT_FOUND stays what it is, too */
    struct id16 project;
    struct head head;
    struct tree tree;
};

struct refs_snapshot {
    struct arena arena; /* holds the snapshot itself */
    struct repo *repo;
    struct refs_source source;
    struct stand own;  /* the project */
    struct stand refs; /* its references */
    struct ref_read *reads;
    size_t n;
    size_t cap;
    uint32_t *slots; /* number of a read, plus 1, by its name; open addressing */
    size_t n_slots;
};

struct refs_snapshot *refs_snapshot_open(struct repo *repo, const struct id16 *project,
                                         const struct refs_source *source)
{
    struct arena arena = {0};
    struct refs_snapshot *snap = arena_new(&arena, struct refs_snapshot);
    snap->arena = arena;
    snap->repo = repo;
    if (source != NULL)
        snap->source = *source;
    snap->own.project = *project;
    snap->refs.project = project_id_refs(project);
    return snap;
}

void refs_snapshot_close(struct refs_snapshot *snap)
{
    if (snap == NULL)
        return;
    struct arena arena = snap->arena;
    arena_release(&arena);
}

/* ---- the heads ---- */

static int stand_read(struct repo *repo, struct stand *stand)
{
    const struct batch *batch;
    int err = chain_head(repo, &stand->project, &stand->head, NULL);
    if (err == OK)
        err = chain_tip(repo, &stand->project, &stand->head, &batch);
    if (err != OK)
        return err;
    stand->tree = chain_tree(repo, &stand->project, batch);
    chain_drop(repo, batch);
    return OK;
}

/* What could not be read is not asked again: a snapshot has one answer. */
static int stand_on(struct repo *repo, struct stand *stand)
{
    if (!stand->begun)
        stand->err = stand_read(repo, stand);
    stand->begun = true;
    return stand->err;
}

static int stand_head(struct repo *repo, struct stand *stand, struct head *out)
{
    int err = stand_on(repo, stand);
    if (err == OK)
        *out = stand->head;
    return err;
}

int refs_snapshot_refs_head(struct refs_snapshot *snap, struct head *out)
{
    return stand_head(snap->repo, &snap->refs, out);
}

int refs_snapshot_head(struct refs_snapshot *snap, struct head *out)
{
    return stand_head(snap->repo, &snap->own, out);
}

/* ---- what was asked for ---- */

static uint32_t *slot_of(const struct refs_snapshot *snap, struct bytes name)
{
    size_t at = (size_t)xxh3_64(name) & (snap->n_slots - 1);
    while (snap->slots[at] != 0 && !bytes_equal(snap->reads[snap->slots[at] - 1].name, name))
        at = (at + 1) & (snap->n_slots - 1);
    return &snap->slots[at];
}

/* The old table stays in the arena: all of them together are no longer than the last. */
static void table_grow(struct refs_snapshot *snap)
{
    snap->n_slots = snap->n_slots > 0 ? 2 * snap->n_slots : 16;
    snap->slots = arena_array(&snap->arena, snap->n_slots, uint32_t);
    for (size_t i = 0; i < snap->n; i++)
        *slot_of(snap, snap->reads[i].name) = (uint32_t)i + 1;
}

static const struct ref_read *read_add(struct refs_snapshot *snap, const struct ref_read *read)
{
    if (2 * (snap->n + 1) > snap->n_slots)
        table_grow(snap);
    uint32_t *slot = slot_of(snap, read->name);
    struct ref_read *added =
        arena_push(&snap->arena, (void **)&snap->reads, &snap->n, &snap->cap, sizeof(*added));
    *added = *read;
    added->name = arena_copy(&snap->arena, read->name);
    *slot = (uint32_t)snap->n;
    return added;
}

/* What is there under a name, read into `out`. */
static int name_read(struct refs_snapshot *snap, struct bytes name, struct ref_read *out)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct entry entry;
    *out = (struct ref_read){.name = name, .seen = seen_of(NULL)};
    int err = stand_on(snap->repo, &snap->refs);
    if (err == OK)
        err = tree_find(&snap->refs.tree, name, &scratch, &entry);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return err;
    out->seen = seen_of(&entry);
    out->stamp = entry.stamp;
    if (entry.kind == KIND_DIR)
        return OK;
    struct ref_file file = {.hash = entry.hash, .size = entry.size, .where = entry.where};
    err = refs_values_read(snap->repo, &snap->refs.project, &file, 1);
    out->address = file.address;
    return err;
}

static int name_find(struct refs_snapshot *snap, struct bytes name, const struct ref_read **out)
{
    uint32_t found = snap->n_slots > 0 ? *slot_of(snap, name) : 0;
    struct ref_read read;
    if (found == 0) {
        int err = name_read(snap, name, &read);
        if (err != OK)
            return err;
        *out = read_add(snap, &read);
        return OK;
    }
    *out = &snap->reads[found - 1];
    return OK;
}

const struct ref_read *refs_snapshot_reads(const struct refs_snapshot *snap, size_t *n)
{
    *n = snap->n;
    return snap->reads;
}

/* ---- values ---- */

int refs_snapshot_seen(struct refs_snapshot *snap, struct bytes name, struct seen *out)
{
    const struct ref_read *read;
    int err = path_check(name, NULL) == OK ? name_find(snap, name, &read) : ERR_INVALID;
    if (err == OK)
        *out = read->seen;
    return err;
}

static int bound_find(struct refs_snapshot *snap, struct bytes name,
                      const struct ref_read **out)
{
    const struct ref_read *read;
    if (ref_name_check(name, NULL) != OK)
        return ERR_NOT_FOUND;
    int err = name_find(snap, name, &read);
    if (err == OK && hash_is_zero(&read->address))
        err = ERR_NOT_FOUND;
    if (err == OK)
        *out = read;
    return err;
}

int refs_snapshot_bound(struct refs_snapshot *snap, struct bytes name, struct hash *out)
{
    const struct ref_read *read;
    int err = bound_find(snap, name, &read);
    if (err == OK)
        *out = read->address;
    return err;
}

static int in_tree(const struct tree *tree, struct bytes path, struct ref_value *out)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct entry entry;
    if (path.len > 0 && path_check(path, NULL) != OK)
        return ERR_NOT_FOUND;
    int err = tree_find(tree, path, &scratch, &entry);
    if (err != OK)
        return err;
    *out = (struct ref_value){.address = entry.hash,
                              .kind = entry.kind,
                              .size = entry.size,
                              .where = entry.where,
                              .stamp = entry.stamp};
    return OK;
}

/* The directory that a name is bound to, wherever its pages lie. */
static int bound_tree(struct refs_snapshot *snap, const struct hash *content, struct tree *out)
{
    struct tree tree = {.repo = snap->repo, .project = snap->own.project, .content = *content};
    if (snap->source.tree == NULL)
        return ERR_NOT_FOUND;
    int err = snap->source.tree(snap->source.arg, &tree.project, content,
                                &snap->source.since_us, &tree.root);
    if (err == OK)
        *out = tree;
    return err;
}

int refs_snapshot_ref(struct refs_snapshot *snap, struct bytes name, struct bytes path,
                      struct ref_value *out)
{
    const struct ref_read *read;
    if (ref_is_head(name)) {
        int err = stand_on(snap->repo, &snap->own);
        return err == OK ? in_tree(&snap->own.tree, path, out) : err;
    }
    int err = bound_find(snap, name, &read);
    if (err != OK)
        return err;
    if (path.len == 0) {
        *out = (struct ref_value){.address = read->address, .stamp = read->stamp};
        return OK;
    }
    struct tree tree;
    struct ref_value value;
    uint64_t stamp = read->stamp;
    err = bound_tree(snap, &read->address, &tree);
    if (err == OK)
        err = in_tree(&tree, path, &value);
    if (err != OK)
        return err;
    value.stamp = stamp;
    *out = value;
    return OK;
}

/* ---- all of them ---- */

/* Takes the names behind `after` out of the walk, at most `max`. */
static int names_walk(struct tree_walk *walk, struct bytes after, size_t max,
                      struct arena *arena, struct refs_listing *out, struct ref_file **files)
{
    size_t cap = 0;
    size_t n_files = 0;
    size_t cap_files = 0;
    for (;;) {
        struct bytes path;
        const struct entry *e;
        int err = tree_walk_next(walk, &path, &e);
        if (err != OK)
            return err == ERR_NOT_FOUND ? OK : err;
        bool before = after.len > 0 && path_compare(path, after) <= 0;
        if (e->kind == KIND_DIR && before && !path_below(after, path) &&
            !bytes_equal(after, path))
            tree_walk_skip(walk);
        if (e->kind == KIND_DIR || before)
            continue;
        if (out->n == max) {
            out->more = true;
            return OK;
        }
        struct ref_listed *ref =
            arena_push(arena, (void **)&out->refs, &out->n, &cap, sizeof(*ref));
        struct ref_file *file =
            arena_push(arena, (void **)files, &n_files, &cap_files, sizeof(*file));
        *ref = (struct ref_listed){.name = arena_copy(arena, path), .stamp = e->stamp};
        *file = (struct ref_file){.hash = e->hash, .size = e->size, .where = e->where};
    }
}

/* A prefix that is a name itself. */
static int name_list(struct refs_snapshot *snap, struct bytes name, struct bytes after,
                     struct arena *arena, struct refs_listing *out)
{
    const struct ref_read *read;
    int err = bound_find(snap, name, &read);
    if (err != OK || (after.len > 0 && path_compare(name, after) <= 0))
        return err;
    out->refs = arena_new(arena, struct ref_listed);
    out->refs[0] = (struct ref_listed){
        .name = arena_copy(arena, name), .address = read->address, .stamp = read->stamp};
    out->n = 1;
    return OK;
}

int refs_snapshot_list(struct refs_snapshot *snap, struct bytes prefix, struct bytes after,
                       size_t max, struct arena *arena, struct refs_listing *out)
{
    struct refs_listing list = {0};
    struct ref_file *files = NULL;
    struct tree_walk *walk;
    int err = stand_on(snap->repo, &snap->refs);
    if (err == OK)
        err = tree_walk_open(&snap->refs.tree, prefix, &walk);
    if (err == OK) {
        err = names_walk(walk, after, max, arena, &list, &files);
        tree_walk_close(walk);
        if (err == OK)
            err = refs_values_read(snap->repo, &snap->refs.project, files, list.n);
        for (size_t i = 0; i < list.n && err == OK; i++)
            list.refs[i].address = files[i].address;
    } else if (err == ERR_INVALID) {
        err = name_list(snap, prefix, after, arena, &list);
    }
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *out = list;
    return OK;
}
