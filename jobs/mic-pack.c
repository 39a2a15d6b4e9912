/* mic-pack: writes the pages of a project's newest tree again, in the order of a walk, so that
 * a cold walk reads a few long ranges. */
#include "jobs/shared/run_pack.h"

int main(int argc, char **argv)
{
    struct pack_args args = {0};
    const struct settings_flag flags[] = {
        {"all", "Pack every project of the bucket that it helps.", &args.all},
        {"dry-run", "Only say what it would do; write nothing.", &args.dry_run},
        {"always", "Pack also where it would not halve the reads of a cold walk.",
         &args.always},
        {"json", "Print a JSON object for each project.", &args.json},
    };
    const struct settings_program program = {
        .name = "mic-pack",
        .about =
            "Writes the directories of a project's newest tree again, neighbours side by side, "
            "where that at least halves the reads of a cold walk over it, such as a checkout. "
            "Nothing that anybody sees changes: not the position, no content, no history; it "
            "may run beside landings, and be ended at any time. The old pages stay, for older "
            "positions. Exit status: 0 packed, or not needed, 1 the project is too busy or the "
            "store is away, try again later, 2 a wrong command line, 3 it could not be done.",
        .positional = "dir",
        .positional_shown = "BUCKET",
        .args_max = 1,
        .args_shown = "PROJECT",
        .flags = flags,
        .flags_n = ARRAY_LEN(flags),
    };
    struct process process;
    int code = process_begin(&process, &program, argc, argv);
    if (code >= 0)
        return code;
    if (process_open(&process, false) >= 0)
        return 3;
    code = pack_run(&process, &args);
    process_close(&process);
    return code;
}
