/* JSON, read strictly and written plainly: what the front and the client share. The only folder
 * that knows jansson.
 *
 * Reading refuses duplicate names, text that is not UTF-8, anything behind the value and
 * nesting over JSON_DEPTH_MAX. Typed getters are sticky, as the reader of formats/base/wire.h
 * is: the first thing that is wrong is kept in the problem with the path of its field, and
 * every later getter gives nothing. So a decoder reads all fields in a row and looks at the
 * problem once.
 *
 * Writing appends to a buffer as it goes. What it writes is always well-formed: bytes that are
 * not UTF-8 become U+FFFD. */
#ifndef API_JSON_JSON_H
#define API_JSON_JSON_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

#define JSON_DEPTH_MAX 32u

struct json_t; /* the library's value */

/* What is wrong with a text. */
struct json_problem {
    const char *code;  /* stable, or NULL for none: "malformed_json", "wrong_type",
                          "missing_field", "unknown_field", "out_of_range", "bad_value" */
    char field[192];   /* as "operations[3].path"; empty for the whole */
    char message[256]; /* a sentence; for malformed text with line and column */
};

/* Keeps the first problem; gives ERR_INVALID. */
int json_problem_set(struct json_problem *, const char *code, const char *field,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ERR_INVALID, and the problem says why. The value is the caller's, for json_drop. */
int json_parse(struct bytes text, struct json_problem *, struct json_t **out) MUST_USE;
void json_drop(struct json_t **);
#define AUTO_JSON AUTO(json_drop) struct json_t

/* --- reading ---------------------------------------------------------------------------- */

/* A value at its place. A place below points to the one above, which must outlive it. A place
 * without a value (an optional field that is not there) gives nothing to all getters. */
struct json_at {
    const struct json_at *above;
    const char *name; /* in an object; NULL for an item of an array */
    size_t index;
    struct json_t *value;
    struct json_problem *problem;
};

enum json_need {
    JSON_OPTIONAL, /* absent gives zero */
    JSON_REQUIRED,
};

/* The top value, which must be an object. */
struct json_at jrd_top(struct json_t *, struct json_problem *);
/* Whether nothing was wrong so far. */
bool jrd_ok(const struct json_at *);
/* Says that the value at `at` (its field `name`, unless NULL) is wrong. */
void jrd_fail(const struct json_at *at, const char *name, const char *code, const char *fmt,
              ...) __attribute__((format(printf, 4, 5)));
/* Refuses every field that is not among the `n` names. */
void jrd_only(const struct json_at *object, const char *const *names, size_t n);

bool jrd_has(const struct json_at *object, const char *name);  /* also when it is null */
bool jrd_null(const struct json_at *object, const char *name); /* there, and null */
/* Text without NUL; it lives as long as the value. */
struct bytes jrd_text(const struct json_at *object, const char *name, enum json_need);
/* An integer of at most `max`; `otherwise` when it is absent. */
uint64_t jrd_u64(const struct json_at *object, const char *name, enum json_need, uint64_t max,
                 uint64_t otherwise);
/* A decimal string, as hlcs are carried. */
uint64_t jrd_decimal(const struct json_at *object, const char *name, enum json_need);
bool jrd_bool(const struct json_at *object, const char *name, enum json_need);
struct hash jrd_hash(const struct json_at *object, const char *name, enum json_need);
struct id16 jrd_id16(const struct json_at *object, const char *name, enum json_need);
/* The object or array in field `name`. */
struct json_at jrd_object(const struct json_at *object, const char *name, enum json_need);
struct json_at jrd_array(const struct json_at *object, const char *name, enum json_need);
/* Items of an array; and one of them, which must be an object, a text or a hash. */
size_t jrd_count(const struct json_at *array);
struct json_at jrd_item(const struct json_at *array, size_t i);
struct bytes jrd_item_text(const struct json_at *array, size_t i);
struct hash jrd_item_hash(const struct json_at *array, size_t i);
/* Whether item `i` is an object, where it may be something else, too. */
bool jrd_item_is_object(const struct json_at *array, size_t i);
/* The fields of an object one after the other: `iter` begins as NULL; false at the end. What is
 * given must be objects. */
bool jrd_each(const struct json_at *object, void **iter, struct json_at *field);
/* The same where they must be texts; both live as long as the value. */
bool jrd_each_text(const struct json_at *object, void **iter, const char **name,
                   struct bytes *out);

/* --- writing ---------------------------------------------------------------------------- */

/* `name` is NULL for items of an array and for the top value. */
struct json_writer {
    struct buf *out;
    unsigned depth;
    bool first[JSON_DEPTH_MAX + 1];
};

void jwr_init(struct json_writer *, struct buf *out);
void jwr_object(struct json_writer *, const char *name);
void jwr_array(struct json_writer *, const char *name);
void jwr_object_end(struct json_writer *);
void jwr_array_end(struct json_writer *);
void jwr_text(struct json_writer *, const char *name, struct bytes);
void jwr_str(struct json_writer *, const char *name, const char *);
void jwr_u64(struct json_writer *, const char *name, uint64_t);
void jwr_decimal(struct json_writer *, const char *name, uint64_t); /* as a string */
void jwr_bool(struct json_writer *, const char *name, bool);
void jwr_null(struct json_writer *, const char *name);
void jwr_hash(struct json_writer *, const char *name, const struct hash *);
void jwr_id16(struct json_writer *, const char *name, const struct id16 *);
void jwr_base64(struct json_writer *, const char *name, struct bytes);

#endif
