#include "api/client/derive_events.h"

#include <stdio.h>

#include "api/client/call.h"
#include "formats/base/hex.h"

/* What has not become a whole event yet is no longer than that. */
#define EVENT_MAX (64u * KIB)

struct listener {
    struct client *client;
    const struct client_derive_get *get;
    struct buf text;
    int err; /* that the last event tells */
};

/* The value of a line "NAME: value" of an event; empty when there is none. */
static struct bytes field_of(struct bytes event, const char *name)
{
    size_t len = strlen(name);
    const uint8_t *end = event.data + event.len;
    for (const uint8_t *at = event.data; at < end;) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)((stop == NULL ? end : stop) - at);
        if (line > len + 2 && memcmp(at, name, len) == 0 && memcmp(at + len, ": ", 2) == 0)
            return bytes_of(at + len + 2, line - len - 2);
        at += line + 1;
    }
    return bytes_of(NULL, 0);
}

static int failed_take(struct listener *l, struct bytes data)
{
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    int status = 0;
    if (json_parse(data, &wrong, &value) == OK) {
        struct json_at top = jrd_top(value, &wrong);
        status = (int)jrd_u64(&top, "status", JSON_REQUIRED, 599, 0);
    }
    if (status < 400)
        return client_fail(l->client, ERR_CORRUPT, "bad_answer",
                           "an event of the server makes no sense");
    return call_problem(l->client, status, data);
}

static int event_take(struct listener *l, struct bytes event)
{
    struct client_derive_progress progress;
    struct bytes name = field_of(event, "event");
    struct bytes data = field_of(event, "data");
    if (bytes_equal(name, bytes_str("failed"))) {
        l->err = failed_take(l, data);
        return OK;
    }
    if (!bytes_equal(name, bytes_str("progress")))
        return OK;
    int err = derive_progress_read(l->client, data, &progress);
    if (err == OK)
        l->get->wait(l->get->arg, &progress);
    return err;
}

static int events_write(void *arg, struct bytes piece)
{
    struct listener *l = arg;
    buf_append_bytes(&l->text, piece);
    size_t at = 0;
    int err = OK;
    const uint8_t *end;
    while (err == OK &&
           (end = memmem(l->text.data + at, l->text.len - at, "\n\n", 2)) != NULL) {
        size_t len = (size_t)(end - l->text.data) - at;
        err = event_take(l, bytes_of(l->text.data + at, len));
        at += len + 2;
    }
    AUTO_BUF rest = {0};
    buf_append(&rest, l->text.data + at, l->text.len - at);
    buf_clear(&l->text);
    buf_append_bytes(&l->text, buf_bytes(&rest));
    return err == OK && l->text.len > EVENT_MAX ? ERR_LIMIT : err;
}

int derive_events(struct client *client, struct bytes project, const struct hash *address,
                  const struct client_derive_get *get)
{
    AUTO_CALL call;
    char below[96];
    struct listener l = {.client = client, .get = get};
    snprintf(below, sizeof(below), "/derive/%s/progress", hash_hex(address).s);
    call_project(&call, client, "GET", project, below);
    if (get->verify != NULL)
        call_query(&call, "verify", bytes_str(get->verify));
    call.http.sink = (struct http_sink){.write = events_write, .arg = &l};
    int err = call_run(&call);
    buf_release(&l.text);
    return err != OK ? err : l.err;
}
