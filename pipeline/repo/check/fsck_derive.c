#include "pipeline/repo/check/fsck_derive.h"

#include <stdlib.h>

#include "formats/derive_object.h"
#include "formats/page.h"
#include "pipeline/repo/check/fsck_blobs.h"
#include "pipeline/repo/derived/derive_segments.h"

/* Numbers of one agent that are missing and told one by one. */
#define MISSING_TOLD 16u

/* Numbers of an agent that are there. */
struct span {
    uint64_t agent;
    uint64_t first;
    uint64_t last;
};

/* A place that was told of, until it is looked at. */
struct tree_place {
    struct hash content;
    struct location where;
    struct key by;
};

struct derive_check {
    struct fsck_project *p;
    struct arena arena;
    struct span *spans;
    size_t n_spans;
    size_t cap_spans;
    uint64_t segment; /* the last one that was listed */
    bool gone;        /* an object that was listed: it has been merged since */
    struct fsck_gets objects;
    struct tree_place places[FSCK_AT_ONCE];
    struct fsck_gets pages;
};

static void span_add(struct derive_check *c, uint64_t agent, uint64_t first, uint64_t last)
{
    struct span *before = c->n_spans > 0 ? &c->spans[c->n_spans - 1] : NULL;
    if (before != NULL && before->agent == agent && before->last + 1 == first) {
        before->last = last;
        return;
    }
    struct span *span =
        arena_push(&c->arena, (void **)&c->spans, &c->n_spans, &c->cap_spans, sizeof(*span));
    *span = (struct span){.agent = agent, .first = first, .last = last};
}

/* --- places of trees --- */

static bool place_good(const struct tree_place *place, const struct store_op *op)
{
    AUTO(arena_release) struct arena arena = {0};
    struct page page;
    if (op->err != OK || op->body->len != place->where.len)
        return false;
    struct hash hash = page_hash(buf_bytes(op->body));
    if (!hash_equal(&hash, &place->where.check) ||
        page_decode(buf_bytes(op->body), &place->where.tree, &arena, &page) != OK)
        return false;
    struct hash content = page_content_hash(page.level, page.entries, page.n);
    return hash_equal(&content, &place->content);
}

static int places_run(struct derive_check *c)
{
    struct fsck *fsck = c->p->fsck;
    int err = fsck_gets_run(fsck, &c->pages);
    for (size_t i = 0; i < c->pages.n && err == OK; i++) {
        if (!place_good(&c->places[i], &c->pages.ops[i]))
            fsck_damage(fsck, "named", "derive_tree_differs", c->places[i].by.s,
                        "what it says of a tree does not lie at that place of %s",
                        c->pages.keys[i].s);
    }
    fsck_gets_clear(&c->pages);
    return err;
}

static int place_add(struct derive_check *c, const struct derive_item *item,
                     const struct key *by)
{
    const struct location *where = &item->where;
    if (where->len == 0 || where->len > PAGE_BYTES_MAX) {
        fsck_damage(c->p->fsck, "named", "derive_tree_differs", by->s,
                    "a tree cannot be of %u bytes", where->len);
        return OK;
    }
    struct key key = key_tree(&c->p->id, &where->tree);
    size_t i = fsck_gets_add(&c->pages, &key, range_of(where->offset, where->len));
    c->places[i] = (struct tree_place){.content = item->address, .where = *where, .by = *by};
    return c->pages.n == FSCK_AT_ONCE ? places_run(c) : OK;
}

/* --- objects --- */

static int item_check(struct derive_check *c, const struct derive_item *item,
                      const struct key *by)
{
    const struct content content = {
        .kind = KIND_FILE, .size = item->size, .hash = item->address, .carrier = CARRIER_BLOB};
    if (item->kind == DERIVE_UPLOAD)
        return fsck_blobs_need(c->p->blobs, &content, by->s);
    return item->kind == DERIVE_TREE ? place_add(c, item, by) : OK;
}

/* `key`: where it lies, by itself or among others. */
static int object_check(struct derive_check *c, const struct key *key, uint64_t agent,
                        uint64_t seq, struct bytes encoded)
{
    AUTO(arena_release) struct arena arena = {0};
    struct fsck *fsck = c->p->fsck;
    struct derive_object object;
    fsck->counts.derive_objects++;
    bool good = derive_object_decode(encoded, &arena, &object) == OK;
    if (!good || object.agent != agent || object.seq != seq ||
        !id16_equal(&object.project, &c->p->id)) {
        fsck_damage(fsck, "named", "derive_damaged", key->s,
                    good ? "it is another object than number %llu of agent %016llx"
                         : "number %llu of agent %016llx cannot be decoded",
                    (unsigned long long)seq, (unsigned long long)agent);
        return OK;
    }
    int err = OK;
    for (uint32_t i = 0; i < object.n && err == OK; i++)
        err = item_check(c, &object.items[i], key);
    return err;
}

static int objects_run(struct derive_check *c)
{
    struct fsck *fsck = c->p->fsck;
    int err = fsck_gets_run(fsck, &c->objects);
    for (size_t i = 0; i < c->objects.n && err == OK; i++) {
        const struct store_op *op = &c->objects.ops[i];
        uint64_t agent = 0;
        uint64_t seq = 0;
        int parsed = key_derive_parse(op->key, &agent, &seq);
        assert(parsed == OK);
        if (op->err == ERR_NOT_FOUND) {
            c->gone = true;
            continue;
        }
        span_add(c, agent, seq, seq);
        err = object_check(c, &c->objects.keys[i], agent, seq, buf_bytes(op->body));
    }
    fsck_gets_clear(&c->objects);
    return err;
}

