#include "pipeline/store/s3_xml.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/buf.h"

#define DEPTH_MAX 16u
#define TEXT_MAX  (32u * 1024) /* of one element: a key of 1,024 bytes, escaped; a token */

/* A walk over a document: what the elements of interest hold is given to `end_of` as they
 * end. */
struct walk {
    XML_Parser parser;
    const char *root;
    unsigned depth;
    struct buf text; /* of the innermost element, as far as it has come */
    bool corrupt;
    /* The element `name` at `depth` (the root is at 1) has ended; `text` is what it held.
     * False: the document is refused. */
    bool (*end_of)(void *arg, unsigned depth, const char *name, const char *text);
    void (*begin_of)(void *arg, unsigned depth, const char *name);
    void *arg;
};

static void walk_stop(struct walk *walk)
{
    walk->corrupt = true;
    (void)XML_StopParser(walk->parser, XML_FALSE);
}

static void on_begin(void *arg, const char *name, const char **attributes)
{
    struct walk *walk = arg;
    (void)attributes;
    walk->depth++;
    buf_clear(&walk->text);
    if (walk->depth > DEPTH_MAX || (walk->depth == 1 && strcmp(name, walk->root) != 0)) {
        walk_stop(walk);
        return;
    }
    if (walk->begin_of != NULL) {
        walk->begin_of(walk->arg, walk->depth, name);
    }
}

static void on_text(void *arg, const char *text, int len)
{
    struct walk *walk = arg;
    if (walk->text.len + (size_t)len > TEXT_MAX) {
        walk_stop(walk);
        return;
    }
    buf_append(&walk->text, text, (size_t)len);
}

static void on_end(void *arg, const char *name)
{
    struct walk *walk = arg;
    buf_append(&walk->text, "", 1);
    if (!walk->corrupt &&
        !walk->end_of(walk->arg, walk->depth, name, (const char *)walk->text.data)) {
        walk_stop(walk);
    }
    buf_clear(&walk->text);
    walk->depth--;
}

/* A document type brings entities, which S3 has no use for. */
static void on_doctype(void *arg, const char *name, const char *system_id,
                       const char *public_id, int has_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    walk_stop(arg);
}

static int walk_run(struct walk *walk, struct bytes xml)
{
    if (xml.len > INT32_MAX) {
        return ERR_CORRUPT;
    }
    walk->parser = XML_ParserCreate(NULL);
    if (walk->parser == NULL) {
        abort();
    }
    XML_SetUserData(walk->parser, walk);
    XML_SetElementHandler(walk->parser, on_begin, on_end);
    XML_SetCharacterDataHandler(walk->parser, on_text);
    XML_SetStartDoctypeDeclHandler(walk->parser, on_doctype);
    enum XML_Status status =
        XML_Parse(walk->parser, (const char *)xml.data, (int)xml.len, XML_TRUE);
    XML_ParserFree(walk->parser);
    buf_release(&walk->text);
    return status == XML_STATUS_OK && !walk->corrupt ? OK : ERR_CORRUPT;
}

/* ---- a page of a list ---- */

struct page_walk {
    struct arena *arena;
    struct s3_page page;
    size_t cap;
    struct s3_entry *entry; /* that is being read, or NULL; moves with the next one */
    bool has_key;
    bool has_size;
    bool has_truncated;
    bool escaped; /* the keys are: EncodingType url */
};

static void page_begin(void *arg, unsigned depth, const char *name)
{
    struct page_walk *w = arg;
    if (depth != 2) {
        return;
    }
    w->entry = NULL;
    if (strcmp(name, "Contents") == 0) {
        w->entry = arena_push(w->arena, (void **)&w->page.entries, &w->page.n, &w->cap,
                              sizeof(struct s3_entry));
        w->has_key = w->has_size = false;
    }
}

static bool parse_size(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text < 19; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *out = value;
    return at > text && *at == '\0';
}

/* Days from 1970 to a day of the Gregorian calendar. */
static uint64_t days_to(unsigned year, unsigned month, unsigned day)
{
    /* Years that begin with March: the leap day is the last. */
    unsigned y = month <= 2 ? year - 1 : year;
    unsigned m = month <= 2 ? month + 9 : month - 3;
    uint64_t days = 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return days - 719468;
}

