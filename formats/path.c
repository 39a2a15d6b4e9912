#include "formats/path.h"

#include "formats/base/limits.h"

/* How many of the bytes at the front are ASCII, in steps of eight: most paths and texts are. */
static size_t ascii_run(const uint8_t *s, size_t len)
{
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, s + i, sizeof(word));
        if ((word & 0x8080808080808080u) != 0) {
            break;
        }
    }
    return i;
}

/* Length of the well-formed character that `s` begins with, 0 for none. The table is the
 * Unicode standard's 3-7: the first byte narrows what the second may be, which keeps out
 * overlong forms, surrogates and what lies above U+10FFFF. */
static size_t utf8_char(const uint8_t *s, size_t len)
{
    uint8_t first = s[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    size_t n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len < n) {
        return 0;
    }
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

bool utf8_ok(struct bytes data)
{
    size_t i = 0;
    while (i < data.len) {
        i += ascii_run(data.data + i, data.len - i);
        if (i == data.len) {
            break;
        }
        size_t n = utf8_char(data.data + i, data.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

static bool is_dot_git(struct bytes name)
{
    return name.len == 4 && name.data[0] == '.' && (name.data[1] | 0x20) == 'g' &&
           (name.data[2] | 0x20) == 'i' && (name.data[3] | 0x20) == 't';
}

/* What is wrong with one component, or NULL. */
static const char *component_fault(struct bytes name, bool top)
{
    if (name.len == 0) {
        return "has an empty component";
    }
    if (name.len > NAME_LEN_MAX) {
        return "has a component of over 255 bytes";
    }
    if (bytes_equal(name, bytes_str(".")) || bytes_equal(name, bytes_str(".."))) {
        return "has a component \".\" or \"..\"";
    }
    if (is_dot_git(name)) {
        return "has a component \".git\"";
    }
    if (top && bytes_equal(name, bytes_str(".mic"))) {
        return "begins with \".mic\"";
    }
    return NULL;
}

static const char *path_fault(struct bytes path)
{
    if (path.len == 0) {
        return "is empty";
    }
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] < 0x20 || path.data[i] == 0x7f) {
            return "has a control byte";
        }
    }
    if (!utf8_ok(path)) {
        return "is not UTF-8";
    }
    size_t start = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/') {
            continue;
        }
        const char *fault = component_fault(bytes_of(path.data + start, i - start), start == 0);
        if (fault != NULL) {
            return fault;
        }
        start = i + 1;
    }
    return NULL;
}

int path_check(struct bytes path, const char **why)
{
    bool too_long = path.len > PATH_LEN_MAX;
    const char *fault = too_long ? "has over 4096 bytes" : path_fault(path);
    if (fault == NULL) {
        return 0;
    }
    if (why != NULL) {
        *why = fault;
    }
    return too_long ? ERR_LIMIT : ERR_INVALID;
}

struct bytes path_first(struct bytes *rest)
{
    const uint8_t *slash = rest->len == 0 ? NULL : memchr(rest->data, '/', rest->len);
    if (slash == NULL) {
        struct bytes all = *rest;
        *rest = bytes_of(NULL, 0);
        return all;
    }
    size_t len = (size_t)(slash - rest->data);
    struct bytes first = bytes_of(rest->data, len);
    *rest = bytes_of(slash + 1, rest->len - len - 1);
    return first;
}

/* Length of what lies before the last slash; `path.len` when there is none. */
static size_t last_slash(struct bytes path)
{
    const uint8_t *slash = path.len == 0 ? NULL : memrchr(path.data, '/', path.len);
    return slash == NULL ? path.len : (size_t)(slash - path.data);
}

struct bytes path_parent(struct bytes path)
{
    size_t at = last_slash(path);
    return bytes_of(path.data, at == path.len ? 0 : at);
}

struct bytes path_base(struct bytes path)
{
    size_t at = last_slash(path);
    return at == path.len ? path : bytes_of(path.data + at + 1, path.len - at - 1);
}

bool path_below(struct bytes path, struct bytes dir)
{
    if (dir.len == 0) {
        return path.len > 0;
    }
    return path.len > dir.len && path.data[dir.len] == '/' &&
           bytes_equal(bytes_of(path.data, dir.len), dir);
}

int path_compare(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        if (memcmp(a.data + i, b.data + i, 8) != 0) {
            break;
        }
    }
    while (i < n && a.data[i] == b.data[i]) {
        i++;
    }
    if (i == n) {
        return (a.len > b.len) - (a.len < b.len);
    }
    int x = a.data[i] == '/' ? -1 : a.data[i];
    int y = b.data[i] == '/' ? -1 : b.data[i];
    return x < y ? -1 : 1;
}

static bool letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int handle_check(struct bytes handle)
{
    if (handle.len == 0 || handle.len > HANDLE_LEN_MAX || !letter_or_digit(handle.data[0])) {
        return ERR_INVALID;
    }
    for (size_t i = 1; i < handle.len; i++) {
        uint8_t c = handle.data[i];
        if (!letter_or_digit(c) && c != '.' && c != '_' && c != '-') {
            return ERR_INVALID;
        }
    }
    return 0;
}
