#include "tests/support/scripted.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEEN_MAX        4096u
#define CONNECTIONS_MAX 512u
#define REQUEST_BYTES   (64u * 1024 * 1024)

struct connection {
    struct script *script;
    pthread_t thread;
    int fd;
};

struct script {
    int listener;
    char url[64];
    const struct script_step *steps;
    size_t n_steps;
    void (*answer)(void *arg, const char *request, struct script_step *out);
    void *arg;
    pthread_t acceptor;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t ended;
    bool over;
    char *seen[SEEN_MAX];
    unsigned n_seen;
    struct connection connections[CONNECTIONS_MAX];
    unsigned n_connections;
};

static size_t length_of(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at == NULL ? 0 : (size_t)strtoul(at + 17, NULL, 10);
}

/* How long the request at the beginning of `in` is, or 0 when it is not all there. */
static size_t request_length(const struct buf *in, bool head_only)
{
    const char *text = (const char *)in->data;
    const char *end = in->len == 0 ? NULL : memmem(text, in->len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - text) + 4;
    if (head_only)
        return head;
    if (strcasestr(text, "\r\ntransfer-encoding: chunked") != NULL) {
        const char *last = memmem(end, in->len - head + 4, "\r\n0\r\n\r\n", 7);
        return last == NULL ? 0 : (size_t)(last - text) + 7;
    }
    return in->len >= head + length_of(text) ? head + length_of(text) : 0;
}

/* Reads more into `in`, which always ends in a NUL that is not counted. */
static bool read_more(int fd, struct buf *in)
{
    uint8_t *to = buf_reserve(in, 65537);
    ssize_t got = in->len > REQUEST_BYTES ? -1 : read(fd, to, 65536);
    if (got <= 0)
        return false;
    in->len += (size_t)got;
    in->data[in->len] = '\0';
    return true;
}

/* The step for a request; counts it. */
static struct script_step step_for(struct script *script, const char *request)
{
    struct script_step step = {.status = "501 The script is over", .body = "over"};
    (void)pthread_mutex_lock(&script->lock);
    unsigned at = script->n_seen;
    if (script->answer != NULL)
        script->answer(script->arg, request, &step);
    else if (at < script->n_steps)
        step = script->steps[at];
    if (at < SEEN_MAX) {
        script->seen[at] = strdup(request);
        script->n_seen++;
    }
    (void)pthread_mutex_unlock(&script->lock);
    return step;
}

static void wait_for_the_end(struct script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    while (!script->over)
        (void)pthread_cond_wait(&script->ended, &script->lock);
    (void)pthread_mutex_unlock(&script->lock);
}

static bool write_all(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t wrote = send(fd, data.data, data.len, MSG_NOSIGNAL);
        if (wrote <= 0)
            return false;
        data = bytes_of(data.data + wrote, data.len - (size_t)wrote);
    }
    return true;
}

/* False when the connection is to be closed. */
static bool play(struct script *script, int fd, const char *request)
{
    struct script_step step = step_for(script, request);
    AUTO_BUF out = {0};
    const char *body = step.body == NULL ? "" : step.body;
    bool bare = strncmp(request, "HEAD ", 5) == 0;
    switch (step.deed) {
    case SCRIPT_CLOSE:
        return false;
    case SCRIPT_STALL:
        wait_for_the_end(script);
        return false;
    case SCRIPT_RAW:
        buf_append(&out, body, strlen(body));
        break;
    case SCRIPT_ANSWER:
    case SCRIPT_HASTY:
        buf_printf(&out, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", step.status,
                   step.headers == NULL ? "" : step.headers, strlen(body) + step.missing,
                   bare ? "" : body);
        break;
    }
    return write_all(fd, buf_bytes(&out)) && !step.close && step.missing == 0 &&
           step.deed != SCRIPT_HASTY;
}

static bool next_is_hasty(struct script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    bool hasty = script->answer == NULL && script->n_seen < script->n_steps &&
                 script->steps[script->n_seen].deed == SCRIPT_HASTY;
    (void)pthread_mutex_unlock(&script->lock);
    return hasty;
}

