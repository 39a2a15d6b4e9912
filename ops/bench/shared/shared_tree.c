#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/page.h"
#include "ops/bench/shared/synthetic.h"

#define LEVELS_MAX 64u

struct shared_tree {
    struct tree_build *build;
    unsigned fan;
    char names[2][SYNTHETIC_FAN_MAX][24]; /* of directories, of files */
    struct entry file[SYNTHETIC_FAN_MAX];
};

static void names_make(struct shared_tree *t)
{
    for (unsigned i = 0; i < t->fan; i++) {
        (void)snprintf(t->names[0][i], sizeof(t->names[0][i]), "dir-%02u", i);
        (void)snprintf(t->names[1][i], sizeof(t->names[1][i]), "file-%02u.txt", i);
    }
}

/* One content for each name: the same in every directory. */
static int contents_add(struct shared_tree *t)
{
    for (unsigned i = 0; i < t->fan; i++) {
        struct bytes content = bytes_str(t->names[1][i]);
        struct entry *e = &t->file[i];
        *e = (struct entry){.name = content,
                            .kind = KIND_FILE,
                            .mode = MODE_PLAIN,
                            .size = content.len,
                            .hash = sha256(content),
                            .where = {.place = PLACE_RAW, .len = (uint32_t)content.len}};
        int err = tree_build_add(t->build, content, &e->where.offset);
        if (err != OK)
            return err;
    }
    return OK;
}

/* A directory of these entries. */
static int page_add(struct shared_tree *t, struct entry *entries, size_t n,
                    struct buf *top_page, struct entry *out)
{
    AUTO_BUF own = {0};
    struct buf *bytes = top_page != NULL ? top_page : &own;
    struct page page = {.n = (uint32_t)n, .entries = entries};
    int err = page_encode(&page, bytes);
    if (err != OK)
        return err;
    struct entry dir = {.kind = KIND_DIR, .hash = page_content_hash(0, entries, n)};
    dir.where = (struct location){
        .place = PLACE_PAGE, .len = (uint32_t)bytes->len, .check = page_hash(buf_bytes(bytes))};
    for (size_t i = 0; i < n; i++) {
        dir.size += entries[i].size;
        dir.files += entries[i].kind == KIND_DIR ? entries[i].files : 1;
    }
    if (top_page == NULL)
        err = tree_build_add(t->build, buf_bytes(bytes), &dir.where.offset);
    if (err == OK)
        *out = dir;
    return err;
}

/* A directory of `n` directories that are all `full`, and a last one, unless that has no
 * files. */
static int above_add(struct shared_tree *t, uint64_t n, const struct entry *full,
                     const struct entry *last, struct buf *top_page, struct entry *out)
{
    struct entry entries[SYNTHETIC_FAN_MAX + 1];
    for (size_t i = 0; i < n; i++)
        entries[i] = *full;
    if (last->files > 0)
        entries[n++] = *last;
    for (size_t i = 0; i < n; i++)
        entries[i].name = bytes_str(t->names[0][i]);
    return page_add(t, entries, (size_t)n, top_page, out);
}

/* At each level there are two kinds of directories: full ones, and the last one, which has what
 * is left over. */
int shared_tree_add(struct tree_build *build, unsigned fan, uint64_t files,
                    struct buf *top_page, struct entry *out)
{
    assert(fan > 1 && fan <= SYNTHETIC_FAN_MAX && files > 0);
    struct shared_tree t = {.build = build, .fan = fan};
    struct entry full = {0};
    struct entry last = {0};
    names_make(&t);
    int err = contents_add(&t);
    bool is_top = files <= fan;
    if (is_top)
        return err == OK ? page_add(&t, t.file, (size_t)files, top_page, out) : err;
    if (err == OK)
        err = page_add(&t, t.file, fan, NULL, &full);
    if (err == OK && files % fan > 0)
        err = page_add(&t, t.file, (size_t)(files % fan), NULL, &last);
    uint64_t below = fan; /* files of a full directory of the level below */
    while (err == OK && !is_top) {
        is_top = (files - 1) / below < fan;
        uint64_t n = is_top ? files / below : files / below % fan;
        struct entry next_full;
        struct entry next_last = {0};
        if (n > 0 || last.files > 0)
            err = above_add(&t, n, &full, &last, is_top ? top_page : NULL, &next_last);
        if (err == OK && !is_top) {
            static const struct entry none;
            err = above_add(&t, fan, &full, &none, NULL, &next_full);
            full = next_full;
            below *= fan;
        }
        last = next_last;
    }
    if (err == OK)
        *out = last;
    return err;
}
