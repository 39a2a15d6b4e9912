#include "pipeline/repo/tree/tree_rechunk.h"

/* One page that level 0 comes to. */
struct slice {
    const struct entry *kept;     /* an old page that stays as it is, by what is said of it */
    size_t leaf;                  /* its index */
    const struct entry **entries; /* of a new page */
    size_t n;
    bool starts_run;
};

struct rechunk {
    struct dir_pages *pages;
    const struct rechunk_in *in;
    struct arena *scratch;
    size_t next; /* the first change that is not merged in yet */
    struct slice *slices;
    size_t n_slices;
    size_t cap_slices;
    const struct entry **piece; /* the entries that are being cut */
    size_t n_piece;
    size_t cap_piece;
    struct bytes *names; /* of what is being cut, and the cuts: both grow with it */
    uint32_t *cuts;
    size_t cap_cuts;
    size_t n_cuts;
};

static size_t leaves(const struct rechunk *r)
{
    return r->pages->n[0];
}

static struct bytes first_name(const struct rechunk *r, size_t leaf)
{
    return r->pages->at[0][leaf].says->name;
}

static bool starts_run(const struct rechunk *r, size_t leaf)
{
    return leaf == 0 || page_boundary(first_name(r, leaf), 0);
}

/* The start of the run that `leaf` is in, not looking before `least`, which starts one. */
static size_t run_start(const struct rechunk *r, size_t leaf, size_t least)
{
    while (leaf > least && !starts_run(r, leaf)) {
        leaf--;
    }
    return leaf;
}

/* Whether the next change takes the first name of `leaf` away; then no page begins there. */
static bool first_is_gone(const struct rechunk *r, size_t leaf)
{
    if (r->next == r->in->n) {
        return false;
    }
    const struct dir_change *c = &r->in->changes[r->next];
    return c->entry == NULL && bytes_equal(c->name, first_name(r, leaf));
}

static void piece_reserve(struct rechunk *r, size_t more)
{
    if (r->n_piece + more <= r->cap_piece) {
        return;
    }
    size_t cap = 2 * (r->n_piece + more);
    const struct entry **piece = arena_alloc(r->scratch, cap * sizeof(*piece));
    if (r->n_piece > 0) {
        memcpy(piece, r->piece, r->n_piece * sizeof(*piece));
    }
    r->piece = piece;
    r->cap_piece = cap;
}

static void piece_add(struct rechunk *r, const struct entry *e)
{
    piece_reserve(r, 1);
    r->piece[r->n_piece++] = e;
}

/* Adds the changes whose names are below `bound` (NULL: all that are left) to the piece. */
static void merge_changes(struct rechunk *r, const struct bytes *bound)
{
    for (; r->next < r->in->n; r->next++) {
        const struct dir_change *c = &r->in->changes[r->next];
        if (bound != NULL && bytes_compare(c->name, *bound) >= 0) {
            return;
        }
        if (c->entry != NULL) {
            piece_add(r, c->entry);
        }
    }
}

static int merge_leaf(struct rechunk *r, size_t leaf)
{
    const struct page *page;
    int err = dir_pages_load(r->pages, 0, leaf, &page);
    if (err != 0) {
        return err;
    }
    piece_reserve(r, page->n);
    for (uint32_t i = 0; i < page->n; i++) {
        const struct entry *e = &page->entries[i];
        merge_changes(r, &e->name);
        const struct dir_change *c = r->next < r->in->n ? &r->in->changes[r->next] : NULL;
        if (c == NULL || !bytes_equal(c->name, e->name)) {
            piece_add(r, e);
            continue;
        }
        r->next++;
        if (c->entry != NULL) {
            piece_add(r, c->entry);
        }
    }
    struct bytes bound = leaf + 1 < leaves(r) ? first_name(r, leaf + 1) : (struct bytes){0};
    merge_changes(r, leaf + 1 < leaves(r) ? &bound : NULL);
    return 0;
}

/* Adds the run that begins at `*leaf` with its changes to the piece, and the runs behind it
 * whose first name is gone. */
static int merge_run(struct rechunk *r, size_t *leaf)
{
    do {
        int err = merge_leaf(r, *leaf);
        if (err != 0) {
            return err;
        }
        ++*leaf;
    } while (*leaf < leaves(r) && (!starts_run(r, *leaf) || first_is_gone(r, *leaf)));
    return 0;
}

