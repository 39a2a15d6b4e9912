#include "formats/log_segment.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/log_scan.h"
#include "formats/path.h"

#define LOG_MAGIC      "MLOG"
#define LOG_VERSION    1u
#define HASH_LEN       32u
#define ENTRY_LEN_MIN  79u
#define EFFECT_LEN_MIN 4u
/* A write of a short path. */
#define EFFECT_LEN_USUAL 64u

/* The table of tree objects: sorted by hash, no two alike, each used by the entries. */
struct tree_table {
    struct hash *trees;
    uint32_t n;
    bool *used; /* when decoding */
};

bool log_span_ok(uint64_t first, uint64_t end)
{
    uint64_t span = end - first;
    return first > 0 && (span == LOG_SPAN_SMALL || span == LOG_SPAN_LARGE) &&
           (first - 1) % span == 0;
}

/* ---- encode ---- */

static int hash_order(const void *a, const void *b)
{
    const struct hash *left = a;
    const struct hash *right = b;
    return hash_compare(left, right);
}

struct hash_list {
    struct hash *items;
    size_t n;
    size_t cap;
};

/* Neighbours mostly lie in one tree object, so a look at the last one keeps the list short. */
static void hash_list_add(struct hash_list *list, struct arena *arena, const struct hash *hash)
{
    if (list->n > 0 && hash_equal(&list->items[list->n - 1], hash))
        return;
    void *items = list->items;
    struct hash *item = arena_push(arena, &items, &list->n, &list->cap, sizeof(*item));
    list->items = items;
    *item = *hash;
}

static struct tree_table table_make(const struct log_segment *segment, struct arena *arena)
{
    struct hash_list list = {0};
    for (uint32_t i = 0; i < segment->n; i++) {
        const struct log_entry *entry = &segment->entries[i];
        hash_list_add(&list, arena, &entry->tree);
        for (uint32_t j = 0; j < entry->n_effects; j++) {
            if (log_effect_in_tree(&entry->effects[j]))
                hash_list_add(&list, arena, &entry->effects[j].where.tree);
        }
    }
    if (list.n > 0)
        qsort(list.items, list.n, sizeof(*list.items), hash_order);
    size_t unique = 0;
    for (size_t i = 0; i < list.n; i++) {
        if (unique == 0 || !hash_equal(&list.items[unique - 1], &list.items[i]))
            list.items[unique++] = list.items[i];
    }
    assert(unique <= UINT32_MAX);
    return (struct tree_table){.trees = list.items, .n = (uint32_t)unique};
}

static uint32_t table_index(const struct tree_table *table, const struct hash *tree)
{
    const struct hash *found =
        bsearch(tree, table->trees, table->n, sizeof(*table->trees), hash_order);
    assert(found != NULL);
    return (uint32_t)(found - table->trees);
}

static void effect_write(struct buf *out, const struct tree_table *table,
                         const struct log_effect *effect)
{
    wr_u8(out, (uint8_t)effect->kind);
    wr_run16(out, effect->path);
    if (effect->kind != EFFECT_WRITE)
        return;
    wr_u8(out, (uint8_t)effect->file_kind);
    wr_u16(out, effect->mode);
    wr_u64(out, effect->size);
    wr_hash(out, &effect->hash);
    wr_u8(out, (uint8_t)effect->where.place);
    switch (effect->where.place) {
    case PLACE_RAW:
    case PLACE_ZSTD:
        wr_u32(out, table_index(table, &effect->where.tree));
        wr_u32(out, effect->where.offset);
        wr_u32(out, effect->where.len);
        break;
    case PLACE_MANIFEST:
        wr_hash(out, &effect->where.check);
        break;
    case PLACE_NONE:
    case PLACE_BLOB:
        break;
    case PLACE_PAGE:
        assert(effect->where.place != PLACE_PAGE);
        break;
    }
}

