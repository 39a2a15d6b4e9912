#include "pipeline/sys/log.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "tests/support/suite.h"

#define TIME_LEN 24u /* 2026-01-02T03:04:05.678Z */

static int read_end = -1;
static int write_end = -1;

static void begin(enum log_level least, bool json)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    read_end = fds[0];
    write_end = fds[1];
    log_setup(least, json);
    log_to_fd(write_end);
}

/* All that was logged since begin, as a string; the caller frees it. */
static char *end(void)
{
    struct buf all = {0};
    (void)close(write_end);
    ssize_t n;
    while ((n = read(read_end, buf_reserve(&all, 4096), 4096)) > 0) {
        all.len += (size_t)n;
    }
    (void)close(read_end);
    log_to_fd(STDERR_FILENO);
    buf_append(&all, "", 1);
    return (char *)all.data;
}

static void expect(const char *want)
{
    char *all = end();
    ck_assert_uint_ge(strlen(all), TIME_LEN);
    ck_assert_str_eq(all + TIME_LEN, want);
    for (size_t i = 0; i < TIME_LEN; i++) {
        static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
        bool digit = all[i] >= '0' && all[i] <= '9';
        ck_assert(form[i] == 'd' ? digit : all[i] == form[i]);
    }
    free(all);
}

START_TEST(a_line_of_every_kind)
{
    begin(LOG_INFO, false);
    errno = ENOENT;
    log_info("landed", LOG_STR("project", "p1"), LOG_U64("position", UINT64_MAX),
             LOG_I64("delta", -5), LOG_F64("ms", 1.5), LOG_ERR(ERR_AGAIN));
    ck_assert_int_eq(errno, ENOENT);
    expect(
        " info landed project=p1 position=18446744073709551615 delta=-5 ms=1.5 error=again\n");
}
END_TEST

START_TEST(no_value_breaks_the_line_or_poses_as_a_key)
{
    begin(LOG_INFO, false);
    log_warn("odd", LOG_STR("a", "x y"), LOG_STR("b", "p=q"), LOG_STR("c", "\"\\"),
             LOG_STR("d", "l1\nl2\r\t\x1b[0m\x7f"), LOG_STR("e", ""), LOG_STR("f", NULL));
    expect(" warn odd a=\"x y\" b=\"p=q\" c=\"\\\"\\\\\" "
           "d=\"l1\\nl2\\x0d\\x09\\x1b[0m\\x7f\" e=\"\" f=\"\"\n");
}
END_TEST

START_TEST(text_that_is_no_utf8_is_escaped)
{
    begin(LOG_INFO, false);
    log_error("odd", LOG_STR("good", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\x84"),
              LOG_STR("cut", "\xe2\x82"), LOG_STR("long", "\xc0\x80"),
              LOG_STR("half", "\xed\xa0\x80"), LOG_STR("c1", "\xc2\x85"),
              LOG_STR("line", "\xe2\x80\xa8"), LOG_STR("far", "\xf4\x90\x80\x80"));
    expect(" error odd good=\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\x84 cut=\"\\xe2\\x82\" "
           "long=\"\\xc0\\x80\" half=\"\\xed\\xa0\\x80\" c1=\"\\xc2\\x85\" "
           "line=\"\\xe2\\x80\\xa8\" far=\"\\xf4\\x90\\x80\\x80\"\n");
}
END_TEST

START_TEST(json_lines)
{
    begin(LOG_DEBUG, true);
    log_debug("an event", LOG_STR("s", "a\"\n\x01\xff\xc3\xa4"), LOG_U64("u", 3),
              LOG_I64("i", -3), LOG_F64("f", 0.25), LOG_F64("n", NAN));
    char *all = end();
    static const char head[] = "{\"time\":\"";
    ck_assert_int_eq(strncmp(all, head, strlen(head)), 0);
    ck_assert_str_eq(all + strlen(head) + TIME_LEN,
                     "\",\"level\":\"debug\",\"event\":\"an event\","
                     "\"s\":\"a\\\"\\n\\u0001\\ufffd\xc3\xa4\",\"u\":3,\"i\":-3,\"f\":0.25,"
                     "\"n\":null}\n");
    free(all);
}
END_TEST

START_TEST(what_is_below_the_level_is_not_written)
{
    begin(LOG_WARN, false);
    log_debug("no");
    log_info("no", LOG_U64("n", 1));
    log_warn("yes");
    expect(" warn yes\n");
}
END_TEST

static void *log_hundred(void *arg)
{
    for (int i = 0; i < 100; i++) {
        log_info("thread", LOG_STR("name", arg), LOG_STR("more", "0123456789"));
    }
    return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
    begin(LOG_INFO, false);
    pthread_t threads[4];
    static char names[4][2] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_hundred, names[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    char *all = end();
    size_t lines = 0;
    for (char *line = all; *line != '\0'; lines++) {
        char *stop = strchr(line, '\n');
        ck_assert_ptr_nonnull(stop);
        static const char tail[] = " more=0123456789";
        ck_assert_int_eq(strncmp(stop - strlen(tail), tail, strlen(tail)), 0);
        ck_assert_uint_eq((size_t)(stop - line),
                          TIME_LEN + strlen(" info thread name=a") + strlen(tail));
        line = stop + 1;
    }
    ck_assert_uint_eq(lines, 400);
    free(all);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_line_of_every_kind,
        no_value_breaks_the_line_or_poses_as_a_key,
        text_that_is_no_utf8_is_escaped,
        json_lines,
        what_is_below_the_level_is_not_written,
        lines_of_threads_do_not_mix,
    };
    return suite_run("log", tests, ARRAY_LEN(tests));
}
