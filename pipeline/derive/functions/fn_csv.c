/* Comma-separated values (RFC 4180), by libcsv. */
#include <csv.h>
#include <stdlib.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_feed.h"

#define COLUMNS_MAX 1024u

struct field {
    size_t offset;
    size_t len;
};

struct picker {
    struct fn_run *run;
    struct bytes wanted[COLUMNS_MAX]; /* names, in order */
    size_t columns[COLUMNS_MAX];      /* where they are */
    size_t n;
    bool header_seen;
    struct buf text; /* of the row's fields */
    struct field *fields;
    size_t n_fields;
    size_t cap;
    struct buf quoted;
    int err; /* the first; what comes after it is passed over */
};

/* ---- what is wanted ---- */

/* Names by commas; a name with a comma in it cannot be asked for. */
static int wanted_split(const struct fn_run *run, struct bytes *out, size_t *n)
{
    struct bytes text = {0};
    (void)!fn_parameter(run, "columns", &text);
    for (*n = 0;; ++*n) {
        if (*n == COLUMNS_MAX)
            return fn_refuse(run, "columns", "more than %u columns", COLUMNS_MAX);
        const uint8_t *end = text.len > 0 ? memchr(text.data, ',', text.len) : NULL;
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        if (len == 0)
            return fn_refuse(run, "columns", "a column without a name");
        out[*n] = bytes_of(text.data, len);
        if (end == NULL)
            break;
        text = bytes_of(end + 1, text.len - len - 1);
    }
    ++*n;
    return OK;
}

static int columns_check(const struct fn_run *run)
{
    struct bytes *wanted = calloc(COLUMNS_MAX, sizeof(*wanted));
    size_t n;
    assert(wanted != NULL);
    int err = wanted_split(run, wanted, &n);
    free(wanted);
    return err;
}

/* ---- rows ---- */

static struct bytes field_at(const struct picker *picker, size_t i)
{
    if (i >= picker->n_fields)
        return (struct bytes){0};
    return bytes_of(picker->text.data + picker->fields[i].offset, picker->fields[i].len);
}

static int header_take(struct picker *picker)
{
    for (size_t i = 0; i < picker->n; i++) {
        size_t at = 0;
        while (at < picker->n_fields && !bytes_equal(field_at(picker, at), picker->wanted[i]))
            at++;
        if (at == picker->n_fields)
            return fn_refuse(picker->run, "columns", "the input has no column %.*s",
                             (int)(picker->wanted[i].len < 100 ? picker->wanted[i].len : 100),
                             (const char *)picker->wanted[i].data);
        picker->columns[i] = at;
    }
    picker->header_seen = true;
    return OK;
}

static bool must_quote(uint8_t c)
{
    return c == ',' || c == '"' || c == '\r' || c == '\n';
}

/* Quoted only where it must be. */
static int field_put(struct picker *picker, struct bytes field)
{
    bool plain = true;
    for (size_t i = 0; i < field.len && plain; i++)
        plain = !must_quote(field.data[i]);
    if (plain)
        return fn_put(picker->run->out, field);
    buf_clear(&picker->quoted);
    uint8_t *to = buf_reserve(&picker->quoted, 2 * field.len + 2);
    size_t len = csv_write(to, 2 * field.len + 2, field.data, field.len);
    return fn_put(picker->run->out, bytes_of(to, len));
}

static int row_put(struct picker *picker)
{
    int err = picker->header_seen ? OK : header_take(picker);
    for (size_t i = 0; i < picker->n && err == OK; i++) {
        if (i > 0)
            err = fn_put(picker->run->out, bytes_str(","));
        if (err == OK)
            err = field_put(picker, field_at(picker, picker->columns[i]));
    }
    return err != OK ? err : fn_put(picker->run->out, bytes_str("\n"));
}

static void field_take(void *data, size_t len, void *arg)
{
    struct picker *picker = arg;
    if (picker->err != OK)
        return;
    if (picker->n_fields == FUNCTION_FIELDS_MAX) {
        picker->err = fn_refuse(picker->run, NULL, "a row of the input has more than %u fields",
                                FUNCTION_FIELDS_MAX);
        return;
    }
    if (picker->n_fields == picker->cap) {
        picker->cap = picker->cap > 0 ? 2 * picker->cap : 64;
        picker->fields = realloc(picker->fields, picker->cap * sizeof(*picker->fields));
        assert(picker->fields != NULL);
    }
    picker->fields[picker->n_fields++] = (struct field){picker->text.len, len};
    buf_append(&picker->text, data, len);
    if (picker->text.len > FUNCTION_LINE_MAX)
        picker->err = ERR_LIMIT;
}

static void row_take(int end UNUSED, void *arg)
{
    struct picker *picker = arg;
    if (picker->err == OK)
        picker->err = row_put(picker);
    buf_clear(&picker->text);
    picker->n_fields = 0;
}

/* Spaces around a field belong to it. */
static int no_space(unsigned char c UNUSED)
{
    return 0;
}

static int rows_parse(struct picker *picker, struct csv_parser *parser)
{
    AUTO(fn_feed_release) struct fn_feed feed;
    fn_feed_init(&feed, picker->run->inputs[0]);
    for (bool last = false; !last && picker->err == OK;) {
        struct bytes block;
        int err = fn_feed_next(&feed, &block, &last);
        if (err != OK)
            return err;
        size_t done = csv_parse(parser, block.data, block.len, field_take, row_take, picker);
        if (picker->err == OK && done != block.len)
            return fn_refuse(picker->run, NULL, "the input is not CSV: %s",
                             csv_strerror(csv_error(parser)));
        if (csv_get_buffer_size(parser) > FUNCTION_LINE_MAX)
            return ERR_LIMIT;
    }
    if (picker->err == OK && csv_fini(parser, field_take, row_take, picker) != 0)
        return fn_refuse(picker->run, NULL, "the input is not CSV: a quote is not closed");
    if (picker->err == OK && !picker->header_seen)
        return fn_refuse(picker->run, NULL, "the input has no header");
    return picker->err;
}

static int columns_run(struct fn_run *run)
{
    struct picker *picker = calloc(1, sizeof(*picker));
    assert(picker != NULL);
    picker->run = run;
    struct csv_parser parser;
    int err = wanted_split(run, picker->wanted, &picker->n);
    if (err == OK) {
        int set = csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI);
        assert(set == 0);
        csv_set_space_func(&parser, no_space);
        err = rows_parse(picker, &parser);
        csv_free(&parser);
    }
    buf_release(&picker->text);
    buf_release(&picker->quoted);
    free(picker->fields);
    free(picker);
    return err;
}

static void library(struct buf *out)
{
    buf_printf(out, "libcsv %d.%d.%d", CSV_MAJOR, CSV_MINOR, CSV_RELEASE);
}

static const struct fn_parameter columns_parameters[] = {{"columns", true}};

const struct function fn_csv_columns = {
    .name = "csv.columns",
    .version = "1.0.0",
    .revision = "1",
    .about = "The columns whose names, as the first row has them, are in `columns` with commas "
             "between, in that order; a row that is too short has empty ones. Rows end in "
             "\"\\n\", and fields are quoted where they must be.",
    .library = library,
    .inputs_least = 1,
    .inputs_most = 1,
    .parameters = columns_parameters,
    .n_parameters = ARRAY_LEN(columns_parameters),
    .check = columns_check,
    .run = columns_run,
};
