#include "pipeline/repo/history/rollup_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"

#define DIGIT_BITS_MAX 11u
#define MOVES_A_KEY    16u

/* A column's keys are settled when so many have come, doubles included. */
#define RAW_SHARE 6u /* of what may be kept */
/* Keys that are merged at a time when columns are counted together. */
#define SLICE_KEYS 32768u

/* ---- lists ---- */

void key_list_release(struct key_list *list)
{
    free(list->keys);
    *list = (struct key_list){0};
}

void key_list_grow(struct key_list *list, size_t cap)
{
    size_t more = list->cap < 512 ? 1024 : 2 * list->cap;
    cap = cap > more ? cap : more;
    list->keys = realloc(list->keys, cap * sizeof(*list->keys));
    if (list->keys == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    list->cap = cap;
}

/* One pass of a sort by digits: stable, by `bits` bits from `shift` on. */
static void digit_pass(const uint64_t *from, uint64_t *to, size_t n, unsigned shift,
                       unsigned bits)
{
    uint32_t counts[1u << DIGIT_BITS_MAX];
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    uint32_t at = 0;
    memset(counts, 0, sizeof(*counts) << bits);
    for (size_t i = 0; i < n; i++)
        counts[from[i] >> shift & mask]++;
    for (size_t v = 0; v <= mask; v++) {
        uint32_t count = counts[v];
        counts[v] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++)
        to[counts[from[i] >> shift & mask]++] = from[i];
}

/* Sorts by the bits [low, high), from the least digit on. */
static void sort_by_bits(struct key_list *list, struct key_list *scratch, unsigned low,
                         unsigned high)
{
    unsigned passes = (high - low + DIGIT_BITS_MAX - 1) / DIGIT_BITS_MAX;
    if (scratch->cap < list->n)
        key_list_grow(scratch, list->n);
    for (unsigned pass = 0; pass < passes; pass++) {
        unsigned bits = (high - low + passes - pass - 1) / (passes - pass);
        digit_pass(list->keys, scratch->keys, list->n, low, bits);
        low += bits;
        struct key_list sorted = {.keys = scratch->keys, .n = list->n, .cap = scratch->cap};
        *scratch = (struct key_list){.keys = list->keys, .cap = list->cap};
        *list = sorted;
    }
}

/* Puts into order what nearly is. False when it takes more than `moves`. */
static bool insertion_sort(struct key_list *list, size_t moves)
{
    for (size_t i = 1; i < list->n; i++) {
        uint64_t key = list->keys[i];
        size_t at = i;
        for (; at > 0 && list->keys[at - 1] > key; at--) {
            if (moves-- == 0) {
                list->keys[at] = key;
                return false;
            }
            list->keys[at] = list->keys[at - 1];
        }
        list->keys[at] = key;
    }
    return true;
}

/* Keys are hashes: by as many of their highest bits as there are keys they nearly are in order.
 * Where they are not, because somebody has chosen them, all bits are taken. */
static void key_list_sort(struct key_list *list, struct key_list *scratch)
{
    uint64_t differ = 0;
    for (size_t i = 1; i < list->n; i++)
        differ |= list->keys[i] ^ list->keys[0];
    if (differ == 0)
        return;
    unsigned high = 64 - (unsigned)__builtin_clzll(differ);
    unsigned wanted = 64 - (unsigned)__builtin_clzll(list->n);
    sort_by_bits(list, scratch, high > wanted ? high - wanted : 0, high);
    if (!insertion_sort(list, MOVES_A_KEY * list->n))
        sort_by_bits(list, scratch, 0, high);
}

void key_list_settle(struct key_list *list, struct key_list *scratch)
{
    assert(list->n <= UINT32_MAX);
    if (list->n < 2)
        return;
    key_list_sort(list, scratch);
    size_t n = 1;
    for (size_t i = 1; i < list->n; i++) {
        if (list->keys[i] != list->keys[n - 1])
            list->keys[n++] = list->keys[i];
    }
    list->n = n;
}

void key_list_cut(struct key_list *list, uint64_t high)
{
    while (list->n > 0 && list->keys[list->n - 1] > high)
        list->n--;
}

/* ---- the keys of a column ---- */

void key_gather_release(struct key_gather *gather)
{
    for (unsigned i = 0; i < ROLLUP_COLUMNS_MAX; i++)
        key_list_release(&gather->columns[i]);
    key_list_release(&gather->raw);
    key_list_release(&gather->scratch);
}

/* Leaves out the upper half of the numbers: it is for a later pass. */
static void gather_narrow(struct key_gather *gather)
{
    assert(gather->high > gather->low);
    gather->high = gather->low + (gather->high - gather->low) / 2;
    gather->kept = 0;
    for (unsigned i = 0; i < gather->n; i++) {
        key_list_cut(&gather->columns[i], gather->high);
        gather->kept += gather->columns[i].n;
    }
    key_list_cut(&gather->raw, gather->high);
}

static void raw_settle(struct key_gather *gather)
{
    key_list_settle(&gather->raw, &gather->scratch);
    while (gather->raw.n > gather->kept_max / RAW_SHARE / 2 ||
           gather->kept + gather->raw.n > gather->kept_max)
        gather_narrow(gather);
}

static void gather_add(struct key_gather *gather, uint64_t key)
{
    if (key - gather->low > gather->high - gather->low)
        return;
    if (gather->raw.n >= gather->kept_max / RAW_SHARE) {
        raw_settle(gather);
        if (key > gather->high)
            return;
    }
    key_list_add(&gather->raw, key);
}

/* The length that two paths have in common, up to and with a slash. */
static size_t shared_dirs(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    size_t shared = 0;
    for (size_t i = 0; i < n && a.data[i] == b.data[i]; i++) {
        if (a.data[i] == '/')
            shared = i + 1;
    }
    return shared;
}

/* The path, and the directories above it that are not above the path before: those are in. */
static void path_add(struct key_gather *gather, struct bytes path, struct bytes before)
{
    gather_add(gather, rollup_key_path(path));
    if (before.data == NULL)
        gather_add(gather, rollup_key_path(bytes_of(path.data, 0)));
    for (size_t i = shared_dirs(path, before); i < path.len; i++) {
        if (path.data[i] == '/')
            gather_add(gather, rollup_key_path(bytes_of(path.data, i)));
    }
}

static int entry_gather(struct key_gather *gather, struct log_scan *scan,
                        const struct log_scan_entry *entry, struct bytes *before)
{
    uint64_t filed = entry->position * 256 + (uint64_t)entry->verdict;
    gather->source = xxh3_64_seed(entry->ids, gather->source + filed);
    gather_add(gather, rollup_key_session(&entry->session));
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        struct log_scan_effect effect;
        int err = log_scan_effect(scan, &effect);
        if (err != OK)
            return err;
        path_add(gather, effect.path, *before);
        *before = effect.path;
        if (effect.kind == EFFECT_WRITE)
            gather_add(gather, rollup_key_content(&effect.hash));
    }
    return OK;
}

