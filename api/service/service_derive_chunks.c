/* Derivation: the chunks of a result, each with an address of its own. */
#include "api/service/derive_parts.h"

/* What a result consists of. */
struct pieces {
    struct hash recipe; /* whose result it is; zero for a leaf */
    const struct hash *hashes;
    uint64_t n;
    uint64_t size;
    uint32_t chunk_size;
};

static int pieces_of(const struct service *service, const struct id16 *project,
                     const struct derived *derived, struct pieces *out)
{
    uint32_t n;
    const struct hash *hashes = derived_chunks(derived, &n);
    struct derive_chunk whole;
    int err = OK;
    *out = (struct pieces){.hashes = n > 0 ? hashes : &derived->hash,
                           .n = n > 0 ? n : 1,
                           .size = derived->size,
                           .chunk_size = service->repo->bucket.chunk_size};
    if (derived->by_content) {
        err = derive_index_chunk(service->derive->index, project, &derived->address,
                                 DERIVE_MISS_TELL, &whole);
        if (err == OK)
            out->recipe = whole.recipe;
    } else if (derived->is == DERIVE_IS_RECIPE) {
        out->recipe = derived->address;
    }
    return err;
}

static void page_fill(const struct pieces *pieces, uint64_t from, size_t max,
                      struct arena *arena, struct derive_chunk_page *page)
{
    uint64_t first = from == 0 ? 0 : (from - 1) / pieces->chunk_size + 1;
    uint64_t left = first < pieces->n ? pieces->n - first : 0;
    page->n = left < max ? (size_t)left : max;
    page->more = page->n < left;
    page->rows = arena_array(arena, page->n, struct derive_chunk_row);
    for (size_t i = 0; i < page->n; i++) {
        uint64_t offset = (first + i) * pieces->chunk_size;
        uint64_t rest = pieces->size - offset;
        page->rows[i] = (struct derive_chunk_row){
            .offset = offset,
            .size = pieces->n > 1 && rest > pieces->chunk_size ? pieces->chunk_size : rest,
            .address = pieces->hashes[first + i]};
    }
}

struct untold {
    struct derive_item *items;
    size_t n;
    size_t cap;
};

/* A chunk that the index does not know: goes into the item of those before it, or into another.
 */
static void untold_add(struct untold *untold, const struct derived *derived,
                       const struct pieces *pieces, uint64_t number, struct arena *arena)
{
    struct derive_chunks *last = untold->n > 0 ? &untold->items[untold->n - 1].chunks : NULL;
    if (last != NULL && last->first + last->n == number && last->n < DERIVE_CHUNKS_MAX) {
        last->n++;
        return;
    }
    struct derive_item *item =
        arena_push(arena, (void **)&untold->items, &untold->n, &untold->cap, sizeof(*item));
    *item = (struct derive_item){.kind = DERIVE_CHUNKS,
                                 .address = derived->hash,
                                 .chunks = {.recipe = pieces->recipe,
                                            .output = derived->hash,
                                            .size = pieces->size,
                                            .chunk_size = pieces->chunk_size,
                                            .first = (uint32_t)number,
                                            .n = 1,
                                            .hashes = &pieces->hashes[number]}};
}

static int untold_find(struct service *service, const struct id16 *project,
                       const struct derived *derived, const struct pieces *pieces,
                       const struct derive_chunk_page *page, struct arena *arena,
                       struct untold *untold)
{
    for (size_t i = 0; i < page->n; i++) {
        struct derive_chunk known;
        int err = derive_index_chunk(service->derive->index, project, &page->rows[i].address,
                                     DERIVE_MISS_TELL, &known);
        if (err == ERR_NOT_FOUND)
            untold_add(untold, derived, pieces, page->rows[i].offset / pieces->chunk_size,
                       arena);
        else if (err != OK)
            return err;
    }
    return OK;
}

int service_derive_chunks(struct service *service, const struct id16 *project,
                          const struct derived *derived, uint64_t from, size_t max,
                          struct arena *arena, struct derive_chunk_page *out,
                          derive_written_fn told, void *arg, struct problem *problem)
{
    struct untold untold = {0};
    struct pieces pieces;
    int err = pieces_of(service, project, derived, &pieces);
    if (err == OK) {
        page_fill(&pieces, from, max, arena, out);
        out->lasts = derived->n_refs == 0;
    }
    if (err == OK && out->lasts && !hash_is_zero(&pieces.recipe))
        err = untold_find(service, project, derived, &pieces, out, arena, &untold);
    if (err != OK)
        return service_problem(problem, err, "the index");
    return service_derive_tell(service, project, untold.items, (uint32_t)untold.n, told, arg,
                               problem);
}
