#include "api/http/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/http/http_values.h"
#include "api/http/route.h"
#include "api/http/server_inside.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/path.h"

/* --- what was asked --- */

const char *request_header(struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *request_query(struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool request_u64(struct request *r, const char *name, uint64_t max, uint64_t otherwise,
                 uint64_t *out)
{
    const char *text = request_query(r, name);
    *out = otherwise;
    if (text == NULL)
        return true;
    uint64_t value;
    if (hlc_parse(bytes_str(text), &value) != OK || value > max) {
        respond_error(r, 400, "bad_query", name, "%s is to be a number of at most %llu", name,
                      (unsigned long long)max);
        return false;
    }
    *out = value;
    return true;
}

bool request_limit(struct request *r, uint64_t most, uint64_t otherwise, uint64_t *out)
{
    if (!request_u64(r, "limit", most, otherwise, out))
        return false;
    if (*out > 0)
        return true;
    respond_error(r, 400, "bad_query", "limit", "limit is to be a number from 1 to %llu",
                  (unsigned long long)most);
    return false;
}

bool request_wait_ms(struct request *r, uint64_t *out)
{
    *out = 0;
    const char *text = request_query(r, "wait");
    if (text == NULL)
        return true;
    if (wait_parse(text, out))
        return true;
    respond_error(r, 400, "bad_query", "wait", "wait is to be a time such as 30s or 500ms");
    return false;
}

bool request_path(struct request *r, struct bytes path, struct bytes *out)
{
    /* A listing is also asked for as "dir/". */
    if (path.len > 0 && path.data[path.len - 1] == '/')
        path.len--;
    const char *why;
    int err = path.len == 0 ? OK : path_check(path, &why);
    if (err != OK) {
        respond_error(r, 422, "bad_path", "path", "the path %s", why);
        return false;
    }
    *out = path;
    return true;
}

bool request_hash(struct request *r, const char *field, struct hash *out)
{
    if (hash_parse(r->rest, out) == OK)
        return true;
    respond_error(r, 404, "not_found", field, "the %s is not 64 lower-case hex digits", field);
    return false;
}

static bool json_fits(struct request *r, struct bytes text)
{
    uint64_t cost = json_cost(text);
    if (cost <= HELD_MAX)
        return request_hold(r, cost);
    respond_error(r, 413, "request_too_large", NULL,
                  "this has too many values for one request; send several, or the binary form");
    return false;
}

bool request_json(struct request *r, bool optional, struct json_problem *problem,
                  struct json_at *top)
{
    struct bytes text = buf_bytes(&r->body);
    if (optional && text.len == 0)
        text = bytes_str("{}");
    if (!json_fits(r, text))
        return false;
    if (json_parse(text, problem, &r->json) == OK) {
        buf_release(&r->body);
        *top = jrd_top(r->json, problem);
        if (jrd_ok(top))
            return true;
    }
    respond_json_problem(r, problem);
    return false;
}

bool request_upload_finish(struct request *r, const struct hash *expected, struct content *out)
{
    int err = upload_finish(r->upload, expected, out);
    if (err == ERR_INVALID)
        respond_error(r, 422, "wrong_hash", "Mic-Hash", "the content has another hash");
    else if (err == ERR_CONFLICT)
        respond_error(r, 503, "collecting", NULL,
                      "content that nothing named is being collected, and this was a part of "
                      "it; upload it again when that is over");
    else if (err != OK)
        respond_failure(r, err, "the upload");
    return err == OK;
}

/* --- the answer --- */

void respond_header(struct request *r, const char *name, const char *fmt, ...)
{
    char value[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    assert(r->n_headers < ANSWER_HEADERS_MAX);
    r->headers[r->n_headers++] =
        (struct answer_header){name, arena_str(&r->arena, bytes_str(value))};
}

unsigned problem_status(const struct problem *p)
{
    switch ((enum err)p->err) {
    case OK:
        return 200;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_INVALID:
        return 422;
    case ERR_LIMIT:
        return 413;
    case ERR_DENIED:
        return 403;
    case ERR_CORRUPT:
    case ERR_AGAIN:
    case ERR_UNKNOWN:
        return 503;
    }
    return 500;
}

bool request_store_away(struct request *r)
{
    return r->service == NULL || service_store_away(r->service);
}

uint64_t request_hlc(struct request *r)
{
    struct clock *clock = r->server->options.clock;
    return r->repo != NULL ? repo_hlc(r->repo) : hlc_next(0, clock->wall_ms(clock));
}

static uint64_t retry_s(struct request *r)
{
    struct clock *clock = r->server->options.clock;
    return r->service != NULL ? service_retry_s(r->service)
                              : away_retry_s(clock->mono_us(clock) - r->server->opened_us);
}

static void error_write(struct request *r, unsigned status, const char *code,
                        const char *message, const char *field)
{
    struct json_writer w;
    buf_clear(&r->out);
    respond_json(r, status, &w);
    jwr_object(&w, "error");
    jwr_str(&w, "code", code);
    jwr_str(&w, "message", message);
    if (field != NULL && field[0] != '\0')
        jwr_str(&w, "field", field);
    jwr_object_end(&w);
    jwr_object_end(&w);
    if (status == 503)
        respond_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "%llu", (unsigned long long)retry_s(r));
}

void respond_problem(struct request *r, const struct problem *p)
{
    error_write(r, problem_status(p), p->code, p->message, p->field);
}

void respond_failure(struct request *r, int err, const char *what)
{
    struct problem problem;
    service_problem(&problem, err, what);
    respond_problem(r, &problem);
}

void respond_error(struct request *r, unsigned status, const char *code, const char *field,
                   const char *fmt, ...)
{
    char message[320];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    error_write(r, status, code, message, field);
}

void respond_json_problem(struct request *r, const struct json_problem *p)
{
    /* A value of the right type that means nothing, or too much, is understood, but wrong. */
    static const char *const wrong[] = {"bad_value", "out_of_range", "content_too_large"};
    bool understood = false;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        understood = understood || strcmp(p->code, wrong[i]) == 0;
    error_write(r, understood ? 422 : 400, p->code, p->message, p->field);
}

void respond_json(struct request *r, unsigned status, struct json_writer *w)
{
    r->status = status;
    r->n_headers = 0;
    respond_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    respond_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    jwr_init(w, &r->out);
    jwr_object(w, NULL);
}

void respond_bytes(struct request *r, unsigned status, const char *type, struct bytes data)
{
    r->status = status;
    respond_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "%s", type);
    buf_append_bytes(&r->out, data);
}

/* A part of a source is a source. */
struct part {
    struct source whole;
    uint64_t offset;
};

static int part_read(void *arg, uint64_t offset, size_t len, struct buf *out)
{
    struct part *part = arg;
    return part->whole.read(part->whole.arg, part->offset + offset, len, out);
}

static void part_close(void *arg)
{
    struct part *part = arg;
    part->whole.close(part->whole.arg);
    free(part);
}

static struct source source_part(struct source whole, uint64_t offset, uint64_t len)
{
    struct part *part = malloc(sizeof(*part));
    if (part == NULL)
        abort();
    *part = (struct part){.whole = whole, .offset = offset};
    return (struct source){.size = len, .read = part_read, .close = part_close, .arg = part};
}

bool respond_not_modified(struct request *r, const char *etag)
{
    if (!etag_listed(request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH), etag))
        return false;
    r->status = 304;
    return true;
}

