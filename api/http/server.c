/* The daemon: where it listens, how it begins and ends. */
#include "api/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "api/http/server_inside.h"
#include "formats/base/limits.h"
#include "pipeline/sys/log.h"

/* A connection's buffer: the longest request line is a path of 4,096 bytes, each written as
 * %XX. */
#define CONNECTION_BUFFER (32u * KIB)
/* How long answers that are there may take to go out at the end. */
#define DRAIN_MS       3000u
#define DRAIN_PAUSE_MS 5u
/* How long nobody asks anything before a front that leaves is gone. */
#define LEAVE_MS 100u
/* They mostly wait, for a store or for a look that they share. */
#define ASIDE_THREADS 8u

const struct http_options *http_server_options(const struct http_server *server)
{
    return &server->options;
}

struct aside *http_server_aside(struct http_server *server)
{
    return server->aside;
}

/* "HOST:PORT" with a loopback host. */
static int address_parse(const char *text, struct sockaddr_storage *out)
{
    char host[80];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host) ||
        hlc_parse(bytes_str(colon + 1), &port) != OK || port > UINT16_MAX)
        return ERR_INVALID;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    memcpy(host, text + bracketed, len - 2 * bracketed);
    host[len - 2 * bracketed] = '\0';
    memset(out, 0, sizeof(*out));
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127 ? OK : ERR_DENIED;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? OK : ERR_DENIED;
    }
    return ERR_INVALID;
}

/* The address of a socket that somebody else has opened. */
static int address_of(int fd, struct sockaddr_storage *out)
{
    socklen_t len = sizeof(*out);
    char host[INET6_ADDRSTRLEN];
    char text[INET6_ADDRSTRLEN + 16];
    memset(out, 0, sizeof(*out));
    if (getsockname(fd, (struct sockaddr *)out, &len) != 0)
        return ERR_INVALID;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)out;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)out;
    const void *bits =
        out->ss_family == AF_INET6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr;
    if ((out->ss_family != AF_INET && out->ss_family != AF_INET6) ||
        inet_ntop(out->ss_family, bits, host, sizeof(host)) == NULL)
        return ERR_INVALID;
    (void)snprintf(text, sizeof(text), "%s:%u", host, ntohs(v4->sin_port));
    return address_parse(text, out);
}

/* Who connects is about to ask. */
static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = arg;
    struct clock *clock = server->options.clock;
    (void)connection;
    (void)context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        atomic_store(&server->idle_since_us, clock->mono_us(clock));
}

/* Every connection is an open file. */
static void files_allow(unsigned connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t want = (rlim_t)connections + 256;
    if (limit.rlim_cur < want) {
        limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            log_warn("file_limit_stays", LOG_U64("limit", limit.rlim_cur));
    }
}

__attribute__((format(printf, 2, 0))) static void on_complaint(void *arg, const char *format,
                                                               va_list args)
{
    char text[256];
    (void)arg;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http", LOG_STR("message", text));
}

int http_server_open(const struct http_options *options, struct http_server **out)
{
    struct sockaddr_storage address;
    bool given = options->listen_fd >= 0;
    int err = given ? address_of(options->listen_fd, &address)
                    : address_parse(options->address, &address);
    if (err == OK && given && fcntl(options->listen_fd, F_SETFL, O_NONBLOCK) != 0)
        err = ERR_INVALID;
    if (err != OK)
        return err;
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        abort();
    server->options = *options;
    atomic_store(&server->service, options->service);
    server->opened_us = options->clock->mono_us(options->clock);
    atomic_store(&server->idle_since_us, server->opened_us);
    files_allow(options->connections_max);
    server->aside = aside_open(ASIDE_THREADS, request_aside_run);
    struct MHD_OptionItem where[] = {
        given ? (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, options->listen_fd, NULL}
              : (struct MHD_OptionItem){MHD_OPTION_SOCK_ADDR, 0, &address},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, request_piece, server, MHD_OPTION_EXTERNAL_LOGGER, on_complaint,
        NULL, MHD_OPTION_ARRAY, where, MHD_OPTION_THREAD_POOL_SIZE,
        options->threads > 1 ? options->threads : 0u, MHD_OPTION_CONNECTION_LIMIT,
        options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)((options->idle_timeout_ms + 999) / 1000), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BUFFER, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
        MHD_OPTION_URI_LOG_CALLBACK, request_url, server, MHD_OPTION_NOTIFY_COMPLETED,
        request_end, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_END);
    if (server->daemon == NULL) {
        err = errno == EADDRINUSE ? ERR_CONFLICT : ERR_AGAIN;
        aside_close(server->aside);
        free(server);
        return err;
    }
    *out = server;
    return OK;
}

void http_server_serve(struct http_server *server, struct service *service)
{
    assert(atomic_load(&server->service) == NULL);
    atomic_store(&server->service, service);
}

unsigned http_server_port(const struct http_server *server)
{
    struct sockaddr_storage address;
    int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    return address_of(fd, &address) == OK ? ntohs(((struct sockaddr_in *)&address)->sin_port)
                                          : 0;
}

uint64_t http_server_idle_ms(struct http_server *server)
{
    struct clock *clock = server->options.clock;
    uint64_t since = atomic_load(&server->idle_since_us);
    uint64_t now = clock->mono_us(clock);
    bool busy = atomic_load(&server->under_way) > 0;
    return busy || now < since ? 0 : (now - since) / 1000;
}

/* MHD_quiesce_daemon is not for threads with epoll: it and they take the socket out of their
 * sets both, and whoever comes second ends the process. So the socket is put away under the
 * library's hands: its number becomes a file on which nothing ever comes, and closes with the
 * daemon. A socket that is not this process's alone goes on listening for the others. */
static void accept_no_more(struct http_server *server)
{
    if (server->quiet)
        return;
    server->quiet = true;
    int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    int nothing = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (nothing < 0 || dup3(nothing, fd, O_CLOEXEC) < 0)
        log_warn("still_listening", LOG_STR("why", strerror(errno)));
    if (nothing >= 0)
        (void)close(nothing);
}

void http_server_leave(struct http_server *server)
{
    const struct timespec pause = {.tv_nsec = DRAIN_PAUSE_MS * 1000000};
    atomic_store(&server->leaving, true);
    accept_no_more(server);
    for (unsigned waited = 0; waited < DRAIN_MS; waited += DRAIN_PAUSE_MS) {
        (void)nanosleep(&pause, NULL);
        if (waited >= LEAVE_MS && http_server_idle_ms(server) >= LEAVE_MS)
            return;
    }
}

void http_server_quiesce(struct http_server *server)
{
    atomic_store(&server->stopping, true);
    accept_no_more(server);
    aside_settle(server->aside, DRAIN_MS);
}

/* What has an answer gets it, if its client reads on. */
static void answers_drain(struct http_server *server)
{
    const struct timespec pause = {.tv_nsec = DRAIN_PAUSE_MS * 1000000};
    for (unsigned waited = 0; waited < DRAIN_MS; waited += DRAIN_PAUSE_MS) {
        if (atomic_load(&server->unanswered) == 0)
            return;
        (void)nanosleep(&pause, NULL);
    }
}

void http_server_close(struct http_server *server)
{
    answers_drain(server);
    aside_close(server->aside);
    MHD_stop_daemon(server->daemon);
    free(server);
}
