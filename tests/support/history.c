#include "tests/support/history.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "pipeline/repo/content/blob_store.h"

#define WIDE_FILES 1500u

static struct content uploaded(struct history *h, size_t len)
{
    uint8_t *data = malloc(len);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(chance_u64(&h->chance) & 7u);
    struct upload *upload = upload_open(&h->forge.repo, &h->forge.project);
    struct content content;
    ck_assert_int_eq(upload_write(upload, bytes_of(data, len)), OK);
    ck_assert_int_eq(upload_finish(upload, NULL, &content), OK);
    upload_close(upload);
    free(data);
    content.kind = KIND_FILE;
    content.mode = MODE_PLAIN;
    return content;
}

void history_init(struct history *h, const char *test)
{
    *h = (struct history){0};
    chance_init(&h->chance, test);
    forge_init(&h->forge);
    h->blob = uploaded(h, 3000);
    h->large = uploaded(h, CHUNK_SIZE_DEFAULT + 5);
}

void history_release(struct history *h)
{
    forge_release(&h->forge);
}

static const char *path_of(struct history *h, size_t i)
{
    return arena_printf(&h->forge.arena, "d%zu/e%zu/f%zu", i % 3, i % 7, i);
}

static struct seen seen_at(const struct history *h, size_t i)
{
    const struct content *c = &h->files[i];
    if (c->kind == KIND_NONE)
        return (struct seen){.said = true};
    return (struct seen){.said = true, .kind = c->kind, .mode = c->mode, .hash = c->hash};
}

static struct content content_make(struct history *h)
{
    uint64_t kind = chance_below(&h->chance, 10);
    if (kind == 0)
        return h->blob;
    if (kind == 1)
        return h->large;
    size_t len = kind == 2 ? 0 : (size_t)chance_below(&h->chance, 300);
    char *text = arena_alloc(&h->forge.arena, len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + (int)chance_below(&h->chance, kind == 3 ? 2 : 26));
    if (kind == 4)
        return content_inline(&h->forge.arena, KIND_LINK, 0, bytes_str("../else"));
    return content_inline(&h->forge.arena, KIND_FILE, kind == 5 ? MODE_EXEC : MODE_PLAIN,
                          bytes_of(text, len));
}

/* A file moves, half of the time by way of another path. */
static void move_add(struct history *h, struct draft *d, size_t from, size_t to)
{
    struct content moved = h->files[from];
    const char *at = path_of(h, from);
    struct seen seen = seen_at(h, from);
    if (chance_below(&h->chance, 2) == 0) {
        const char *between = arena_printf(&h->forge.arena, "between-%u", h->key);
        struct seen absent = {.said = true};
        draft_move(d, at, seen, between, absent, moved);
        at = between;
        seen = absent;
    }
    draft_move(d, at, seen, path_of(h, to), seen_at(h, to), moved);
    h->files[to] = moved;
    h->files[from] = (struct content){0};
}

static void change_add(struct history *h, struct draft *d, size_t i, size_t other)
{
    struct content *file = &h->files[i];
    uint64_t what = chance_below(&h->chance, 8);
    if (file->kind != KIND_NONE && what == 0) {
        draft_delete_seen(d, path_of(h, i), seen_at(h, i));
        *file = (struct content){0};
    } else if (file->kind != KIND_NONE && what <= 2) {
        move_add(h, d, i, other);
    } else if (file->kind == KIND_FILE && what == 3) {
        struct content changed = *file;
        changed.mode = changed.mode == MODE_EXEC ? MODE_PLAIN : MODE_EXEC;
        changed.carrier = CARRIER_SOURCE;
        changed.data = (struct bytes){0};
        draft_put(d, path_of(h, i), changed, seen_at(h, i));
        file->mode = changed.mode;
    } else {
        struct content content = content_make(h);
        draft_put(d, path_of(h, i), content, seen_at(h, i));
        *file = content;
    }
}

static struct draft session_make(struct history *h)
{
    const char *key = arena_printf(&h->forge.arena, "k%u", h->key++);
    struct draft d = draft_open(&h->forge, "ann", key, forge_position(&h->forge));
    draft_decide(&d, "so be it");
    /* No path twice in a session. */
    size_t at = (size_t)chance_below(&h->chance, HISTORY_PATHS);
    size_t n = 1 + (size_t)chance_below(&h->chance, 4);
    for (size_t i = 0; i < n; i++)
        change_add(h, &d, (at + 2 * i) % HISTORY_PATHS, (at + 2 * i + 1) % HISTORY_PATHS);
    return d;
}

/* One that has seen what never was there. */
static struct draft stale_make(struct history *h)
{
    const char *key = arena_printf(&h->forge.arena, "k%u", h->key++);
    struct draft d = draft_open(&h->forge, "ann", key, forge_position(&h->forge));
    draft_write(&d, path_of(h, 0), "mine", "never there");
    return d;
}

static void wide_land(struct history *h)
{
    const char *key = arena_printf(&h->forge.arena, "k%u", h->key++);
    struct draft d = draft_open(&h->forge, "ann", key, forge_position(&h->forge));
    for (unsigned i = 0; i < WIDE_FILES; i++)
        draft_write(&d, arena_printf(&h->forge.arena, "wide/name%u", i),
                    arena_printf(&h->forge.arena, "%u", i % 20), NULL);
    (void)forge_submit(&h->forge, &d, 1);
}

static void batch_land(struct history *h)
{
    uint64_t requests = 1 + chance_below(&h->chance, 6);
    for (uint64_t i = 0; i < requests; i++) {
        struct draft drafts[5];
        size_t n = 0;
        uint64_t sessions = 1 + chance_below(&h->chance, 3);
        while (n < sessions)
            drafts[n++] = session_make(h);
        /* A conflict ends the series: what follows is not tried. */
        if (chance_below(&h->chance, 4) == 0) {
            drafts[n++] = stale_make(h);
            drafts[n++] = stale_make(h);
        }
        (void)forge_submit(&h->forge, drafts, n);
    }
    if (chance_below(&h->chance, 3) == 0) {
        struct draft gone = stale_make(h);
        forge_write(&h->forge, &gone);
        (void)forge_abandon(&h->forge, &gone);
    }
    (void)forge_drain(&h->forge);
}

void history_grow(struct history *h, uint64_t position)
{
    if (forge_position(&h->forge) == 0 && position > 0)
        wide_land(h);
    while (forge_position(&h->forge) < position) {
        uint64_t before = forge_position(&h->forge);
        batch_land(h);
        ck_assert_uint_gt(forge_position(&h->forge), before);
    }
}

void history_append(struct history *h)
{
    struct stage *stage = stage_append_open(&h->forge.repo);
    while (stage->run(stage) > 0) {
    }
    stage->close(stage);
}
