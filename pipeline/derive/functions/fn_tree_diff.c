/* What differs between two trees. What is equal by its hash, a directory or a page of one, is
 * not opened. */
#include "pipeline/derive/functions/builtin.h"
#include "pipeline/derive/functions/fn_json_text.h"
#include "pipeline/derive/functions/fn_walk.h"

/* One directory that is in one tree or in both. */
struct diff_dir {
    struct fn_dir *sides[2]; /* NULL: not in this tree */
    size_t path_len;
};

struct diff {
    struct fn_run *run;
    bool json;
    struct arena arena;
    struct diff_dir *dirs; /* from the top down to where we are */
    size_t depth;
    size_t cap;
    struct buf path;
    struct buf line;
};

static bool is_dir(const struct fn_entry *entry)
{
    return entry != NULL && entry->kind == KIND_DIR;
}

static void dir_pop(struct diff *diff)
{
    struct diff_dir *at = &diff->dirs[--diff->depth];
    for (unsigned side = 0; side < 2; side++) {
        if (at->sides[side] != NULL)
            at->sides[side]->tree->close_dir(at->sides[side]);
    }
}

/* Goes into directories; one that is none in its tree is NULL. */
static int dir_push(struct diff *diff, const struct fn_entry *const entries[2])
{
    if (diff->depth > PATH_DEPTH_MAX)
        return ERR_LIMIT;
    struct diff_dir *at =
        arena_push(&diff->arena, (void **)&diff->dirs, &diff->depth, &diff->cap, sizeof(*at));
    at->path_len = diff->path.len;
    at->sides[0] = at->sides[1] = NULL;
    for (unsigned side = 0; side < 2; side++) {
        struct fn_tree *tree = diff->run->trees[side];
        int err = OK;
        if (is_dir(entries[side]))
            err = tree->open_dir(tree, entries[side], &at->sides[side]);
        if (err != OK)
            return err;
    }
    return OK;
}

/* ---- a change ---- */

static int json_put(struct diff *diff, const char *change, const struct fn_entry *a,
                    const struct fn_entry *b)
{
    struct buf *line = &diff->line;
    buf_printf(line, "{\"change\":\"%s\",\"path\":", change);
    int err = fn_json_string(diff->run, buf_bytes(&diff->path), line);
    if (err != OK)
        return err;
    if (a != NULL) {
        buf_printf(line, ",\"before\":{");
        fn_json_fields(a, line);
        buf_printf(line, "}");
    }
    if (b != NULL) {
        buf_printf(line, ",\"after\":{");
        fn_json_fields(b, line);
        buf_printf(line, "}");
    }
    buf_printf(line, "}\n");
    return fn_put(diff->run->out, buf_bytes(line));
}

/* A file or link that came (no `a`), went (no `b`) or is another. */
static int change_put(struct diff *diff, const struct fn_entry *a, const struct fn_entry *b)
{
    const char *change = a == NULL ? "added" : b == NULL ? "removed" : "changed";
    buf_clear(&diff->line);
    if (diff->json)
        return json_put(diff, change, a, b);
    buf_printf(&diff->line, "%s ", change);
    buf_append_bytes(&diff->line, buf_bytes(&diff->path));
    buf_append(&diff->line, "\n", 1);
    return fn_put(diff->run->out, buf_bytes(&diff->line));
}

/* Both trees' entries of one name; NULL where there is none. */
static int pair_take(struct diff *diff, const struct fn_entry *const pair[2])
{
    const struct fn_entry *a = pair[0];
    const struct fn_entry *b = pair[1];
    bool same = a != NULL && b != NULL && a->kind == b->kind && a->mode == b->mode &&
                hash_equal(&a->hash, &b->hash);
    if (same)
        return OK;
    const struct fn_entry *file_a = is_dir(a) ? NULL : a;
    const struct fn_entry *file_b = is_dir(b) ? NULL : b;
    int err = OK;
    if (file_a != NULL || file_b != NULL)
        err = change_put(diff, file_a, file_b);
    if (err == OK && (is_dir(a) || is_dir(b)))
        err = dir_push(diff, pair);
    return err;
}

