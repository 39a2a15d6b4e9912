#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/path.h"
#include "pipeline/repo/tree/tree.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"
#include "tests/support/tree_rig.h"

#define AUTO_RIG   AUTO(tree_rig_release) struct tree_rig
#define AUTO_MODEL AUTO(tree_model_release) struct tree_model

static bool same_file(const struct entry *a, const struct entry *b)
{
    return a->kind == b->kind && a->mode == b->mode && hash_equal(&a->hash, &b->hash);
}

static bool inside(struct bytes path, struct bytes dir)
{
    return dir.len == 0 || path_below(path, dir) || bytes_equal(path, dir);
}

/* The next difference of two models, from `*i` and `*j` on, below `dir`. */
static bool model_next(const struct tree_model *a, size_t *i, const struct tree_model *b,
                       size_t *j, struct bytes dir, const struct model_file **in_a,
                       const struct model_file **in_b)
{
    while (*i < a->n || *j < b->n) {
        static const struct model_file none;
        const struct model_file *x = *i < a->n ? &a->files[*i] : &none;
        const struct model_file *y = *j < b->n ? &b->files[*j] : &none;
        int order = path_compare(x->path, y->path);
        if (x == &none || y == &none) {
            order = x == &none ? 1 : -1;
        }
        *in_a = order <= 0 ? x : NULL;
        *in_b = order >= 0 ? y : NULL;
        *i += order <= 0;
        *j += order >= 0;
        bool same = order == 0 && same_file(&x->entry, &y->entry);
        if (!same && inside((order <= 0 ? x : y)->path, dir)) {
            return true;
        }
    }
    return false;
}

static void same_diff(const struct tree *ta, const struct tree *tb, const struct tree_model *a,
                      const struct tree_model *b, struct bytes dir)
{
    struct tree_diff *diff;
    ck_assert_int_eq(tree_diff_open(ta, tb, dir, &diff), 0);
    size_t i = 0;
    size_t j = 0;
    const struct model_file *in_a;
    const struct model_file *in_b;
    struct tree_change change;
    while (model_next(a, &i, b, &j, dir, &in_a, &in_b)) {
        ck_assert_int_eq(tree_diff_next(diff, &change), 0);
        ck_assert(bytes_equal(change.path, in_a != NULL ? in_a->path : in_b->path));
        ck_assert_int_eq(change.a != NULL, in_a != NULL);
        ck_assert_int_eq(change.b != NULL, in_b != NULL);
        if (in_a != NULL) {
            ck_assert(same_file(change.a, &in_a->entry));
            ck_assert_uint_eq(change.a->stamp, in_a->entry.stamp);
            ck_assert(bytes_equal(change.a->name, path_base(change.path)));
        }
        if (in_b != NULL) {
            ck_assert(same_file(change.b, &in_b->entry));
            ck_assert_uint_eq(change.b->stamp, in_b->entry.stamp);
            ck_assert(bytes_equal(change.b->name, path_base(change.path)));
        }
    }
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_NOT_FOUND);
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_NOT_FOUND);
    tree_diff_close(diff);
}

static void change(struct chance *c, struct tree_edit *edit, struct tree_model *model,
                   uint64_t stamp)
{
    static const char *const words[] = {"a", "b", "c", "a-b", "a.c", "d"};
    AUTO_BUF path = {0};
    size_t depth = 1 + chance_below(c, 4);
    for (size_t i = 0; i < depth; i++) {
        buf_printf(&path, "%s%s", i == 0 ? "" : "/", words[chance_below(c, ARRAY_LEN(words))]);
    }
    bool x = false;
    bool y = false;
    if (chance_below(c, 3) == 0) {
        int expected = tree_model_remove(model, buf_bytes(&path), stamp, &x);
        ck_assert_int_eq(tree_edit_remove(edit, buf_bytes(&path), stamp, &y), expected);
    } else {
        struct entry e = model_file_entry(chance_below(c, 3));
        e.mode = chance_below(c, 8) == 0 ? MODE_EXEC : MODE_PLAIN;
        int expected = tree_model_put(model, buf_bytes(&path), &e, stamp, &x);
        ck_assert_int_eq(tree_edit_put(edit, buf_bytes(&path), &e, stamp, &y), expected);
    }
}

