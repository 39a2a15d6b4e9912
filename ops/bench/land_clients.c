/* The load of `make bench` part a: many clients in one process, each landing in a closed loop
 * over a kept HTTP connection.
 *
 *   land_clients setup HOST:PORT PROJECT  makes the project and lands the hot tree's files
 *   land_clients files DIR                writes the same files below DIR
 *   land_clients run HOST:PORT PROJECT CLIENTS SECONDS [PID [WARM]]
 *
 * The hot tree has 1,000 files of about 2 KB in 32 directories. Client c works in directory c %
 * 32, on files that no other client touches; more clients than the tree has files for make some
 * of their own. Every landing is one session that writes the next three of its files; `seen` is
 * what the client wrote there itself before, and the base is the position of its last answer.
 *
 * `run` counts for SECONDS after WARM seconds (1) of warming up and prints one line of JSON.
 * With PID it adds the CPU time that this process used meanwhile, and its greatest memory. */
#include <sys/epoll.h>
#include <sys/stat.h>

#include "formats/base/hash.h"
#include "formats/base/wire.h"
#include "formats/session.h"
#include "ops/bench/load.h"

#define DIRS         32u
#define FILES        1000u
#define WRITES       3u
#define POOL         2048u /* contents to choose from */
#define CLIENTS_MAX  4096u
#define ANSWER_MAX   (64u * KIB)
#define RETRY_US     10000u
#define OWN_MAX      (FILES / DIRS + 1)
#define TEXT_LEN_MIN 1900u

struct file {
    uint32_t number;  /* in the hot tree */
    struct hash hash; /* zero: it is not there */
    struct hash next; /* under way */
};

struct client {
    int fd;
    uint32_t number;
    struct buf out;
    size_t sent;
    bool waits; /* for room to send */
    char in[ANSWER_MAX + 1];
    size_t in_len;
    struct file own[OWN_MAX];
    size_t n_own;
    size_t at;
    uint64_t base;
    uint64_t sequence;
    uint64_t began_us;  /* of the landing, its first attempt */
    uint64_t resume_us; /* 0, or when to send again */
    uint64_t landed;    /* in the window */
};

static struct {
    struct sockaddr_in address;
    const char *project;
    struct content pool[POOL];
    struct bytes plain[POOL];
    struct arena texts;
    uint64_t chance;
    uint64_t boot;
    int epoll;
    bool counting;
    uint64_t attempts;
    uint64_t landed;
    uint64_t conflicts;
    uint64_t others; /* pending, refused, told to come again */
    uint32_t *latency_us;
    size_t latency_cap;
    size_t body_len;
} bench = {.chance = 88172645463325252u};

static uint64_t chance(uint64_t below)
{
    bench.chance ^= bench.chance << 13;
    bench.chance ^= bench.chance >> 7;
    bench.chance ^= bench.chance << 17;
    return bench.chance % below;
}

/* --- contents --- */

/* Text that compresses as C does. */
static void text_make(struct buf *out, uint32_t number)
{
    static const char *const words[] = {
        "buffer", "offset", "length", "client", "server", "session", "record", "entry",
        "parent", "result", "status", "number", "handle", "writer",  "reader", "string",
        "count",  "index",  "option", "source", "target", "cursor",  "limit",  "state",
        "first",  "second", "middle", "before", "answer", "request", "queue",  "position",
    };
#define WORD words[chance(ARRAY_LEN(words))]
    buf_printf(out, "/* The %s of a %s, number %u. */\n", WORD, WORD, number);
    while (out->len < TEXT_LEN_MIN) {
        const char *a = WORD;
        const char *b = WORD;
        buf_printf(out, "static int %s_%s_%u(struct %s *%s, size_t %s)\n{\n", a, b,
                   (unsigned)chance(1000), b, b, a);
        for (uint64_t lines = 2 + chance(5); lines > 0; lines--) {
            const char *c = WORD;
            if (chance(3) == 0)
                buf_printf(out, "    if (%s->%s > %u)\n        return %s_%s(%s, %s);\n", b, c,
                           (unsigned)chance(5000), c, WORD, b, a);
            else
                buf_printf(out, "    %s->%s = %s_%s(%s->%s) + %u;\n", b, c, WORD, c, b, WORD,
                           (unsigned)chance(9000));
        }
        buf_printf(out, "    return %s;\n}\n\n", a);
    }
#undef WORD
}

