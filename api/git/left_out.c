#include "api/git/left_out.h"

#include <stdlib.h>

#include "formats/base/hash.h"

struct named {
    struct id16 name; /* hash of path and reason */
    uint64_t number;
    struct git_left_out item; /* in the set's arena; path NULL: counted only */
    bool listed;
};

struct left_out_set {
    pthread_mutex_t lock;
    struct arena arena;
    struct named *slots; /* open addressing; an empty one has no name */
    size_t n_slots;      /* a power of two */
    size_t used;
};

const char *git_why_name(enum git_why why)
{
    switch (why) {
    case GIT_WHY_SUBMODULE:
        return "submodule";
    case GIT_WHY_PATH:
        return "path";
    case GIT_WHY_KIND:
        return "kind";
    case GIT_WHY_CLASH:
        return "clash";
    case GIT_WHY_EMPTY:
        return "empty_directory";
    case GIT_WHY_MODE:
        return "mode";
    }
    return "unknown";
}

struct left_out_set *left_out_open(void)
{
    struct left_out_set *set = calloc(1, sizeof(*set));
    if (set == NULL || pthread_mutex_init(&set->lock, NULL) != 0)
        abort();
    return set;
}

void left_out_close(struct left_out_set *set)
{
    (void)pthread_mutex_destroy(&set->lock);
    arena_release(&set->arena);
    free(set->slots);
    free(set);
}

static struct named *slot_find(struct left_out_set *set, const struct id16 *name)
{
    uint64_t at;
    memcpy(&at, name->b, sizeof(at));
    size_t i = (size_t)at & (set->n_slots - 1);
    while (!id16_is_zero(&set->slots[i].name) && !id16_equal(&set->slots[i].name, name))
        i = (i + 1) & (set->n_slots - 1);
    return &set->slots[i];
}

static void slots_grow(struct left_out_set *set)
{
    struct named *old = set->slots;
    size_t n_old = set->n_slots;
    set->n_slots = n_old == 0 ? 64 : n_old * 2;
    set->slots = calloc(set->n_slots, sizeof(*set->slots));
    if (set->slots == NULL)
        abort();
    for (size_t i = 0; i < n_old; i++) {
        if (!id16_is_zero(&old[i].name))
            *slot_find(set, &old[i].name) = old[i];
    }
    free(old);
}

void left_out_add(struct left_out_set *set, const struct git_left_out *item, uint64_t number)
{
    uint8_t why = (uint8_t)item->why;
    struct bytes parts[] = {item->path, bytes_of(&why, 1)};
    struct id16 name = id16_derive("micelio git left out", parts, ARRAY_LEN(parts));
    (void)pthread_mutex_lock(&set->lock);
    if (set->used * 2 >= set->n_slots)
        slots_grow(set);
    struct named *slot = slot_find(set, &name);
    bool fresh = id16_is_zero(&slot->name);
    if (fresh) {
        *slot = (struct named){.name = name, .number = number, .item = {.why = item->why}};
        slot->listed = set->used < GIT_LEFT_OUT_LISTED_MAX;
        set->used++;
    }
    if (slot->listed && (fresh || number < slot->number)) {
        slot->number = number;
        slot->item.path = arena_copy(&set->arena, item->path);
        slot->item.detail = arena_copy(&set->arena, item->detail);
        slot->item.commit = arena_copy(&set->arena, item->commit);
    }
    (void)pthread_mutex_unlock(&set->lock);
}

static int named_order(const void *a, const void *b)
{
    const struct named *left = a;
    const struct named *right = b;
    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    return bytes_compare(left->item.path, right->item.path);
}

void left_out_report(struct left_out_set *set, struct git_report *report)
{
    struct named *listed = calloc(set->used + 1, sizeof(*listed));
    if (listed == NULL)
        abort();
    size_t n = 0;
    for (size_t i = 0; i < set->n_slots; i++) {
        const struct named *slot = &set->slots[i];
        if (id16_is_zero(&slot->name))
            continue;
        report->left_out_by[slot->item.why]++;
        if (slot->listed)
            listed[n++] = *slot;
    }
    qsort(listed, n, sizeof(*listed), named_order);
    report->left_out = arena_array(&report->arena, n, struct git_left_out);
    report->n_left_out = n;
    for (size_t i = 0; i < n; i++) {
        const struct git_left_out *item = &listed[i].item;
        report->left_out[i] = (struct git_left_out){
            .why = item->why,
            .path = arena_copy(&report->arena, item->path),
            .detail = arena_copy(&report->arena, item->detail),
            .commit = arena_copy(&report->arena, item->commit),
        };
    }
    free(listed);
}

void git_report_release(struct git_report *report)
{
    arena_release(&report->arena);
}

uint64_t git_report_left_out(const struct git_report *report)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < GIT_WHYS; i++)
        sum += report->left_out_by[i];
    return sum;
}
