/* The check of buckets in which nothing is wrong, at rest and in use. */
#include <stdlib.h>

#include "formats/key.h"
#include "formats/tree_object.h"
#include "pipeline/repo/chain.h"
#include "pipeline/store/trace.h"
#include "tests/support/chance.h"
#include "tests/support/faulty.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/plant.h"
#include "tests/support/suite.h"
#include "tests/support/world.h"

static struct fsck_result result;

/* Nothing wrong, but for this many notes. */
static void is_clean(struct store *store, struct clock *clock, bool deep, size_t ids_max,
                     uint64_t notes)
{
    fsck_rig_run(store, clock, deep, ids_max, &result);
    ck_assert_msg(result.err == OK && result.counts.damages == 0 &&
                      result.counts.notes == notes,
                  "%s", fsck_rig_text(&result));
}

START_TEST(a_world)
{
    struct world world;
    struct clock_manual clock;
    world_build(&world);
    struct store *store = bucket_copy_store(&world.copy);
    clock_manual_init(&clock, world.ms + 600000);
    for (unsigned deep = 0; deep < 2; deep++) {
        is_clean(store, &clock.clock, deep == 1, 0, 1);
        ck_assert_str_eq(result.kept[0].problem, "dead_letter");
        ck_assert_uint_eq(result.counts.projects, 2);
        ck_assert_uint_eq(result.counts.landings, 2 * WORLD_POSITION);
        ck_assert_uint_eq(result.counts.segments, 2);
        ck_assert_uint_eq(result.counts.sessions, 6);
        ck_assert_uint_eq(result.counts.blobs, 8);
        ck_assert_uint_eq(result.counts.keys, world.copy.n);
        ck_assert_uint_eq(result.counts.unnamed, 0);
    }
    ck_assert_uint_gt(result.counts.pages, 10);
    ck_assert_uint_gt(result.counts.contents, 2 * WORLD_POSITION);
    store_close(store);
    world_release(&world);
}
END_TEST

/* --- a history by chance --- */

struct history {
    struct forge f;
    struct chance chance;
    unsigned n;
    struct draft open[4];
    size_t n_open;
};

static unsigned below(struct history *h, unsigned n)
{
    return (unsigned)chance_below(&h->chance, n);
}

static char *path_any(struct history *h)
{
    return arena_printf(&h->f.arena, "d%u/e%u/f%u", below(h, 3), below(h, 2), below(h, 4));
}

/* One change: mostly of what is there, now and then of what is not. */
static void change_any(struct history *h, struct draft *d)
{
    const char *path = path_any(h);
    const char *target = path_any(h);
    const char *text = forge_text(&h->f, path);
    const char *new_text = arena_printf(&h->f.arena, "text %u", h->n);
    const char *seen = below(h, 8) == 0 ? "another" : text;
    switch (below(h, 5)) {
    case 0:
        draft_delete(d, path, seen);
        break;
    case 1:
        if (text != NULL && forge_text(&h->f, target) == NULL)
            draft_rename(d, path, target, text);
        else
            draft_guard(d, path, seen_text(text));
        break;
    default:
        draft_write(d, path, new_text, seen);
    }
}

static struct draft session_any(struct history *h)
{
    const char *name = arena_printf(&h->f.arena, "s%u", h->n++);
    struct draft d = draft_open(&h->f, "ann", name, forge_position(&h->f));
    for (unsigned i = below(h, 3) + 1; i > 0; i--)
        change_any(h, &d);
    return d;
}

static void open_any(struct history *h)
{
    if (h->n_open < ARRAY_LEN(h->open)) {
        struct draft d = session_any(h);
        struct id16 ids[16];
        struct draft kept = d;
        forge_write(&h->f, &d);
        if (below(h, 2) == 0) {
            size_t n = records_ids(kept.session.records, kept.session.n_records, ids);
            (void)forge_land(&h->f, &kept, ids, n);
        } else {
            h->open[h->n_open++] = d;
        }
        return;
    }
    (void)forge_abandon(&h->f, &h->open[--h->n_open]);
}

