#include "api/client/client_range.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/client/call.h"
#include "formats/base/hex.h"

#define PARALLEL 3u

struct ranges_run {
    struct client_ranges *ranges;
    const struct range_feed *feed;
    struct call *open[8]; /* under way, so that what is given up is freed */
};

/* A read and the request that makes it. */
struct ranged {
    struct call call;
    struct range_read *read;
    char range[64];
};

static struct http_call *ranges_next(void *arg)
{
    struct ranges_run *run = arg;
    struct range_read *read = run->feed->next(run->feed->arg);
    if (read == NULL)
        return NULL;
    struct ranged *ranged = calloc(1, sizeof(*ranged));
    if (ranged == NULL)
        abort();
    ranged->read = read;
    char below[96];
    snprintf(below, sizeof(below), "/trees/%s", hash_hex(&read->tree).s);
    struct id16_hex id = id16_hex(&run->ranges->project);
    struct call *call = &ranged->call;
    call_project(call, run->ranges->client, "GET", bytes_str(id.s), below);
    if (read->suffix)
        snprintf(ranged->range, sizeof(ranged->range), "Range: bytes=-%llu",
                 (unsigned long long)read->len);
    else
        snprintf(ranged->range, sizeof(ranged->range), "Range: bytes=%llu-%llu",
                 (unsigned long long)read->offset,
                 (unsigned long long)(read->offset + read->len - 1));
    call_header(call, ranged->range);
    call->http.body_max = read->len + 64 * 1024;
    call->http.user = ranged;
    buf_append(&call->url, "", 1);
    call->http.url = (const char *)call->url.data;
    for (size_t i = 0; i < ARRAY_LEN(run->open); i++) {
        if (run->open[i] == NULL) {
            run->open[i] = call;
            break;
        }
    }
    return &call->http;
}

static int ranges_done(void *arg, struct http_call *http)
{
    struct ranges_run *run = arg;
    struct ranged *ranged = http->user;
    struct range_read *read = ranged->read;
    struct call *call = &ranged->call;
    for (size_t i = 0; i < ARRAY_LEN(run->open); i++) {
        if (run->open[i] == call)
            run->open[i] = NULL;
    }
    read->err = call_result(call);
    bool whole = read->suffix ? http->body.len <= read->len : http->body.len == read->len;
    if (read->err == OK && !whole)
        read->err = client_fail(call->client, ERR_CORRUPT, "bad_answer",
                                "the server gave %zu bytes of a range of %llu", http->body.len,
                                (unsigned long long)read->len);
    if (read->err == OK) {
        read->body = http->body;
        http->body = (struct buf){0};
    }
    call_release(call);
    free(ranged);
    return run->feed->done(run->feed->arg, read);
}

static int ranges_many(struct range_source *source, const struct range_feed *feed)
{
    struct client_ranges *ranges = (struct client_ranges *)source;
    struct ranges_run run = {.ranges = ranges, .feed = feed};
    struct http_feed http = {.next = ranges_next, .done = ranges_done, .arg = &run};
    int err = http_many(ranges->client->http, ranges->parallel, &http);
    for (size_t i = 0; i < ARRAY_LEN(run.open); i++) {
        if (run.open[i] == NULL)
            continue;
        struct ranged *ranged = run.open[i]->http.user;
        struct range_read *read = ranged->read;
        call_release(&ranged->call);
        free(ranged);
        read->err = err;
        (void)feed->done(feed->arg, read);
    }
    return err;
}

void client_ranges_init(struct client_ranges *ranges, struct client *client,
                        const struct id16 *project)
{
    *ranges = (struct client_ranges){
        .source = {.many = ranges_many},
        .client = client,
        .project = *project,
        .parallel = PARALLEL,
    };
}
