#include "formats/tree_object.h"

#include "formats/base/limits.h"
#include "formats/base/wire.h"

#define TREE_VERSION   1u
#define FOOTER_VERSION 1u
#define FOOTER_MIN     263u /* without ancestors and companions */

static const char tree_magic[4] = "MTRO";
static const char trailer_magic[4] = "MTRE";
static const char footer_magic[4] = "MTRF";

static void section_write(struct buf *out, const struct section *s)
{
    wr_u32(out, s->offset);
    wr_u32(out, s->len);
    wr_hash(out, &s->hash);
}

static struct section section_read(struct reader *r)
{
    struct section s;
    s.offset = rd_u32(r);
    s.len = rd_u32(r);
    s.hash = rd_hash(r);
    return s;
}

static bool section_ok(const struct section *s, uint32_t len_max)
{
    return s->len <= len_max && (uint64_t)s->offset + s->len <= TREE_OBJECT_MAX;
}

/* The number of the k-th ancestor of `batch`: the newest before it that is a multiple of
 * 16^k. */
static uint64_t ancestor_batch(uint64_t batch, unsigned k)
{
    assert(batch > 0 && k < ANCESTORS_MAX);
    return (batch - 1) >> (4 * k) << (4 * k);
}

/* The list ends with batch 0, a multiple of everything: what would follow is the same again. */
static unsigned ancestors_wanted(uint64_t batch)
{
    unsigned n = 0;
    while (batch > 0 && n < ANCESTORS_MAX && (n == 0 || ancestor_batch(batch, n - 1) > 0)) {
        n++;
    }
    return n;
}

static bool ancestors_ok(const struct footer *f)
{
    if (f->n_ancestors != ancestors_wanted(f->batch)) {
        return false;
    }
    if (f->n_ancestors == 0) {
        return hash_is_zero(&f->prev);
    }
    uint64_t position = f->first;
    for (unsigned k = 0; k < f->n_ancestors; k++) {
        const struct ancestor *a = &f->ancestors[k];
        if (a->batch != ancestor_batch(f->batch, k) || a->position > position ||
            hash_is_zero(&a->tree)) {
            return false;
        }
        position = a->position;
    }
    /* The first of them is the previous batch, which the footer names twice. */
    return f->ancestors[0].position == f->first && hash_equal(&f->ancestors[0].tree, &f->prev);
}

static bool footer_ok(const struct footer *f)
{
    return ancestors_ok(f) && f->position >= f->first &&
           f->position - f->first <= f->n_records && section_ok(&f->root, PAGE_BYTES_MAX) &&
           section_ok(&f->records, RECORDS_MAX) && section_ok(&f->ids, TREE_OBJECT_MAX) &&
           f->ids.len == (uint64_t)f->n_records * TREE_ID_LEN;
}

void footer_encode(const struct footer *f, struct buf *out)
{
    /* What is refused when it is read must never be written. */
    assert(footer_ok(f));
    size_t at = envelope_begin(out, footer_magic, FOOTER_VERSION);
    wr_u64(out, f->batch);
    wr_u64(out, f->first);
    wr_u64(out, f->position);
    wr_u64(out, f->hlc);
    wr_u64(out, f->agent);
    wr_hash(out, &f->prev);
    wr_u64(out, f->files);
    wr_u64(out, f->bytes);
    wr_hash(out, &f->root_content);
    section_write(out, &f->root);
    section_write(out, &f->records);
    wr_u32(out, f->n_records);
    section_write(out, &f->ids);
    wr_u8(out, f->n_ancestors);
    for (unsigned k = 0; k < f->n_ancestors; k++) {
        wr_u64(out, f->ancestors[k].batch);
        wr_u64(out, f->ancestors[k].position);
        wr_hash(out, &f->ancestors[k].tree);
    }
    wr_u16(out, f->n_companions);
    for (unsigned i = 0; i < f->n_companions; i++) {
        wr_hash(out, &f->companions[i]);
    }
    envelope_close(out, at);
    assert(out->len - at <= FOOTER_MAX);
}

static void ancestors_read(struct reader *r, struct footer *f)
{
    f->n_ancestors = rd_u8(r);
    if (f->n_ancestors > ANCESTORS_MAX) {
        rd_fail(r, ERR_CORRUPT);
        return;
    }
    for (unsigned k = 0; k < f->n_ancestors; k++) {
        f->ancestors[k].batch = rd_u64(r);
        f->ancestors[k].position = rd_u64(r);
        f->ancestors[k].tree = rd_hash(r);
    }
}

