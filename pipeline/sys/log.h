/* Log lines: one line an event, key=value or JSON, with time and level, to stderr. Any thread.
 *
 *   log_info("landed", LOG_STR("project", id), LOG_U64("position", n));
 *
 * gives `2026-01-02T03:04:05.678Z info landed project=... position=7`. A value with spaces,
 * quotes, '=' or control bytes is quoted and escaped, so a line is always one line and no value
 * can pose as another key. */
#ifndef PIPELINE_SYS_LOG_H
#define PIPELINE_SYS_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
};

enum log_kind {
    LOG_KIND_STR,
    LOG_KIND_U64,
    LOG_KIND_I64,
    LOG_KIND_F64,
};

struct log_field {
    const char *key;
    enum log_kind kind;
    const char *str;
    uint64_t u64;
    int64_t i64;
    double f64;
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_STR, .str = (v)})
#define LOG_U64(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_U64, .u64 = (v)})
#define LOG_I64(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_I64, .i64 = (v)})
#define LOG_F64(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_F64, .f64 = (v)})
/* err_name() of an enum err */
#define LOG_ERR(v) LOG_STR("error", err_name(v))

/* Process-wide, set once by a main before threads start. */
void log_setup(enum log_level least, bool json);
/* Where lines go; stderr unless told. For tests. */
void log_to_fd(int fd);
/* Lines of level error so far, shown or not. */
uint64_t log_errors(void);
void log_write(enum log_level, const char *event, const struct log_field *fields, unsigned n);

#define LOG_AT(level, event, ...)                                        \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__}, \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, __VA_ARGS__)

#endif
