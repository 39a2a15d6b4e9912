/* The contract of stores, asked of those that need no server. */
#include <unistd.h>

#include "pipeline/store/mem.h"
#include "pipeline/store/pulse.h"
#include "pipeline/store/slow.h"
#include "pipeline/store/trace.h"
#include "pipeline/sys/clock.h"
#include "tests/support/faulty.h"
#include "tests/support/store_contract.h"

static void open_fs(struct rig *rig)
{
    rig_open_fs(rig, "/tmp");
}

/* Another kind of file system, most likely, on which the store takes other ways. */
static void open_fs_in_memory(struct rig *rig)
{
    rig_open_fs(rig, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static void open_mem(struct rig *rig)
{
    rig->store = mem_store_open();
}

static void open_slow(struct rig *rig)
{
    rig->below = mem_store_open();
    const struct slow_options options = {.clock = clock_system(), .delay_us = 20};
    rig->store = slow_store_open(rig->below, &options);
}

static void open_trace(struct rig *rig)
{
    rig->below = mem_store_open();
    rig->store = trace_store_open(rig->below);
}

static void open_pulse(struct rig *rig)
{
    rig->below = mem_store_open();
    rig->store = pulse_store_open(rig->below, clock_system());
}

static void open_faulty(struct rig *rig)
{
    rig->below = mem_store_open();
    rig->store = faulty_store_open(rig->below);
}

int main(void)
{
    static const store_maker makers[] = {
        open_fs, open_fs_in_memory, open_mem, open_slow, open_trace, open_pulse, open_faulty,
    };
    return store_contract_run("store", makers, ARRAY_LEN(makers));
}
