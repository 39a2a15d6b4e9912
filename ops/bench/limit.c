/* What this machine can do at best with the load of `make bench` part a: reads the same
 * requests over loopback, appends their bodies to one file, syncs it once a group, and answers.
 * Nothing is looked at and nothing decided.
 *
 *   limit FILE
 *
 * says `listening on http://127.0.0.1:PORT`, and ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "formats/base/buf.h"

#define CONNECTIONS_MAX 4096
#define REQUEST_MAX     (256u * 1024u)

struct connection {
    struct buf in;
};

static struct connection connections[CONNECTIONS_MAX];
static int group[CONNECTIONS_MAX]; /* whose requests are in the file, not yet answered */
static size_t n_group;
static uint64_t position;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_any(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        listen(fd, CONNECTIONS_MAX) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        fail("listen");
    printf("listening on http://127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= CONNECTIONS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

/* The body of a whole request. */
static bool request_find(struct buf *in, struct bytes *body)
{
    *buf_reserve(in, 1) = '\0';
    char *text = (char *)in->data;
    char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return false;
    const char *length = strcasestr(text, "\r\ncontent-length:");
    size_t len = length == NULL || length > end ? 0 : strtoul(length + 17, NULL, 10);
    *body = bytes_of(end + 4, len);
    return in->len >= (size_t)(end + 4 - text) + len;
}

/* Reads what has come; a whole request goes to the end of `file`, and its sender into the
 * group. */
static void receive(int epoll, int fd, struct buf *file)
{
    struct buf *in = &connections[fd].in;
    ssize_t n = recv(fd, buf_reserve(in, REQUEST_MAX), REQUEST_MAX - 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        buf_clear(in);
        return;
    }
    in->len += (size_t)n;
    struct bytes body;
    if (!request_find(in, &body))
        return;
    buf_append_bytes(file, body);
    buf_clear(in);
    group[n_group++] = fd;
}

static void group_commit(int out, struct buf *file)
{
    if (n_group == 0)
        return;
    if (write(out, file->data, file->len) != (ssize_t)file->len || fdatasync(out) != 0)
        fail("write");
    for (size_t i = 0; i < n_group; i++) {
        char body[64];
        char answer[160];
        int len = snprintf(body, sizeof(body), "{\"position\":%" PRIu64 "}", ++position);
        len = snprintf(answer, sizeof(answer),
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       len, body);
        if (send(group[i], answer, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
            fail("send");
    }
    n_group = 0;
    buf_clear(file);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: limit FILE\n");
        return 2;
    }
    int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (out < 0 || epoll < 0)
        fail(argv[1]);
    int listener = listen_any();
    watch(epoll, listener);
    watch(epoll, STDIN_FILENO);
    struct buf file = {0};
    struct epoll_event events[CONNECTIONS_MAX];
    for (bool open_in = true; open_in;) {
        int n = epoll_wait(epoll, events, CONNECTIONS_MAX, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) {
                open_in = false;
            } else if (fd == listener) {
                int on = 1;
                int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (accepted < 0)
                    continue;
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                watch(epoll, accepted);
            } else {
                receive(epoll, fd, &file);
            }
        }
        group_commit(out, &file);
    }
    buf_release(&file);
    return 0;
}