static void column_finish(struct key_gather *gather)
{
    raw_settle(gather);
    struct key_list *column = &gather->columns[gather->n++];
    column->n = 0;
    if (gather->raw.n > column->cap)
        key_list_grow(column, gather->raw.n);
    if (gather->raw.n > 0)
        memcpy(column->keys, gather->raw.keys, gather->raw.n * sizeof(*column->keys));
    column->n = gather->raw.n;
    gather->kept += column->n;
    gather->raw.n = 0;
}

/* The entries of a segment that lie in [from, end), for as many columns as begin in it; the
 * first of all columns begins at `first`. */
static int segment_gather(struct key_gather *gather, struct log_scan *scan, uint64_t first,
                          uint64_t from, uint64_t end, uint64_t span)
{
    struct bytes before = {0};
    /* The answers under position 0 are the first column's. */
    if (from == 1)
        from = 0;
    for (;;) {
        struct log_scan_entry entry;
        int err = log_scan_entry(scan, &entry);
        if (err != OK)
            return err == ERR_NOT_FOUND ? OK : err;
        if (entry.position < from || entry.position >= end)
            continue;
        if (entry.position >= first + (gather->n + 1) * span) {
            column_finish(gather);
            before = (struct bytes){0};
        }
        err = entry_gather(gather, scan, &entry, &before);
        if (err != OK)
            return err;
    }
}

int key_gather_run(struct key_gather *gather, struct repo *repo, const struct id16 *project,
                   uint64_t first, uint64_t span, unsigned columns)
{
    AUTO(rollup_source_release) struct rollup_source source;
    uint64_t end = first + columns * span;
    rollup_source_init(&source, repo, project, first, end);
    gather->n = 0;
    gather->kept = 0;
    gather->source = 0;
    gather->raw.n = 0;
    struct log_scan scan;
    int err = rollup_source_next(&source, &scan);
    while (err == OK) {
        err = segment_gather(gather, &scan, first, source.from, end, span);
        if (err == OK)
            err = rollup_source_next(&source, &scan);
    }
    if (err != ERR_NOT_FOUND)
        return err;
    column_finish(gather);
    assert(gather->n == columns);
    return OK;
}

/* Slice by slice of the numbers, so that little memory is needed. */
uint64_t key_gather_union(struct key_gather *gather)
{
    size_t at[ROLLUP_COLUMNS_MAX] = {0};
    uint64_t slices = gather->kept / SLICE_KEYS + 1;
    uint64_t width = (gather->high - gather->low) / slices;
    uint64_t n = 0;
    for (uint64_t slice = 0; slice < slices; slice++) {
        uint64_t last = slice + 1 == slices ? gather->high : gather->low + (slice + 1) * width;
        gather->raw.n = 0;
        for (unsigned c = 0; c < gather->n; c++) {
            const struct key_list *column = &gather->columns[c];
            for (; at[c] < column->n && column->keys[at[c]] <= last; at[c]++)
                key_list_add(&gather->raw, column->keys[at[c]]);
        }
        key_list_settle(&gather->raw, &gather->scratch);
        n += gather->raw.n;
    }
    gather->raw.n = 0;
    return n;
}
