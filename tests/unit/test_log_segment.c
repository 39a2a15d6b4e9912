#include "formats/log_segment.h"

#include "formats/base/limits.h"
#include "formats/path.h"
#include "tests/support/golden.h"
#include "tests/support/object.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

#define FIRST_AT 32u
#define END_AT   40u
#define TABLE_AT 48u

static struct arena arena;

static int decode(struct bytes in)
{
    struct arena own = {0};
    struct log_segment segment;
    int err = log_segment_decode(in, &own, &segment);
    arena_release(&own);
    return err;
}

static struct log_entry entry_of(struct landing landing, const char *tree)
{
    struct hash hash = sample_hash(tree);
    struct log_entry entry;
    ck_assert_int_eq(log_entry_of(&landing, &hash, &arena, &entry), OK);
    return entry;
}

static struct log_segment segment_of(uint64_t first, uint64_t end, struct log_entry *entries,
                                     uint32_t n)
{
    return (struct log_segment){
        .project = sample_id(0x10), .first = first, .end = end, .entries = entries, .n = n};
}

/* Positions 45 and 46 landed in one batch, an answer between them and one behind. */
static struct log_segment sample(void)
{
    struct log_entry *entries = arena_array(&arena, 4, struct log_entry);
    entries[0] = entry_of(sample_landing(&arena, 45), "tree b");
    entries[1] = entry_of(sample_conflicted(&arena, 45), "tree b");
    entries[2] = entry_of(sample_landing(&arena, 46), "tree b");
    entries[3] = entry_of(sample_conflicted(&arena, 46), "tree a");
    return segment_of(45, 47, entries, 4);
}

static void encode(const struct log_segment *segment, struct buf *out)
{
    buf_clear(out);
    log_segment_encode(segment, &arena, out);
}

static int recode(const struct log_segment *segment)
{
    AUTO_BUF out = {0};
    encode(segment, &out);
    return decode(buf_bytes(&out));
}

START_TEST(golden_bytes)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    golden_check("log_segment", buf_bytes(&out));
    AUTO_BUF golden = {0};
    golden_read("log_segment", &golden);
    struct log_segment decoded;
    ck_assert_int_eq(log_segment_decode(buf_bytes(&golden), &arena, &decoded), OK);
    ck_assert_uint_eq(decoded.first, 45);
    ck_assert_uint_eq(decoded.end, 47);
    ck_assert_uint_eq(decoded.n, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(decoded.entries[i].verdict, segment.entries[i].verdict);
        ck_assert_int_eq(decoded.entries[i].closes, segment.entries[i].closes);
        ck_assert(hash_equal(&decoded.entries[i].tree, &segment.entries[i].tree));
        ck_assert_uint_eq(decoded.entries[i].n_effects, segment.entries[i].n_effects);
    }
    encode(&decoded, &out);
    golden_check("log_segment", buf_bytes(&out));
}
END_TEST

START_TEST(damage_is_refused)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    object_refuses_damage(buf_bytes(&out), decode);
}
END_TEST

static const struct log_effect *effect_at(const struct log_entry *entry, const char *path)
{
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        if (bytes_equal(entry->effects[i].path, bytes_str(path)))
            return &entry->effects[i];
    }
    ck_abort_msg("nothing happens to %s", path);
}

START_TEST(an_entry_says_what_a_landing_did)
{
    struct landing landing = sample_landing(&arena, 45);
    struct log_entry entry = entry_of(landing, "tree");
    struct hash tree = sample_hash("tree");
    ck_assert_int_eq(entry.verdict, VERDICT_LANDED);
    ck_assert(entry.closes);
    ck_assert_uint_eq(entry.position, 45);
    ck_assert(hash_equal(&entry.tree, &tree));
    ck_assert(id16_equal(&entry.session, &landing.session));
    ck_assert(id16_equal(&entry.request, &landing.request));
    ck_assert(bytes_equal(entry.author, bytes_str("ada")));
    ck_assert(bytes_equal(entry.goal, bytes_str("Teach the parser about tabs")));
    ck_assert_uint_eq(entry.n_effects, 8);
    for (uint32_t i = 1; i < entry.n_effects; i++)
        ck_assert_int_lt(bytes_compare(entry.effects[i - 1].path, entry.effects[i].path), 0);

    const struct log_effect *effect = effect_at(&entry, "src/parser.c");
    ck_assert_int_eq(effect->where.place, PLACE_RAW);
    ck_assert(hash_equal(&effect->where.tree, &tree));
    ck_assert_uint_eq(effect->where.len, effect->size);
    ck_assert_int_eq(effect_at(&entry, "src/frame.c")->where.place, PLACE_ZSTD);
    ck_assert_int_eq(effect_at(&entry, "latest")->file_kind, KIND_LINK);
    effect = effect_at(&entry, "bin/run");
    ck_assert_int_eq(effect->where.place, PLACE_BLOB);
    ck_assert_uint_eq(effect->mode, MODE_EXEC);
    effect = effect_at(&entry, "big.bin");
    ck_assert_int_eq(effect->where.place, PLACE_MANIFEST);
    struct hash manifest = sample_hash("the manifest");
    ck_assert(hash_equal(&effect->where.check, &manifest));
    ck_assert_int_eq(effect_at(&entry, "docs/old.md")->kind, EFFECT_MOVED);
    effect = effect_at(&entry, "docs/new.md");
    ck_assert_int_eq(effect->kind, EFFECT_WRITE);
    ck_assert_int_eq(effect->where.place, PLACE_NONE);
    ck_assert_int_eq(effect_at(&entry, "junk/a")->kind, EFFECT_DELETE);
}
END_TEST

