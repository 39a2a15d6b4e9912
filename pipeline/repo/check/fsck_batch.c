#include "pipeline/repo/check/fsck_batch.h"

#include "formats/base/hash.h"
#include "formats/page.h"

/* Records, ids, root page and footer of most batches are shorter. */
#define SUFFIX_LEN     (96u * KIB)
#define PAGE_BYTES_MIN 23u
#define PAGES_KEPT     (1u << 16)

void fsck_batch_release(struct fsck_batch *batch)
{
    buf_release(&batch->tail);
    arena_release(&batch->arena);
}

size_t fsck_batch_pages(const struct fsck_batch *batch)
{
    /* No page is shorter than its header. */
    size_t most = 1 + batch->footer.records.offset / PAGE_BYTES_MIN;
    return batch->footer.n_companions > 0 || most > PAGES_KEPT ? PAGES_KEPT : most;
}

/* --- footers --- */

static struct bytes part(const struct fsck_batch *batch, uint64_t offset, uint64_t len)
{
    assert(offset >= batch->at && offset + len <= batch->size);
    return bytes_of(batch->tail.data + (offset - batch->at), len);
}

/* Records, ids, root page and footer lie back to back. */
static bool sections_ok(const struct footer *f, uint64_t footer_at)
{
    return f->records.offset >= TREE_HEADER_LEN &&
           (uint64_t)f->records.offset + f->records.len == f->ids.offset &&
           (uint64_t)f->ids.offset + f->ids.len == f->root.offset &&
           (uint64_t)f->root.offset + f->root.len == footer_at;
}

static int footer_take(struct fsck_batch *batch)
{
    uint32_t len;
    int err = tree_trailer_find(buf_bytes(&batch->tail), &len);
    if (err != OK || batch->size < TREE_HEADER_LEN + TREE_TRAILER_LEN + (uint64_t)len)
        return ERR_CORRUPT;
    uint64_t at = batch->size - TREE_TRAILER_LEN - len;
    struct bytes bytes = part(batch, at, len); /* a suffix holds every footer */
    struct hash hash = sha256(bytes);
    if (!hash_equal(&hash, &batch->tree))
        return ERR_CORRUPT;
    err = footer_decode(bytes, &batch->arena, &batch->footer);
    return err == OK && sections_ok(&batch->footer, at) ? OK : ERR_CORRUPT;
}

static int suffixes_get(struct fsck *fsck, struct fsck_batch *batches, size_t n)
{
    static_assert(SUFFIX_LEN >= FOOTER_MAX + TREE_TRAILER_LEN, "a suffix holds every footer");
    struct fsck_gets gets = {0};
    for (size_t i = 0; i < n; i++)
        (void)fsck_gets_add(&gets, &batches[i].key, range_suffix(SUFFIX_LEN));
    int err = fsck_gets_run(fsck, &gets);
    for (size_t i = 0; i < n && err == OK; i++) {
        struct fsck_batch *batch = &batches[i];
        batch->wrong = gets.ops[i].err == ERR_NOT_FOUND ? "tree_missing" : "footer_damaged";
        if (gets.ops[i].err != OK || gets.ops[i].size > TREE_OBJECT_MAX ||
            gets.bodies[i].len > gets.ops[i].size)
            continue;
        batch->tail = gets.bodies[i];
        gets.bodies[i] = (struct buf){0};
        batch->size = gets.ops[i].size;
        batch->at = batch->size - batch->tail.len;
        if (batch->tail.len < TREE_TRAILER_LEN ||
            (batch->tail.len < SUFFIX_LEN && batch->at > 0))
            continue;
        if (footer_take(batch) == OK)
            batch->wrong = NULL;
    }
    fsck_gets_clear(&gets);
    return err;
}

/* --- what lies before --- */

static uint64_t wanted_from(const struct fsck_batch *batch, bool ids_only)
{
    return ids_only ? batch->footer.ids.offset : batch->footer.records.offset;
}

static void tail_prepend(struct fsck_batch *batch, struct buf *before)
{
    buf_append_bytes(before, buf_bytes(&batch->tail));
    buf_release(&batch->tail);
    batch->tail = *before;
    *before = (struct buf){0};
    batch->at = batch->size - batch->tail.len;
}

