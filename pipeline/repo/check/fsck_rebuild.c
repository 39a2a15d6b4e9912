#include "pipeline/repo/check/fsck_rebuild.h"

#include <inttypes.h>

#include "formats/base/hash.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/conflict.h"
#include "pipeline/repo/pack/page_memo.h"
#include "pipeline/repo/tree/page_fetch.h"
#include "pipeline/repo/tree/snapshot.h"

/* Two pages that should be alike: of the bucket, and made again. */
struct pair {
    struct location is;
    struct location made;
    struct bytes path;
    uint64_t files; /* below */
};

struct rebuild {
    struct fsck_project *p;
    const struct fsck_batch *batch;
    struct arena arena;
    struct tree_edit *edit;
    struct tree_build build;
    struct overlay_store overlay;
    struct repo view;
    bool has_view;
    struct tree made;
    struct page_memo *done;
    void *stack; /* struct pair */
    size_t n;
    size_t cap;
    bool told;
};

static void rebuild_release(struct rebuild *r)
{
    if (r->edit != NULL)
        tree_edit_close(r->edit);
    tree_build_release(&r->build);
    if (r->has_view)
        repo_view_release(&r->view);
    arena_release(&r->arena);
}

/* One finding a batch is enough: the rest follows from it. */
static void wrong(struct rebuild *r, const char *invariant, const char *problem,
                  const char *what, struct bytes path)
{
    if (!r->told)
        fsck_damage(r->p->fsck, invariant, problem, r->batch->key.s,
                    "in the tree of batch %" PRIu64 ", at '%.*s': %s", r->batch->footer.batch,
                    (int)path.len, (const char *)path.data, what);
    r->told = true;
}

/* --- making it again --- */

static int session_apply(struct rebuild *r, const struct landing *landing)
{
    struct session_view view;
    struct conflict_list conflicts;
    session_view(&landing->landed, &r->arena, &view);
    int err = conflict_check(r->edit, &view, &r->arena, &conflicts);
    if (err != OK)
        return err;
    if (conflicts.n > 0)
        wrong(r, "serial", "not_as_seen",
              "a session has landed on something else than it had seen",
              conflicts.conflicts[0].path);
    err = snapshot_apply(r->edit, &view, &r->batch->tree, landing->position);
    if (err == ERR_CONFLICT) {
        wrong(r, "rebuild", "tree_differs", "a session that has landed cannot be applied",
              bytes_str(""));
        err = OK;
    }
    return err;
}

/* A name that no tree object has: those are named by SHA-256. */
static struct hash made_name(const struct rebuild *r)
{
    return sha512_256("micelio fsck", bytes_of(r->batch->tree.b, sizeof(r->batch->tree.b)));
}

static int tree_seal(struct rebuild *r)
{
    AUTO_BUF root = {0};
    struct footer footer = {0};
    struct repo *repo = &r->p->fsck->repo;
    struct hash name = made_name(r);
    struct key key = key_tree(&r->p->id, &name);
    uint32_t offset;
    int err = tree_edit_seal(r->edit, &r->build, &root, &footer);
    if (err == OK)
        err = tree_build_add(&r->build, buf_bytes(&root), &offset);
    if (err != OK)
        return err;
    overlay_store_init(&r->overlay, repo->store, &key, buf_bytes(&r->build.bytes));
    repo_view_init(&r->view, repo, &r->overlay.store);
    r->has_view = true;
    r->made = (struct tree){.repo = &r->view,
                            .project = r->p->id,
                            .root = {.place = PLACE_PAGE,
                                     .tree = name,
                                     .offset = offset,
                                     .len = (uint32_t)root.len,
                                     .check = page_hash(buf_bytes(&root))},
                            .content = footer.root_content,
                            .files = footer.files,
                            .bytes = footer.bytes};
    return OK;
}

static int tree_make(struct rebuild *r, const struct tree *before,
                     const struct fsck_records *records)
{
    int err = OK;
    r->edit = tree_edit_open(before);
    tree_build_init(&r->build);
    for (uint32_t i = 0; i < r->batch->footer.n_records && err == OK && !r->told; i++) {
        if (records->landings[i].has_session)
            err = session_apply(r, &records->landings[i]);
    }
    return err == OK && !r->told ? tree_seal(r) : err;
}

/* --- comparing --- */

static bool place_same(const struct location *is, const struct location *made)
{
    if (is->place != made->place)
        return false;
    switch (is->place) {
    case PLACE_RAW:
    case PLACE_ZSTD:
        return hash_equal(&is->tree, &made->tree) && is->offset == made->offset &&
               is->len == made->len;
    case PLACE_MANIFEST:
        return hash_equal(&is->check, &made->check);
    case PLACE_PAGE:
        return hash_equal(&is->tree, &made->tree) && is->offset == made->offset &&
               is->len == made->len && hash_equal(&is->check, &made->check);
    case PLACE_NONE:
    case PLACE_BLOB:
        break;
    }
    return true;
}

static void pair_push(struct rebuild *r, const struct location *is, const struct location *made,
                      struct bytes path, uint64_t files)
{
    struct pair *pair = arena_push(&r->arena, &r->stack, &r->n, &r->cap, sizeof(*pair));
    *pair = (struct pair){.is = *is, .made = *made, .path = path, .files = files};
}

static struct bytes path_below(struct rebuild *r, struct bytes path, struct bytes name)
{
    return bytes_str(arena_printf(&r->arena, "%.*s%s%.*s", (int)path.len,
                                  (const char *)path.data, path.len > 0 ? "/" : "",
                                  (int)name.len, (const char *)name.data));
}

