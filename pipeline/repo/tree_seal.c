#include "pipeline/repo/edit_node.h"
#include "pipeline/repo/tree_rechunk.h"

struct node_list {
    struct edit_node **nodes;
    size_t n;
    size_t cap;
};

static void node_add(struct node_list *list, struct arena *arena, struct edit_node *node)
{
    struct edit_node **at =
        arena_push(arena, (void **)&list->nodes, &list->n, &list->cap, sizeof(*at));
    *at = node;
}

/* The directories from `top` down that are to be cut again, each before those below it: all
 * that were changed, or only those whose hash is not known. */
static struct node_list nodes_below(struct edit_node *top, bool unknown_only,
                                    struct arena *arena)
{
    struct node_list list = {0};
    node_add(&list, arena, top);
    for (size_t i = 0; i < list.n; i++) {
        const struct edit_slot *s = list.nodes[i]->changed_slots;
        for (; s != NULL; s = s->next_changed) {
            struct edit_node *child = s->child;
            if (child != NULL && child->changed && edit_node_there(child) &&
                !(unknown_only && child->content_known)) {
                node_add(&list, arena, child);
            }
        }
    }
    return list;
}

static int node_cut(struct tree_edit *edit, struct edit_node *n, struct page_sink *sink,
                    struct arena *scratch)
{
    int err = edit_node_open(edit, n);
    if (err != 0) {
        return err;
    }
    struct rechunk_in in = {.sink = sink, .content = n->content_known ? &n->content : NULL};
    in.changes = edit_node_changes(n, scratch, &in.n);
    struct entry top;
    err = tree_rechunk(&n->pages, &in, &edit->arena, scratch, &top);
    if (err != 0) {
        return err;
    }
    /* Both come from entries whose sums were checked when they were read. */
    assert(top.files == n->files && top.size == n->bytes);
    n->content = top.hash;
    n->content_known = true;
    if (sink != NULL) {
        n->where = top.where;
    }
    return 0;
}

int edit_node_hash(struct tree_edit *edit, struct edit_node *n)
{
    if (n->content_known) {
        return 0;
    }
    AUTO(arena_release) struct arena scratch = {0};
    struct node_list list = nodes_below(n, true, &scratch);
    int err = 0;
    for (size_t i = list.n; err == 0 && i > 0; i--) {
        err = node_cut(edit, list.nodes[i - 1], NULL, &scratch);
    }
    return err;
}

int tree_edit_root_hash(struct tree_edit *edit, struct hash *out)
{
    int err = edit_node_hash(edit, edit->root);
    if (err == 0) {
        *out = edit->root->content;
    }
    return err;
}

/* Puts pages into a tree object; the top page of the root goes where it is wanted instead. */
struct seal_sink {
    struct page_sink sink; /* first */
    struct tree_edit *edit;
    struct tree_build *build;
    struct buf *root_page;
    bool is_root; /* the directory whose pages come now */
};

static int seal_page(struct page_sink *sink, const struct page *page, bool top,
                     struct location *where)
{
    struct seal_sink *s = (struct seal_sink *)sink;
    struct tree_edit *edit = s->edit;
    AUTO_BUF own = {0};
    struct buf *encoded = top && s->is_root ? s->root_page : &own;
    buf_clear(encoded);
    int err = page_encode(page, encoded);
    if (err != 0) {
        return err;
    }
    struct location at = {.place = PLACE_PAGE, .len = (uint32_t)encoded->len};
    at.check = page_hash(buf_bytes(encoded));
    if (encoded == &own) {
        err = tree_build_add(s->build, buf_bytes(encoded), &at.offset);
        if (err != 0) {
            return err;
        }
    }
    struct sealed_page *sealed =
        arena_push(&edit->arena, (void **)&edit->sealed, &edit->n_sealed, &edit->cap_sealed,
                   sizeof(*sealed));
    sealed->where = at;
    sealed->encoded = arena_copy(&edit->arena, buf_bytes(encoded));
    *where = at;
    return 0;
}

/* A root page that came out as one that is there already has its place in another tree object:
 * its entries are made into a page of this one. */
static int root_copy(struct seal_sink *sink)
{
    struct tree_edit *edit = sink->edit;
    const struct page_held *held;
    int err = tree_page(edit->base.repo, &edit->base.project, &edit->root->where, &held);
    if (err == 0) {
        struct location where;
        err = seal_page(&sink->sink, &held->page, true, &where);
        page_cache_drop(edit->base.repo->pages, held);
    }
    return err;
}

int tree_edit_seal(struct tree_edit *edit, struct tree_build *build, struct buf *root_page,
                   struct footer *footer)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct seal_sink sink = {{seal_page}, edit, build, root_page, true};
    struct node_list list = {0};
    bool is_new = edit->base.root.place == PLACE_NONE;
    if (edit->root->changed || is_new) {
        list = nodes_below(edit->root, false, &scratch);
    }
    int err = 0;
    for (size_t i = list.n; err == 0 && i > 0; i--) {
        sink.is_root = i == 1;
        err = node_cut(edit, list.nodes[i - 1], &sink.sink, &scratch);
    }
    if (err == 0 && !hash_is_zero(&edit->root->where.tree)) {
        err = root_copy(&sink);
    }
    if (err != 0) {
        return err;
    }
    footer->files = edit->root->files;
    footer->bytes = edit->root->bytes;
    footer->root_content = edit->root->content;
    return 0;
}

void tree_edit_publish(struct tree_edit *edit, const struct hash *tree)
{
    struct held_cache *pages = edit->base.repo->pages;
    for (size_t i = 0; i < edit->n_sealed; i++) {
        struct location where = edit->sealed[i].where;
        where.tree = *tree;
        const struct page_held *held;
        /* A page that does not get into the cache is read when it is needed. */
        if (page_cache_add_made(pages, &edit->base.project, &where, edit->sealed[i].encoded,
                                &held) == 0) {
            page_cache_drop(pages, held);
        }
    }
}