START_TEST(an_entry_of_an_answer_that_landed_nothing)
{
    struct log_entry entry = entry_of(sample_conflicted(&arena, 45), "tree");
    ck_assert_int_eq(entry.verdict, VERDICT_CONFLICTED);
    ck_assert(!entry.closes);
    ck_assert(bytes_equal(entry.reason, bytes_str("conflict")));
    ck_assert_uint_eq(entry.n_effects, 0);
    ck_assert_uint_eq(entry.goal.len, 0);
}
END_TEST

START_TEST(a_landing_must_have_its_session_in_the_tree)
{
    struct hash tree = sample_hash("tree");
    struct log_entry entry;
    struct landing landing = sample_landing(&arena, 45);
    landing.landed = sample_session(&arena);
    ck_assert_int_eq(log_entry_of(&landing, &tree, &arena, &entry), ERR_CORRUPT);
    landing.has_session = false;
    ck_assert_int_eq(log_entry_of(&landing, &tree, &arena, &entry), ERR_CORRUPT);
}
END_TEST

/* Of any run of positions what the whole has of them. */
START_TEST(a_run_is_a_part_of_the_whole)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    for (uint64_t from = 44; from < 48; from++) {
        for (uint64_t end = from; end < 49; end++) {
            struct log_segment run;
            uint32_t n = 0;
            ck_assert_int_eq(log_segment_decode_run(buf_bytes(&out), from, end, &arena, &run),
                             OK);
            ck_assert_uint_eq(run.first, segment.first);
            ck_assert_uint_eq(run.end, segment.end);
            for (uint32_t i = 0; i < segment.n; i++) {
                const struct log_entry *whole = &segment.entries[i];
                if (whole->position < from || whole->position >= end)
                    continue;
                ck_assert_uint_lt(n, run.n);
                const struct log_entry *part = &run.entries[n++];
                ck_assert(id16_equal(&part->request, &whole->request));
                ck_assert_uint_eq(part->n_effects, whole->n_effects);
                ck_assert(hash_equal(&part->tree, &whole->tree));
                ck_assert(bytes_equal(part->goal, whole->goal));
            }
            ck_assert_uint_eq(n, run.n);
        }
    }
}
END_TEST

static bool effect_same(const struct log_effect *a, const struct log_effect *b)
{
    return a->kind == b->kind && bytes_equal(a->path, b->path) && a->size == b->size &&
           a->mode == b->mode && hash_equal(&a->hash, &b->hash) &&
           a->where.place == b->where.place && a->where.len == b->where.len;
}

/* Of `whole` what is asked for of an entry that touches the path; false when it does not. */
static bool below_same(const struct log_entry *whole, const struct log_entry *part,
                       struct bytes path)
{
    bool touches = false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < whole->n_effects; i++) {
        const struct log_effect *effect = &whole->effects[i];
        bool on_path = bytes_equal(effect->path, path) || path_below(effect->path, path);
        touches = touches || on_path;
        if (part == NULL || (!on_path && effect->kind == EFFECT_WRITE))
            continue;
        ck_assert_uint_lt(n, part->n_effects);
        ck_assert(effect_same(&part->effects[n++], effect));
    }
    if (part != NULL)
        ck_assert_uint_eq(part->n_effects, n);
    return touches;
}

