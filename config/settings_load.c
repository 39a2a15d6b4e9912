/* Gathers the settings from the file, the environment and the command line. */
#include <ctype.h>
#include <stdio.h>

#include "config/config_yaml.h"
#include "config/settings.h"
#include "config/settings_internal.h"
#include "formats/base/err.h"

struct load {
    const struct settings_program *program;
    struct settings *settings;
    struct settings_error *err;
    int argc;
    char *const *argv;
    int at;           /* the next argument */
    const char *file; /* "" for none */
    enum settings_action action;
};

void settings_refuse_at(struct settings_error *err, const char *place)
{
    struct settings_error cause = *err;
    /* Both are bounded; a message that is cut is still the beginning of what is to be said. */
    (void)snprintf(err->message, sizeof(err->message), "%.300s: %.700s", place, cause.message);
}

static void set_presets(struct settings *s)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        struct settings_error err;
        int e = setting_parse(s, row, bytes_str(row->preset),
                              (struct setting_origin){.source = SETTING_FROM_DEFAULT}, &err);
        assert(e == 0 && "the table's own default is refused");
        (void)e;
    }
}

/* The value of NAME=value in `env`, or NULL. */
static const char *env_find(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env != NULL; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

/* What other programs' variables say, where none of ours says anything. */
static int read_env_of_others(struct load *l, char *const *env)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        const char *value = NULL;
        size_t at = 0;
        for (; row->env != NULL && row->env[at] != NULL; at++) {
            value = env_find(env, row->env[at]);
            if (value != NULL && value[0] != '\0')
                break;
        }
        if (value == NULL || value[0] == '\0')
            continue;
        struct setting_origin origin = {.source = SETTING_FROM_ENV, .name = row->env[at]};
        int e = setting_parse(l->settings, row, bytes_str(value), origin, l->err);
        if (e != 0) {
            settings_refuse_at(l->err, row->env[at]);
            return e;
        }
    }
    return 0;
}

static const struct setting_origin *origin_of(const struct settings *s, const char *name)
{
    return &s->origins[setting_find(bytes_str(name)) - settings_table];
}

static bool is_from(const struct setting_origin *origin, const char *variable)
{
    return origin->source == SETTING_FROM_ENV && strcmp(origin->name, variable) == 0;
}

/* A token belongs to the key that it came with; other keys are refused with it. */
static void drop_foreign_token(struct settings *s)
{
    const struct setting *row = setting_find(bytes_str("s3_session_token"));
    if (is_from(origin_of(s, row->name), "AWS_SESSION_TOKEN") &&
        !is_from(origin_of(s, "s3_access_key_id"), "AWS_ACCESS_KEY_ID")) {
        s->s3_session_token = "";
        s->origins[row - settings_table] = (struct setting_origin){.name = NULL};
    }
}

static int read_env(struct load *l, char *const *env)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        char *name = arena_printf(&l->settings->arena, "MIC_%s", row->name);
        for (char *c = name; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        const char *value = env_find(env, name);
        if (value == NULL)
            continue;
        struct setting_origin origin = {.source = SETTING_FROM_ENV, .name = name};
        int e = setting_parse(l->settings, row, bytes_str(value), origin, l->err);
        if (e != 0) {
            settings_refuse_at(l->err, name);
            return e;
        }
    }
    return 0;
}

/* One `--name`, with what follows '=', if anything. */
struct flag {
    const char *shown; /* with the dashes, without the value */
    struct bytes name; /* as the table spells it */
    const char *value; /* NULL: none yet */
};

