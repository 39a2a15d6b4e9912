#include "api/client/thick_tree.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/page.h"
#include "formats/path.h"

/* A footer seldom has more than a few hundred bytes. */
#define SUFFIX_FIRST (16u * 1024)

/* ---- tree objects ------------------------------------------------------------------------ */

static int suffix_read(struct range_source *source, const struct hash *tree, uint64_t len,
                       struct buf *out)
{
    buf_clear(out);
    struct range_read read = {.tree = *tree, .suffix = true, .len = len};
    return range_read_one(source, &read, out);
}

int thick_tree_open(struct range_source *source, const struct hash *tree, struct arena *arena,
                    struct thick_tree *out)
{
    AUTO_BUF tail = {0};
    uint32_t len;
    int err = suffix_read(source, tree, SUFFIX_FIRST, &tail);
    if (err == OK)
        err = tree_trailer_find(buf_bytes(&tail), &len);
    if (err != OK)
        return err;
    if ((uint64_t)len + TREE_TRAILER_LEN > tail.len) {
        err = suffix_read(source, tree, (uint64_t)len + TREE_TRAILER_LEN, &tail);
        if (err != OK)
            return err;
        if ((uint64_t)len + TREE_TRAILER_LEN > tail.len)
            return ERR_CORRUPT;
    }
    struct bytes footer =
        arena_copy(arena, bytes_of(tail.data + tail.len - TREE_TRAILER_LEN - len, len));
    struct hash hash = sha256(footer);
    if (!hash_equal(&hash, tree))
        return ERR_CORRUPT;
    struct thick_tree found = {.tree = *tree};
    err = footer_decode(footer, arena, &found.footer);
    if (err == OK)
        *out = found;
    return err;
}

int thick_tree_at(struct range_source *source, const struct thick_tree *later,
                  uint64_t position, struct arena *arena, struct thick_tree *out)
{
    struct thick_tree at = *later;
    if (position > at.footer.position)
        return ERR_NOT_FOUND;
    /* Each step goes to a batch before, so there are at most as many as batches. */
    while (at.footer.position != position && at.footer.first >= position) {
        const struct ancestor *ancestor = footer_toward(&at.footer, position);
        if (ancestor == NULL || ancestor->batch >= at.footer.batch)
            return ERR_CORRUPT;
        struct thick_tree next;
        int err = thick_tree_open(source, &ancestor->tree, arena, &next);
        if (err != OK)
            return err;
        if (next.footer.batch != ancestor->batch || next.footer.position < position)
            return ERR_CORRUPT;
        at = next;
    }
    *out = at;
    return OK;
}

/* ---- pages ------------------------------------------------------------------------------- */

/* A page that is wanted: where, under which content hash; and what came. */
struct leaf {
    struct location where;
    struct hash content;
    struct bytes name; /* the first name below, in an inner page */
    const struct page *page;
};

struct side {
    struct leaf *leaves;
    size_t n;
};

/* A directory that differs. */
struct pair {
    struct bytes path;
    struct side a;
    struct side b;
};

struct walk {
    struct range_source *source;
    struct arena *arena;
    struct pair *pairs; /* of this round */
    size_t n, cap;
    struct pair *later; /* of the next one */
    size_t n_later, cap_later;
    struct thick_change *changes;
    size_t n_changes, cap_changes;
    size_t entries;
    /* pages to be read in this round */
    struct leaf **wanted;
    size_t n_wanted, cap_wanted;
};

static int page_open(struct arena *arena, struct leaf *leaf, struct bytes encoded)
{
    struct hash hash = page_hash(encoded);
    if (!hash_equal(&hash, &leaf->where.check))
        return ERR_CORRUPT;
    struct page *page = arena_new(arena, struct page);
    int err = page_decode(arena_copy(arena, encoded), &leaf->where.tree, arena, page);
    if (err != OK)
        return err;
    hash = page_content_hash(page->level, page->entries, page->n);
    if (!hash_equal(&hash, &leaf->content))
        return ERR_CORRUPT;
    leaf->page = page;
    return OK;
}

