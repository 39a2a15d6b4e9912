/* What the programs share that put load on a server: connections, answers, and what /proc says
 * of a process. Each includes it once. */
#ifndef OPS_BENCH_LOAD_H
#define OPS_BENCH_LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/base/types.h"

static inline _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

static inline uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline struct sockaddr_in address_parse(const char *text)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        fail("the address is not HOST:PORT");
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        fail("the address is not one of IPv4");
    return address;
}

static inline int connect_new(const struct sockaddr_in *address)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* An answer over HTTP. */
struct answer {
    unsigned status;
    const char *body;
};

/* Whether a whole answer lies in the first `len` of `in`, which has room for one byte more. */
static inline bool answer_read(char *in, size_t len, struct answer *out)
{
    in[len] = '\0';
    char *end = strstr(in, "\r\n\r\n");
    if (end == NULL)
        return false;
    const char *length = strcasestr(in, "\r\ncontent-length:");
    size_t body = length == NULL || length > end ? 0 : strtoul(length + 17, NULL, 10);
    if (len < (size_t)(end + 4 - in) + body)
        return false;
    out->status = (unsigned)strtoul(in + 9, NULL, 10);
    out->body = end + 4;
    return true;
}

/* A figure of /proc/PID/status, such as "VmHWM:". */
static inline uint64_t status_figure(long pid, const char *name)
{
    char path[64];
    char line[256];
    uint64_t figure = 0;
    snprintf(path, sizeof(path), "/proc/%ld/status", pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0)
            figure = strtoull(line + strlen(name), NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return figure;
}

/* CPU time of a process, microseconds. */
static inline uint64_t process_cpu_us(long pid)
{
    char path[64];
    char line[1024] = "";
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof(line), f) == NULL)
        fail(path);
    fclose(f);
    /* Behind the name, which may hold anything: the state, ten numbers, and the two. */
    char *at = strrchr(line, ')');
    if (at == NULL || strlen(at) < 4)
        fail(path);
    at += 3;
    for (unsigned i = 0; i < 10; i++)
        (void)strtol(at, &at, 10);
    unsigned long user = strtoul(at, &at, 10);
    unsigned long system = strtoul(at, &at, 10);
    return (uint64_t)(user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static inline int number_order(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

#endif
