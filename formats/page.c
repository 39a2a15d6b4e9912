#include "formats/page.h"

#include "formats/base/hash.h"
#include "formats/base/wire.h"

#define PAGE_VERSION 1u
static const char page_magic[4] = "MPAG";

/* The least that an entry takes: its fixed fields, and a name of one byte behind its length. */
#define ENTRY_MIN 54u

/* Entries of an inner page and directories are pages elsewhere; files and links are content. An
 * empty file needs no place. */
static bool place_ok(const struct entry *e)
{
    switch (e->where.place) {
    case PLACE_NONE:
        return e->kind != KIND_DIR && e->size == 0;
    case PLACE_RAW:
        return e->kind != KIND_DIR && e->where.len == e->size;
    case PLACE_ZSTD:
    case PLACE_BLOB:
    case PLACE_MANIFEST:
        return e->kind != KIND_DIR;
    case PLACE_PAGE:
        return e->kind == KIND_DIR;
    }
    return false;
}

/* A name is one step down, whatever else `path_check` asks of it: nothing that is made out of a
 * page can climb out of where it is put. */
static bool name_ok(struct bytes name)
{
    return name.len > 0 && name.len <= NAME_LEN_MAX &&
           memchr(name.data, '/', name.len) == NULL && memchr(name.data, 0, name.len) == NULL &&
           !bytes_equal(name, bytes_str(".")) && !bytes_equal(name, bytes_str(".."));
}

static bool entry_ok(const struct entry *e, uint8_t level)
{
    return mode_ok(e->kind, e->mode) && place_ok(e) && name_ok(e->name) &&
           (level == 0 || e->kind == KIND_DIR) &&
           (e->kind == KIND_DIR || e->size <= CONTENT_SIZE_MAX);
}

static uint8_t *put(uint8_t *at, uint64_t number, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        at[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
    }
    return at + len;
}

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

struct hash page_content_hash(uint8_t level, const struct entry *entries, size_t n)
{
    size_t len = 1;
    for (size_t i = 0; i < n; i++) {
        len += page_weight(entries[i].name);
    }
    AUTO_BUF canonical = {0};
    uint8_t *at = put(buf_reserve(&canonical, len), level, 1);
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = &entries[i];
        assert(name_ok(e->name));
        at = put(at, e->kind, 1);
        at = put(at, e->mode, 2);
        at = put(at, e->size, 8);
        at = put_bytes(at, e->hash.b, sizeof(e->hash.b));
        at = put(at, e->name.len, 1);
        at = put_bytes(at, e->name.data, e->name.len);
    }
    assert(at == canonical.data + len);
    return sha512_256("micelio page", bytes_of(canonical.data, len));
}

struct hash page_hash(struct bytes encoded)
{
    return sha512_256("micelio page bytes", encoded);
}

/* A set of tree hashes that lie one behind the other, such as the table of a page: slots with
 * the index from 1 of what they hold, 0 when empty; at most half of them are in use. */
struct table {
    uint16_t *slots;
    size_t mask;
};

static size_t table_slots(size_t n)
{
    size_t slots = 4;
    while (slots < 2 * n) {
        slots *= 2;
    }
    return slots;
}

/* The slot that has `tree`, or the empty one where it belongs. */
static uint16_t *table_slot(const struct table *t, const uint8_t *trees,
                            const struct hash *tree)
{
    size_t i = xxh3_64(bytes_of(tree->b, sizeof(tree->b))) & t->mask;
    for (;;) {
        uint16_t index = t->slots[i];
        if (index == 0 ||
            memcmp(trees + (index - 1u) * sizeof(tree->b), tree->b, sizeof(tree->b)) == 0) {
            return &t->slots[i];
        }
        i = (i + 1) & t->mask;
    }
}

static bool has_tree(const struct location *where)
{
    return where->place == PLACE_RAW || where->place == PLACE_ZSTD ||
           where->place == PLACE_PAGE;
}

static bool has_check(const struct location *where)
{
    return where->place == PLACE_MANIFEST || where->place == PLACE_PAGE;
}

