#include "tests/support/log_maker.h"

#include <check.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "formats/rollup.h"

/* A number for each question about a position, always the same. */
static uint64_t drawn(const struct log_maker *maker, uint64_t position, uint64_t which)
{
    uint64_t asked[2] = {position, which};
    return xxh3_64_seed(bytes_of(asked, sizeof(asked)), maker->seed);
}

static void fill(const struct log_maker *maker, uint64_t position, uint64_t which, uint8_t *out,
                 size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t n = drawn(maker, position, which * 16 + i);
        memcpy(out + i, &n, 8);
    }
}

void log_maker_init(struct log_maker *maker, uint64_t seed, unsigned effects_max,
                    uint64_t names)
{
    *maker =
        (struct log_maker){.seed = seed, .effects_max = effects_max, .names = names, .end = 1};
    build_chain_init(&maker->bc);
}

void log_maker_release(struct log_maker *maker)
{
    build_chain_release(&maker->bc);
}

/* ---- entries ---- */

static int effect_order(const void *a, const void *b)
{
    const struct log_effect *left = a;
    const struct log_effect *right = b;
    return bytes_compare(left->path, right->path);
}

static struct bytes path_of(const struct log_maker *maker, uint64_t n, struct arena *arena)
{
    unsigned name = (unsigned)(n % maker->names);
    const char *path =
        n >> 40 & 1 ? arena_printf(arena, "d%u/e%u/f%u", name / 50 % 20, name / 10 % 5, name)
                    : arena_printf(arena, "d%u/f%u", name / 10 % 100, name);
    return bytes_str(n >> 41 & 7 ? path : arena_printf(arena, "f%u", name));
}

static void heavy_make(const struct log_maker *maker, struct log_entry *entry,
                       struct arena *arena)
{
    entry->n_effects = maker->heavy;
    entry->effects = arena_array(arena, maker->heavy, struct log_effect);
    for (uint32_t i = 0; i < maker->heavy; i++)
        entry->effects[i] = (struct log_effect){
            .kind = EFFECT_DELETE, .path = bytes_str(arena_printf(arena, "h%08u", i))};
}

static void effects_make(const struct log_maker *maker, struct log_entry *entry,
                         struct arena *arena)
{
    uint64_t p = entry->position;
    uint32_t n = (uint32_t)(drawn(maker, p, 1) % (maker->effects_max + 1u));
    if (p == LOG_MAKER_HEAVY && maker->heavy > 0) {
        heavy_make(maker, entry, arena);
        return;
    }
    if (maker->touched > 0 && p % maker->touched == maker->touched / 2) {
        entry->effects = arena_array(arena, 1, struct log_effect);
        entry->effects[0] =
            (struct log_effect){.kind = EFFECT_DELETE, .path = bytes_str(LOG_MAKER_TOUCHED)};
        entry->n_effects = 1;
        return;
    }
    entry->effects = arena_array(arena, n, struct log_effect);
    for (uint32_t i = 0; i < n; i++) {
        struct log_effect *effect = &entry->effects[i];
        uint64_t kind = drawn(maker, p, 100 + i) % 8;
        effect->path = path_of(maker, drawn(maker, p, 200 + i), arena);
        effect->kind = kind == 0 ? EFFECT_DELETE : kind == 1 ? EFFECT_MOVED : EFFECT_WRITE;
        if (effect->kind != EFFECT_WRITE)
            continue;
        effect->file_kind = KIND_FILE;
        effect->mode = MODE_PLAIN;
        fill(maker, p, 300 + i, effect->hash.b, sizeof(effect->hash.b));
        effect->where.place = kind == 2 ? PLACE_NONE : PLACE_BLOB;
    }
    qsort(entry->effects, n, sizeof(*entry->effects), effect_order);
    for (uint32_t i = 0; i < n; i++) {
        if (entry->n_effects == 0 ||
            !bytes_equal(entry->effects[entry->n_effects - 1].path, entry->effects[i].path))
            entry->effects[entry->n_effects++] = entry->effects[i];
    }
}

/* Begun somewhere before it was answered. */
static void session_make(const struct log_maker *maker, uint64_t position, uint64_t which,
                         struct id16 *out)
{
    uint64_t base = position > 0 ? drawn(maker, position, 40 + which) % position : 0;
    fill(maker, position, which, out->b, sizeof(out->b));
    for (unsigned i = 0; i < 6; i++)
        out->b[i] = (uint8_t)(base >> 8 * (5 - i));
}

/* A position has its landing, and some have other answers behind it; position 0 has only
 * those. */
