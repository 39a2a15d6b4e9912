#include "pipeline/repo/tree/edit_node.h"

#include "formats/base/hash.h"
#include "formats/path.h"
#include "pipeline/repo/tree/tree_rechunk.h"
#include <stdlib.h>

#define BUCKETS_FIRST 256u

static struct edit_node *node_new(struct tree_edit *edit, struct edit_node *parent,
                                  struct edit_slot *slot, const struct entry *base)
{
    struct edit_node *n = arena_new(&edit->arena, struct edit_node);
    *n = (struct edit_node){
        .parent = parent,
        .slot = slot,
        .older = edit->nodes,
        .number = edit->n_nodes++,
        .base = *base,
        .files = base->files,
        .bytes = base->size,
        .stamp = base->stamp,
        .content = base->hash,
        .content_known = base->kind == KIND_DIR,
        .where = base->where,
    };
    edit->nodes = n;
    return n;
}

void edit_nodes_init(struct tree_edit *edit)
{
    edit->n_buckets = BUCKETS_FIRST;
    edit->buckets = arena_array(&edit->arena, edit->n_buckets, struct edit_slot *);
    const struct tree *t = &edit->base;
    bool empty = t->root.place == PLACE_NONE;
    struct entry root = {
        .kind = empty ? KIND_NONE : KIND_DIR,
        .size = empty ? 0 : t->bytes,
        .files = empty ? 0 : t->files,
        .hash = t->content,
        .stamp = t->position,
        .where = t->root,
    };
    edit->root = node_new(edit, NULL, NULL, &root);
}

void edit_nodes_release(struct tree_edit *edit)
{
    for (struct edit_node *n = edit->nodes; n != NULL; n = n->older) {
        dir_pages_release(&n->pages);
    }
}

int edit_node_open(struct tree_edit *edit, struct edit_node *n)
{
    if (n->opened) {
        return 0;
    }
    int err = dir_pages_open(&n->pages, edit->base.repo, &edit->base.project, &n->base);
    n->opened = err == 0;
    return err;
}

struct entry edit_node_entry(const struct edit_node *n)
{
    struct entry e = {
        .kind = KIND_DIR,
        .size = n->bytes,
        .files = n->files,
        .stamp = n->stamp,
        .where = n->where,
    };
    if (n->slot != NULL) {
        e.name = n->slot->name;
    }
    if (n->content_known) {
        e.hash = n->content;
    }
    return e;
}

static struct edit_slot **bucket_of(struct tree_edit *edit, const struct edit_node *dir,
                                    struct bytes name)
{
    uint64_t hash = xxh3_64_seed(name, dir->number);
    return &edit->buckets[hash & (edit->n_buckets - 1)];
}

static struct edit_slot *slot_find(struct tree_edit *edit, const struct edit_node *dir,
                                   struct bytes name)
{
    struct edit_slot *slot = *bucket_of(edit, dir, name);
    while (slot != NULL && (slot->dir != dir || !bytes_equal(slot->name, name))) {
        slot = slot->next;
    }
    return slot;
}

static void buckets_grow(struct tree_edit *edit)
{
    struct edit_slot **old = edit->buckets;
    size_t n = edit->n_buckets;
    edit->n_buckets = 4 * n;
    edit->buckets = arena_array(&edit->arena, edit->n_buckets, struct edit_slot *);
    for (size_t i = 0; i < n; i++) {
        for (struct edit_slot *slot = old[i]; slot != NULL;) {
            struct edit_slot *next = slot->next;
            struct edit_slot **bucket = bucket_of(edit, slot->dir, slot->name);
            slot->next = *bucket;
            *bucket = slot;
            slot = next;
        }
    }
}

/* A slot for a name that has none; `base` is what the directory's pages have there. */
static struct edit_slot *slot_new(struct tree_edit *edit, struct edit_node *dir,
                                  struct bytes name, const struct entry *base)
{
    if (edit->n_slots == edit->n_buckets) {
        buckets_grow(edit);
    }
    struct edit_slot *slot = arena_new(&edit->arena, struct edit_slot);
    slot->dir = dir;
    slot->name = arena_copy(&edit->arena, name);
    if (base->kind == KIND_DIR) {
        slot->child = node_new(edit, dir, slot, base);
    } else {
        slot->file = *base;
    }
    struct edit_slot **bucket = bucket_of(edit, dir, name);
    slot->next = *bucket;
    *bucket = slot;
    edit->n_slots++;
    return slot;
}

/* What `name` is in the directory. A directory always has a slot. */
static int child_find(struct tree_edit *edit, struct edit_node *dir, struct bytes name,
                      struct edit_spot *out)
{
    out->entry = (struct entry){0};
    out->slot = slot_find(edit, dir, name);
    if (out->slot == NULL) {
        int err = edit_node_open(edit, dir);
        err = err != 0 ? err : dir_pages_find(&dir->pages, name, &out->entry);
        if (err != 0 && err != ERR_NOT_FOUND) {
            return err;
        }
        if (out->entry.kind != KIND_DIR) {
            return 0;
        }
        out->slot = slot_new(edit, dir, name, &out->entry);
    }
    out->entry = out->slot->file;
    if (out->entry.kind == KIND_NONE && out->slot->child != NULL &&
        edit_node_there(out->slot->child)) {
        out->node = out->slot->child;
        out->entry = edit_node_entry(out->node);
    }
    return 0;
}