int footer_decode(struct bytes in, struct arena *arena, struct footer *out)
{
    if (in.len > FOOTER_MAX) {
        return ERR_LIMIT;
    }
    struct reader r;
    int err = envelope_open(in, footer_magic, FOOTER_VERSION, &r);
    if (err != 0) {
        return err;
    }
    struct footer f = {0};
    f.batch = rd_u64(&r);
    f.first = rd_u64(&r);
    f.position = rd_u64(&r);
    f.hlc = rd_u64(&r);
    f.agent = rd_u64(&r);
    f.prev = rd_hash(&r);
    f.files = rd_u64(&r);
    f.bytes = rd_u64(&r);
    f.root_content = rd_hash(&r);
    f.root = section_read(&r);
    f.records = section_read(&r);
    f.n_records = rd_u32(&r);
    f.ids = section_read(&r);
    ancestors_read(&r, &f);
    f.n_companions = rd_u16(&r);
    struct bytes companions = rd_bytes(&r, f.n_companions * sizeof(struct hash));
    err = rd_end(&r);
    if (err != 0) {
        return err;
    }
    if (!footer_ok(&f)) {
        return ERR_CORRUPT;
    }
    f.companions = arena_array(arena, f.n_companions, struct hash);
    if (companions.len > 0) {
        memcpy(f.companions, companions.data, companions.len);
    }
    *out = f;
    return 0;
}

struct location footer_root(const struct footer *f, const struct hash *tree)
{
    return (struct location){.place = PLACE_PAGE,
                             .tree = *tree,
                             .offset = f->root.offset,
                             .len = f->root.len,
                             .check = f->root.hash};
}

void footer_follow(struct footer *f, const struct footer *prev, const struct hash *prev_hash)
{
    f->batch = prev->batch + 1;
    f->first = prev->position;
    f->prev = *prev_hash;
    f->n_ancestors = (uint8_t)ancestors_wanted(f->batch);
    for (unsigned k = 0; k < f->n_ancestors; k++) {
        if (ancestor_batch(f->batch, k) == prev->batch) {
            f->ancestors[k] = (struct ancestor){prev->batch, prev->position, *prev_hash};
        } else {
            /* No multiple of 16^k lies between, so the previous batch has the same ancestor;
             * past the end of its list that is batch 0. */
            unsigned last = prev->n_ancestors - 1u;
            f->ancestors[k] = prev->ancestors[k < last ? k : last];
        }
    }
}

const struct ancestor *footer_toward(const struct footer *f, uint64_t position)
{
    const struct ancestor *oldest = NULL;
    for (unsigned k = 0; k < f->n_ancestors; k++) {
        if (f->ancestors[k].position >= position) {
            oldest = &f->ancestors[k];
        }
    }
    return oldest;
}

void tree_header_write(struct buf *out)
{
    wr_bytes(out, bytes_of(tree_magic, sizeof(tree_magic)));
    wr_u16(out, TREE_VERSION);
    wr_u16(out, 0);
}

void tree_trailer_write(struct buf *out, uint32_t footer_len)
{
    assert(footer_len >= FOOTER_MIN && footer_len <= FOOTER_MAX);
    wr_u32(out, footer_len);
    wr_bytes(out, bytes_of(trailer_magic, sizeof(trailer_magic)));
}

int tree_trailer_find(struct bytes tail, uint32_t *footer_len)
{
    if (tail.len < TREE_TRAILER_LEN) {
        return ERR_CORRUPT;
    }
    struct reader r;
    rd_init(&r, bytes_of(tail.data + tail.len - TREE_TRAILER_LEN, TREE_TRAILER_LEN));
    uint32_t len = rd_u32(&r);
    struct bytes magic = rd_bytes(&r, sizeof(trailer_magic));
    if (!bytes_equal(magic, bytes_of(trailer_magic, sizeof(trailer_magic))) ||
        len < FOOTER_MIN) {
        return ERR_CORRUPT;
    }
    if (len > FOOTER_MAX) {
        return ERR_LIMIT;
    }
    *footer_len = len;
    return 0;
}

void tree_id_write(struct buf *out, const struct tree_id *id)
{
    wr_id16(out, &id->session);
    wr_id16(out, &id->request);
    wr_u8(out, (uint8_t)((unsigned)id->verdict | (id->closes ? VERDICT_CLOSES : 0)));
    wr_u32(out, id->offset);
}

int tree_ids_decode(struct bytes in, uint32_t n, struct arena *arena, struct tree_id **out)
{
    if (in.len != (uint64_t)n * TREE_ID_LEN) {
        return ERR_CORRUPT;
    }
    struct reader r;
    rd_init(&r, in);
    struct tree_id *ids = arena_array(arena, n, struct tree_id);
    for (uint32_t i = 0; i < n; i++) {
        ids[i].session = rd_id16(&r);
        ids[i].request = rd_id16(&r);
        uint8_t verdict = rd_u8(&r);
        ids[i].closes = (verdict & VERDICT_CLOSES) != 0;
        ids[i].verdict = (enum verdict)(verdict & ~VERDICT_CLOSES);
        if (!verdict_known(ids[i].verdict)) {
            return ERR_CORRUPT;
        }
        ids[i].offset = rd_u32(&r);
    }
    int err = rd_end(&r);
    if (err == 0) {
        *out = ids;
    }
    return err;
}
