#include "api/git/git_diff.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/path.h"

#define TYPE_MASK    0170000u
#define TYPE_FILE    0100000u
#define TYPE_LINK    0120000u
#define TYPE_DIR     0040000u
#define TYPE_GITLINK 0160000u

struct entry_of_tree {
    struct bytes name;
    const uint8_t *oid;
    uint32_t mode;
    bool odd;   /* its mode is not spelled as git spells it today */
    bool clash; /* an entry before has the name */
};

struct tree_side {
    git_odb_object *object;
    struct entry_of_tree *entries; /* in git's order: a directory as if its name ended in '/' */
    size_t n;
    size_t at;
};

struct level {
    struct tree_side a;
    struct tree_side b;
    size_t path_len; /* of the directory, with a slash behind it */
};

struct diff {
    const struct git_diff_options *options;
    struct arena *arena;
    struct git_changes *out;
    size_t cap;
    struct level *levels;
    size_t n_levels;
    size_t cap_levels;
    struct buf path;
};

static bool is_dir(const struct entry_of_tree *e)
{
    return (e->mode & TYPE_MASK) == TYPE_DIR;
}

/* ---- reading a tree ---------------------------------------------------------------------- */

static int entry_order(const struct entry_of_tree *a, const struct entry_of_tree *b)
{
    size_t n = a->name.len < b->name.len ? a->name.len : b->name.len;
    int c = n == 0 ? 0 : memcmp(a->name.data, b->name.data, n);
    if (c != 0)
        return c;
    uint8_t x = a->name.len > n ? a->name.data[n] : is_dir(a) ? '/' : 0;
    uint8_t y = b->name.len > n ? b->name.data[n] : is_dir(b) ? '/' : 0;
    return (x > y) - (x < y);
}

static int entry_qsort_order(const void *a, const void *b)
{
    return entry_order(a, b);
}

/* "MODE NAME\0" and 20 bytes of id. False when the bytes are no entry. */
static bool entry_read(const uint8_t **at, const uint8_t *end, struct entry_of_tree *out)
{
    const uint8_t *p = *at;
    uint32_t mode = 0;
    size_t digits = 0;
    for (; p < end && *p >= '0' && *p <= '7' && digits < 8; p++, digits++)
        mode = mode << 3 | (uint32_t)(*p - '0');
    if (digits == 0 || p == end || *p != ' ')
        return false;
    const uint8_t *name = p + 1;
    const uint8_t *nul = memchr(name, 0, (size_t)(end - name));
    if (nul == NULL || (size_t)(end - nul) < 1 + GIT_OID_RAWSZ)
        return false;
    *out = (struct entry_of_tree){.name = bytes_of(name, (size_t)(nul - name)),
                                  .oid = nul + 1,
                                  .mode = mode,
                                  .odd = **at == '0'};
    *at = nul + 1 + GIT_OID_RAWSZ;
    return true;
}

/* Marks what another entry of the same name is before: the forge holds one. A file's name lies
 * before a directory's, with only names between that begin with it. */
static void clashes_mark(struct tree_side *side)
{
    for (size_t i = 1; i < side->n; i++) {
        struct entry_of_tree *e = &side->entries[i];
        for (size_t k = i; k-- > 0;) {
            const struct entry_of_tree *before = &side->entries[k];
            if (bytes_equal(before->name, e->name) &&
                (before->mode & TYPE_MASK) != TYPE_GITLINK) {
                e->clash = true;
                break;
            }
            size_t len = e->name.len;
            if (before->name.len < len || memcmp(before->name.data, e->name.data, len) != 0)
                break;
        }
    }
}

