#include "pipeline/repo/check/fsck_tree.h"

#include <inttypes.h>

#include "formats/base/hash.h"
#include "formats/page.h"
#include "pipeline/repo/pack/page_memo.h"

/* Up to this the pages and contents of an object are read at once. */
#define FRONT_MAX FSCK_BYTES

/* A page that is to be looked at, as the page above it names it. */
struct below {
    struct entry says; /* its name in the arena */
    uint8_t level;     /* of the page, when it is `inner`'s */
    bool inner;        /* a slice of a directory, not a directory */
};

struct front;

struct walk {
    struct front *front;
    struct fsck_project *p;
    const struct fsck_batch *batch;
    struct arena arena;
    struct page_memo *done;
    void *stack; /* struct below */
    size_t n;
    size_t cap;
};

static void wrong(struct fsck_project *p, const char *invariant, const char *problem,
                  const struct hash *tree, const struct fsck_batch *batch, const char *what)
{
    struct key key = key_tree(&p->id, tree);
    fsck_damage(p->fsck, invariant, problem, key.s, "in the tree of batch %" PRIu64 ": %s",
                batch->footer.batch, what);
}

/* --- one page --- */

static bool counts_ok(const struct page *page, uint64_t files, uint64_t size)
{
    uint64_t files_sum = 0;
    uint64_t size_sum = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        const struct entry *e = &page->entries[i];
        if (e->kind == KIND_DIR && e->files == 0)
            return false;
        files_sum += e->kind == KIND_DIR ? e->files : 1;
        size_sum += e->size;
    }
    return files_sum == files && size_sum == size;
}

/* Contents of this batch lie before its records. */
static bool places_ok(const struct fsck_batch *batch, const struct page *page)
{
    for (uint32_t i = 0; i < page->n; i++) {
        const struct location *where = &page->entries[i].where;
        bool here = (where->place == PLACE_RAW || where->place == PLACE_ZSTD ||
                     where->place == PLACE_PAGE) &&
                    hash_equal(&where->tree, &batch->tree);
        if (here && (where->offset < TREE_HEADER_LEN ||
                     (uint64_t)where->offset + where->len > batch->footer.records.offset))
            return false;
    }
    return true;
}

static bool page_good(struct fsck_project *p, const struct fsck_batch *batch,
                      const struct hash *tree, const struct page *page,
                      const struct entry *says)
{
    struct hash content = page_content_hash(page->level, page->entries, page->n);
    if (!hash_equal(&content, &says->hash)) {
        wrong(p, "named", "page_damaged", tree, batch,
              "the content hash of a page is not what is said of it");
        return false;
    }
    if (!counts_ok(page, says->files, says->size)) {
        wrong(p, "rebuild", "counts_wrong", tree, batch,
              "files or bytes of a page's entries do not come to what is said of it");
        return false;
    }
    if (!places_ok(batch, page)) {
        wrong(p, "named", "location_wrong", tree, batch,
              "an entry is said to lie where nothing can");
        return false;
    }
    return true;
}

void fsck_root_check(struct fsck_project *p, const struct fsck_batch *batch)
{
    const struct entry says = {.files = batch->footer.files,
                               .size = batch->footer.bytes,
                               .hash = batch->footer.root_content};
    if (batch->root != NULL)
        (void)page_good(p, batch, &batch->tree, batch->root, &says);
}

/* --- bytes of the object --- */

/* What a batch has before its records: contents and pages. */
struct front {
    struct fsck_project *p;
    const struct fsck_batch *batch;
    struct buf bytes; /* all of it, or empty when it is too long */
    /* The companion that was read last, as far as it is not too long. */
    struct hash companion;
    struct buf companion_bytes;
};

static int front_get(struct front *front)
{
    const struct fsck_batch *batch = front->batch;
    uint32_t len = batch->footer.records.offset;
    if (len > FRONT_MAX)
        return OK;
    int err = store_get(front->p->fsck->store, batch->key.s, range_of(0, len), &front->bytes,
                        NULL, NULL);
    return fsck_is_damage(err) ? OK : err;
}