struct log_entry *log_maker_entries(struct log_maker *maker, uint64_t position,
                                    struct arena *arena, uint32_t *n)
{
    static const enum verdict verdicts[] = {VERDICT_CONFLICTED, VERDICT_REFUSED,
                                            VERDICT_NOT_TRIED, VERDICT_ABANDONED};
    uint32_t landed = position > 0;
    uint32_t others = position == 0 ? 2 : drawn(maker, position, 0) % 4 == 0;
    *n = landed + others;
    struct log_entry *entries = arena_array(arena, *n, struct log_entry);
    for (uint32_t i = 0; i < *n; i++) {
        struct log_entry *entry = &entries[i];
        entry->position = position;
        entry->hlc = position;
        session_make(maker, position, 10 + i, &entry->session);
        fill(maker, position, 20 + i, entry->request.b, sizeof(entry->request.b));
        entry->verdict = VERDICT_LANDED;
        if (i < landed)
            effects_make(maker, entry, arena);
        else
            entry->verdict = verdicts[drawn(maker, position, 30 + i) % ARRAY_LEN(verdicts)];
    }
    return entries;
}

/* ---- the log ---- */

static void segment_put(struct log_maker *maker, uint64_t first, uint64_t end)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    void *items = NULL;
    size_t n = 0;
    size_t cap = 0;
    for (uint64_t p = first == 1 ? 0 : first; p < end; p++) {
        uint32_t count;
        struct log_entry *entries = log_maker_entries(maker, p, &arena, &count);
        for (uint32_t i = 0; i < count; i++) {
            struct log_entry *item = arena_push(&arena, &items, &n, &cap, sizeof(*item));
            *item = entries[i];
        }
    }
    struct log_segment segment = {.project = maker->bc.project,
                                  .first = first,
                                  .end = end,
                                  .entries = items,
                                  .n = (uint32_t)n};
    log_segment_encode(&segment, &arena, &bytes);
    struct key key = key_log(&maker->bc.project, first, end);
    ck_assert_int_eq(store_put(maker->bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void thousand_put(struct log_maker *maker, uint64_t first)
{
    segment_put(maker, first, first + LOG_SPAN_LARGE);
    for (uint64_t p = first; p < maker->end; p += LOG_SPAN_SMALL) {
        struct key key = key_log(&maker->bc.project, p, p + LOG_SPAN_SMALL);
        ck_assert_int_eq(store_delete(maker->bc.mem, key.s), OK);
    }
    maker->end = first + LOG_SPAN_LARGE;
}

void log_maker_grow(struct log_maker *maker, uint64_t end)
{
    uint8_t bytes[HEAD_LEN];
    ck_assert_uint_eq(end % LOG_SPAN_SMALL, 1);
    while (maker->end < end) {
        uint64_t first = maker->end - (maker->end - 1) % LOG_SPAN_LARGE;
        if (first + LOG_SPAN_LARGE <= end) {
            thousand_put(maker, first);
        } else {
            segment_put(maker, maker->end, maker->end + LOG_SPAN_SMALL);
            maker->end += LOG_SPAN_SMALL;
        }
    }
    maker->bc.head.position = end;
    head_encode(&maker->bc.head, bytes);
    struct key key = key_head(&maker->bc.project);
    ck_assert_int_eq(
        store_put(maker->bc.mem, key.s, bytes_of(bytes, sizeof(bytes)), PUT_ANY, NULL), OK);
}

/* ---- what is to be found ---- */

static void path_tell(struct bytes path, uint64_t position, log_maker_tell *tell, void *arg)
{
    tell(arg, position, rollup_key_path(path));
    while (path.len > 0) {
        path.len--;
        if (path.len == 0 || path.data[path.len] == '/')
            tell(arg, position, rollup_key_path(path));
    }
}

void log_maker_keys(struct log_maker *maker, uint64_t first, uint64_t end, log_maker_tell *tell,
                    void *arg)
{
    for (uint64_t p = first; p < end; p++) {
        AUTO(arena_release) struct arena arena = {0};
        uint32_t n;
        const struct log_entry *entries = log_maker_entries(maker, p, &arena, &n);
        for (uint32_t i = 0; i < n; i++) {
            tell(arg, p, rollup_key_session(&entries[i].session));
            for (uint32_t e = 0; e < entries[i].n_effects; e++) {
                const struct log_effect *effect = &entries[i].effects[e];
                path_tell(effect->path, p, tell, arg);
                if (effect->kind == EFFECT_WRITE)
                    tell(arg, p, rollup_key_content(&effect->hash));
            }
        }
    }
}
