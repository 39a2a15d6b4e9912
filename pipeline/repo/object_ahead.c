#include "pipeline/repo/object_ahead.h"

#include "formats/base/limits.h"

/* Bytes of the first read that is longer than its part, and of the longest; and what a way
 * holds at most, unless a part is longer. */
#define WINDOW_MIN (64u * KIB)
#define WINDOW_MAX (2u * MIB)
/* Each read takes so many times what the last one took, unless less than one part in so many of
 * that was asked for. */
#define WINDOW_GROWS 4u

void object_ahead_release(struct object_ahead *ahead)
{
    for (unsigned i = 0; i < OBJECT_AHEAD_WAYS; i++)
        buf_release(&ahead->ways[i].bytes);
}

static uint64_t way_end(const struct object_way *way)
{
    return way->from + way->bytes.len;
}

static uint64_t part_end(const struct location *where)
{
    return (uint64_t)where->offset + where->len;
}

static bool in_object(const struct object_way *way, const struct location *where)
{
    return way->bytes.len > 0 && hash_equal(&way->tree, &where->tree);
}

static bool has(const struct object_way *way, const struct location *where)
{
    return in_object(way, where) && where->offset >= way->from &&
           part_end(where) <= way_end(way);
}

/* The first bytes of a part may have been read without its last ones, or the other way round;
 * and between two parts there may be some that nobody asks for. */
static bool lies_before(const struct object_way *way, const struct location *where)
{
    return in_object(way, where) && where->offset < way->from &&
           part_end(where) + WINDOW_MIN >= way->from && part_end(where) <= way_end(way);
}

static bool lies_behind(const struct object_way *way, const struct location *where)
{
    return in_object(way, where) && part_end(where) > way_end(way) &&
           where->offset <= way_end(way) + WINDOW_MIN && where->offset >= way->from;
}

/* The way that leads to the part; else the one that was not gone for the longest time. */
static struct object_way *way_for(struct object_ahead *ahead, const struct location *where)
{
    struct object_way *oldest = &ahead->ways[0];
    struct object_way *beside = NULL;
    for (unsigned i = 0; i < OBJECT_AHEAD_WAYS; i++) {
        struct object_way *way = &ahead->ways[i];
        if (has(way, where))
            return way;
        if (lies_before(way, where) || lies_behind(way, where))
            beside = way;
        if (way->used < oldest->used)
            oldest = way;
    }
    return beside != NULL ? beside : oldest;
}

/* How much is read beside what is there, when so much is missing. */
static uint64_t len_next(struct object_way *way, uint64_t missing)
{
    if (way->given < way->read / WINDOW_GROWS)
        way->window = WINDOW_MIN;
    uint64_t len = way->window > missing ? way->window : missing;
    way->window *= WINDOW_GROWS;
    if (way->window > WINDOW_MAX)
        way->window = WINDOW_MAX;
    way->read = len;
    way->given = 0;
    return len;
}

/* What is there stays, as far as it fits in: parts in a small piece of an object may come in
 * any order. */
static int read_behind(struct object_way *way, struct store *store, const char *key,
                       const struct location *where)
{
    uint64_t end = way_end(way);
    uint64_t len = len_next(way, part_end(where) - end);
    uint64_t wanted_from = where->offset < end ? where->offset : end;
    uint64_t spare = wanted_from - way->from;
    uint64_t over = way->bytes.len + len > WINDOW_MAX ? way->bytes.len + len - WINDOW_MAX : 0;
    uint64_t drop = over < spare ? over : spare;
    memmove(way->bytes.data, way->bytes.data + drop, way->bytes.len - drop);
    way->bytes.len -= drop;
    way->from += drop;
    return store_get(store, key, range_of(end, len), &way->bytes, NULL, NULL);
}

static int read_before(struct object_way *way, struct store *store, const char *key,
                       const struct location *where)
{
    uint64_t len = len_next(way, way->from - where->offset);
    len = len < way->from ? len : way->from;
    AUTO_BUF old = way->bytes;
    uint64_t wanted = part_end(where) > way->from ? part_end(where) - way->from : 0;
    uint64_t fits = len < WINDOW_MAX ? WINDOW_MAX - len : 0;
    uint64_t keep = wanted > fits ? wanted : fits;
    way->bytes = (struct buf){0};
    way->from -= len;
    int err = store_get(store, key, range_of(way->from, len), &way->bytes, NULL, NULL);
    if (err != OK || way->bytes.len != len)
        return err;
    buf_append(&way->bytes, old.data, keep < old.len ? (size_t)keep : old.len);
    return OK;
}

static int way_read(struct object_way *way, struct store *store, const char *key,
                    const struct location *where)
{
    int err;
    if (lies_behind(way, where)) {
        err = read_behind(way, store, key, where);
    } else if (lies_before(way, where)) {
        err = read_before(way, store, key, where);
    } else {
        buf_release(&way->bytes);
        way->tree = where->tree;
        way->from = where->offset;
        way->window = WINDOW_MIN;
        way->read = where->len;
        way->given = 0;
        err =
            store_get(store, key, range_of(where->offset, where->len), &way->bytes, NULL, NULL);
    }
    if (err != OK)
        buf_clear(&way->bytes);
    return err;
}

int object_ahead_get(struct object_ahead *ahead, struct store *store, const char *key,
                     const struct location *where, struct bytes *out)
{
    struct object_way *way = way_for(ahead, where);
    way->used = ++ahead->uses;
    int err = has(way, where) ? OK : way_read(way, store, key, where);
    if (err == OK && !has(way, where))
        err = ERR_CORRUPT;
    if (err != OK)
        return err;
    way->given += where->len;
    *out = bytes_of(way->bytes.data + (where->offset - way->from), where->len);
    return OK;
}