/* Entries that touch a path, with what they did there and what they have made go away. */
START_TEST(below_a_path_only_what_touches_it)
{
    static const char *const paths[] = {"src",     "src/parser.c", "src/p", "docs/old.md",
                                        "big.bin", "nothing/here", "junk",  "latest"};
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    unsigned found = 0;
    for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
        struct bytes path = bytes_str(paths[k]);
        struct log_segment part;
        uint32_t n = 0;
        ck_assert_int_eq(log_segment_decode_below(buf_bytes(&out), 45, 47, path, &arena, &part),
                         OK);
        ck_assert_uint_eq(part.first, segment.first);
        for (uint32_t i = 0; i < segment.n; i++) {
            const struct log_entry *whole = &segment.entries[i];
            if (whole->position < 45 || !below_same(whole, NULL, path))
                continue;
            ck_assert(part.entries != NULL && n < part.n);
            const struct log_entry *entry = &part.entries[n++];
            ck_assert(below_same(whole, entry, path));
            ck_assert(id16_equal(&entry->request, &whole->request));
            ck_assert(bytes_equal(entry->goal, whole->goal));
            ck_assert(hash_equal(&entry->tree, &whole->tree));
            ck_assert_uint_eq(entry->hlc, whole->hlc);
        }
        ck_assert_uint_eq(n, part.n);
        found += n;
    }
    ck_assert_uint_gt(found, 0);
}
END_TEST

static int decode_below(struct bytes in)
{
    struct log_segment part;
    return log_segment_decode_below(in, 45, 46, bytes_str("src"), &arena, &part);
}

START_TEST(damage_beside_a_path_is_refused)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    object_refuses_damage(buf_bytes(&out), decode_below);
}
END_TEST

static int decode_run(struct bytes in)
{
    struct log_segment run;
    return log_segment_decode_run(in, 46, 47, &arena, &run);
}

START_TEST(damage_beside_a_run_is_refused)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    object_refuses_damage(buf_bytes(&out), decode_run);
}
END_TEST

/* A hole must not pass for a quiet time. */
START_TEST(positions_are_without_holes)
{
    struct log_segment whole = sample();
    ck_assert_int_eq(recode(&whole), OK);
    struct log_entry *e = whole.entries;
    struct log_entry landed[] = {e[0], e[2]};
    struct log_entry reversed[] = {e[2], e[0]};
    struct log_entry early[] = {e[1], e[0], e[2]};
    struct log_entry twice[] = {e[0], e[0], e[2]};
    struct log_entry late[] = {e[0], e[2], e[1]};
    struct log_entry ahead[] = {e[0], e[3], e[2]};
    const struct {
        struct log_segment segment;
        int err;
    } cases[] = {
        {segment_of(45, 47, landed, 2), OK},
        {segment_of(45, 46, e, 2), OK},
        {segment_of(45, 46, landed, 2), ERR_CORRUPT},
        {segment_of(45, 48, landed, 2), ERR_CORRUPT},
        {segment_of(44, 47, landed, 2), ERR_CORRUPT},
        {segment_of(46, 47, landed, 2), ERR_CORRUPT},
        {segment_of(45, 47, reversed, 2), ERR_CORRUPT},
        {segment_of(45, 47, early, 3), ERR_CORRUPT},
        {segment_of(45, 47, twice, 3), ERR_CORRUPT},
        {segment_of(45, 47, late, 3), ERR_CORRUPT},
        {segment_of(45, 47, ahead, 3), ERR_CORRUPT},
        {segment_of(45, 45, landed, 0), ERR_CORRUPT},
        {segment_of(47, 45, landed, 2), ERR_CORRUPT},
        {segment_of(45, 46, landed, 0), ERR_CORRUPT},
        {segment_of(0, 1, landed, 0), ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(recode(&cases[i].segment) == cases[i].err, "case %zu", i);
}
END_TEST

START_TEST(answers_before_the_first_landing_are_in_the_first_segment)
{
    struct log_entry entries[] = {
        entry_of(sample_conflicted(&arena, 0), "tree a"),
        entry_of(sample_landing(&arena, 1), "tree b"),
    };
    struct log_segment segment = segment_of(1, 2, entries, 2);
    ck_assert_int_eq(recode(&segment), OK);
    entries[0].position = 1;
    entries[1].position = 2;
    segment = segment_of(2, 3, entries, 2);
    ck_assert_int_eq(recode(&segment), ERR_CORRUPT);
}
END_TEST

START_TEST(the_table_is_canonical)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    encode(&segment, &out);
    struct bytes whole = buf_bytes(&out);
    uint8_t table[64];
    memcpy(table, out.data + TABLE_AT + 4, 64);
    ck_assert_int_lt(memcmp(table, table + 32, 32), 0);
    uint8_t swapped[64];
    memcpy(swapped, table + 32, 32);
    memcpy(swapped + 32, table, 32);
    ck_assert_int_eq(object_decode_with(whole, TABLE_AT + 4, swapped, 64, decode), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, TABLE_AT + 4, table + 32, 32, decode),
                     ERR_CORRUPT);
    static const uint8_t many[4] = {0xff, 0xff, 0xff, 0xff};
    ck_assert_int_eq(object_decode_with(whole, TABLE_AT, many, 4, decode), ERR_LIMIT);
    ck_assert_int_eq(object_decode_with(whole, TABLE_AT + 68, many, 4, decode), ERR_LIMIT);
    /* The first entry's tree object: one that is not in the table; the one that only the last
     * entry needs. */
    static const uint8_t beyond[4] = {0, 0, 0, 2};
    ck_assert_int_eq(object_decode_with(whole, TABLE_AT + 72 + 9, beyond, 4, decode),
                     ERR_CORRUPT);

    /* A tree object that no entry uses: the sample without its last entry, under the old
     * table. */
    struct log_segment all_b = segment;
    all_b.n = 3;
    AUTO_BUF one = {0};
    encode(&all_b, &one);
    ck_assert_int_eq(decode(buf_bytes(&one)), OK);
    AUTO_BUF unused = {0};
    buf_append(&unused, one.data, TABLE_AT);
    struct hash other = {{0xff}};
    memset(other.b, 0xff, sizeof(other.b));
    wr_u32(&unused, 2);
    buf_append(&unused, one.data + TABLE_AT + 4, 32);
    wr_hash(&unused, &other);
    buf_append(&unused, one.data + TABLE_AT + 36, one.len - TABLE_AT - 36);
    envelope_close(&unused, 0);
    ck_assert_int_eq(decode(buf_bytes(&unused)), ERR_CORRUPT);
}
END_TEST

