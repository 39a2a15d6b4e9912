#include "tests/support/s3_script.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static struct s3_script *script_of(struct clock *clock)
{
    return (struct s3_script *)(void *)((char *)clock - offsetof(struct s3_script, clock));
}

static uint64_t wall(struct clock *clock)
{
    const struct s3_script *s = script_of(clock);
    return clock_system()->wall_ms(clock_system()) + s->leap_us / 1000 + s->slept_ms;
}

static uint64_t mono(struct clock *clock)
{
    return clock_system()->mono_us(clock_system()) + script_of(clock)->leap_us;
}

static void sleep_us(struct clock *clock, uint64_t us)
{
    script_of(clock)->leap_us += us;
}

struct s3_options s3_script_options(struct s3_script *s)
{
    return (struct s3_options){
        .bucket = "bucket",
        .prefix = "pre",
        .endpoint = script_url(s->script),
        .region = "us-east-1",
        .access_key_id = "AKID",
        .secret_access_key = "SECRET+/KEY",
        .session_token = "TOKEN",
        .concurrency = 4,
        .tries = S3_SCRIPT_TRIES,
        .timeout_ms = 300,
        .clock = &s->clock,
        .rng = rng_system(),
    };
}

static void open_store(struct s3_script *s)
{
    char why[S3_WHY_MAX] = "";
    s->clock = (struct clock){.wall_ms = wall, .mono_us = mono, .sleep_us = sleep_us};
    s->leap_us = s->slept_ms = 0;
    struct s3_options options = s3_script_options(s);
    ck_assert_msg(s3_store_open(&options, &s->store, why) == OK, "%s", why);
}

void s3_script_open(struct s3_script *s, const struct script_step *steps, size_t n)
{
    s->script = script_open(steps, n);
    open_store(s);
}

void s3_script_open_answering(struct s3_script *s,
                              void (*answer)(void *arg, const char *request,
                                             struct script_step *out),
                              void *arg)
{
    s->script = script_open_answering(answer, arg);
    open_store(s);
}

void s3_script_release(struct s3_script *s)
{
    store_close(s->store);
    script_close(s->script);
}

static const char *line_of(const char *request, const char *text, size_t len)
{
    const char *end = strstr(request, "\r\n\r\n");
    for (const char *at = request; at != NULL && at <= end; at = strstr(at, "\r\n")) {
        at += at == request ? 0 : 2;
        if (strncasecmp(at, text, len) == 0)
            return at;
    }
    return NULL;
}

void s3_script_expect_line(struct s3_script *s, unsigned i, const char *line)
{
    size_t len = strlen(line);
    const char *seen = script_seen(s->script, i);
    const char *at = line_of(seen, line, len);
    ck_assert_msg(at != NULL && at[len] == '\r', "request %u has no line '%s':\n%s", i, line,
                  seen);
}

void s3_script_expect_no_header(struct s3_script *s, unsigned i, const char *name)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%s:", name);
    const char *seen = script_seen(s->script, i);
    ck_assert_msg(line_of(seen, text, (size_t)len) == NULL, "request %u has a %s:\n%s", i, name,
                  seen);
}
