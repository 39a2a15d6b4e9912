/* JSON, by jansson. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_json_text.h"

/* Keys in order and no spaces: one text for one value. Integers of 64 bits are kept as they
 * are, other numbers are doubles, with as many digits as tell them apart. */
#define WRITE_FLAGS (JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17))
#define READ_FLAGS  (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL)

static void value_drop(json_t **value)
{
    json_decref(*value);
}

/* What the value of a text takes in memory, roughly and rather too much: what is in strings
 * counts like what is not. */
static uint64_t memory_of(struct bytes text)
{
    static const uint16_t cost[256] = {['{'] = 256, ['['] = 128, [':'] = 112, [','] = 48};
    uint64_t bytes = 2 * (uint64_t)text.len;
    for (size_t i = 0; i < text.len; i++)
        bytes += cost[text.data[i]];
    return bytes;
}

static int value_read(const struct fn_run *run, json_t **out)
{
    AUTO_BUF text = {0};
    int err = fn_whole(run, 0, &text);
    if (err == OK && memory_of(buf_bytes(&text)) > FUNCTION_JSON_MAX)
        err = ERR_LIMIT;
    if (err != OK)
        return err;
    json_error_t why;
    *out = json_loadb(text.len > 0 ? (const char *)text.data : "", text.len, READ_FLAGS, &why);
    if (*out == NULL)
        return fn_refuse(run, NULL, "the input is not JSON: %s, in line %d", why.text,
                         why.line);
    return OK;
}

static int piece_write(const char *text, size_t len, void *arg)
{
    buf_append(arg, text, len);
    return 0;
}

static int value_write(struct fn_run *run, const json_t *value)
{
    AUTO_BUF text = {0};
    int failed = json_dump_callback(value, piece_write, &text, WRITE_FLAGS);
    if (failed != 0)
        return fn_refuse(run, NULL, "the input has a number that JSON cannot write");
    return fn_put(run->out, buf_bytes(&text));
}

static int canonicalize_run(struct fn_run *run)
{
    AUTO(value_drop) json_t *value = NULL;
    int err = value_read(run, &value);
    return err != OK ? err : value_write(run, value);
}

/* ---- get ---- */

/* A pointer (RFC 6901) is empty or begins with a slash, and ~ is followed by 0 or 1. */
static bool pointer_ok(struct bytes pointer)
{
    if (pointer.len > 0 && pointer.data[0] != '/')
        return false;
    for (size_t i = 0; i < pointer.len; i++) {
        if (pointer.data[i] == '~' && (i + 1 == pointer.len || (pointer.data[i + 1] != '0' &&
                                                                pointer.data[i + 1] != '1')))
            return false;
    }
    return true;
}

static int get_check(const struct fn_run *run)
{
    struct bytes pointer = {0};
    (void)!fn_parameter(run, "path", &pointer);
    if (!pointer_ok(pointer))
        return fn_refuse(run, "path", "not a JSON pointer, such as /items/0/name");
    return OK;
}

/* Takes the first step off, unescaped into `out`. */
static void step_take(struct bytes *pointer, struct buf *out)
{
    buf_clear(out);
    size_t i = 1;
    for (; i < pointer->len && pointer->data[i] != '/'; i++) {
        uint8_t c = pointer->data[i];
        if (c == '~')
            c = pointer->data[++i] == '0' ? '~' : '/';
        buf_append(out, &c, 1);
    }
    *pointer = bytes_of(pointer->data + i, pointer->len - i);
}

/* The item that a step names: decimal, without zeros before it. */
static json_t *item_at(const json_t *array, struct bytes step)
{
    uint64_t index = 0;
    if (step.len == 0 || step.len > 18 || (step.len > 1 && step.data[0] == '0'))
        return NULL;
    for (size_t i = 0; i < step.len; i++) {
        if (step.data[i] < '0' || step.data[i] > '9')
            return NULL;
        index = index * 10 + (step.data[i] - '0');
    }
    return json_array_get(array, (size_t)index);
}

static int get_run(struct fn_run *run)
{
    struct bytes pointer = {0};
    (void)!fn_parameter(run, "path", &pointer);
    AUTO(value_drop) json_t *value = NULL;
    AUTO_BUF step = {0};
    int err = value_read(run, &value);
    if (err != OK)
        return err;
    const json_t *at = value;
    while (pointer.len > 0 && at != NULL) {
        step_take(&pointer, &step);
        if (json_is_array(at))
            at = item_at(at, buf_bytes(&step));
        else
            at = json_object_getn(at, step.len > 0 ? (const char *)step.data : "", step.len);
    }
    if (at == NULL)
        return fn_refuse(run, "path", "the input has nothing there");
    return value_write(run, at);
}

static const struct fn_parameter get_parameters[] = {{"path", true}};

const struct function fn_json_get = {
    .name = "json.get",
    .version = "1.0.0",
    .revision = "1",
    .about =
        "The value at `path`, a JSON pointer (RFC 6901; \"\" is the whole), in canonical form.",
    .library = fn_json_library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = get_parameters,
    .n_parameters = ARRAY_LEN(get_parameters),
    .check = get_check,
    .run = get_run,
};

const struct function fn_json_canonicalize = {
    .name = "json.canonicalize",
    .version = "1.0.0",
    .revision = "1",
    .about = "The same JSON value without spaces and with the keys of objects in order.",
    .library = fn_json_library,
    .inputs_least = 1,
    .inputs_most = 1,
    .run = canonicalize_run,
};
