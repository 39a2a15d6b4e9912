/* mic-append: writes full segments of the landing log. Any number may run on one bucket. */
#include <stdio.h>

#include "jobs/shared/process.h"

int main(int argc, char **argv)
{
    bool once = false;
    bool follow = false;
    bool rebuild = false;
    const struct settings_flag flags[] = {
        {"once", "Append what has landed, then end.", &once},
        {"follow", "Go on for ever (the default).", &follow},
        {"rebuild", "Make all segments again, replace what is damaged, then end.", &rebuild},
    };
    const struct settings_program program = {
        .name = "mic-append",
        .about = "Writes full segments of the landing log of every project in a bucket.",
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
    struct stage *stage =
        rebuild ? stage_append_rebuild_open(&process.repo) : stage_append_open(&process.repo);
    code = process_run_stage(&process, stage, ends, process.settings.append_poll_ms,
                             process.settings.append_poll_ms);
    process_close(&process);
    return code;
}
