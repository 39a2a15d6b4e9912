#include "api/git/out_tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/path.h"

struct node {
    struct bytes name; /* owned; lies behind the node */
    enum kind kind;
    uint16_t mode;
    git_oid oid;
    bool dirty; /* a directory whose oid is not that of its entries */
    struct node *above;
    struct node **entries; /* a directory's, in git's order */
    size_t n;
    size_t cap;
};

struct out_tree {
    struct node *root;
    uint64_t files;
};

static struct node *node_new(struct bytes name, enum kind kind, struct node *above)
{
    struct node *node = calloc(1, sizeof(*node) + name.len);
    if (node == NULL)
        abort();
    if (name.len > 0)
        memcpy(node + 1, name.data, name.len);
    node->name = bytes_of(node + 1, name.len);
    node->kind = kind;
    node->above = above;
    node->dirty = kind == KIND_DIR;
    return node;
}

struct out_tree *out_tree_open(void)
{
    struct out_tree *tree = calloc(1, sizeof(*tree));
    if (tree == NULL)
        abort();
    tree->root = node_new(bytes_of(NULL, 0), KIND_DIR, NULL);
    return tree;
}

static void node_free(struct node *node)
{
    free(node->entries);
    free(node);
}

void out_tree_close(struct out_tree *tree)
{
    /* From the leaves up, without recursion: a directory goes when it has no entries left. */
    struct node *at = tree->root;
    while (at != NULL) {
        if (at->n > 0) {
            at = at->entries[--at->n];
            continue;
        }
        struct node *above = at->above;
        node_free(at);
        at = above;
    }
    free(tree);
}

/* ---- a directory's entries --------------------------------------------------------------- */

/* Git's order: a directory as if its name ended in a slash. */
static int name_order(struct bytes a, bool a_dir, struct bytes b, bool b_dir)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.data, b.data, n);
    if (c != 0)
        return c;
    uint8_t x = a.len > n ? a.data[n] : a_dir ? '/' : 0;
    uint8_t y = b.len > n ? b.data[n] : b_dir ? '/' : 0;
    return (x > y) - (x < y);
}

