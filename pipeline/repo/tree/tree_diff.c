#include "formats/base/buf.h"
#include "formats/path.h"
#include "pipeline/repo/tree/dir_cursor.h"

/* One directory that is in one tree or in both. */
struct diff_dir {
    struct dir_cursor a;
    struct dir_cursor b;
    size_t path_len; /* of the directory itself */
};

struct tree_diff {
    struct repo *repo;
    struct id16 project_a;
    struct id16 project_b;
    struct arena arena;
    struct buf path;
    struct diff_dir *dirs; /* from the top down to where we are */
    size_t depth;
    size_t cap;
    /* The two entries that were met last under `path`; kind NONE for one that is not there. */
    struct entry a;
    struct entry b;
    bool met;      /* they are to be looked at */
    bool go_below; /* one of them is a directory to go into */
};

static bool is_dir(const struct entry *e)
{
    return e->kind == KIND_DIR;
}

static bool is_file(const struct entry *e)
{
    return e->kind == KIND_FILE || e->kind == KIND_LINK;
}

static int side_find(const struct tree *t, struct bytes path, struct arena *scratch,
                     struct entry *out)
{
    int err = tree_find(t, path, scratch, out);
    if (err == ERR_NOT_FOUND) {
        *out = (struct entry){0};
        err = 0;
    }
    if (err == 0 && is_dir(out) && out->where.place == PLACE_NONE) {
        *out = (struct entry){0};
    }
    return err;
}

int tree_diff_open(const struct tree *a, const struct tree *b, struct bytes path,
                   struct tree_diff **out)
{
    AUTO(arena_release) struct arena scratch = {0};
    struct entry at_a;
    struct entry at_b;
    int err = side_find(a, path, &scratch, &at_a);
    if (err == 0) {
        err = side_find(b, path, &scratch, &at_b);
    }
    if (err != 0) {
        return err;
    }
    struct arena arena = {0};
    struct tree_diff *d = arena_new(&arena, struct tree_diff);
    *d = (struct tree_diff){
        .repo = a->repo,
        .project_a = a->project,
        .project_b = b->project,
        .arena = arena,
        .a = at_a,
        .b = at_b,
        .met = true,
    };
    buf_append_bytes(&d->path, path);
    *out = d;
    return 0;
}

static int side_open(struct tree_diff *d, const struct id16 *project, const struct entry *e,
                     struct dir_cursor *cursor)
{
    dir_cursor_none(cursor);
    return is_dir(e) ? dir_cursor_open(cursor, d->repo, project, &e->where, NULL) : 0;
}

/* Goes into the directories that were met. */
static int dir_push(struct tree_diff *d)
{
    if (d->depth > PATH_DEPTH_MAX) {
        return ERR_CORRUPT;
    }
    size_t n = d->depth;
    struct diff_dir *dir = arena_push(&d->arena, (void **)&d->dirs, &n, &d->cap, sizeof(*dir));
    int err = side_open(d, &d->project_a, &d->a, &dir->a);
    if (err != 0) {
        return err;
    }
    err = side_open(d, &d->project_b, &d->b, &dir->b);
    if (err != 0) {
        dir_cursor_close(&dir->a);
        return err;
    }
    dir->path_len = d->path.len;
    d->depth = n;
    return 0;
}

/* What to do with the items that two cursors stand on. */
enum step {
    STEP_END,
    STEP_PASS_BOTH, /* equal pages */
    STEP_EXPAND_A,
    STEP_EXPAND_B,
    STEP_EXPAND_BOTH,
    STEP_TAKE_A, /* an entry that only a has */
    STEP_TAKE_B,
    STEP_TAKE_BOTH,
};

/* A page is expanded only when the other side has no page that is equal to it: what is equal
 * begins with the same name, so both cursors come to stand on it at once, if the higher one is
 * always expanded first. */
static enum step step_for(const struct dir_cursor *a, const struct dir_cursor *b)
{
    uint8_t level_a = 0;
    uint8_t level_b = 0;
    const struct entry *at_a = dir_cursor_item(a, &level_a);
    const struct entry *at_b = dir_cursor_item(b, &level_b);
    if (at_a == NULL && at_b == NULL) {
        return STEP_END;
    }
    int order = at_a == NULL ? 1 : at_b == NULL ? -1 : bytes_compare(at_a->name, at_b->name);
    if (order < 0) {
        return level_a > 0 ? STEP_EXPAND_A : STEP_TAKE_A;
    }
    if (order > 0) {
        return level_b > 0 ? STEP_EXPAND_B : STEP_TAKE_B;
    }
    if (level_a != level_b) {
        return level_a > level_b ? STEP_EXPAND_A : STEP_EXPAND_B;
    }
    if (level_a == 0) {
        return STEP_TAKE_BOTH;
    }
    return hash_equal(&at_a->hash, &at_b->hash) ? STEP_PASS_BOTH : STEP_EXPAND_BOTH;
}

