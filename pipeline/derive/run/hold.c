/* What is shared by count: sources, and results whose bytes stay readable. */
#include "pipeline/derive/run/executor_inside.h"

struct source_ref *source_ref_take(struct source_ref *ref)
{
    (void)atomic_fetch_add(&ref->refs, 1);
    return ref;
}

void source_ref_drop(struct source_ref *ref)
{
    if (ref == NULL || atomic_fetch_sub(&ref->refs, 1) > 1)
        return;
    ref->source->release(ref->source);
    free(ref);
}

int source_open_leaf(struct source_ref *ref, const struct hash *address, uint64_t size,
                     struct derive_input **out)
{
    struct derive_input *input;
    int err = ref->source->open(ref->source, address, &input);
    if (err != OK)
        return err;
    if (input->bytes == NULL || input->bytes->size != size) {
        input->close(input);
        return ERR_CORRUPT;
    }
    *out = input;
    return OK;
}

struct hold *hold_new(struct executor *ex, const struct id16 *project,
                      struct result_reader *reader, bool surely)
{
    struct hold *hold = must_alloc(1, sizeof(*hold));
    hold->ex = ex;
    hold->reader = reader;
    hold->result = *result_of(reader);
    atomic_init(&hold->refs, 1);
    executor_lock(ex);
    bool fits = ex->in_flight + hold->result.size <= ex->options.in_flight_max;
    executor_unlock(ex);
    if (!fits && !surely && result_has(ex->options.cache, project, &hold->result.hash, NULL)) {
        result_close(hold->reader);
        hold->reader = NULL;
    }
    return hold;
}

int hold_open(struct executor *ex, const struct id16 *project, const struct hash *hash,
              bool surely, struct hold **out)
{
    struct result_reader *reader;
    int err = result_open(ex->options.cache, project, hash, &reader);
    if (err != OK)
        return err;
    struct hold *hold = hold_new(ex, project, reader, surely);
    hold->counted = hold->reader != NULL ? hold->result.size : 0;
    executor_lock(ex);
    executor_in_flight(ex, (int64_t)hold->counted);
    executor_unlock(ex);
    *out = hold;
    return OK;
}

struct hold *hold_take(struct hold *hold)
{
    (void)atomic_fetch_add(&hold->refs, 1);
    return hold;
}

void hold_drop(struct hold *hold)
{
    if (hold == NULL || atomic_fetch_sub(&hold->refs, 1) > 1)
        return;
    struct executor *ex = hold->ex;
    if (hold->counted > 0) {
        executor_lock(ex);
        executor_in_flight(ex, -(int64_t)hold->counted);
        executor_unlock(ex);
    }
    result_close(hold->reader);
    free(hold);
}

int hold_reader(struct hold *hold, const struct id16 *project, struct result_reader **out)
{
    if (hold->reader == NULL)
        return result_open(hold->ex->options.cache, project, &hold->result.hash, out);
    *out = result_share(hold->reader);
    return OK;
}
