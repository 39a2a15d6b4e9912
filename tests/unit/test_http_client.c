#include "pipeline/sys/http_client.h"

#include <pthread.h>
#include <stdio.h>

#include "pipeline/sys/http_pool.h"
#include "tests/support/scripted.h"
#include "tests/support/suite.h"

/* A clock whose pauses take no time; `now_us` counts them. */
static uint64_t now_us;

static uint64_t fake_mono(struct clock *clock UNUSED)
{
    return now_us += 1000000;
}

static struct clock fake_clock = {.mono_us = fake_mono};

static struct http_client *client_new(void)
{
    struct http_client *client;
    struct http_client_options options = {.clock = &fake_clock, .agent = "test"};
    ck_assert_int_eq(http_client_open(&options, &client), OK);
    return client;
}

#define HELLO                                                                 \
    {                                                                         \
        .status = "200 OK", .headers = "X-Name:  value \r\n", .body = "hello" \
    }
#define BUSY                                                                \
    {                                                                       \
        .status = "503 Busy", .headers = "Retry-After: 1\r\n", .body = "no" \
    }

START_TEST(connections_are_kept)
{
    static const struct script_step steps[] = {HELLO, HELLO, HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct http_call call = {.method = "GET", .url = script_url(script), .headers = {"A: b"}};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(http_call(client, &call), OK);
        ck_assert_int_eq(call.status, 200);
        ck_assert(bytes_equal(buf_bytes(&call.body), bytes_str("hello")));
        struct bytes value;
        ck_assert(http_header(&call, "x-name", &value));
        ck_assert(bytes_equal(value, bytes_str("value")));
        ck_assert(!http_header(&call, "x-nam", &value));
    }
    http_call_release(&call);
    http_client_close(client);
    ck_assert_uint_eq(script_connections(script), 1);
    ck_assert_ptr_nonnull(strstr(script_seen(script, 0), "A: b\r\n"));
    script_close(script);
}
END_TEST

struct source {
    const char *text;
    size_t at;
    unsigned rewound;
};

static long source_read(void *arg, uint8_t *out, size_t len)
{
    struct source *source = arg;
    size_t left = strlen(source->text) - source->at;
    len = len < 3 ? len : 3;
    len = len < left ? len : left;
    memcpy(out, source->text + source->at, len);
    source->at += len;
    return (long)len;
}

static int source_rewind(void *arg)
{
    struct source *source = arg;
    source->at = 0;
    source->rewound++;
    return OK;
}

