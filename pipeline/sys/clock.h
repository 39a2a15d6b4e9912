/* Time, handed down from jobs/ and replaced in tests and in the simulator. */
#ifndef PIPELINE_SYS_CLOCK_H
#define PIPELINE_SYS_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*wall_ms)(struct clock *); /* since 1970 */
    uint64_t (*mono_us)(struct clock *); /* never goes back; its origin means nothing */
    void (*sleep_us)(struct clock *, uint64_t us);
};

/* The machine's own clocks. */
struct clock *clock_system(void);

#endif