static void pool_make(void)
{
    AUTO_BUF text = {0};
    for (uint32_t i = 0; i < POOL; i++) {
        buf_clear(&text);
        text_make(&text, i);
        bench.plain[i] = arena_copy(&bench.texts, buf_bytes(&text));
        bench.pool[i] = content_inline(&bench.texts, KIND_FILE, MODE_PLAIN, bench.plain[i]);
    }
}

/* The path of a file of the hot tree; file i first holds content i. */
static void file_path(uint32_t number, char out[static 64])
{
    snprintf(out, 64, "src%02u/file%02u.c", number % DIRS, number / DIRS);
}

/* --- requests --- */

static void sessions_post(struct buf *out, const char *author, struct session *session)
{
    AUTO_BUF bytes = {0};
    for (size_t i = 0; i < session->n_records; i++)
        session->records[i].hlc = i + 1;
    session->state = SESSION_OPEN;
    session->owner = owner_of(bytes_str(author));
    session->base = session->records[0].start.base;
    session->hlc_created = 1;
    session->hlc_updated = session->n_records;
    session_assign_ids(session);
    session_encode(session, &bytes);
    bench.body_len = bytes.len + 4;
    buf_clear(out);
    buf_printf(out,
               "POST /api/mic/projects/%s/land?wait=30s HTTP/1.1\r\nHost: bench\r\n"
               "Mic-Author: %s\r\nContent-Type: application/vnd.micelio.sessions\r\n"
               "Content-Length: %zu\r\n\r\n",
               bench.project, author, bench.body_len);
    wr_run32(out, buf_bytes(&bytes));
}

static struct record record_start(const char *author, const char *key, uint64_t base)
{
    return (struct record){.kind = RECORD_START,
                           .start = {.key = bytes_str(key),
                                     .base = base,
                                     .author = bytes_str(author),
                                     .goal = bytes_str("Make three files better")}};
}

static struct record record_file(uint64_t base, const char *path, const struct hash *seen,
                                 const struct content *content)
{
    struct record r = {.kind = RECORD_OPERATION,
                       .operation = {.op = OP_WRITE,
                                     .base = base,
                                     .path = bytes_str(path),
                                     .seen = {.said = true},
                                     .content = *content}};
    if (seen != NULL)
        r.operation.seen =
            (struct seen){.said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = *seen};
    return r;
}

static void request_make(struct client *c)
{
    struct record records[1 + WRITES];
    char paths[WRITES][64];
    char author[32];
    char key[64];
    snprintf(author, sizeof(author), "agent-%u", c->number);
    snprintf(key, sizeof(key), "%" PRIx64 "-%u-%" PRIu64, bench.boot, c->number, c->sequence++);
    records[0] = record_start(author, key, c->base);
    for (size_t i = 0; i < WRITES; i++) {
        struct file *file = &c->own[(c->at + i) % c->n_own];
        const struct content *content;
        do
            content = &bench.pool[chance(POOL)];
        while (hash_equal(&content->hash, &file->hash));
        file->next = content->hash;
        file_path(file->number, paths[i]);
        const struct hash *seen = hash_is_zero(&file->hash) ? NULL : &file->hash;
        records[1 + i] = record_file(c->base, paths[i], seen, content);
    }
    struct session session = {.records = records, .n_records = ARRAY_LEN(records)};
    sessions_post(&c->out, author, &session);
    c->began_us = now_us();
}

/* --- answers --- */

static void latency_add(uint64_t us)
{
    if (bench.landed == bench.latency_cap) {
        bench.latency_cap = bench.latency_cap == 0 ? 65536 : bench.latency_cap * 2;
        bench.latency_us =
            realloc(bench.latency_us, bench.latency_cap * sizeof(*bench.latency_us));
        if (bench.latency_us == NULL)
            fail("memory");
    }
    bench.latency_us[bench.landed] = (uint32_t)us;
}

static void client_landed(struct client *c, const struct answer *answer)
{
    const char *position = strstr(answer->body, "\"position\":");
    if (position != NULL)
        c->base = strtoull(position + 11, NULL, 10);
    for (size_t i = 0; i < WRITES; i++) {
        struct file *file = &c->own[(c->at + i) % c->n_own];
        file->hash = file->next;
    }
    c->at += WRITES;
    if (bench.counting) {
        latency_add(now_us() - c->began_us);
        bench.landed++;
        c->landed++;
    }
    request_make(c);
}

