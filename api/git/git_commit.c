#include "api/git/git_commit.h"

#include <strings.h>

#include "formats/path.h"

#define TREE_LINE   "tree "
#define PARENT_LINE "parent "

static bool is_hex(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

/* Takes a line "WORD ID\n" off the front of `rest`. */
static bool id_line(struct bytes *rest, const char *word, struct bytes *id)
{
    size_t len = strlen(word);
    if (rest->len < len + GIT_HEX_LEN + 1 || memcmp(rest->data, word, len) != 0 ||
        rest->data[len + GIT_HEX_LEN] != '\n')
        return false;
    *id = bytes_of(rest->data + len, GIT_HEX_LEN);
    if (!is_hex(*id))
        return false;
    size_t line = len + GIT_HEX_LEN + 1;
    *rest = bytes_of(rest->data + line, rest->len - line);
    return true;
}

int git_commit_split(struct bytes raw, struct arena *arena, struct git_commit_parts *out)
{
    struct git_commit_parts parts = {.rest = raw};
    if (!id_line(&parts.rest, TREE_LINE, &parts.tree))
        return ERR_CORRUPT;
    struct bytes behind_tree = parts.rest;
    struct bytes id;
    size_t n = 0;
    while (id_line(&parts.rest, PARENT_LINE, &id))
        n++;
    if (n > 0) {
        uint8_t *ids = arena_alloc(arena, n * (GIT_HEX_LEN + 1));
        parts.parents = bytes_of(ids, n * (GIT_HEX_LEN + 1) - 1);
        for (size_t i = 0; i < n && id_line(&behind_tree, PARENT_LINE, &id); i++) {
            memcpy(ids + i * (GIT_HEX_LEN + 1), id.data, GIT_HEX_LEN);
            ids[i * (GIT_HEX_LEN + 1) + GIT_HEX_LEN] = ' ';
        }
    }
    *out = parts;
    return OK;
}

struct bytes git_commit_first_parent(const struct git_commit_parts *parts)
{
    return bytes_of(parts->parents.data, parts->parents.len > 0 ? GIT_HEX_LEN : 0);
}

static void append_str(struct buf *out, const char *s)
{
    buf_append(out, s, strlen(s));
}

void git_commit_join(const struct git_commit_parts *parts, struct buf *out)
{
    append_str(out, TREE_LINE);
    buf_append_bytes(out, parts->tree);
    append_str(out, "\n");
    for (size_t at = 0; at + GIT_HEX_LEN <= parts->parents.len; at += GIT_HEX_LEN + 1) {
        append_str(out, PARENT_LINE);
        buf_append(out, parts->parents.data + at, GIT_HEX_LEN);
        append_str(out, "\n");
    }
    buf_append_bytes(out, parts->rest);
}

/* Takes the first line off, with its newline if it has one. */
static struct bytes line_next(struct bytes *rest)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data) + 1;
    struct bytes line = bytes_of(rest->data, len);
    *rest = bytes_of(rest->len == 0 ? NULL : rest->data + len, rest->len - len);
    return line;
}

static bool header_is(struct bytes line, const char *name)
{
    size_t len = strlen(name);
    return line.len > len && memcmp(line.data, name, len) == 0 && line.data[len] == ' ';
}

static bool vouches(struct bytes line)
{
    return header_is(line, "gpgsig") || header_is(line, "gpgsig-sha256") ||
           header_is(line, "mergetag");
}

void git_commit_unsign(struct bytes rest, struct buf *out)
{
    bool dropping = false;
    while (rest.len > 0 && rest.data[0] != '\n') {
        struct bytes line = line_next(&rest);
        /* A header's further lines begin with a space. */
        if (line.data[0] != ' ')
            dropping = vouches(line);
        if (!dropping)
            buf_append_bytes(out, line);
    }
    buf_append_bytes(out, rest);
}

/* ---- the subject ------------------------------------------------------------------------- */

static bool names_latin1(struct bytes encoding)
{
    static const char *const names[] = {"iso-8859-1", "iso8859-1", "latin-1", "latin1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (encoding.len == strlen(names[i]) &&
            strncasecmp((const char *)encoding.data, names[i], encoding.len) == 0)
            return true;
    }
    return false;
}

/* Passes the headers; tells whether bytes that are not UTF-8 are Latin-1. */
static struct bytes message_of(struct bytes rest, bool *latin1)
{
    *latin1 = true;
    while (rest.len > 0 && rest.data[0] != '\n') {
        struct bytes line = line_next(&rest);
        if (!header_is(line, "encoding"))
            continue;
        size_t len = strlen("encoding ");
        struct bytes value = bytes_of(line.data + len, line.len - len);
        if (value.len > 0 && value.data[value.len - 1] == '\n')
            value.len--;
        *latin1 = names_latin1(value);
    }
    (void)line_next(&rest);
    return rest;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct bytes trimmed(struct bytes line)
{
    while (line.len > 0 && is_blank(line.data[line.len - 1]))
        line.len--;
    while (line.len > 0 && is_blank(line.data[0]))
        line = bytes_of(line.data + 1, line.len - 1);
    return line;
}

/* Length of the UTF-8 character that `s` begins with; 0 for none. */
static size_t character(struct bytes s)
{
    for (size_t n = 1; n <= 4 && n <= s.len; n++) {
        if (utf8_ok(bytes_of(s.data, n)))
            return n;
    }
    return 0;
}

/* Appends characters as long as they fit; false when they do not any more. */
static bool text_append(struct buf *out, struct bytes s, bool latin1, size_t max)
{
    while (s.len > 0) {
        size_t n = character(s);
        uint8_t two[2] = {(uint8_t)(0xc0 | s.data[0] >> 6), (uint8_t)(0x80 | (s.data[0] & 63))};
        struct bytes as = n > 0    ? bytes_of(s.data, n)
                          : latin1 ? bytes_of(two, 2)
                                   : bytes_str("\xef\xbf\xbd");
        if (n == 1 && (s.data[0] < 0x20 || s.data[0] == 0x7f))
            as = bytes_str(" ");
        if (out->len + as.len > max)
            return false;
        buf_append_bytes(out, as);
        n = n == 0 ? 1 : n;
        s = bytes_of(s.data + n, s.len - n);
    }
    return true;
}

struct bytes git_commit_subject(struct bytes rest, size_t max, struct arena *arena)
{
    bool latin1;
    struct bytes message = message_of(rest, &latin1);
    AUTO_BUF text = {0};
    bool room = true;
    while (message.len > 0 && room) {
        struct bytes line = trimmed(line_next(&message));
        if (line.len == 0 && text.len > 0)
            break;
        if (line.len > 0 && text.len > 0)
            room = text_append(&text, bytes_str(" "), false, max);
        room = room && text_append(&text, line, latin1, max);
    }
    return arena_copy(arena, trimmed(buf_bytes(&text)));
}