static int pages_came(void *arg, struct range_group *group)
{
    struct walk *walk = arg;
    for (size_t i = 0; i < group->n; i++) {
        const struct range_item *item = &group->items[i];
        struct leaf *leaf = walk->wanted[item->index];
        int err = page_open(walk->arena, leaf, range_item_bytes(group, item));
        if (err != OK)
            return err;
        walk->entries += leaf->page->n;
        if (walk->entries > THICK_ENTRIES_MAX)
            return ERR_LIMIT;
    }
    return OK;
}

static int want(struct walk *walk, struct side *side)
{
    for (size_t i = 0; i < side->n; i++) {
        struct leaf *leaf = &side->leaves[i];
        if (leaf->page != NULL)
            continue;
        if (leaf->where.place != PLACE_PAGE || leaf->where.len > PAGE_BYTES_MAX)
            return ERR_CORRUPT;
        struct leaf **slot = arena_push(walk->arena, (void **)&walk->wanted, &walk->n_wanted,
                                        &walk->cap_wanted, sizeof(*slot));
        *slot = leaf;
    }
    return OK;
}

static int pages_read(struct walk *walk)
{
    walk->n_wanted = 0;
    for (size_t i = 0; i < walk->n; i++) {
        int err = want(walk, &walk->pairs[i].a);
        if (err == OK)
            err = want(walk, &walk->pairs[i].b);
        if (err != OK)
            return err;
    }
    struct range_item *items = calloc(walk->n_wanted + 1, sizeof(*items));
    if (items == NULL)
        abort();
    for (size_t i = 0; i < walk->n_wanted; i++) {
        const struct location *where = &walk->wanted[i]->where;
        items[i] = (struct range_item){
            .tree = where->tree, .offset = where->offset, .len = where->len, .index = i};
    }
    int err = range_fetch(walk->source, items, walk->n_wanted, pages_came, walk);
    free(items);
    return err;
}

/* The level of a side's pages, which is the same for all. */
static int side_level(const struct side *side, unsigned *out)
{
    for (size_t i = 1; i < side->n; i++) {
        if (side->leaves[i].page->level != side->leaves[0].page->level)
            return ERR_CORRUPT;
    }
    *out = side->n == 0 ? 0 : side->leaves[0].page->level;
    return *out <= PAGE_LEVELS_MAX ? OK : ERR_CORRUPT;
}

/* All entries of the side's pages, in order. ERR_CORRUPT when they do not ascend. */
static int side_entries(struct arena *arena, const struct side *side, const struct entry ***out,
                        size_t *n_out)
{
    size_t n = 0;
    for (size_t i = 0; i < side->n; i++)
        n += side->leaves[i].page->n;
    const struct entry **entries = arena_array(arena, n, const struct entry *);
    n = 0;
    for (size_t i = 0; i < side->n; i++) {
        const struct page *page = side->leaves[i].page;
        for (uint32_t k = 0; k < page->n; k++) {
            if (n > 0 && bytes_compare(entries[n - 1]->name, page->entries[k].name) >= 0)
                return ERR_CORRUPT;
            entries[n++] = &page->entries[k];
        }
    }
    *out = entries;
    *n_out = n;
    return OK;
}

static bool same(const struct entry *a, const struct entry *b)
{
    return a->kind == b->kind && a->mode == b->mode && a->size == b->size &&
           hash_equal(&a->hash, &b->hash);
}

static void descend(struct walk *walk, struct side *side)
{
    struct side below = {0};
    for (size_t i = 0; i < side->n; i++)
        below.n += side->leaves[i].page->n;
    below.leaves = arena_array(walk->arena, below.n, struct leaf);
    size_t n = 0;
    for (size_t i = 0; i < side->n; i++) {
        const struct page *page = side->leaves[i].page;
        for (uint32_t k = 0; k < page->n; k++) {
            const struct entry *e = &page->entries[k];
            below.leaves[n++] =
                (struct leaf){.where = e->where, .content = e->hash, .name = e->name};
        }
    }
    *side = below;
}

