#include "pipeline/repo/tree/edit_node.h"
#include "pipeline/repo/tree/tree_rechunk.h"

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

/* The directories from `top` down whose hash is not known, each before those below it. All of
 * them are to be cut again, so none is stale any more. A directory that has gone stays out; it
 * is stale again as soon as something comes into it. */
static struct node_list nodes_stale(struct edit_node *top, struct arena *arena)
{
    struct node_list list = {0};
    node_add(&list, arena, top);
    for (size_t i = 0; i < list.n; i++) {
        struct edit_node *child = list.nodes[i]->stale_children;
        list.nodes[i]->stale_children = NULL;
        for (; child != NULL; child = child->next_stale) {
            child->is_stale = false;
            if (edit_node_there(child) && !child->content_known)
                node_add(&list, arena, child);
        }
    }
    return list;
}

/* All directories from `top` down that were changed, each before those below it. */
static struct node_list nodes_changed(struct edit_node *top, struct arena *arena)
{
    struct node_list list = {0};
    node_add(&list, arena, top);
    for (size_t i = 0; i < list.n; i++) {
        const struct edit_slot *s = list.nodes[i]->changed_slots;
        for (; s != NULL; s = s->next_changed) {
            struct edit_node *child = s->child;
            if (child != NULL && child->changed && edit_node_there(child)) {
                node_add(&list, arena, child);
            }
        }
    }
    return list;
}

/* The directory's entries as changed, in order. */
static int node_entries(struct edit_node *n, const struct rechunk_in *in, struct arena *scratch,
                        const struct entry ***out, size_t *n_out)
{
    const struct page *page = NULL;
    int err = n->pages.n[0] > 0 ? dir_pages_load(&n->pages, 0, 0, &page) : 0;
    if (err != 0) {
        return err;
    }
    size_t n_page = page != NULL ? page->n : 0;
    const struct entry **entries =
        arena_alloc(scratch, (n_page + in->n + 1) * sizeof(*entries));
    size_t count = 0;
    for (size_t i = 0, k = 0; i < n_page || k < in->n;) {
        int order = k == in->n    ? -1
                    : i == n_page ? 1
                                  : bytes_compare(page->entries[i].name, in->changes[k].name);
        const struct entry *e = order < 0 ? &page->entries[i] : in->changes[k].entry;
        i += order <= 0;
        k += order >= 0;
        if (e != NULL) {
            entries[count++] = e;
        }
    }
    *out = entries;
    *n_out = count;
    return 0;
}

/* Keeps what the hash was made of, if that is one page: the second time that it is asked for
 * without a name that came or went. What cannot be read now is no error: the hash is known. */
static void canonical_keep(struct tree_edit *edit, struct edit_node *n,
                           const struct rechunk_in *in, struct arena *scratch)
{
    const struct entry **entries;
    size_t count;
    if (!n->names_stand || n->pages.n[0] > 1 ||
        node_entries(n, in, scratch, &entries, &count) != 0) {
        return;
    }
    struct bytes *names = arena_array(scratch, count, struct bytes);
    uint32_t *cuts = arena_array(scratch, count + 1, uint32_t);
    for (size_t i = 0; i < count; i++) {
        names[i] = entries[i]->name;
    }
    if (page_split(names, count, 0, false, cuts) > 1) {
        return;
    }
    if (n->canonical == NULL) {
        n->canonical = arena_new(&edit->arena, struct page_canonical);
    }
    page_canonical_make(n->canonical, &edit->arena, 0, entries, count);
    n->canonical_ok = true;
}

/* The hash of the directory is known: its parent's form has it, too. */
static void node_known(struct edit_node *n)
{
    n->content_known = true;
    if (n->parent != NULL && n->parent->canonical_ok) {
        struct entry e = edit_node_entry(n);
        page_canonical_set(n->parent->canonical, &e);
    }
}

static int node_cut(struct tree_edit *edit, struct edit_node *n, struct page_sink *sink,
                    struct arena *scratch)
{
    if (sink == NULL && n->canonical_ok) {
        n->content = page_canonical_hash(n->canonical);
        node_known(n);
        return 0;
    }
    int err = edit_node_open(edit, n);
    if (err != 0) {
        return err;
    }
    struct rechunk_in in = {.sink = sink, .content = n->content_known ? &n->content : NULL};
    in.changes = edit_node_changes(edit, n, scratch, &in.n);
    struct entry top;
    err = tree_rechunk(&n->pages, &in, &edit->arena, scratch, &top);
    if (err != 0) {
        return err;
    }
    /* Both come from entries whose sums were checked when they were read. */
    assert(top.files == n->files && top.size == n->bytes);
    n->content = top.hash;
    node_known(n);
    if (sink != NULL) {
        n->where = top.where;
    } else {
        canonical_keep(edit, n, &in, scratch);
        n->names_stand = true;
    }
    return 0;
}

int edit_node_hash(struct tree_edit *edit, struct edit_node *n)
{
    if (n->content_known) {
        return 0;
    }
    AUTO(arena_release) struct arena scratch = {0};
    struct node_list list = nodes_stale(n, &scratch);
    int err = 0;
    for (size_t i = list.n; err == 0 && i > 0; i--) {
        err = node_cut(edit, list.nodes[i - 1], NULL, &scratch);
    }
    for (size_t i = 0; err != 0 && i < list.n; i++) {
        if (!list.nodes[i]->content_known) {
            edit_node_stale(list.nodes[i]);
        }
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
        list = nodes_changed(edit->root, &scratch);
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
