#include "formats/gc.h"

#include "formats/base/wire.h"

#define VERSION 1u

static const char magic[4] = "MCOL";

const char *gc_state_name(enum gc_state state)
{
    switch (state) {
    case GC_OPEN:
        return "open";
    case GC_COOLING:
        return "cooling";
    case GC_CLOSED:
        break;
    }
    return "closed";
}

int gc_name_compare(const struct gc_name *a, const struct gc_name *b)
{
    if (a->what != b->what)
        return a->what < b->what ? -1 : 1;
    return memcmp(a->hash.b, b->hash.b, sizeof(a->hash.b));
}

bool gc_has(const struct gc *gc, const struct gc_name *name)
{
    size_t low = 0;
    size_t high = gc->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = gc_name_compare(&gc->names[mid], name);
        if (order == 0)
            return true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* Whether the fields agree; the names are looked at one by one. */
static bool fields_ok(const struct gc *gc)
{
    if (gc->state < GC_OPEN || gc->state > GC_CLOSED || id16_is_zero(&gc->run))
        return false;
    return (gc->state == GC_COOLING) == (gc->until_ms != 0) &&
           (gc->state == GC_CLOSED) == (gc->n == 0);
}

static bool name_ok(const struct gc_name *name, const struct gc_name *before)
{
    return (name->what == GC_TREE || name->what == GC_BLOB) &&
           (before == NULL || gc_name_compare(before, name) < 0);
}

void gc_encode(const struct gc *gc, struct buf *out)
{
    assert(fields_ok(gc) && gc->n <= GC_NAMES_MAX);
    size_t at = envelope_begin(out, magic, VERSION);
    wr_id16(out, &gc->run);
    wr_u64(out, gc->count);
    wr_u8(out, (uint8_t)gc->state);
    wr_u64(out, gc->opened_ms);
    wr_u64(out, gc->until_ms);
    wr_u32(out, gc->n);
    for (uint32_t i = 0; i < gc->n; i++) {
        assert(name_ok(&gc->names[i], i > 0 ? &gc->names[i - 1] : NULL));
        wr_u8(out, (uint8_t)gc->names[i].what);
        wr_hash(out, &gc->names[i].hash);
    }
    envelope_close(out, at);
}

int gc_decode(struct bytes in, struct arena *arena, struct gc *out)
{
    struct reader r;
    int err = envelope_open(in, magic, VERSION, &r);
    if (err != OK)
        return err;
    struct gc gc;
    gc.run = rd_id16(&r);
    gc.count = rd_u64(&r);
    gc.state = (enum gc_state)rd_u8(&r);
    gc.opened_ms = rd_u64(&r);
    gc.until_ms = rd_u64(&r);
    gc.n = rd_count(&r, GC_NAME_LEN, GC_NAMES_MAX);
    if (rd_error(&r) != OK)
        return rd_error(&r);
    gc.names = arena_array(arena, gc.n, struct gc_name);
    for (uint32_t i = 0; i < gc.n; i++) {
        gc.names[i].what = (enum gc_what)rd_u8(&r);
        gc.names[i].hash = rd_hash(&r);
        if (!name_ok(&gc.names[i], i > 0 ? &gc.names[i - 1] : NULL))
            rd_fail(&r, ERR_CORRUPT);
    }
    err = rd_end(&r);
    if (err != OK)
        return err;
    if (!fields_ok(&gc))
        return ERR_CORRUPT;
    *out = gc;
    return OK;
}
