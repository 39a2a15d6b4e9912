/* Many gets at once over graphs drawn by chance, some of them cancelled, over a cache that is
 * too small and loses results all the time: whatever is given is right. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/support/chance.h"
#include "tests/support/executor_rig.h"
#include "tests/support/suite.h"

#define NODES   60u
#define GETS    40u
#define ROUNDS  6u
#define LEN_MAX 6000u

static const enum get_want wants[] = {GET_HASH, GET_KNOWN, GET_SIZE, GET_RANGE, GET_BYTES};

struct model {
    struct hash address[NODES];
    struct buf bytes[NODES]; /* what it is to give */
};

static void flip(struct buf *out, struct bytes in)
{
    for (size_t i = in.len; i > 0; i--)
        buf_append(out, in.data + i - 1, 1);
}

/* A recipe over one or two of those before it. */
static void node_draw(struct model *m, struct executor_rig *rig, struct chance *chance,
                      unsigned at)
{
    unsigned a = (unsigned)chance_below(chance, at);
    unsigned b = (unsigned)chance_below(chance, at);
    struct hash both[] = {m->address[a], m->address[b]};
    struct bytes from = buf_bytes(&m->bytes[a]);
    struct buf *out = &m->bytes[at];
    switch (chance_below(chance, 4)) {
    case 0:
        if (from.len + m->bytes[b].len <= LEN_MAX) {
            m->address[at] = executor_rig_recipe(rig, "concat", both, 2, NULL);
            buf_append_bytes(out, from);
            buf_append_bytes(out, buf_bytes(&m->bytes[b]));
            break;
        }
        __attribute__((fallthrough));
    case 1:
        m->address[at] = executor_rig_one(rig, "reverse", both[0], NULL);
        flip(out, from);
        break;
    case 2: {
        char start[16];
        size_t skip = (size_t)chance_below(chance, from.len + 2);
        (void)snprintf(start, sizeof(start), "%zu", skip);
        const char *const parameters[] = {"start", start, NULL};
        m->address[at] = executor_rig_one(rig, "slice", both[0], parameters);
        skip = skip < from.len ? skip : from.len;
        buf_append(out, from.data + skip, from.len - skip);
        break;
    }
    default:
        m->address[at] = executor_rig_one(rig, "test.note", both[0], NULL);
        buf_append_bytes(out, from);
        break;
    }
}

static void model_draw(struct model *m, struct executor_rig *rig, struct chance *chance)
{
    *m = (struct model){0};
    for (unsigned i = 0; i < NODES; i++) {
        if (i >= 6) {
            node_draw(m, rig, chance, i);
            continue;
        }
        for (uint64_t n = chance_below(chance, 300); n > 0; n--)
            buf_printf(&m->bytes[i], "%c", (int)('a' + chance_below(chance, 26)));
        m->address[i] = executor_rig_leaf(rig, buf_bytes(&m->bytes[i]));
    }
}

static void model_release(struct model *m)
{
    for (unsigned i = 0; i < NODES; i++)
        buf_release(&m->bytes[i]);
}

/* What was derived is what the model says. */
static void check(struct derived *derived, struct bytes wanted)
{
    ck_assert_uint_eq(derived->size, wanted.len);
    if (derived->hash_known) {
        struct hash hash = sha256(wanted);
        ck_assert(hash_equal(&derived->hash, &hash));
    }
    for (uint64_t at = derived->from; at < derived->end;) {
        struct bytes view;
        int err = derived_view(derived, at, &view);
        ck_assert_int_eq(err, OK);
        ck_assert(view.len > 0 && view.len <= derived->end - at);
        ck_assert_int_eq(memcmp(view.data, wanted.data + at, view.len), 0);
        at += view.len;
    }
}

/* Takes something away that the gets may be about to use. */
static void disturb(struct executor_rig *rig, struct model *m, struct chance *chance,
                    struct one_get *gets)
{
    unsigned node = (unsigned)chance_below(chance, NODES);
    struct hash hash = sha256(buf_bytes(&m->bytes[node]));
    switch (chance_below(chance, 4)) {
    case 0:
        executor_forget(rig->ex, &rig->project, &m->address[node]);
        break;
    case 1:
        executor_cancel(rig->ex, gets[chance_below(chance, GETS)].ticket);
        break;
    case 2:
        executor_tick(rig->ex);
        break;
    default:
        (void)result_drop(rig->cache, &rig->project, &hash);
        break;
    }
}

static void play(struct executor_rig *rig, struct model *m, struct chance *chance)
{
    struct one_get gets[GETS];
    unsigned nodes[GETS];
    bool known[GETS]; /* it asks for no more than what is known */
    unsigned given = 0;
    for (unsigned i = 0; i < GETS; i++) {
        nodes[i] = (unsigned)chance_below(chance, NODES);
        uint64_t len = m->bytes[nodes[i]].len;
        const struct get_options options = {
            .want = wants[chance_below(chance, ARRAY_LEN(wants))],
            .from = chance_below(chance, len + 2),
            .end = chance_below(chance, len + 2),
            .again = chance_below(chance, 8) == 0,
        };
        known[i] = options.want == GET_KNOWN;
        one_get_begin(&gets[i], rig, m->address[nodes[i]], &options);
    }
    for (unsigned i = 0; i < 4 * GETS; i++)
        disturb(rig, m, chance, gets);
    for (unsigned i = 0; i < GETS; i++) {
        one_get_wait(&gets[i]);
        if (gets[i].derived != NULL)
            check(gets[i].derived, buf_bytes(&m->bytes[nodes[i]]));
        else if (gets[i].problem.fault != DERIVE_FAULT_NOT_KNOWN || !known[i])
            ck_assert_str_eq(derive_fault_name(gets[i].problem.fault), "cancelled");
        given += gets[i].derived != NULL;
        one_get_close(&gets[i]);
    }
    ck_assert_uint_gt(given, 0);
    executor_rig_quiet(rig);
}

static void storm(size_t ram_bytes, uint64_t in_flight_max, double rate)
{
    struct chance chance;
    chance_init(&chance, "storm");
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.cache_options.ram_bytes = ram_bytes;
    rig.options.in_flight_max = in_flight_max;
    rig.options.known_max = 1;
    rig.options.slots = 3;
    rig.options.verify = (struct verify){.mode = VERIFY_SAMPLED, .rate = rate};
    executor_rig_open(&rig);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct model m;
        model_draw(&m, &rig, &chance);
        play(&rig, &m, &chance);
        atomic_store(&rig.forgets, i % 2 == 0);
        play(&rig, &m, &chance);
        model_release(&m);
    }
    executor_rig_close(&rig);
}

START_TEST(with_room)
{
    storm(64u * MIB, 64u * MIB, 0);
}
END_TEST

START_TEST(with_little_room)
{
    storm(20000, 3000, 0.2);
}
END_TEST

START_TEST(with_no_room)
{
    storm(LEN_MAX + 2000, 1, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {with_room, with_little_room, with_no_room};
    return suite_run("executor_storm", tests, ARRAY_LEN(tests));
}
