#include "pipeline/store/s3_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "formats/base/hash.h"
#include "pipeline/sys/http_client.h"

#define DAY_LEN 8u

void s3_time(uint64_t ms, char out[S3_TIME_LEN + 1])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    size_t len = 0;
    if (gmtime_r(&seconds, &tm) != NULL) {
        len = strftime(out, S3_TIME_LEN + 1, "%Y%m%dT%H%M%SZ", &tm);
    }
    if (len != S3_TIME_LEN) { /* a year of five digits: no server takes it, whatever is said */
        memcpy(out, "19700101T000000Z", S3_TIME_LEN + 1);
    }
}

static struct hash chain(struct hash key, const char *word)
{
    return hmac_sha256(bytes_of(key.b, sizeof(key.b)), bytes_str(word));
}

struct s3_day_key s3_day_key(const char *secret, const char *day, const char *region,
                             const char *service)
{
    assert(strlen(region) <= S3_REGION_MAX && strlen(service) <= 16);
    struct s3_day_key out;
    char date[DAY_LEN + 1] = {0};
    (void)snprintf(date, sizeof(date), "%s", day);
    AUTO_BUF first = {0};
    buf_printf(&first, "AWS4%s", secret);
    out.key = hmac_sha256(buf_bytes(&first), bytes_str(date));
    explicit_bzero(first.data, first.len);
    out.key = chain(chain(chain(out.key, region), service), "aws4_request");
    (void)snprintf(out.scope, sizeof(out.scope), "%s/%s/%s/aws4_request", date, region,
                   service);
    return out;
}

static int compare_params(const void *a, const void *b)
{
    const struct s3_param *one = a;
    const struct s3_param *two = b;
    int c = strcmp(one->name, two->name);
    return c != 0 ? c : strcmp(one->value, two->value);
}

/* The order is that of the escaped names, then of the escaped values. */
void s3_query(struct buf *out, const struct s3_param *params, size_t n)
{
    assert(n <= S3_PARAMS_MAX);
    struct s3_param escaped[S3_PARAMS_MAX];
    struct buf words[S3_PARAMS_MAX * 2] = {0};
    for (size_t i = 0; i < n; i++) {
        struct buf *name = &words[i * 2];
        struct buf *value = &words[i * 2 + 1];
        http_escape(name, bytes_str(params[i].name), false);
        http_escape(value, bytes_str(params[i].value), false);
        buf_append(name, "", 1);
        buf_append(value, "", 1);
        escaped[i] = (struct s3_param){(const char *)name->data, (const char *)value->data};
    }
    qsort(escaped, n, sizeof(escaped[0]), compare_params);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s%s=%s", i > 0 ? "&" : "", escaped[i].name, escaped[i].value);
    }
    for (size_t i = 0; i < n * 2; i++) {
        buf_release(&words[i]);
    }
}

/* A header's value without spaces around it, and runs of spaces as one. */
static void trimmed(struct buf *out, const char *value)
{
    const char *end = value + strlen(value);
    while (*value == ' ') {
        value++;
    }
    while (end > value && end[-1] == ' ') {
        end--;
    }
    for (; value < end; value++) {
        if (*value != ' ' || value[-1] != ' ') {
            buf_append(out, value, 1);
        }
    }
}

struct hash_hex s3_signature(const struct s3_day_key *key, const struct s3_request *request,
                             struct buf *signed_names)
{
    assert(request->n_headers <= S3_PARAMS_MAX);
    struct s3_param headers[S3_PARAMS_MAX];
    memcpy(headers, request->headers, request->n_headers * sizeof(headers[0]));
    qsort(headers, request->n_headers, sizeof(headers[0]), compare_params);
    AUTO_BUF text = {0};
    buf_printf(&text, "%s\n%s\n%s\n", request->method, request->path, request->query);
    size_t names_at = signed_names->len;
    for (size_t i = 0; i < request->n_headers; i++) {
        buf_printf(&text, "%s:", headers[i].name);
        trimmed(&text, headers[i].value);
        buf_append(&text, "\n", 1);
        buf_printf(signed_names, "%s%s", i > 0 ? ";" : "", headers[i].name);
    }
    buf_append(&text, "\n", 1);
    buf_append(&text, signed_names->data + names_at, signed_names->len - names_at);
    buf_printf(&text, "\n%s", request->payload);
    struct hash canonical = sha256(buf_bytes(&text));
    buf_clear(&text);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", request->time, key->scope,
               hash_hex(&canonical).s);
    struct hash signature =
        hmac_sha256(bytes_of(key->key.b, sizeof(key->key.b)), buf_bytes(&text));
    return hash_hex(&signature);
}

void s3_sign(const struct s3_day_key *key, const char *access_key_id,
             const struct s3_request *request, struct buf *out)
{
    AUTO_BUF names = {0};
    struct hash_hex signature = s3_signature(key, request, &names);
    buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%.*s,Signature=%s",
               access_key_id, key->scope, (int)names.len, (const char *)names.data,
               signature.s);
}
