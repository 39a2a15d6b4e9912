#include "pipeline/repo/tree/snapshot.h"

#include "formats/base/hash.h"
#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/history/batch_at.h"
#include "pipeline/repo/tree/overlay_store.h"

struct snapshot {
    struct arena arena; /* holds the snapshot itself */
    struct tree tree;
    /* Inside a batch: the pages that the replay made are one more tree object, which lies in
     * memory only. It is read through a repo of the snapshot's own, whose store has it on top;
     * so all that reads a tree reads this one, too. */
    bool inside;
    struct tree_build build;
    struct overlay_store overlay;
    struct repo repo;
};

static struct snapshot *snapshot_new(void)
{
    struct arena arena = {0};
    struct snapshot *snapshot = arena_new(&arena, struct snapshot);
    snapshot->arena = arena;
    return snapshot;
}

void snapshot_close(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    if (snapshot->inside) {
        tree_build_release(&snapshot->build);
        repo_view_release(&snapshot->repo);
    }
    struct arena arena = snapshot->arena;
    arena_release(&arena);
}

/* ---- inside a batch ---- */

/* Applies the batch's landings up to `position` to the tree before it. */
static int replay(struct tree_edit *edit, struct repo *repo, const struct id16 *project,
                  const struct batch *batch, uint64_t position, struct arena *arena)
{
    struct landing *landings;
    int err = chain_records(repo, project, batch, arena, &landings);
    for (uint32_t i = 0; i < batch->footer.n_records && err == OK; i++) {
        const struct landing *landing = &landings[i];
        if (landing->verdict != VERDICT_LANDED || landing->position > position)
            continue;
        struct session_view view;
        if (!landing->has_session)
            return ERR_CORRUPT;
        session_view(&landing->landed, arena, &view);
        err = snapshot_apply(edit, &view, &batch->tree_hash, landing->position);
        /* It did apply when it landed. */
        if (err == ERR_CONFLICT)
            err = ERR_CORRUPT;
    }
    return err;
}

/* The name under which the pages of a replay are cached: the same for the same replay, so that
 * the next snapshot of this position finds them. No tree object has it, because those are named
 * by SHA-256. */
static struct hash replay_name(const struct batch *batch, uint64_t position)
{
    AUTO_BUF bytes = {0};
    wr_hash(&bytes, &batch->tree_hash);
    wr_u64(&bytes, position);
    return sha512_256("micelio snapshot", buf_bytes(&bytes));
}

/* Makes pages of the edit, and of these a tree object in memory. */
static int snapshot_seal(struct snapshot *snapshot, struct tree_edit *edit, struct repo *repo,
                         const struct id16 *project, const struct hash *name, uint64_t position)
{
    AUTO_BUF root = {0};
    struct footer footer = {0};
    uint32_t offset;
    int err = tree_edit_seal(edit, &snapshot->build, &root, &footer);
    if (err == OK)
        err = tree_build_add(&snapshot->build, buf_bytes(&root), &offset);
    if (err != OK)
        return err;
    struct key key = key_tree(project, name);
    overlay_store_init(&snapshot->overlay, repo->store, &key,
                       buf_bytes(&snapshot->build.bytes));
    snapshot->repo.store = &snapshot->overlay.store;
    snapshot->tree = (struct tree){
        .repo = &snapshot->repo,
        .project = *project,
        .root = {.place = PLACE_PAGE,
                 .tree = *name,
                 .offset = offset,
                 .len = (uint32_t)root.len,
                 .check = page_hash(buf_bytes(&root))},
        .content = footer.root_content,
        .position = position,
        .files = footer.files,
        .bytes = footer.bytes,
    };
    return OK;
}

static void snapshot_go_inside(struct snapshot *snapshot, struct repo *repo)
{
    snapshot->inside = true;
    tree_build_init(&snapshot->build);
    repo_view_init(&snapshot->repo, repo, repo->store);
}

static int snapshot_replay(struct snapshot *snapshot, struct repo *repo,
                           const struct id16 *project, const struct batch *batch,
                           uint64_t position)
{
    const struct batch *before;
    int err = chain_batch(repo, project, &batch->footer.prev, &before);
    if (err != OK)
        return err;
    if (before->footer.position != batch->footer.first) {
        chain_drop(repo, before);
        return ERR_CORRUPT;
    }
    snapshot_go_inside(snapshot, repo);
    struct tree base = chain_tree(repo, project, before);
    struct tree_edit *edit = tree_edit_open(&base);
    AUTO(arena_release) struct arena arena = {0};
    struct hash name = replay_name(batch, position);
    err = replay(edit, repo, project, batch, position, &arena);
    if (err == OK)
        err = snapshot_seal(snapshot, edit, repo, project, &name, position);
    tree_edit_close(edit);
    chain_drop(repo, before);
    return err;
}

/* ---- opening ---- */