/* Pages that both sides have hold nothing that differs. */
static void drop_common(struct side *a, struct side *b)
{
    size_t i = 0, k = 0, na = 0, nb = 0;
    while (i < a->n || k < b->n) {
        int c = i == a->n   ? 1
                : k == b->n ? -1
                            : bytes_compare(a->leaves[i].name, b->leaves[k].name);
        if (c == 0 && hash_equal(&a->leaves[i].content, &b->leaves[k].content)) {
            i++;
            k++;
            continue;
        }
        if (c <= 0)
            a->leaves[na++] = a->leaves[i++];
        if (c >= 0)
            b->leaves[nb++] = b->leaves[k++];
    }
    a->n = na;
    b->n = nb;
}

static struct pair *pair_push(struct walk *walk)
{
    return arena_push(walk->arena, (void **)&walk->later, &walk->n_later, &walk->cap_later,
                      sizeof(struct pair));
}

static void side_of_directory(struct walk *walk, struct side *side, const struct entry *e)
{
    if (e == NULL || e->kind != KIND_DIR)
        return;
    side->leaves = arena_new(walk->arena, struct leaf);
    side->leaves[0] = (struct leaf){.where = e->where, .content = e->hash};
    side->n = 1;
}

static const struct entry *content_side(const struct entry *e)
{
    return e != NULL && e->kind != KIND_DIR ? e : NULL;
}

/* A name whose two entries differ. */
static int differ(struct walk *walk, struct bytes dir, struct bytes name, const struct entry *a,
                  const struct entry *b)
{
    struct buf joined = {0};
    buf_append_bytes(&joined, dir);
    if (dir.len > 0)
        buf_append(&joined, "/", 1);
    buf_append_bytes(&joined, name);
    struct bytes path = arena_copy(walk->arena, buf_bytes(&joined));
    buf_release(&joined);
    /* A name with a slash would be a path that nobody has checked. */
    if (memchr(name.data, '/', name.len) != NULL || path_check(path, NULL) != OK)
        return ERR_CORRUPT;
    const struct entry *ca = content_side(a);
    const struct entry *cb = content_side(b);
    if (ca != NULL || cb != NULL) {
        struct thick_change *change =
            arena_push(walk->arena, (void **)&walk->changes, &walk->n_changes,
                       &walk->cap_changes, sizeof(*change));
        *change = (struct thick_change){.path = path, .a = ca, .b = cb};
    }
    if ((a != NULL && a->kind == KIND_DIR) || (b != NULL && b->kind == KIND_DIR)) {
        struct pair *pair = pair_push(walk);
        pair->path = path;
        side_of_directory(walk, &pair->a, a);
        side_of_directory(walk, &pair->b, b);
    }
    return OK;
}

/* Compares two directories whose pages are all at hand. */
static int entries_compare(struct walk *walk, const struct pair *pair)
{
    const struct entry **a;
    const struct entry **b;
    size_t na, nb;
    int err = side_entries(walk->arena, &pair->a, &a, &na);
    if (err == OK)
        err = side_entries(walk->arena, &pair->b, &b, &nb);
    size_t i = 0, k = 0;
    while (err == OK && (i < na || k < nb)) {
        int c = i == na ? 1 : k == nb ? -1 : bytes_compare(a[i]->name, b[k]->name);
        const struct entry *ea = c <= 0 ? a[i] : NULL;
        const struct entry *eb = c >= 0 ? b[k] : NULL;
        struct bytes name = c <= 0 ? a[i]->name : b[k]->name;
        i += c <= 0 ? 1 : 0;
        k += c >= 0 ? 1 : 0;
        if (ea == NULL || eb == NULL || !same(ea, eb))
            err = differ(walk, pair->path, name, ea, eb);
    }
    return err;
}

static int pair_step(struct walk *walk, struct pair *pair)
{
    unsigned level_a, level_b;
    int err = side_level(&pair->a, &level_a);
    if (err == OK)
        err = side_level(&pair->b, &level_b);
    if (err != OK)
        return err;
    if (level_a == 0 && level_b == 0)
        return entries_compare(walk, pair);
    struct pair next = *pair;
    if (level_a >= level_b)
        descend(walk, &next.a);
    if (level_b >= level_a)
        descend(walk, &next.b);
    if (level_a == level_b)
        drop_common(&next.a, &next.b);
    *pair_push(walk) = next;
    return OK;
}

