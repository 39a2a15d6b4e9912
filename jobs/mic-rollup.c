/* mic-rollup: writes filters over the landing log. Any number may run on one bucket. */
#include <stdio.h>

#include "jobs/shared/process.h"

int main(int argc, char **argv)
{
    bool once = false;
    bool follow = false;
    bool rebuild = false;
    const struct settings_flag flags[] = {
        {"once", "Write what the log has, then end.", &once},
        {"follow", "Go on for ever (the default).", &follow},
        {"rebuild", "Make all anew, replace what is damaged, then end.", &rebuild},
    };
    const struct settings_program program = {
        .name = "mic-rollup",
        .about = "Writes filters over the landing log of every project in a bucket.",
        .positional = "dir",
        .positional_shown = "DIR",
        .flags = flags,
        .flags_n = ARRAY_LEN(flags),
    };
    struct process process;
    int code = process_begin(&process, &program, argc, argv);
    if (code < 0 && rebuild && follow) {
        fprintf(stderr, "--rebuild ends when all is made: it does not go with --follow\n");
        return 2;
    }
    const bool ends = rebuild || (once && !follow);
    if (code < 0)
        code = process_open(&process, !ends);
    if (code >= 0)
        return code;
    const struct rollup_options options = {.rebuild = rebuild};
    struct stage *stage = stage_rollup_open(&process.repo, &options);
    code = process_run_stage(&process, stage, ends, process.settings.rollup_poll_ms,
                             process.settings.rollup_poll_ms);
    process_close(&process);
    return code;
}
