/* From text to the value of one setting, and back. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "config/settings.h"
#include "config/settings_internal.h"
#include "formats/base/err.h"

struct unit {
    const char *name;
    uint64_t scale;
};

/* From large to small, so that spelling takes the largest that fits. The first unit of scale 1
 * is the one of a bare number. */
static const struct unit size_units[] = {
    {"TiB", 1ull << 40},
    {"GiB", 1ull << 30},
    {"MiB", 1ull << 20},
    {"KiB", 1ull << 10},
    {"B", 1},
};
static const struct unit ms_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit us_units[] = {
    {"h", 3600000000}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}};

struct units {
    const struct unit *list;
    size_t n;
};

static struct units units_of(enum setting_type type)
{
    switch (type) {
    case SETTING_SIZE:
        return (struct units){size_units, ARRAY_LEN(size_units)};
    case SETTING_DURATION_MS:
        return (struct units){ms_units, ARRAY_LEN(ms_units)};
    case SETTING_DURATION_US:
        return (struct units){us_units, ARRAY_LEN(us_units)};
    case SETTING_U64:
    case SETTING_BOOL:
    case SETTING_STRING:
    case SETTING_CHOICE:
    case SETTING_ADDRESS:
    case SETTING_SECRET:
        break;
    }
    return (struct units){NULL, 0};
}

int settings_refuse(struct settings_error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    return ERR_INVALID;
}

/* What is quoted in a message: printable, and not the whole of a very long value. */
static const char *shown(struct settings *s, struct bytes text)
{
    size_t len = text.len < 60 ? text.len : 60;
    char *out = arena_str(&s->arena, bytes_of(text.data, len));
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = '?';
    return out;
}

/* The digits at the start of `text`; how many there are, or 0 when the number does not fit a
 * u64. */
static size_t parse_digits(struct bytes text, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return 0;
    *out = value;
    return i;
}

static bool parse_quantity(struct bytes text, struct units units, uint64_t *out)
{
    uint64_t number = 0;
    size_t at = parse_digits(text, &number);
    if (at == 0)
        return false;
    struct bytes rest = bytes_of(text.data + at, text.len - at);
    if (rest.len > 1 && rest.data[0] == ' ')
        rest = bytes_of(rest.data + 1, rest.len - 1);
    uint64_t scale = rest.len == 0 ? 1 : 0;
    for (size_t i = 0; i < units.n && rest.len > 0; i++)
        if (bytes_equal(rest, bytes_str(units.list[i].name)))
            scale = units.list[i].scale;
    return scale > 0 && !__builtin_mul_overflow(number, scale, out);
}

static const char *spell_quantity(struct arena *a, struct units units, uint64_t value)
{
    for (size_t i = 0; i < units.n; i++)
        if (value != 0 && value % units.list[i].scale == 0)
            return arena_printf(a, "%llu%s", (unsigned long long)(value / units.list[i].scale),
                                units.list[i].name);
    return arena_printf(a, "%llu", (unsigned long long)value);
}

static const char *wanted(const struct setting *row)
{
    switch (row->type) {
    case SETTING_U64:
        return "a number";
    case SETTING_SIZE:
        return "a size, such as 65536 or 64KiB";
    case SETTING_DURATION_MS:
        return "a duration in milliseconds, such as 1500 or 2s";
    case SETTING_DURATION_US:
        return "a duration in microseconds, such as 500 or 2ms";
    case SETTING_BOOL:
        return "true or false";
    case SETTING_STRING:
    case SETTING_SECRET:
        return "a string without control characters";
    case SETTING_CHOICE:
        return "one of its words";
    case SETTING_ADDRESS:
        return "an address, such as 127.0.0.1:7420, localhost:0 or [::1]:7420";
    }
    return "something else";
}

static int parse_u64(struct settings *s, const struct setting *row, struct bytes text,
                     uint64_t *out, struct settings_error *err)
{
    uint64_t value = 0;
    struct units units = units_of(row->type);
    if (!parse_quantity(text, units, &value))
        return settings_refuse(err, "'%s' is not %s", shown(s, text), wanted(row));
    if (value < row->min || value > row->max)
        return settings_refuse(err, "%s is not between %s and %s", shown(s, text),
                               spell_quantity(&s->arena, units, row->min),
                               spell_quantity(&s->arena, units, row->max));
    *out = value;
    return 0;
}

