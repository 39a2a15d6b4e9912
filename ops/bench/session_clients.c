/* The load of `make bench` part i: many sessions that stay open, and writes to them at a steady
 * rate, over HTTP; then all of them are read back.
 *
 *   session_clients HOST:PORT PROJECT SESSIONS RATE SECONDS CLIENTS
 *
 * The sessions are opened first, RATE a second. Then RATE operations a second are written for
 * SECONDS, to one session after another, so that each is written to as seldom as can be. A
 * write is due at its time, whether others are answered or not, and its latency counts from
 * there. One that is answered 503 is sent again. In the end every session must have every
 * operation that was acknowledged, and no other. Prints lines of JSON: one after each phase,
 * the last with all counts. */
#include <sys/epoll.h>

#include "formats/base/buf.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "ops/bench/load.h"

#define CLIENTS_MAX 4096u
#define ANSWER_MAX  (256u * KIB)
#define BODY_MAX    1024u
#define PAUSE_US    20000u /* before a write is sent again */
#define STRIDE      7919u  /* from session to session; a prime */
#define GIVEN_UP_US 60000000u

struct open_session {
    char id[33];
    uint32_t written; /* acknowledged: its operations 0 to written - 1 */
};

struct client {
    int fd;
    bool busy;
    uint32_t session; /* that it asks about */
    uint64_t due_us;  /* when its request was */
    uint64_t resume_us;
    char *in;
    size_t in_len;
    struct buf out;
};

enum phase { PHASE_OPEN, PHASE_WRITE, PHASE_READ };

static struct {
    struct sockaddr_in address;
    const char *project;
    int epoll;
    enum phase phase;
    struct open_session *sessions;
    uint32_t n_sessions;
    struct client *clients;
    uint32_t n_clients;
    uint64_t n_asked; /* of this phase */
    uint64_t n_done;
    uint64_t again; /* requests sent again */
    uint64_t lost;  /* acknowledged operations that are not there */
    uint64_t odd;   /* operations that nobody wrote, or that are there twice */
    uint32_t *latency_us;
} bench;

/* --- requests --- */

static void body_post(struct client *c, const char *where, const char *body)
{
    buf_clear(&c->out);
    buf_printf(&c->out,
               "POST /api/mic/projects/%s/sessions%s HTTP/1.1\r\nHost: bench\r\n"
               "Mic-Author: agent-%u\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               bench.project, where, c->session, strlen(body), body);
}

static void text_of(uint32_t session, uint32_t number, char out[static 256])
{
    snprintf(
        out, 256,
        "What agent %u makes of its file %u: the least that it can say about the matter, in "
        "%u words.",
        session, number, (session ^ number) % 1000);
}

static void request_make(struct client *c)
{
    const struct open_session *s = &bench.sessions[c->session];
    char body[BODY_MAX];
    char where[128];
    char text[256];
    switch (bench.phase) {
    case PHASE_OPEN:
        snprintf(body, sizeof(body), "{\"goal\":\"Work of agent %u\",\"base\":0}", c->session);
        body_post(c, "", body);
        return;
    case PHASE_WRITE:
        text_of(c->session, s->written, text);
        snprintf(body, sizeof(body),
                 "{\"operations\":[{\"op\":\"write\",\"path\":\"agent/%u/file-%u\",\"base\":0,"
                 "\"seen\":null,\"key\":\"%u\",\"content\":{\"text\":\"%s\"}}]}",
                 c->session, s->written, s->written, text);
        snprintf(where, sizeof(where), "/%s/operations", s->id);
        body_post(c, where, body);
        return;
    case PHASE_READ:
        buf_clear(&c->out);
        buf_printf(&c->out,
                   "GET /api/mic/projects/%s/sessions/%s HTTP/1.1\r\nHost: bench\r\n"
                   "Mic-Author: agent-%u\r\n\r\n",
                   bench.project, s->id, c->session);
        return;
    }
}

/* The requests are small, and a client has one under way: there is always room for it. */
static void client_send(struct client *c)
{
    c->in_len = 0;
    c->resume_us = 0;
    if (send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL) != (ssize_t)c->out.len)
        fail("send");
}

static void client_ask(struct client *c, uint32_t session, uint64_t due_us)
{
    c->busy = true;
    c->session = session;
    c->due_us = due_us;
    bench.n_asked++;
    request_make(c);
    client_send(c);
}

/* --- answers --- */

/* Every operation that was acknowledged, once, with its content; and no other. */
static void session_check(const struct open_session *s, uint32_t number, const char *body)
{
    char text[256];
    char path[96];
    uint64_t there = 0;
    for (const char *at = body; (at = strstr(at, "\"path\":")) != NULL; at++)
        there++;
    for (uint32_t i = 0; i < s->written; i++) {
        text_of(number, i, text);
        struct hash hash = sha256(bytes_str(text));
        snprintf(path, sizeof(path), "\"agent/%u/file-%u\"", number, i);
        const char *found = strstr(body, path);
        if (found == NULL || strstr(found, hash_hex(&hash).s) == NULL)
            bench.lost++;
    }
    bench.odd += there > s->written ? there - s->written : 0;
    if (strstr(body, "\"state\":\"open\"") == NULL)
        bench.odd++;
}

static void client_answered(struct client *c, const struct answer *answer)
{
    struct open_session *s = &bench.sessions[c->session];
    if (answer->status == 503) {
        bench.again++;
        c->resume_us = now_us() + PAUSE_US;
        return;
    }
    if (answer->status != (bench.phase == PHASE_READ ? 200 : 202)) {
        fprintf(stderr, "session_clients: answer %u: %.300s\n", answer->status, answer->body);
        exit(1);
    }
    if (bench.phase == PHASE_OPEN) {
        const char *id = strstr(answer->body, "\"session\":\"");
        if (id == NULL)
            fail("a session without an id");
        snprintf(s->id, sizeof(s->id), "%.32s", id + 11);
    } else if (bench.phase == PHASE_WRITE) {
        s->written++;
        bench.latency_us[bench.n_done] = (uint32_t)(now_us() - c->due_us);
    } else {
        session_check(s, c->session, answer->body);
    }
    bench.n_done++;
    c->busy = false;
}

