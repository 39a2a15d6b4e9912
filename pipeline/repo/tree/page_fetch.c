#include "pipeline/repo/tree/page_fetch.h"

#include <stdlib.h>

#include "formats/key.h"

/* Over so many bytes it is cheaper to read on than to ask anew. */
#define GAP_MAX  (16u * KIB)
#define READ_MAX MIB
/* Reads side by side. */
#define READS_MAX 64u

/* Neighbours that come in one read. */
struct page_read {
    struct key key;
    struct buf body;
    uint64_t from;
    uint64_t end;
    const struct location *pages;
    size_t n;
};

static int place_order(const void *a, const void *b)
{
    const struct location *left = a;
    const struct location *right = b;
    int c = hash_compare(&left->tree, &right->tree);
    return c != 0 ? c : (left->offset > right->offset) - (left->offset < right->offset);
}

static size_t missing(struct repo *repo, const struct id16 *project,
                      const struct location *pages, size_t n, struct location *out)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (pages[i].place != PLACE_PAGE || pages[i].len > PAGE_BYTES_MAX)
            continue;
        const struct page_held *held = page_cache_find(repo->pages, project, &pages[i]);
        if (held == NULL)
            out[count++] = pages[i];
        page_cache_drop(repo->pages, held);
    }
    qsort(out, count, sizeof(*out), place_order);
    return count;
}

/* The first of the sorted pages, and those behind it that come along. */
static struct page_read read_make(const struct id16 *project, const struct location *pages,
                                  size_t n)
{
    struct page_read read = {.key = key_tree(project, &pages[0].tree),
                             .from = pages[0].offset,
                             .end = (uint64_t)pages[0].offset + pages[0].len,
                             .pages = pages,
                             .n = 1};
    for (; read.n < n; read.n++) {
        const struct location *page = &pages[read.n];
        uint64_t end = (uint64_t)page->offset + page->len;
        if (!hash_equal(&page->tree, &pages[0].tree) || page->offset > read.end + GAP_MAX ||
            end > read.from + READ_MAX)
            break;
        read.end = end > read.end ? end : read.end;
    }
    return read;
}

static void read_keep(struct repo *repo, const struct id16 *project,
                      const struct page_read *read)
{
    for (size_t i = 0; i < read->n; i++) {
        const struct location *page = &read->pages[i];
        uint64_t at = page->offset - read->from;
        const struct page_held *held;
        if (at + page->len > read->body.len)
            continue;
        struct bytes encoded = bytes_of(read->body.data + at, page->len);
        if (page_cache_add(repo->pages, project, page, encoded, &held) == OK)
            page_cache_drop(repo->pages, held);
    }
}

static void reads_run(struct repo *repo, const struct id16 *project, struct page_read *reads,
                      size_t n)
{
    struct store_op ops[READS_MAX];
    for (size_t i = 0; i < n; i++)
        ops[i] =
            (struct store_op){.verb = STORE_GET,
                              .key = reads[i].key.s,
                              .range = range_of(reads[i].from, reads[i].end - reads[i].from),
                              .body = &reads[i].body};
    (void)!store_many(repo->store, ops, n); /* each its own outcome */
    for (size_t i = 0; i < n; i++) {
        if (ops[i].err == OK)
            read_keep(repo, project, &reads[i]);
        buf_release(&reads[i].body);
    }
}

void pages_fetch(struct repo *repo, const struct id16 *project, const struct location *pages,
                 size_t n)
{
    struct location wanted[PAGES_FETCH_MAX];
    struct page_read reads[READS_MAX];
    assert(n <= PAGES_FETCH_MAX);
    n = missing(repo, project, pages, n, wanted);
    /* A single page is read as well by who needs it. */
    for (size_t at = 0; n > 1 && at < n;) {
        size_t n_reads = 0;
        for (; at < n && n_reads < READS_MAX; at += reads[n_reads++].n)
            reads[n_reads] = read_make(project, wanted + at, n - at);
        reads_run(repo, project, reads, n_reads);
    }
}