static int side_open(struct diff *diff, const uint8_t *oid, struct tree_side *out)
{
    *out = (struct tree_side){0};
    if (oid == NULL)
        return 0;
    git_oid id;
    (void)git_oid_fromraw(&id, oid);
    int code = git_odb_read(&out->object, diff->options->odb, &id);
    if (code != 0)
        return code;
    if (git_odb_object_type(out->object) != GIT_OBJECT_TREE) {
        git_error_set_str(GIT_ERROR_TREE, "an entry that is called a tree is none");
        return GIT_EINVALID;
    }
    struct bytes raw = git_object_bytes(out->object);
    /* The shortest entry has a mode of five digits, a name of one byte and two marks. */
    size_t most = raw.len / (GIT_OID_RAWSZ + 4) + 1;
    out->entries = arena_alloc(diff->arena, most * sizeof(*out->entries));
    bool sorted = true;
    const uint8_t *at = raw.data;
    const uint8_t *end = raw.data + raw.len;
    while (at < end) {
        assert(out->n < most);
        if (!entry_read(&at, end, &out->entries[out->n])) {
            git_error_set_str(GIT_ERROR_TREE, "a tree object is damaged");
            return GIT_EINVALID;
        }
        if (out->n > 0 && entry_order(&out->entries[out->n - 1], &out->entries[out->n]) > 0)
            sorted = false;
        out->n++;
    }
    if (!sorted)
        qsort(out->entries, out->n, sizeof(*out->entries), entry_qsort_order);
    clashes_mark(out);
    return 0;
}

/* ---- one name ---------------------------------------------------------------------------- */

static void left_out(struct diff *diff, enum git_why why, const char *detail)
{
    struct git_left_out item = {
        .why = why, .path = buf_bytes(&diff->path), .detail = bytes_str(detail)};
    diff->options->left_out(diff->options->arg, &item);
}

static struct git_side side_of(const struct entry_of_tree *e)
{
    struct git_side side = {0};
    if (e == NULL || e->clash)
        return side;
    uint32_t type = e->mode & TYPE_MASK;
    if (type != TYPE_FILE && type != TYPE_LINK)
        return side;
    side.kind = type == TYPE_FILE ? KIND_FILE : KIND_LINK;
    if (type == TYPE_FILE)
        side.mode = (e->mode & 0100u) != 0 ? MODE_EXEC : MODE_PLAIN;
    (void)git_oid_fromraw(&side.oid, e->oid);
    return side;
}

/* Says what of a new entry the forge cannot hold. */
static void entry_tell(struct diff *diff, const struct entry_of_tree *e)
{
    uint32_t type = e->mode & TYPE_MASK;
    if (e->clash) {
        left_out(diff, GIT_WHY_CLASH, "is there twice in one directory");
        return;
    }
    if (type == TYPE_GITLINK) {
        left_out(diff, GIT_WHY_SUBMODULE, "is a submodule's commit");
        return;
    }
    if (type != TYPE_FILE && type != TYPE_LINK && type != TYPE_DIR) {
        left_out(diff, GIT_WHY_KIND,
                 arena_printf(diff->arena, "is of an unknown kind, mode %o", e->mode));
        return;
    }
    uint32_t permissions = e->mode & ~TYPE_MASK;
    bool usual =
        type == TYPE_FILE ? permissions == 0644 || permissions == 0755 : permissions == 0;
    if (usual && !e->odd)
        return;
    const char *as = type == TYPE_LINK              ? "120000"
                     : type == TYPE_DIR             ? "40000"
                     : side_of(e).mode == MODE_EXEC ? "100755"
                                                    : "100644";
    left_out(diff, GIT_WHY_MODE,
             arena_printf(diff->arena, "has mode %s%o and is kept as %s", e->odd ? "0" : "",
                          e->mode, as));
}

static bool entry_same(const struct entry_of_tree *a, const struct entry_of_tree *b)
{
    return a != NULL && b != NULL && a->mode == b->mode && a->clash == b->clash &&
           a->odd == b->odd && memcmp(a->oid, b->oid, GIT_OID_RAWSZ) == 0;
}

static bool side_same(const struct git_side *a, const struct git_side *b)
{
    if (a->kind == KIND_NONE || b->kind == KIND_NONE)
        return a->kind == b->kind;
    return a->kind == b->kind && a->mode == b->mode && git_oid_equal(&a->oid, &b->oid);
}

static bool is_empty_tree(const uint8_t *oid)
{
    static const uint8_t empty[GIT_OID_RAWSZ] = {0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e,
                                                 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6,
                                                 0x92, 0x88, 0xfb, 0xee, 0x49, 0x04};
    return memcmp(oid, empty, sizeof(empty)) == 0;
}