static void step_any(struct history *h)
{
    struct draft drafts[5];
    size_t n = below(h, ARRAY_LEN(drafts)) + 1;
    if (below(h, 4) == 0) {
        open_any(h);
    } else {
        for (size_t i = 0; i < n; i++)
            drafts[i] = session_any(h);
        (void)forge_submit(&h->f, drafts, n);
    }
    h->f.clock.ms += below(h, 20000);
    if (below(h, 3) > 0)
        forge_drain(&h->f);
}

static void append_all(struct forge *f)
{
    struct stage *append = stage_append_open(&f->repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
}

START_TEST(histories_by_chance)
{
    for (unsigned i = 0; i < 4; i++) {
        struct history h = {0};
        forge_init(&h.f);
        chance_init(&h.chance, "histories_by_chance");
        for (unsigned k = 0; k < 200; k++) {
            step_any(&h);
            if (k % 50 == 0)
                append_all(&h.f);
            if (k % 20 == 0)
                is_clean(h.f.mem, &h.f.clock.clock, k % 40 == 0, 0, 0);
        }
        forge_drain(&h.f);
        append_all(&h.f);
        h.f.clock.ms += 600000;
        /* However few numbers fit, the same is found: nothing. */
        is_clean(h.f.mem, &h.f.clock.clock, true, 0, 0);
        uint64_t answers = result.counts.answers;
        is_clean(h.f.mem, &h.f.clock.clock, false, 40, 0);
        ck_assert_uint_eq(result.counts.answers, answers);
        ck_assert_uint_eq(result.counts.landings, forge_position(&h.f));
        ck_assert_uint_gt(answers, result.counts.landings + 20);
        ck_assert_uint_gt(result.counts.segments, 0);
        ck_assert_uint_gt(result.counts.sessions, 5);
        forge_release(&h.f);
    }
}
END_TEST

/* --- numbers that do not fit --- */

/* Wherever in the chain the two answers are, and in whichever class. */
START_TEST(two_answers_are_found_with_little_memory)
{
    struct forge f;
    struct draft d[40];
    struct id16 requests[ARRAY_LEN(d)];
    struct plant p;
    forge_init(&f);
    for (size_t i = 0; i < ARRAY_LEN(d); i++) {
        d[i] = draft_open(&f, "ann", arena_printf(&f.arena, "d%zu", i), i);
        draft_write(&d[i], "same", arena_printf(&f.arena, "text %zu", i),
                    i == 0 ? NULL : arena_printf(&f.arena, "text %zu", i - 1));
        requests[i] = forge_submit(&f, &d[i], 1);
        forge_drain(&f);
    }
    plant_begin(&p, &f);
    for (size_t i = 0; i < ARRAY_LEN(d); i += 2)
        plant_answer(&p, &d[i].session.id, &requests[i], VERDICT_REFUSED);
    plant_end(&p);
    for (size_t ids_max = 4; ids_max < 200; ids_max *= 3) {
        fsck_rig_run(f.mem, &f.clock.clock, false, ids_max, &result);
        ck_assert_msg(result.counts.damages == ARRAY_LEN(d) / 2, "%s", fsck_rig_text(&result));
        for (size_t i = 0; i < result.n; i++)
            ck_assert_str_eq(result.kept[i].problem, "answered_twice");
    }
    forge_release(&f);
}
END_TEST

/* --- in use --- */

struct in_use {
    struct forge f;
    struct store *faulty; /* what the check reads through */
    uint64_t every;
    unsigned n;
    bool inside;
};

/* Before a call of the check: a session lands whole, one that is open is written to, folded and
 * closed, the log grows. */
static void somebody_works(void *arg, uint64_t call, const struct store_op *op UNUSED)
{
    struct in_use *u = arg;
    if (u->inside || call % u->every != 0)
        return;
    u->inside = true;
    struct forge *f = &u->f;
    struct id16 ids[4];
    const char *name = arena_printf(&f->arena, "w%u", u->n++);
    struct draft open = draft_open(f, "ann", arena_printf(&f->arena, "o%u", u->n), 0);
    draft_write(&open, arena_printf(&f->arena, "open%u", u->n), "text", NULL);
    struct draft whole = open;
    forge_write(f, &open);
    f->clock.ms += 40000;
    forge_land_text(f, name, name, name, NULL);
    size_t n = records_ids(whole.session.records, whole.session.n_records, ids);
    (void)forge_land(f, &whole, ids, n);
    forge_drain(f);
    append_all(f);
    u->inside = false;
}

static void in_use_run(struct in_use *u, uint64_t every, bool deep)
{
    *u = (struct in_use){.every = every};
    forge_init(&u->f);
    struct draft d[60];
    for (size_t i = 0; i < ARRAY_LEN(d); i++) {
        const char *name = arena_printf(&u->f.arena, "d%zu", i);
        d[i] = draft_open(&u->f, "ann", name, 0);
        draft_write(&d[i], name, name, NULL);
    }
    (void)forge_submit(&u->f, d, ARRAY_LEN(d));
    forge_drain(&u->f);
    u->faulty = faulty_store_open(u->f.mem);
    faulty_watch(u->faulty, somebody_works, u);
    is_clean(u->faulty, &u->f.clock.clock, deep, 0, 0);
    store_close(u->faulty);
    is_clean(u->f.mem, &u->f.clock.clock, deep, 0, 0);
    forge_release(&u->f);
}

START_TEST(landings_between_any_two_calls)
{
    struct in_use u;
    unsigned landed = 0;
    for (uint64_t every = 1; every < 30; every++) {
        in_use_run(&u, every, every % 5 == 0);
        landed += u.n;
    }
    ck_assert_uint_gt(landed, 100);
}
END_TEST

/* --- what it costs, and what the store refuses --- */

/* A long chain is read many batches at once, and each once. */
START_TEST(each_object_is_read_once)
{
    struct forge f;
    struct trace_counts counts;
    struct fsck_options options = {.page_cache_bytes = MIB};
    struct fsck_counts out;
    forge_init(&f);
    for (unsigned i = 0; i < 120; i++)
        forge_land_text(&f, arena_printf(&f.arena, "k%u", i), "same",
                        arena_printf(&f.arena, "text %u", i),
                        i == 0 ? NULL : arena_printf(&f.arena, "text %u", i - 1));
    append_all(&f);
    (void)trace_store_counts(f.trace, true);
    ck_assert_int_eq(fsck_run(f.trace, &f.clock.clock, &f.rng.rng, &options, &out), OK);
    counts = trace_store_counts(f.trace, true);
    ck_assert_uint_eq(out.batches, 121);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 121 + 1); /* the tip once more */
    ck_assert_uint_eq(counts.gets[TRACE_LOG], 1);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_le(counts.lists, 13);
    forge_release(&f);
}
END_TEST