int snapshot_open_at(struct repo *repo, const struct id16 *project, const struct head *head,
                     uint64_t position, struct snapshot **out)
{
    if (position == UINT64_MAX)
        position = head->position;
    /* At the head's own position the tip will do: batches after the one that landed it have the
     * same tree. */
    const struct batch *batch;
    int err = position == head->position ? chain_tip(repo, project, head, &batch)
                                         : batch_at(repo, project, head, position, &batch);
    if (err != OK)
        return err;
    struct snapshot *snapshot = snapshot_new();
    if (batch->footer.position == position)
        snapshot->tree = chain_tree(repo, project, batch);
    else
        err = snapshot_replay(snapshot, repo, project, batch, position);
    chain_drop(repo, batch);
    if (err != OK) {
        snapshot_close(snapshot);
        return err;
    }
    *out = snapshot;
    return OK;
}

int snapshot_open(struct repo *repo, const struct id16 *project, uint64_t position,
                  struct snapshot **out)
{
    struct head head;
    int err = chain_head(repo, project, &head, NULL);
    if (err != OK)
        return err;
    return snapshot_open_at(repo, project, &head, position, out);
}

/* ---- reading ---- */

uint64_t snapshot_position(const struct snapshot *snapshot)
{
    return snapshot->tree.position;
}

int snapshot_find(struct snapshot *snapshot, struct bytes path, struct arena *arena,
                  struct entry *out)
{
    return tree_find(&snapshot->tree, path, arena, out);
}

int snapshot_seen(struct snapshot *snapshot, struct bytes path, struct seen *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry entry;
    int err = tree_find(&snapshot->tree, path, &arena, &entry);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *out = seen_of(err == OK ? &entry : NULL);
    return OK;
}

int snapshot_list(struct snapshot *snapshot, struct bytes path, struct bytes after, size_t max,
                  struct arena *arena, struct tree_listing *out)
{
    return tree_list(&snapshot->tree, path, after, max, arena, out);
}

int snapshot_tree(const struct snapshot *snapshot, struct tree *out)
{
    if (snapshot->inside)
        return ERR_NOT_FOUND;
    *out = snapshot->tree;
    return OK;
}

/* ---- diff ---- */

struct collector {
    struct arena *arena;
    struct bytes after;
    size_t max;
    size_t cap;
    struct snapshot_changes *changes;
};

static const struct entry *entry_keep(struct arena *arena, const struct entry *from)
{
    if (from == NULL)
        return NULL;
    struct entry *entry = arena_new(arena, struct entry);
    *entry = *from;
    entry->name = arena_copy(arena, from->name);
    return entry;
}

/* Takes a change in, unless it lies before the page asked for or behind it. */
static void collect(struct collector *to, const struct tree_change *change)
{
    struct snapshot_changes *changes = to->changes;
    if (to->after.len > 0 && path_compare(change->path, to->after) <= 0)
        return;
    if (changes->n == to->max) {
        changes->more = true;
        return;
    }
    void *items = changes->changes;
    struct tree_change *item =
        arena_push(to->arena, &items, &changes->n, &to->cap, sizeof(*item));
    changes->changes = items;
    *item = (struct tree_change){
        .path = arena_copy(to->arena, change->path),
        .a = entry_keep(to->arena, change->a),
        .b = entry_keep(to->arena, change->b),
    };
}

static int diff_collect(const struct tree *a, const struct tree *b, struct bytes path,
                        struct collector *to)
{
    struct tree_diff *diff;
    int err = tree_diff_open(a, b, path, &diff);
    if (err != OK)
        return err;
    while (err == OK && !to->changes->more) {
        struct tree_change change;
        err = tree_diff_next(diff, &change);
        if (err == OK)
            collect(to, &change);
    }
    tree_diff_close(diff);
    return err == ERR_NOT_FOUND ? OK : err;
}

int snapshot_diff(struct snapshot *a, struct snapshot *b, struct bytes path, struct bytes after,
                  size_t max, struct arena *arena, struct snapshot_changes *out)
{
    struct snapshot_changes changes = {0};
    struct collector to = {.arena = arena, .after = after, .max = max, .changes = &changes};
    struct tree tree_a = a->tree;
    struct tree tree_b = b->tree;
    if (!b->inside) {
        tree_b.repo = tree_a.repo;
        int err = diff_collect(&tree_a, &tree_b, path, &to);
        if (err == OK)
            *out = changes;
        return err;
    }
    /* Both sides are read through one repo, which has to have what each of them made. */
    struct overlay_store both;
    overlay_store_init(&both, tree_a.repo->store, &b->overlay.key, b->overlay.object);
    struct repo view;
    repo_view_init(&view, tree_b.repo, &both.store);
    tree_a.repo = &view;
    tree_b.repo = &view;
    int err = diff_collect(&tree_a, &tree_b, path, &to);
    repo_view_release(&view);
    if (err == OK)
        *out = changes;
    return err;
}
