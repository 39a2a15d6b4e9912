#include "formats/log_scan.h"

#include "formats/base/limits.h"
#include "tests/support/object.h"
#include "tests/support/sample_session.h"
#include "tests/support/suite.h"

#define TABLE_AT 48u

static struct arena arena;

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

/* Positions 1 and 2, and answers before, between and behind them. */
static struct log_segment sample(void)
{
    struct log_entry *entries = arena_array(&arena, 5, struct log_entry);
    entries[0] = entry_of(sample_conflicted(&arena, 0), "tree a");
    entries[1] = entry_of(sample_landing(&arena, 1), "tree b");
    entries[2] = entry_of(sample_conflicted(&arena, 1), "tree b");
    entries[3] = entry_of(sample_landing(&arena, 2), "tree b");
    entries[4] = entry_of(sample_conflicted(&arena, 2), "tree a");
    return segment_of(1, 3, entries, 5);
}

static int read_through(struct bytes in)
{
    struct log_scan scan;
    struct log_scan_entry entry;
    int err = log_scan_open(in, &scan);
    while (err == OK)
        err = log_scan_entry(&scan, &entry);
    return err == ERR_NOT_FOUND ? OK : err;
}

static int recode(const struct log_segment *segment)
{
    AUTO_BUF out = {0};
    log_segment_encode(segment, &arena, &out);
    return read_through(buf_bytes(&out));
}

START_TEST(gives_what_decoding_gives)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    log_segment_encode(&segment, &arena, &out);
    struct log_scan scan;
    ck_assert_int_eq(log_scan_open(buf_bytes(&out), &scan), OK);
    ck_assert(id16_equal(&scan.project, &segment.project));
    ck_assert_uint_eq(scan.first, 1);
    ck_assert_uint_eq(scan.end, 3);
    for (uint32_t i = 0; i < segment.n; i++) {
        const struct log_entry *want = &segment.entries[i];
        struct log_scan_entry entry;
        ck_assert_int_eq(log_scan_entry(&scan, &entry), OK);
        ck_assert_int_eq(entry.verdict, want->verdict);
        ck_assert_uint_eq(entry.position, want->position);
        ck_assert(id16_equal(&entry.session, &want->session));
        ck_assert(memcmp(entry.ids.data, want->request.b, 16) == 0);
        ck_assert_uint_eq(entry.ids.len, 56);
        ck_assert_uint_eq(entry.n_effects, want->n_effects);
        /* Those of the last landing are passed over. */
        for (uint32_t j = 0; j < want->n_effects && i < 3; j++) {
            struct log_scan_effect effect;
            ck_assert_int_eq(log_scan_effect(&scan, &effect), OK);
            ck_assert_int_eq(effect.kind, want->effects[j].kind);
            ck_assert(bytes_equal(effect.path, want->effects[j].path));
            if (effect.kind == EFFECT_WRITE)
                ck_assert(hash_equal(&effect.hash, &want->effects[j].hash));
        }
    }
    struct log_scan_entry none;
    ck_assert_int_eq(log_scan_entry(&scan, &none), ERR_NOT_FOUND);
}
END_TEST

START_TEST(damage_is_refused)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    log_segment_encode(&segment, &arena, &out);
    object_refuses_damage(buf_bytes(&out), read_through);
}
END_TEST