static int object_listed(struct derive_check *c, const struct store_key *key, uint64_t agent,
                         uint64_t seq)
{
    struct fsck_gets *gets = &c->objects;
    int err = OK;
    if (gets->n > 0 && (gets->n == FSCK_AT_ONCE || gets->bytes + key->size > FSCK_BYTES))
        err = objects_run(c);
    struct key name = key_derive(&c->p->id, agent, seq);
    (void)fsck_gets_add(gets, &name, range_all());
    gets->bytes += key->size;
    return err;
}

/* --- segments --- */

static void segment_damaged(struct derive_check *c, const struct key *key, const char *what)
{
    fsck_damage(c->p->fsck, "named", "derive_segment_damaged", key->s, "%s", what);
}

static int run_check(struct derive_check *c, const struct key *key,
                     const struct derive_segment *segment, const struct derive_run *run)
{
    AUTO_BUF bytes = {0};
    size_t at = 0;
    int err = derive_run_read(&c->p->fsck->repo, segment, run, 0, run->n, &bytes);
    if (err != OK && !fsck_is_damage(err))
        return err;
    span_add(c, run->agent, run->first, run->first + run->n - 1);
    if (err != OK) {
        segment_damaged(c, key, "its objects cannot be read");
        return OK;
    }
    for (uint32_t i = 0; i < run->n && err == OK; i++) {
        struct bytes object = bytes_of(bytes.data + at, run->lens[i]);
        err = object_check(c, key, run->agent, run->first + i, object);
        at += run->lens[i];
    }
    return err;
}

static int segment_listed(struct derive_check *c, uint64_t number)
{
    AUTO(arena_release) struct arena arena = {0};
    struct fsck *fsck = c->p->fsck;
    struct derive_segment segment;
    struct key key = key_derive_segment(&c->p->id, number);
    int err = objects_run(c);
    if (err != OK)
        return err;
    if (number != c->segment + 1) {
        struct key missing = key_derive_segment(&c->p->id, c->segment + 1);
        fsck_damage(fsck, "durable", "derive_segment_missing", missing.s,
                    "there is a segment behind it, number %llu", (unsigned long long)number);
    }
    c->segment = number;
    err = derive_segment_read(&fsck->repo, &c->p->id, number, &arena, &segment);
    if (err != OK && fsck_is_damage(err)) {
        segment_damaged(c, &key, "it is not what its name says");
        return OK;
    }
    for (uint32_t i = 0; err == OK && i < segment.n; i++)
        err = run_check(c, &key, &segment, &segment.runs[i]);
    return err;
}

/* --- gaps --- */

static int span_order(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;
    if (left->agent != right->agent)
        return left->agent < right->agent ? -1 : 1;
    return (left->first > right->first) - (left->first < right->first);
}

/* A list that is made while two are put may have the second only. */
static int missing_check(struct derive_check *c, uint64_t agent, uint64_t seq)
{
    struct fsck *fsck = c->p->fsck;
    struct key key = key_derive(&c->p->id, agent, seq);
    int err = store_get(fsck->store, key.s, range_none(), NULL, NULL, NULL);
    if (err == ERR_NOT_FOUND)
        fsck_damage(fsck, "durable", "derive_missing", key.s,
                    "its agent has put a later number, and no segment has it");
    return err == ERR_NOT_FOUND ? OK : err;
}

static int gaps_check(struct derive_check *c)
{
    uint64_t agent = 0;
    uint64_t next = 1;
    int err = OK;
    if (c->n_spans > 0)
        qsort(c->spans, c->n_spans, sizeof(*c->spans), span_order);
    for (size_t i = 0; i < c->n_spans && err == OK; i++) {
        const struct span *span = &c->spans[i];
        if (i == 0 || span->agent != agent)
            next = 1;
        agent = span->agent;
        for (unsigned told = 0; next < span->first && told < MISSING_TOLD && err == OK; told++)
            err = missing_check(c, agent, next++);
        next = span->last + 1 > next ? span->last + 1 : next;
    }
    return err;
}

/* --- all of it --- */

/* Objects, and then segments: that is how they move. */
static int keys_walk(struct derive_check *c, struct key prefix)
{
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = c->p->fsck->store, .prefix = prefix.s};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        uint64_t agent;
        uint64_t seq;
        if (key_derive_parse(key->key, &agent, &seq) == OK)
            err = object_listed(c, key, agent, seq);
        else if (key_derive_segment_parse(key->key, &seq) == OK && seq > c->segment)
            err = segment_listed(c, seq);
        if (err != OK)
            return err;
    }
    return err == ERR_NOT_FOUND ? objects_run(c) : err;
}

int fsck_derive_check(struct fsck_project *p)
{
    struct derive_check *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    c->p = p;
    int err = keys_walk(c, key_derive_prefix(&p->id));
    /* What has it is newer than the list. */
    if (err == OK && c->gone)
        err = keys_walk(c, key_derive_segment_prefix(&p->id));
    if (err == OK)
        err = places_run(c);
    if (err == OK)
        err = gaps_check(c);
    fsck_gets_clear(&c->objects);
    fsck_gets_clear(&c->pages);
    arena_release(&c->arena);
    free(c);
    return err;
}
