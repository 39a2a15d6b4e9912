/* mic-append: writes full segments of the landing log. Any number may run on one bucket. */
#include "jobs/shared/process.h"

int main(int argc, char **argv)
{
    bool once = false;
    bool follow = false;
    const struct settings_flag flags[] = {
        {"once", "Append what has landed, then end.", &once},
        {"follow", "Go on for ever (the default).", &follow},
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
    if (code < 0)
        code = process_open(&process, follow || !once);
    if (code >= 0)
        return code;
    struct stage *stage = stage_append_open(&process.repo);
    code = process_run_stage(&process, stage, once && !follow, process.settings.append_poll_ms,
                             process.settings.append_poll_ms);
    process_close(&process);
    return code;
}
