/* The settings of every program: one table, read by jobs/ only and handed down as option
 * structs.
 *
 * A value comes from, in rising order of precedence: the table's default, a variable that other
 * programs read, too (such as AWS_REGION), the YAML file (`--config FILE` or MIC_CONFIG), the
 * environment (MIC_<NAME>), the command line (`--name value`, `--name=value`). In the file the
 * keys are flat, spelled as in the table; a flag has
 * '-' for '_'. An unknown key or flag, a key given twice and a value of the wrong type or
 * outside its bounds are refused, with file and line.
 *
 * Values with a unit: a size is bytes, or a number with KiB, MiB, GiB or TiB; a duration is a
 * number in the unit that the name ends in, or one with us, ms, s, m or h.
 *
 * One thread, at start. Nothing here reads the environment, the clock or the machine by itself
 * but the YAML file. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdio.h>

#include "formats/base/arena.h"
#include "formats/base/types.h"

#define MIC_VERSION  "0.1.0"
#define SETTINGS_MAX 64u /* rows of the table at most */

enum setting_type {
    SETTING_U64,
    SETTING_SIZE,
    SETTING_DURATION_MS,
    SETTING_DURATION_US,
    SETTING_BOOL,
    SETTING_STRING,
    SETTING_CHOICE,  /* one of the words in `choices`; the value is its index */
    SETTING_ADDRESS, /* HOST:PORT, loopback only */
    SETTING_SECRET,  /* a string that is never shown, and not taken from the command line */
};

struct settings_address {
    char host[46]; /* an IPv4 or IPv6 address, without brackets */
    uint16_t port; /* 0: any that is free */
};

enum setting_source {
    SETTING_FROM_DEFAULT,
    SETTING_FROM_FILE,
    SETTING_FROM_ENV,
    SETTING_FROM_FLAG,
    SETTING_FROM_ARGUMENT, /* a bare argument, see settings_program.positional */
};

/* Where a value came from. `name` is the file, or NULL; `line` counts from 1. */
struct setting_origin {
    enum setting_source source;
    const char *name;
    unsigned line;
};

/* All strings live in `arena`. */
struct settings {
    const char *dir; /* or s3://BUCKET/PREFIX; never empty after settings_load */
    struct settings_address listen;
    uint64_t log_level; /* an enum log_level: 0 debug, 1 info, 2 warn, 3 error */
    bool log_json;

    uint64_t shards;
    uint64_t chunk_size;

    uint64_t http_threads; /* 0: one for each core */
    uint64_t http_connections_max;
    uint64_t http_idle_ms;
    uint64_t idle_exit;
    uint64_t request_max;
    uint64_t wait_max_ms;
    uint64_t wait_poll_ms;

    uint64_t intake_window_us;
    uint64_t intake_batch_max;
    uint64_t intake_queue_max;

    uint64_t land_batch_max;
    uint64_t land_poll_min_ms;
    uint64_t land_poll_max_ms;
    uint64_t fold_after_ms;
    uint64_t missing_after_ms;
    uint64_t lease_ms;
    uint64_t append_poll_ms;
    uint64_t rollup_poll_ms;
    uint64_t gc_grace_ms;

    uint64_t page_cache_bytes;
    uint64_t content_cache_bytes;

    const char *derive_dir;
    uint64_t derive_slots; /* 0: one for each core */
    uint64_t derive_ram_bytes;
    uint64_t derive_disk_bytes;
    uint64_t derive_in_flight_bytes;
    const char *derive_verify;

    const char *s3_endpoint;
    const char *s3_region;
    uint64_t s3_addressing; /* an enum s3_addressing */
    uint64_t s3_provider;   /* an enum s3_provider_id */
    const char *s3_ca_file;
    const char *s3_access_key_id;
    const char *s3_secret_access_key;
    const char *s3_session_token;
    uint64_t s3_concurrency;
    uint64_t s3_tries;
    uint64_t s3_connect_ms;
    uint64_t s3_stall_ms;
    uint64_t s3_timeout_ms;

    /* Bare arguments that no setting took, in order. */
    const char **args;
    size_t args_n;

    struct arena arena;
    struct setting_origin origins[SETTINGS_MAX]; /* by row of the table */
};

/* One row. Bounds are of the value as it is stored, and for a string of its length. */
struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;      /* in struct settings */
    const char *preset; /* the default, as a file would spell it */
    uint64_t min;
    uint64_t max;
    const char *const *choices; /* SETTING_CHOICE: words, ending in NULL */
    const char *const *env;     /* variables of others that give it, ending in NULL; or NULL */
    const char *doc;            /* whole sentences */
};

extern const struct setting settings_table[];
extern const size_t settings_table_n;

/* A flag of one program's own that takes no value, such as --once. */
struct settings_flag {
    const char *name; /* without the dashes */
    const char *doc;
    bool *value; /* set to true when it is given */
};

/* An option of one program's own that takes a value, such as --to POS. */
struct settings_option {
    const char *name;  /* without the dashes */
    const char *shown; /* its value in --help */
    const char *doc;
    const char **value; /* set to a string in the arena of the settings when it is given */
};

struct settings_program {
    const char *name;
    const char *about; /* a sentence or two for --help */
    /* The setting that the first bare argument gives, or NULL; how it is shown in --help. */
    const char *positional;
    const char *positional_shown;
    size_t args_max;        /* further bare arguments that the program takes */
    const char *args_shown; /* how they are shown in --help; NULL: not at all */
    const struct settings_flag *flags;
    size_t flags_n;
    const struct settings_option *options;
    size_t options_n;
};

/* What the command line asked for besides running. */
enum settings_action {
    SETTINGS_RUN,
    SETTINGS_HELP,
    SETTINGS_VERSION,
    SETTINGS_PRINT,
    SETTINGS_PRINT_SAMPLE,
};

struct settings_error {
    char message[1024]; /* one line, without a newline at its end */
};

/* Reads settings from everywhere. `env` is environ, or an array of its kind. On success `out`
 * holds them (settings_release it) and `action` what to do; ERR_INVALID with a message
 * otherwise, also for a file that cannot be read. For an action other than SETTINGS_RUN a
 * missing `dir` passes. */
int settings_load(const struct settings_program *, int argc, char *const *argv,
                  char *const *env, struct settings *out, enum settings_action *action,
                  struct settings_error *) MUST_USE;
void settings_release(struct settings *);

/* What a main calls: loads, and does what was asked for instead of running, or tells the error.
 * True: go on with `out`. False: nothing to release; leave with `exit_status` (0, or 2 for an
 * error). */
bool settings_start(const struct settings_program *, int argc, char **argv, char **env,
                    struct settings *out, int *exit_status) MUST_USE;

/* The row of that name, or NULL. */
const struct setting *setting_find(struct bytes name);

/* Sets one value from text, as `origin` spells it; ERR_INVALID with a reason (without place or
 * name) otherwise. */
int setting_parse(struct settings *, const struct setting *, struct bytes text,
                  struct setting_origin origin, struct settings_error *) MUST_USE;

/* The value as a file would spell it, in the arena of the settings; "***" for a secret. */
const char *setting_spell(struct settings *, const struct setting *);

void settings_print_help(FILE *, const struct settings_program *);
/* A YAML file of the effective values, each with where it came from in a comment. */
void settings_print(FILE *, struct settings *);
/* config/micelio.sample.yaml: every setting with its default, bounds and doc. */
void settings_print_sample(FILE *);

#endif