static struct flag flag_split(struct load *l, const char *arg)
{
    const char *equals = strchr(arg, '=');
    size_t len = equals == NULL ? strlen(arg) : (size_t)(equals - arg);
    struct flag flag = {.value = equals == NULL ? NULL : equals + 1};
    flag.shown = arena_str(&l->settings->arena, bytes_of(arg, len));
    char *name = arena_str(&l->settings->arena, bytes_of(arg + 2, len - 2));
    for (char *c = name; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    flag.name = bytes_str(name);
    return flag;
}

/* The next argument becomes the value of a flag that was given without '='. */
static int flag_want_value(struct load *l, struct flag *flag)
{
    if (flag->value == NULL && l->at < l->argc)
        flag->value = l->argv[l->at++];
    if (flag->value == NULL)
        return settings_refuse(l->err, "%s: a value is missing", flag->shown);
    return 0;
}

/* Flags that every program has; false when it is none of them. */
static bool flag_common(struct load *l, const struct flag *flag)
{
    static const struct {
        const char *name;
        enum settings_action action;
    } actions[] = {
        {"help", SETTINGS_HELP},
        {"version", SETTINGS_VERSION},
        {"print_config", SETTINGS_PRINT},
        {"print_sample_config", SETTINGS_PRINT_SAMPLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (!bytes_equal(flag->name, bytes_str(actions[i].name)) || flag->value != NULL)
            continue;
        l->action = actions[i].action;
        return true;
    }
    for (size_t i = 0; i < l->program->flags_n; i++) {
        const struct settings_flag *own = &l->program->flags[i];
        if (strcmp(flag->shown + 2, own->name) == 0 && flag->value == NULL) {
            *own->value = true;
            return true;
        }
    }
    return false;
}

/* An option of the program's own, or NULL. */
static const struct settings_option *option_find(const struct load *l, const struct flag *flag)
{
    for (size_t i = 0; i < l->program->options_n; i++) {
        if (strcmp(flag->shown + 2, l->program->options[i].name) == 0)
            return &l->program->options[i];
    }
    return NULL;
}

static int option_read(struct load *l, const struct settings_option *option, struct flag *flag)
{
    if (*option->value != NULL)
        return settings_refuse(l->err, "%s: it is given twice", flag->shown);
    int e = flag_want_value(l, flag);
    if (e == 0)
        *option->value = arena_str(&l->settings->arena, bytes_str(flag->value));
    return e;
}

static int read_flag(struct load *l, const char *arg)
{
    struct flag flag = flag_split(l, arg);
    if (flag_common(l, &flag))
        return 0;
    const struct settings_option *option = option_find(l, &flag);
    if (option != NULL)
        return option_read(l, option, &flag);
    if (bytes_equal(flag.name, bytes_str("config"))) {
        return flag_want_value(l, &flag); /* the value itself was taken by find_file */
    }
    const struct setting *row = setting_find(flag.name);
    if (row == NULL)
        return settings_refuse(l->err, "%s: there is no such flag; see --help", flag.shown);
    if (row->type == SETTING_SECRET)
        return settings_refuse(
            l->err,
            "%s: a secret is not given on the command line, where others can "
            "read it, but in the environment or the file",
            flag.shown);
    enum setting_source before = l->settings->origins[row - settings_table].source;
    if (before == SETTING_FROM_FLAG || before == SETTING_FROM_ARGUMENT)
        return settings_refuse(l->err, "%s: it is given twice", flag.shown);
    /* A truth value never takes the next argument, so that `--log-json DIR` means what it looks
     * like. */
    if (row->type == SETTING_BOOL && flag.value == NULL)
        flag.value = "true";
    int e = flag_want_value(l, &flag);
    if (e != 0)
        return e;
    struct setting_origin origin = {.source = SETTING_FROM_FLAG, .name = flag.shown};
    e = setting_parse(l->settings, row, bytes_str(flag.value), origin, l->err);
    if (e != 0)
        settings_refuse_at(l->err, flag.shown);
    return e;
}

static int read_argument(struct load *l, const char *arg)
{
    struct settings *s = l->settings;
    const char *positional = l->program->positional;
    if (positional != NULL) {
        const struct setting *row = setting_find(bytes_str(positional));
        assert(row != NULL && "the program's argument is no setting");
        struct setting_origin *before = &s->origins[row - settings_table];
        if (before->source == SETTING_FROM_FLAG)
            return settings_refuse(l->err, "%s: %s is given already, by a flag", arg,
                                   positional);
        if (before->source != SETTING_FROM_ARGUMENT) {
            struct setting_origin origin = {.source = SETTING_FROM_ARGUMENT};
            int e = setting_parse(s, row, bytes_str(arg), origin, l->err);
            if (e != 0)
                settings_refuse_at(l->err, positional);
            return e;
        }
    }
    if (s->args_n >= l->program->args_max)
        return settings_refuse(l->err, "%s: too many arguments; see --help", arg);
    s->args[s->args_n++] = arena_str(&s->arena, bytes_str(arg));
    return 0;
}

static int read_command_line(struct load *l)
{
    l->at = 1;
    bool flags_ended = false;
    while (l->at < l->argc) {
        const char *arg = l->argv[l->at++];
        int e = 0;
        if (!flags_ended && strcmp(arg, "--") == 0)
            flags_ended = true;
        else if (!flags_ended && strcmp(arg, "-h") == 0)
            l->action = SETTINGS_HELP;
        else if (!flags_ended && strncmp(arg, "--", 2) == 0)
            e = read_flag(l, arg);
        else if (!flags_ended && arg[0] == '-' && arg[1] != '\0')
            e = settings_refuse(l->err, "%s: there is no such flag; see --help", arg);
        else
            e = read_argument(l, arg);
        if (e != 0)
            return e;
    }
    return 0;
}

/* The file is named on the command line, which is read after it; so it is looked for
 * beforehand. */
static int find_file(struct load *l, char *const *env)
{
    const char *from_flag = "";
    bool given = false;
    for (int i = 1; i < l->argc && strcmp(l->argv[i], "--") != 0; i++) {
        const char *arg = l->argv[i];
        if (strncmp(arg, "--config=", strlen("--config=")) == 0)
            arg += strlen("--config=");
        else if (strcmp(arg, "--config") == 0 && i + 1 < l->argc)
            arg = l->argv[++i];
        else
            continue;
        if (given)
            return settings_refuse(l->err, "--config: it is given twice");
        from_flag = arg;
        given = true;
    }
    const char *from_env = env_find(env, "MIC_CONFIG");
    if (given)
        l->file = from_flag;
    else
        l->file = from_env != NULL ? from_env : "";
    return 0;
}

/* What no single setting can say. */
static int check_together(const struct load *l)
{
    const struct settings *s = l->settings;
    if (s->land_poll_min_ms > s->land_poll_max_ms)
        return settings_refuse(l->err, "land_poll_min_ms is greater than land_poll_max_ms");
    if (s->intake_batch_max > s->intake_queue_max)
        return settings_refuse(l->err, "intake_batch_max is greater than intake_queue_max");
    if (s->dir[0] == '\0' && l->action == SETTINGS_RUN)
        return settings_refuse(
            l->err, "no bucket: give %s%s--dir, MIC_DIR, or dir in a file named by --config",
            l->program->positional != NULL ? l->program->positional_shown : "",
            l->program->positional != NULL ? ", " : "");
    return 0;
}

static int load_all(struct load *l, char *const *env)
{
    set_presets(l->settings);
    int e = read_env_of_others(l, env);
    if (e == 0)
        e = find_file(l, env);
    if (e == 0 && l->file[0] != '\0')
        e = config_yaml_read(l->settings, l->file, l->err);
    if (e == 0)
        e = read_env(l, env);
    if (e == 0)
        e = read_command_line(l);
    if (e == 0)
        drop_foreign_token(l->settings);
    return e != 0 ? e : check_together(l);
}

int settings_load(const struct settings_program *program, int argc, char *const *argv,
                  char *const *env, struct settings *out, enum settings_action *action,
                  struct settings_error *err)
{
    struct settings s = {0};
    arena_init(&s.arena);
    s.args = arena_array(&s.arena, program->args_max + 1, const char *);
    struct load l = {.program = program,
                     .settings = &s,
                     .err = err,
                     .argc = argc,
                     .argv = argv,
                     .file = "",
                     .action = SETTINGS_RUN};
    int e = load_all(&l, env);
    if (e != 0) {
        settings_release(&s);
        return e;
    }
    *out = s;
    *action = l.action;
    return 0;
}

bool settings_start(const struct settings_program *program, int argc, char **argv, char **env,
                    struct settings *out, int *exit_status)
{
    struct settings s;
    enum settings_action action;
    struct settings_error err;
    if (settings_load(program, argc, argv, env, &s, &action, &err) != 0) {
        (void)fprintf(stderr, "%s: %s\n", program->name, err.message);
        *exit_status = 2;
        return false;
    }
    switch (action) {
    case SETTINGS_RUN:
        *out = s;
        return true;
    case SETTINGS_HELP:
        settings_print_help(stdout, program);
        break;
    case SETTINGS_VERSION:
        (void)printf("%s %s\n", program->name, MIC_VERSION);
        break;
    case SETTINGS_PRINT:
        settings_print(stdout, &s);
        break;
    case SETTINGS_PRINT_SAMPLE:
        settings_print_sample(stdout);
        break;
    }
    settings_release(&s);
    *exit_status = fflush(stdout) == 0 ? 0 : 1;
    return false;
}
