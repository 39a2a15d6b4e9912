#include "formats/path.h"
#include "pipeline/repo/tree/edit_node.h"

struct tree_edit *tree_edit_open(const struct tree *base)
{
    struct arena arena = {0};
    struct tree_edit *edit = arena_new(&arena, struct tree_edit);
    edit->base = *base;
    edit->arena = arena;
    edit_nodes_init(edit);
    return edit;
}

void tree_edit_close(struct tree_edit *edit)
{
    if (edit == NULL) {
        return;
    }
    edit_nodes_release(edit);
    struct arena arena = edit->arena;
    arena_release(&arena);
}

size_t tree_edit_memory(const struct tree_edit *edit)
{
    return edit->arena.used;
}

int tree_edit_find(struct tree_edit *edit, struct bytes path, struct entry *out)
{
    struct edit_spot s;
    int err = edit_spot_find(edit, path, &s);
    if (err != 0) {
        return err;
    }
    if (s.rest.len > 0 || s.entry.kind == KIND_NONE) {
        return ERR_NOT_FOUND;
    }
    *out = s.entry;
    return 0;
}

int tree_edit_seen(struct tree_edit *edit, struct bytes path, struct seen *out)
{
    struct edit_spot s;
    int err = edit_spot_find(edit, path, &s);
    if (err != 0) {
        return err;
    }
    if (s.rest.len > 0 || s.entry.kind == KIND_NONE) {
        *out = seen_of(NULL);
        return 0;
    }
    if (s.node != NULL) {
        err = edit_node_hash(edit, s.node);
        if (err != 0) {
            return err;
        }
        s.entry.hash = s.node->content;
    }
    *out = seen_of(&s.entry);
    return 0;
}

int tree_edit_nearest(struct tree_edit *edit, struct bytes path, size_t *len, struct entry *out)
{
    struct edit_spot s;
    int err = edit_spot_find(edit, path, &s);
    if (err != 0) {
        return err;
    }
    if (s.rest.len > 0 && s.entry.kind != KIND_NONE) {
        *len = s.len;
        *out = s.entry;
        return 0;
    }
    *len = s.dir_len;
    *out = edit_node_entry(s.dir);
    out->name = path_base(bytes_of(path.data, s.dir_len));
    return 0;
}

static bool same_file(const struct entry *a, const struct entry *b)
{
    return a->kind == b->kind && a->mode == b->mode && hash_equal(&a->hash, &b->hash);
}

int tree_edit_put(struct tree_edit *edit, struct bytes path, const struct entry *e,
                  uint64_t stamp, bool *changed)
{
    assert((e->kind == KIND_FILE || e->kind == KIND_LINK) && mode_ok(e->kind, e->mode));
    int err = path_check(path, NULL);
    if (err != 0) {
        return err;
    }
    struct edit_spot s;
    err = edit_spot_find(edit, path, &s);
    if (err != 0) {
        return err;
    }
    bool end = s.rest.len == 0;
    if (end ? s.entry.kind == KIND_DIR : s.entry.kind != KIND_NONE) {
        return ERR_CONFLICT;
    }
    *changed = !end || !same_file(&s.entry, e);
    if (*changed) {
        edit_slot_set(edit_spot_slot(edit, &s), e, stamp);
    }
    return 0;
}

int tree_edit_remove(struct tree_edit *edit, struct bytes path, uint64_t stamp, bool *changed)
{
    static const struct entry none;
    struct edit_spot s;
    int err = edit_spot_find(edit, path, &s);
    if (err != 0) {
        return err;
    }
    bool there = s.rest.len == 0 && s.entry.kind != KIND_NONE;
    if (there && s.entry.kind == KIND_DIR) {
        return ERR_CONFLICT;
    }
    if (there) {
        edit_slot_set(edit_spot_slot(edit, &s), &none, stamp);
    }
    *changed = there;
    return 0;
}
