#include "pipeline/repo/tree/dir_cursor.h"

#include "pipeline/repo/tree/dir_pages.h"

void dir_cursor_none(struct dir_cursor *c)
{
    *c = (struct dir_cursor){0};
}

int dir_cursor_open(struct dir_cursor *c, struct repo *repo, const struct id16 *project,
                    const struct location *top, struct page_ahead *ahead)
{
    const struct page_held *held;
    int err = page_ahead_get(ahead, repo, project, top, &held);
    if (err != 0) {
        return err;
    }
    *c = (struct dir_cursor){.repo = repo, .project = *project, .ahead = ahead};
    if (held->page.n == 0) {
        page_cache_drop(repo->pages, held);
        return 0;
    }
    c->at[0].held = held;
    c->depth = 1;
    return 0;
}

void dir_cursor_close(struct dir_cursor *c)
{
    while (c->depth > 0) {
        page_cache_drop(c->repo->pages, c->at[--c->depth].held);
    }
}

const struct entry *dir_cursor_item(const struct dir_cursor *c, uint8_t *level)
{
    if (c->depth == 0) {
        return NULL;
    }
    const struct page *page = &c->at[c->depth - 1].held->page;
    *level = page->level;
    return &page->entries[c->at[c->depth - 1].i];
}

void dir_cursor_pass(struct dir_cursor *c)
{
    while (c->depth > 0 && ++c->at[c->depth - 1].i == c->at[c->depth - 1].held->page.n) {
        page_cache_drop(c->repo->pages, c->at[--c->depth].held);
    }
}

int dir_cursor_expand(struct dir_cursor *c)
{
    uint8_t level;
    const struct entry *item = dir_cursor_item(c, &level);
    /* Levels fall from page to page, so the stack is never deeper than there are levels. */
    assert(item != NULL && level > 0 && c->depth < PAGE_LEVELS_MAX);
    const struct page_held *held;
    int err = dir_page_below(c->repo, &c->project, level, item, c->ahead, &held);
    if (err != 0) {
        return err;
    }
    c->at[c->depth].held = held;
    c->at[c->depth].i = 0;
    c->depth++;
    return 0;
}

int dir_cursor_entry(struct dir_cursor *c, const struct entry **out)
{
    uint8_t level;
    const struct entry *item;
    while ((item = dir_cursor_item(c, &level)) != NULL && level > 0) {
        int err = dir_cursor_expand(c);
        if (err != 0) {
            return err;
        }
    }
    if (item == NULL) {
        return ERR_NOT_FOUND;
    }
    *out = item;
    return 0;
}

/* The last entry of an inner page that begins at or before `name`, else the first: nothing
 * before it is greater. */
static uint32_t child_index(const struct page *page, struct bytes name)
{
    return (uint32_t)(page_child(page, name) - page->entries);
}

int dir_cursor_seek(struct dir_cursor *c, struct bytes after)
{
    uint8_t level;
    while (dir_cursor_item(c, &level) != NULL) {
        const struct page *page = &c->at[c->depth - 1].held->page;
        c->at[c->depth - 1].i = child_index(page, after);
        if (level > 0) {
            int err = dir_cursor_expand(c);
            if (err != 0) {
                return err;
            }
            continue;
        }
        if (bytes_compare(page->entries[c->at[c->depth - 1].i].name, after) <= 0) {
            dir_cursor_pass(c);
        }
        return 0;
    }
    return 0;
}