static void entry_compare(struct rebuild *r, const struct pair *pair, uint8_t level,
                          const struct entry *is, const struct entry *made)
{
    struct bytes path = level == 0 ? path_below(r, pair->path, is->name) : pair->path;
    if (!bytes_equal(is->name, made->name) || is->kind != made->kind ||
        is->mode != made->mode || !hash_equal(&is->hash, &made->hash))
        wrong(r, "rebuild", "tree_differs", "it is not what the records make of it", path);
    else if (is->stamp != made->stamp)
        wrong(r, "rebuild", "stamp_wrong",
              "its stamp is not the position of the landing that changed it last", path);
    else if (is->size != made->size || is->files != made->files)
        wrong(r, "rebuild", "counts_wrong", "its counts are not those of what is below", path);
    else if (is->kind == KIND_DIR) {
        if (!place_same(&is->where, &made->where))
            pair_push(r, &is->where, &made->where, path, is->files);
    } else if (!place_same(&is->where, &made->where)) {
        wrong(r, "named", "location_wrong", "it is said to lie elsewhere than it does", path);
    }
}

/* Whether these two were compared before: pages may be shared. */
static bool was_compared(struct rebuild *r, const struct pair *pair)
{
    const struct hash both[4] = {pair->is.tree, pair->is.check, pair->made.tree,
                                 pair->made.check};
    const struct page_spot nowhere = {0};
    const struct location key = {.tree = sha256(bytes_of(both, sizeof(both)))};
    struct page_spot spot;
    if (page_memo_find(r->done, &key, &spot))
        return true;
    page_memo_add(r->done, &key, pair->files, &nowhere);
    return false;
}

/* The pages of the pairs from `first` on, as far as they are taken next. */
static void fetch_ahead(struct rebuild *r, size_t first)
{
    struct location is[PAGES_FETCH_MAX / 4];
    struct location made[PAGES_FETCH_MAX / 4];
    const struct pair *pairs = r->stack;
    struct repo *repo = &r->p->fsck->repo;
    size_t n = 0;
    for (size_t i = r->n; i > first && n < ARRAY_LEN(is); i--, n++) {
        is[n] = pairs[i - 1].is;
        made[n] = pairs[i - 1].made;
    }
    pages_fetch(repo, &r->p->id, is, n);
    pages_fetch(&r->view, &r->p->id, made, n);
}

static int pair_compare(struct rebuild *r, const struct pair *pair)
{
    const struct page_held *is;
    const struct page_held *made;
    struct repo *repo = &r->p->fsck->repo;
    size_t before = r->n;
    int err = tree_page(repo, &r->p->id, &pair->is, &is);
    if (fsck_is_damage(err)) {
        /* Pages of this batch have been read, and others lie where they did before. */
        wrong(r, "named", "location_wrong", "a page is said to lie where there is none",
              pair->path);
        return OK;
    }
    if (err != OK)
        return err;
    err = tree_page(&r->view, &r->p->id, &pair->made, &made);
    if (err == OK) {
        const struct page *a = &is->page;
        const struct page *b = &made->page;
        if (a->level != b->level || a->n != b->n)
            wrong(r, "rebuild", "tree_differs", "a page has not the entries that it should",
                  pair->path);
        for (uint32_t i = 0; i < a->n && !r->told; i++)
            entry_compare(r, pair, a->level, &a->entries[i], &b->entries[i]);
        page_cache_drop(repo->pages, made);
    }
    page_cache_drop(repo->pages, is);
    if (err == OK && !r->told)
        fetch_ahead(r, before);
    return err;
}

static int trees_compare(struct rebuild *r)
{
    const struct footer *f = &r->batch->footer;
    const struct location root = footer_root(f, &r->batch->tree);
    int err = OK;
    r->done = page_memo_open(fsck_batch_pages(r->batch));
    pair_push(r, &root, &r->made.root, bytes_str(""), f->files);
    while (r->n > 0 && !r->told && err == OK) {
        struct pair pair = ((struct pair *)r->stack)[--r->n];
        if (!was_compared(r, &pair))
            err = pair_compare(r, &pair);
    }
    page_memo_close(r->done);
    if (err == OK && !r->told && !hash_equal(&f->root_content, &r->made.content))
        wrong(r, "rebuild", "tree_differs", "its content hash is not what the records make",
              bytes_str(""));
    return err;
}

/* --- together --- */

static int rebuild_run(struct rebuild *r, const struct fsck_records *records)
{
    struct repo *repo = &r->p->fsck->repo;
    const struct batch *before = NULL;
    struct tree tree = {.repo = repo, .project = r->p->id};
    int err = OK;
    if (r->batch->footer.batch > 0) {
        err = chain_batch(repo, &r->p->id, &r->batch->footer.prev, &before);
        if (err == OK && before->footer.batch + 1 != r->batch->footer.batch)
            err = ERR_CORRUPT; /* told of the chain */
        if (err != OK) {
            chain_drop(repo, before);
            return err;
        }
        tree = chain_tree(repo, &r->p->id, before);
    }
    err = tree_make(r, &tree, records);
    if (err == OK && !r->told)
        err = trees_compare(r);
    chain_drop(repo, before);
    return err;
}

int fsck_rebuild_check(struct fsck_project *p, const struct fsck_batch *batch,
                       const struct fsck_records *records)
{
    struct rebuild r = {.p = p, .batch = batch};
    int err = rebuild_run(&r, records);
    rebuild_release(&r);
    if (fsck_is_damage(err)) {
        p->unbuilt = batch->tree;
        err = OK;
    }
    return err;
}
