#include "pipeline/repo/collect/gc_put.h"

#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/store/etag.h"

#define TRIES_MAX  32u
#define BACKOFF_US 50000u

static int bytes_get(struct gc_object *object, struct buf *out, struct etag *etag)
{
    struct key key = key_gc(&object->project);
    int err = store_get(object->repo->store, key.s, range_all(), out, etag, NULL);
    return damage_unless_absent(object->repo, key.s, err);
}

int gc_object_read(struct gc_object *object, struct repo *repo, const struct id16 *project)
{
    AUTO_BUF bytes = {0};
    *object = (struct gc_object){.repo = repo, .project = *project};
    struct key key = key_gc(project);
    int err = bytes_get(object, &bytes, &object->etag);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK)
        err = damage_of(repo, key.s, gc_decode(buf_bytes(&bytes), &object->arena, &object->gc));
    object->there = err == OK;
    if (err == OK)
        memcpy(object->head, bytes.data, GC_HEAD_LEN);
    return err;
}

void gc_object_release(struct gc_object *object)
{
    arena_release(&object->arena);
}

/* Somebody has put it since: oneself, when what lies there is what was to be put. */
static int conflict_look(struct gc_object *object, struct bytes wanted)
{
    AUTO_BUF there = {0};
    struct etag etag;
    int err = bytes_get(object, &there, &etag);
    if (err == OK && bytes_equal(buf_bytes(&there), wanted)) {
        object->etag = etag;
        return OK;
    }
    return err == OK || err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
}

/* A put that is done again has the same bytes and the same condition: of all of them one can
 * take effect, whenever it comes. */
int gc_object_put(struct gc_object *object, struct gc *next)
{
    AUTO_BUF bytes = {0};
    struct clock *clock = object->repo->clock;
    struct key key = key_gc(&object->project);
    enum put_condition condition = object->there ? PUT_IF_MATCH : PUT_IF_ABSENT;
    bool doubt = false;
    int err = ERR_AGAIN;
    next->count = object->there ? object->gc.count + 1 : 1;
    gc_encode(next, &bytes);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        struct etag etag = object->etag;
        err = store_put(object->repo->store, key.s, buf_bytes(&bytes), condition, &etag);
        if (err == OK)
            object->etag = etag;
        if (err == ERR_CONFLICT)
            err = conflict_look(object, buf_bytes(&bytes));
        if (err != ERR_AGAIN && err != ERR_UNKNOWN)
            break;
        doubt |= err == ERR_UNKNOWN;
        clock->sleep_us(clock, BACKOFF_US);
    }
    if (err == OK) {
        object->there = true;
        object->gc = *next;
        memcpy(object->head, bytes.data, GC_HEAD_LEN);
    }
    return err == ERR_AGAIN && doubt ? ERR_UNKNOWN : err;
}

int gc_object_check(struct gc_object *object)
{
    AUTO_BUF begun = {0};
    struct key key = key_gc(&object->project);
    int err =
        store_get(object->repo->store, key.s, range_of(0, GC_HEAD_LEN), &begun, NULL, NULL);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    struct bytes head = bytes_of(object->head, GC_HEAD_LEN);
    return err == OK && bytes_equal(buf_bytes(&begun), head) ? OK : ERR_CONFLICT;
}