/* Appends the table in order of first use, and gives each entry's index into it. */
static int table_encode(const struct page *page, struct buf *out, uint16_t *indexes)
{
    size_t count_at = out->len;
    wr_u16(out, 0);
    size_t trees_at = out->len;
    size_t slots = table_slots(page->n);
    AUTO_BUF memory = {0};
    struct table t = {(uint16_t *)(void *)buf_reserve(&memory, slots * sizeof(uint16_t)),
                      slots - 1};
    memset(t.slots, 0, slots * sizeof(uint16_t));
    uint32_t count = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        const struct location *where = &page->entries[i].where;
        indexes[i] = 0;
        if (!has_tree(where) || hash_is_zero(&where->tree)) {
            continue;
        }
        uint16_t *slot = table_slot(&t, out->data + trees_at, &where->tree);
        if (*slot == 0) {
            if (count == UINT16_MAX) {
                return ERR_LIMIT;
            }
            wr_hash(out, &where->tree);
            *slot = (uint16_t)++count;
        }
        indexes[i] = *slot;
    }
    put(out->data + count_at, count, 2);
    return 0;
}

static void entry_encode(const struct entry *e, uint16_t index, struct buf *out)
{
    wr_u8(out, (uint8_t)e->kind);
    wr_u8(out, (uint8_t)e->where.place);
    wr_u16(out, e->mode);
    wr_u64(out, e->size);
    wr_u64(out, e->stamp);
    wr_hash(out, &e->hash);
    wr_run8(out, e->name);
    if (has_tree(&e->where)) {
        wr_u16(out, index);
        wr_u32(out, e->where.offset);
        wr_u32(out, e->where.len);
    }
    if (has_check(&e->where)) {
        wr_hash(out, &e->where.check);
    }
    if (e->where.place == PLACE_PAGE) {
        wr_u64(out, e->files);
    }
}

static int page_write(const struct page *page, struct buf *out, uint16_t *indexes)
{
    size_t at = envelope_begin(out, page_magic, PAGE_VERSION);
    wr_u8(out, page->level);
    int err = table_encode(page, out, indexes);
    if (err != 0) {
        return err;
    }
    wr_u32(out, page->n);
    for (uint32_t i = 0; i < page->n; i++) {
        const struct entry *e = &page->entries[i];
        /* What is refused when it is read must never be written. */
        assert(entry_ok(e, page->level));
        assert(i == 0 || bytes_compare(e[-1].name, e->name) < 0);
        entry_encode(e, indexes[i], out);
        if (out->len - at > PAGE_BYTES_MAX) {
            return ERR_LIMIT;
        }
    }
    envelope_close(out, at);
    return 0;
}

int page_encode(const struct page *page, struct buf *out)
{
    assert(page->level == 0 || page->n > 0);
    if (page->level >= PAGE_LEVELS_MAX || page->n > PAGE_BYTES_MAX / ENTRY_MIN) {
        return ERR_LIMIT;
    }
    AUTO_BUF memory = {0};
    uint16_t *indexes = (uint16_t *)(void *)buf_reserve(&memory, page->n * sizeof(uint16_t));
    size_t before = out->len;
    int err = page_write(page, out, indexes);
    if (err != 0) {
        out->len = before;
    }
    return err;
}

/* The table as it lies in the input, and how much of it entries have used so far. */
struct table_reader {
    struct bytes trees;
    const struct hash *self;
    uint32_t used;
};

/* One page has one form: no tree twice in the table, none in it that is not used, and in order
 * of first use. The zero hash stands for "this object" and has index 0. */
static bool table_ok(struct bytes trees, struct arena *arena)
{
    size_t n = trees.len / sizeof(struct hash);
    size_t slots = table_slots(n);
    struct table t = {arena_array(arena, slots, uint16_t), slots - 1};
    for (size_t i = 0; i < n; i++) {
        struct hash tree;
        memcpy(tree.b, trees.data + i * sizeof(tree.b), sizeof(tree.b));
        uint16_t *slot = table_slot(&t, trees.data, &tree);
        if (*slot != 0 || hash_is_zero(&tree)) {
            return false;
        }
        *slot = (uint16_t)(i + 1);
    }
    return true;
}

