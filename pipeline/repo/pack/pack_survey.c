#include "pipeline/repo/pack/pack_survey.h"

#include "pipeline/repo/pack/pack.h"
#include "pipeline/repo/pack/pack_walk.h"

/* Pages with so many bytes between them are read together. */
#define NEAR (64u * KIB)

struct survey {
    struct pack_survey found;
    struct page_memo *objects;
    void (*progress)(void *arg, uint64_t pages);
    void *arg;
    /* The range that the last page lies in. */
    struct hash tree;
    uint64_t from;
    uint64_t end;
};

static bool in_range(struct survey *s, const struct location *where)
{
    uint64_t from = where->offset;
    uint64_t end = from + where->len;
    if (!hash_equal(&s->tree, &where->tree) || from > s->end + NEAR || end + NEAR < s->from)
        return false;
    from = from < s->from ? from : s->from;
    end = end > s->end ? end : s->end;
    if (end - from > PACK_RANGE)
        return false;
    s->from = from;
    s->end = end;
    return true;
}

static void object_count(struct survey *s, const struct location *where)
{
    static const struct page_spot nowhere;
    const struct location object = {.tree = where->tree};
    struct page_spot spot;
    if (page_memo_find(s->objects, &object, &spot))
        return;
    page_memo_add(s->objects, &object, 0, &nowhere);
    s->found.objects++;
}

static void page_count(struct survey *s, const struct location *where)
{
    s->found.pages++;
    s->found.bytes += where->len;
    object_count(s, where);
    if (!in_range(s, where)) {
        s->found.ranges++;
        s->tree = where->tree;
        s->from = where->offset;
        s->end = s->from + where->len;
    }
    s->progress(s->arg, s->found.pages);
}

static int page_take(void *arg, const struct location *was, struct page *page UNUSED,
                     const struct page_spot *spots UNUSED, struct page_spot *out)
{
    page_count(arg, was);
    *out = (struct page_spot){0};
    return OK;
}

static int root_take(void *arg, const struct location *was, struct page *page UNUSED,
                     const struct page_spot *spots UNUSED)
{
    page_count(arg, was);
    return OK;
}

int pack_survey(const struct tree *tree, struct page_memo *memo, size_t objects_kept,
                void (*progress)(void *arg, uint64_t pages), void *arg, struct pack_survey *out)
{
    struct survey s = {.progress = progress, .arg = arg};
    const struct pack_visit visit = {.page = page_take, .root = root_take, .arg = &s};
    s.objects = page_memo_open(objects_kept);
    int err = pack_walk(tree, memo, &visit);
    page_memo_close(s.objects);
    if (err == OK)
        *out = s.found;
    return err;
}