/* Cuts `n` items by their names into r->cuts. */
static void cut(struct rechunk *r, const struct entry *const *items, size_t n, uint8_t level,
                bool open_end)
{
    if (r->cap_cuts < n + 1) {
        r->cap_cuts = 2 * (n + 1);
        r->names = arena_alloc(r->scratch, r->cap_cuts * sizeof(*r->names));
        r->cuts = arena_alloc(r->scratch, r->cap_cuts * sizeof(*r->cuts));
    }
    for (size_t i = 0; i < n; i++) {
        r->names[i] = items[i]->name;
    }
    r->n_cuts = page_split(r->names, n, level, open_end, r->cuts);
}

/* The old page at `level` that has exactly these entries, untouched, or its list's length. */
static size_t same_page(const struct dir_pages *pages, unsigned level,
                        const struct entry *const *items, size_t n)
{
    size_t none = pages->n[level];
    if (none == 0) {
        return none;
    }
    size_t i = dir_pages_index(pages, level, items[0]->name);
    const struct page_held *held = pages->at[level][i].held;
    if (held == NULL || held->page.n != n) {
        return none;
    }
    for (size_t k = 0; k < n; k++) {
        if (items[k] != &held->page.entries[k]) {
            return none;
        }
    }
    return i;
}

static struct slice *slice_new(struct rechunk *r)
{
    return arena_push(r->scratch, (void **)&r->slices, &r->n_slices, &r->cap_slices,
                      sizeof(*r->slices));
}

static void slice_keep(struct rechunk *r, size_t leaf)
{
    struct slice *s = slice_new(r);
    s->kept = r->pages->at[0][leaf].says;
    s->leaf = leaf;
    s->starts_run = r->n_slices == 1 || starts_run(r, leaf);
}

static void slice_add(struct rechunk *r, size_t from, size_t to)
{
    const struct entry *const *items = r->piece + from;
    size_t n = to - from;
    size_t same = same_page(r->pages, 0, items, n);
    if (same < leaves(r)) {
        slice_keep(r, same);
        return;
    }
    struct slice *s = slice_new(r);
    s->entries = arena_alloc(r->scratch, n * sizeof(*s->entries));
    memcpy(s->entries, items, n * sizeof(*s->entries));
    s->n = n;
    s->starts_run = r->n_slices == 1 || page_boundary(items[0]->name, 0);
}

/* Turns the first `n` pages that the piece was cut into to slices, and leaves the rest in
 * it. */
static void slices_take(struct rechunk *r, size_t n)
{
    size_t end = 0;
    for (size_t i = 0; i < n && r->n_piece > 0; i++) {
        end = i + 1 < r->n_cuts ? r->cuts[i + 1] : r->n_piece;
        slice_add(r, r->cuts[i], end);
    }
    r->n_piece -= end;
    if (end > 0) {
        memmove(r->piece, r->piece + end, r->n_piece * sizeof(*r->piece));
    }
}

/* Puts the last run of slices back before the piece. */
static int take_back(struct rechunk *r)
{
    size_t n_tail = r->n_piece;
    const struct entry **tail = arena_alloc(r->scratch, n_tail * sizeof(*tail));
    memcpy(tail, r->piece, n_tail * sizeof(*tail)); /* never empty */
    size_t from = r->n_slices - 1;
    while (!r->slices[from].starts_run) {
        from--;
    }
    r->n_piece = 0;
    for (size_t i = from; i < r->n_slices; i++) {
        const struct slice *s = &r->slices[i];
        const struct page *page = NULL;
        int err = s->kept == NULL ? 0 : dir_pages_load(r->pages, 0, s->leaf, &page);
        if (err != 0) {
            return err;
        }
        size_t n = page == NULL ? s->n : page->n;
        for (size_t k = 0; k < n; k++) {
            piece_add(r, page == NULL ? s->entries[k] : &page->entries[k]);
        }
    }
    r->n_slices = from;
    for (size_t i = 0; i < n_tail; i++) {
        piece_add(r, tail[i]);
    }
    return 0;
}

static bool last_is_long(const struct rechunk *r)
{
    uint32_t weight = 0;
    for (size_t i = r->cuts[r->n_cuts - 1]; i < r->n_piece && weight < PAGE_LEAST; i++) {
        weight += page_weight(r->names[i]);
    }
    return weight >= PAGE_LEAST;
}

/* Cuts the runs from `*leaf` on until what follows stands as it did, and sets `*leaf` to that.
 *
 * When the last page that the piece was cut into is too short, no forced cut was made in its
 * run, so it is the whole of a run that goes on into the next one. Every page before it is
 * final then, and at most PAGE_LEAST is cut again. */