static void *serve(void *arg)
{
    struct connection *connection = arg;
    AUTO_BUF in = {0};
    for (bool open = true; open;) {
        bool hasty = next_is_hasty(connection->script);
        size_t len = request_length(&in, hasty);
        if (len == 0) {
            open = read_more(connection->fd, &in);
            continue;
        }
        AUTO_BUF request = {0};
        buf_append(&request, in.data, len);
        buf_append(&request, "", 1);
        open = play(connection->script, connection->fd, (const char *)request.data);
        memmove(in.data, in.data + len, in.len - len + 1);
        in.len -= len;
    }
    (void)shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct script *script = arg;
    for (;;) {
        int fd = accept(script->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        (void)pthread_mutex_lock(&script->lock);
        bool take = !script->over && script->n_connections < CONNECTIONS_MAX;
        struct connection *connection = &script->connections[script->n_connections];
        if (take) {
            *connection = (struct connection){.script = script, .fd = fd};
            take = pthread_create(&connection->thread, NULL, serve, connection) == 0;
            script->n_connections += take;
        }
        (void)pthread_mutex_unlock(&script->lock);
        if (!take)
            (void)close(fd);
    }
}

static struct script *script_new(void)
{
    struct script *script = calloc(1, sizeof(*script));
    ck_assert_ptr_nonnull(script);
    ck_assert_int_eq(pthread_mutex_init(&script->lock, NULL), 0);
    ck_assert_int_eq(pthread_cond_init(&script->ended, NULL), 0);
    script->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    struct sockaddr *address = (struct sockaddr *)(void *)&at;
    ck_assert_int_eq(bind(script->listener, address, len), 0);
    ck_assert_int_eq(listen(script->listener, 128), 0);
    ck_assert_int_eq(getsockname(script->listener, address, &len), 0);
    (void)snprintf(script->url, sizeof(script->url), "http://127.0.0.1:%u", ntohs(at.sin_port));
    return script;
}

static struct script *script_run(struct script *script)
{
    ck_assert_int_eq(pthread_create(&script->acceptor, NULL, accept_all, script), 0);
    return script;
}

struct script *script_open(const struct script_step *steps, size_t n)
{
    struct script *script = script_new();
    script->steps = steps;
    script->n_steps = n;
    return script_run(script);
}

struct script *script_open_answering(void (*answer)(void *arg, const char *request,
                                                    struct script_step *out),
                                     void *arg)
{
    struct script *script = script_new();
    script->answer = answer;
    script->arg = arg;
    return script_run(script);
}

void script_end(struct script *script)
{
    if (script->listener < 0)
        return;
    (void)pthread_mutex_lock(&script->lock);
    script->over = true;
    (void)pthread_cond_broadcast(&script->ended);
    for (unsigned i = 0; i < script->n_connections; i++)
        (void)shutdown(script->connections[i].fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&script->lock);
    (void)shutdown(script->listener, SHUT_RDWR);
    (void)pthread_join(script->acceptor, NULL);
    for (unsigned i = 0; i < script->n_connections; i++) {
        (void)pthread_join(script->connections[i].thread, NULL);
        (void)close(script->connections[i].fd);
    }
    (void)close(script->listener);
    script->listener = -1;
}

void script_close(struct script *script)
{
    script_end(script);
    for (unsigned i = 0; i < script->n_seen; i++)
        free(script->seen[i]);
    (void)pthread_cond_destroy(&script->ended);
    (void)pthread_mutex_destroy(&script->lock);
    free(script);
}

const char *script_url(const struct script *script)
{
    return script->url;
}

unsigned script_requests(struct script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    unsigned n = script->n_seen;
    (void)pthread_mutex_unlock(&script->lock);
    return n;
}

unsigned script_connections(struct script *script)
{
    (void)pthread_mutex_lock(&script->lock);
    unsigned n = script->n_connections;
    (void)pthread_mutex_unlock(&script->lock);
    return n;
}

const char *script_seen(struct script *script, unsigned i)
{
    (void)pthread_mutex_lock(&script->lock);
    ck_assert_uint_lt(i, script->n_seen);
    const char *seen = script->seen[i];
    (void)pthread_mutex_unlock(&script->lock);
    return seen;
}
