/* The way of a request from its first byte to its answer. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/http/http_values.h"
#include "api/http/route.h"
#include "api/http/server_inside.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "pipeline/sys/log.h"

/* A body that cannot be used is read to its end and thrown away up to this size, so that the
 * client, which sends before it reads, gets the answer. */
#define SWALLOW_MAX (256u * MIB)
/* A request that held so much leaves holes that are worth a search. */
#define TRIM_FROM (16u * MIB)
/* What an upload holds at most: the chunk that fills, and those that are packed and wait to be
 * put together. */
#define UPLOAD_CHUNKS 5u
#define STREAM_BLOCK  4096u

/* --- begin and end --- */

void *request_url(void *arg, const char *url, struct MHD_Connection *connection)
{
    struct http_server *server = arg;
    struct request *r = calloc(1, sizeof(*r));
    if (r == NULL)
        abort();
    r->server = server;
    r->service = atomic_load(&server->service);
    r->repo = r->service != NULL ? service_repo(r->service) : NULL;
    r->connection = connection;
    r->url_cut = url_has_nul(url);
    atomic_fetch_add(&server->under_way, 1);
    return r;
}

void request_end(void *arg, struct MHD_Connection *connection, void **context,
                 enum MHD_RequestTerminationCode code)
{
    struct http_server *server = arg;
    struct request *r = *context;
    (void)connection;
    (void)code;
    if (r == NULL)
        return;
    if (r->source.read != NULL)
        r->source.close(r->source.arg);
    if (r->stream.next != NULL)
        r->stream.close(r->stream.arg);
    if (r->upload != NULL)
        upload_close(r->upload);
    json_drop(&r->json);
    buf_release(&r->out);
    buf_release(&r->body);
    arena_release(&r->arena);
    bool large = r->held >= TRIM_FROM;
    atomic_fetch_sub(&server->held, r->held);
    if (r->dispatched)
        atomic_fetch_sub(&server->unanswered, 1);
    struct clock *clock = server->options.clock;
    free(r);
    *context = NULL;
    atomic_store(&server->idle_since_us, clock->mono_us(clock));
    atomic_fetch_sub(&server->under_way, 1);
    /* Millions of small pieces that were freed stay with the process unless it is told to look
     * for whole pages among them. */
    if (large)
        (void)malloc_trim(0);
}

bool request_hold(struct request *r, uint64_t bytes)
{
    r->held += bytes;
    uint64_t all = atomic_fetch_add(&r->server->held, bytes) + bytes;
    if (r->held <= HELD_FREE || all <= HELD_MAX)
        return true;
    respond_error(r, 503, "busy", NULL,
                  "requests hold too much memory at this moment; try again later");
    return false;
}

/* --- what the header alone decides --- */

static enum MHD_Result header_count(void *arg, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    unsigned *n = arg;
    (void)kind;
    (void)value;
    n[0] += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    n[1] += strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    return MHD_YES;
}

/* How long the body is must be said once: two readers that take different words for it would
 * part a stream of requests differently. */
static bool body_length(struct request *r, uint64_t *out)
{
    const char *length = request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *coding = request_header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    unsigned n[2] = {0, 0};
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, header_count, n);
    *out = 0;
    r->chunked = coding != NULL;
    bool coded = coding != NULL && strcasecmp(coding, "chunked") != 0;
    bool counted = length == NULL || hlc_parse(bytes_str(length), out) == OK;
    if (n[0] + n[1] <= 1 && !coded && counted)
        return true;
    r->unframed = true;
    respond_error(r, 400, "bad_header", coded ? "Transfer-Encoding" : "Content-Length",
                  "a body's length is said once: as Content-Length, or by chunks");
    return false;
}

static bool body_fits(struct request *r, const char *method)
{
    unsigned flags = r->route->flags;
    bool none = !r->chunked && request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH) == NULL;
    bool sends = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
    if (sends && none && (flags & (ROUTE_NO_BODY | ROUTE_EMPTY_OK)) == 0) {
        respond_error(r, 411, "length_required", NULL, "a body needs a length, or chunks");
        return false;
    }
    if (r->length > r->server->options.request_max && (flags & ROUTE_STREAMS) == 0) {
        respond_error(r, 413, "request_too_large", NULL, "a request has at most %zu bytes",
                      r->server->options.request_max);
        return false;
    }
    return true;
}

/* While the store is away nobody waits for it in vain, and it is not asked more than it can
 * answer. */
