/* Shows settings to people: the help text, the effective values, the sample file. */
#include <stdio.h>

#include "config/settings.h"
#include "config/settings_internal.h"

#define TEXT_WIDTH 96u

/* Writes `text` in lines of at most TEXT_WIDTH columns that begin with `indent`, broken at
 * spaces. */
static void print_wrapped(FILE *to, const char *indent, const char *text)
{
    size_t room = TEXT_WIDTH - strlen(indent);
    while (*text != '\0') {
        size_t len = strlen(text);
        if (len > room) {
            len = room;
            while (len > 0 && text[len] != ' ')
                len--;
            if (len == 0)
                len = room;
        }
        (void)fprintf(to, "%s%.*s\n", indent, (int)len, text);
        text += len;
        while (*text == ' ')
            text++;
    }
}

/* What a value may be, such as "size, 64KiB to 64MiB". */
static const char *bounds(struct arena *a, const struct setting *row)
{
    const char *type = NULL;
    switch (row->type) {
    case SETTING_U64:
        type = "number";
        break;
    case SETTING_SIZE:
        type = "size";
        break;
    case SETTING_DURATION_MS:
    case SETTING_DURATION_US:
        type = "duration";
        break;
    case SETTING_BOOL:
        return "true or false";
    case SETTING_STRING:
        return "string";
    case SETTING_ADDRESS:
        return "address";
    case SETTING_SECRET:
        return "secret; in the environment or the file only";
    case SETTING_CHOICE: {
        const char *list = row->choices[0];
        for (size_t i = 1; row->choices[i] != NULL; i++)
            list = arena_printf(a, "%s, %s", list, row->choices[i]);
        return list;
    }
    }
    return arena_printf(a, "%s, %s to %s", type, setting_spell_u64(a, row, row->min),
                        setting_spell_u64(a, row, row->max));
}

static void print_usage(FILE *to, const struct settings_program *program)
{
    (void)fprintf(to, "usage: %s", program->name);
    for (size_t i = 0; i < program->flags_n; i++)
        (void)fprintf(to, " [--%s]", program->flags[i].name);
    for (size_t i = 0; i < program->options_n; i++)
        (void)fprintf(to, " [--%s %s]", program->options[i].name, program->options[i].shown);
    (void)fprintf(to, " [--SETTING=VALUE …]");
    if (program->positional != NULL)
        (void)fprintf(to, " [%s]", program->positional_shown);
    if (program->args_shown != NULL)
        (void)fprintf(to, " %s", program->args_shown);
    (void)fprintf(to, "\n\n");
    print_wrapped(to, "", program->about);
    (void)fprintf(to, "\n");
}

void settings_print_help(FILE *to, const struct settings_program *program)
{
    AUTO(arena_release) struct arena a = {0};
    print_usage(to, program);
    for (size_t i = 0; i < program->flags_n; i++) {
        (void)fprintf(to, "  --%s\n", program->flags[i].name);
        print_wrapped(to, "        ", program->flags[i].doc);
    }
    for (size_t i = 0; i < program->options_n; i++) {
        (void)fprintf(to, "  --%s %s\n", program->options[i].name, program->options[i].shown);
        print_wrapped(to, "        ", program->options[i].doc);
    }
    (void)fprintf(
        to,
        "  --config FILE\n        A YAML file of settings; see --print-sample-config.\n"
        "  --print-config\n        Prints the settings as they are now, each with where it "
        "came "
        "from.\n"
        "  --print-sample-config\n        Prints a file of all settings with their defaults.\n"
        "  --version\n  --help\n\n"
        "Settings, as flags here; as MIC_NAME in the environment and name in the file:\n\n");
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        char *flag = arena_str(&a, bytes_str(row->name));
        for (char *c = flag; *c != '\0'; c++)
            if (*c == '_')
                *c = '-';
        (void)fprintf(to, "  --%s (%s", flag, bounds(&a, row));
        if (row->preset[0] != '\0')
            (void)fprintf(to, "; default %s", row->preset);
        (void)fprintf(to, ")\n");
        print_wrapped(to, "        ", row->doc);
    }
}

/* Whether there is a value that must not be shown. */
static bool is_hidden(struct settings *s, const struct setting *row)
{
    return row->type == SETTING_SECRET && setting_spell(s, row)[0] != '\0';
}

/* A value as YAML: strings in double quotes, since they may hold anything but control
 * characters. */
static void print_value(FILE *to, const struct setting *row, const char *value)
{
    if (row->type != SETTING_STRING && row->type != SETTING_ADDRESS &&
        row->type != SETTING_SECRET) {
        (void)fputs(value, to);
        return;
    }
    (void)fputc('"', to);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            (void)fputc('\\', to);
        (void)fputc(*value, to);
    }
    (void)fputc('"', to);
}

static void print_origin(FILE *to, const struct setting_origin *origin)
{
    switch (origin->source) {
    case SETTING_FROM_DEFAULT:
        (void)fprintf(to, "default");
        break;
    case SETTING_FROM_FILE:
        (void)fprintf(to, "%s:%u", origin->name, origin->line);
        break;
    case SETTING_FROM_ENV:
    case SETTING_FROM_FLAG:
        (void)fprintf(to, "%s", origin->name);
        break;
    case SETTING_FROM_ARGUMENT:
        (void)fprintf(to, "argument");
        break;
    }
}

void settings_print(FILE *to, struct settings *s)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        /* What is hidden is said to be set, and does not set anything when it is read. */
        (void)fprintf(to, "%s%s: ", is_hidden(s, row) ? "# " : "", row->name);
        print_value(to, row, setting_spell(s, row));
        (void)fprintf(to, " # ");
        print_origin(to, &s->origins[i]);
        (void)fprintf(to, "\n");
    }
}

void settings_print_sample(FILE *to)
{
    AUTO(arena_release) struct arena a = {0};
    (void)fprintf(
        to, "# Every setting with its default. Made by `mic-forge --print-sample-config`.\n"
            "# A variable MIC_NAME in the environment goes before the file, and a flag --name "
            "before both.\n"
            "# Sizes take KiB, MiB, GiB, TiB; durations us, ms, s, m, h.\n");
    for (size_t i = 0; i < settings_table_n; i++) {
        const struct setting *row = &settings_table[i];
        (void)fprintf(to, "\n");
        print_wrapped(to, "# ", row->doc);
        print_wrapped(to, "# ", arena_printf(&a, "(%s)", bounds(&a, row)));
        /* What has no default is shown, but not set. */
        (void)fprintf(to, "%s%s: ", row->preset[0] == '\0' ? "# " : "", row->name);
        print_value(to, row, row->preset);
        (void)fprintf(to, "\n");
    }
}