/* The part of the source that the request wants. False: there is none, and that is the
 * answer. */
static bool range_of_request(struct request *r, const char *etag, struct source *source)
{
    uint64_t offset;
    uint64_t len;
    const char *range = request_header(r, MHD_HTTP_HEADER_RANGE);
    unsigned long long size = source->size;
    if (r->head || !etag_still(request_header(r, MHD_HTTP_HEADER_IF_RANGE), etag))
        range = NULL;
    r->status = 200;
    switch (range_parse(range, source->size, &offset, &len)) {
    case RANGE_WISH_BAD:
        source->close(source->arg);
        respond_error(r, 416, "range_not_satisfiable", "Range", "there are %llu bytes", size);
        respond_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, "bytes */%llu", size);
        return false;
    case RANGE_WISH_PART:
        respond_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, "bytes %llu-%llu/%llu",
                       (unsigned long long)offset, (unsigned long long)(offset + len - 1),
                       size);
        r->status = 206;
        *source = source_part(*source, offset, len);
        return true;
    case RANGE_WISH_NONE:
        return true;
    }
    return true;
}

void respond_source(struct request *r, const char *type, const char *etag, bool immutable,
                    struct source source)
{
    respond_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "%s", type);
    respond_header(r, MHD_HTTP_HEADER_ETAG, "\"%s\"", etag);
    respond_header(r, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    respond_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "%s",
                   immutable ? "private, max-age=31536000, immutable" : "no-cache");
    if (respond_not_modified(r, etag)) {
        source.close(source.arg);
        return;
    }
    if (!range_of_request(r, etag, &source))
        return;
    size_t first = source.size < SOURCE_BLOCK ? (size_t)source.size : SOURCE_BLOCK;
    bool whole = !r->head && first == source.size;
    int err = OK;
    if (!r->head && first > 0) {
        err = source.read(source.arg, 0, first, &r->out);
        if (err == OK && r->out.len != first)
            err = ERR_CORRUPT;
    }
    if (err != OK || whole)
        source.close(source.arg);
    if (err != OK) {
        respond_failure(r, err, "the content");
    } else if (!whole) {
        r->source = source;
        r->ahead = r->out.len;
    }
}

void respond_stream(struct request *r, const char *type, struct stream stream)
{
    r->status = 200;
    respond_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "%s", type);
    respond_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    r->stream = stream;
}

void request_suspend(struct request *r)
{
    if (r->aside_waits != NULL) {
        *r->aside_waits = true; /* it is suspended already */
        r->aside_waits = NULL;
        return;
    }
    r->suspended = true;
    MHD_suspend_connection(r->connection);
}

void request_resume(struct request *r)
{
    MHD_resume_connection(r->connection);
}

void request_again(struct request *r, void (*run)(void *arg), void *arg)
{
    if ((r->route->flags & ROUTE_ASIDE) != 0) {
        request_aside(r, run, arg);
        return;
    }
    r->again = run;
    r->again_arg = arg;
    MHD_resume_connection(r->connection);
}

void request_aside(struct request *r, void (*run)(void *arg), void *arg)
{
    r->aside = (struct aside_work){.r = r, .run = run, .arg = arg};
    aside_add(http_server_aside(r->server), &r->aside);
}
