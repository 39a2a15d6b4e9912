#include "tests/support/drain_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/repo/chain.h"

static void on_call(void *arg, uint64_t call, const struct store_op *op)
{
    struct drain_rig *rig = arg;
    if (op == NULL || rig->refused[0] == '\0' || op->verb != rig->refused_verb ||
        strncmp(op->key, rig->refused, strlen(rig->refused)) != 0)
        return;
    if (rig->meanwhile == NULL) {
        faulty_plan(rig->faulty, call, FAULT_AGAIN);
        return;
    }
    void (*now)(void) = rig->meanwhile;
    rig->meanwhile = NULL;
    rig->refused[0] = '\0';
    now();
}

void drain_rig_open(struct drain_rig *rig)
{
    *rig = (struct drain_rig){0};
    forge_init(&rig->f);
    rig->faulty = faulty_store_open(rig->f.trace);
    forge_join(&rig->drain, &rig->f, rig->faulty);
    faulty_watch(rig->faulty, on_call, rig);
}

void drain_rig_close(struct drain_rig *rig)
{
    forge_release(&rig->drain);
    store_close(rig->faulty);
    forge_release(&rig->f);
}

void drain_rig_refuse(struct drain_rig *rig, enum store_verb verb, const char *prefix)
{
    faulty_reset(rig->faulty);
    rig->refused_verb = verb;
    (void)snprintf(rig->refused, sizeof(rig->refused), "%s", prefix);
}

void drain_rig_pass(struct drain_rig *rig, uint64_t ms)
{
    rig->f.clock.ms += ms;
    rig->drain.clock.ms += ms;
}

void drain_rig_run(struct drain_rig *rig)
{
    for (int i = 0; rig->drain.land->run(rig->drain.land) > 0; i++)
        ck_assert_int_lt(i, 50);
}

void drain_rig_damage(struct drain_rig *rig, const char *key, size_t from_end)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(rig->f.mem, key, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_uint_gt(bytes.len, from_end);
    bytes.data[bytes.len - 1 - from_end] ^= 0x40;
    ck_assert_int_eq(store_put(rig->f.mem, key, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

void drain_rig_damage_tip(struct drain_rig *rig)
{
    struct head head;
    ck_assert_int_eq(chain_head(&rig->f.repo, &rig->f.project, &head, NULL), OK);
    struct key key = key_tree(&rig->f.project, &head.tree_hash);
    drain_rig_damage(rig, key.s, 20);
}

void drain_rig_land(struct drain_rig *rig, const char *name, int n)
{
    struct forge *f = &rig->f;
    for (int i = 0; i < n; i++)
        forge_land_text(f, arena_printf(&f->arena, "%s%d", name, i),
                        arena_printf(&f->arena, "%s/%d", name, i), "x", NULL);
}

enum session_state drain_rig_state(struct drain_rig *rig, const struct draft *d)
{
    struct key key = key_session(&rig->f.project, &d->session.id);
    AUTO_BUF bytes = {0};
    AUTO(arena_release) struct arena arena = {0};
    struct session session;
    ck_assert_int_eq(store_get(rig->f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(session_decode(buf_bytes(&bytes), &arena, &session), OK);
    if (session.state == SESSION_SETTLED)
        ck_assert_uint_eq(session.n_records, 0);
    return session.state;
}

static int id_order(const void *a, const void *b)
{
    return id16_compare(a, b);
}

size_t draft_ids(const struct draft *d, struct id16 *out)
{
    for (size_t i = 0; i < d->session.n_records; i++)
        out[i] = d->session.records[i].id;
    qsort(out, d->session.n_records, sizeof(*out), id_order);
    return d->session.n_records;
}