/* A companion is pages and little else, and all of them are looked at. */
static int companion_get(struct front *front, const struct hash *tree)
{
    if (hash_equal(tree, &front->batch->tree) || hash_equal(tree, &front->companion))
        return OK;
    struct key key = key_tree(&front->p->id, tree);
    front->companion = *tree;
    buf_clear(&front->companion_bytes);
    int err = store_get(front->p->fsck->store, key.s, range_of(0, FRONT_MAX),
                        &front->companion_bytes, NULL, NULL);
    if (err != OK)
        buf_clear(&front->companion_bytes);
    return fsck_is_damage(err) ? OK : err;
}

/* A part of it, or of a companion; shorter when it is not all there. */
static int part_get(struct front *front, const struct hash *tree, uint32_t offset, uint32_t len,
                    struct buf *own, struct bytes *out)
{
    bool here = hash_equal(tree, &front->batch->tree);
    const struct buf *bytes = here ? &front->bytes : &front->companion_bytes;
    *out = bytes_of(NULL, 0);
    int err = companion_get(front, tree);
    if (err != OK)
        return err;
    if ((uint64_t)offset + len <= bytes->len) {
        *out = bytes_of(bytes->data + offset, len);
        return OK;
    }
    struct key key = key_tree(&front->p->id, tree);
    buf_clear(own);
    err = store_get(front->p->fsck->store, key.s, range_of(offset, len), own, NULL, NULL);
    if (err == OK)
        *out = buf_bytes(own);
    return fsck_is_damage(err) ? OK : err;
}

/* --- pages --- */

static bool is_own(const struct fsck_batch *batch, const struct hash *tree)
{
    bool own = hash_equal(tree, &batch->tree);
    for (unsigned i = 0; i < batch->footer.n_companions && !own; i++)
        own = hash_equal(tree, &batch->footer.companions[i]);
    return own;
}

/* A page's entries that are pages of this batch, too. */
static void below_push(struct walk *walk, const struct page *page)
{
    for (uint32_t i = 0; i < page->n; i++) {
        const struct entry *e = &page->entries[i];
        if (e->kind != KIND_DIR || !is_own(walk->batch, &e->where.tree))
            continue;
        struct below *below =
            arena_push(&walk->arena, &walk->stack, &walk->n, &walk->cap, sizeof(*below));
        *below = (struct below){.says = *e, .inner = page->level > 0};
        below->says.name = arena_copy(&walk->arena, e->name);
        below->level = (uint8_t)(page->level - 1);
    }
}

/* Whether the same was said of the same page before. A tree may share pages so that a few of
 * them stand for a billion files. */
static bool was_taken(struct walk *walk, const struct below *below)
{
    AUTO_BUF said = {0};
    const struct entry *says = &below->says;
    const struct page_spot nowhere = {0};
    struct page_spot spot;
    wr_hash(&said, &says->where.check);
    wr_u32(&said, says->where.offset);
    wr_u32(&said, says->where.len);
    wr_hash(&said, &says->hash);
    wr_u64(&said, says->files);
    wr_u64(&said, says->size);
    wr_u8(&said, below->inner);
    wr_u8(&said, below->level);
    if (below->inner)
        wr_bytes(&said, says->name);
    const struct location key = {.tree = says->where.tree, .check = sha256(buf_bytes(&said))};
    if (page_memo_find(walk->done, &key, &spot))
        return true;
    page_memo_add(walk->done, &key, says->files, &nowhere);
    return false;
}

