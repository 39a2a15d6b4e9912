#include "pipeline/store/s3_inside.h"

#include <stdio.h>
#include <strings.h>

#define PAUSE_MS        50u /* before the second try, on average; then twice as long each time */
#define RACE_PAUSE_MS   10u
#define PAUSE_MOST_MS   2000u    /* a server that wants more rest is the caller's to wait for */
#define TRY_WITHIN_US   5000000u /* of the first try; what takes longer is the caller's, too */
#define CLOCKS_APART_MS 5000
#define SAY_EVERY_US    1000000u   /* trouble that comes and goes */
#define SAY_RARELY_US   300000000u /* trouble that stays is told ever more rarely, up to this */
#define READS           (S3_GET | S3_HEAD | S3_LIST)

/* ---- what went wrong ---- */

/* A server may well repeat what it was sent. */
static bool tells_a_secret(const struct s3_store *s3, const char *what)
{
    return strstr(what, s3->secret_access_key) != NULL ||
           (s3->session_token[0] != '\0' && strstr(what, s3->session_token) != NULL);
}

void s3_say(struct s3_store *s3, bool ordinary, const char *verb, const char *name, int err,
            const char *what)
{
    uint64_t now = s3->clock->mono_us(s3->clock);
    if (tells_a_secret(s3, what)) {
        what = "the answer repeats a secret";
    }
    (void)pthread_mutex_lock(&s3->lock);
    (void)snprintf(s3->why, sizeof(s3->why), "%s %s: %s", verb, name, what);
    if (!atomic_load(&s3->troubled) || s3->quiet_us == 0) {
        s3->quiet_us = SAY_EVERY_US;
    }
    bool quiet = s3->said_at_us != 0 && now - s3->said_at_us < s3->quiet_us;
    uint64_t left_out = s3->left_out;
    if (!ordinary) {
        s3->left_out = quiet ? left_out + 1 : 0;
        s3->said_at_us = quiet ? s3->said_at_us : now;
        if (!quiet && s3->quiet_us < SAY_RARELY_US) {
            s3->quiet_us *= 2;
        }
        atomic_store(&s3->troubled, true);
    }
    (void)pthread_mutex_unlock(&s3->lock);
    if (ordinary) {
        log_debug("s3_lost_race", LOG_STR("verb", verb), LOG_STR("key", name), LOG_ERR(err),
                  LOG_STR("why", what));
    } else if (!quiet) {
        log_warn("s3_trouble", LOG_STR("verb", verb), LOG_STR("key", name), LOG_ERR(err),
                 LOG_STR("why", what), LOG_U64("left_out", left_out));
    }
}

/* Ceph says 500 of an ordinary lost race. */
static bool is_lost_race(const struct s3_call *call)
{
    bool condition = (call->what & (S3_PUT_IF_MATCH | S3_PUT_IF_ABSENT)) != 0;
    return condition && call->http.err == OK && call->http.status == 500;
}

static bool is_page(const struct http_call *http)
{
    struct bytes type;
    return http_header(http, "content-type", &type) && type.len >= 9 &&
           strncasecmp((const char *)type.data, "text/html", 9) == 0;
}

static void say_call(const struct s3_call *call, const struct s3_error *error)
{
    const struct http_call *http = &call->http;
    char what[S3_WHY_MAX - 64];
    struct bytes region = {0};
    if (http->err != OK) {
        (void)snprintf(what, sizeof(what), "%s", http->why);
    } else if (call->odd != NULL) {
        (void)snprintf(what, sizeof(what), "%d, but %s", http->status, call->odd);
    } else {
        int len = snprintf(what, sizeof(what), "%d%s%s%s%s%s%s", http->status,
                           is_page(http) ? ", a page of something between" : "",
                           error->code[0] != '\0' ? " " : "", error->code,
                           error->message[0] != '\0' ? " (" : "", error->message,
                           error->message[0] != '\0' ? ")" : "");
        if (error->region[0] != '\0') {
            region = bytes_str(error->region);
        } else {
            (void)http_header(http, "x-amz-bucket-region", &region);
        }
        if (len > 0 && (size_t)len < sizeof(what) && region.len > 0 && region.len < 64) {
            (void)snprintf(what + len, sizeof(what) - (size_t)len,
                           "; the bucket is in region %.*s", (int)region.len,
                           (const char *)region.data);
        }
    }
    s3_say(call->s3, is_lost_race(call), call->what == S3_LIST ? "LIST" : http->method,
           (const char *)call->key.data, call->err, what);
}

