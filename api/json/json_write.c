#include "api/json/json.h"
#include "formats/base/base64.h"
#include "formats/base/hex.h"
#include "formats/path.h"

void jwr_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
    w->first[0] = true;
}

/* The UTF-8 sequence that begins at `at`: its length, or 0 when it is not well-formed. */
static size_t utf8_len(const uint8_t *at, size_t left)
{
    size_t len = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    return len <= left && utf8_ok(bytes_of(at, len)) ? len : 0;
}

static void quoted(struct buf *out, struct bytes text)
{
    buf_append(out, "\"", 1);
    size_t i = 0;
    while (i < text.len) {
        /* Runs of plain characters go in one piece. */
        size_t plain = i;
        while (plain < text.len && text.data[plain] >= 0x20 && text.data[plain] < 0x7f &&
               text.data[plain] != '"' && text.data[plain] != '\\')
            plain++;
        if (plain > i) {
            buf_append(out, text.data + i, plain - i);
            i = plain;
            continue;
        }
        uint8_t c = text.data[i];
        size_t len = utf8_len(text.data + i, text.len - i);
        if (c == '"' || c == '\\') {
            buf_printf(out, "\\%c", c);
        } else if (c == '\n') {
            buf_append(out, "\\n", 2);
        } else if (c == '\t') {
            buf_append(out, "\\t", 2);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\u%04x", c);
        } else if (len == 0) {
            buf_append(out, "\xef\xbf\xbd", 3);
            len = 1;
        } else {
            buf_append(out, text.data + i, len);
        }
        i += len;
    }
    buf_append(out, "\"", 1);
}

/* The comma and the name before a value. */
static void lead(struct json_writer *w, const char *name)
{
    if (!w->first[w->depth])
        buf_append(w->out, ",", 1);
    w->first[w->depth] = false;
    if (name != NULL) {
        quoted(w->out, bytes_str(name));
        buf_append(w->out, ":", 1);
    }
}

static void begin(struct json_writer *w, const char *name, char bracket)
{
    lead(w, name);
    buf_append(w->out, &bracket, 1);
    assert(w->depth < JSON_DEPTH_MAX);
    w->first[++w->depth] = true;
}

static void end(struct json_writer *w, char bracket)
{
    assert(w->depth > 0);
    w->depth--;
    buf_append(w->out, &bracket, 1);
}

void jwr_object(struct json_writer *w, const char *name)
{
    begin(w, name, '{');
}

void jwr_array(struct json_writer *w, const char *name)
{
    begin(w, name, '[');
}

void jwr_object_end(struct json_writer *w)
{
    end(w, '}');
}

void jwr_array_end(struct json_writer *w)
{
    end(w, ']');
}

void jwr_text(struct json_writer *w, const char *name, struct bytes text)
{
    lead(w, name);
    quoted(w->out, text);
}

void jwr_str(struct json_writer *w, const char *name, const char *text)
{
    jwr_text(w, name, bytes_str(text));
}

void jwr_u64(struct json_writer *w, const char *name, uint64_t number)
{
    lead(w, name);
    buf_printf(w->out, "%llu", (unsigned long long)number);
}

void jwr_decimal(struct json_writer *w, const char *name, uint64_t number)
{
    lead(w, name);
    buf_printf(w->out, "\"%llu\"", (unsigned long long)number);
}

void jwr_bool(struct json_writer *w, const char *name, bool value)
{
    lead(w, name);
    buf_append_bytes(w->out, bytes_str(value ? "true" : "false"));
}

void jwr_null(struct json_writer *w, const char *name)
{
    lead(w, name);
    buf_append(w->out, "null", 4);
}

void jwr_hash(struct json_writer *w, const char *name, const struct hash *hash)
{
    struct hash_hex hex = hash_hex(hash);
    lead(w, name);
    buf_printf(w->out, "\"%s\"", hex.s);
}

void jwr_id16(struct json_writer *w, const char *name, const struct id16 *id)
{
    struct id16_hex hex = id16_hex(id);
    lead(w, name);
    buf_printf(w->out, "\"%s\"", hex.s);
}

void jwr_base64(struct json_writer *w, const char *name, struct bytes data)
{
    lead(w, name);
    buf_append(w->out, "\"", 1);
    base64_encode(data, w->out);
    buf_append(w->out, "\"", 1);
}