static int page_take(struct walk *walk, const struct below *below)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF own = {0};
    const struct location *where = &below->says.where;
    struct bytes bytes;
    struct page page;
    int err = where->len <= PAGE_BYTES_MAX
                  ? part_get(walk->front, &where->tree, where->offset, where->len, &own, &bytes)
                  : OK;
    if (err != OK)
        return err;
    walk->p->fsck->counts.pages++;
    bool good = where->len <= PAGE_BYTES_MAX && bytes.len == where->len;
    struct hash hash = page_hash(good ? bytes : bytes_of(NULL, 0));
    good = good && hash_equal(&hash, &where->check) &&
           page_decode(bytes, &where->tree, &arena, &page) == OK;
    if (good && below->inner)
        good = page.level == below->level && page.n > 0 &&
               bytes_equal(page.entries[0].name, below->says.name);
    if (!good) {
        wrong(walk->p, "named", "page_damaged", &where->tree, walk->batch,
              "a page is not what the page above it says");
        return OK;
    }
    if (page_good(walk->p, walk->batch, &where->tree, &page, &below->says))
        below_push(walk, &page);
    return OK;
}

static int pages_check(struct front *front)
{
    const struct fsck_batch *batch = front->batch;
    struct walk walk = {.front = front, .p = front->p, .batch = batch};
    int err = OK;
    walk.done = page_memo_open(fsck_batch_pages(batch));
    if (batch->root != NULL)
        below_push(&walk, batch->root);
    while (walk.n > 0 && err == OK) {
        struct below below = ((struct below *)walk.stack)[--walk.n];
        if (!was_taken(&walk, &below))
            err = page_take(&walk, &below);
    }
    page_memo_close(walk.done);
    arena_release(&walk.arena);
    return err;
}

/* --- contents --- */

static int content_check(struct front *front, const struct content *content, bool *good)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF own = {0};
    struct bytes stored;
    struct bytes plain;
    int err =
        part_get(front, &front->batch->tree, content->offset, content->len, &own, &stored);
    if (err != OK)
        return err;
    front->p->fsck->counts.contents++;
    *good = stored.len == content->len &&
            content_unpack(&arena, content->carrier == CARRIER_TREE_ZSTD, stored, content->size,
                           &content->hash, &plain) == OK;
    return OK;
}

static int session_check(struct front *front, const struct session *session)
{
    int err = OK;
    bool good = true;
    for (size_t i = 0; i < session->n_records && err == OK && good; i++) {
        const struct record *record = &session->records[i];
        if (record->kind != RECORD_OPERATION || record->operation.op == OP_DELETE)
            continue;
        const struct content *content = &record->operation.content;
        if (content->carrier == CARRIER_TREE_RAW || content->carrier == CARRIER_TREE_ZSTD)
            err = content_check(front, content, &good);
        if (err == OK && !good)
            fsck_damage(front->p->fsck, "named", "content_damaged", front->batch->key.s,
                        "the content of %.*s that landed at position %" PRIu64
                        " is not what its hash says",
                        (int)record->operation.path.len,
                        (const char *)record->operation.path.data, session->position);
    }
    return err;
}

static void header_check(const struct front *front)
{
    AUTO_BUF header = {0};
    tree_header_write(&header);
    if (front->bytes.len >= header.len &&
        !bytes_equal(buf_bytes(&header), bytes_of(front->bytes.data, header.len)))
        wrong(front->p, "named", "header_damaged", &front->batch->tree, front->batch,
              "the object does not begin as a tree object does");
}

int fsck_tree_check(struct fsck_project *p, const struct fsck_batch *batch,
                    const struct fsck_records *records)
{
    struct front front = {.p = p, .batch = batch};
    int err = front_get(&front);
    if (err == OK) {
        header_check(&front);
        err = pages_check(&front);
    }
    for (uint32_t i = 0; i < batch->footer.n_records && records->good && err == OK; i++) {
        if (records->landings[i].has_session)
            err = session_check(&front, &records->landings[i].landed);
    }
    buf_release(&front.bytes);
    buf_release(&front.companion_bytes);
    return err;
}