/* ---- what an answer teaches ---- */

uint64_t s3_date_ms(struct s3_store *s3)
{
    uint64_t now_us = s3->clock->mono_us(s3->clock);
    uint64_t wall_ms = s3->clock->wall_ms(s3->clock);
    (void)pthread_mutex_lock(&s3->lock);
    uint64_t date = s3->date_ms;
    int64_t since_ms = (int64_t)(now_us - s3->date_at_us) / 1000;
    int64_t apart_ms = (int64_t)(wall_ms - s3->wall_at_ms) - since_ms;
    (void)pthread_mutex_unlock(&s3->lock);
    if (date == 0 || apart_ms > CLOCKS_APART_MS || apart_ms < -CLOCKS_APART_MS) {
        return 0;
    }
    /* A Date has whole seconds; on average half of one has passed since. */
    return date + 500 + (since_ms > 0 ? (uint64_t)since_ms : 0);
}

static void learn(struct s3_store *s3, const struct http_call *http)
{
    uint64_t date;
    struct bytes server = {0};
    if (is_page(http)) {
        return;
    }
    uint64_t now_us = s3->clock->mono_us(s3->clock);
    uint64_t wall_ms = s3->clock->wall_ms(s3->clock);
    bool dated = http_date_ms(http, &date);
    (void)http_header(http, "server", &server);
    (void)pthread_mutex_lock(&s3->lock);
    if (dated) {
        s3->date_ms = date;
        s3->date_at_us = now_us;
        s3->wall_at_ms = wall_ms;
    }
    if (s3->server[0] == '\0' && server.len > 0) {
        (void)snprintf(s3->server, sizeof(s3->server), "%.*s", (int)server.len,
                       (const char *)server.data);
    }
    (void)pthread_mutex_unlock(&s3->lock);
}

bool s3_etag_ok(const struct etag *etag)
{
    size_t i = 0;
    for (; i < sizeof(etag->s) && etag->s[i] != '\0'; i++) {
        if (etag->s[i] <= ' ' || etag->s[i] > '~' || etag->s[i] == '"' || etag->s[i] == ',') {
            return false;
        }
    }
    return i > 0 && i < sizeof(etag->s);
}

/* A weak etag, W/"x", does not stand for the bytes, and no If-Match holds with it. */
bool s3_etag_read(const struct http_call *http, struct etag *out)
{
    struct bytes text;
    struct etag etag = {{0}};
    if (!http_header(http, "etag", &text)) {
        return false;
    }
    if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"') {
        text = bytes_of(text.data + 1, text.len - 2);
    }
    if (text.len >= sizeof(etag.s)) {
        return false;
    }
    memcpy(etag.s, text.data, text.len);
    if (!s3_etag_ok(&etag)) {
        return false;
    }
    *out = etag;
    return true;
}

/* ---- the answer ---- */

static int check_put(struct s3_call *call)
{
    if (s3_etag_read(&call->http, &call->op->etag)) {
        return OK;
    }
    call->odd = "it gives no strong ETag";
    return ERR_UNKNOWN;
}

static int check_list(struct s3_call *call)
{
    if (s3_page_parse(buf_bytes(&call->http.body), call->arena, &call->page) == OK) {
        return OK;
    }
    call->odd = "it gives no list";
    return ERR_AGAIN;
}