START_TEST(any_two_trees_differ_as_their_models_do)
{
    struct chance c;
    chance_init(&c, "tree_diff");
    static const char *const dirs[] = {"", "a", "b/c", "a-b", "d/d/d"};
    for (unsigned round = 0; round < 20; round++) {
        AUTO_RIG rig;
        tree_rig_init(&rig, 16 << 20);
        enum { VERSIONS = 6 };
        struct tree trees[VERSIONS] = {rig.tree};
        struct tree_model models[VERSIONS] = {{.n = 0}};
        for (unsigned v = 1; v < VERSIONS; v++) {
            tree_model_copy(&models[v], &models[v - 1]);
            struct tree_edit *edit = tree_edit_open(&rig.tree);
            for (size_t n = chance_below(&c, 50); n > 0; n--) {
                change(&c, edit, &models[v], v);
            }
            trees[v] = tree_rig_seal(&rig, edit);
        }
        for (unsigned i = 0; i < VERSIONS; i++) {
            for (unsigned j = 0; j < VERSIONS; j++) {
                const char *dir = dirs[chance_below(&c, ARRAY_LEN(dirs))];
                same_diff(&trees[i], &trees[j], &models[i], &models[j], bytes_str(dir));
                same_diff(&trees[i], &trees[j], &models[i], &models[j], bytes_str(""));
            }
        }
        for (unsigned v = 0; v < VERSIONS; v++) {
            tree_model_release(&models[v]);
        }
    }
}
END_TEST

START_TEST(only_pages_that_differ_are_read)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 900; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "d%u/e%u/f%u", i % 10, i / 10 % 9, i);
        tree_rig_put(edit, path, i, 1);
    }
    struct tree a = tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&a);
    tree_rig_put(edit, "d3/e4/f43", 1000, 2);
    struct tree b = tree_rig_seal(&rig, edit);
    tree_rig_cold(&rig);
    (void)tree_rig_reads(&rig);
    struct tree_diff *diff;
    struct tree_change change;
    ck_assert_int_eq(tree_diff_open(&a, &b, bytes_str(""), &diff), 0);
    ck_assert_int_eq(tree_diff_next(diff, &change), 0);
    ck_assert(bytes_equal(change.path, bytes_str("d3/e4/f43")));
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_NOT_FOUND);
    tree_diff_close(diff);
    ck_assert_uint_eq(tree_rig_reads(&rig), 6);
    /* The same content at another time: not a page, though all bytes differ. */
    edit = tree_edit_open(&b);
    tree_rig_put(edit, "d3/e4/f43", 43, 3);
    struct tree again = tree_rig_seal(&rig, edit);
    tree_rig_cold(&rig);
    (void)tree_rig_reads(&rig);
    ck_assert_int_eq(tree_diff_open(&a, &again, bytes_str(""), &diff), 0);
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_NOT_FOUND);
    tree_diff_close(diff);
    ck_assert_uint_eq(tree_rig_reads(&rig), 0);
}
END_TEST

/* Pages of directory "d" that one tree has and the other has not, by content hash, at all
 * levels. */
struct page_set {
    struct hash *hashes;
    size_t n;
    size_t cap;
};

static int by_hash(const void *a, const void *b)
{
    return hash_compare(a, b);
}

static void collect(const struct tree *t, const struct entry *dir, struct arena *arena,
                    struct page_set *out)
{
    struct hash *own =
        arena_push(arena, (void **)(void *)&out->hashes, &out->n, &out->cap, sizeof(*own));
    *own = dir->hash;
    const struct page_held *held;
    ck_assert_int_eq(tree_page(t->repo, &t->project, &dir->where, &held), 0);
    for (uint32_t i = 0; held->page.level > 0 && i < held->page.n; i++) {
        collect(t, &held->page.entries[i], arena, out);
    }
    page_cache_drop(t->repo->pages, held);
}

static size_t pages_apart(const struct tree *a, const struct tree *b)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct tree *trees[] = {a, b};
    struct page_set sets[2] = {{.n = 0}};
    for (unsigned i = 0; i < 2; i++) {
        struct entry dir;
        ck_assert_int_eq(tree_find(trees[i], bytes_str("d"), &arena, &dir), 0);
        collect(trees[i], &dir, &arena, &sets[i]);
        qsort(sets[i].hashes, sets[i].n, sizeof(struct hash), by_hash);
    }
    size_t apart = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct page_set *other = &sets[1 - i];
        for (size_t k = 0; k < sets[i].n; k++) {
            apart += bsearch(&sets[i].hashes[k], other->hashes, other->n, sizeof(struct hash),
                             by_hash) == NULL;
        }
    }
    return apart;
}

