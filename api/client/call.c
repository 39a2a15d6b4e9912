#include "api/client/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/hlc.h"

int client_fail(struct client *client, int err, const char *code, const char *fmt, ...)
{
    struct client_problem *problem = &client->problem;
    *problem = (struct client_problem){.err = err};
    snprintf(problem->code, sizeof(problem->code), "%s", code);
    va_list args;
    va_start(args, fmt);
    vsnprintf(problem->message, sizeof(problem->message), fmt, args);
    va_end(args);
    return err;
}

int client_open(struct client *client, const struct client_options *options)
{
    *client = (struct client){0};
    struct http_client_options http = {.agent = "mic", .clock = options->clock};
    int err = http_client_open(&http, &client->http);
    if (err != OK)
        return client_fail(client, err, "no_client", "no HTTP client can be made");
    client->url = strdup(options->url);
    client->author = strdup(options->author == NULL ? "" : options->author);
    if (client->url == NULL || client->author == NULL)
        abort();
    for (size_t len = strlen(client->url); len > 0 && client->url[len - 1] == '/'; len--)
        client->url[len - 1] = '\0';
    return OK;
}

void client_close(struct client *client)
{
    http_client_close(client->http);
    free(client->url);
    free(client->author);
    *client = (struct client){0};
}

/* ---- building ---------------------------------------------------------------------------- */

void call_begin(struct call *call, struct client *client, const char *method, const char *fmt,
                ...)
{
    *call = (struct call){.client = client};
    call->http.method = method;
    buf_printf(&call->url, "%s/api/mic", client->url);
    char text[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof(text));
    buf_append(&call->url, text, (size_t)len);
    if (client->author[0] != '\0') {
        snprintf(call->author, sizeof(call->author), "Mic-Author: %s", client->author);
        call_header(call, call->author);
    }
    if (client->hlc != 0) {
        snprintf(call->hlc, sizeof(call->hlc), "Mic-Hlc: %llu",
                 (unsigned long long)client->hlc);
        call_header(call, call->hlc);
    }
}

void call_project(struct call *call, struct client *client, const char *method,
                  struct bytes project, const char *below)
{
    call_begin(call, client, method, "/projects/");
    http_escape(&call->url, project, false);
    buf_append(&call->url, below, strlen(below));
}

void call_path(struct call *call, struct bytes path)
{
    buf_append(&call->url, "/", 1);
    http_escape(&call->url, path, true);
}

void call_query(struct call *call, const char *name, struct bytes value)
{
    buf_printf(&call->url, "%c%s=", call->query ? '&' : '?', name);
    http_escape(&call->url, value, false);
    call->query = true;
}

void call_query_u64(struct call *call, const char *name, uint64_t value)
{
    buf_printf(&call->url, "%c%s=%llu", call->query ? '&' : '?', name,
               (unsigned long long)value);
    call->query = true;
}

void call_header(struct call *call, const char *line)
{
    assert(call->n_headers + 1 < HTTP_HEADERS_MAX);
    call->http.headers[call->n_headers++] = line;
}

void call_json(struct call *call)
{
    call_header(call, "Content-Type: application/json");
    call->http.data = buf_bytes(&call->body);
}

void call_release(struct call *call)
{
    http_call_release(&call->http);
    buf_release(&call->url);
    buf_release(&call->body);
}

/* ---- answers ----------------------------------------------------------------------------- */

static int err_of_status(int status, struct bytes code)
{
    if (status < 400)
        return OK;
    switch (status) {
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
    case 412:
        return ERR_CONFLICT;
    case 413:
        return ERR_LIMIT;
    case 503:
        if (bytes_equal(code, bytes_str("project_damaged")))
            return ERR_CORRUPT;
        return bytes_equal(code, bytes_str("unknown")) ? ERR_UNKNOWN : ERR_AGAIN;
    }
    return status < 500 ? ERR_INVALID : ERR_UNKNOWN;
}

static void copy(char *out, size_t size, struct bytes text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.len == 0 ? "" : (const char *)text.data);
}

int call_problem(struct client *client, int status, struct bytes body)
{
    struct json_problem wrong = {0};
    AUTO_JSON *value = NULL;
    int err = err_of_status(status, bytes_of(NULL, 0));
    client_fail(client, err, "http", "the server answered with status %d", status);
    if (json_parse(body, &wrong, &value) == OK) {
        struct json_at top = jrd_top(value, &wrong);
        struct json_at error = jrd_object(&top, "error", JSON_REQUIRED);
        struct bytes code = jrd_text(&error, "code", JSON_REQUIRED);
        struct bytes message = jrd_text(&error, "message", JSON_REQUIRED);
        struct bytes field = jrd_text(&error, "field", JSON_OPTIONAL);
        if (jrd_ok(&top)) {
            err = err_of_status(status, code);
            copy(client->problem.code, sizeof(client->problem.code), code);
            copy(client->problem.message, sizeof(client->problem.message), message);
            copy(client->problem.field, sizeof(client->problem.field), field);
        }
    }
    client->problem.err = err;
    client->problem.status = status;
    return err;
}

