#include "pipeline/repo/pack/pack_parts.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/put_once.h"

void pack_parts_init(struct pack_parts *p, struct repo *repo, const struct id16 *project,
                     size_t part_bytes)
{
    *p = (struct pack_parts){.repo = repo, .project = *project, .part_bytes = part_bytes};
    tree_build_init(&p->build);
}

void pack_parts_release(struct pack_parts *p)
{
    tree_build_release(&p->build);
    buf_release(&p->last);
    buf_release(&p->before);
    arena_release(&p->arena);
}

static void part_begin(struct pack_parts *p)
{
    tree_build_release(&p->build);
    tree_build_init(&p->build);
    buf_clear(&p->last);
    p->has_pages = false;
    p->finished = false;
}

void pack_parts_drop(struct pack_parts *p)
{
    part_begin(p);
    p->n = 0;
}

/* The part's footer, as of a batch that has the part's last page as its tree. Its hlc is this
 * process's alone, so no other object has its name. */
static int part_finish(struct pack_parts *p)
{
    footer_follow(&p->footer, &p->tip->footer, &p->tip->tree_hash);
    p->footer.position = p->footer.first;
    p->footer.hlc = repo_hlc(p->repo);
    p->footer.agent = p->repo->agent;
    int err = tree_build_finish(&p->build, buf_bytes(&p->last), &p->footer, &p->name);
    p->finished = err == OK;
    return err;
}

int pack_parts_flush(struct pack_parts *p)
{
    int err = OK;
    if (!p->has_pages)
        return OK;
    if (!p->finished)
        err = part_finish(p);
    struct key key = key_tree(&p->project, &p->name);
    if (err == OK)
        err = put_once(p->repo, key.s, buf_bytes(&p->build.bytes));
    if (err != OK)
        return err;
    struct hash *name =
        arena_push(&p->arena, (void **)&p->names, &p->n, &p->cap, sizeof(*name));
    *name = p->name;
    p->puts++;
    part_begin(p);
    return OK;
}

/* A place in the part under way is that of the object itself, whose name is not known yet. */
static struct location place_of(const struct pack_parts *p, const struct page_spot *spot)
{
    struct location where = {
        .place = PLACE_PAGE, .offset = spot->offset, .len = spot->len, .check = spot->check};
    if (spot->part < p->n)
        where.tree = p->names[spot->part];
    return where;
}

void pack_parts_places(const struct pack_parts *p, struct page *page,
                       const struct page_spot *spots)
{
    for (uint32_t i = 0; i < page->n; i++) {
        if (page->entries[i].where.place == PLACE_PAGE)
            page->entries[i].where = place_of(p, &spots[i]);
    }
}

/* What the footer says of the part's root. */
static void footer_of(struct footer *footer, const struct page *page)
{
    *footer =
        (struct footer){.root_content = page_content_hash(page->level, page->entries, page->n)};
    for (uint32_t i = 0; i < page->n; i++) {
        const struct entry *e = &page->entries[i];
        footer->files += e->kind == KIND_DIR ? e->files : 1;
        footer->bytes += e->size;
    }
}

int pack_parts_page(struct pack_parts *p, struct page *page, const struct page_spot *spots,
                    struct page_spot *out)
{
    int err = OK;
    if (p->finished || p->build.bytes.len + p->last.len >= p->part_bytes)
        err = pack_parts_flush(p);
    if (err != OK)
        return err;
    if (p->n == COMPANIONS_MAX)
        return ERR_LIMIT;
    pack_parts_places(p, page, spots);
    buf_clear(&p->before);
    err = page_encode(page, &p->before);
    if (err != OK)
        return err;
    uint32_t offset;
    if (p->has_pages && (err = tree_build_add(&p->build, buf_bytes(&p->last), &offset)) != OK)
        return err;
    struct buf spare = p->last;
    p->last = p->before;
    p->before = spare;
    p->has_pages = true;
    footer_of(&p->footer, page);
    *out = (struct page_spot){.check = page_hash(buf_bytes(&p->last)),
                              .part = (uint32_t)p->n,
                              .offset = (uint32_t)p->build.bytes.len,
                              .len = (uint32_t)p->last.len};
    p->pages++;
    p->bytes += p->last.len;
    return OK;
}