static struct hash tree_of(struct forge *f, uint64_t number)
{
    struct head head;
    ck_assert_int_eq(chain_head(&f->repo, &f->project, &head, NULL), OK);
    for (struct hash at = head.tree_hash;;) {
        const struct batch *batch;
        ck_assert_int_eq(chain_batch(&f->repo, &f->project, &at, &batch), OK);
        struct hash found = at;
        at = batch->footer.prev;
        uint64_t n = batch->footer.batch;
        chain_drop(&f->repo, batch);
        if (n == number)
            return found;
    }
}

static bool is_found(const char *problem, const struct key *key)
{
    for (size_t i = 0; i < result.n; i++) {
        if (strcmp(result.kept[i].problem, problem) == 0 &&
            strcmp(result.kept[i].key, key->s) == 0)
            return true;
    }
    return false;
}

/* A batch that cannot be read hides no other: those that only it names are found by the log. */
START_TEST(damage_below_damage)
{
    static const uint64_t lost[] = {352, 336, 256, 255, 20};
    static const uint64_t hurt[] = {351, 320, 250, 240, 3};
    struct forge f;
    struct key keys[ARRAY_LEN(lost) + ARRAY_LEN(hurt)];
    forge_init(&f);
    for (unsigned i = 0; i < 420; i++)
        forge_land_text(&f, arena_printf(&f.arena, "k%u", i), "same",
                        arena_printf(&f.arena, "text %u", i),
                        i == 0 ? NULL : arena_printf(&f.arena, "text %u", i - 1));
    append_all(&f);
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        struct hash tree = tree_of(&f, lost[i]);
        keys[i] = key_tree(&f.project, &tree);
        tree = tree_of(&f, hurt[i]);
        keys[ARRAY_LEN(lost) + i] = key_tree(&f.project, &tree);
    }
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        AUTO_BUF bytes = {0};
        const char *key = keys[ARRAY_LEN(lost) + i].s;
        ck_assert_int_eq(store_get(f.mem, key, range_all(), &bytes, NULL, NULL), OK);
        bytes.data[TREE_HEADER_LEN + 2] ^= 1; /* its content */
        ck_assert_int_eq(store_put(f.mem, key, buf_bytes(&bytes), PUT_ANY, NULL), OK);
        ck_assert_int_eq(store_delete(f.mem, keys[i].s), OK);
    }
    fsck_rig_run(f.mem, &f.clock.clock, true, 0, &result);
    const char *text = fsck_rig_text(&result);
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        ck_assert_msg(is_found("tree_missing", &keys[i]), "not %s\n%s", keys[i].s, text);
        ck_assert_msg(is_found("content_damaged", &keys[ARRAY_LEN(lost) + i]), "not %s\n%s",
                      keys[ARRAY_LEN(lost) + i].s, text);
    }
    ck_assert_uint_eq(result.counts.batches, 421 - ARRAY_LEN(lost));
    forge_release(&f);
}
END_TEST