/* ---- two places ---- */

/* Expands the pages that two places stand on until both stand on entries of one name, or one on
 * an entry that the other side has not: `take` says which. False when both are at the end.
 *
 * A page is expanded only when the other side has no page that is equal to it: what is equal
 * begins with the same name, so both places come to stand on it at once, if the higher one is
 * always expanded first. */
static int pair_find(struct fn_dir *const sides[2], bool take[2], bool *more)
{
    for (;;) {
        struct fn_dir *a = sides[0] != NULL && sides[0]->item != NULL ? sides[0] : NULL;
        struct fn_dir *b = sides[1] != NULL && sides[1]->item != NULL ? sides[1] : NULL;
        *more = a != NULL || b != NULL;
        if (!*more)
            return OK;
        int order = a == NULL   ? 1
                    : b == NULL ? -1
                                : bytes_compare(a->item->name, b->item->name);
        int levels = a == NULL || b == NULL ? 0 : (int)a->level - (int)b->level;
        take[0] = order < 0 || (order == 0 && levels >= 0);
        take[1] = order > 0 || (order == 0 && levels <= 0);
        struct fn_dir *first = take[0] ? a : b;
        if (first->level == 0)
            return OK;
        int err = OK;
        if (take[0] && take[1] && hash_equal(&a->item->hash, &b->item->hash)) {
            a->tree->pass(a);
            b->tree->pass(b);
            continue;
        }
        if (take[0])
            err = a->tree->expand(a);
        if (take[1] && err == OK)
            err = b->tree->expand(b);
        if (err != OK)
            return err;
    }
}

/* The next name of the directory, which is left at its end. */
static int dir_step(struct diff *diff)
{
    struct diff_dir at = diff->dirs[diff->depth - 1];
    bool take[2];
    bool more;
    int err = pair_find(at.sides, take, &more);
    if (err != OK)
        return err;
    if (!more) {
        dir_pop(diff);
        return OK;
    }
    const struct fn_entry *pair[2] = {take[0] ? at.sides[0]->item : NULL,
                                      take[1] ? at.sides[1]->item : NULL};
    err = fn_path_step(&diff->path, at.path_len, pair[take[0] ? 0 : 1]->name);
    if (err == OK)
        err = pair_take(diff, pair);
    for (unsigned side = 0; side < 2; side++) {
        if (take[side])
            at.sides[side]->tree->pass(at.sides[side]);
    }
    return err;
}

static int diff_check(const struct fn_run *run)
{
    bool json;
    return fn_parameter_either(run, "format", "text", "json", &json);
}

static int diff_run(struct fn_run *run)
{
    struct diff diff = {.run = run};
    const struct fn_entry *const tops[2] = {&run->trees[0]->top, &run->trees[1]->top};
    int err = fn_parameter_either(run, "format", "text", "json", &diff.json);
    if (err == OK && !hash_equal(&tops[0]->hash, &tops[1]->hash))
        err = dir_push(&diff, tops);
    while (err == OK && diff.depth > 0)
        err = dir_step(&diff);
    while (diff.depth > 0)
        dir_pop(&diff);
    buf_release(&diff.path);
    buf_release(&diff.line);
    arena_release(&diff.arena);
    return err;
}

static const struct fn_parameter diff_parameters[] = {{"format", false}};

const struct function fn_tree_diff = {
    .name = "tree.diff",
    .version = "1.0.0",
    .revision = "1",
    .about = "A line for each file and link that differs from the first tree to the second, in "
             "order of their paths: `added`, `removed` or `changed` (content, mode or kind), "
             "and the path; or with `format` json an object of the same, with what was there "
             "before and after. A directory that came or went is given as its files.",
    .library = fn_json_library,
    .inputs_least = 2,
    .inputs_most = 2,
    .trees = 3,
    .parameters = diff_parameters,
    .n_parameters = ARRAY_LEN(diff_parameters),
    .check = diff_check,
    .run = diff_run,
};