int call_result(struct call *call)
{
    struct client *client = call->client;
    struct http_call *http = &call->http;
    if (http->err != OK) {
        const char *code = http->err == ERR_AGAIN    ? "unreachable"
                           : http->err == ERR_DENIED ? "untrusted"
                                                     : "interrupted";
        return client_fail(client, http->err, code, "%s: %s", client->url, http->why);
    }
    struct bytes stamp;
    uint64_t hlc;
    if (http_header(http, "Mic-Hlc", &stamp) && hlc_parse(stamp, &hlc) == OK &&
        hlc > client->hlc)
        client->hlc = hlc;
    return http->status >= 400 ? call_problem(client, http->status, buf_bytes(&http->body))
                               : OK;
}

int call_run(struct call *call)
{
    buf_append(&call->url, "", 1);
    call->url.len--;
    call->http.url = (const char *)call->url.data;
    call->http.err = http_call(call->client->http, &call->http);
    return call_result(call);
}

int call_answer(struct call *call, struct json_t **out)
{
    struct json_problem wrong = {0};
    if (json_parse(buf_bytes(&call->http.body), &wrong, out) != OK)
        return client_fail(call->client, ERR_CORRUPT, "bad_answer",
                           "the server's answer is not JSON: %s", wrong.message);
    return OK;
}

int call_top(struct call *call, struct json_t **value, struct json_problem *wrong,
             struct json_at *top)
{
    int err = call_run(call);
    if (err == OK)
        err = call_answer(call, value);
    if (err == OK)
        *top = jrd_top(*value, wrong);
    return err;
}

int call_fields(struct call *call, const struct json_problem *wrong)
{
    if (wrong->code == NULL)
        return OK;
    return client_fail(call->client, ERR_CORRUPT, "bad_answer",
                       "the server's answer has a wrong field %s: %s", wrong->field,
                       wrong->message);
}

/* ---- pieces of answers ------------------------------------------------------------------- */

enum kind client_kind_parse(struct bytes name)
{
    for (enum kind kind = KIND_FILE; kind <= KIND_DIR; kind++) {
        if (bytes_equal(name, bytes_str(kind_name(kind))))
            return kind;
    }
    return KIND_NONE;
}

uint16_t client_mode_parse(struct bytes text)
{
    if (bytes_equal(text, bytes_str("0755")))
        return MODE_EXEC;
    return bytes_equal(text, bytes_str("0644")) ? MODE_PLAIN : 0;
}

struct entry client_entry_parse(const struct json_at *at, struct arena *arena)
{
    struct entry e = {0};
    struct bytes name = jrd_text(at, "name", JSON_OPTIONAL);
    e.name = arena_copy(arena, name);
    e.kind = client_kind_parse(jrd_text(at, "kind", JSON_REQUIRED));
    if (!jrd_null(at, "mode"))
        e.mode = client_mode_parse(jrd_text(at, "mode", JSON_OPTIONAL));
    e.size = jrd_u64(at, "size", JSON_OPTIONAL, INT64_MAX, 0);
    e.files = jrd_u64(at, "files", JSON_OPTIONAL, INT64_MAX, 0);
    e.stamp = jrd_u64(at, "stamp", JSON_OPTIONAL, INT64_MAX, 0);
    e.hash = jrd_hash(at, "hash", JSON_REQUIRED);
    if (jrd_ok(at) && !mode_ok(e.kind, e.mode))
        jrd_fail(at, "kind", "bad_value", "kind and mode do not go together");
    return e;
}

struct seen client_seen_parse(const struct json_at *object, const char *name)
{
    struct seen seen = {0};
    if (!jrd_has(object, name))
        return seen;
    seen.said = true;
    if (jrd_null(object, name))
        return seen;
    struct json_at at = jrd_object(object, name, JSON_REQUIRED);
    seen.kind = client_kind_parse(jrd_text(&at, "kind", JSON_REQUIRED));
    seen.mode = client_mode_parse(jrd_text(&at, "mode", JSON_OPTIONAL));
    seen.hash = jrd_hash(&at, "hash", JSON_REQUIRED);
    return seen;
}

void client_seen_json(struct json_writer *w, const char *name, const struct seen *seen)
{
    if (!seen->said)
        return;
    if (seen->kind == KIND_NONE) {
        jwr_null(w, name);
        return;
    }
    jwr_object(w, name);
    jwr_str(w, "kind", kind_name(seen->kind));
    if (seen->kind == KIND_FILE)
        jwr_str(w, "mode", seen->mode == MODE_EXEC ? "0755" : "0644");
    jwr_hash(w, "hash", &seen->hash);
    jwr_object_end(w);
}

struct client_operation client_operation_parse(const struct json_at *at, struct arena *arena)
{
    struct client_operation op = {0};
    op.op = arena_copy(arena, jrd_text(at, "op", JSON_REQUIRED));
    op.path = arena_copy(arena, jrd_text(at, "path", JSON_REQUIRED));
    if (!jrd_null(at, "source"))
        op.source = arena_copy(arena, jrd_text(at, "source", JSON_OPTIONAL));
    if (jrd_has(at, "kind") && !jrd_null(at, "kind"))
        op.kind = client_kind_parse(jrd_text(at, "kind", JSON_OPTIONAL));
    if (jrd_has(at, "mode") && !jrd_null(at, "mode"))
        op.mode = client_mode_parse(jrd_text(at, "mode", JSON_OPTIONAL));
    if (!jrd_null(at, "size"))
        op.size = jrd_u64(at, "size", JSON_OPTIONAL, INT64_MAX, 0);
    if (!jrd_null(at, "hash"))
        op.hash = jrd_hash(at, "hash", JSON_OPTIONAL);
    return op;
}
