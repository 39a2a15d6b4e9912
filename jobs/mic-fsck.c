/* mic-fsck: checks a bucket, also one that is in use; writes nothing. Exit status: 0 clean, 1
 * damage found, 2 not checked. */
#include <stdio.h>
#include <unistd.h>

#include "jobs/shared/open_store.h"
#include "jobs/shared/print_findings.h"
#include "pipeline/repo/check/fsck.h"
#include "pipeline/sys/log.h"

int main(int argc, char **argv)
{
    bool deep = false;
    bool json = false;
    const struct settings_flag flags[] = {
        {"deep",
         "Read every page and every content, too, and make the tree of each batch again.",
         &deep},
        {"json", "Print a JSON object for each finding, and one for the sum.", &json},
    };
    const struct settings_program program = {
        .name = "mic-fsck",
        .about =
            "Checks that all holds that must hold in a bucket, or of one project in it (a "
            "handle or an id, after DIR), also while it is in use: heads, every batch's "
            "records and ids, the landing log, its filters with every key that they cover, "
            "sessions, the queue, and that uploaded contents are there. Writes nothing. "
            "Exit status 0: clean; 1: damage was found; 2: it could not be checked.",
        .positional = "dir",
        .positional_shown = "DIR",
        .args_max = 1,
        .flags = flags,
        .flags_n = ARRAY_LEN(flags),
    };
    struct settings settings;
    struct store *store;
    int code;
    if (!settings_start(&program, argc, argv, environ, &settings, &code))
        return code;
    log_setup((enum log_level)settings.log_level, settings.log_json);
    if (open_store_there(program.name, &settings, &store) >= 0) {
        settings_release(&settings);
        return 2;
    }
    struct findings_printer printer = {.json = json};
    const struct fsck_options options = {
        .project = settings.args_n > 0 ? settings.args[0] : NULL,
        .deep = deep,
        .page_cache_bytes = (size_t)settings.page_cache_bytes,
        .found = finding_print,
        .found_arg = &printer,
    };
    struct fsck_counts counts;
    int err = fsck_run(store, clock_system(), rng_system(), &options, &counts);
    code = findings_end(&printer, &settings, &options, &counts, err);
    store_close(store);
    settings_release(&settings);
    return code;
}