static void root_side(struct walk *walk, struct side *side, const struct thick_tree *tree)
{
    if (tree == NULL)
        return;
    side->leaves = arena_new(walk->arena, struct leaf);
    side->n = 1;
    side->leaves[0] = (struct leaf){
        .where = footer_root(&tree->footer, &tree->tree),
        .content = tree->footer.root_content,
    };
}

static int change_order(const void *a, const void *b)
{
    const struct thick_change *left = a;
    const struct thick_change *right = b;
    return path_compare(left->path, right->path);
}

int thick_tree_diff(struct range_source *source, const struct thick_tree *a,
                    const struct thick_tree *b, struct arena *arena, struct thick_changes *out)
{
    *out = (struct thick_changes){0};
    if (a != NULL && hash_equal(&a->footer.root_content, &b->footer.root_content))
        return OK;
    struct walk walk = {.source = source, .arena = arena};
    struct pair *first = pair_push(&walk);
    root_side(&walk, &first->a, a);
    root_side(&walk, &first->b, b);
    /* One round a level of directories or of pages; a path has at most PATH_DEPTH_MAX. */
    for (size_t round = 0; walk.n_later > 0; round++) {
        if (round > (size_t)PATH_DEPTH_MAX * (PAGE_LEVELS_MAX + 1))
            return ERR_LIMIT;
        walk.pairs = walk.later;
        walk.n = walk.n_later;
        walk.later = NULL;
        walk.n_later = walk.cap_later = 0;
        int err = pages_read(&walk);
        for (size_t i = 0; i < walk.n && err == OK; i++)
            err = pair_step(&walk, &walk.pairs[i]);
        if (err != OK)
            return err;
    }
    if (walk.n_changes > 0)
        qsort(walk.changes, walk.n_changes, sizeof(*walk.changes), change_order);
    out->changes = walk.changes;
    out->n = walk.n_changes;
    return OK;
}

/* ---- one path ---------------------------------------------------------------------------- */

/* Looks `name` up in the directory whose top page `dir` names. */
static int directory_find(struct range_source *source, const struct entry *dir,
                          struct bytes name, struct arena *arena, struct entry *out)
{
    struct leaf leaf = {.where = dir->where, .content = dir->hash};
    for (unsigned depth = 0; depth <= PAGE_LEVELS_MAX; depth++) {
        if (leaf.where.place != PLACE_PAGE || leaf.where.len > PAGE_BYTES_MAX)
            return ERR_CORRUPT;
        AUTO_BUF bytes = {0};
        struct range_read read = {
            .tree = leaf.where.tree, .offset = leaf.where.offset, .len = leaf.where.len};
        int err = range_read_one(source, &read, &bytes);
        if (err == OK)
            err = page_open(arena, &leaf, buf_bytes(&bytes));
        if (err != OK)
            return err;
        const struct entry *e = leaf.page->level == 0 ? page_find(leaf.page, name)
                                : leaf.page->n == 0   ? NULL
                                                      : page_child(leaf.page, name);
        if (e == NULL)
            return ERR_NOT_FOUND;
        if (leaf.page->level == 0) {
            *out = *e;
            return OK;
        }
        leaf = (struct leaf){.where = e->where, .content = e->hash};
    }
    return ERR_CORRUPT;
}

int thick_tree_find(struct range_source *source, const struct thick_tree *tree,
                    struct bytes path, struct arena *arena, struct entry *out)
{
    struct entry at = {
        .kind = KIND_DIR,
        .size = tree->footer.bytes,
        .files = tree->footer.files,
        .hash = tree->footer.root_content,
        .where = footer_root(&tree->footer, &tree->tree),
    };
    struct bytes rest = path;
    while (rest.len > 0) {
        struct bytes name = path_first(&rest);
        if (at.kind != KIND_DIR)
            return ERR_NOT_FOUND;
        struct entry dir = at;
        int err = directory_find(source, &dir, name, arena, &at);
        if (err != OK)
            return err;
    }
    *out = at;
    return OK;
}
