#include "pipeline/store/mem.h"

#include <pthread.h>
#include <stdlib.h>

#include "pipeline/store/etag.h"

struct mem_object {
    char *key;
    uint8_t *data;
    size_t len;
    struct etag etag;
    uint64_t put_ms;
};

struct mem_store {
    struct store store;
    pthread_rwlock_t lock;
    struct mem_object **objects; /* sorted by key */
    size_t n;
    size_t cap;
    struct clock *clock; /* NULL: none */
};

static struct mem_store *mem_of(struct store *store)
{
    return (struct mem_store *)store;
}

static void *must_have(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static uint64_t mem_now_ms(const struct mem_store *mem)
{
    return mem->clock != NULL ? mem->clock->wall_ms(mem->clock) : 0;
}

/* The first place whose key is not less than `key`. */
static size_t place_of(const struct mem_store *mem, const char *key)
{
    size_t low = 0;
    size_t high = mem->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(mem->objects[mid]->key, key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct mem_object *object_at(const struct mem_store *mem, size_t at, const char *key)
{
    return at < mem->n && strcmp(mem->objects[at]->key, key) == 0 ? mem->objects[at] : NULL;
}

static void object_free(struct mem_object *object)
{
    free(object->key);
    free(object->data);
    free(object);
}

static int mem_get(const struct mem_store *mem, struct store_op *op)
{
    const struct mem_object *object = object_at(mem, place_of(mem, op->key), op->key);
    if (object == NULL) {
        return ERR_NOT_FOUND;
    }
    uint64_t offset;
    uint64_t len;
    int err = range_resolve(op->range, object->len, &offset, &len);
    if (err != OK) {
        return err;
    }
    if (len > 0) {
        buf_append(op->body, object->data + offset, (size_t)len);
    }
    op->size = object->len;
    op->etag = object->etag;
    return OK;
}

static int mem_put(struct mem_store *mem, struct store_op *op)
{
    size_t at = place_of(mem, op->key);
    struct mem_object *object = object_at(mem, at, op->key);
    bool conflict = op->condition == PUT_IF_ABSENT && object != NULL;
    if (op->condition == PUT_IF_MATCH) {
        conflict = object == NULL || !etag_equal(&object->etag, &op->etag);
    }
    if (conflict) {
        return ERR_CONFLICT;
    }
    if (object == NULL) {
        if (mem->n == mem->cap) {
            mem->cap = mem->cap == 0 ? 64 : mem->cap * 2;
            mem->objects =
                must_have(reallocarray(mem->objects, mem->cap, sizeof(*mem->objects)));
        }
        object = must_have(calloc(1, sizeof(*object)));
        object->key = must_have(strdup(op->key));
        memmove(mem->objects + at + 1, mem->objects + at,
                (mem->n - at) * sizeof(*mem->objects));
        mem->objects[at] = object;
        mem->n++;
    }
    uint8_t *data = must_have(malloc(op->data.len + 1));
    if (op->data.len > 0) {
        memcpy(data, op->data.data, op->data.len);
    }
    free(object->data);
    object->data = data;
    object->len = op->data.len;
    object->etag = etag_of(op->data);
    object->put_ms = mem_now_ms(mem);
    op->etag = object->etag;
    return OK;
}

static void mem_delete(struct mem_store *mem, const char *key)
{
    size_t at = place_of(mem, key);
    struct mem_object *object = object_at(mem, at, key);
    if (object != NULL) {
        mem->n--;
        memmove(mem->objects + at, mem->objects + at + 1,
                (mem->n - at) * sizeof(*mem->objects));
        object_free(object);
    }
}

static int mem_one(struct store *store, struct store_op *op)
{
    struct mem_store *mem = mem_of(store);
    if (op->verb == STORE_GET) {
        (void)pthread_rwlock_rdlock(&mem->lock);
    } else {
        (void)pthread_rwlock_wrlock(&mem->lock);
    }
    switch (op->verb) {
    case STORE_GET:
        op->err = mem_get(mem, op);
        break;
    case STORE_PUT:
        op->err = mem_put(mem, op);
        break;
    case STORE_DELETE:
        mem_delete(mem, op->key);
        op->err = OK;
        break;
    }
    (void)pthread_rwlock_unlock(&mem->lock);
    return op->err;
}

static int mem_many(struct store *store, struct store_op *ops, size_t n)
{
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        int err = mem_one(store, &ops[i]);
        first = first != OK ? first : err;
    }
    return first;
}

static int mem_list(struct store *store, struct arena *arena, const char *prefix,
                    const char *after, size_t max, struct store_list *out)
{
    struct mem_store *mem = mem_of(store);
    struct store_list list = {.keys = arena_array(arena, max, struct store_key)};
    size_t prefix_len = strlen(prefix);
    (void)pthread_rwlock_rdlock(&mem->lock);
    size_t at = place_of(mem, strcmp(prefix, after) > 0 ? prefix : after);
    at += object_at(mem, at, after) != NULL;
    for (; at < mem->n; at++) {
        const struct mem_object *object = mem->objects[at];
        if (strncmp(object->key, prefix, prefix_len) != 0) {
            break;
        }
        if (list.n == max) {
            list.more = true;
            break;
        }
        list.keys[list.n++] = (struct store_key){
            .key = arena_str(arena, bytes_str(object->key)),
            .size = object->len,
            .put_ms = object->put_ms,
        };
    }
    (void)pthread_rwlock_unlock(&mem->lock);
    *out = list;
    return OK;
}

static uint64_t mem_date_ms(struct store *store)
{
    return mem_now_ms(mem_of(store));
}

static void mem_close(struct store *store)
{
    struct mem_store *mem = mem_of(store);
    for (size_t i = 0; i < mem->n; i++) {
        object_free(mem->objects[i]);
    }
    free(mem->objects);
    (void)pthread_rwlock_destroy(&mem->lock);
    free(mem);
}

struct store *mem_store_open(void)
{
    static const struct store_calls calls = {
        .name = "mem",
        .one = mem_one,
        .many = mem_many,
        .list = mem_list,
        .date_ms = mem_date_ms,
        .close = mem_close,
    };
    struct mem_store *mem = must_have(calloc(1, sizeof(*mem)));
    mem->store.calls = &calls;
    if (pthread_rwlock_init(&mem->lock, NULL) != 0) {
        abort();
    }
    return &mem->store;
}

void mem_store_date(struct store *store, struct clock *clock)
{
    mem_of(store)->clock = clock;
}
