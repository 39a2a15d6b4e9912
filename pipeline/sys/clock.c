#include "pipeline/sys/clock.h"

#include <errno.h>
#include <time.h>

static uint64_t system_wall_ms(struct clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t system_mono_us(struct clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void system_sleep_us(struct clock *clock, uint64_t us)
{
    (void)clock;
    struct timespec left = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

struct clock *clock_system(void)
{
    static struct clock clock = {
        .wall_ms = system_wall_ms,
        .mono_us = system_mono_us,
        .sleep_us = system_sleep_us,
    };
    return &clock;
}
