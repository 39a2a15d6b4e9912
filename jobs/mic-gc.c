/* mic-gc: deletes what nothing in a project's chain ever named; says only what it would do
 * unless told to act. */
#include <unistd.h>

#include "jobs/shared/run_collect.h"

int main(int argc, char **argv)
{
    struct collect_args args = {0};
    const struct settings_flag flags[] = {
        {"act", "Delete; without it, only say what would be deleted.", &args.act},
        {"json", "Print a JSON object for each project, sample key and the sum.", &args.json},
    };
    const struct settings_option options[] = {
        {"resume", "RUN", "Go on with this run, whose process has died, and end it.",
         &args.resume},
        {"close", "RUN", "Close this run, whose process has died, without deleting.",
         &args.close},
    };
    const struct settings_program program = {
        .name = "mic-gc",
        .about =
            "Finds tree objects and uploads that nothing names, in all projects of a bucket or "
            "in one (a handle or an id, after DIR), and with --act deletes those that were put "
            "longer ago than gc_grace_ms. History is never deleted. It may run while the "
            "bucket "
            "is in use. Exit status: 0 done; 1 a project was left out: another run is under "
            "way there, its last deletes are cooling, or a part of it is damaged; 2 it could "
            "not be done.",
        .positional = "dir",
        .positional_shown = "DIR",
        .args_max = 1,
        .args_shown = "[PROJECT]",
        .flags = flags,
        .flags_n = ARRAY_LEN(flags),
        .options = options,
        .options_n = ARRAY_LEN(options),
    };
    struct settings settings;
    int code;
    if (!settings_start(&program, argc, argv, environ, &settings, &code))
        return code;
    code = collect_main(program.name, &settings, &args);
    settings_release(&settings);
    return code;
}
