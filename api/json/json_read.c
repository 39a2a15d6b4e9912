#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/json/json.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"

int json_problem_set(struct json_problem *problem, const char *code, const char *field,
                     const char *fmt, ...)
{
    if (problem->code == NULL) {
        va_list args;
        va_start(args, fmt);
        problem->code = code;
        snprintf(problem->field, sizeof(problem->field), "%s", field == NULL ? "" : field);
        vsnprintf(problem->message, sizeof(problem->message), fmt, args);
        va_end(args);
    }
    return ERR_INVALID;
}

/* The library's own bound on nesting is 2,048; ours is met before it allocates anything. */
static bool too_deep(struct bytes text)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

int json_parse(struct bytes text, struct json_problem *problem, struct json_t **out)
{
    if (too_deep(text))
        return json_problem_set(problem, "malformed_json", "",
                                "JSON nests deeper than %u levels", JSON_DEPTH_MAX);
    json_error_t error;
    json_t *value = json_loadb(text.len == 0 ? "" : (const char *)text.data, text.len,
                               JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        return json_problem_set(problem, "malformed_json", "",
                                "malformed JSON at line %d, column %d: %.150s", error.line,
                                error.column, error.text);
    *out = value;
    return OK;
}

void json_drop(struct json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

bool jrd_ok(const struct json_at *at)
{
    return at->problem->code == NULL;
}

/* How many places above one another a path may name: bounded as the nesting is. */
static size_t place_write(const struct json_at *at, const char *name, char *out, size_t size)
{
    const struct json_at *chain[JSON_DEPTH_MAX + 1];
    size_t n = 0;
    for (const struct json_at *p = at; p != NULL && n < ARRAY_LEN(chain); p = p->above)
        chain[n++] = p;
    size_t len = 0;
    out[0] = '\0';
    while (n-- > 0 && len < size) {
        const struct json_at *p = chain[n];
        int more = 0;
        if (p->above != NULL && p->name == NULL)
            more = snprintf(out + len, size - len, "[%zu]", p->index);
        else if (p->name != NULL)
            more = snprintf(out + len, size - len, "%s%s", len == 0 ? "" : ".", p->name);
        len += (size_t)more;
    }
    if (name != NULL && len < size)
        len += (size_t)snprintf(out + len, size - len, "%s%s", len == 0 ? "" : ".", name);
    return len;
}

void jrd_fail(const struct json_at *at, const char *name, const char *code, const char *fmt,
              ...)
{
    if (!jrd_ok(at))
        return;
    char place[sizeof(at->problem->field)];
    (void)place_write(at, name, place, sizeof(place));
    char message[sizeof(at->problem->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    (void)json_problem_set(at->problem, code, place, "%s", message);
}

struct json_at jrd_top(struct json_t *value, struct json_problem *problem)
{
    struct json_at at = {.value = value, .problem = problem};
    if (!json_is_object(value))
        jrd_fail(&at, NULL, "wrong_type", "the JSON must be an object");
    return at;
}

void jrd_only(const struct json_at *object, const char *const *names, size_t n)
{
    if (!jrd_ok(object) || !json_is_object(object->value))
        return;
    const char *key;
    json_t *value;
    json_object_foreach(object->value, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < n && !known; i++)
            known = strcmp(names[i], key) == 0;
        if (!known) {
            jrd_fail(object, key, "unknown_field", "there is no field \"%.64s\" here", key);
            return;
        }
    }
}

bool jrd_has(const struct json_at *object, const char *name)
{
    return jrd_ok(object) && json_object_get(object->value, name) != NULL;
}

bool jrd_null(const struct json_at *object, const char *name)
{
    return jrd_ok(object) && json_is_null(json_object_get(object->value, name));
}

/* The field, or NULL: then it is absent, or the problem is set. */
static json_t *field_of(const struct json_at *object, const char *name, enum json_need need)
{
    if (!jrd_ok(object))
        return NULL;
    json_t *value = json_object_get(object->value, name);
    if (value == NULL && need == JSON_REQUIRED && object->value != NULL)
        jrd_fail(object, name, "missing_field", "the field \"%s\" is missing", name);
    return value;
}

static struct bytes text_of(json_t *value)
{
    return bytes_of(json_string_value(value), json_string_length(value));
}

struct bytes jrd_text(const struct json_at *object, const char *name, enum json_need need)
{
    json_t *value = field_of(object, name, need);
    if (value == NULL)
        return bytes_of(NULL, 0);
    if (!json_is_string(value)) {
        jrd_fail(object, name, "wrong_type", "\"%s\" must be a string", name);
        return bytes_of(NULL, 0);
    }
    return text_of(value);
}

uint64_t jrd_u64(const struct json_at *object, const char *name, enum json_need need,
                 uint64_t max, uint64_t otherwise)
{
    json_t *value = field_of(object, name, need);
    if (value == NULL)
        return otherwise;
    if (!json_is_integer(value)) {
        jrd_fail(object, name, "wrong_type", "\"%s\" must be an integer", name);
        return otherwise;
    }
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number > max) {
        jrd_fail(object, name, "out_of_range", "\"%s\" must be from 0 to %llu", name,
                 (unsigned long long)max);
        return otherwise;
    }
    return (uint64_t)number;
}

uint64_t jrd_decimal(const struct json_at *object, const char *name, enum json_need need)
{
    struct bytes text = jrd_text(object, name, need);
    uint64_t number = 0;
    if (jrd_has(object, name) && hlc_parse(text, &number) != OK)
        jrd_fail(object, name, "bad_value", "\"%s\" must be a decimal number in a string",
                 name);
    return number;
}

bool jrd_bool(const struct json_at *object, const char *name, enum json_need need)
{
    json_t *value = field_of(object, name, need);
    if (value != NULL && !json_is_boolean(value))
        jrd_fail(object, name, "wrong_type", "\"%s\" must be true or false", name);
    return json_is_true(value);
}

struct hash jrd_hash(const struct json_at *object, const char *name, enum json_need need)
{
    struct bytes text = jrd_text(object, name, need);
    struct hash hash = {0};
    if (jrd_has(object, name) && hash_parse(text, &hash) != OK)
        jrd_fail(object, name, "bad_value", "\"%s\" must be a hash: 64 lower-case hex digits",
                 name);
    return hash;
}

struct id16 jrd_id16(const struct json_at *object, const char *name, enum json_need need)
{
    struct bytes text = jrd_text(object, name, need);
    struct id16 id = {0};
    if (jrd_has(object, name) && id16_parse(text, &id) != OK)
        jrd_fail(object, name, "bad_value", "\"%s\" must be an id: 32 lower-case hex digits",
                 name);
    return id;
}

struct json_at jrd_object(const struct json_at *object, const char *name, enum json_need need)
{
    struct json_at at = {.above = object, .name = name, .problem = object->problem};
    json_t *value = field_of(object, name, need);
    if (value != NULL && !json_is_object(value))
        jrd_fail(object, name, "wrong_type", "\"%s\" must be an object", name);
    else
        at.value = value;
    return at;
}

struct json_at jrd_array(const struct json_at *object, const char *name, enum json_need need)
{
    struct json_at at = {.above = object, .name = name, .problem = object->problem};
    json_t *value = field_of(object, name, need);
    if (value != NULL && !json_is_array(value))
        jrd_fail(object, name, "wrong_type", "\"%s\" must be an array", name);
    else
        at.value = value;
    return at;
}

size_t jrd_count(const struct json_at *array)
{
    return jrd_ok(array) ? json_array_size(array->value) : 0;
}

static struct json_at item_of(const struct json_at *array, size_t i)
{
    struct json_at at = {.above = array, .index = i, .problem = array->problem};
    if (jrd_ok(array))
        at.value = json_array_get(array->value, i);
    return at;
}

struct json_at jrd_item(const struct json_at *array, size_t i)
{
    struct json_at at = item_of(array, i);
    if (at.value != NULL && !json_is_object(at.value)) {
        jrd_fail(&at, NULL, "wrong_type", "each item must be an object");
        at.value = NULL;
    }
    return at;
}

struct bytes jrd_item_text(const struct json_at *array, size_t i)
{
    struct json_at at = item_of(array, i);
    if (at.value == NULL)
        return bytes_of(NULL, 0);
    if (!json_is_string(at.value)) {
        jrd_fail(&at, NULL, "wrong_type", "each item must be a string");
        return bytes_of(NULL, 0);
    }
    return text_of(at.value);
}

struct hash jrd_item_hash(const struct json_at *array, size_t i)
{
    struct json_at at = item_of(array, i);
    struct bytes text = jrd_item_text(array, i);
    struct hash hash = {0};
    if (jrd_ok(array) && hash_parse(text, &hash) != OK)
        jrd_fail(&at, NULL, "bad_value", "each item must be a hash: 64 lower-case hex digits");
    return hash;
}

bool jrd_item_is_object(const struct json_at *array, size_t i)
{
    struct json_at at = item_of(array, i);
    return json_is_object(at.value);
}

/* The next field, whatever it is. */
static bool each(const struct json_at *object, void **iter, struct json_at *field)
{
    if (!jrd_ok(object) || !json_is_object(object->value))
        return false;
    *iter = *iter == NULL ? json_object_iter(object->value)
                          : json_object_iter_next(object->value, *iter);
    if (*iter == NULL)
        return false;
    *field = (struct json_at){.above = object,
                              .name = json_object_iter_key(*iter),
                              .value = json_object_iter_value(*iter),
                              .problem = object->problem};
    return true;
}

bool jrd_each(const struct json_at *object, void **iter, struct json_at *field)
{
    if (!each(object, iter, field))
        return false;
    if (!json_is_object(field->value)) {
        jrd_fail(field, NULL, "wrong_type", "\"%.64s\" must be an object", field->name);
        field->value = NULL;
    }
    return true;
}

bool jrd_each_text(const struct json_at *object, void **iter, const char **name,
                   struct bytes *out)
{
    struct json_at field;
    if (!each(object, iter, &field))
        return false;
    *name = field.name;
    *out = bytes_of(NULL, 0);
    if (json_is_string(field.value))
        *out = text_of(field.value);
    else
        jrd_fail(&field, NULL, "wrong_type", "\"%.64s\" must be a string", field.name);
    return true;
}