static int recut_piece(struct rechunk *r, size_t *leaf)
{
    r->n_piece = 0;
    for (;;) {
        int err = merge_run(r, leaf);
        if (err != 0) {
            return err;
        }
        bool at_end = *leaf == leaves(r);
        cut(r, r->piece, r->n_piece, 0, !at_end);
        if (r->n_piece == 0 || last_is_long(r) || (at_end && r->n_slices == 0)) {
            /* An empty piece can only be the first, and what follows it then begins the
             * directory. */
            slices_take(r, r->n_cuts);
            return 0;
        }
        if (at_end) {
            break;
        }
        slices_take(r, r->n_cuts - 1);
    }
    /* What is left at the end is too short for a page, so the run before ends the directory. */
    int err = take_back(r);
    if (err == 0) {
        cut(r, r->piece, r->n_piece, 0, false);
        slices_take(r, r->n_cuts);
    }
    return err;
}

static int recut_leaves(struct rechunk *r)
{
    if (leaves(r) == 0) {
        merge_changes(r, NULL);
        cut(r, r->piece, r->n_piece, 0, false);
        slices_take(r, r->n_cuts);
        return 0;
    }
    size_t done = 0;
    while (r->next < r->in->n) {
        size_t leaf = dir_pages_index(r->pages, 0, r->in->changes[r->next].name);
        size_t start = run_start(r, leaf, done);
        if (start > done && first_is_gone(r, start)) {
            start = run_start(r, start - 1, done);
        }
        for (; done < start; done++) {
            slice_keep(r, done);
        }
        int err = recut_piece(r, &done);
        if (err != 0) {
            return err;
        }
    }
    for (; done < leaves(r); done++) {
        slice_keep(r, done);
    }
    return 0;
}

/* Makes a page of these entries. */
static int page_make(struct rechunk *r, uint8_t level, const struct entry *const *items,
                     size_t n, bool top, const struct entry **out)
{
    struct entry *says = arena_new(r->scratch, struct entry);
    says->kind = KIND_DIR;
    AUTO_BUF memory = {0};
    struct page page = {.level = level, .n = (uint32_t)n};
    page.entries = (struct entry *)(void *)buf_reserve(&memory, n * sizeof(*page.entries));
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = items[i];
        page.entries[i] = *e;
        says->files += e->kind == KIND_DIR ? e->files : 1;
        says->size += e->size;
        says->stamp = e->stamp > says->stamp ? e->stamp : says->stamp;
    }
    if (n > 0) {
        says->name = items[0]->name;
    }
    bool known = top && r->in->content != NULL;
    says->hash = known ? *r->in->content : page_content_hash(level, page.entries, n);
    struct page_sink *sink = r->in->sink;
    int err = sink == NULL ? 0 : sink->take(sink, &page, top, &says->where);
    if (err == 0) {
        *out = says;
    }
    return err;
}

static int leaves_make(struct rechunk *r, const struct entry **out)
{
    for (size_t i = 0; i < r->n_slices; i++) {
        const struct slice *s = &r->slices[i];
        out[i] = s->kept;
        int err =
            s->kept != NULL ? 0 : page_make(r, 0, s->entries, s->n, r->n_slices == 1, &out[i]);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* Makes the pages of `level` over the `*n` pages in `items`, which they replace. */
static int level_make(struct rechunk *r, uint8_t level, const struct entry **items, size_t *n)
{
    cut(r, items, *n, level, false);
    for (size_t i = 0; i < r->n_cuts; i++) {
        size_t from = r->cuts[i];
        size_t count = (i + 1 < r->n_cuts ? r->cuts[i + 1] : *n) - from;
        size_t same = same_page(r->pages, level, items + from, count);
        if (same < r->pages->n[level]) {
            items[i] = r->pages->at[level][same].says;
            continue;
        }
        int err = page_make(r, level, items + from, count, r->n_cuts == 1, &items[i]);
        if (err != 0) {
            return err;
        }
    }
    *n = r->n_cuts;
    return 0;
}

int tree_rechunk(struct dir_pages *pages, const struct rechunk_in *in, struct arena *lists,
                 struct arena *scratch, struct entry *top)
{
    struct rechunk r = {.pages = pages, .in = in, .scratch = scratch};
    int err = dir_pages_flatten(pages, lists);
    if (err == 0) {
        err = recut_leaves(&r);
    }
    if (err != 0) {
        return err;
    }
    size_t n = r.n_slices;
    const struct entry **items = arena_alloc(scratch, (n + 1) * sizeof(*items));
    err = n > 0 ? leaves_make(&r, items) : page_make(&r, 0, NULL, 0, true, &items[0]);
    for (uint8_t level = 1; err == 0 && n > 1; level++) {
        err = level == PAGE_LEVELS_MAX ? ERR_LIMIT : level_make(&r, level, items, &n);
    }
    if (err == 0) {
        *top = *items[0];
    }
    return err;
}
