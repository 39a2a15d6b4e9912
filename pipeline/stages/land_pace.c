#include "pipeline/stages/land_pace.h"

static uint64_t interval_us(const struct land_pace *pace)
{
    return (uint64_t)store_put_interval_ms(pace->repo->store) * 1000;
}

static uint64_t now_us(const struct land_pace *pace)
{
    return pace->repo->clock->mono_us(pace->repo->clock);
}

bool land_pace_rests(const struct land_pace *pace, const char *key)
{
    return put_times_wait_us(&pace->times, key, now_us(pace), interval_us(pace)) > 0;
}

bool land_pace_put_off(struct land_pace *pace, const char *key)
{
    uint64_t wait = put_times_wait_us(&pace->times, key, now_us(pace), interval_us(pace));
    if (wait == 0)
        return false;
    if (pace->least_us == 0 || wait < pace->least_us)
        pace->least_us = wait;
    return true;
}

/* From when the reply is there: the store counts from some moment before. */
void land_pace_note(struct land_pace *pace, const char *key)
{
    uint64_t interval = interval_us(pace);
    if (interval > 0)
        put_times_note(&pace->times, key, now_us(pace), interval);
}
