#include "formats/derive_object.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"

#define VERSION  1u
#define COUNT_AT 56u
/* The least that an item takes: an empty leaf. */
#define ITEM_LEAST 5u

static const char magic[4] = "MDRV";

static void quarantine_write(struct buf *out, const struct quarantine *q)
{
    wr_run8(out, q->function);
    wr_run8(out, q->version);
    wr_hash(out, &q->implementation);
    wr_hash(out, &q->key);
    wr_hash(out, &q->first);
    wr_hash(out, &q->second);
}

uint64_t derive_chunks_count(uint64_t size, uint32_t chunk_size)
{
    return size == 0 ? 1 : (size - 1) / chunk_size + 1;
}

static void chunks_write(struct buf *out, const struct derive_chunks *chunks)
{
    wr_hash(out, &chunks->recipe);
    wr_hash(out, &chunks->output);
    wr_u64(out, chunks->size);
    wr_u32(out, chunks->chunk_size);
    wr_u32(out, chunks->first);
    wr_u32(out, chunks->n);
    for (uint32_t i = 0; i < chunks->n; i++)
        wr_hash(out, &chunks->hashes[i]);
}

void derive_item_write(struct buf *out, const struct derive_item *item)
{
    wr_u8(out, (uint8_t)item->kind);
    switch (item->kind) {
    case DERIVE_RECIPE:
    case DERIVE_LEAF:
        wr_run32(out, item->data);
        break;
    case DERIVE_UPLOAD:
        wr_hash(out, &item->address);
        wr_u64(out, item->size);
        break;
    case DERIVE_MEMO:
        memo_write(out, &item->memo);
        break;
    case DERIVE_TREE:
        wr_hash(out, &item->address);
        wr_hash(out, &item->where.tree);
        wr_u32(out, item->where.offset);
        wr_u32(out, item->where.len);
        wr_hash(out, &item->where.check);
        break;
    case DERIVE_QUARANTINE:
        quarantine_write(out, &item->quarantine);
        break;
    case DERIVE_PIN:
    case DERIVE_UNPIN:
        wr_hash(out, &item->address);
        break;
    case DERIVE_CHUNKS:
        chunks_write(out, &item->chunks);
        break;
    }
}

void derive_object_begin(struct buf *out, const struct id16 *project, uint64_t agent,
                         uint64_t seq, uint64_t hlc)
{
    size_t at = envelope_begin(out, magic, VERSION);
    assert(at == 0 && seq > 0);
    wr_id16(out, project);
    wr_u64(out, agent);
    wr_u64(out, seq);
    wr_u64(out, hlc);
    assert(out->len == COUNT_AT);
    wr_u32(out, 0);
}

void derive_object_finish(struct buf *out, uint32_t items)
{
    wr_u32_at(out, COUNT_AT, items);
    envelope_close(out, 0);
}

/* ---- reading ---- */

static void recipe_read(struct reader *r, struct arena *arena, struct derive_item *item)
{
    struct recipe recipe;
    item->data = rd_run32(r, RECIPE_LEN_MAX);
    if (rd_error(r) == OK && recipe_decode(item->data, arena, &recipe) != OK)
        rd_fail(r, ERR_CORRUPT);
    item->address = recipe_address(item->data);
}

static void tree_read(struct reader *r, struct derive_item *item)
{
    item->address = rd_hash(r);
    item->where.place = PLACE_PAGE;
    item->where.tree = rd_hash(r);
    item->where.offset = rd_u32(r);
    item->where.len = rd_u32(r);
    item->where.check = rd_hash(r);
}

static void quarantine_read(struct reader *r, struct derive_item *item)
{
    struct quarantine *q = &item->quarantine;
    q->function = rd_run8(r, FUNCTION_NAME_MAX);
    q->version = rd_run8(r, FUNCTION_NAME_MAX);
    q->implementation = rd_hash(r);
    q->key = rd_hash(r);
    q->first = rd_hash(r);
    q->second = rd_hash(r);
    item->address = q->key;
    if (!function_name_ok(q->function) || !function_version_ok(q->version))
        rd_fail(r, ERR_CORRUPT);
}