static int rests_get(struct fsck *fsck, struct fsck_batch *const *batches, size_t n,
                     bool ids_only)
{
    struct fsck_gets gets = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t from = wanted_from(batches[i], ids_only);
        (void)fsck_gets_add(&gets, &batches[i]->key, range_of(from, batches[i]->at - from));
    }
    int err = fsck_gets_run(fsck, &gets);
    for (size_t i = 0; i < n && err == OK; i++) {
        if (gets.ops[i].err == OK && gets.bodies[i].len == gets.ops[i].range.len)
            tail_prepend(batches[i], &gets.bodies[i]);
    }
    fsck_gets_clear(&gets);
    return err;
}

/* Makes the tails long enough, some at a time: sections may be large. */
static int tails_reach(struct fsck *fsck, struct fsck_batch *batches, size_t n, bool ids_only)
{
    struct fsck_batch *few[FSCK_AT_ONCE];
    size_t n_few = 0;
    uint64_t bytes = 0;
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++) {
        struct fsck_batch *batch = &batches[i];
        if (batch->wrong != NULL || wanted_from(batch, ids_only) >= batch->at)
            continue;
        few[n_few++] = batch;
        bytes += batch->at - wanted_from(batch, ids_only);
        if (bytes < FSCK_BYTES)
            continue;
        err = rests_get(fsck, few, n_few, ids_only);
        n_few = 0;
        bytes = 0;
    }
    return err == OK && n_few > 0 ? rests_get(fsck, few, n_few, ids_only) : err;
}

/* --- sections --- */

static bool section_take(const struct fsck_batch *batch, const struct section *section,
                         struct bytes *out)
{
    if (section->offset < batch->at)
        return false;
    struct bytes bytes = part(batch, section->offset, section->len);
    struct hash hash = sha256(bytes);
    if (!hash_equal(&hash, &section->hash))
        return false;
    *out = bytes;
    return true;
}

static bool root_take(struct fsck_batch *batch)
{
    const struct section *section = &batch->footer.root;
    if (section->offset < batch->at)
        return false;
    struct bytes bytes = part(batch, section->offset, section->len);
    struct hash hash = page_hash(bytes);
    struct page *page = arena_new(&batch->arena, struct page);
    if (!hash_equal(&hash, &section->hash) ||
        page_decode(bytes, &batch->tree, &batch->arena, page) != OK)
        return false;
    batch->root = page;
    return true;
}

static void sections_take(struct fsck_project *p, struct fsck_batch *batch, bool ids_only,
                          bool quiet)
{
    struct bytes ids;
    bool ids_ok =
        section_take(batch, &batch->footer.ids, &ids) &&
        tree_ids_decode(ids, batch->footer.n_records, &batch->arena, &batch->ids) == OK;
    if (!ids_ok && !quiet)
        fsck_damage(p->fsck, "named", "ids_damaged", batch->key.s,
                    "the ids of its records are not what the footer says");
    if (ids_only)
        return;
    if (!root_take(batch) && !quiet)
        fsck_damage(p->fsck, "named", "page_damaged", batch->key.s,
                    "its root page is not what the footer says");
    batch->records_ok = section_take(batch, &batch->footer.records, &batch->records);
    if (!batch->records_ok && !quiet)
        fsck_damage(p->fsck, "named", "records_damaged", batch->key.s,
                    "its landing records are not what the footer says");
}

int fsck_batches_read(struct fsck_project *p, struct fsck_batch *batches, size_t n,
                      bool ids_only, bool quiet)
{
    for (size_t i = 0; i < n; i++)
        batches[i].key = key_tree(&p->id, &batches[i].tree);
    int err = suffixes_get(p->fsck, batches, n);
    if (err == OK)
        err = tails_reach(p->fsck, batches, n, ids_only);
    for (size_t i = 0; i < n && err == OK; i++) {
        if (batches[i].wrong == NULL)
            sections_take(p, &batches[i], ids_only, quiet);
    }
    return err;
}
