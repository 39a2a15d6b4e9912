#include "pipeline/sys/http_client.h"
#include "tests/support/suite.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server that answers each connection by a script: what it sends after each request's head,
 * and closes after the last. */
struct script {
    int listener;
    char url[64];
    const char *const *answers; /* NULL at the end */
    unsigned requests;
    unsigned connections;
    char seen[8][2048]; /* head and body of each request, as far as it came at once */
    pthread_t thread;
};

static size_t length_of(const char *head)
{
    const char *at = strcasestr(head, "content-length:");
    return at == NULL ? 0 : (size_t)strtoul(at + 15, NULL, 10);
}

/* Reads one request; false at the end of the connection. */
static bool request_read(int fd, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (;;) {
        ssize_t got = read(fd, out + len, size - 1 - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
        out[len] = '\0';
        const char *end = strstr(out, "\r\n\r\n");
        if (end == NULL)
            continue;
        bool chunked = strcasestr(out, "transfer-encoding: chunked") != NULL;
        if (chunked ? strstr(end, "\r\n0\r\n\r\n") != NULL : strlen(end + 4) >= length_of(out))
            return true;
    }
}

static void *serve(void *arg)
{
    struct script *script = arg;
    const char *const *answer = script->answers;
    while (*answer != NULL) {
        int fd = accept(script->listener, NULL, NULL);
        if (fd < 0)
            break;
        script->connections++;
        while (*answer != NULL && request_read(fd, script->seen[script->requests % 8], 2048)) {
            script->requests++;
            const char *text = *answer++;
            if (text[0] == '\0') /* closes without an answer */
                break;
            if (write(fd, text, strlen(text)) < 0 || strstr(text, "Connection: close") != NULL)
                break;
        }
        close(fd);
    }
    return NULL;
}

static void script_start(struct script *script, const char *const *answers)
{
    *script = (struct script){.answers = answers};
    script->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    struct sockaddr *address = (struct sockaddr *)(void *)&at;
    ck_assert_int_eq(bind(script->listener, address, len), 0);
    ck_assert_int_eq(listen(script->listener, 8), 0);
    ck_assert_int_eq(getsockname(script->listener, address, &len), 0);
    snprintf(script->url, sizeof(script->url), "http://127.0.0.1:%u/x", ntohs(at.sin_port));
    ck_assert_int_eq(pthread_create(&script->thread, NULL, serve, script), 0);
}

static void script_end(struct script *script)
{
    shutdown(script->listener, SHUT_RDWR);
    pthread_join(script->thread, NULL);
    close(script->listener);
}

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

#define OK_TEXT   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name:  value \r\n\r\nhello"
#define BUSY_TEXT "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\nno"

START_TEST(connections_are_kept)
{
    static const char *const answers[] = {OK_TEXT, OK_TEXT, OK_TEXT, NULL};
    struct script script;
    script_start(&script, answers);
    struct http_client *client = client_new();
    struct http_call call = {.method = "GET", .url = script.url, .headers = {"A: b"}};
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
    script_end(&script);
    ck_assert_uint_eq(script.connections, 1);
    ck_assert_ptr_nonnull(strstr(script.seen[0], "A: b\r\n"));
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
    static const char *const answers[] = {BUSY_TEXT, BUSY_TEXT, OK_TEXT, NULL};
    struct script script;
    script_start(&script, answers);
    struct http_client *client = client_new();
    struct source source = {.text = "a streamed body"};
    struct http_call call = {
        .method = "POST",
        .url = script.url,
        .source = {.read = source_read, .rewind = source_rewind, .arg = &source, .size = 15}};
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_int_eq(call.status, 200);
    ck_assert_uint_eq(source.rewound, 2);
    http_call_release(&call);
    http_client_close(client);
    script_end(&script);
    ck_assert_uint_eq(script.requests, 3);
    ck_assert_ptr_nonnull(strstr(script.seen[2], "\r\n\r\na streamed body"));
}
END_TEST

START_TEST(what_may_have_happened_is_not_sent_again)
{
    static const char *const answers[] = {"", OK_TEXT, NULL};
    static const char *const plain503[] = {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                                           OK_TEXT, NULL};
    struct script script;
    struct http_client *client = client_new();
    script_start(&script, answers);
    struct http_call call = {.method = "POST", .url = script.url, .data = bytes_str("x")};
    ck_assert_int_eq(http_call(client, &call), ERR_UNKNOWN);
    script_end(&script);
    ck_assert_uint_eq(script.requests, 1);
    script_start(&script, plain503);
    call.url = script.url;
    ck_assert_int_eq(http_call(client, &call), OK);
    ck_assert_int_eq(call.status, 503);
    http_call_release(&call);
    http_client_close(client);
    script_end(&script);
    ck_assert_uint_eq(script.requests, 1);
}
END_TEST

START_TEST(nobody_listens)
{
    static const char *const answers[] = {NULL};
    struct script script;
    script_start(&script, answers);
    script_end(&script);
    struct http_client *client = client_new();
    struct http_call call = {.method = "GET", .url = script.url};
    ck_assert_int_eq(http_call(client, &call), ERR_AGAIN);
    ck_assert(call.why[0] != '\0');
    call.url = "ftp://127.0.0.1/x";
    ck_assert_int_eq(http_call(client, &call), ERR_INVALID);
    http_call_release(&call);
    http_client_close(client);
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
    static const char *const answers[] = {
        OK_TEXT, OK_TEXT, OK_TEXT, "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nwhy", NULL};
    struct script script;
    script_start(&script, answers);
    struct http_client *client = client_new();
    struct http_call call = {.method = "GET", .url = script.url, .body_max = 4};
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
    http_call_release(&call);
    http_client_close(client);
    script_end(&script);
}
END_TEST

struct many {
    struct http_call calls[6];
    size_t next;
    size_t done;
};

static struct http_call *many_next(void *arg)
{
    struct many *many = arg;
    return many->next < ARRAY_LEN(many->calls) ? &many->calls[many->next++] : NULL;
}

static int many_done(void *arg, struct http_call *call)
{
    struct many *many = arg;
    many->done++;
    return call->status == 200 ? OK : ERR_NOT_FOUND;
}

START_TEST(many_side_by_side)
{
    static const char *const answers[] = {OK_TEXT, OK_TEXT, OK_TEXT, OK_TEXT,
                                          OK_TEXT, OK_TEXT, NULL};
    struct script script;
    script_start(&script, answers);
    struct http_client *client = client_new();
    struct many many = {0};
    for (size_t i = 0; i < ARRAY_LEN(many.calls); i++)
        many.calls[i] = (struct http_call){.method = "GET", .url = script.url};
    struct http_feed feed = {.next = many_next, .done = many_done, .arg = &many};
    /* The script serves one connection at a time. */
    ck_assert_int_eq(http_many(client, 1, &feed), OK);
    ck_assert_uint_eq(many.done, ARRAY_LEN(many.calls));
    for (size_t i = 0; i < ARRAY_LEN(many.calls); i++)
        http_call_release(&many.calls[i]);
    http_client_close(client);
    script_end(&script);
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
        what_may_have_happened_is_not_sent_again,
        nobody_listens,
        bodies_have_bounds,
        many_side_by_side,
        escapes,
    };
    return suite_run("http_client", tests, ARRAY_LEN(tests));
}
