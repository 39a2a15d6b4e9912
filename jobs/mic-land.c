/* mic-land: drains the queue: lands sessions and answers requests. Any number may run on one
 * bucket. */
#include "jobs/shared/process.h"

int main(int argc, char **argv)
{
    bool once = false;
    bool follow = false;
    const struct settings_flag flags[] = {
        {"once", "Drain what is in the queue, then end.", &once},
        {"follow", "Go on for ever (the default).", &follow},
    };
    const struct settings_program program = {
        .name = "mic-land",
        .about = "Drains the queue of a bucket: lands sessions and answers requests.",
        .positional = "dir",
        .positional_shown = "DIR",
        .flags = flags,
        .flags_n = ARRAY_LEN(flags),
    };
    struct process process;
    int code = process_begin(&process, &program, argc, argv);
    if (code < 0)
        code = process_open(&process, follow || !once);
    if (code >= 0)
        return code;
    struct land_options options = process_land_options(&process);
    struct stage *stage = stage_land_open(&process.repo, &options);
    code =
        process_run_stage(&process, stage, once && !follow, process.settings.land_poll_min_ms,
                          process.settings.land_poll_max_ms);
    process_close(&process);
    return code;
}
