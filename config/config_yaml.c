#include "config/config_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "config/settings_internal.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"

struct yaml_file {
    struct settings *settings;
    const char *path;
    yaml_parser_t parser;
    struct settings_error *err;
};

/* `path:line: message`, or `path:line: key: message`. */
static int refuse(struct yaml_file *f, size_t line, const char *key, const char *message)
{
    return settings_refuse(f->err, "%s:%zu: %s%s%s", f->path, line, key, *key ? ": " : "",
                           message);
}

static void event_release(yaml_event_t *event)
{
    yaml_event_delete(event);
}

/* Lines are counted from 1, as editors do. */
static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static int next_event(struct yaml_file *f, yaml_event_t *event)
{
    if (yaml_parser_parse(&f->parser, event) == 1)
        return 0;
    memset(event, 0, sizeof(*event));
    return refuse(f, f->parser.problem_mark.line + 1, "",
                  f->parser.problem != NULL ? f->parser.problem : "this is not YAML");
}

/* NULL when the event is a scalar of no explicit tag or anchor; else what is wrong with it. */
static const char *not_plain(const yaml_event_t *event)
{
    if (event->type == YAML_MAPPING_START_EVENT)
        return "settings are not nested";
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return "no setting is a list";
    if (event->type != YAML_SCALAR_EVENT)
        return "aliases are not taken";
    if (event->data.scalar.tag != NULL || event->data.scalar.anchor != NULL)
        return "tags and anchors are not taken";
    return NULL;
}

static struct bytes scalar_of(const yaml_event_t *event)
{
    return bytes_of(event->data.scalar.value, event->data.scalar.length);
}

static int read_value(struct yaml_file *f, const struct setting *row)
{
    AUTO(event_release) yaml_event_t event;
    int e = next_event(f, &event);
    if (e != 0)
        return e;
    const char *wrong = not_plain(&event);
    /* "4" in quotes is a string in YAML, and so is 'true'. */
    if (wrong == NULL && event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE &&
        (row->type == SETTING_U64 || row->type == SETTING_SIZE || row->type == SETTING_BOOL ||
         row->type == SETTING_DURATION_MS || row->type == SETTING_DURATION_US))
        wrong = "a number or truth value is written without quotes";
    if (wrong != NULL)
        return refuse(f, line_of(&event), row->name, wrong);
    struct setting_origin origin = {
        .source = SETTING_FROM_FILE, .name = f->path, .line = (unsigned)line_of(&event)};
    struct settings_error cause;
    e = setting_parse(f->settings, row, scalar_of(&event), origin, &cause);
    return e == 0 ? 0 : refuse(f, line_of(&event), row->name, cause.message);
}

static int read_pair(struct yaml_file *f, const yaml_event_t *key)
{
    const char *wrong = not_plain(key);
    if (wrong != NULL)
        return refuse(f, line_of(key), "", wrong);
    struct arena *a = &f->settings->arena;
    const char *name = arena_str(a, scalar_of(key));
    const struct setting *row = setting_find(scalar_of(key));
    if (row == NULL)
        return refuse(f, line_of(key), name, "there is no such setting");
    /* The file is read first, so whatever came from a file came from this one. */
    const struct setting_origin *before = &f->settings->origins[row - settings_table];
    if (before->source == SETTING_FROM_FILE)
        return refuse(f, line_of(key), name,
                      arena_printf(a, "it is set in line %u already", before->line));
    return read_value(f, row);
}

/* The pairs of the one mapping; its end ends them. */
static int read_mapping(struct yaml_file *f)
{
    for (;;) {
        AUTO(event_release) yaml_event_t event;
        int e = next_event(f, &event);
        if (e != 0)
            return e;
        if (event.type == YAML_MAPPING_END_EVENT)
            return 0;
        e = read_pair(f, &event);
        if (e != 0)
            return e;
    }
}

/* Whether the event is an empty document's only node: a null that is not written. */
static bool is_nothing(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* The stream: at most one document, which is a mapping. Each event is consumed once, so this
 * ends with the input. */
static int read_stream(struct yaml_file *f)
{
    bool seen = false;
    for (;;) {
        AUTO(event_release) yaml_event_t event;
        int e = next_event(f, &event);
        if (e != 0)
            return e;
        if (event.type == YAML_STREAM_END_EVENT)
            return 0;
        if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_END_EVENT ||
            is_nothing(&event))
            continue;
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            if (seen)
                return refuse(f, line_of(&event), "", "there is a second document");
            seen = true;
            continue;
        }
        if (event.type != YAML_MAPPING_START_EVENT)
            return refuse(f, line_of(&event), "",
                          "the file is not a mapping of names to values");
        e = read_mapping(f);
        if (e != 0)
            return e;
    }
}

static int slurp(const char *path, struct buf *out, struct settings_error *err)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return settings_refuse(err, "%s: %s", path, strerror(errno));
    /* One byte more than is taken, so that a longer file shows. */
    uint8_t *data = buf_reserve(out, CONFIG_FILE_MAX + 1);
    out->len = fread(data, 1, CONFIG_FILE_MAX + 1, file);
    int read_errno = ferror(file) ? errno : 0;
    (void)fclose(file);
    if (read_errno != 0)
        return settings_refuse(err, "%s: %s", path, strerror(read_errno));
    if (out->len > CONFIG_FILE_MAX)
        return settings_refuse(err, "%s: it has more than %u bytes", path, CONFIG_FILE_MAX);
    return 0;
}

int config_yaml_read(struct settings *s, const char *path, struct settings_error *err)
{
    AUTO_BUF text = {0};
    int e = slurp(path, &text, err);
    if (e != 0)
        return e;
    struct yaml_file f = {.settings = s, .err = err};
    f.path = arena_str(&s->arena, bytes_str(path));
    if (yaml_parser_initialize(&f.parser) != 1)
        abort(); /* it only fails for want of memory */
    yaml_parser_set_input_string(&f.parser, text.data, text.len);
    e = read_stream(&f);
    yaml_parser_delete(&f.parser);
    return e;
}
