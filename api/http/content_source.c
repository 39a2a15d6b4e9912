#include "api/http/content_source.h"

#include <stdlib.h>

static int content_source_read(void *arg, uint64_t offset, size_t len, struct buf *out)
{
    return content_read_at(arg, offset, len, out);
}

static void content_source_close(void *arg)
{
    content_close(arg);
}

struct source content_source(struct content_reader *reader)
{
    return (struct source){.size = content_size(reader),
                           .read = content_source_read,
                           .close = content_source_close,
                           .arg = reader};
}

struct object {
    struct store *store;
    char key[STORE_KEY_MAX + 1];
};

static int object_read(void *arg, uint64_t offset, size_t len, struct buf *out)
{
    struct object *object = arg;
    return store_get(object->store, object->key, range_of(offset, len), out, NULL, NULL);
}

struct source object_source(struct store *store, const char *key, uint64_t size)
{
    struct object *object = calloc(1, sizeof(*object));
    if (object == NULL)
        abort();
    object->store = store;
    memcpy(object->key, key, strlen(key) + 1);
    return (struct source){.size = size, .read = object_read, .close = free, .arg = object};
}