static bool address_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool address_is_numeric(const char *host)
{
    unsigned char any[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

/* HOST:PORT or [HOST]:PORT; false when it is neither, or HOST is too long to be an address. */
static bool address_split(struct bytes text, struct settings_address *out)
{
    const uint8_t *colon = text.len > 0 ? memrchr(text.data, ':', text.len) : NULL;
    if (colon == NULL)
        return false;
    struct bytes host = bytes_of(text.data, (size_t)(colon - text.data));
    struct bytes port = bytes_of(colon + 1, text.len - host.len - 1);
    uint64_t number = 0;
    if (parse_digits(port, &number) != port.len || port.len == 0 || number > UINT16_MAX)
        return false;
    bool bracketed = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (bracketed)
        host = bytes_of(host.data + 1, host.len - 2);
    if (host.len == 0 || host.len >= sizeof(out->host) ||
        memchr(host.data, 0, host.len) != NULL)
        return false;
    if (bracketed != (memchr(host.data, ':', host.len) != NULL))
        return false;
    memcpy(out->host, host.data, host.len);
    out->host[host.len] = '\0';
    out->port = (uint16_t)number;
    return true;
}

static int parse_address(struct settings *s, const struct setting *row, struct bytes text,
                         struct settings_address *out, struct settings_error *err)
{
    struct settings_address address;
    if (!address_split(text, &address))
        return settings_refuse(err, "'%s' is not %s", shown(s, text), wanted(row));
    if (strcmp(address.host, "localhost") == 0)
        memcpy(address.host, "127.0.0.1", sizeof("127.0.0.1"));
    if (!address_is_numeric(address.host))
        return settings_refuse(err, "'%s' is not %s", shown(s, text), wanted(row));
    if (!address_is_loopback(address.host))
        return settings_refuse(
            err,
            "%s is not a loopback address; there are no accounts yet, so whoever reaches it "
            "could "
            "read and change everything: use 127.0.0.1, [::1] or localhost, and a tunnel",
            shown(s, text));
    *out = address;
    return 0;
}

static int parse_choice(struct settings *s, const struct setting *row, struct bytes text,
                        uint64_t *out, struct settings_error *err)
{
    const char *list = "";
    for (uint64_t i = 0; row->choices[i] != NULL; i++) {
        if (bytes_equal(text, bytes_str(row->choices[i]))) {
            *out = i;
            return 0;
        }
        list = arena_printf(&s->arena, "%s%s%s", list, i == 0 ? "" : ", ", row->choices[i]);
    }
    return settings_refuse(err, "'%s' is not one of %s", shown(s, text), list);
}

static int parse_string(struct settings *s, const struct setting *row, struct bytes text,
                        const char **out, struct settings_error *err)
{
    if (text.len < row->min || text.len > row->max)
        return settings_refuse(err, "it has %zu bytes, not between %llu and %llu", text.len,
                               (unsigned long long)row->min, (unsigned long long)row->max);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return settings_refuse(err, "'%s' is not %s",
                                   row->type == SETTING_SECRET ? "***" : shown(s, text),
                                   wanted(row));
    *out = arena_str(&s->arena, text);
    return 0;
}

int setting_parse(struct settings *s, const struct setting *row, struct bytes text,
                  struct setting_origin origin, struct settings_error *err)
{
    void *field = (char *)s + row->offset;
    int e = 0;
    switch (row->type) {
    case SETTING_U64:
    case SETTING_SIZE:
    case SETTING_DURATION_MS:
    case SETTING_DURATION_US:
        e = parse_u64(s, row, text, field, err);
        break;
    case SETTING_BOOL:
        if (bytes_equal(text, bytes_str("true")))
            *(bool *)field = true;
        else if (bytes_equal(text, bytes_str("false")))
            *(bool *)field = false;
        else
            e = settings_refuse(err, "'%s' is not %s", shown(s, text), wanted(row));
        break;
    case SETTING_STRING:
    case SETTING_SECRET:
        e = parse_string(s, row, text, field, err);
        break;
    case SETTING_CHOICE:
        e = parse_choice(s, row, text, field, err);
        break;
    case SETTING_ADDRESS:
        e = parse_address(s, row, text, field, err);
        break;
    }
    if (e == 0)
        s->origins[row - settings_table] = origin;
    return e;
}

const char *setting_spell_u64(struct arena *a, const struct setting *row, uint64_t value)
{
    return spell_quantity(a, units_of(row->type), value);
}

const char *setting_spell(struct settings *s, const struct setting *row)
{
    const void *field = (const char *)s + row->offset;
    switch (row->type) {
    case SETTING_U64:
    case SETTING_SIZE:
    case SETTING_DURATION_MS:
    case SETTING_DURATION_US:
        return setting_spell_u64(&s->arena, row, *(const uint64_t *)field);
    case SETTING_BOOL:
        return *(const bool *)field ? "true" : "false";
    case SETTING_STRING:
        return *(const char *const *)field;
    case SETTING_SECRET:
        return **(const char *const *)field == '\0' ? "" : "***";
    case SETTING_CHOICE:
        return row->choices[*(const uint64_t *)field];
    case SETTING_ADDRESS:
        break;
    }
    const struct settings_address *address = field;
    bool v6 = strchr(address->host, ':') != NULL;
    return arena_printf(&s->arena, v6 ? "[%s]:%u" : "%s:%u", address->host,
                        (unsigned)address->port);
}
