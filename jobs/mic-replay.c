/* mic-replay: builds a project again from its landing log. `--verify` only compares, `--into`
 * makes a new project of it. */
#include "jobs/shared/run_replay.h"

int main(int argc, char **argv)
{
    struct replay_args args = {0};
    const struct settings_flag flags[] = {
        {"verify", "Only compare the log with what its batches say; write nothing.",
         &args.verify},
    };
    const struct settings_option options[] = {
        {"to", "POS", "End at this position; without it, at the head.", &args.to},
        {"into", "NAME", "Make a new project of what the log gives, with this handle.",
         &args.into},
    };
    const struct settings_program program = {
        .name = "mic-replay",
        .about =
            "Builds the tree of a project again from its landing log alone and compares it "
            "with every batch: with --verify only that, with --into NAME as a new project, "
            "which is a copy of the first POS positions. Without --to that goes for the "
            "project's references, too. A run that was ended goes on where "
            "it was when the same command is given again. Exit status: 0 all agrees, 1 it "
            "does not, and where is said, 2 a wrong command line, 3 it could not be done.",
        .positional = "dir",
        .positional_shown = "BUCKET",
        .args_max = 1,
        .args_shown = "PROJECT",
        .flags = flags,
        .flags_n = ARRAY_LEN(flags),
        .options = options,
        .options_n = ARRAY_LEN(options),
    };
    struct process process;
    int code = process_begin(&process, &program, argc, argv);
    if (code >= 0)
        return code;
    if (process_open(&process, false) >= 0)
        return 3;
    code = replay_run(&process, &args);
    process_close(&process);
    return code;
}