/* The place of the entry, or where it would go; true when it is there. */
static bool entry_place(const struct node *dir, struct bytes name, bool is_dir, size_t *out)
{
    size_t low = 0;
    size_t high = dir->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct node *e = dir->entries[middle];
        int c = name_order(e->name, e->kind == KIND_DIR, name, is_dir);
        if (c == 0) {
            *out = middle;
            return true;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low;
    return false;
}

static struct node *entry_find(const struct node *dir, struct bytes name)
{
    size_t at;
    if (dir->n > 0 && (entry_place(dir, name, false, &at) || entry_place(dir, name, true, &at)))
        return dir->entries[at];
    return NULL;
}

static struct node *entry_insert(struct node *dir, struct bytes name, enum kind kind)
{
    size_t at;
    bool there = entry_place(dir, name, kind == KIND_DIR, &at);
    assert(!there);
    if (dir->n == dir->cap) {
        dir->cap = dir->cap == 0 ? 4 : dir->cap * 2;
        dir->entries = reallocarray(dir->entries, dir->cap, sizeof(struct node *));
        if (dir->entries == NULL)
            abort();
    }
    memmove(dir->entries + at + 1, dir->entries + at, (dir->n - at) * sizeof(struct node *));
    dir->n++;
    dir->entries[at] = node_new(name, kind, dir);
    return dir->entries[at];
}

static void entry_drop(struct node *node)
{
    struct node *dir = node->above;
    size_t at;
    bool there = entry_place(dir, node->name, node->kind == KIND_DIR, &at);
    assert(there);
    memmove(dir->entries + at, dir->entries + at + 1,
            (dir->n - at - 1) * sizeof(struct node *));
    dir->n--;
    node_free(node);
}

/* Not only up to one that is dirty: a new directory is, and those above it may not be. */
static void mark_dirty(struct node *dir)
{
    for (; dir != NULL; dir = dir->above)
        dir->dirty = true;
}

/* ---- paths ------------------------------------------------------------------------------- */

static struct node *path_find(const struct out_tree *tree, struct bytes path)
{
    struct node *at = tree->root;
    while (path.len > 0 && at != NULL) {
        if (at->kind != KIND_DIR)
            return NULL;
        at = entry_find(at, path_first(&path));
    }
    return at;
}

int out_tree_put(struct out_tree *tree, struct bytes path, enum kind kind, uint16_t mode,
                 const git_oid *oid)
{
    struct node *dir = tree->root;
    struct bytes name = path_first(&path);
    while (path.len > 0) {
        struct node *next = entry_find(dir, name);
        if (next != NULL && next->kind != KIND_DIR)
            return ERR_CONFLICT;
        if (next == NULL)
            next = entry_insert(dir, name, KIND_DIR);
        dir = next;
        name = path_first(&path);
    }
    struct node *node = entry_find(dir, name);
    if (node != NULL && node->kind == KIND_DIR)
        return ERR_CONFLICT;
    if (node == NULL) {
        node = entry_insert(dir, name, kind);
        tree->files++;
    }
    node->kind = kind;
    node->mode = mode;
    node->oid = *oid;
    mark_dirty(dir);
    return OK;
}

void out_tree_remove(struct out_tree *tree, struct bytes path)
{
    struct node *node = path_find(tree, path);
    if (node == NULL || node->kind == KIND_DIR)
        return;
    struct node *dir = node->above;
    entry_drop(node);
    tree->files--;
    while (dir->n == 0 && dir->above != NULL) {
        struct node *above = dir->above;
        entry_drop(dir);
        dir = above;
    }
    mark_dirty(dir);
}

bool out_tree_find(const struct out_tree *tree, struct bytes path, enum kind *kind,
                   uint16_t *mode, git_oid *oid)
{
    const struct node *node = path_find(tree, path);
    if (node == NULL || node->kind == KIND_DIR)
        return false;
    *kind = node->kind;
    *mode = node->mode;
    *oid = node->oid;
    return true;
}

uint64_t out_tree_files(const struct out_tree *tree)
{
    return tree->files;
}

/* ---- writing ----------------------------------------------------------------------------- */

static const char *mode_text(const struct node *node)
{
    switch (node->kind) {
    case KIND_FILE:
        return node->mode == MODE_EXEC ? "100755" : "100644";
    case KIND_LINK:
        return "120000";
    case KIND_DIR:
        return "40000";
    case KIND_NONE:
        break;
    }
    return "100644";
}

static int directory_write(struct node *dir, struct pack_out *pack, struct buf *scratch)
{
    buf_clear(scratch);
    for (size_t i = 0; i < dir->n; i++) {
        const struct node *e = dir->entries[i];
        const char *mode = mode_text(e);
        buf_append(scratch, mode, strlen(mode));
        buf_append(scratch, " ", 1);
        buf_append_bytes(scratch, e->name);
        buf_append(scratch, "", 1);
        buf_append(scratch, e->oid.id, sizeof(e->oid.id));
    }
    int err = pack_out_write(pack, GIT_OBJECT_TREE, buf_bytes(scratch), &dir->oid);
    if (err == OK)
        dir->dirty = false;
    return err;
}

/* A dirty entry that comes at or behind `from`; NULL: none. */
static struct node *dirty_entry(const struct node *dir, size_t from, size_t *at)
{
    for (size_t i = from; i < dir->n; i++) {
        if (dir->entries[i]->kind == KIND_DIR && dir->entries[i]->dirty) {
            *at = i;
            return dir->entries[i];
        }
    }
    return NULL;
}

int out_tree_write(struct out_tree *tree, struct pack_out *pack, git_oid *out)
{
    size_t from[PATH_DEPTH_MAX + 1] = {0};
    size_t depth = 0;
    struct node *at = tree->root;
    AUTO_BUF scratch = {0};
    int err = OK;
    while (err == OK && tree->root->dirty) {
        size_t i;
        struct node *below = dirty_entry(at, from[depth], &i);
        if (below != NULL) {
            assert(depth < PATH_DEPTH_MAX);
            from[depth++] = i + 1;
            from[depth] = 0;
            at = below;
            continue;
        }
        err = directory_write(at, pack, &scratch);
        if (at != tree->root) {
            at = at->above;
            depth--;
        }
    }
    if (err == OK)
        *out = tree->root->oid;
    return err;
}