static void client_send(struct client *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            fail("send");
        c->sent += (size_t)n;
    }
    bool waits = c->sent < c->out.len;
    struct epoll_event event = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (waits != c->waits && epoll_ctl(bench.epoll, EPOLL_CTL_MOD, c->fd, &event) != 0)
        fail("epoll_ctl");
    c->waits = waits;
}

static void client_begin(struct client *c)
{
    c->sent = 0;
    c->in_len = 0;
    c->resume_us = 0;
    bench.attempts += bench.counting;
    client_send(c);
}

static void client_answered(struct client *c, const struct answer *answer)
{
    switch (answer->status) {
    case 200:
        client_landed(c, answer);
        client_begin(c);
        return;
    case 409:
        bench.conflicts += bench.counting;
        request_make(c);
        client_begin(c);
        return;
    case 202:
    case 503:
        bench.others += bench.counting;
        c->resume_us = now_us() + RETRY_US;
        return;
    default:
        fprintf(stderr, "land_clients: answer %u: %.300s\n", answer->status, answer->body);
        exit(1);
    }
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

/* --- connections --- */

/* --- the hot tree --- */

/* Sends one request and waits for its answer, which must be a good one. */
static void ask(struct client *c)
{
    c->fd = connect_new(&bench.address);
    for (c->sent = 0; c->sent < c->out.len;) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n <= 0)
            fail("send");
        c->sent += (size_t)n;
    }
    struct answer answer;
    c->in_len = 0;
    do {
        ssize_t n = recv(c->fd, c->in + c->in_len, ANSWER_MAX - c->in_len, 0);
        if (n <= 0)
            fail("recv");
        c->in_len += (size_t)n;
    } while (!answer_read(c->in, c->in_len, &answer));
    close(c->fd);
    if (answer.status < 300 && answer.status != 202)
        return;
    fprintf(stderr, "land_clients: answer %u: %.300s\n", answer.status, answer.body);
    exit(1);
}