static void entry_write(struct buf *out, const struct tree_table *table,
                        const struct log_entry *entry)
{
    wr_u8(out, (uint8_t)((unsigned)entry->verdict | (entry->closes ? VERDICT_CLOSES : 0u)));
    wr_u64(out, entry->position);
    wr_u32(out, table_index(table, &entry->tree));
    wr_id16(out, &entry->request);
    wr_id16(out, &entry->session);
    wr_id16(out, &entry->owner);
    wr_u64(out, entry->hlc);
    wr_run8(out, entry->author);
    wr_run32(out, entry->goal);
    wr_run8(out, entry->reason);
    wr_u32(out, entry->n_effects);
    for (uint32_t i = 0; i < entry->n_effects; i++)
        effect_write(out, table, &entry->effects[i]);
}

void log_segment_encode(const struct log_segment *segment, struct arena *scratch,
                        struct buf *out)
{
    struct tree_table table = table_make(segment, scratch);
    size_t at = envelope_begin(out, LOG_MAGIC, LOG_VERSION);
    wr_id16(out, &segment->project);
    wr_u64(out, segment->first);
    wr_u64(out, segment->end);
    wr_u32(out, table.n);
    for (uint32_t i = 0; i < table.n; i++)
        wr_hash(out, &table.trees[i]);
    wr_u32(out, segment->n);
    for (uint32_t i = 0; i < segment->n; i++)
        entry_write(out, &table, &segment->entries[i]);
    envelope_close(out, at);
}

/* ---- decode ---- */

static struct tree_table table_read(struct reader *r, struct arena *arena)
{
    struct tree_table table = {0};
    uint32_t n = rd_count(r, HASH_LEN, LOG_SEGMENT_MAX / HASH_LEN);
    table.trees = arena_array(arena, n, struct hash);
    table.used = arena_array(arena, n, bool);
    table.n = n;
    for (uint32_t i = 0; i < n; i++) {
        table.trees[i] = rd_hash(r);
        if (i > 0 && hash_compare(&table.trees[i - 1], &table.trees[i]) >= 0)
            rd_fail(r, ERR_CORRUPT);
    }
    return table;
}

static struct hash tree_read(struct reader *r, struct tree_table *table)
{
    uint32_t index = rd_u32(r);
    if (index >= table->n)
        rd_fail(r, ERR_CORRUPT);
    if (rd_error(r) != OK)
        return (struct hash){{0}};
    table->used[index] = true;
    return table->trees[index];
}

static struct location place_read(struct reader *r, struct tree_table *table)
{
    struct location where = {.place = (enum place)rd_u8(r)};
    switch (where.place) {
    case PLACE_RAW:
    case PLACE_ZSTD:
        where.tree = tree_read(r, table);
        where.offset = rd_u32(r);
        where.len = rd_u32(r);
        return where;
    case PLACE_MANIFEST:
        where.check = rd_hash(r);
        return where;
    case PLACE_NONE:
    case PLACE_BLOB:
        return where;
    case PLACE_PAGE:
        break;
    }
    rd_fail(r, ERR_CORRUPT);
    return where;
}

static void write_read(struct reader *r, struct tree_table *table, struct log_effect *effect)
{
    effect->file_kind = (enum kind)rd_u8(r);
    effect->mode = rd_u16(r);
    effect->size = rd_u64(r);
    effect->hash = rd_hash(r);
    effect->where = place_read(r, table);
    if (effect->file_kind != KIND_FILE && effect->file_kind != KIND_LINK)
        rd_fail(r, ERR_CORRUPT);
    else if (!mode_ok(effect->file_kind, effect->mode))
        rd_fail(r, ERR_CORRUPT);
    if (effect->size > CONTENT_SIZE_MAX)
        rd_fail(r, ERR_LIMIT);
}

static struct log_effect effect_read(struct reader *r, struct tree_table *table)
{
    struct log_effect effect = {0};
    effect.kind = (enum effect_kind)rd_u8(r);
    effect.path = rd_run16(r, PATH_LEN_MAX);
    int err = path_check(effect.path, NULL);
    if (err != OK)
        rd_fail(r, err);
    switch (effect.kind) {
    case EFFECT_WRITE:
        write_read(r, table, &effect);
        return effect;
    case EFFECT_DELETE:
    case EFFECT_MOVED:
        return effect;
    }
    rd_fail(r, ERR_CORRUPT);
    return effect;
}

/* Room for all of them at once where they are as long as most are. Beyond that the list grows
 * as effects are read, because one is much larger here than the shortest is in the input. */