START_TEST(a_large_directory_is_compared_page_by_page)
{
    struct chance c;
    chance_init(&c, "tree_diff_large");
    AUTO_RIG rig;
    tree_rig_init(&rig, 256 << 20);
    unsigned n = getenv("MIC_LONG") != NULL ? 1000000 : 60000;
    AUTO_MODEL model = {0};
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < n; i++) {
        char path[300];
        (void)snprintf(path, sizeof(path), "d/%07u-%0200u", i, i);
        struct entry e = model_file_entry(i);
        bool changed;
        ck_assert_int_eq(tree_edit_put(edit, bytes_str(path), &e, 1, &changed), 0);
        ck_assert_int_eq(tree_model_put(&model, bytes_str(path), &e, 1, &changed), 0);
    }
    struct tree a = tree_rig_seal(&rig, edit);
    AUTO_MODEL other = {0};
    tree_model_copy(&other, &model);
    for (unsigned round = 0; round < 6; round++) {
        edit = tree_edit_open(&rig.tree);
        for (unsigned i = 0; i < 3; i++) {
            size_t at = chance_below(&c, other.n);
            struct bytes path = other.files[at].path;
            struct entry e = model_file_entry(n + round);
            bool changed;
            if (chance_below(&c, 2) == 0) {
                ck_assert_int_eq(tree_edit_put(edit, path, &e, 2 + round, &changed), 0);
                ck_assert_int_eq(tree_model_put(&other, path, &e, 2 + round, &changed), 0);
            } else {
                ck_assert_int_eq(tree_edit_remove(edit, path, 2 + round, &changed), 0);
                ck_assert_int_eq(tree_model_remove(&other, path, 2 + round, &changed), 0);
            }
        }
        struct tree b = tree_rig_seal(&rig, edit);
        size_t apart = pages_apart(&a, &b);
        tree_rig_cold(&rig);
        (void)tree_rig_reads(&rig);
        same_diff(&a, &b, &model, &other, bytes_str(""));
        /* Both roots, and exactly the pages that only one of the two has. */
        ck_assert_uint_eq(tree_rig_reads(&rig), 2 + apart);
        ck_assert_uint_le(apart, 40 * (round + 1));
    }
}
END_TEST

static uint8_t top_level(const struct tree *t)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry dir;
    ck_assert_int_eq(tree_find(t, bytes_str("d"), &arena, &dir), 0);
    const struct page_held *top;
    ck_assert_int_eq(tree_page(t->repo, &t->project, &dir.where, &top), 0);
    uint8_t level = top->page.level;
    page_cache_drop(t->repo->pages, top);
    return level;
}

/* A directory and the same one grown by a level: the leaves of the smaller are met again below
 * the inner pages of the larger. */
START_TEST(a_directory_that_grew_a_level_shares_its_leaves)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 256 << 20);
    struct tree trees[2];
    AUTO_MODEL small = {0};
    AUTO_MODEL large = {0};
    static const unsigned ends[] = {20000, 80000};
    unsigned i = 0;
    for (unsigned t = 0; t < ARRAY_LEN(ends); t++) {
        struct tree_edit *edit = tree_edit_open(&rig.tree);
        for (; i < ends[t]; i++) {
            char path[300];
            (void)snprintf(path, sizeof(path), "d/%07u-%0200u", i, i);
            struct entry e = model_file_entry(i);
            bool changed;
            ck_assert_int_eq(tree_edit_put(edit, bytes_str(path), &e, 1, &changed), 0);
            ck_assert_int_eq(tree_model_put(&large, bytes_str(path), &e, 1, &changed), 0);
        }
        trees[t] = tree_rig_seal(&rig, edit);
        if (t == 0) {
            tree_model_copy(&small, &large);
        }
    }
    ck_assert_uint_eq(top_level(&trees[0]), 1);
    ck_assert_uint_eq(top_level(&trees[1]), 2);
    size_t apart = pages_apart(&trees[0], &trees[1]);
    for (unsigned turn = 0; turn < 2; turn++) {
        tree_rig_cold(&rig);
        (void)tree_rig_reads(&rig);
        same_diff(&trees[turn], &trees[1 - turn], turn == 0 ? &small : &large,
                  turn == 0 ? &large : &small, bytes_str(""));
        ck_assert_uint_eq(tree_rig_reads(&rig), 2 + apart);
    }
}
END_TEST

START_TEST(a_damaged_page_is_reported_and_nothing_else)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "a/x", 1, 1);
    struct tree a = tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&a);
    tree_rig_put(edit, "a/x", 2, 2);
    struct tree b = tree_rig_seal(&rig, edit);
    tree_rig_cold(&rig);
    b.root.check.b[0] ^= 1;
    struct tree_diff *diff;
    struct tree_change change;
    ck_assert_int_eq(tree_diff_open(&a, &b, bytes_str(""), &diff), 0);
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_CORRUPT);
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_CORRUPT);
    tree_diff_close(diff);
    ck_assert_int_eq(tree_diff_open(&a, &b, bytes_str("a"), &diff), ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        any_two_trees_differ_as_their_models_do,
        only_pages_that_differ_are_read,
        a_large_directory_is_compared_page_by_page,
        a_directory_that_grew_a_level_shares_its_leaves,
        a_damaged_page_is_reported_and_nothing_else,
    };
    return suite_run("tree_diff", tests, ARRAY_LEN(tests));
}
