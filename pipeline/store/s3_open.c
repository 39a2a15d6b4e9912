#include "pipeline/store/s3.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "pipeline/store/s3_inside.h"

#define CONCURRENCY 32u
#define TRIES       4u
#define CONNECT_MS  3000u
#define STALL_MS    20000u
#define TIMEOUT_MS  300000u
#define BUFFER_SIZE (64u * 1024)
#define PREFIX_MAX  255u
#define BUCKET_MAX  255u

static int refuse(char why[S3_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(char why[S3_WHY_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, S3_WHY_MAX, fmt, args);
    va_end(args);
    return ERR_INVALID;
}

/* The rules for names differ between providers; this is what fits into an address. */
static bool bucket_ok(const char *bucket)
{
    size_t len = strlen(bucket);
    for (size_t i = 0; i < len; i++) {
        char c = bucket[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!plain || (c == '.' && (i == 0 || i + 1 == len || bucket[i + 1] == '.'))) {
            return false;
        }
    }
    return len > 0 && len <= BUCKET_MAX;
}

static bool prefix_ok(const char *prefix)
{
    return prefix[0] == '\0' || (strlen(prefix) <= PREFIX_MAX && store_key_ok(prefix));
}

int s3_place_parse(const char *text, struct arena *arena, const char **bucket,
                   const char **prefix)
{
    static const char scheme[] = "s3://";
    if (strncmp(text, scheme, sizeof(scheme) - 1) != 0) {
        return ERR_INVALID;
    }
    text += sizeof(scheme) - 1;
    size_t len = strcspn(text, "/");
    const char *name = arena_str(arena, bytes_of(text, len));
    const char *rest = text[len] == '/' ? text + len + 1 : "";
    size_t rest_len = strlen(rest);
    if (rest_len > 0 && rest[rest_len - 1] == '/') {
        rest_len--;
    }
    const char *inside = arena_str(arena, bytes_of(rest, rest_len));
    if (!bucket_ok(name) || !prefix_ok(inside)) {
        return ERR_INVALID;
    }
    *bucket = name;
    *prefix = inside;
    return OK;
}

/* What goes into a header or a URL as it is. */
static bool word_ok(const char *word, const char *without)
{
    for (; *word != '\0'; word++) {
        if (*word <= ' ' || *word > '~' || strchr(without, *word) != NULL) {
            return false;
        }
    }
    return true;
}

static const char *given(const char *s)
{
    return s == NULL ? "" : s;
}

static bool wants_virtual(const struct s3_options *o, const char *host)
{
    switch (o->addressing) {
    case S3_ADDRESS_PATH:
        return false;
    case S3_ADDRESS_VIRTUAL:
        return true;
    case S3_ADDRESS_AUTO:
        break;
    }
    /* A certificate of *.s3.amazonaws.com does not cover a name with a dot. */
    return s3_provider_guess(host, "", false) == S3_AWS && strchr(o->bucket, '.') == NULL;
}

/* Splits scheme://host[:port][/path] and puts the bucket where it belongs. */
static int set_endpoint(struct s3_store *s3, const struct s3_options *o, char why[S3_WHY_MAX])
{
    struct arena *a = &s3->strings;
    const char *endpoint = given(o->endpoint);
    if (endpoint[0] == '\0') {
        endpoint = arena_printf(a, "https://s3.%s.amazonaws.com", s3->region);
    }
    bool tls = strncasecmp(endpoint, "https://", 8) == 0;
    if (!tls && strncasecmp(endpoint, "http://", 7) != 0) {
        return refuse(why, "the endpoint %s does not begin with http:// or https://", endpoint);
    }
    const char *host = endpoint + (tls ? 8 : 7);
    size_t host_len = strcspn(host, "/");
    const char *path = host + host_len;
    size_t path_len = strlen(path);
    while (path_len > 0 && path[path_len - 1] == '/') {
        path_len--;
    }
    if (host_len == 0 || !word_ok(endpoint, "?#@\"<>\\^`{|}")) {
        return refuse(why, "the endpoint is not of the form https://host:port");
    }
    const char *shown = arena_str(a, bytes_of(host, host_len));
    bool virtual = wants_virtual(o, shown);
    s3->host = virtual ? arena_printf(a, "%s.%s", o->bucket, shown) : shown;
    s3->base = arena_printf(a, "%s://%s", tls ? "https" : "http", s3->host);
    s3->path = arena_printf(a, "%.*s%s%s", (int)path_len, path, virtual ? "" : "/",
                            virtual ? "" : o->bucket);
    return OK;
}

static int check_options(const struct s3_options *o, char why[S3_WHY_MAX])
{
    if (!bucket_ok(given(o->bucket))) {
        return refuse(why, "this is no name of a bucket");
    }
    if (!prefix_ok(given(o->prefix))) {
        return refuse(why, "the prefix has other than letters, digits, '.', '_', '-' and '/', "
                           "begins with a dot, or is too long");
    }
    const char *region = given(o->region);
    if (region[0] == '\0' || strlen(region) > S3_REGION_MAX || !word_ok(region, "/")) {
        return refuse(why, "this is no region");
    }
    if (given(o->access_key_id)[0] == '\0' || given(o->secret_access_key)[0] == '\0') {
        return refuse(why, "there are no credentials: set AWS_ACCESS_KEY_ID and "
                           "AWS_SECRET_ACCESS_KEY in the environment, or s3_access_key_id and "
                           "s3_secret_access_key in the file of --config");
    }
    if (!word_ok(o->access_key_id, "/,") || !word_ok(o->secret_access_key, "") ||
        !word_ok(given(o->session_token), "")) {
        return refuse(why, "the credentials have characters that no credentials have");
    }
    return OK;
}

static uint64_t or_else(uint64_t value, uint64_t preset)
{
    return value != 0 ? value : preset;
}

static void set_options(struct s3_store *s3, const struct s3_options *o)
{
    struct arena *a = &s3->strings;
    s3->region = arena_str(a, bytes_str(o->region));
    s3->access_key_id = arena_str(a, bytes_str(o->access_key_id));
    s3->secret_access_key = arena_str(a, bytes_str(o->secret_access_key));
    s3->session_token = arena_str(a, bytes_str(given(o->session_token)));
    const char *prefix = given(o->prefix);
    s3->prefix = prefix[0] == '\0' ? "" : arena_printf(a, "%s/", prefix);
    s3->chosen = o->provider;
    s3->bare_etag = s3_provider(o->provider)->bare_etag;
    s3->concurrency = (unsigned)or_else(o->concurrency, CONCURRENCY);
    if (s3->concurrency > HTTP_PARALLEL_MAX) {
        s3->concurrency = HTTP_PARALLEL_MAX;
    }
    s3->tries = (unsigned)or_else(o->tries, TRIES);
    s3->timeout_ms = or_else(o->timeout_ms, TIMEOUT_MS);
    s3->clock = o->clock;
    s3->rng = o->rng;
}

int s3_store_open(const struct s3_options *o, struct store **out, char why[S3_WHY_MAX])
{
    int err = check_options(o, why);
    if (err != OK) {
        return err;
    }
    struct s3_store *s3 = calloc(1, sizeof(*s3));
    if (s3 == NULL || pthread_mutex_init(&s3->lock, NULL) != 0) {
        abort();
    }
    s3->store.calls = &s3_calls;
    set_options(s3, o);
    err = set_endpoint(s3, o, why);
    if (err != OK) {
        (void)pthread_mutex_destroy(&s3->lock);
        arena_release(&s3->strings);
        free(s3);
        return err;
    }
    const struct http_client_options http = {
        .connect_ms = or_else(o->connect_ms, CONNECT_MS),
        .stall_ms = or_else(o->stall_ms, STALL_MS),
        .tries = 1,
        .agent = "micelio",
        .ca_file = arena_str(&s3->strings, bytes_str(given(o->ca_file))),
        .buffer_size = BUFFER_SIZE,
        .clock = o->clock,
    };
    s3->pool = http_pool_open(&http);
    *out = &s3->store;
    return OK;
}
