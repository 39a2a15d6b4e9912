#include "pipeline/repo/tree/dir_pages.h"

int dir_page_below(struct repo *repo, const struct id16 *project, uint8_t level,
                   const struct entry *says, struct page_ahead *ahead,
                   const struct page_held **out)
{
    assert(level > 0);
    const struct page_held *held;
    int err = page_ahead_get(ahead, repo, project, &says->where, &held);
    if (err != 0) {
        return err;
    }
    const struct page *page = &held->page;
    if (page->level != level - 1 || page->n == 0 ||
        !bytes_equal(page->entries[0].name, says->name)) {
        page_cache_drop(repo->pages, held);
        return ERR_CORRUPT;
    }
    *out = held;
    return 0;
}

int dir_find(struct repo *repo, const struct id16 *project, const struct page_held *top,
             struct bytes name, struct entry *out)
{
    const struct page_held *held = top;
    int err = 0;
    while (err == 0 && held->page.level > 0) {
        const struct page_held *inner = held;
        err = dir_page_below(repo, project, inner->page.level, page_child(&inner->page, name),
                             NULL, &held);
        if (inner != top) {
            page_cache_drop(repo->pages, inner);
        }
    }
    if (err != 0) {
        return err;
    }
    const struct entry *found = page_find(&held->page, name);
    if (found != NULL) {
        *out = *found;
        out->name = (struct bytes){0};
    }
    if (held != top) {
        page_cache_drop(repo->pages, held);
    }
    return found == NULL ? ERR_NOT_FOUND : 0;
}

/* Whether the page's entries come to what is said of it. Counts of a directory are kept up to
 * date by differences, so they must be right to begin with; and a directory without files is
 * never in a page. */
static bool sums_ok(const struct page *page, const struct entry *says)
{
    uint64_t files = 0;
    uint64_t size = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        const struct entry *e = &page->entries[i];
        if (e->kind == KIND_DIR && e->files == 0) {
            return false;
        }
        files += e->kind == KIND_DIR ? e->files : 1;
        size += e->size;
    }
    return files == says->files && size == says->size;
}

int dir_pages_open(struct dir_pages *p, struct repo *repo, const struct id16 *project,
                   const struct entry *dir)
{
    struct dir_pages pages = {.repo = repo, .project = *project};
    if (dir->where.place != PLACE_NONE) {
        int err = tree_page(repo, project, &dir->where, &pages.top);
        if (err != 0) {
            return err;
        }
        const struct page *page = &pages.top->page;
        if (!sums_ok(page, dir)) {
            page_cache_drop(repo->pages, pages.top);
            return ERR_CORRUPT;
        }
        pages.top_says = *dir;
        pages.top_says.name = page->n > 0 ? page->entries[0].name : (struct bytes){0};
    }
    *p = pages;
    return 0;
}

static void lists_drop(struct dir_pages *p)
{
    for (unsigned level = 0; level < p->top->page.level; level++) {
        for (size_t i = 0; i < p->n[level]; i++) {
            page_cache_drop(p->repo->pages, p->at[level][i].held);
        }
        p->n[level] = 0;
    }
    p->flat = false;
}

void dir_pages_release(struct dir_pages *p)
{
    if (p->top == NULL) {
        return;
    }
    lists_drop(p);
    page_cache_drop(p->repo->pages, p->top);
    *p = (struct dir_pages){0};
}

int dir_pages_find(struct dir_pages *p, struct bytes name, struct entry *out)
{
    if (p->top == NULL) {
        return ERR_NOT_FOUND;
    }
    return dir_find(p->repo, &p->project, p->top, name, out);
}

/* Lists the pages that those of `level` name. */
static int flatten_below(struct dir_pages *p, unsigned level, struct arena *arena)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n[level]; i++) {
        const struct page *page;
        int err = dir_pages_load(p, level, i, &page);
        if (err != 0) {
            return err;
        }
        n += page->n;
    }
    struct dir_page *below = arena_array(arena, n, struct dir_page);
    size_t at = 0;
    for (size_t i = 0; i < p->n[level]; i++) {
        const struct page *page = &p->at[level][i].held->page;
        for (uint32_t k = 0; k < page->n; k++) {
            below[at++].says = &page->entries[k];
        }
    }
    p->at[level - 1] = below;
    p->n[level - 1] = n;
    return 0;
}

int dir_pages_flatten(struct dir_pages *p, struct arena *arena)
{
    if (p->flat || p->top == NULL) {
        return 0;
    }
    unsigned level = p->top->page.level;
    p->at[level] = arena_new(arena, struct dir_page);
    *p->at[level] = (struct dir_page){.says = &p->top_says, .held = p->top};
    p->n[level] = p->top->page.n > 0 ? 1 : 0;
    p->flat = true;
    for (; level > 0; level--) {
        int err = flatten_below(p, level, arena);
        if (err != 0) {
            lists_drop(p);
            return err;
        }
    }
    return 0;
}

size_t dir_pages_index(const struct dir_pages *p, unsigned level, struct bytes name)
{
    assert(p->n[level] > 0);
    size_t low = 0;
    size_t high = p->n[level];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(p->at[level][middle].says->name, name) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

int dir_pages_load(struct dir_pages *p, unsigned level, size_t i, const struct page **out)
{
    assert(i < p->n[level]);
    struct dir_page *at = &p->at[level][i];
    if (at->held == NULL) {
        const struct page_held *held;
        int err =
            dir_page_below(p->repo, &p->project, (uint8_t)(level + 1), at->says, NULL, &held);
        if (err != 0) {
            return err;
        }
        /* What comes after must be greater than all in here: the lists are merged by name. */
        struct bytes last = held->page.entries[held->page.n - 1].name;
        bool in_order = i + 1 == p->n[level] || bytes_compare(last, at[1].says->name) < 0;
        if (!in_order || !sums_ok(&held->page, at->says)) {
            page_cache_drop(p->repo->pages, held);
            return ERR_CORRUPT;
        }
        at->held = held;
    }
    *out = &at->held->page;
    return 0;
}
