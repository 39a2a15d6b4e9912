/* The check of rollups against the log: a filter on any level, whole by all its checksums, that
 * lacks one key. The log is a made one; below it lies no chain, which is told, too. */
#include <stdlib.h>

#include "formats/key.h"
#include "formats/rollup.h"
#include "pipeline/stages/stages.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/log_maker.h"
#include "tests/support/suite.h"

static struct log_maker m;
static struct fsck_result result;

static void log_open(uint64_t end)
{
    log_maker_init(&m, 11, 2, 50000);
    log_maker_grow(&m, end);
    struct stage *stage = stage_rollup_open(&m.bc.repo, &(struct rollup_options){0});
    while (stage->run(stage) > 0)
        continue;
    stage->close(stage);
    struct key head = key_head(&m.bc.project);
    ck_assert_int_eq(store_delete(m.bc.mem, head.s), OK);
}

/* Only what is about rollups stays. */
static void run(void)
{
    size_t n = 0;
    fsck_rig_run(m.bc.mem, &m.bc.clock, false, 0, &result);
    ck_assert_int_eq(result.err, OK);
    for (size_t i = 0; i < result.n; i++) {
        if (strcmp(result.kept[i].invariant, "nofalse") == 0)
            result.kept[n++] = result.kept[i];
    }
    result.n = n;
}

/* --- a filter without a key --- */

struct without {
    const struct rollup *rollup;
    uint8_t *object;
    uint64_t key;
    unsigned column; /* from which it is left out */
};

static void add_but_one(void *arg, uint64_t position, uint64_t key)
{
    const struct without *w = arg;
    const struct rollup_shape *shape = &w->rollup->shape;
    uint64_t place = position > 0 ? position : 1;
    unsigned column = (unsigned)((place - shape->first) / rollup_span(shape->level));
    if (key != w->key || column != w->column)
        rollup_add(shape, column, &key, 1, w->object);
}

/* Puts the object that covers the position without the key; gives its name. */
static void plant(const struct rollup *rollup, uint64_t position, uint64_t key, struct key *out)
{
    const struct rollup_shape *shape = &rollup->shape;
    size_t len = rollup_len(shape);
    struct without w = {.rollup = rollup,
                        .object = calloc(1, len),
                        .key = key,
                        .column =
                            (unsigned)((position - shape->first) / rollup_span(shape->level))};
    ck_assert_ptr_nonnull(w.object);
    log_maker_keys(&m, shape->first == 1 ? 0 : shape->first, rollup_end(shape), add_but_one,
                   &w);
    /* Other keys have not set all of its bits. */
    ck_assert_uint_eq(rollup_lacks(shape, w.column, &key, 1, w.object), 0);
    rollup_seal(rollup, w.object);
    *out = key_rollup(&m.bc.project, shape->level, shape->first, rollup_end(shape));
    ck_assert_int_eq(store_put(m.bc.mem, out->s, bytes_of(w.object, len), PUT_ANY, NULL), OK);
    free(w.object);
}

static void plant_and_find(unsigned level, uint64_t first, uint64_t end, uint64_t position,
                           uint64_t key, const char *said)
{
    AUTO_BUF whole = {0};
    struct rollup rollup;
    struct key name = key_rollup(&m.bc.project, level, first, end);
    ck_assert_int_eq(store_get(m.bc.mem, name.s, range_all(), &whole, NULL, NULL), OK);
    ck_assert_int_eq(rollup_check(buf_bytes(&whole), &rollup), OK);
    plant(&rollup, position, key, &name);
    run();
    const char *text = fsck_rig_text(&result);
    ck_assert_msg(result.n == 1, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].problem, "rollup_lacks_key") == 0, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].key, name.s) == 0, "not %s\n%s", name.s, text);
    ck_assert_msg(strstr(result.kept[0].detail, said) != NULL, "not '%s'\n%s", said, text);
    ck_assert_int_eq(store_put(m.bc.mem, name.s, buf_bytes(&whole), PUT_ANY, NULL), OK);
}

/* --- what can be lacked --- */

struct landing_of {
    struct arena arena;
    const struct log_entry *entry;
    const struct log_effect *write;
};

/* The first landing from there on that writes a file in a directory. */
static void landing_find(uint64_t position, struct landing_of *out)
{
    *out = (struct landing_of){0};
    for (; out->write == NULL; position++) {
        uint32_t n;
        out->entry = log_maker_entries(&m, position, &out->arena, &n);
        for (uint32_t i = 0; i < out->entry->n_effects; i++) {
            const struct log_effect *effect = &out->entry->effects[i];
            if (effect->kind == EFFECT_WRITE &&
                memchr(effect->path.data, '/', effect->path.len) != NULL)
                out->write = effect;
        }
    }
}