/* Whatever call the store fails: that is no damage, and it is not clean either. */
START_TEST(store_that_fails)
{
    struct world world;
    struct clock_manual clock;
    world_build(&world);
    struct store *mem = bucket_copy_store(&world.copy);
    struct store *faulty = faulty_store_open(mem);
    clock_manual_init(&clock, world.ms + 600000);
    uint64_t call = 0;
    do {
        faulty_reset(faulty);
        faulty_plan(faulty, ++call, FAULT_AGAIN);
        fsck_rig_run(faulty, &clock.clock, call % 2 == 0, 0, &result);
        if (faulty_hits(faulty, FAULT_AGAIN) == 0)
            break;
        ck_assert_msg(result.err == ERR_AGAIN && result.counts.damages == 0, "call %u: %s",
                      (unsigned)call, fsck_rig_text(&result));
    } while (true);
    ck_assert_uint_gt(call, 100);
    ck_assert_int_eq(result.err, OK);
    store_close(faulty);
    store_close(mem);
    world_release(&world);
}
END_TEST

START_TEST(project_that_is_asked_for)
{
    struct world world;
    struct clock_manual clock;
    struct fsck_counts counts;
    struct rng_seeded rng;
    static const char *const names[] = {"demo", "other", "nobody", "UPPER", "0123"};
    world_build(&world);
    struct store *store = bucket_copy_store(&world.copy);
    clock_manual_init(&clock, world.ms);
    rng_seeded_init(&rng, 1);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct fsck_options options = {.project = names[i], .page_cache_bytes = MIB};
        int err = fsck_run(store, &clock.clock, &rng.rng, &options, &counts);
        ck_assert_int_eq(err, i < 2 ? OK : ERR_NOT_FOUND);
        ck_assert_uint_eq(counts.projects, i < 2 ? 1 : 0);
        ck_assert_uint_eq(counts.landings, i < 2 ? WORLD_POSITION : 0);
        ck_assert_uint_eq(counts.damages, 0);
    }
    store_close(store);
    world_release(&world);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_world,
        histories_by_chance,
        two_answers_are_found_with_little_memory,
        landings_between_any_two_calls,
        each_object_is_read_once,
        damage_below_damage,
        store_that_fails,
        project_that_is_asked_for,
    };
    return suite_run("fsck", tests, ARRAY_LEN(tests));
}
