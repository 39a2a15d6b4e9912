#include "pipeline/store/store.h"

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

/* Whether `s` is a key or, with `prefix`, the beginning of one. */
static bool is_key(const char *s, bool prefix)
{
    size_t component = 0;
    size_t len = 0;
    for (; s[len] != '\0'; len++) {
        if (len == STORE_KEY_MAX) {
            return false;
        }
        if (s[len] == '/') {
            if (component == 0) {
                return false;
            }
            component = 0;
            continue;
        }
        if (!is_key_byte(s[len]) || (component == 0 && s[len] == '.') ||
            component == STORE_NAME_MAX) {
            return false;
        }
        component++;
    }
    return prefix || component > 0;
}

bool store_key_ok(const char *key)
{
    return is_key(key, false);
}

static void check_op(const struct store_op *op)
{
    assert(op->key != NULL);
    assert(op->verb != STORE_GET || op->body != NULL || op->range.kind == RANGE_NONE);
    assert(op->verb != STORE_PUT || op->data.data != NULL || op->data.len == 0);
}

int store_one(struct store *store, struct store_op *op)
{
    check_op(op);
    op->err = ERR_INVALID;
    return store_key_ok(op->key) ? store->calls->one(store, op) : op->err;
}

int store_get(struct store *store, const char *key, struct store_range range, struct buf *body,
              struct etag *etag, uint64_t *size)
{
    struct store_op op = {
        .verb = STORE_GET,
        .key = key,
        .range = range,
        .want_etag = etag != NULL ? ETAG_ALWAYS : ETAG_NEVER,
        .body = body,
    };
    int err = store_one(store, &op);
    if (err == OK && etag != NULL) {
        *etag = op.etag;
    }
    if (err == OK && size != NULL) {
        *size = op.size;
    }
    return err;
}

int store_put(struct store *store, const char *key, struct bytes data,
              enum put_condition condition, struct etag *etag)
{
    assert(etag != NULL || condition != PUT_IF_MATCH);
    struct store_op op = {
        .verb = STORE_PUT,
        .key = key,
        .want_etag = etag != NULL ? ETAG_ALWAYS : ETAG_NEVER,
        .data = data,
        .condition = condition,
    };
    if (condition == PUT_IF_MATCH) {
        op.etag = *etag;
    }
    int err = store_one(store, &op);
    if (err == OK && etag != NULL) {
        *etag = op.etag;
    }
    return err;
}

int store_delete(struct store *store, const char *key)
{
    struct store_op op = {.verb = STORE_DELETE, .key = key};
    return store_one(store, &op);
}

int store_many(struct store *store, struct store_op *ops, size_t n)
{
    size_t good = 0; /* operations before i that have not been run yet */
    int first = OK;
    for (size_t i = 0; i <= n; i++) {
        if (i < n) {
            check_op(&ops[i]);
            if (store_key_ok(ops[i].key)) {
                good++;
                continue;
            }
            ops[i].err = ERR_INVALID;
        }
        int err = good == 0 ? OK : store->calls->many(store, &ops[i - good], good);
        good = 0;
        first = first != OK ? first : err;
        if (i < n && first == OK) {
            first = ERR_INVALID;
        }
    }
    return first;
}

int store_list(struct store *store, struct arena *arena, const char *prefix, const char *after,
               size_t max, struct store_list *out)
{
    if (!is_key(prefix, true)) {
        return ERR_INVALID;
    }
    max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX;
    return store->calls->list(store, arena, prefix, after, max, out);
}

uint64_t store_date_ms(struct store *store)
{
    return store->calls->date_ms(store);
}

uint32_t store_put_interval_ms(struct store *store)
{
    return store->calls->put_interval_ms == NULL ? 0 : store->calls->put_interval_ms(store);
}

void store_close(struct store *store)
{
    if (store != NULL) {
        store->calls->close(store);
    }
}

int range_resolve(struct store_range range, uint64_t size, uint64_t *offset, uint64_t *len)
{
    uint64_t from = 0;
    uint64_t most = size;
    switch (range.kind) {
    case RANGE_ALL:
        break;
    case RANGE_FROM:
        from = range.offset;
        most = range.len;
        break;
    case RANGE_SUFFIX:
        from = range.len < size ? size - range.len : 0;
        break;
    case RANGE_NONE:
        most = 0;
        break;
    }
    if (from > size) {
        return ERR_INVALID;
    }
    *offset = from;
    *len = most < size - from ? most : size - from;
    return OK;
}