int edit_spot_find(struct tree_edit *edit, struct bytes path, struct edit_spot *out)
{
    struct edit_spot s = {.dir = edit->root, .rest = path, .node = edit->root};
    s.entry = edit_node_entry(edit->root);
    while (s.rest.len > 0 && s.node != NULL) {
        s.dir = s.node;
        s.dir_len = s.len;
        s.node = NULL;
        s.name = path_first(&s.rest);
        s.len = (size_t)(s.name.data - path.data) + s.name.len;
        int err = child_find(edit, s.dir, s.name, &s);
        if (err != 0) {
            return err;
        }
    }
    s.entry.name = s.name;
    *out = s;
    return 0;
}

struct edit_slot *edit_spot_slot(struct tree_edit *edit, const struct edit_spot *s)
{
    static const struct entry none;
    struct edit_node *dir = s->dir;
    struct bytes name = s->name;
    struct bytes rest = s->rest;
    struct edit_slot *slot = s->slot != NULL ? s->slot : slot_new(edit, dir, name, &s->entry);
    while (rest.len > 0) {
        if (slot->child == NULL) {
            slot->child = node_new(edit, dir, slot, &none);
        }
        dir = slot->child;
        name = path_first(&rest);
        /* A directory that is empty now may have had this name in its pages: the slots of all
         * that went are still there. */
        slot = slot_find(edit, dir, name);
        if (slot == NULL) {
            slot = slot_new(edit, dir, name, &none);
        }
    }
    return slot;
}

static void slot_mark(struct edit_slot *slot)
{
    if (slot->changed) {
        return;
    }
    slot->changed = true;
    slot->next_changed = slot->dir->changed_slots;
    slot->dir->changed_slots = slot;
    slot->dir->n_changed_slots++;
}

void edit_node_stale(struct edit_node *n)
{
    n->content_known = false;
    if (n->is_stale || n->parent == NULL)
        return;
    n->is_stale = true;
    n->next_stale = n->parent->stale_children;
    n->parent->stale_children = n;
}

static void names_change(struct edit_node *n)
{
    n->canonical_ok = false;
    n->names_stand = false;
}

void edit_slot_set(struct edit_slot *slot, const struct entry *file, uint64_t stamp)
{
    uint64_t files = (uint64_t)(file->kind != KIND_NONE) - (slot->file.kind != KIND_NONE);
    uint64_t bytes = file->size - slot->file.size;
    bool was_there = slot->file.kind != KIND_NONE;
    slot->file = *file;
    slot->file.name = slot->name;
    slot->file.files = 0;
    slot->file.stamp = stamp;
    slot_mark(slot);
    if (was_there != (file->kind != KIND_NONE))
        names_change(slot->dir);
    else if (was_there && slot->dir->canonical_ok)
        page_canonical_set(slot->dir->canonical, &slot->file);
    for (struct edit_node *n = slot->dir; n != NULL; n = n->parent) {
        bool dir_was_there = edit_node_there(n);
        n->files += files;
        if (dir_was_there != edit_node_there(n))
            names_change(n->parent);
        n->bytes += bytes;
        n->stamp = stamp;
        n->changed = true;
        edit_node_stale(n);
        n->where = (struct location){0};
        if (n->slot != NULL) {
            slot_mark(n->slot);
        }
    }
}

static int slot_order(const void *a, const void *b)
{
    const struct edit_slot *const *x = a;
    const struct edit_slot *const *y = b;
    return bytes_compare((*x)->name, (*y)->name);
}

/* Merges `n` slots, in order of their names, into those that are sorted. */
static void sorted_merge(struct tree_edit *edit, struct edit_node *node,
                         struct edit_slot *const *more, size_t n)
{
    size_t total = node->n_sorted + n;
    if (total > node->cap_sorted) {
        struct edit_slot **old = node->sorted;
        node->cap_sorted = 2 * total;
        node->sorted = arena_array(&edit->arena, node->cap_sorted, struct edit_slot *);
        if (node->n_sorted > 0)
            memcpy(node->sorted, old, node->n_sorted * sizeof(struct edit_slot *));
    }
    size_t left = node->n_sorted;
    for (size_t at = total; n > 0; at--) {
        bool older =
            left > 0 && bytes_compare(node->sorted[left - 1]->name, more[n - 1]->name) > 0;
        node->sorted[at - 1] = older ? node->sorted[--left] : more[--n];
    }
    node->n_sorted = total;
}

static void slots_sort(struct tree_edit *edit, struct edit_node *node)
{
    size_t n = node->n_changed_slots - node->n_sorted;
    if (n == 0)
        return;
    AUTO(arena_release) struct arena scratch = {0};
    struct edit_slot **more = arena_array(&scratch, n, struct edit_slot *);
    struct edit_slot *slot = node->changed_slots;
    for (size_t i = 0; i < n; i++, slot = slot->next_changed)
        more[i] = slot;
    qsort(more, n, sizeof(*more), slot_order);
    sorted_merge(edit, node, more, n);
}

struct dir_change *edit_node_changes(struct tree_edit *edit, struct edit_node *node,
                                     struct arena *arena, size_t *n)
{
    slots_sort(edit, node);
    struct dir_change *changes = arena_array(arena, node->n_sorted, struct dir_change);
    for (size_t i = 0; i < node->n_sorted; i++) {
        const struct edit_slot *s = node->sorted[i];
        struct dir_change *c = &changes[i];
        c->name = s->name;
        if (s->file.kind != KIND_NONE) {
            c->entry = &s->file;
        } else if (s->child != NULL && edit_node_there(s->child)) {
            struct entry *dir = arena_new(arena, struct entry);
            *dir = edit_node_entry(s->child);
            c->entry = dir;
        }
    }
    *n = node->n_sorted;
    return changes;
}
