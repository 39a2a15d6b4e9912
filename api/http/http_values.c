#include "api/http/http_values.h"

#include "formats/hlc.h"

/* What the library and the records that are made of it take, measured. */
#define COST_OBJECT 400u
#define COST_ARRAY  160u
#define COST_VALUE  100u

enum range_wish range_parse(const char *header, uint64_t size, uint64_t *offset, uint64_t *len)
{
    *offset = 0;
    *len = size;
    if (header == NULL || size == 0 || strncasecmp(header, "bytes=", 6) != 0 ||
        strchr(header, ',') != NULL)
        return RANGE_WISH_NONE;
    const char *text = header + 6;
    const char *dash = strchr(text, '-');
    if (dash == NULL)
        return RANGE_WISH_NONE;
    struct bytes first = bytes_of(text, (size_t)(dash - text));
    struct bytes last = bytes_str(dash + 1);
    uint64_t a = 0;
    uint64_t b = UINT64_MAX;
    if ((first.len > 0 && hlc_parse(first, &a) != 0) ||
        (last.len > 0 && hlc_parse(last, &b) != 0) || (first.len == 0 && last.len == 0) ||
        (first.len > 0 && b < a))
        return RANGE_WISH_NONE;
    if (first.len == 0) { /* the last b bytes */
        if (b == 0)
            return RANGE_WISH_BAD;
        *len = b < size ? b : size;
        *offset = size - *len;
        return RANGE_WISH_PART;
    }
    if (a >= size)
        return RANGE_WISH_BAD;
    *offset = a;
    *len = b < size - 1 ? b - a + 1 : size - a;
    return RANGE_WISH_PART;
}

static bool quoted_is(const char *at, size_t len, const char *etag)
{
    size_t want = strlen(etag);
    return len == want + 2 && at[0] == '"' && at[len - 1] == '"' &&
           memcmp(at + 1, etag, want) == 0;
}

bool etag_listed(const char *header, const char *etag)
{
    if (header == NULL)
        return false;
    const char *at = header + strspn(header, " \t");
    if (strcmp(at, "*") == 0)
        return true;
    while (*at != '\0') {
        at += strspn(at, " \t,");
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (*at != '"')
            return false;
        const char *end = strchr(at + 1, '"');
        if (end == NULL)
            return false;
        if (quoted_is(at, (size_t)(end + 1 - at), etag))
            return true;
        at = end + 1;
        at += strspn(at, " \t");
        if (*at != ',')
            return false;
    }
    return false;
}

bool etag_still(const char *header, const char *etag)
{
    return header == NULL || quoted_is(header, strlen(header), etag);
}

bool wait_parse(const char *text, uint64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    bool thousandths = strcmp(unit, "ms") == 0;
    if (digits == 0 || !(thousandths || strcmp(unit, "s") == 0 || *unit == '\0'))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    if (!thousandths)
        value = value > UINT64_MAX / 1000 ? UINT64_MAX : value * 1000;
    *ms = value;
    return true;
}

/* The parameters of one media type, from their first semicolon on. */
static bool refused(const char *at, size_t len)
{
    const char *q = memmem(at, len, "q=", 2);
    return q != NULL && strspn(q + 2, "0.") == strcspn(q + 2, ",; \t");
}

bool media_type_named(const char *header, const char *type)
{
    size_t want = strlen(type);
    while (header != NULL && *header != '\0') {
        header += strspn(header, " \t,");
        size_t all = strcspn(header, ",");
        size_t len = strcspn(header, ",; \t");
        if (len == want && strncasecmp(header, type, want) == 0)
            return !refused(header + len, all - len);
        header += all;
    }
    return false;
}

bool url_has_nul(const char *raw)
{
    return strstr(raw, "%00") != NULL;
}

uint64_t json_cost(struct bytes text)
{
    uint64_t cost = text.len;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == '"')
            quoted = true;
        else if (c == '{')
            cost += COST_OBJECT;
        else if (c == '[')
            cost += COST_ARRAY;
        else if (c == ',' || c == ':')
            cost += COST_VALUE;
    }
    return cost;
}

uint64_t log_window_before(uint64_t upto, uint64_t most)
{
    return upto > most ? upto - most : 0;
}