START_TEST(positions_are_without_holes)
{
    struct log_segment whole = sample();
    struct log_entry *e = whole.entries;
    struct log_entry landed[] = {e[1], e[3]};
    struct log_entry reversed[] = {e[3], e[1]};
    struct log_entry twice[] = {e[1], e[1], e[3]};
    struct log_entry ahead[] = {e[1], e[4], e[3]};
    struct log_entry early[] = {e[2], e[3]};
    const struct {
        struct log_segment segment;
        int err;
    } cases[] = {
        {whole, OK},
        {segment_of(1, 3, landed, 2), OK},
        {segment_of(1, 2, landed, 2), ERR_CORRUPT},
        {segment_of(1, 4, landed, 2), ERR_CORRUPT},
        {segment_of(2, 3, landed, 2), ERR_CORRUPT},
        {segment_of(2, 3, early, 2), ERR_CORRUPT},
        {segment_of(1, 3, reversed, 2), ERR_CORRUPT},
        {segment_of(1, 3, twice, 3), ERR_CORRUPT},
        {segment_of(1, 3, ahead, 3), ERR_CORRUPT},
        {segment_of(1, 1, landed, 2), ERR_CORRUPT},
        {segment_of(3, 1, landed, 2), ERR_CORRUPT},
        {segment_of(0, 1, landed, 0), ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(recode(&cases[i].segment) == cases[i].err, "case %zu", i);
}
END_TEST

START_TEST(fields_are_checked)
{
    struct log_segment segment = sample();
    AUTO_BUF out = {0};
    log_segment_encode(&segment, &arena, &out);
    struct bytes whole = buf_bytes(&out);
    static const uint8_t many[4] = {0xff, 0xff, 0xff, 0xff};
    static const uint8_t nine = 9;
    size_t entries_at = TABLE_AT + 4 + 2 * 32;
    ck_assert_int_eq(object_decode_with(whole, TABLE_AT, many, 4, read_through), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, entries_at, many, 4, read_through), ERR_CORRUPT);
    ck_assert_int_eq(object_decode_with(whole, entries_at + 4, &nine, 1, read_through),
                     ERR_CORRUPT);
    struct log_entry landed = segment.entries[1];
    struct log_effect effect = {.kind = (enum effect_kind)4, .path = bytes_str("a")};
    landed.effects = &effect;
    landed.n_effects = 1;
    struct log_segment one = segment_of(1, 2, &landed, 1);
    ck_assert_int_eq(recode(&one), ERR_CORRUPT);
    effect = (struct log_effect){
        .kind = EFFECT_WRITE, .path = bytes_str("a"), .where = {.place = (enum place)6}};
    ck_assert_int_eq(recode(&one), ERR_CORRUPT);
    effect.where.place = PLACE_MANIFEST;
    ck_assert_int_eq(recode(&one), OK);
}
END_TEST

/* Of each kind and place, wherever it ends too early. */
START_TEST(an_effect_that_is_cut_is_none)
{
    static const struct log_effect effects[] = {
        {.kind = EFFECT_DELETE},
        {.kind = EFFECT_MOVED},
        {.kind = EFFECT_WRITE, .where = {.place = PLACE_NONE}},
        {.kind = EFFECT_WRITE, .where = {.place = PLACE_RAW}},
        {.kind = EFFECT_WRITE, .where = {.place = PLACE_MANIFEST}},
    };
    struct log_segment segment = sample();
    for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
        AUTO_BUF out = {0};
        struct log_effect effect = effects[i];
        struct log_scan scan;
        struct log_scan_entry entry;
        struct log_scan_effect found;
        effect.path = bytes_str("a/path");
        segment.entries[1].effects = &effect;
        segment.entries[1].n_effects = 1;
        struct log_segment one = segment_of(1, 2, &segment.entries[1], 1);
        log_segment_encode(&one, &arena, &out);
        ck_assert_int_eq(log_scan_open(buf_bytes(&out), &scan), OK);
        ck_assert_int_eq(log_scan_entry(&scan, &entry), OK);
        ck_assert_int_eq(log_scan_effect(&scan, &found), OK);
        ck_assert(bytes_equal(found.path, effect.path));
        size_t begin = (size_t)(found.path.data - out.data);
        for (out.len--; out.len > begin; out.len--) {
            envelope_close(&out, 0);
            ck_assert_int_eq(log_scan_open(buf_bytes(&out), &scan), OK);
            ck_assert_int_eq(log_scan_entry(&scan, &entry), OK);
            ck_assert_int_eq(log_scan_effect(&scan, &found), ERR_CORRUPT);
            ck_assert_int_eq(log_scan_entry(&scan, &entry), ERR_CORRUPT);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gives_what_decoding_gives,     damage_is_refused,
        positions_are_without_holes,   fields_are_checked,
        an_effect_that_is_cut_is_none,
    };
    int failed = suite_run("log_scan", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return failed;
}
