/* Rollups: what is put covers nothing that has not landed, and says "no" to no key of an answer
 * that it covers; and whoever asks, in whatever trouble, is told of the position that he wants.
 * The keys come from the answers, not from the log. */
#include <stdlib.h>

#include "formats/key.h"
#include "formats/rollup.h"
#include "pipeline/repo/history/rollup_read.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_oracle.h"

/* --- the keys of an answer --- */

static void key_keep(struct known_answer *a, uint64_t key)
{
    /* Doubles on the spot: the directories of paths that follow each other. */
    for (size_t i = 0; i < a->n_keys; i++) {
        if (a->keys[i] == key)
            return;
    }
    a->keys = reallocarray(a->keys, a->n_keys + 1, sizeof(*a->keys));
    if (a->keys == NULL)
        abort();
    a->keys[a->n_keys++] = key;
}

static void path_keep(struct known_answer *a, struct bytes path)
{
    key_keep(a, rollup_key_path(path));
    while (path.len > 0) {
        path.len--;
        if (path.len == 0 || path.data[path.len] == '/')
            key_keep(a, rollup_key_path(path));
    }
}

void oracle_keys_keep(struct known_answer *a, const struct landing *landing)
{
    AUTO(arena_release) struct arena arena = {0};
    struct session_view view;
    key_keep(a, rollup_key_session(&landing->session));
    if (landing->verdict != VERDICT_LANDED)
        return;
    session_view(&landing->landed, &arena, &view);
    for (size_t i = 0; i < view.n_effects; i++) {
        path_keep(a, view.effects[i].path);
        if (view.effects[i].kind == EFFECT_WRITE)
            key_keep(a, rollup_key_content(&view.effects[i].content.hash));
    }
}

/* --- effects --- */

static uint64_t place_of(const struct known_answer *a)
{
    return a->position == 0 ? 1 : a->position;
}

void oracle_rollup_put(struct oracle_project *p, const char *key, struct bytes old,
                       struct bytes data)
{
    struct rollup rollup;
    const struct rollup_shape *shape = &rollup.shape;
    if (rollup_check(data, &rollup) != OK || !id16_equal(&shape->project, &p->id) ||
        strcmp(key, key_rollup(&p->id, shape->level, shape->first, rollup_end(shape)).s) != 0)
        broken("named", "a rollup that is none: %s", key);
    if (old.len > 0 && !bytes_equal(old, data))
        broken("nofalse", "a rollup is replaced by another: %s", key);
    if (rollup_end(shape) > p->position)
        broken("nofalse", "the head is at %lu, and there is %s", (unsigned long)p->position,
               key);
    for (size_t i = 0; i < p->n_answers; i++) {
        const struct known_answer *a = p->answers[i];
        uint64_t place = place_of(a);
        if (place < shape->first || place >= rollup_end(shape))
            continue;
        unsigned column = (unsigned)((place - shape->first) / rollup_span(shape->level));
        if (rollup_lacks(shape, column, a->keys, a->n_keys, data.data) != a->n_keys)
            broken("nofalse", "a rollup lacks a key of position %lu: %s",
                   (unsigned long)a->position, key);
    }
    count(shape->columns > 1 ? COUNT_ROLLUP_LONGER : COUNT_ROLLUP);
}

/* One that is longer has taken its place. */
void oracle_rollup_deleting(struct oracle *o, struct oracle_project *p, const char *key)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    unsigned level;
    uint64_t first;
    uint64_t end;
    bool covered = false;
    if (key_rollup_parse(key, &level, &first, &end) != OK)
        broken("named", "deleted: %s", key);
    struct key prefix = key_rollup_prefix(&p->id, level);
    int err = store_list(far_end_mem(o->end), &arena, prefix.s, "", STORE_LIST_MAX, &list);
    for (size_t i = 0; i < list.n && err == OK; i++) {
        uint64_t from;
        uint64_t to;
        err = key_rollup_parse(list.keys[i].key, &level, &from, &to);
        covered = covered || (from <= first && to >= end && to - from > end - first);
    }
    if (err != OK || !covered)
        broken("nofalse", "deleted, and nothing covers what it did: %s", key);
    count(COUNT_ROLLUP_REPLACED);
}

/* --- asking --- */

static void must_find(struct rollup_reader *reader, const struct known_answer *a, uint64_t key,
                      uint64_t from, uint64_t end)
{
    struct rollup_range range;
    rollup_reader_ask(reader, key, from, end);
    while (rollup_reader_next(reader, &range)) {
        if (range.from <= a->position && range.end > a->position)
            return;
    }
    broken("nofalse", "rollups say no to what is at %lu", (unsigned long)a->position);
}

void oracle_ask_rollups(struct oracle *o, struct repo *repo)
{
    const struct oracle_project *p = &o->projects[world_below(o->n_projects)];
    if (p->n_answers == 0)
        return;
    const struct known_answer *a = p->answers[world_below(p->n_answers)];
    struct rollup_reader *reader = rollup_reader_open(repo, &p->id);
    must_find(reader, a, a->keys[world_below(a->n_keys)], 0, p->position + 1);
    rollup_reader_close(reader);
    count(COUNT_ROLLUP_ASKED);
}

void oracle_rollups_final(const struct oracle_project *p, struct repo *repo)
{
    struct rollup_reader *reader = rollup_reader_open(repo, &p->id);
    for (size_t i = 0; i < p->n_answers; i++) {
        const struct known_answer *a = p->answers[i];
        for (size_t k = 0; k < a->n_keys; k++)
            must_find(reader, a, a->keys[k], a->position, a->position + 1);
    }
    rollup_reader_close(reader);
}