static void client_receive(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, ANSWER_MAX - c->in_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail(n == 0 ? "the server closed a connection" : "recv");
    c->in_len += (size_t)n;
    struct answer answer;
    if (answer_read(c->in, c->in_len, &answer))
        client_answered(c, &answer);
    else if (c->in_len == ANSWER_MAX)
        fail("an answer is too long");
}

/* --- a phase --- */

static void clients_open(uint32_t n)
{
    bench.clients = calloc(n, sizeof(*bench.clients));
    bench.n_clients = n;
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bench.clients == NULL || bench.epoll < 0)
        fail("memory");
    for (uint32_t i = 0; i < n; i++) {
        struct client *c = &bench.clients[i];
        c->fd = connect_new(&bench.address);
        c->in = malloc(ANSWER_MAX + 1);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (c->in == NULL || epoll_ctl(bench.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
            fail("epoll_ctl");
    }
}

static void clients_close(void)
{
    for (uint32_t i = 0; i < bench.n_clients; i++) {
        buf_release(&bench.clients[i].out);
        close(bench.clients[i].fd);
        free(bench.clients[i].in);
    }
    free(bench.clients);
    close(bench.epoll);
}

/* Asks `n` times, `rate` times a second (0: as fast as it goes), and waits for all answers. Two
 * requests about one session are never under way together: `n_clients` sessions on, at the
 * least. */
static void phase_run(enum phase phase, uint64_t n, uint64_t rate)
{
    struct epoll_event events[256];
    const uint32_t n_clients = bench.n_clients;
    assert(n_clients > 0);
    bench.phase = phase;
    bench.n_asked = 0;
    bench.n_done = 0;
    uint64_t began = now_us();
    uint64_t moved = began;
    uint64_t before = 0;
    uint32_t first = 0;
    while (bench.n_done < n) {
        uint64_t now = now_us();
        for (uint32_t i = 0; i < n_clients; i++) {
            struct client *c = &bench.clients[(first + i) % n_clients];
            uint64_t due = rate == 0 ? now : began + bench.n_asked * 1000000 / rate;
            if (c->busy && c->resume_us != 0 && c->resume_us <= now)
                client_send(c);
            if (!c->busy && bench.n_asked < n && due <= now)
                client_ask(c, (uint32_t)(bench.n_asked * STRIDE % bench.n_sessions), due);
        }
        /* In turns, so that no connection is idle for long. */
        first = (uint32_t)(bench.n_asked % n_clients);
        int ready = epoll_wait(bench.epoll, events, ARRAY_LEN(events), 1);
        for (int i = 0; i < ready; i++)
            client_receive(events[i].data.ptr);
        moved = bench.n_done != before ? now : moved;
        before = bench.n_done;
        if (now - moved > GIVEN_UP_US)
            fail("nothing is answered any more");
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr,
                "usage: session_clients HOST:PORT PROJECT SESSIONS RATE SECONDS CLIENTS\n");
        return 2;
    }
    bench.address = address_parse(argv[1]);
    bench.project = argv[2];
    bench.n_sessions = (uint32_t)strtoul(argv[3], NULL, 10);
    uint64_t rate = strtoull(argv[4], NULL, 10);
    uint64_t writes = rate * strtoull(argv[5], NULL, 10);
    uint32_t clients = (uint32_t)strtoul(argv[6], NULL, 10);
    if (clients == 0 || clients > CLIENTS_MAX || bench.n_sessions <= clients || rate == 0 ||
        writes == 0 || bench.n_sessions % STRIDE == 0)
        fail("these numbers make no sense");
    bench.sessions = calloc(bench.n_sessions, sizeof(*bench.sessions));
    bench.latency_us = calloc(writes, sizeof(*bench.latency_us));
    if (bench.sessions == NULL || bench.latency_us == NULL)
        fail("memory");
    clients_open(clients);
    uint64_t times[4] = {now_us()};
    phase_run(PHASE_OPEN, bench.n_sessions, rate);
    times[1] = now_us();
    printf("{\"opened\":%u}\n", bench.n_sessions);
    fflush(stdout);
    phase_run(PHASE_WRITE, writes, rate);
    times[2] = now_us();
    printf("{\"written\":%" PRIu64 "}\n", writes);
    fflush(stdout);
    qsort(bench.latency_us, writes, sizeof(*bench.latency_us), number_order);
    uint64_t p50 = bench.latency_us[writes / 2];
    uint64_t p99 = bench.latency_us[writes * 99 / 100];
    phase_run(PHASE_READ, bench.n_sessions, 0);
    times[3] = now_us();
    printf("{\"sessions\":%u,\"open_us\":%" PRIu64 ",\"writes\":%" PRIu64
           ",\"write_us\":%" PRIu64 ",\"again\":%" PRIu64 ",\"p50_us\":%" PRIu64
           ",\"p99_us\":%" PRIu64 ",\"most_us\":%u,\"read_us\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"odd\":%" PRIu64 "}\n",
           bench.n_sessions, times[1] - times[0], writes, times[2] - times[1], bench.again, p50,
           p99, bench.latency_us[writes - 1], times[3] - times[2], bench.lost, bench.odd);
    clients_close();
    free(bench.sessions);
    free(bench.latency_us);
    return 0;
}
