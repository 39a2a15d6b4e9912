#include "api/client/range.h"

#include <stdlib.h>

/* Over a gap of so many bytes it is cheaper to read on than to ask anew. */
#define RANGE_GAP (64u * 1024)
/* A read that is longer gains nothing, and its bytes are held in memory. */
#define RANGE_LONG (2u * 1024 * 1024)

struct one {
    struct range_read *read;
    int err;
};

static struct range_read *one_next(void *arg)
{
    struct one *one = arg;
    struct range_read *read = one->read;
    one->read = NULL;
    return read;
}

static int one_done(void *arg, struct range_read *read)
{
    struct one *one = arg;
    one->err = read->err;
    return OK;
}

int range_read_one(struct range_source *source, struct range_read *read, struct buf *out)
{
    struct one one = {.read = read, .err = ERR_UNKNOWN};
    struct range_feed feed = {.next = one_next, .done = one_done, .arg = &one};
    int err = source->many(source, &feed);
    if (err == OK)
        err = one.err;
    if (err == OK)
        buf_append_bytes(out, buf_bytes(&read->body));
    buf_release(&read->body);
    return err;
}

static int item_order(const void *a, const void *b)
{
    const struct range_item *left = a;
    const struct range_item *right = b;
    int c = hash_compare(&left->tree, &right->tree);
    return c != 0 ? c : (left->offset > right->offset) - (left->offset < right->offset);
}

struct bytes range_item_bytes(const struct range_group *group, const struct range_item *item)
{
    size_t at = (size_t)(item->offset - group->offset);
    assert(at + item->len <= group->body.len);
    return bytes_of(group->body.data + at, item->len);
}

/* A group under way: the read comes first, so that a read leads back to it. */
struct trip {
    struct range_read read;
    const struct range_item *items;
    size_t n;
};

struct fetch {
    const struct range_item *items;
    size_t n;
    size_t at;
    range_group_fn fn;
    void *arg;
};

static struct range_read *fetch_next(void *arg)
{
    struct fetch *fetch = arg;
    if (fetch->at == fetch->n)
        return NULL;
    struct trip *trip = calloc(1, sizeof(*trip));
    if (trip == NULL)
        abort();
    const struct range_item *first = &fetch->items[fetch->at];
    uint64_t end = (uint64_t)first->offset + first->len;
    size_t n = 1;
    for (; fetch->at + n < fetch->n; n++) {
        const struct range_item *item = &first[n];
        uint64_t item_end = (uint64_t)item->offset + item->len;
        if (!hash_equal(&item->tree, &first->tree) || item->offset > end + RANGE_GAP ||
            item_end > (uint64_t)first->offset + RANGE_LONG)
            break;
        end = item_end > end ? item_end : end;
    }
    trip->items = first;
    trip->n = n;
    trip->read = (struct range_read){
        .tree = first->tree, .offset = first->offset, .len = end - first->offset};
    fetch->at += n;
    return &trip->read;
}

static int fetch_done(void *arg, struct range_read *read)
{
    struct fetch *fetch = arg;
    struct trip *trip = (struct trip *)read;
    int err = read->err;
    if (err == OK && read->body.len != read->len)
        err = ERR_CORRUPT;
    struct range_group group = {
        .items = trip->items, .n = trip->n, .offset = read->offset, .body = read->body};
    if (err == OK)
        err = fetch->fn(fetch->arg, &group);
    buf_release(&group.body);
    free(trip);
    return err;
}

int range_fetch(struct range_source *source, struct range_item *items, size_t n,
                range_group_fn fn, void *arg)
{
    if (n == 0)
        return OK;
    qsort(items, n, sizeof(*items), item_order);
    struct fetch fetch = {.items = items, .n = n, .fn = fn, .arg = arg};
    struct range_feed feed = {.next = fetch_next, .done = fetch_done, .arg = &fetch};
    return source->many(source, &feed);
}