/* Whether the sizes and numbers agree, and the only chunk is what it is a chunk of. */
static bool chunks_ok(const struct derive_chunks *chunks)
{
    if (chunks->size > RESULT_SIZE_MAX || chunks->chunk_size < CHUNK_SIZE_MIN ||
        chunks->chunk_size > CHUNK_SIZE_MAX || chunks->n == 0)
        return false;
    uint64_t count = derive_chunks_count(chunks->size, chunks->chunk_size);
    return (uint64_t)chunks->first + chunks->n <= count &&
           (count > 1 || hash_equal(&chunks->hashes[0], &chunks->output));
}

static void chunks_read(struct reader *r, struct arena *arena, struct derive_item *item)
{
    struct derive_chunks *chunks = &item->chunks;
    chunks->recipe = rd_hash(r);
    chunks->output = rd_hash(r);
    chunks->size = rd_u64(r);
    chunks->chunk_size = rd_u32(r);
    chunks->first = rd_u32(r);
    chunks->n = rd_count(r, sizeof(struct hash), DERIVE_CHUNKS_MAX);
    struct hash *hashes = arena_array(arena, chunks->n, struct hash);
    for (uint32_t i = 0; i < chunks->n; i++)
        hashes[i] = rd_hash(r);
    chunks->hashes = hashes;
    item->address = chunks->output;
    if (rd_error(r) == OK && !chunks_ok(chunks))
        rd_fail(r, ERR_CORRUPT);
}

static struct derive_item item_read(struct reader *r, struct arena *arena)
{
    struct derive_item item = {.kind = (enum derive_kind)rd_u8(r)};
    switch ((int)item.kind) {
    case DERIVE_RECIPE:
        recipe_read(r, arena, &item);
        break;
    case DERIVE_LEAF:
        item.data = rd_run32(r, INLINE_CONTENT_MAX);
        item.address = sha256(item.data);
        break;
    case DERIVE_UPLOAD:
        item.address = rd_hash(r);
        item.size = rd_u64(r);
        if (item.size > CONTENT_SIZE_MAX)
            rd_fail(r, ERR_CORRUPT);
        break;
    case DERIVE_MEMO:
        item.memo = memo_read(r);
        item.address = item.memo.key;
        break;
    case DERIVE_TREE:
        tree_read(r, &item);
        break;
    case DERIVE_QUARANTINE:
        quarantine_read(r, &item);
        break;
    case DERIVE_PIN:
    case DERIVE_UNPIN:
        item.address = rd_hash(r);
        break;
    case DERIVE_CHUNKS:
        chunks_read(r, arena, &item);
        break;
    default: /* what another has written */
        rd_fail(r, ERR_CORRUPT);
        break;
    }
    return item;
}

int derive_object_decode(struct bytes in, struct arena *arena, struct derive_object *out)
{
    if (in.len > DERIVE_OBJECT_MAX)
        return ERR_LIMIT;
    struct reader r;
    int err = envelope_open(in, magic, VERSION, &r);
    if (err != OK)
        return err;
    struct derive_object object = {.project = rd_id16(&r)};
    object.agent = rd_u64(&r);
    object.seq = rd_u64(&r);
    object.hlc = rd_u64(&r);
    object.n = rd_count(&r, ITEM_LEAST, DERIVE_ITEMS_MAX);
    object.items = arena_array(arena, object.n, struct derive_item);
    for (uint32_t i = 0; i < object.n && rd_error(&r) == OK; i++)
        object.items[i] = item_read(&r, arena);
    if (object.seq == 0)
        rd_fail(&r, ERR_CORRUPT);
    err = rd_end(&r);
    if (err != OK)
        return err;
    *out = object;
    return OK;
}
