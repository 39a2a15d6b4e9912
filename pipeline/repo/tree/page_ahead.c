#include "pipeline/repo/tree/page_ahead.h"

#include "formats/key.h"
#include "pipeline/repo/damage.h"

void page_ahead_release(struct page_ahead *ahead)
{
    object_ahead_release(&ahead->bytes);
}

int page_ahead_get(struct page_ahead *ahead, struct repo *repo, const struct id16 *project,
                   const struct location *where, const struct page_held **out)
{
    if (ahead == NULL || where->place != PLACE_PAGE || where->len > PAGE_BYTES_MAX)
        return tree_page(repo, project, where, out);
    const struct page_held *held = page_cache_find(repo->pages, project, where);
    if (held != NULL) {
        *out = held;
        return OK;
    }
    struct key key = key_tree(project, &where->tree);
    struct bytes page;
    int err = object_ahead_get(&ahead->bytes, repo->store, key.s, where, &page);
    if (err == OK)
        err = page_cache_add(repo->pages, project, where, page, out);
    return damage_of(repo, key.s, err);
}