/* 503 with Retry-After says that nothing happened, so it is sent again, body and all. */
START_TEST(busy_servers_are_asked_again)
{
    static const struct script_step steps[] = {BUSY, BUSY, HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct source source = {.text = "a streamed body"};
    struct http_call call = {
        .method = "POST",
        .url = script_url(script),
        .source = {.read = source_read, .rewind = source_rewind, .arg = &source, .size = 15}};
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_int_eq(call.status, 200);
    ck_assert_uint_eq(source.rewound, 2);
    http_call_release(&call);
    http_client_close(client);
    ck_assert_uint_eq(script_requests(script), 3);
    ck_assert_ptr_nonnull(strstr(script_seen(script, 2), "\r\n\r\na streamed body"));
    script_close(script);
}
END_TEST

START_TEST(bodies_go_out_whole)
{
    static const struct script_step steps[] = {HELLO, HELLO, HELLO, HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct http_call call = {.method = "PUT",
                             .url = script_url(script),
                             .data = bytes_str("from memory"),
                             .headers = {"Content-Type: text/x"}};
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_ptr_nonnull(strstr(script_seen(script, 0), "PUT / HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(script_seen(script, 0), "Content-Type: text/x\r\n"));
    ck_assert_ptr_nonnull(strstr(script_seen(script, 0), "\r\n\r\nfrom memory"));
    call.data = bytes_of(NULL, 0);
    call.headers[0] = NULL;
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_ptr_nonnull(strstr(script_seen(script, 1), "Content-Length: 0\r\n"));
    ck_assert_ptr_null(strcasestr(script_seen(script, 1), "content-type"));
    ck_assert_ptr_null(strcasestr(script_seen(script, 1), "expect"));
    AUTO_BUF large = {0};
    memset(buf_reserve(&large, 3000000), 'x', 3000000);
    large.len = 3000000;
    call.data = buf_bytes(&large);
    ck_assert_int_eq(http_call(client, &call), OK);
    const char *body = strstr(script_seen(script, 2), "\r\n\r\n");
    ck_assert_uint_eq(strlen(body + 4), large.len);
    struct source source = {.text = "of no known size"};
    call.data = bytes_of(NULL, 0);
    call.source = (struct http_source){.read = source_read, .arg = &source, .size = -1};
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_ptr_nonnull(strstr(script_seen(script, 3), "\r\n3\r\nof \r\n"));
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

START_TEST(what_may_have_happened_is_not_sent_again)
{
    static const struct script_step steps[] = {
        {.deed = SCRIPT_CLOSE},
        {.status = "503 Busy"},
        {.deed = SCRIPT_RAW, .body = "garbage\r\n\r\n", .close = true},
        HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct http_call call = {
        .method = "POST", .url = script_url(script), .data = bytes_str("x")};
    ck_assert_int_eq(http_call(client, &call), ERR_UNKNOWN);
    ck_assert_uint_eq(script_requests(script), 1);
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_int_eq(call.status, 503);
    ck_assert_uint_eq(script_requests(script), 2);
    ck_assert_int_eq(http_call(client, &call), ERR_UNKNOWN);
    ck_assert_uint_eq(script_requests(script), 3);
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

/* A kept connection that ends without an answer: reads go out again on another one, and nothing
 * else does, with a body or without. */
START_TEST(a_dead_connection_sends_nothing_twice)
{
    static const struct script_step steps[] = {
        HELLO, {.deed = SCRIPT_CLOSE}, HELLO, {.deed = SCRIPT_CLOSE},
        HELLO, {.deed = SCRIPT_CLOSE}, HELLO, {.deed = SCRIPT_CLOSE},
        HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct http_call read = {.method = "GET", .url = script_url(script)};
    ck_assert_int_eq(http_call(client, &read), OK);
    ck_assert_int_eq(http_call(client, &read), OK);
    ck_assert_uint_eq(script_requests(script), 3);
    struct http_call write = {
        .method = "PUT", .url = script_url(script), .data = bytes_str("x")};
    ck_assert_int_eq(http_call(client, &write), ERR_UNKNOWN);
    ck_assert_uint_eq(script_requests(script), 4);
    ck_assert_int_eq(http_call(client, &read), OK);
    write.data = bytes_of(NULL, 0);
    ck_assert_int_eq(http_call(client, &write), ERR_UNKNOWN);
    ck_assert_uint_eq(script_requests(script), 6);
    ck_assert_int_eq(http_call(client, &read), OK);
    write.method = "DELETE";
    ck_assert_int_eq(http_call(client, &write), ERR_UNKNOWN);
    ck_assert_uint_eq(script_requests(script), 8);
    http_call_release(&read);
    http_call_release(&write);
    http_client_close(client);
    script_close(script);
}
END_TEST

START_TEST(nobody_listens)
{
    struct script *script = script_open(NULL, 0);
    script_end(script);
    struct http_client *client = client_new();
    struct http_call call = {
        .method = "PUT", .url = script_url(script), .data = bytes_str("x")};
    ck_assert_int_eq(http_call(client, &call), ERR_AGAIN);
    ck_assert(call.why[0] != '\0');
    call.url = "ftp://127.0.0.1/x";
    ck_assert_int_eq(http_call(client, &call), ERR_INVALID);
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

/* What does not speak TLS never got the request. */
START_TEST(no_trust_no_request)
{
    static const struct script_step steps[] = {HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    char url[80];
    snprintf(url, sizeof(url), "https%s", script_url(script) + 4);
    struct http_client *client;
    struct http_client_options options = {.clock = &fake_clock, .tries = 1};
    ck_assert_int_eq(http_client_open(&options, &client), OK);
    struct http_call call = {
        .method = "PUT", .url = url, .data = bytes_str("x"), .timeout_ms = 500};
    ck_assert_int_eq(http_call(client, &call), ERR_AGAIN);
    http_client_close(client);
    options.ca_file = "/nowhere/at/all.pem";
    ck_assert_int_eq(http_client_open(&options, &client), OK);
    ck_assert_int_eq(http_call(client, &call), ERR_DENIED);
    ck_assert_ptr_nonnull(strstr(call.why, "/nowhere/at/all.pem"));
    ck_assert_uint_eq(script_requests(script), 0);
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

START_TEST(a_silent_server_is_given_up)
{
    static const struct script_step steps[] = {{.deed = SCRIPT_STALL}, {.deed = SCRIPT_STALL}};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client;
    struct http_client_options options = {.clock = &fake_clock, .stall_ms = 1};
    ck_assert_int_eq(http_client_open(&options, &client), OK);
    struct http_call call = {.method = "GET", .url = script_url(script), .timeout_ms = 50};
    ck_assert_int_eq(http_call(client, &call), ERR_UNKNOWN);
    call.timeout_ms = 0;
    ck_assert_int_eq(http_call(client, &call), ERR_UNKNOWN);
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

static int sink_refuse(void *arg, struct bytes data)
{
    size_t *got = arg;
    *got += data.len;
    return ERR_DENIED;
}

static int sink_count(void *arg, struct bytes data)
{
    size_t *got = arg;
    *got += data.len;
    return OK;
}

START_TEST(bodies_have_bounds)
{
    static const struct script_step steps[] = {
        HELLO,
        HELLO,
        HELLO,
        {.status = "404 No", .body = "why"},
        {.status = "200 OK", .body = "half", .missing = 4}};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct http_call call = {.method = "GET", .url = script_url(script), .body_max = 4};
    ck_assert_int_eq(http_call(client, &call), ERR_LIMIT);
    size_t got = 0;
    call.sink = (struct http_sink){.write = sink_refuse, .arg = &got};
    ck_assert_int_eq(http_call(client, &call), ERR_DENIED);
    got = 0;
    call.sink.write = sink_count;
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_uint_eq(got, 5);
    /* Only what was asked for goes to the sink. */
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_int_eq(call.status, 404);
    ck_assert_uint_eq(got, 5);
    ck_assert(bytes_equal(buf_bytes(&call.body), bytes_str("why")));
    /* Half a body is no answer. */
    ck_assert_int_eq(http_call(client, &call), ERR_UNKNOWN);
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

START_TEST(redirects_are_answers)
{
    static const struct script_step steps[] = {
        {.status = "307 Elsewhere", .headers = "Location: /other\r\n"}};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    char url[80];
    snprintf(url, sizeof(url), "%s/a/../b/./c%%2E", script_url(script));
    struct http_call call = {.method = "GET", .url = url};
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_int_eq(call.status, 307);
    ck_assert_uint_eq(script_requests(script), 1);
    /* A path goes out as it is. */
    ck_assert_ptr_nonnull(strstr(script_seen(script, 0), "GET /a/../b/./c%2E HTTP/1.1"));
    http_call_release(&call);
    http_client_close(client);
    script_close(script);
}
END_TEST

#define MANY 6u

struct many {
    struct http_call calls[MANY];
    unsigned asked[MANY];
    size_t next;
    size_t done;
};

static struct http_call *many_next(void *arg)
{
    struct many *many = arg;
    return many->next < MANY ? &many->calls[many->next++] : NULL;
}

static int many_done(void *arg, struct http_call *call)
{
    struct many *many = arg;
    many->done++;
    return call->status == 200 ? OK : ERR_NOT_FOUND;
}

static void many_init(struct many *many, struct script *script)
{
    *many = (struct many){0};
    for (size_t i = 0; i < MANY; i++)
        many->calls[i] = (struct http_call){.method = "GET", .url = script_url(script)};
}

static void many_release(struct many *many)
{
    for (size_t i = 0; i < MANY; i++)
        http_call_release(&many->calls[i]);
}

START_TEST(many_side_by_side)
{
    static const struct script_step steps[] = {HELLO, HELLO, HELLO, HELLO, HELLO, HELLO};
    struct script *script = script_open(steps, ARRAY_LEN(steps));
    struct http_client *client = client_new();
    struct many many;
    many_init(&many, script);
    struct http_feed feed = {.next = many_next, .done = many_done, .arg = &many};
    ck_assert_int_eq(http_many(client, 3, &feed), OK);
    ck_assert_uint_eq(many.done, MANY);
    ck_assert_uint_le(script_connections(script), 3);
    /* The script is over: the first that is done ends all. */
    many.next = many.done = 0;
    ck_assert_int_eq(http_many(client, 1, &feed), ERR_NOT_FOUND);
    ck_assert_uint_eq(many.done, 1);
    many_release(&many);
    http_client_close(client);
    script_close(script);
}
END_TEST

/* Sends each call twice, the second time as another one. */
static int64_t many_again(void *arg, struct http_call *call)
{
    struct many *many = arg;
    size_t i = (size_t)(call - many->calls);
    call->headers[0] = "Second: yes";
    return many->asked[i]++ == 0 ? 5 : -1;
}

static void hello_to_the_second(void *arg UNUSED, const char *request, struct script_step *out)
{
    *out = (struct script_step){.status = "500 No"};
    if (strstr(request, "Second: yes") != NULL)
        *out = (struct script_step)HELLO;
}

START_TEST(the_caller_decides_on_another_try)
{
    struct script *script = script_open_answering(hello_to_the_second, NULL);
    struct http_client *client = client_new();
    struct many many;
    many_init(&many, script);
    struct http_feed feed = {
        .next = many_next, .done = many_done, .again = many_again, .arg = &many};
    ck_assert_int_eq(http_many(client, MANY, &feed), OK);
    ck_assert_uint_eq(many.done, MANY);
    ck_assert_uint_eq(script_requests(script), 2 * MANY);
    many_release(&many);
    http_client_close(client);
    script_close(script);
}
END_TEST

START_TEST(dates_and_pauses_of_answers)
{
    static const struct {
        const char *head;
        uint64_t date;
        int64_t after;
    } cases[] = {
        {"Date: Fri, 24 May 2013 00:00:01 GMT\nRetry-After: 120\n", 1369353601000, 120000},
        {"date: Fri, 24 May 2013 00:00:01 GMT\nAge: 7\nretry-after: 0\n", 0, 0},
        {"Date: yesterday\nRetry-After: Fri, 24 May 2013 00:00:01 GMT\n", 0, -1},
        {"Date: \nRetry-After: \n", 0, -1},
        {"X: y\nRetry-After: 1234567\n", 0, -1},
        {"Date: Fri, 24 May 2013 00:00:01 GMT and a lot of other things that nobody wants\n", 0,
         -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_call call = {0};
        uint64_t date = 0;
        uint64_t after = UINT64_MAX;
        buf_append(&call.head, cases[i].head, strlen(cases[i].head));
        ck_assert_int_eq(http_date_ms(&call, &date), cases[i].date != 0);
        ck_assert_uint_eq(date, cases[i].date);
        ck_assert_int_eq(http_retry_after_ms(&call, &after), cases[i].after >= 0);
        ck_assert_int_eq((int64_t)after, cases[i].after);
        http_call_release(&call);
    }
}
END_TEST

#define POOL_THREADS 24u

static void *use_pool(void *arg)
{
    struct http_pool *pool = ((void **)arg)[0];
    struct http_call call = {.method = "GET", .url = ((void **)arg)[1]};
    for (int i = 0; i < 10; i++) {
        struct http_client *client;
        if (http_pool_take(pool, &client) != OK)
            return pool;
        int err = http_call(client, &call);
        http_pool_give(pool, client);
        if (err != OK || call.status != 200)
            return pool;
    }
    http_call_release(&call);
    return NULL;
}

static void always_hello(void *arg UNUSED, const char *request UNUSED, struct script_step *out)
{
    *out = (struct script_step)HELLO;
}

START_TEST(a_pool_for_many_threads)
{
    struct script *script = script_open_answering(always_hello, NULL);
    struct http_client_options options = {.clock = &fake_clock};
    struct http_pool *pool = http_pool_open(&options);
    char url[80];
    snprintf(url, sizeof(url), "%s/", script_url(script));
    void *arg[] = {pool, url};
    /* One after another they use one connection. */
    ck_assert_ptr_null(use_pool(arg));
    ck_assert_ptr_null(use_pool(arg));
    ck_assert_uint_eq(script_connections(script), 1);
    pthread_t threads[POOL_THREADS];
    for (size_t i = 0; i < POOL_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_pool, arg), 0);
    for (size_t i = 0; i < POOL_THREADS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    ck_assert_uint_eq(script_requests(script), 20 + 10 * POOL_THREADS);
    http_pool_close(pool);
    script_close(script);
}
END_TEST

START_TEST(escapes)
{
    AUTO_BUF out = {0};
    http_escape(&out, bytes_str("a/b c?%#\xc3\xbc~"), true);
    ck_assert(bytes_equal(buf_bytes(&out), bytes_str("a/b%20c%3F%25%23%C3%BC~")));
    buf_clear(&out);
    http_escape(&out, bytes_str("a/b&c=d+"), false);
    ck_assert(bytes_equal(buf_bytes(&out), bytes_str("a%2Fb%26c%3Dd%2B")));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        connections_are_kept,
        busy_servers_are_asked_again,
        bodies_go_out_whole,
        what_may_have_happened_is_not_sent_again,
        a_dead_connection_sends_nothing_twice,
        nobody_listens,
        no_trust_no_request,
        a_silent_server_is_given_up,
        bodies_have_bounds,
        redirects_are_answers,
        many_side_by_side,
        the_caller_decides_on_another_try,
        dates_and_pauses_of_answers,
        a_pool_for_many_threads,
        escapes,
    };
    return suite_run("http_client", tests, ARRAY_LEN(tests));
}
