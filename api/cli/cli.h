/* The `mic` command: what its subcommands share. Data goes to stdout, everything else to
 * stderr. A command's exit status is one of enum exit. */
#ifndef API_CLI_CLI_H
#define API_CLI_CLI_H

#include <stdio.h>

#include "api/cli/scan.h"
#include "api/cli/update.h"
#include "api/cli/workspace.h"
#include "api/client/client.h"
#include "api/json/json.h"
#include "pipeline/sys/rng.h"

enum cli_exit {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFLICT = 3,
};

/* What the main hands down. */
struct cli_env {
    const char *url;    /* MIC_URL, or NULL */
    const char *author; /* MIC_AUTHOR, or NULL */
    const char *config; /* the directory of config.json, or NULL */
    const char *cwd;    /* absolute */
    bool terminal;      /* stderr is one: progress is shown */
    struct clock *clock;
    struct rng *rng;
};

struct cli_option {
    const char *name;  /* without its dashes */
    char letter;       /* or 0 */
    const char *value; /* what its value is called; NULL: it has none */
};

#define CLI_OPTIONS_MAX 8u
#define CLI_GIVEN_MAX   4096u

struct cli;

struct cli_command {
    const char *name;    /* one or two words */
    const char *form;    /* what follows it, for people */
    const char *summary; /* a line */
    const char *help;    /* more lines, or NULL */
    int (*run)(struct cli *);
    size_t least; /* words after it */
    size_t most;
    struct cli_option options[CLI_OPTIONS_MAX];
};

struct cli_given {
    const struct cli_option *option;
    const char *value;
};

struct cli {
    const struct cli_env *env;
    const struct cli_command *command;
    const char **words; /* after the command, without options */
    size_t n_words;
    size_t n_plain; /* of them, before a "--" */
    struct cli_given *given;
    size_t n_given;
    bool json;
    struct arena arena;
    struct workspace ws;
    bool has_ws;
    struct client client;
    bool has_client;
    bool progress_shown;
    uint64_t progress_us;
};

/* Runs one command line; argv as main has it. */
int cli_run(const struct cli_env *, int argc, char **argv) MUST_USE;

/* The value of an option (the k-th of several), or NULL. */
const char *cli_value(const struct cli *, const char *name, size_t k);
bool cli_flag(const struct cli *, const char *name);

/* Says "mic: …" on stderr; gives EXIT_FAILED. */
int cli_fail(const struct cli *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_say(const struct cli *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, with the command's right form; gives EXIT_USAGE. */
int cli_usage(const struct cli *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says what the client's last call failed of, after "mic: WHAT: ". */
int cli_client_failed(const struct cli *, const char *what);

/* These give 0, or an exit status after having said why. */
int cli_open_workspace(struct cli *) MUST_USE;
/* Takes the lock, and finishes what was interrupted. Opens the client, too, if need be. */
int cli_lock_workspace(struct cli *) MUST_USE;
int cli_open_client(struct cli *) MUST_USE; /* the workspace's url, if there is one */
/* The project: that of --project, else of the workspace; its id in hex. */
int cli_project(struct cli *, struct bytes *id) MUST_USE;
int cli_author(struct cli *) MUST_USE; /* that there is one */
/* A position: a whole number. */
int cli_position(const struct cli *, const char *text, uint64_t *out) MUST_USE;
/* An address: 64 hex digits. */
int cli_address(const struct cli *, const char *text, struct hash *out) MUST_USE;
/* A path of the project out of a word. */
int cli_path(struct cli *, const char *word, struct bytes *out) MUST_USE;

/* Progress, for a terminal only. */
void cli_tick(void *arg, uint64_t done, uint64_t total);
void cli_tick_end(struct cli *);
/* How far something long is: a line that is rewritten on a terminal, else a line every few
 * seconds; nothing with --json. */
void cli_progress(struct cli *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sixteen random hex digits: a key for a request. */
struct bytes cli_key(struct cli *);

/* JSON on stdout: begin, write, end. */
struct cli_json {
    struct buf text;
    struct json_writer w;
};
void cli_json_begin(struct cli_json *);
int cli_json_end(struct cli_json *); /* prints it, with a newline; an exit status */
/* Prints bytes. */
int cli_print(struct bytes);

/* An hlc as local date and time. */
struct cli_date {
    char s[32];
};
struct cli_date cli_date(uint64_t hlc);
/* The first line of a text. */
struct bytes first_line(struct bytes);

/* --- what several commands do --- */
/* Tells the conflicts of an update that has run; gives EXIT_CONFLICT or 0. */
int cli_tell_conflicts(struct cli *, const struct update *);
/* Prints a landing's conflicts on stderr, with who was there first; not what to do then. */
void cli_tell_landing(struct cli *, struct bytes project, const struct landing *);
/* What was seen at a path, for people. */
struct cli_seen {
    char s[96];
};
struct cli_seen cli_seen(const struct seen *);
/* What a sync's conflicts have left behind must be dealt with before anything lands: gives
 * EXIT_CONFLICT after having said what, or 0. */
int cli_check_resolved(struct cli *);
/* `mic status --remote`: whether what is changed here would land. Prints it, or adds the field
 * "remote" to the open object when `w` is not NULL. An exit status. */
int cli_status_remote(struct cli *, struct index *, struct scan *, struct json_writer *w);
/* The fields of each into the open object. */
void cli_landing_json(struct json_writer *, const struct landing *);
void cli_conflict_json(struct json_writer *, const struct conflict *);
/* One effect of a landing, or operation of a session, as an object. */
void cli_operation_json(struct json_writer *, const struct client_operation *);
/* A session's fields, into the object under way. */
void cli_session_json(struct json_writer *, const struct client_session *, struct arena *);

/* --- the commands, in order of `mic help` --- */
int cmd_login(struct cli *);
int cmd_project_create(struct cli *);
int cmd_project_list(struct cli *);
int cmd_checkout(struct cli *);
int cmd_status(struct cli *);
int cmd_diff(struct cli *);
int cmd_land(struct cli *);
int cmd_session_start(struct cli *);
int cmd_session_note(struct cli *);
int cmd_session_decide(struct cli *);
int cmd_session_guard(struct cli *);
int cmd_session_show(struct cli *);
int cmd_session_list(struct cli *);
int cmd_session_abandon(struct cli *);
int cmd_sync(struct cli *);
int cmd_goto(struct cli *);
int cmd_ref_bind(struct cli *);
int cmd_ref_get(struct cli *);
int cmd_ref_ls(struct cli *);
int cmd_ref_rm(struct cli *);
int cmd_ref_log(struct cli *);
int cmd_log(struct cli *);
int cmd_show(struct cli *);
int cmd_blame(struct cli *);
int cmd_revert(struct cli *);
int cmd_cat(struct cli *);
int cmd_ls(struct cli *);
int cmd_import_dir(struct cli *);
int cmd_import_git(struct cli *);
int cmd_export_git(struct cli *);
int cmd_derive_leaf(struct cli *);
int cmd_derive_recipe(struct cli *);
int cmd_derive_get(struct cli *);
int cmd_derive_chunks(struct cli *);
int cmd_derive_show(struct cli *);
int cmd_derive_lineage(struct cli *);
int cmd_derive_dependents(struct cli *);
int cmd_derive_invalidate(struct cli *);
int cmd_derive_collect(struct cli *);
int cmd_derive_verify(struct cli *);
int cmd_derive_pin(struct cli *);
int cmd_derive_unpin(struct cli *);
int cmd_derive_pins(struct cli *);
int cmd_derive_status(struct cli *);
int cmd_derive_functions(struct cli *);

#endif