static void effects_read(struct reader *r, struct tree_table *table, struct arena *arena,
                         struct log_entry *entry)
{
    uint32_t n = rd_count(r, EFFECT_LEN_MIN, LOG_SEGMENT_MAX / EFFECT_LEN_MIN);
    size_t count = 0;
    size_t cap = rd_left(r) / EFFECT_LEN_USUAL;
    cap = cap < n ? cap : n;
    void *items = cap > 0 ? arena_alloc(arena, cap * sizeof(struct log_effect)) : NULL;
    for (uint32_t i = 0; i < n && rd_error(r) == OK; i++) {
        struct log_effect effect = effect_read(r, table);
        const struct log_effect *last = items;
        if (count > 0 && bytes_compare(last[count - 1].path, effect.path) >= 0)
            rd_fail(r, ERR_CORRUPT);
        struct log_effect *item = arena_push(arena, &items, &count, &cap, sizeof(*item));
        *item = effect;
    }
    entry->effects = items;
    entry->n_effects = (uint32_t)count;
}

/* All but its effects, which come next. */
static struct log_entry entry_head_read(struct reader *r, struct tree_table *table)
{
    struct log_entry entry = {0};
    uint8_t verdict = rd_u8(r);
    entry.closes = (verdict & VERDICT_CLOSES) != 0;
    entry.verdict = (enum verdict)(verdict & ~VERDICT_CLOSES);
    entry.position = rd_u64(r);
    entry.tree = tree_read(r, table);
    entry.request = rd_id16(r);
    entry.session = rd_id16(r);
    entry.owner = rd_id16(r);
    entry.hlc = rd_u64(r);
    entry.author = rd_run8(r, AUTHOR_LEN_MAX);
    entry.goal = rd_run32(r, GOAL_LEN_MAX);
    entry.reason = rd_run8(r, REASON_LEN_MAX);
    if (!verdict_known(entry.verdict) || !utf8_ok(entry.author) || !utf8_ok(entry.goal) ||
        !utf8_ok(entry.reason))
        rd_fail(r, ERR_CORRUPT);
    return entry;
}

static struct log_entry entry_read(struct reader *r, struct tree_table *table,
                                   struct arena *arena)
{
    struct log_entry entry = entry_head_read(r, table);
    effects_read(r, table, arena, &entry);
    return entry;
}

/* Every position from first to end - 1 has its landing, in order, and each other answer stands
 * behind the landing under whose position it is filed: a hole must not pass for a quiet
 * time. */
static void entries_read(struct reader *r, struct tree_table *table, struct arena *arena,
                         struct log_segment *segment)
{
    uint64_t next = segment->first;
    segment->n = rd_count(r, ENTRY_LEN_MIN, LOG_SEGMENT_MAX / ENTRY_LEN_MIN);
    segment->entries = arena_array(arena, segment->n, struct log_entry);
    for (uint32_t i = 0; i < segment->n && rd_error(r) == OK; i++) {
        struct log_entry *entry = &segment->entries[i];
        *entry = entry_read(r, table, arena);
        if (entry->verdict == VERDICT_LANDED) {
            if (entry->position != next || next == segment->end)
                rd_fail(r, ERR_CORRUPT);
            next++;
        } else if (entry->position != next - 1 ||
                   (next == segment->first && segment->first != 1)) {
            rd_fail(r, ERR_CORRUPT);
        }
    }
    if (next != segment->end)
        rd_fail(r, ERR_CORRUPT);
}

/* Where the table of tree objects begins: behind project, first and end. */
#define TABLE_AT (ENVELOPE_LEN + 32u)
/* Verdict, position and index of an entry, before its ids. */
#define BEFORE_IDS 13u
/* Kind and length of an effect, before its path. */
#define BEFORE_PATH 3u

static struct bytes rest_from(struct bytes in, const uint8_t *at)
{
    return bytes_of(at, (size_t)(in.data + in.len - at));
}

/* The effects of the entry that are asked for. `*touches`: one of them is on the path or below
 * it. */
