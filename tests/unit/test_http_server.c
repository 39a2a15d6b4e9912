#include "api/http/server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pipeline/sys/clock.h"
#include "tests/support/suite.h"

#define CLIENTS 3u

/* Clients that come all the time, to whatever port there is. */
struct visitors {
    atomic_uint port; /* 0: none */
    atomic_uint answered;
    atomic_bool stop;
    pthread_t threads[CLIENTS];
};

static bool reach(int fd, unsigned port)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
}

static void visit(struct visitors *v, int fd)
{
    static const char text[] = "GET /api/mic/nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[512];
    unsigned port = atomic_load(&v->port);
    if (port == 0 || !reach(fd, port))
        return;
    if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) > 0 &&
        recv(fd, answer, sizeof(answer), 0) > 0)
        atomic_fetch_add(&v->answered, 1);
}

static void *visitor(void *arg)
{
    struct visitors *v = arg;
    while (!atomic_load(&v->stop)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fd, 0);
        visit(v, fd);
        (void)close(fd);
    }
    return NULL;
}

/* A thread that accepts at this moment still has the socket. */
static void refused_soon(unsigned port)
{
    bool reached = true;
    for (unsigned i = 0; i < 10000 && reached; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fd, 0);
        reached = reach(fd, port);
        (void)close(fd);
    }
    ck_assert_msg(!reached, "it still accepts");
}

/* Whoever comes and goes meanwhile: it ends in order. */
START_TEST(it_ends_while_clients_come)
{
    static struct visitors v;
    const struct http_options options = {.clock = clock_system(),
                                         .address = "127.0.0.1:0",
                                         .listen_fd = -1,
                                         .threads = 4,
                                         .connections_max = 100,
                                         .request_max = MIB,
                                         .idle_timeout_ms = 10000,
                                         .wait_max_ms = 1000,
                                         .version = "test"};
    for (unsigned i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_create(&v.threads[i], NULL, visitor, &v), 0);
    for (unsigned round = 0; round < 500; round++) {
        struct http_server *server;
        ck_assert_int_eq(http_server_open(&options, &server), OK);
        atomic_store(&v.port, http_server_port(server));
        unsigned before = atomic_load(&v.answered);
        while (atomic_load(&v.answered) < before + 1 + round % 3)
            (void)usleep(50);
        unsigned port = atomic_exchange(&v.port, 0);
        http_server_quiesce(server);
        refused_soon(port);
        http_server_close(server);
    }
    atomic_store(&v.stop, true);
    for (unsigned i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_join(v.threads[i], NULL), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {it_ends_while_clients_come};
    return suite_run("http_server", tests, ARRAY_LEN(tests));
}