static struct hash tree_read(struct reader *r, struct table_reader *t)
{
    struct hash tree = *t->self;
    uint32_t index = rd_u16(r);
    if (index == 0) {
        return tree;
    }
    if (index > t->used + 1 || index > t->trees.len / sizeof(tree.b)) {
        rd_fail(r, ERR_CORRUPT);
        return tree;
    }
    if (index > t->used) {
        t->used = index;
    }
    memcpy(tree.b, t->trees.data + (index - 1) * sizeof(tree.b), sizeof(tree.b));
    return tree;
}

static void entry_read(struct reader *r, struct table_reader *t, uint8_t level, struct entry *e)
{
    uint8_t kind = rd_u8(r);
    uint8_t place = rd_u8(r);
    if (kind > KIND_DIR || place > PLACE_PAGE) {
        rd_fail(r, ERR_CORRUPT);
        return;
    }
    e->kind = (enum kind)kind;
    e->where.place = (enum place)place;
    e->mode = rd_u16(r);
    e->size = rd_u64(r);
    e->stamp = rd_u64(r);
    e->hash = rd_hash(r);
    e->name = rd_run8(r, NAME_LEN_MAX);
    if (has_tree(&e->where)) {
        e->where.tree = tree_read(r, t);
        e->where.offset = rd_u32(r);
        e->where.len = rd_u32(r);
    }
    if (has_check(&e->where)) {
        e->where.check = rd_hash(r);
    }
    if (e->where.place == PLACE_PAGE) {
        e->files = rd_u64(r);
    }
    if (rd_error(r) == 0 && !entry_ok(e, level)) {
        rd_fail(r, ERR_CORRUPT);
    }
}

int page_decode(struct bytes in, const struct hash *self, struct arena *arena, struct page *out)
{
    if (in.len > PAGE_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader r;
    int err = envelope_open(in, page_magic, PAGE_VERSION, &r);
    if (err != 0) {
        return err;
    }
    struct page page = {.level = rd_u8(&r)};
    if (page.level >= PAGE_LEVELS_MAX) {
        return ERR_LIMIT;
    }
    struct table_reader t = {.self = self};
    t.trees = rd_bytes(&r, rd_u16(&r) * sizeof(struct hash));
    page.n = rd_count(&r, ENTRY_MIN, PAGE_BYTES_MAX / ENTRY_MIN);
    if (rd_error(&r) != 0) {
        return rd_error(&r);
    }
    if ((page.level > 0 && page.n == 0) || !table_ok(t.trees, arena)) {
        return ERR_CORRUPT;
    }
    page.entries = arena_array(arena, page.n, struct entry);
    for (uint32_t i = 0; i < page.n && rd_error(&r) == 0; i++) {
        struct entry *e = &page.entries[i];
        entry_read(&r, &t, page.level, e);
        if (i > 0 && bytes_compare(e[-1].name, e->name) >= 0) {
            rd_fail(&r, ERR_CORRUPT);
        }
    }
    if (rd_error(&r) == 0 && t.used != t.trees.len / sizeof(struct hash)) {
        rd_fail(&r, ERR_CORRUPT);
    }
    err = rd_end(&r);
    if (err == 0) {
        *out = page;
    }
    return err;
}

/* How many entries have a name that is not above `name`. */
static size_t not_above(const struct page *page, struct bytes name)
{
    size_t low = 0;
    size_t high = page->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(page->entries[middle].name, name) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct entry *page_find(const struct page *page, struct bytes name)
{
    size_t n = not_above(page, name);
    if (n == 0 || !bytes_equal(page->entries[n - 1].name, name)) {
        return NULL;
    }
    return &page->entries[n - 1];
}

const struct entry *page_child(const struct page *page, struct bytes name)
{
    if (page->n == 0) {
        return NULL;
    }
    /* A name below all belongs to the first child. */
    size_t n = not_above(page, name);
    return &page->entries[n == 0 ? 0 : n - 1];
}
