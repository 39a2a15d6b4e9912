#include "tests/sim/serial.h"

#include <stdlib.h>

void serial_open(struct serial *s)
{
    *s = (struct serial){.n = 1, .cap = 64};
    s->at = calloc(s->cap, sizeof(*s->at));
    if (s->at == NULL)
        abort();
}

const struct tree_model *serial_at(const struct serial *s, uint64_t position)
{
    assert(position < s->n);
    return &s->at[position];
}

/* --- what a session comes to --- */

static int time_order(const void *a, const void *b)
{
    const struct record *const *left = a;
    const struct record *const *right = b;
    if ((*left)->hlc != (*right)->hlc)
        return (*left)->hlc < (*right)->hlc ? -1 : 1;
    return id16_compare(&(*left)->id, &(*right)->id);
}

static void effect_set(struct net *net, const struct net_effect *effect)
{
    size_t i = 0;
    while (i < net->n && !bytes_equal(net->effects[i].path, effect->path))
        i++;
    net->effects[i] = *effect;
    net->n += i == net->n;
}

static void guard_set(struct net *net, const struct record *record)
{
    size_t i = 0;
    while (i < net->n_guards && !bytes_equal(net->guards[i]->guard.path, record->guard.path))
        i++;
    net->guards[i] = record;
    net->n_guards += i == net->n_guards;
}

static void operation_add(struct net *net, const struct record *record)
{
    const struct record_operation *op = &record->operation;
    const struct content *content = &op->content;
    struct net_effect effect = {.path = op->path, .seen = op->seen, .by = record};
    struct entry wanted = {.kind = content->kind,
                           .mode = content->mode,
                           .size = content->size,
                           .hash = content->hash};
    effect.kind = op->op == OP_WRITE    ? EFFECT_WRITE
                  : op->op == OP_DELETE ? EFFECT_DELETE
                                        : EFFECT_MOVED;
    if (op->op == OP_WRITE)
        effect.there = wanted;
    effect_set(net, &effect);
    if (op->op == OP_RENAME)
        effect_set(net, &(struct net_effect){.path = op->target,
                                             .kind = EFFECT_WRITE,
                                             .seen = op->target_seen,
                                             .there = wanted,
                                             .by = record});
}

void net_of(const struct record *records, size_t n, bool by_place, struct arena *arena,
            struct net *out)
{
    const struct record **all = arena_array(arena, n, const struct record *);
    for (size_t i = 0; i < n; i++)
        all[i] = &records[i];
    if (!by_place && n > 0)
        qsort(all, n, sizeof(struct record *), time_order);
    *out = (struct net){.effects = arena_array(arena, 2 * n, struct net_effect),
                        .guards = arena_array(arena, n, const struct record *)};
    for (size_t i = 0; i < n; i++) {
        if (all[i]->kind == RECORD_OPERATION)
            operation_add(out, all[i]);
        else if (all[i]->kind == RECORD_GUARD)
            guard_set(out, all[i]);
    }
}

/* --- what is there --- */

struct seen serial_seen(const struct tree_model *tree, struct bytes path)
{
    for (size_t i = 0; i < tree->n; i++) {
        if (bytes_equal(tree->files[i].path, path))
            return seen_of(&tree->files[i].entry);
    }
    return seen_of(NULL);
}

struct seen serial_guard(const struct tree_model *tree, struct bytes path)
{
    struct entry there = tree_model_find(tree, path);
    return seen_of(there.kind == KIND_NONE ? NULL : &there);
}

/* --- landing --- */

static bool wanted_already(const struct net_effect *effect, const struct seen *there)
{
    struct seen wanted = seen_of(&effect->there);
    return (effect->kind == EFFECT_WRITE && seen_equal(there, &wanted)) ||
           (effect->kind == EFFECT_DELETE && there->kind == KIND_NONE);
}

static const char *net_check(const struct tree_model *tree, const struct net *net,
                             struct bytes *path)
{
    for (size_t i = 0; i < net->n; i++) {
        const struct net_effect *effect = &net->effects[i];
        struct seen there = serial_seen(tree, effect->path);
        *path = effect->path;
        if (!effect->seen.said)
            return "nobody said what it had seen";
        if (!seen_equal(&there, &effect->seen) && !wanted_already(effect, &there))
            return "the path was not as it had seen it";
    }
    for (size_t i = 0; i < net->n_guards; i++) {
        const struct record_guard *guard = &net->guards[i]->guard;
        struct seen there = serial_guard(tree, guard->path);
        *path = guard->path;
        if (!guard->seen.said || !seen_equal(&there, &guard->seen))
            return "what it relied on was not as it had seen it";
    }
    return NULL;
}

static const char *net_apply(struct tree_model *tree, const struct net *net, uint64_t stamp,
                             struct bytes *path)
{
    bool changed;
    for (size_t i = 0; i < net->n; i++) {
        if (net->effects[i].kind != EFFECT_WRITE &&
            serial_seen(tree, net->effects[i].path).kind != KIND_NONE)
            (void)!tree_model_remove(tree, net->effects[i].path, stamp, &changed);
    }
    for (size_t i = 0; i < net->n; i++) {
        *path = net->effects[i].path;
        if (net->effects[i].kind == EFFECT_WRITE &&
            tree_model_put(tree, *path, &net->effects[i].there, stamp, &changed) != 0)
            return "there was no room for the file";
    }
    return NULL;
}

const char *serial_would_land(const struct serial *s, uint64_t position, const struct net *net,
                              struct bytes *path)
{
    struct tree_model tree;
    const char *wrong = net_check(serial_at(s, position), net, path);
    if (wrong != NULL)
        return wrong;
    tree_model_copy(&tree, serial_at(s, position));
    wrong = net_apply(&tree, net, position + 1, path);
    tree_model_release(&tree);
    return wrong;
}

const char *serial_land(struct serial *s, const struct net *net, struct bytes *path)
{
    const char *wrong = net_check(&s->at[s->n - 1], net, path);
    if (wrong != NULL)
        return wrong;
    if (s->n == s->cap) {
        s->cap *= 2;
        s->at = reallocarray(s->at, s->cap, sizeof(*s->at));
        if (s->at == NULL)
            abort();
    }
    struct tree_model *next = &s->at[s->n];
    tree_model_copy(next, &s->at[s->n - 1]);
    wrong = net_apply(next, net, s->n, path);
    if (wrong == NULL)
        s->n++;
    return wrong;
}