/* Each kind of key, as one that is near `position`. */
static void each_kind(unsigned level, uint64_t first, uint64_t end, uint64_t position)
{
    struct landing_of l;
    landing_find(position, &l);
    struct bytes path = l.write->path;
    const uint8_t *slash = memchr(path.data, '/', path.len);
    struct bytes dir = bytes_of(path.data, (size_t)(slash - path.data));
    char *said = arena_printf(&l.arena, "path '%.*s' of position", (int)path.len,
                              (const char *)path.data);
    uint64_t at = l.entry->position;
    plant_and_find(level, first, end, at, rollup_key_path(path), said);
    said =
        arena_printf(&l.arena, "path '%.*s' of position", (int)dir.len, (const char *)dir.data);
    plant_and_find(level, first, end, at, rollup_key_path(dir), said);
    plant_and_find(level, first, end, at, rollup_key_path(bytes_str("")),
                   "path '' of position");
    said = arena_printf(&l.arena, "of position %u", (unsigned)at);
    plant_and_find(level, first, end, at, rollup_key_content(&l.write->hash), said);
    ck_assert_ptr_nonnull(strstr(result.kept[0].detail, "no to content "));
    plant_and_find(level, first, end, at, rollup_key_session(&l.entry->session), said);
    ck_assert_ptr_nonnull(strstr(result.kept[0].detail, "no to session "));
    arena_release(&l.arena);
}

/* A full group of the lowest level, one in parts, and a log that ends inside of a part. */
START_TEST(lowest_level)
{
    log_open(16701);
    run();
    ck_assert_msg(result.n == 0, "%s", fsck_rig_text(&result));
    ck_assert_uint_eq(result.counts.rollups, 1 + 3 + 1);
    each_kind(1, 1, 10001, 1);
    each_kind(1, 1, 10001, 9950);
    each_kind(1, 10001, 16401, 12345);
    each_kind(1, 16601, 16701, 16650);
    log_maker_release(&m);
}
END_TEST

/* The ids of answers before the first landing are in the first column. */
START_TEST(answers_before_the_first_landing)
{
    AUTO(arena_release) struct arena arena = {0};
    uint32_t n;
    log_open(101);
    const struct log_entry *entries = log_maker_entries(&m, 0, &arena, &n);
    plant_and_find(1, 1, 101, 1, rollup_key_session(&entries[0].session), " of position 0");
    ck_assert_uint_eq(result.n, 1);
    log_maker_release(&m);
}
END_TEST

START_TEST(middle_level)
{
    log_open(30101);
    run();
    ck_assert_msg(result.n == 0, "%s", fsck_rig_text(&result));
    ck_assert_uint_eq(result.counts.rollups, 3 + 1 + 2);
    each_kind(2, 1, 20001, 12345);
    each_kind(2, 20001, 30001, 29990);
    log_maker_release(&m);
}
END_TEST

START_TEST(highest_level)
{
    struct landing_of l;
    log_open(1000001);
    landing_find(987654, &l);
    plant_and_find(3, 1, 1000001, l.entry->position, rollup_key_path(l.write->path),
                   "no to path ");
    ck_assert_uint_eq(result.counts.rollups, 100 + 1 + 1);
    arena_release(&l.arena);
    log_maker_release(&m);
}
END_TEST

/* The longest of those that cover a position is asked, as readers do; and each is read. */
START_TEST(leftover_parts)
{
    AUTO_BUF whole = {0};
    log_open(301);
    struct key longer = key_rollup(&m.bc.project, 1, 1, 201);
    ck_assert_int_eq(store_get(m.bc.mem, longer.s, range_all(), &whole, NULL, NULL), OK);
    struct key part = key_rollup(&m.bc.project, 1, 101, 201);
    ck_assert_int_eq(store_put(m.bc.mem, part.s, buf_bytes(&whole), PUT_ANY, NULL), OK);
    run();
    ck_assert_msg(result.n == 1 && strcmp(result.kept[0].problem, "rollup_damaged") == 0 &&
                      strcmp(result.kept[0].key, part.s) == 0,
                  "%s", fsck_rig_text(&result));
    log_maker_release(&m);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        lowest_level,   answers_before_the_first_landing, middle_level, highest_level,
        leftover_parts,
    };
    return suite_run("fsck_rollups", tests, ARRAY_LEN(tests));
}