/* A segment of one landing with these effects. */
static int recode_effects(struct log_effect *effects, uint32_t n)
{
    struct log_entry entry = entry_of(sample_landing(&arena, 45), "tree");
    entry.effects = effects;
    entry.n_effects = n;
    struct log_segment segment = segment_of(45, 46, &entry, 1);
    return recode(&segment);
}

START_TEST(effects_are_checked)
{
    struct log_effect a = {.kind = EFFECT_DELETE, .path = bytes_str("a")};
    struct log_effect b = {.kind = EFFECT_MOVED, .path = bytes_str("b")};
    struct log_effect c = {.kind = EFFECT_WRITE,
                           .path = bytes_str("c"),
                           .file_kind = KIND_FILE,
                           .mode = MODE_PLAIN,
                           .where = {.place = PLACE_BLOB}};
    ck_assert_int_eq(recode_effects((struct log_effect[]){a, b, c}, 3), OK);
    ck_assert_int_eq(recode_effects((struct log_effect[]){b, a}, 2), ERR_CORRUPT);
    ck_assert_int_eq(recode_effects((struct log_effect[]){a, a}, 2), ERR_CORRUPT);
    struct log_effect bad = c;
    bad.kind = (enum effect_kind)4;
    ck_assert_int_eq(recode_effects(&bad, 1), ERR_CORRUPT);
    bad = c;
    bad.path = bytes_str("../c");
    ck_assert_int_eq(recode_effects(&bad, 1), ERR_INVALID);
    bad = c;
    bad.file_kind = KIND_DIR;
    ck_assert_int_eq(recode_effects(&bad, 1), ERR_CORRUPT);
    bad = c;
    bad.mode = 0;
    ck_assert_int_eq(recode_effects(&bad, 1), ERR_CORRUPT);
    bad = c;
    bad.size = CONTENT_SIZE_MAX + 1;
    ck_assert_int_eq(recode_effects(&bad, 1), ERR_LIMIT);
    bad = c;
    bad.where.place = (enum place)6;
    ck_assert_int_eq(recode_effects(&bad, 1), ERR_CORRUPT);
}
END_TEST

START_TEST(too_long_is_refused)
{
    static const uint8_t nothing;
    ck_assert_int_eq(decode(bytes_of(&nothing, LOG_SEGMENT_MAX + 1u)), ERR_LIMIT);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        golden_bytes,
        damage_is_refused,
        a_run_is_a_part_of_the_whole,
        damage_beside_a_run_is_refused,
        below_a_path_only_what_touches_it,
        damage_beside_a_path_is_refused,
        an_entry_says_what_a_landing_did,
        an_entry_of_an_answer_that_landed_nothing,
        a_landing_must_have_its_session_in_the_tree,
        positions_are_without_holes,
        answers_before_the_first_landing_are_in_the_first_segment,
        the_table_is_canonical,
        effects_are_checked,
        too_long_is_refused,
    };
    int failed = suite_run("log_segment", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
