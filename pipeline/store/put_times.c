#include "pipeline/store/put_times.h"

#include <stdlib.h>

#include "formats/base/hash.h"

#define SLOTS_MIN 16u

/* Keys are told apart by their hashes: of two that share one the other waits in vain, once in
 * a very long time. */
struct put_time {
    uint64_t hash; /* 0: the slot is empty */
    uint64_t at_us;
    bool known; /* false: it was forgotten */
};

static uint64_t key_hash(const char *key)
{
    uint64_t hash = xxh3_64(bytes_str(key));
    return hash == 0 ? 1 : hash;
}

/* The slot that has the hash, or the empty one where it belongs. There is an empty one. */
static struct put_time *slot_of(const struct put_times *times, uint64_t hash)
{
    size_t i = (size_t)hash & (times->n_slots - 1);
    while (times->slots[i].hash != 0 && times->slots[i].hash != hash)
        i = (i + 1) & (times->n_slots - 1);
    return &times->slots[i];
}

static bool matters(const struct put_time *time, uint64_t now_us, uint64_t interval_us)
{
    /* Another thread may have noted it a moment after this one read its clock. */
    return time->hash != 0 && time->known &&
           (now_us < time->at_us || now_us - time->at_us < interval_us);
}

/* Makes room, and leaves out what does not matter any more. */
static void times_renew(struct put_times *times, uint64_t now_us, uint64_t interval_us)
{
    struct put_times renewed = {.n_slots = SLOTS_MIN};
    size_t n = 0;
    for (size_t i = 0; i < times->n_slots; i++)
        n += matters(&times->slots[i], now_us, interval_us);
    while (renewed.n_slots < 4 * n)
        renewed.n_slots *= 2;
    renewed.slots = calloc(renewed.n_slots, sizeof(*renewed.slots));
    if (renewed.slots == NULL)
        abort();
    for (size_t i = 0; i < times->n_slots; i++) {
        if (!matters(&times->slots[i], now_us, interval_us))
            continue;
        *slot_of(&renewed, times->slots[i].hash) = times->slots[i];
        renewed.n++;
    }
    free(times->slots);
    *times = renewed;
}

void put_times_release(struct put_times *times)
{
    free(times->slots);
    *times = (struct put_times){0};
}

void put_times_note(struct put_times *times, const char *key, uint64_t now_us,
                    uint64_t interval_us)
{
    if (2 * (times->n + 1) > times->n_slots)
        times_renew(times, now_us, interval_us);
    uint64_t hash = key_hash(key);
    struct put_time *slot = slot_of(times, hash);
    times->n += slot->hash == 0;
    *slot = (struct put_time){.hash = hash, .at_us = now_us, .known = true};
}

void put_times_forget(struct put_times *times, const char *key)
{
    if (times->n_slots > 0)
        slot_of(times, key_hash(key))->known = false;
}

uint64_t put_times_wait_us(const struct put_times *times, const char *key, uint64_t now_us,
                           uint64_t interval_us)
{
    if (times->n_slots == 0)
        return 0;
    const struct put_time *slot = slot_of(times, key_hash(key));
    return matters(slot, now_us, interval_us) ? slot->at_us + interval_us - now_us : 0;
}