static int effects_pick(struct log_scan *scan, const struct log_scan_entry *at, struct bytes in,
                        struct bytes path, struct tree_table *table, struct arena *arena,
                        struct log_entry *out, bool *touches)
{
    void *items = NULL;
    size_t n = 0;
    size_t cap = 0;
    *touches = false;
    for (uint32_t i = 0; i < at->n_effects; i++) {
        struct log_scan_effect found;
        int err = log_scan_effect(scan, &found);
        if (err != OK)
            return err;
        bool on_path = bytes_equal(found.path, path) || path_below(found.path, path);
        *touches = *touches || on_path;
        if (!on_path && found.kind == EFFECT_WRITE)
            continue;
        struct reader r;
        rd_init(&r, rest_from(in, found.path.data - BEFORE_PATH));
        struct log_effect effect = effect_read(&r, table);
        if (rd_error(&r) != OK)
            return rd_error(&r);
        struct log_effect *item = arena_push(arena, &items, &n, &cap, sizeof(*item));
        *item = effect;
    }
    out->effects = items;
    out->n_effects = (uint32_t)n;
    return OK;
}

/* One entry; false in `*wanted` when it does not touch the path. */
static int entry_pick(struct log_scan *scan, const struct log_scan_entry *at, struct bytes in,
                      struct bytes path, struct tree_table *table, struct arena *arena,
                      struct log_entry *out, bool *wanted)
{
    struct reader r;
    rd_init(&r, rest_from(in, at->ids.data - BEFORE_IDS));
    *wanted = true;
    if (path.len == 0) {
        *out = entry_read(&r, table, arena);
        return rd_error(&r);
    }
    struct log_entry effects = {0};
    int err = effects_pick(scan, at, in, path, table, arena, &effects, wanted);
    if (err != OK || !*wanted)
        return err;
    *out = entry_head_read(&r, table);
    out->effects = effects.effects;
    out->n_effects = effects.n_effects;
    return rd_error(&r);
}

int log_segment_decode_below(struct bytes in, uint64_t from, uint64_t end, struct bytes path,
                             struct arena *arena, struct log_segment *out)
{
    struct log_scan scan;
    if (in.len > LOG_SEGMENT_MAX)
        return ERR_LIMIT;
    int err = log_scan_open(in, &scan);
    if (err != OK)
        return err;
    struct log_segment segment = {
        .project = scan.project, .first = scan.first, .end = scan.end};
    struct reader r;
    rd_init(&r, rest_from(in, in.data + TABLE_AT));
    struct tree_table table = table_read(&r, arena);
    void *entries = NULL;
    size_t n = 0;
    size_t cap = 0;
    struct log_scan_entry at;
    err = rd_error(&r);
    while (err == OK && (err = log_scan_entry(&scan, &at)) == OK) {
        struct log_entry entry;
        bool wanted;
        if (at.position < from || at.position >= end)
            continue;
        err = entry_pick(&scan, &at, in, path, &table, arena, &entry, &wanted);
        if (err != OK || !wanted)
            continue;
        struct log_entry *item = arena_push(arena, &entries, &n, &cap, sizeof(*item));
        *item = entry;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    segment.entries = entries;
    segment.n = (uint32_t)n;
    *out = segment;
    return OK;
}

int log_segment_decode_run(struct bytes in, uint64_t from, uint64_t end, struct arena *arena,
                           struct log_segment *out)
{
    return log_segment_decode_below(in, from, end, bytes_of(NULL, 0), arena, out);
}

int log_segment_decode(struct bytes in, struct arena *arena, struct log_segment *out)
{
    if (in.len > LOG_SEGMENT_MAX)
        return ERR_LIMIT;
    struct reader r;
    int err = envelope_open(in, LOG_MAGIC, LOG_VERSION, &r);
    if (err != OK)
        return err;
    struct log_segment segment = {0};
    segment.project = rd_id16(&r);
    segment.first = rd_u64(&r);
    segment.end = rd_u64(&r);
    if (segment.first == 0 || segment.end <= segment.first)
        rd_fail(&r, ERR_CORRUPT);
    struct tree_table table = table_read(&r, arena);
    entries_read(&r, &table, arena, &segment);
    for (uint32_t i = 0; i < table.n && rd_error(&r) == OK; i++) {
        if (!table.used[i])
            rd_fail(&r, ERR_CORRUPT);
    }
    err = rd_end(&r);
    if (err == OK)
        *out = segment;
    return err;
}