static bool store_there(struct request *r)
{
    if ((r->route->flags & ROUTE_STORELESS) != 0 || !request_store_away(r))
        return true;
    respond_error(r, 503, "store_away", NULL, "the store does not answer; try again later");
    return false;
}

/* Who asks, and what the client has seen. */
static bool caller_read(struct request *r)
{
    const char *author = request_header(r, "Mic-Author");
    const char *hlc = request_header(r, "Mic-Hlc");
    if (hlc != NULL && hlc_parse(bytes_str(hlc), &r->caller.hlc) != OK) {
        respond_error(r, 400, "bad_header", "Mic-Hlc", "Mic-Hlc is to be a decimal number");
        return false;
    }
    if (author != NULL)
        r->caller.author = bytes_str(author);
    bool named = r->caller.author.len > 0 && r->caller.author.len <= AUTHOR_LEN_MAX &&
                 utf8_ok(r->caller.author);
    if (named)
        r->caller.owner = owner_of(r->caller.author);
    if ((r->route->flags & ROUTE_WRITES) == 0)
        return true;
    if (!named) {
        respond_error(r, 400, "author_missing", "Mic-Author",
                      "say who writes in the header Mic-Author: 1 to %u bytes of UTF-8",
                      AUTHOR_LEN_MAX);
        return false;
    }
    struct problem problem;
    if (service_admit(r->service, &r->caller, &problem) != OK) {
        respond_problem(r, &problem);
        return false;
    }
    return true;
}

static bool route_of(struct request *r, const char *method, const char *url,
                     struct bytes *project)
{
    if (r->url_cut) {
        respond_error(r, 400, "bad_url", NULL, "an address has no NUL in it");
        return false;
    }
    struct route_match match = route_find(method, arena_str(&r->arena, bytes_str(url)));
    if (match.route == NULL && match.methods != 0) {
        respond_error(r, 405, "method_not_allowed", NULL, "%s is not for this path", method);
        respond_header(r, MHD_HTTP_HEADER_ALLOW, "%s", route_methods(match.methods));
        return false;
    }
    if (match.route == NULL) {
        respond_error(r, 404, "no_such_route", NULL, "there is nothing under this path");
        return false;
    }
    r->route = match.route;
    r->rest = match.rest;
    *project = match.project;
    return true;
}

/* Finds the route, and refuses what can be refused before the body is there. */
static void request_begin(struct request *r, const char *method, const char *url)
{
    struct bytes project = {0};
    r->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (atomic_load(&r->server->stopping)) {
        r->unframed = true;
        respond_error(r, 503, "stopping", NULL, "this server is going down");
        return;
    }
    struct problem problem;
    if (!body_length(r, &r->length) || !route_of(r, method, url, &project) ||
        !body_fits(r, method) || !store_there(r) || !caller_read(r))
        return;
    if (project.len > 0 &&
        service_project_find(r->service, project, &r->project, &problem) != OK) {
        respond_problem(r, &problem);
        return;
    }
    bool small = !r->chunked && r->length <= INLINE_CONTENT_MAX;
    if ((r->route->flags & ROUTE_STREAMS) != 0 &&
        !(small && (r->route->flags & ROUTE_SMALL_WHOLE) != 0))
        r->upload = upload_open(r->repo, &r->project);
}

/* An answer before the body closes the connection. So it is given only where the body would not
 * end, or not soon, or where the client asks before it sends. */
static bool answer_now(struct request *r)
{
    const char *expect = request_header(r, MHD_HTTP_HEADER_EXPECT);
    return r->status != 0 && (r->unframed || r->length > SWALLOW_MAX ||
                              (expect != NULL && (r->length > 0 || r->chunked)));
}

/* --- the body --- */

static void upload_add(struct request *r, struct bytes data)
{
    uint64_t most = (uint64_t)UPLOAD_CHUNKS * r->repo->bucket.chunk_size;
    uint64_t left = r->held < most ? most - r->held : 0;
    if (!request_hold(r, data.len < left ? data.len : left))
        return;
    int err = upload_write(r->upload, data);
    if (err == OK)
        return;
    struct problem problem;
    service_problem(&problem, err, "the upload");
    respond_problem(r, &problem);
}

/* Takes in a piece of the body. False: there is no end of it. */
static bool body_add(struct request *r, const char *data, size_t len)
{
    r->came += len;
    bool wanted = r->status == 0 && (r->route->flags & ROUTE_NO_BODY) == 0;
    if (wanted && r->upload != NULL) {
        upload_add(r, bytes_of(data, len));
    } else if (wanted && r->came > r->server->options.request_max) {
        respond_error(r, 413, "request_too_large", NULL, "a request has at most %zu bytes",
                      r->server->options.request_max);
    } else if (wanted && request_hold(r, len)) {
        buf_append(&r->body, data, len);
        return true;
    }
    if (r->status != 0)
        buf_release(&r->body);
    return (r->upload != NULL && r->status == 0) || r->came <= SWALLOW_MAX ||
           r->came <= r->length;
}

