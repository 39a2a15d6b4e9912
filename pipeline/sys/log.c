#include "pipeline/sys/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/buf.h"

static _Atomic int least_level = LOG_INFO;
static _Atomic bool as_json;
static _Atomic int line_fd = STDERR_FILENO;
static _Atomic uint64_t errors;

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_WARN:
        return "warn";
    case LOG_ERROR:
        return "error";
    }
    return "info";
}

void log_setup(enum log_level least, bool json)
{
    atomic_store(&least_level, (int)least);
    atomic_store(&as_json, json);
}

uint64_t log_errors(void)
{
    return atomic_load_explicit(&errors, memory_order_relaxed);
}

void log_to_fd(int fd)
{
    atomic_store(&line_fd, fd);
}

/* How many bytes the printable UTF-8 character at `s` has; 0 for a control character and for
 * what is not UTF-8. */
static size_t printable_len(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
    if (s[0] < 0x80) {
        return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
    }
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) {
        return 0;
    }
    uint32_t c = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        /* A NUL ends the loop here, so nothing behind it is read. */
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (s[i] & 0x3fu);
    }
    bool good = c >= least[len] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    /* Line and paragraph separators end a line for some readers. */
    return good && c != 0x2028 && c != 0x2029 ? len : 0;
}

static bool is_plain(const char *s)
{
    if (*s == '\0') {
        return false;
    }
    for (const unsigned char *at = (const unsigned char *)s; *at != '\0';) {
        size_t len = printable_len(at);
        if (len == 0 || *at == ' ' || *at == '"' || *at == '=' || *at == '\\') {
            return false;
        }
        at += len;
    }
    return true;
}

static void append_quoted(struct buf *line, const char *s, bool json)
{
    buf_append(line, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)s; *at != '\0';) {
        size_t len = printable_len(at);
        if (*at == '"' || *at == '\\') {
            buf_printf(line, "\\%c", *at);
        } else if (*at == '\n') {
            buf_append(line, "\\n", 2);
        } else if (len > 0) {
            buf_append(line, at, len);
        } else if (!json) {
            buf_printf(line, "\\x%02x", *at);
        } else if (*at < 0x80) {
            buf_printf(line, "\\u%04x", *at);
        } else {
            buf_append(line, "\\ufffd", 6);
        }
        at += len > 0 ? len : 1;
    }
    buf_append(line, "\"", 1);
}

static void append_value(struct buf *line, const struct log_field *field, bool json)
{
    const char *str = field->str == NULL ? "" : field->str;
    switch (field->kind) {
    case LOG_KIND_STR:
        if (json || !is_plain(str)) {
            append_quoted(line, str, json);
        } else {
            buf_append(line, str, strlen(str));
        }
        return;
    case LOG_KIND_U64:
        buf_printf(line, "%" PRIu64, field->u64);
        return;
    case LOG_KIND_I64:
        buf_printf(line, "%" PRId64, field->i64);
        return;
    case LOG_KIND_F64:
        if (json && !isfinite(field->f64)) {
            buf_append(line, "null", 4);
        } else {
            buf_printf(line, "%.6g", field->f64);
        }
        return;
    }
}

static void append_time(struct buf *line)
{
    struct timespec now;
    struct tm tm;
    char seconds[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(line, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

/* One write a line, so that lines of several threads and processes do not mix. A log that
 * cannot be written is no reason to stop. */
static void emit(struct bytes line)
{
    int fd = atomic_load(&line_fd);
    while (line.len > 0) {
        ssize_t n = write(fd, line.data, line.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        line = bytes_of(line.data + n, line.len - (size_t)n);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               unsigned n)
{
    if (level == LOG_ERROR) {
        atomic_fetch_add_explicit(&errors, 1, memory_order_relaxed);
    }
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed)) {
        return;
    }
    int saved = errno;
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    AUTO_BUF line = {0};
    if (json) {
        buf_printf(&line, "{\"time\":\"");
        append_time(&line);
        buf_printf(&line, "\",\"level\":\"%s\",\"event\":", level_name(level));
        append_quoted(&line, event, json);
    } else {
        append_time(&line);
        buf_printf(&line, " %s ", level_name(level));
        if (is_plain(event)) {
            buf_append(&line, event, strlen(event));
        } else {
            append_quoted(&line, event, json);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        buf_printf(&line, json ? ",\"%s\":" : " %s=", fields[i].key);
        append_value(&line, &fields[i], json);
    }
    buf_printf(&line, json ? "}\n" : "\n");
    emit(buf_bytes(&line));
    errno = saved;
}