static unsigned digits(const char *text, unsigned n)
{
    unsigned value = 0;
    for (unsigned i = 0; i < n; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    return value;
}

/* 2009-10-12T17:50:30.000Z, with any number of digits behind the seconds; 0 for anything
 * else. */
static uint64_t parse_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00";
    size_t at = 0;
    for (; form[at] != '\0'; at++) {
        bool digit = text[at] >= '0' && text[at] <= '9';
        if (form[at] == '0' ? !digit : text[at] != form[at])
            return 0;
    }
    unsigned year = digits(text, 4);
    unsigned month = digits(text + 5, 2);
    unsigned day = digits(text + 8, 2);
    unsigned hour = digits(text + 11, 2);
    unsigned minute = digits(text + 14, 2);
    unsigned second = digits(text + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return 0;
    uint64_t ms = 0;
    if (text[at] == '.') {
        unsigned unit = 100;
        for (at++; text[at] >= '0' && text[at] <= '9'; at++, unit /= 10)
            ms += unit * digits(text + at, 1);
    }
    if (text[at] != 'Z' || text[at + 1] != '\0')
        return 0;
    return ((days_to(year, month, day) * 24 + hour) * 60 + minute) * 60000 + second * 1000 + ms;
}

static bool page_end(void *arg, unsigned depth, const char *name, const char *text)
{
    struct page_walk *w = arg;
    if (depth == 2) {
        if (strcmp(name, "Contents") == 0) {
            return w->has_key && w->has_size;
        }
        if (strcmp(name, "IsTruncated") == 0) {
            w->page.truncated = strcmp(text, "true") == 0;
            w->has_truncated = w->page.truncated || strcmp(text, "false") == 0;
        } else if (strcmp(name, "NextContinuationToken") == 0) {
            w->page.token = arena_str(w->arena, bytes_str(text));
        } else if (strcmp(name, "EncodingType") == 0) {
            w->escaped = strcmp(text, "url") == 0;
        }
        return true;
    }
    if (depth != 3 || w->entry == NULL) {
        return true;
    }
    if (strcmp(name, "Key") == 0) {
        struct bytes key = bytes_str(text);
        w->entry->key = bytes_of(arena_str(w->arena, key), key.len);
        w->has_key = key.len > 0;
    } else if (strcmp(name, "Size") == 0) {
        w->has_size = parse_size(text, &w->entry->size);
    } else if (strcmp(name, "LastModified") == 0) {
        w->entry->put_ms = parse_time(text);
    }
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %XX and '+' in place; false when an escape is none. */
static bool unescape(struct bytes *text, struct arena *arena)
{
    uint8_t *out = (uint8_t *)arena_str(arena, *text);
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->data[i];
        if (c == '%') {
            bool whole = text->len - i > 2;
            int high = whole ? hex_digit(text->data[i + 1]) : -1;
            int low = whole ? hex_digit(text->data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *text = bytes_of(out, n);
    return true;
}

int s3_page_parse(struct bytes xml, struct arena *arena, struct s3_page *out)
{
    struct page_walk w = {.arena = arena, .page = {.token = ""}};
    struct walk walk = {
        .root = "ListBucketResult", .begin_of = page_begin, .end_of = page_end, .arg = &w};
    int err = walk_run(&walk, xml);
    if (err != OK) {
        return err;
    }
    if (!w.has_truncated) {
        return ERR_CORRUPT;
    }
    for (size_t i = 0; w.escaped && i < w.page.n; i++) {
        if (!unescape(&w.page.entries[i].key, arena)) {
            return ERR_CORRUPT;
        }
    }
    *out = w.page;
    return OK;
}

/* ---- an error ---- */

static bool error_end(void *arg, unsigned depth, const char *name, const char *text)
{
    struct s3_error *error = arg;
    if (depth != 2) {
        return true;
    }
    if (strcmp(name, "Code") == 0) {
        (void)snprintf(error->code, sizeof(error->code), "%s", text);
    } else if (strcmp(name, "Message") == 0) {
        (void)snprintf(error->message, sizeof(error->message), "%s", text);
    } else if (strcmp(name, "Region") == 0) {
        (void)snprintf(error->region, sizeof(error->region), "%s", text);
    }
    return true;
}

int s3_error_parse(struct bytes xml, struct s3_error *out)
{
    struct s3_error error = {{0}, {0}, {0}};
    struct walk walk = {.root = "Error", .end_of = error_end, .arg = &error};
    int err = walk_run(&walk, xml);
    if (err != OK || error.code[0] == '\0') {
        return ERR_CORRUPT;
    }
    *out = error;
    return OK;
}