/* --- answers --- */

static ssize_t source_next(void *arg, uint64_t offset, char *out, size_t max)
{
    struct request *r = arg;
    if (offset >= r->source.size)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (offset < r->ahead) {
        size_t len = r->ahead - (size_t)offset < max ? r->ahead - (size_t)offset : max;
        memcpy(out, r->out.data + offset, len);
        return (ssize_t)len;
    }
    uint64_t left = r->source.size - offset;
    size_t len = left < max ? (size_t)left : max;
    buf_clear(&r->out);
    int err = r->source.read(r->source.arg, offset, len, &r->out);
    if (err != OK || r->out.len == 0 || r->out.len > max) {
        /* The status line is out: an answer cut short is all that can still be said. */
        log_error("answer_cut_short", LOG_STR("route", r->route->pattern), LOG_ERR(err));
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    memcpy(out, r->out.data, r->out.len);
    return (ssize_t)r->out.len;
}

static ssize_t stream_next(void *arg, uint64_t offset, char *out, size_t max)
{
    struct request *r = arg;
    (void)offset;
    long n = r->stream.next(r->stream.arg, out, max);
    return n == STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)n;
}

static enum MHD_Result answer_queue(struct request *r)
{
    struct MHD_Response *response;
    if (r->stream.next != NULL)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
                                                     stream_next, r, NULL);
    else if (r->source.read != NULL)
        response = MHD_create_response_from_callback(r->source.size, SOURCE_BLOCK, source_next,
                                                     r, NULL);
    else
        response =
            MHD_create_response_from_buffer(r->out.len, r->out.data, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    for (size_t i = 0; i < r->n_headers; i++)
        MHD_add_response_header(response, r->headers[i].name, r->headers[i].value);
    if (r->unframed || atomic_load(&r->server->leaving))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    char hlc[24];
    snprintf(hlc, sizeof(hlc), "%llu", (unsigned long long)request_hlc(r));
    MHD_add_response_header(response, "Mic-Hlc", hlc);
    enum MHD_Result result = MHD_queue_response(r->connection, r->status, response);
    MHD_destroy_response(response);
    return result;
}

/* --- aside --- */

void request_aside_run(struct aside_work *work)
{
    struct request *r = work->r;
    bool waits = false;
    r->aside_waits = &waits;
    work->run(work->arg);
    /* When it waits it may be gone by now. */
    if (waits)
        return;
    r->aside_waits = NULL;
    request_resume(r);
}

/* Nothing is begun any more that would have to wait. */
static void handle_aside(void *arg)
{
    struct request *r = arg;
    if (atomic_load(&r->server->stopping))
        respond_error(r, 503, "stopping", NULL, "this server is going down");
    else
        r->route->handle(r);
}

static void request_handle(struct request *r)
{
    struct clock *clock = r->server->options.clock;
    r->caller.asked_us = clock->mono_us(clock);
    if ((r->route->flags & ROUTE_ASIDE) == 0) {
        r->route->handle(r);
        return;
    }
    request_suspend(r);
    request_aside(r, handle_aside, r);
}

/* --- the whole --- */

/* Once with the header, once with each piece of the body, once at its end; and once more when a
 * request that waited has its answer. */
enum MHD_Result request_piece(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *len, void **context)
{
    struct http_server *server = arg;
    struct request *r = *context;
    (void)connection;
    (void)version;
    if (!r->begun) {
        r->begun = true;
        request_begin(r, method, url);
        return answer_now(r) ? answer_queue(r) : MHD_YES;
    }
    if (*len > 0) {
        bool go_on = body_add(r, data, *len);
        *len = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (!r->dispatched) {
        r->dispatched = true;
        atomic_fetch_add(&server->unanswered, 1);
        if (r->status == 0)
            request_handle(r);
        /* Who has suspended does not look at the answer any more: another thread may be writing
         * it. It comes here again when the answer is whole. */
        if (r->suspended)
            return MHD_YES;
    } else if (r->again != NULL) {
        void (*run)(void *arg) = r->again;
        r->again = NULL;
        r->suspended = false;
        run(r->again_arg);
        if (r->suspended)
            return MHD_YES;
    }
    assert(r->status != 0);
    return answer_queue(r);
}
