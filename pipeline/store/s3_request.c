/* How a request to S3 is made: its address, its headers, its signature. */
#include <stdio.h>

#include "formats/base/hash.h"
#include "pipeline/store/s3_inside.h"

#define LIST_BODY_MAX  (16u << 20)
#define ERROR_BODY_MAX (1u << 20)

static struct s3_day_key key_of_day(struct s3_store *s3, const char *time)
{
    (void)pthread_mutex_lock(&s3->lock);
    if (strncmp(s3->day, time, 8) != 0) {
        s3->day_key = s3_day_key(s3->secret_access_key, time, s3->region, "s3");
        (void)snprintf(s3->day, sizeof(s3->day), "%.8s", time);
    }
    struct s3_day_key key = s3->day_key;
    (void)pthread_mutex_unlock(&s3->lock);
    return key;
}

/* The headers that are signed; their values lie in `text`. */
struct headers {
    struct s3_param of[S3_PARAMS_MAX];
    size_t n;
    char time[S3_TIME_LEN + 1];
    char match[sizeof(struct etag) + 3];
};

static void add(struct headers *h, const char *name, const char *value)
{
    h->of[h->n++] = (struct s3_param){name, value};
}

static void gather_headers(const struct s3_call *call, struct headers *h)
{
    struct s3_store *s3 = call->s3;
    uint64_t now = s3_date_ms(s3);
    s3_time(now != 0 ? now : s3->clock->wall_ms(s3->clock), h->time);
    add(h, "host", s3->host);
    add(h, "x-amz-date", h->time);
    add(h, "x-amz-content-sha256", call->payload);
    if (s3->session_token[0] != '\0') {
        add(h, "x-amz-security-token", s3->session_token);
    }
    if (call->what == S3_PUT_IF_ABSENT) {
        add(h, "if-none-match", "*");
    } else if (call->what == S3_PUT_IF_MATCH) {
        const char *quote = atomic_load(&s3->bare_etag) ? "" : "\"";
        (void)snprintf(h->match, sizeof(h->match), "%s%s%s", quote, call->op->etag.s, quote);
        add(h, "if-match", h->match);
    }
    if (call->range[0] != '\0') {
        add(h, "range", call->range);
    }
}

void s3_call_write(struct s3_call *call)
{
    struct s3_store *s3 = call->s3;
    struct headers h = {.n = 0};
    if (call->op != NULL && call->op->verb == STORE_GET) {
        s3_get_write(call);
    }
    gather_headers(call, &h);
    buf_clear(&call->url);
    buf_append(&call->url, s3->base, strlen(s3->base));
    size_t path_at = call->url.len;
    buf_append(&call->url, s3->path, strlen(s3->path));
    if (call->what != S3_LIST) {
        buf_append(&call->url, "/", 1);
        http_escape(&call->url, bytes_of(call->key.data, call->key.len - 1), true);
    } else if (s3->path[0] == '\0') {
        buf_append(&call->url, "/", 1);
    }
    AUTO_BUF path = {0};
    buf_append(&path, call->url.data + path_at, call->url.len - path_at);
    buf_append(&path, "", 1);
    AUTO_BUF query = {0};
    s3_query(&query, call->params, call->n_params);
    if (query.len > 0) {
        buf_append(&call->url, "?", 1);
        buf_append_bytes(&call->url, buf_bytes(&query));
    }
    buf_append(&call->url, "", 1);
    buf_append(&query, "", 1);
    const struct s3_request request = {.method = call->http.method,
                                       .path = (const char *)path.data,
                                       .query = (const char *)query.data,
                                       .headers = h.of,
                                       .n_headers = h.n,
                                       .payload = call->payload,
                                       .time = h.time};
    struct s3_day_key key = key_of_day(s3, h.time);
    size_t at[HTTP_HEADERS_MAX] = {0};
    buf_clear(&call->lines);
    for (size_t i = 0; i < h.n; i++) {
        at[i] = call->lines.len;
        buf_printf(&call->lines, "%s: %s", h.of[i].name, h.of[i].value);
        buf_append(&call->lines, "", 1);
    }
    at[h.n] = call->lines.len;
    buf_printf(&call->lines, "authorization: ");
    s3_sign(&key, s3->access_key_id, &request, &call->lines);
    buf_append(&call->lines, "", 1);
    for (size_t i = 0; i <= h.n; i++) {
        call->http.headers[i] = (const char *)call->lines.data + at[i];
    }
    call->http.headers[h.n + 1] = NULL;
    call->http.url = (const char *)call->url.data;
    call->sent++;
}

int s3_call_begin(struct s3_call *call, struct s3_store *s3, enum s3_what what, const char *key)
{
    call->s3 = s3;
    call->what = what;
    call->err = ERR_AGAIN;
    call->sent = 0;
    call->begun_us = s3->clock->mono_us(s3->clock);
    call->by_head = false;
    call->range[0] = '\0';
    call->http.sink = (struct http_sink){.write = NULL};
    call->http.timeout_ms = s3->timeout_ms;
    call->http.body_max = what == S3_LIST ? LIST_BODY_MAX : ERROR_BODY_MAX;
    call->http.data = bytes_of(NULL, 0);
    buf_clear(&call->key);
    buf_printf(&call->key, "%s%s", s3->prefix, key);
    if (call->key.len > S3_KEY_MAX) {
        return ERR_INVALID;
    }
    buf_append(&call->key, "", 1);
    switch (what) {
    case S3_PUT_IF_MATCH:
        /* What is no etag matches nothing; as a header it might be taken for no condition. */
        if (!s3_etag_ok(&call->op->etag)) {
            return ERR_CONFLICT;
        }
        call->http.method = "PUT";
        call->http.data = call->op->data;
        break;
    case S3_PUT:
    case S3_PUT_IF_ABSENT:
        call->http.method = "PUT";
        call->http.data = call->op->data;
        break;
    case S3_DELETE:
        call->http.method = "DELETE";
        break;
    case S3_GET:
    case S3_HEAD:
        call->body_at = call->op->body == NULL ? 0 : call->op->body->len;
        break;
    case S3_LIST:
        call->http.method = "GET";
        break;
    }
    struct hash payload = sha256(call->http.data);
    (void)snprintf(call->payload, sizeof(call->payload), "%s", hash_hex(&payload).s);
    s3_call_write(call);
    return OK;
}
