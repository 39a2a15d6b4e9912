#include "pipeline/derive/run/derived.h"

#include <string.h>

#include "pipeline/derive/run/derived_inside.h"
#include "pipeline/derive/run/get_range.h"

struct inside {
    struct derived derived; /* first: it is what callers have */
    /* Where the bytes come from, one of: */
    struct result_reader *reader;
    struct derive_input *input;
    struct get *range;
    struct source_ref *source; /* of the input */
    struct arena arena;        /* of the refs */
};

static void range_set(struct derived *derived, const struct get_options *options)
{
    uint64_t from = options->want == GET_RANGE ? options->from : 0;
    uint64_t end = options->want == GET_RANGE ? options->end : UINT64_MAX;
    bool bytes = options->want == GET_BYTES || options->want == GET_RANGE;
    if (!bytes || derived->is == DERIVE_IS_TREE)
        end = 0;
    derived->end = end < derived->size ? end : derived->size;
    derived->from = from < derived->end ? from : derived->end;
}

/* ---- the fast path ---- */

int derived_known(struct executor *ex, const struct id16 *project, const struct hash *address,
                  const struct get_options *options, struct derived **out)
{
    struct fact fact;
    if (!fact_table_find(ex->known, project, address, &fact))
        return ERR_NOT_FOUND;
    struct result_reader *reader = NULL;
    bool bytes = options->want == GET_BYTES || options->want == GET_RANGE;
    if (bytes && result_open(ex->options.cache, project, &fact.result.hash, &reader) != OK)
        return ERR_NOT_FOUND;
    COUNT(ex, gets);
    COUNT(ex, fast);
    struct inside *inside = must_alloc(1, sizeof(*inside));
    inside->reader = reader;
    inside->derived = (struct derived){.address = *address,
                                       .is = DERIVE_IS_RECIPE,
                                       .hash_known = true,
                                       .hash = fact.result.hash,
                                       .size = fact.result.size,
                                       .chunk_size = fact.result.chunk_size,
                                       .chunks = fact.result.chunks,
                                       .cost_us = fact.cost_us};
    range_set(&inside->derived, options);
    *out = &inside->derived;
    return OK;
}

int executor_known(struct executor *ex, const struct id16 *project, const struct hash *address,
                   struct derived **out)
{
    const struct get_options options = {.want = GET_BYTES};
    return derived_known(ex, project, address, &options, out);
}

/* ---- of a get ---- */

static void refs_take(struct inside *inside, const struct get *get)
{
    struct derived *derived = &inside->derived;
    derived->n_refs = (uint32_t)get->n_refs_seen;
    derived->refs = arena_array(&inside->arena, get->n_refs_seen, struct derived_ref);
    for (size_t i = 0; i < get->n_refs_seen; i++) {
        const struct derived_ref *seen = &get->refs_seen[i];
        derived->refs[i] = (struct derived_ref){.name = arena_copy(&inside->arena, seen->name),
                                                .path = arena_copy(&inside->arena, seen->path),
                                                .address = seen->address};
    }
}

static int bytes_take(struct inside *inside, struct get *get)
{
    const struct node *root = get->root;
    if (get->options.want == GET_RANGE) {
        (void)atomic_fetch_add(&get->refs, 1);
        inside->range = get;
        return OK;
    }
    if (root->is == DERIVE_IS_RECIPE)
        return hold_reader(root->hold, &get->project, &inside->reader);
    inside->source = source_ref_take(get->source);
    return source_open_leaf(get->source, &root->address, root->size, &inside->input);
}

/* All of a result whose hash is the address: what comes of the recipe now may be something
 * else. */
static int content_copy(struct get *get, struct result_writer *writer, struct result *out,
                        struct result_reader **reader)
{
    int err = OK;
    for (uint64_t at = get->from; at < get->end && err == OK;) {
        struct bytes view;
        err = get_range_view(get, at, &view);
        if (err == OK)
            err = fn_put(result_out(writer), view);
        at += err == OK ? view.len : 0;
    }
    struct clock *clock = get->ex->options.clock;
    if (err == OK)
        err = result_finish(writer, clock->mono_us(clock) - get->began_us, out, reader);
    return err;
}

static int content_take(struct inside *inside, struct get *get)
{
    const struct node *root = get->root;
    if (root->hold != NULL)
        return hold_reader(root->hold, &get->project, &inside->reader);
    struct result result;
    struct result_writer *writer;
    int err = result_begin(get->ex->options.cache, &get->project, &writer);
    if (err != OK)
        return err;
    err = content_copy(get, writer, &result, &inside->reader);
    result_writer_close(writer);
    if (err == OK && !hash_equal(&result.hash, &get->address))
        err = get_missing(get, root);
    if (err == OK)
        get_keep(get, &get->address, &result.hash);
    return err;
}

struct derived *derived_make(struct get *get)
{
    const struct node *root = get->root;
    struct inside *inside = must_alloc(1, sizeof(*inside));
    struct derived *derived = &inside->derived;
    *derived = (struct derived){.address = get->address,
                                .is = root->is,
                                .by_content = root->by_content,
                                .hash_known = root->known,
                                .hash = root->content.hash,
                                .size = root->size,
                                .chunk_size = root->chunk_size,
                                .chunks = root->chunks,
                                .cost_us = root->cost_us,
                                .ran = get->ran,
                                .verified = get->verified};
    refs_take(inside, get);
    range_set(derived, &get->options);
    if (derived->from == derived->end && !get->checks)
        return derived;
    int err = get->checks ? content_take(inside, get) : bytes_take(inside, get);
    if (err == OK)
        return derived;
    derived_close(derived);
    get_fail_err(get, &get->address, err);
    return NULL;
}

int derived_view(struct derived *derived, uint64_t offset, struct bytes *out)
{
    struct inside *inside = (struct inside *)derived;
    assert(offset >= derived->from && offset < derived->end);
    if (inside->range != NULL)
        return get_range_view(inside->range, offset, out);
    struct fn_bytes *bytes =
        inside->reader != NULL ? result_bytes(inside->reader) : inside->input->bytes;
    struct bytes view;
    int err = bytes->view(bytes, offset, &view);
    if (err != OK)
        return err;
    uint64_t left = derived->end - offset;
    *out = bytes_of(view.data, view.len < left ? view.len : (size_t)left);
    return OK;
}

const struct hash *derived_chunks(const struct derived *derived, uint32_t *n)
{
    const struct inside *inside = (const struct inside *)derived;
    *n = 0;
    return inside->reader != NULL ? result_chunks(inside->reader, n) : NULL;
}

void derived_close(struct derived *derived)
{
    if (derived == NULL)
        return;
    struct inside *inside = (struct inside *)derived;
    result_close(inside->reader);
    if (inside->input != NULL)
        inside->input->close(inside->input);
    source_ref_drop(inside->source);
    if (inside->range != NULL)
        get_drop(inside->range);
    arena_release(&inside->arena);
    free(inside);
}
