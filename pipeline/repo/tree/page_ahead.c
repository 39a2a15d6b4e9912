#include "pipeline/repo/tree/page_ahead.h"

#include "formats/key.h"
#include "pipeline/repo/damage.h"

/* Bytes of the first read that is longer than its page, and of the longest. */
#define WINDOW_MIN (64u * KIB)
#define WINDOW_MAX (4u * MIB)
/* Each read takes so many times what the last one took. */
#define WINDOW_GROWS 4u

void page_ahead_release(struct page_ahead *ahead)
{
    buf_release(&ahead->bytes);
}

static uint64_t ahead_end(const struct page_ahead *ahead)
{
    return ahead->from + ahead->bytes.len;
}

static bool has(const struct page_ahead *ahead, const struct location *where)
{
    return hash_equal(&ahead->tree, &where->tree) && where->offset >= ahead->from &&
           (uint64_t)where->offset + where->len <= ahead_end(ahead);
}

/* What to read for the page: itself, or as much as is likely to be asked for next. */
static struct store_range range_for(struct page_ahead *ahead, const struct location *where)
{
    uint64_t end = (uint64_t)where->offset + where->len;
    bool same = hash_equal(&ahead->tree, &where->tree) && ahead->bytes.len > 0;
    /* The first bytes of a page may have been read without its last ones, or the other way
     * round; and between two pages there may be some that are in the cache. */
    bool before = same && where->offset < ahead->from && end + WINDOW_MIN >= ahead->from;
    bool behind =
        same && end > ahead_end(ahead) && where->offset <= ahead_end(ahead) + WINDOW_MIN;
    if (!before && !behind) {
        ahead->window = WINDOW_MIN;
        return range_of(where->offset, where->len);
    }
    uint64_t len = ahead->window > where->len ? ahead->window : where->len;
    ahead->window *= WINDOW_GROWS;
    if (ahead->window > WINDOW_MAX)
        ahead->window = WINDOW_MAX;
    if (behind)
        return range_of(where->offset, len);
    uint64_t from = end > len ? end - len : 0;
    return range_of(from, end - from);
}

static int bytes_read(struct page_ahead *ahead, struct repo *repo, const struct key *key,
                      const struct location *where)
{
    struct store_range range = range_for(ahead, where);
    buf_clear(&ahead->bytes);
    ahead->tree = where->tree;
    ahead->from = range.offset;
    int err = store_get(repo->store, key->s, range, &ahead->bytes, NULL, NULL);
    if (err != OK)
        buf_clear(&ahead->bytes);
    return err;
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
    int err = has(ahead, where) ? OK : bytes_read(ahead, repo, &key, where);
    if (err == OK && !has(ahead, where))
        err = ERR_CORRUPT;
    if (err == OK) {
        struct bytes page =
            bytes_of(ahead->bytes.data + (where->offset - ahead->from), where->len);
        err = page_cache_add(repo->pages, project, where, page, out);
    }
    return damage_of(repo, key.s, err);
}
