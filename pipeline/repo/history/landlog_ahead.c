#include "pipeline/repo/history/landlog_ahead.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/landlog_segment.h"

/* No longer ones are read ahead: when one was longer, they are read one by one from then on. */
#define LONG_SEGMENT (4u * MIB)

void landlog_ahead_release(struct landlog_ahead *ahead)
{
    for (unsigned i = 0; i < LANDLOG_AHEAD_MAX; i++)
        buf_release(&ahead->slots[i].bytes);
}

void landlog_ahead_drop(struct landlog_slot *slot)
{
    slot->ref = (struct landlog_segment_ref){0};
}

static struct landlog_slot *slot_of(struct landlog_ahead *ahead, uint64_t position)
{
    for (unsigned i = 0; i < LANDLOG_AHEAD_MAX; i++) {
        struct landlog_slot *slot = &ahead->slots[i];
        if (slot->ref.first <= position && position < slot->ref.end)
            return slot;
    }
    return NULL;
}

/* By the list, or where only its place in the log says what its name is, that of a thousand
 * positions. `*listed`: it was the list. */
static struct landlog_segment_ref ref_of(const struct landlog_ahead *ahead, uint64_t position,
                                         bool *listed)
{
    const struct landlog_segment_ref *ref = NULL;
    *listed = false;
    if (ahead->n_listed > 0 && position >= ahead->listed[0].first)
        ref = landlog_segment_at(ahead->listed, ahead->n_listed, position);
    if (ref != NULL && ref->end > position) {
        *listed = true;
        return *ref;
    }
    uint64_t first = position - (position - 1) % LOG_SPAN_LARGE;
    return (struct landlog_segment_ref){.first = first, .end = first + LOG_SPAN_LARGE};
}

/* ---- which of them ---- */

/* The greatest position before `before` that is expected; 0 when there is none. The answers
 * under position 0 lie where position 1 is. */
static uint64_t expected_before(const struct landlog_ahead *ahead, uint64_t before)
{
    for (size_t i = 0; i < ahead->n_ranges && before > 1; i++) {
        const struct landlog_range *range = &ahead->ranges[i];
        if (range->from >= before || range->end <= range->from)
            continue;
        uint64_t end = range->end < before ? range->end : before;
        return end > 1 ? end - 1 : 1;
    }
    return 0;
}

struct wave {
    struct landlog_segment_ref refs[LANDLOG_AHEAD_MAX];
    unsigned slots[LANDLOG_AHEAD_MAX]; /* where they go */
    unsigned n;
};

/* The one that is wanted, which is in no slot, and those that come next and are in none. */
static void wave_plan(struct landlog_ahead *ahead, uint64_t position, struct wave *wave)
{
    bool kept[LANDLOG_AHEAD_MAX] = {false};
    bool listed;
    unsigned n_kept = 0;
    wave->n = 0;
    while (position > 0 && wave->n + n_kept < ahead->most &&
           wave->n + n_kept < LANDLOG_AHEAD_MAX) {
        const struct landlog_slot *slot = slot_of(ahead, position);
        struct landlog_segment_ref ref =
            slot != NULL ? slot->ref : ref_of(ahead, position, &listed);
        if (slot != NULL) {
            kept[slot - ahead->slots] = true;
            n_kept++;
        } else {
            wave->refs[wave->n++] = ref;
        }
        position = expected_before(ahead, ref.first);
    }
    for (unsigned i = 0, at = 0; i < wave->n; i++, at++) {
        while (kept[at])
            at++;
        wave->slots[i] = at;
    }
}

/* ---- reading them ---- */

/* One alone. Between the list and now ten short ones may have become a long one. */
static int one_read(struct landlog_ahead *ahead, uint64_t position, struct landlog_slot *slot)
{
    int err = ERR_NOT_FOUND;
    bool listed;
    slot->ref = ref_of(ahead, position, &listed);
    if (listed)
        err = landlog_bytes_get(ahead->repo, &ahead->project, &slot->ref, &slot->bytes);
    if (err == ERR_NOT_FOUND)
        err = landlog_bytes_find(ahead->repo, &ahead->project, position, &slot->ref,
                                 &slot->bytes);
    if (err != OK)
        landlog_ahead_drop(slot);
    return err;
}

/* Several side by side; how the first of them came out. */
static int wave_read(struct landlog_ahead *ahead, const struct wave *wave)
{
    struct key keys[LANDLOG_AHEAD_MAX];
    struct store_op ops[LANDLOG_AHEAD_MAX] = {0};
    for (unsigned i = 0; i < wave->n; i++) {
        struct landlog_slot *slot = &ahead->slots[wave->slots[i]];
        slot->ref = wave->refs[i];
        buf_clear(&slot->bytes);
        keys[i] = key_log(&ahead->project, slot->ref.first, slot->ref.end);
        ops[i] = (struct store_op){.verb = STORE_GET,
                                   .key = keys[i].s,
                                   .range = i == 0 ? range_all() : range_of(0, LONG_SEGMENT),
                                   .body = &slot->bytes,
                                   .want_etag = ETAG_NEVER};
    }
    (void)!store_many(ahead->repo->store, ops, wave->n); /* each has its own answer */
    for (unsigned i = 0; i < wave->n; i++) {
        struct landlog_slot *slot = &ahead->slots[wave->slots[i]];
        bool is_long = ops[i].err == OK && ops[i].size > LONG_SEGMENT;
        ahead->one_by_one = ahead->one_by_one || is_long;
        if (ops[i].err != OK || (i > 0 && is_long))
            landlog_ahead_drop(slot);
    }
    return damage_unless_absent(ahead->repo, keys[0].s, ops[0].err);
}

int landlog_ahead_get(struct landlog_ahead *ahead, uint64_t position, struct landlog_slot **out)
{
    struct landlog_slot *slot = slot_of(ahead, position);
    int err = OK;
    if (slot == NULL) {
        struct wave wave = {.n = 1};
        if (ahead->most > 1 && !ahead->one_by_one)
            wave_plan(ahead, position, &wave);
        slot = &ahead->slots[wave.slots[0]];
        err = wave.n > 1 ? wave_read(ahead, &wave) : ERR_NOT_FOUND;
        if (err == ERR_NOT_FOUND)
            err = one_read(ahead, position, slot);
    }
    if (err == OK)
        *out = slot;
    return err;
}
