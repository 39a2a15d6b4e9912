/* Derivation: which chunks a result has. */
#include "api/http/derive_request.h"
#include "api/http/route.h"

#define PAGE_DEFAULT 1000u
#define PAGE_MOST    10000u

struct chunks_request {
    struct derive_request get;
    uint64_t from;
    uint64_t limit;
    struct derived *derived;
    struct derive_chunk_page page;
};

static void respond_chunks(const struct chunks_request *chunks)
{
    const struct derived *derived = chunks->derived;
    const struct derive_chunk_page *page = &chunks->page;
    struct json_writer w;
    respond_json(chunks->get.r, 200, &w);
    jwr_hash(&w, "output", &derived->hash);
    jwr_u64(&w, "size", derived->size);
    jwr_bool(&w, "lasts", page->lasts);
    jwr_array(&w, "chunks");
    for (size_t i = 0; i < page->n; i++) {
        jwr_object(&w, NULL);
        jwr_u64(&w, "offset", page->rows[i].offset);
        jwr_u64(&w, "size", page->rows[i].size);
        jwr_hash(&w, "address", &page->rows[i].address);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    if (page->more) {
        const struct derive_chunk_row *last = &page->rows[page->n - 1];
        jwr_u64(&w, "next", last->offset + last->size);
    }
    jwr_object_end(&w);
}

static void on_told(void *arg, const struct problem *problem, uint64_t hlc)
{
    struct chunks_request *chunks = arg;
    (void)hlc; /* is in the answer's header */
    if (problem->err != OK)
        respond_problem(chunks->get.r, problem);
    else
        respond_chunks(chunks);
    derived_close(chunks->derived);
    request_resume(chunks->get.r);
}

static void on_result(void *arg, const struct derive_answer *answer)
{
    struct chunks_request *chunks = arg;
    struct request *r = chunks->get.r;
    struct problem problem;
    if (!derive_answer_begin(r, answer)) {
        request_resume(r);
        return;
    }
    struct derived *derived = answer->derived;
    bool tree = derived->is == DERIVE_IS_TREE;
    chunks->derived = derived;
    if (tree)
        respond_error(r, 422, "is_tree", NULL, "this address is a directory: it has no chunks");
    /* When it is told, which may be before this returns, nothing of the request is left. */
    else if (service_derive_chunks(r->service, &r->project, derived, chunks->from,
                                   (size_t)chunks->limit, &r->arena, &chunks->page, on_told,
                                   chunks, &problem) == OK)
        return;
    else
        respond_problem(r, &problem);
    derived_close(derived);
    request_resume(r);
}

void handle_derive_chunks(struct request *r)
{
    struct chunks_request *chunks = arena_new(&r->arena, struct chunks_request);
    chunks->get.r = r;
    if (!derive_request_read(&chunks->get) ||
        !request_u64(r, "after", INT64_MAX, 0, &chunks->from) ||
        !request_limit(r, PAGE_MOST, PAGE_DEFAULT, &chunks->limit))
        return;
    chunks->get.ask.want = GET_BYTES;
    request_suspend(r);
    derive_request_begin(&chunks->get, on_result, chunks);
}