static void setup(void)
{
    static struct client client;
    static struct record records[1 + FILES];
    static char paths[FILES][64];
    char body[128];
    snprintf(body, sizeof(body), "{\"handle\":\"%s\"}", bench.project);
    buf_printf(&client.out,
               "POST /api/mic/projects HTTP/1.1\r\nHost: bench\r\nMic-Author: setup\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               strlen(body), body);
    ask(&client);
    records[0] = record_start("setup", "setup", 0);
    for (uint32_t i = 0; i < FILES; i++) {
        file_path(i, paths[i]);
        records[1 + i] = record_file(0, paths[i], NULL, &bench.pool[i]);
    }
    struct session session = {.records = records, .n_records = ARRAY_LEN(records)};
    sessions_post(&client.out, "setup", &session);
    ask(&client);
    buf_release(&client.out);
}

static void files_write(const char *dir)
{
    char path[64];
    char where[4096];
    for (uint32_t i = 0; i < FILES; i++) {
        file_path(i, path);
        snprintf(where, sizeof(where), "%s/%.5s", dir, path);
        if (mkdir(where, 0755) != 0 && errno != EEXIST)
            fail(where);
        snprintf(where, sizeof(where), "%s/%s", dir, path);
        FILE *f = fopen(where, "w");
        if (f == NULL || fwrite(bench.plain[i].data, bench.plain[i].len, 1, f) != 1 ||
            fclose(f) != 0)
            fail(where);
    }
}

/* --- the run --- */

static struct client *clients_open(uint32_t n)
{
    struct client *clients = calloc(n, sizeof(*clients));
    uint32_t files = (n + DIRS) * WRITES > FILES ? (n + DIRS) * WRITES : FILES;
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || bench.epoll < 0)
        fail("memory");
    for (uint32_t i = 0; i < n; i++) {
        struct client *c = &clients[i];
        *c = (struct client){.fd = connect_new(&bench.address), .number = i, .base = 1};
        uint32_t sharing = (n - i % DIRS + DIRS - 1) / DIRS; /* clients in its directory */
        for (uint32_t f = i; f < files; f += DIRS * sharing) {
            struct file *own = &c->own[c->n_own++];
            own->number = f;
            if (f < FILES)
                own->hash = bench.pool[f].hash;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(bench.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
            fail("epoll_ctl");
        request_make(c);
        client_begin(c);
    }
    return clients;
}

static void clients_run(struct client *clients, uint32_t n, uint64_t until_us)
{
    struct epoll_event events[256];
    for (uint64_t now = now_us(); now < until_us; now = now_us()) {
        int ready = epoll_wait(bench.epoll, events, ARRAY_LEN(events), RETRY_US / 1000);
        for (int i = 0; i < ready; i++) {
            struct client *c = events[i].data.ptr;
            if (c->sent < c->out.len)
                client_send(c);
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
                client_receive(c);
        }
        for (uint32_t i = 0; i < n; i++) {
            if (clients[i].resume_us != 0 && clients[i].resume_us <= now)
                client_begin(&clients[i]);
        }
    }
}

static void run(uint32_t n, uint64_t seconds, long pid, uint64_t warm)
{
    struct client *clients = clients_open(n);
    clients_run(clients, n, now_us() + warm * 1000000);
    uint64_t cpu = pid > 0 ? process_cpu_us(pid) : 0;
    uint64_t own_cpu = process_cpu_us(getpid());
    uint64_t began = now_us();
    bench.counting = true;
    clients_run(clients, n, began + seconds * 1000000);
    uint64_t took = now_us() - began;
    cpu = pid > 0 ? process_cpu_us(pid) - cpu : 0;
    own_cpu = process_cpu_us(getpid()) - own_cpu;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t i = 0; i < n; i++) {
        least = clients[i].landed < least ? clients[i].landed : least;
        most = clients[i].landed > most ? clients[i].landed : most;
        buf_release(&clients[i].out);
        close(clients[i].fd);
    }
    uint64_t l = bench.landed;
    if (l > 0)
        qsort(bench.latency_us, l, sizeof(*bench.latency_us), number_order);
    printf("{\"clients\":%u,\"us\":%" PRIu64 ",\"landed\":%" PRIu64 ",\"attempts\":%" PRIu64
           ",\"conflicts\":%" PRIu64 ",\"others\":%" PRIu64 ",\"p50_us\":%u,\"p99_us\":%u,"
           "\"least\":%" PRIu64 ",\"most\":%" PRIu64 ",\"server_cpu_us\":%" PRIu64
           ",\"client_cpu_us\":%" PRIu64 ",\"peak_kib\":%" PRIu64 ",\"body\":%zu}\n",
           n, took, l, bench.attempts, bench.conflicts, bench.others,
           l > 0 ? bench.latency_us[l / 2] : 0, l > 0 ? bench.latency_us[l * 99 / 100] : 0,
           least, most, cpu, own_cpu, pid > 0 ? status_figure(pid, "VmHWM:") : 0,
           bench.body_len);
    free(clients);
    free(bench.latency_us);
    close(bench.epoll);
}

int main(int argc, char **argv)
{
    bool is_run = argc >= 6 && argc <= 8 && strcmp(argv[1], "run") == 0;
    bool is_setup = argc == 4 && strcmp(argv[1], "setup") == 0;
    bool is_files = argc == 3 && strcmp(argv[1], "files") == 0;
    uint32_t clients = is_run ? (uint32_t)strtoul(argv[4], NULL, 10) : 1;
    if ((!is_run && !is_setup && !is_files) || clients == 0 || clients > CLIENTS_MAX) {
        fprintf(stderr,
                "usage: land_clients setup HOST:PORT PROJECT\n"
                "       land_clients files DIR\n"
                "       land_clients run HOST:PORT PROJECT CLIENTS SECONDS [PID [WARM]]\n");
        return 2;
    }
    pool_make();
    if (is_files) {
        files_write(argv[2]);
    } else {
        bench.address = address_parse(argv[2]);
        bench.project = argv[3];
    }
    if (is_setup)
        setup();
    if (is_run) {
        bench.boot = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
        bench.chance ^= bench.boot;
        run(clients, strtoull(argv[5], NULL, 10), argc > 6 ? strtol(argv[6], NULL, 10) : 0,
            argc > 7 ? strtoull(argv[7], NULL, 10) : 1);
    }
    arena_release(&bench.texts);
    return 0;
}
