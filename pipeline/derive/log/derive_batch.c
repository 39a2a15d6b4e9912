#include "pipeline/derive/log/derive_batch.h"

#include <stdlib.h>

#include "pipeline/sys/log.h"

struct derive_batch *derive_batch_new(void)
{
    struct derive_batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
        abort();
    return batch;
}

void derive_batch_free(struct derive_batch *batch)
{
    if (batch == NULL)
        return;
    buf_release(&batch->items);
    buf_release(&batch->bytes);
    free(batch->tells);
    free(batch);
}

void derive_batch_add(struct derive_batch *batch, struct bytes items, uint32_t n,
                      derive_told_fn told, void *arg)
{
    if (batch->n_tells == batch->cap_tells) {
        batch->cap_tells = batch->cap_tells == 0 ? 8 : batch->cap_tells * 2;
        batch->tells = reallocarray(batch->tells, batch->cap_tells, sizeof(*batch->tells));
        if (batch->tells == NULL)
            abort();
    }
    batch->tells[batch->n_tells++] = (struct derive_told){.told = told, .arg = arg};
    buf_append_bytes(&batch->items, items);
    batch->n_items += n;
}

size_t derive_batch_tell(struct derive_batch *batch, int err)
{
    size_t n = batch->n_tells;
    uint64_t hlc = err == OK ? batch->hlc : 0;
    batch->n_tells = 0;
    for (size_t i = 0; i < n; i++)
        batch->tells[i].told(batch->tells[i].arg, err, hlc);
    return n;
}

void derive_batch_number(struct derive_batch *batch, struct repo *repo,
                         const struct id16 *project, uint64_t seq)
{
    assert(!batch->unknown && seq > batch->seq);
    batch->seq = seq;
    batch->hlc = repo_hlc(repo);
    batch->key = key_derive(project, repo->agent, seq);
    buf_clear(&batch->bytes);
    derive_object_begin(&batch->bytes, project, repo->agent, seq, batch->hlc);
    buf_append_bytes(&batch->bytes, buf_bytes(&batch->items));
    derive_object_finish(&batch->bytes, batch->n_items);
}

/* Something lies under the key: is it ours? 0, ERR_CONFLICT (another's), or what the
 * store says. */
static int compare(const struct derive_batch *batch, struct repo *repo)
{
    AUTO_BUF there = {0};
    int err = store_get(repo->store, batch->key.s, range_all(), &there, NULL, NULL);
    if (err == ERR_LIMIT)
        return ERR_CONFLICT;
    if (err != OK)
        return err;
    return bytes_equal(buf_bytes(&there), buf_bytes(&batch->bytes)) ? OK : ERR_CONFLICT;
}

enum derive_fate derive_batch_judge(struct derive_batch *batch, struct repo *repo, int err)
{
    batch->puts++;
    if (err == OK)
        return DERIVE_DURABLE;
    /* What lies there is ours after a put of which nobody knew what became, or one that a proxy
     * has repeated. A store that says so has made it durable. */
    if (err == ERR_CONFLICT) {
        int found = compare(batch, repo);
        if (found == OK)
            return DERIVE_DURABLE;
        if (found == ERR_CONFLICT) {
            batch->unknown = false;
            log_error("derive_key_taken", LOG_STR("key", batch->key.s));
            return DERIVE_TAKEN;
        }
    }
    if (err == ERR_CONFLICT || err == ERR_UNKNOWN)
        batch->unknown = true;
    /* Whatever this reply is, an earlier put may still take effect. */
    return err == ERR_AGAIN || batch->unknown ? DERIVE_WAITS : DERIVE_REFUSED;
}