/* What came of the request that was just sent. */
static int judge(struct s3_call *call, struct s3_error *error)
{
    struct http_call *http = &call->http;
    bool reads = (call->what & READS) != 0;
    uint64_t after;
    if (http->err != OK) {
        if (http->err == ERR_LIMIT && (call->too_big || call->what == S3_LIST)) {
            return ERR_LIMIT;
        }
        bool unsure = http->err == ERR_UNKNOWN || http->err == ERR_LIMIT;
        return !unsure ? http->err : reads ? ERR_AGAIN : ERR_UNKNOWN;
    }
    learn(call->s3, http);
    if (http->status >= 300 && s3_error_parse(buf_bytes(&http->body), error) != OK) {
        *error = (struct s3_error){{0}, {0}, {0}};
    }
    if (call->what == S3_GET && http->status == 416) {
        return s3_get_check(call);
    }
    struct s3_status status = {.status = http->status,
                               .code = error->code,
                               .html = is_page(http),
                               .retry_after = http_retry_after_ms(http, &after)};
    int err = s3_provider_err(call->what, &status);
    if (err != OK || call->what == S3_DELETE) {
        return err;
    }
    if (call->what == S3_LIST) {
        return check_list(call);
    }
    return reads ? s3_get_check(call) : check_put(call);
}

/* Half to one and a half times what is due, so that those who were turned away together do not
 * come back together. -1: not any more. */
static int64_t pause_ms(const struct s3_call *call)
{
    const struct s3_store *s3 = call->s3;
    uint64_t pause = PAUSE_MS;
    uint64_t after = 0;
    if (call->http.status == 416) {
        return call->sent <= s3->tries ? 0 : -1;
    }
    uint64_t taken_us = s3->clock->mono_us(s3->clock) - call->begun_us;
    if (call->sent >= s3->tries || taken_us > TRY_WITHIN_US) {
        return -1;
    }
    if (call->http.err == OK && call->http.status == 409) {
        pause = RACE_PAUSE_MS;
    }
    pause <<= call->sent < 6 ? call->sent - 1 : 5;
    if (call->http.err == OK && http_retry_after_ms(&call->http, &after)) {
        pause = after > pause ? after : pause;
    }
    if (pause > PAUSE_MOST_MS) {
        return -1;
    }
    return (int64_t)(pause / 2 + rng_below(s3->rng, pause + 1));
}

static bool is_trouble(const struct s3_call *call)
{
    switch (call->err) {
    case OK:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
        return false;
    case ERR_INVALID:
        return call->http.err != OK || call->http.status >= 300;
    default:
        return true;
    }
}

int64_t s3_call_end(struct s3_call *call)
{
    struct s3_error error = {{0}, {0}, {0}};
    call->odd = NULL;
    call->err = judge(call, &error);
    if (call->err == ERR_AGAIN) {
        int64_t ms = pause_ms(call);
        if (ms >= 0) {
            s3_call_write(call);
            return ms;
        }
    }
    if (call->err != OK && (call->what & (S3_GET | S3_HEAD)) != 0 && call->op->body != NULL) {
        call->op->body->len = call->body_at;
    }
    if (is_trouble(call)) {
        say_call(call, &error);
    } else if (atomic_load(&call->s3->troubled)) {
        atomic_store(&call->s3->troubled, false);
    }
    return -1;
}

static struct http_call *one_next(void *arg)
{
    struct s3_call *call = arg;
    if (call->busy) {
        return NULL;
    }
    call->busy = true;
    return &call->http;
}

static int64_t one_again(void *arg, struct http_call *http)
{
    (void)http;
    return s3_call_end(arg);
}

static int one_done(void *arg, struct http_call *http)
{
    (void)arg;
    (void)http;
    return OK;
}

int s3_call_run(struct s3_call *call)
{
    struct http_client *client;
    call->err = ERR_AGAIN;
    if (http_pool_take(call->s3->pool, &client) != OK) {
        return call->err;
    }
    /* Should the client break down, nobody knows what became of the request. */
    call->err = (call->what & READS) != 0 ? ERR_AGAIN : ERR_UNKNOWN;
    const struct http_feed feed = {
        .next = one_next, .done = one_done, .again = one_again, .arg = call};
    int err = http_many(client, 1, &feed);
    http_pool_give(call->s3->pool, client);
    return call->err != OK ? call->err : err;
}

void s3_call_release(struct s3_call *call)
{
    http_call_release(&call->http);
    buf_release(&call->key);
    buf_release(&call->url);
    buf_release(&call->lines);
}
