/* mic-store: looks at a store. `mic-store probe DIR` tries whether it does what a store must.
 */
#include <stdio.h>
#include <unistd.h>

#include "jobs/shared/open_store.h"
#include "pipeline/store/s3_probe.h"
#include "pipeline/sys/log.h"

static const struct settings_program program = {
    .name = "mic-store probe",
    .about = "Tries whether a bucket does what it must: both conditions of a put, races of 32 "
             "writers, reads and lists after writes. The other programs do so at their start.",
    .positional = "dir",
    .positional_shown = "DIR",
};

static int probe(const struct settings *s)
{
    struct store *store;
    struct probe_report report;
    bool s3 = is_s3_place(s->dir);
    const struct probe_options options = {.clock = clock_system(), .rng = rng_system()};
    int code = open_store(program.name, s, &store);
    if (code >= 0)
        return code;
    int err = s3 ? s3_store_probe(store, true, &report) : probe_store(store, &options, &report);
    if (err == OK)
        printf("%s passed: of %u writers that raced one won\n", s->dir, report.writers);
    else
        say_not_passed(program.name, s->dir, &report);
    if (err == OK && s3)
        printf("provider %s, If-Match with %s etags\n", s3_store_provider(store)->name,
               !report.quoted ? "bare"
               : report.bare  ? "quoted or bare"
                              : "quoted");
    store_close(store);
    return err == OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct settings settings;
    int code;
    if (argc < 2 || strcmp(argv[1], "probe") != 0) {
        fprintf(stderr, "usage: mic-store probe [--SETTING=VALUE ...] DIR\n");
        return 2;
    }
    if (!settings_start(&program, argc - 1, argv + 1, environ, &settings, &code))
        return code;
    log_setup((enum log_level)settings.log_level, settings.log_json);
    code = probe(&settings);
    settings_release(&settings);
    return code;
}