/* The item that the cursor stands on becomes `*out`; its name goes behind the directory's
 * path. */
static void take(struct tree_diff *d, size_t path_len, struct dir_cursor *cursor,
                 struct entry *out)
{
    uint8_t level;
    *out = *dir_cursor_item(cursor, &level);
    d->path.len = path_len;
    if (path_len > 0) {
        buf_append(&d->path, "/", 1);
    }
    buf_append_bytes(&d->path, out->name);
    out->name = (struct bytes){0};
    dir_cursor_pass(cursor);
}

/* Moves on to the next name that either side has and sets `met`. ERR_NOT_FOUND at the end of
 * the directory. */
static int dir_next(struct tree_diff *d, struct diff_dir *dir)
{
    struct dir_cursor *a = &dir->a;
    struct dir_cursor *b = &dir->b;
    d->a = (struct entry){0};
    d->b = (struct entry){0};
    int err = 0;
    while (err == 0 && !d->met) {
        enum step step = step_for(a, b);
        switch (step) {
        case STEP_END:
            return ERR_NOT_FOUND;
        case STEP_PASS_BOTH:
            dir_cursor_pass(a);
            dir_cursor_pass(b);
            break;
        case STEP_EXPAND_A:
            err = dir_cursor_expand(a);
            break;
        case STEP_EXPAND_B:
            err = dir_cursor_expand(b);
            break;
        case STEP_EXPAND_BOTH:
            /* When the second fails, a is one level lower than b and the next call expands
             * b. */
            err = dir_cursor_expand(a);
            err = err != 0 ? err : dir_cursor_expand(b);
            break;
        case STEP_TAKE_A:
        case STEP_TAKE_B:
        case STEP_TAKE_BOTH:
            if (step != STEP_TAKE_B) {
                take(d, dir->path_len, a, &d->a);
            }
            if (step != STEP_TAKE_A) {
                take(d, dir->path_len, b, &d->b);
            }
            d->met = true;
            break;
        }
    }
    return err;
}

/* Looks at the two entries that were met: whether there is a change to give, and whether to go
 * below. */
static bool look(struct tree_diff *d, struct tree_change *out)
{
    d->met = false;
    const struct entry *a = is_file(&d->a) ? &d->a : NULL;
    const struct entry *b = is_file(&d->b) ? &d->b : NULL;
    if (is_dir(&d->a) && is_dir(&d->b)) {
        d->go_below = !hash_equal(&d->a.hash, &d->b.hash);
        return false;
    }
    d->go_below = is_dir(&d->a) || is_dir(&d->b);
    bool same = a != NULL && b != NULL && a->kind == b->kind && a->mode == b->mode &&
                hash_equal(&a->hash, &b->hash);
    if ((a == NULL && b == NULL) || same) {
        return false;
    }
    struct bytes path = buf_bytes(&d->path);
    struct bytes name = path_base(path);
    d->a.name = name;
    d->b.name = name;
    *out = (struct tree_change){.path = path, .a = a, .b = b};
    return true;
}

int tree_diff_next(struct tree_diff *d, struct tree_change *out)
{
    for (;;) {
        if (d->met && look(d, out)) {
            return 0;
        }
        if (d->go_below) {
            int err = dir_push(d);
            if (err != 0) {
                return err;
            }
            d->go_below = false;
        }
        if (d->depth == 0) {
            return ERR_NOT_FOUND;
        }
        struct diff_dir *dir = &d->dirs[d->depth - 1];
        int err = dir_next(d, dir);
        if (err == ERR_NOT_FOUND) {
            dir_cursor_close(&dir->a);
            dir_cursor_close(&dir->b);
            d->depth--;
        } else if (err != 0) {
            return err;
        }
    }
}

void tree_diff_close(struct tree_diff *d)
{
    if (d == NULL) {
        return;
    }
    while (d->depth > 0) {
        struct diff_dir *dir = &d->dirs[--d->depth];
        dir_cursor_close(&dir->a);
        dir_cursor_close(&dir->b);
    }
    buf_release(&d->path);
    struct arena arena = d->arena;
    arena_release(&arena);
}