static int level_push(struct diff *diff, const uint8_t *a, const uint8_t *b)
{
    void *levels = diff->levels;
    struct level *level =
        arena_push(diff->arena, &levels, &diff->n_levels, &diff->cap_levels, sizeof(*level));
    diff->levels = levels;
    level->path_len = diff->path.len;
    int code = side_open(diff, a, &level->a);
    return code != 0 ? code : side_open(diff, b, &level->b);
}

static int directory(struct diff *diff, const struct entry_of_tree *a,
                     const struct entry_of_tree *b)
{
    const uint8_t *in_a = a == NULL || a->clash ? NULL : a->oid;
    const uint8_t *in_b = b == NULL || b->clash ? NULL : b->oid;
    if (in_b != NULL && is_empty_tree(in_b))
        left_out(diff, GIT_WHY_EMPTY, "is an empty directory");
    if (in_a != NULL && in_b != NULL && memcmp(in_a, in_b, GIT_OID_RAWSZ) == 0)
        return 0;
    buf_append(&diff->path, "/", 1);
    return level_push(diff, in_a, in_b);
}

/* A name whose two entries differ; either may be NULL, and both are directories or both are
 * not. The level under way may have moved afterwards. */
static int differ(struct diff *diff, const struct entry_of_tree *a,
                  const struct entry_of_tree *b)
{
    const struct entry_of_tree *any = b != NULL ? b : a;
    assert(any != NULL);
    buf_append_bytes(&diff->path, any->name);
    const char *why = "is too long";
    /* What lies below a path that is refused is refused, too. */
    if (path_check(buf_bytes(&diff->path), &why) != OK) {
        if (b != NULL)
            left_out(diff, GIT_WHY_PATH, why);
        return 0;
    }
    if (b != NULL)
        entry_tell(diff, b);
    if (is_dir(any))
        return directory(diff, a, b);
    struct git_change change = {.a = side_of(a), .b = side_of(b)};
    if (side_same(&change.a, &change.b))
        return 0;
    void *changes = diff->out->changes;
    struct git_change *place =
        arena_push(diff->arena, &changes, &diff->out->n, &diff->cap, sizeof(*place));
    diff->out->changes = changes;
    change.path = arena_copy(diff->arena, buf_bytes(&diff->path));
    *place = change;
    return 0;
}

/* ---- the walk ---------------------------------------------------------------------------- */

static void level_pop(struct diff *diff)
{
    struct level *level = &diff->levels[--diff->n_levels];
    git_odb_object_free(level->a.object);
    git_odb_object_free(level->b.object);
}

static int level_step(struct diff *diff)
{
    struct level *level = &diff->levels[diff->n_levels - 1];
    diff->path.len = level->path_len;
    struct tree_side *a = &level->a;
    struct tree_side *b = &level->b;
    while (a->at < a->n || b->at < b->n) {
        int c = a->at == a->n   ? 1
                : b->at == b->n ? -1
                                : entry_order(&a->entries[a->at], &b->entries[b->at]);
        const struct entry_of_tree *in_a = c <= 0 ? &a->entries[a->at++] : NULL;
        const struct entry_of_tree *in_b = c >= 0 ? &b->entries[b->at++] : NULL;
        if (entry_same(in_a, in_b))
            continue;
        return differ(diff, in_a, in_b);
    }
    level_pop(diff);
    return 0;
}

int git_diff_trees(const struct git_diff_options *options, const git_oid *a, const git_oid *b,
                   struct arena *arena, struct git_changes *out)
{
    *out = (struct git_changes){0};
    if (a != NULL && git_oid_equal(a, b))
        return 0;
    struct diff diff = {.options = options, .arena = arena, .out = out};
    int code = level_push(&diff, a == NULL ? NULL : a->id, b->id);
    while (code == 0 && diff.n_levels > 0)
        code = level_step(&diff);
    while (diff.n_levels > 0)
        level_pop(&diff);
    buf_release(&diff.path);
    return code;
}
