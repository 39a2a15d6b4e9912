#include "pipeline/repo/pack/pack_walk.h"

#include "pipeline/repo/tree/page_fetch.h"

/* Bytes that are fetched ahead, so that they are still in the page cache when they are
 * wanted. */
#define AHEAD_BYTES (4u * MIB)
/* No path is deeper, and no directory has more levels of pages. */
#define DEPTH_MAX ((PATH_DEPTH_MAX + 1) * PAGE_LEVELS_MAX)

/* A page on the way down. */
struct pack_frame {
    struct arena arena;
    const struct page_held *held;
    struct location was;
    uint64_t files;
    struct page page;        /* its entries are copies */
    struct page_spot *spots; /* of the entries that are pages, once they were taken */
    uint32_t left;           /* entries from here on are done */
    uint32_t fetched;        /* those from here on were asked for */
};

struct pack_stack {
    const struct tree *tree;
    struct page_memo *memo;
    const struct pack_visit *visit;
    struct arena arena;
    struct pack_frame *frames;
    size_t n;
    size_t cap;
};

static void frame_pop(struct pack_stack *stack)
{
    struct pack_frame *frame = &stack->frames[--stack->n];
    page_cache_drop(stack->tree->repo->pages, frame->held);
    arena_release(&frame->arena);
}

static void stack_release(struct pack_stack *stack)
{
    while (stack->n > 0)
        frame_pop(stack);
    arena_release(&stack->arena);
}

static int frame_push(struct pack_stack *stack, const struct entry *says)
{
    const struct tree *tree = stack->tree;
    const struct page_held *held;
    if (stack->n == DEPTH_MAX)
        return ERR_CORRUPT;
    int err = tree_page(tree->repo, &tree->project, &says->where, &held);
    if (err != OK)
        return err;
    struct pack_frame *frame = arena_push(&stack->arena, (void **)&stack->frames, &stack->n,
                                          &stack->cap, sizeof(*frame));
    uint32_t n = held->page.n;
    *frame = (struct pack_frame){.held = held,
                                 .was = says->where,
                                 .files = says->files,
                                 .page = held->page,
                                 .left = n,
                                 .fetched = n};
    frame->page.entries = arena_array(&frame->arena, n, struct entry);
    frame->spots = arena_array(&frame->arena, n, struct page_spot);
    for (uint32_t i = 0; i < n; i++)
        frame->page.entries[i] = held->page.entries[i];
    return OK;
}

/* What comes next is asked for together, from the last entry on. */
static void fetch_ahead(struct pack_stack *stack, struct pack_frame *frame)
{
    struct location pages[PAGES_FETCH_MAX];
    struct page_spot spot;
    size_t n = 0;
    uint64_t bytes = 0;
    while (frame->fetched > 0 && n < PAGES_FETCH_MAX && bytes < AHEAD_BYTES) {
        const struct location *where = &frame->page.entries[--frame->fetched].where;
        if (where->place != PLACE_PAGE || page_memo_find(stack->memo, where, &spot))
            continue;
        pages[n++] = *where;
        bytes += where->len;
    }
    pages_fetch(stack->tree->repo, &stack->tree->project, pages, n);
}

/* All below the page was taken: it is, too. */
static int frame_take(struct pack_stack *stack, struct page_spot *spot)
{
    struct pack_frame *frame = &stack->frames[stack->n - 1];
    const struct pack_visit *visit = stack->visit;
    if (stack->n == 1)
        return visit->root(visit->arg, &frame->was, &frame->page, frame->spots);
    int err = visit->page(visit->arg, &frame->was, &frame->page, frame->spots, spot);
    if (err == OK)
        page_memo_add(stack->memo, &frame->was, frame->files, spot);
    return err;
}

/* One step: past an entry, down into one, or up from a page that is done. */
static int stack_step(struct pack_stack *stack)
{
    struct pack_frame *frame = &stack->frames[stack->n - 1];
    struct page_spot spot = {0};
    if (frame->left == 0) {
        int err = frame_take(stack, &spot);
        if (err != OK)
            return err;
        frame_pop(stack);
        if (stack->n > 0) {
            frame = &stack->frames[stack->n - 1];
            frame->spots[--frame->left] = spot;
        }
        return OK;
    }
    const struct entry *e = &frame->page.entries[frame->left - 1];
    if (e->where.place != PLACE_PAGE) {
        frame->left--;
        return OK;
    }
    if (page_memo_find(stack->memo, &e->where, &spot)) {
        frame->spots[--frame->left] = spot;
        return OK;
    }
    if (frame->left <= frame->fetched)
        fetch_ahead(stack, frame);
    return frame_push(stack, e);
}

int pack_walk(const struct tree *tree, struct page_memo *memo, const struct pack_visit *visit)
{
    struct pack_stack stack = {.tree = tree, .memo = memo, .visit = visit};
    const struct entry root = {.where = tree->root, .files = tree->files};
    int err = frame_push(&stack, &root);
    while (err == OK && stack.n > 0)
        err = stack_step(&stack);
    stack_release(&stack);
    return err;
}
