#include "pipeline/repo/tree/tree.h"

#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/path.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"
#include "tests/support/tree_rig.h"

#define AUTO_RIG   AUTO(tree_rig_release) struct tree_rig
#define AUTO_MODEL AUTO(tree_model_release) struct tree_model
#define AUTO_ARENA AUTO(arena_release) struct arena

/* A small tree beside a directory of several pages, in the rig and in the model. */
static void plant(struct tree_rig *rig, struct tree_model *model)
{
    static const char *const paths[] = {"README", "a-b", "a/b", "a.c", "a/c/d", "z/only"};
    struct tree_edit *edit = tree_edit_open(&rig->tree);
    for (unsigned i = 0; i < 4000 + ARRAY_LEN(paths); i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "large/a-middling-name-%05u", i);
        const char *use = i < ARRAY_LEN(paths) ? paths[i] : path;
        tree_rig_put(edit, use, i, 1 + i % 9);
        struct entry e = model_file_entry(i);
        bool changed;
        ck_assert_int_eq(tree_model_put(model, bytes_str(use), &e, 1 + i % 9, &changed), 0);
    }
    rig->tree.position = 9;
    tree_rig_seal(rig, edit);
    tree_rig_cold(rig);
    (void)tree_rig_reads(rig);
}

START_TEST(find_is_what_the_model_has)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    AUTO_MODEL model = {0};
    plant(&rig, &model);
    for (size_t i = 0; i < model.n; i++) {
        AUTO_ARENA arena = {0};
        struct entry e;
        ck_assert_int_eq(tree_find(&rig.tree, model.files[i].path, &arena, &e), 0);
        ck_assert(hash_equal(&e.hash, &model.files[i].entry.hash));
        ck_assert_uint_eq(e.stamp, model.files[i].entry.stamp);
        ck_assert(bytes_equal(e.name, path_base(model.files[i].path)));
    }
    static const char *const gone[] = {"b",         "a/b/c",  "a/c/e", "large/a-middling-name-",
                                       "large/zzz", "large/", "A",     "README/x"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
        AUTO_ARENA arena = {0};
        struct entry e;
        ck_assert_int_eq(tree_find(&rig.tree, bytes_str(gone[i]), &arena, &e),
                         i == 5 ? 0 : ERR_NOT_FOUND);
    }
    AUTO_ARENA arena = {0};
    struct entry root;
    ck_assert_int_eq(tree_find(&rig.tree, bytes_str(""), &arena, &root), 0);
    ck_assert_int_eq(root.kind, KIND_DIR);
    ck_assert_uint_eq(root.files, model.n);
    ck_assert_uint_eq(root.stamp, 9);
    ck_assert_uint_eq(root.name.len, 0);
    ck_assert(hash_equal(&root.hash, &rig.tree.content));
}
END_TEST

START_TEST(a_cold_find_costs_one_read_a_page)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    AUTO_MODEL model = {0};
    plant(&rig, &model);
    AUTO_ARENA arena = {0};
    struct entry e;
    ck_assert_int_eq(tree_find(&rig.tree, bytes_str("a/c/d"), &arena, &e), 0);
    ck_assert_uint_eq(tree_rig_reads(&rig), 3);
    ck_assert_int_eq(tree_find(&rig.tree, bytes_str("a/c/d"), &arena, &e), 0);
    ck_assert_uint_eq(tree_rig_reads(&rig), 0);
    /* The top page of the split directory and one leaf. */
    ck_assert_int_eq(tree_find(&rig.tree, model.files[2000].path, &arena, &e), 0);
    ck_assert_uint_eq(tree_rig_reads(&rig), 2);
    ck_assert_int_eq(tree_find(&rig.tree, bytes_str("README"), &arena, &e), 0);
    ck_assert_uint_eq(tree_rig_reads(&rig), 0);
}
END_TEST

START_TEST(listings_go_on_where_they_ended)
{
    struct chance c;
    chance_init(&c, "tree_list");
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    AUTO_MODEL model = {0};
    plant(&rig, &model);
    size_t at = 0;
    while (!path_below(model.files[at].path, bytes_str("large"))) {
        at++;
    }
    AUTO_ARENA arena = {0};
    struct bytes after = {0};
    struct tree_listing listing;
    size_t n = 0;
    do {
        size_t max = 1 + chance_below(&c, 900);
        ck_assert_int_eq(tree_list(&rig.tree, bytes_str("large"), after, max, &arena, &listing),
                         0);
        ck_assert_uint_le(listing.n, max);
        for (size_t i = 0; i < listing.n; i++) {
            ck_assert(
                bytes_equal(listing.entries[i].name, path_base(model.files[at + n].path)));
            n++;
        }
        after = listing.entries[listing.n - 1].name;
    } while (listing.more);
    ck_assert_uint_eq(n, 4000);
    ck_assert_int_eq(
        tree_list(&rig.tree, bytes_str("large"), bytes_str("zz"), 5, &arena, &listing), 0);
    ck_assert_uint_eq(listing.n, 0);
    ck_assert(!listing.more);

    ck_assert_int_eq(tree_list(&rig.tree, bytes_str(""), bytes_str(""), 50, &arena, &listing),
                     0);
    static const char *const root[] = {"README", "a", "a-b", "a.c", "large", "z"};
    ck_assert_uint_eq(listing.n, ARRAY_LEN(root));
    for (size_t i = 0; i < ARRAY_LEN(root); i++) {
        ck_assert(bytes_equal(listing.entries[i].name, bytes_str(root[i])));
    }
    ck_assert_int_eq(
        tree_list(&rig.tree, bytes_str("README"), bytes_str(""), 5, &arena, &listing),
        ERR_INVALID);
    ck_assert_int_eq(tree_list(&rig.tree, bytes_str("no"), bytes_str(""), 5, &arena, &listing),
                     ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_walk_meets_all_and_leaves_out_what_is_skipped)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    AUTO_MODEL model = {0};
    plant(&rig, &model);
    tree_rig_same(&rig.tree, &model);
    static const char *const expected[] = {"README", "a",     "a/b", "a/c",   "a-b",
                                           "a.c",    "large", "z",   "z/only"};
    struct tree_walk *walk;
    ck_assert_int_eq(tree_walk_open(&rig.tree, bytes_str(""), &walk), 0);
    struct bytes path;
    const struct entry *e;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        ck_assert_int_eq(tree_walk_next(walk, &path, &e), 0);
        ck_assert(bytes_equal(path, bytes_str(expected[i])));
        if (bytes_equal(path, bytes_str("a/c")) || bytes_equal(path, bytes_str("large"))) {
            tree_walk_skip(walk);
        }
    }
    ck_assert_int_eq(tree_walk_next(walk, &path, &e), ERR_NOT_FOUND);
    ck_assert_int_eq(tree_walk_next(walk, &path, &e), ERR_NOT_FOUND);
    tree_walk_close(walk);

    ck_assert_int_eq(tree_walk_open(&rig.tree, bytes_str("a"), &walk), 0);
    static const char *const below[] = {"a/b", "a/c", "a/c/d"};
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        ck_assert_int_eq(tree_walk_next(walk, &path, &e), 0);
        ck_assert(bytes_equal(path, bytes_str(below[i])));
    }
    ck_assert_int_eq(tree_walk_next(walk, &path, &e), ERR_NOT_FOUND);
    tree_walk_close(walk);
    ck_assert_int_eq(tree_walk_open(&rig.tree, bytes_str("a/b"), &walk), ERR_INVALID);
    ck_assert_int_eq(tree_walk_open(&rig.tree, bytes_str("b"), &walk), ERR_NOT_FOUND);
}
END_TEST

START_TEST(the_empty_tree_has_a_root_and_nothing_else)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    AUTO_ARENA arena = {0};
    struct entry e;
    ck_assert_int_eq(tree_find(&rig.tree, bytes_str(""), &arena, &e), 0);
    ck_assert_int_eq(e.kind, KIND_DIR);
    ck_assert_int_eq(tree_find(&rig.tree, bytes_str("a"), &arena, &e), ERR_NOT_FOUND);
    struct tree_listing listing;
    ck_assert_int_eq(tree_list(&rig.tree, bytes_str(""), bytes_str(""), 5, &arena, &listing),
                     0);
    ck_assert_uint_eq(listing.n, 0);
    struct tree_walk *walk;
    struct bytes path;
    const struct entry *met;
    ck_assert_int_eq(tree_walk_open(&rig.tree, bytes_str(""), &walk), 0);
    ck_assert_int_eq(tree_walk_next(walk, &path, &met), ERR_NOT_FOUND);
    tree_walk_close(walk);
    ck_assert_uint_eq(tree_rig_reads(&rig), 0);
}
END_TEST

/* A tree whose root has one directory `d` with the page that `page` is, put by hand. */
static struct tree by_hand(struct tree_rig *rig, const struct page *page, struct entry says)
{
    AUTO_BUF object = {0};
    ck_assert_int_eq(page_encode(page, &object), 0);
    says.where = (struct location){.place = PLACE_PAGE,
                                   .len = (uint32_t)object.len,
                                   .check = page_hash(buf_bytes(&object))};
    size_t at = object.len;
    struct page root = {.level = says.name.len > 1 ? 1 : 0, .n = 1, .entries = &says};
    ck_assert_int_eq(page_encode(&root, &object), 0);
    struct bytes bytes = bytes_of(object.data + at, object.len - at);
    struct tree t = {.repo = &rig->repo, .project = rig->project, .files = 1};
    t.root = (struct location){.place = PLACE_PAGE,
                               .tree = sha256(buf_bytes(&object)),
                               .offset = (uint32_t)at,
                               .len = (uint32_t)bytes.len,
                               .check = page_hash(bytes)};
    struct key key = key_tree(&rig->project, &t.root.tree);
    ck_assert_int_eq(store_put(rig->mem, key.s, buf_bytes(&object), PUT_ANY, NULL), 0);
    return t;
}

START_TEST(pages_that_do_not_fit_together_are_corrupt)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    struct entry file = model_file_entry(0);
    file.name = bytes_str("bb");
    struct page leaf = {.n = 1, .entries = &file};
    AUTO_ARENA arena = {0};
    struct entry e;
    struct entry says = {.kind = KIND_DIR, .files = 1, .name = bytes_str("bb")};
    struct tree t = by_hand(&rig, &leaf, says);
    ck_assert_int_eq(tree_find(&t, bytes_str("bb"), &arena, &e), 0);
    /* The page above says that it begins with another name. */
    says.name = bytes_str("aa");
    t = by_hand(&rig, &leaf, says);
    ck_assert_int_eq(tree_find(&t, bytes_str("bb"), &arena, &e), ERR_CORRUPT);
    struct tree_listing listing;
    ck_assert_int_eq(tree_list(&t, bytes_str(""), bytes_str(""), 9, &arena, &listing),
                     ERR_CORRUPT);
    /* An empty page below another. */
    leaf.n = 0;
    t = by_hand(&rig, &leaf, says);
    ck_assert_int_eq(tree_find(&t, bytes_str("aa"), &arena, &e), ERR_CORRUPT);
    /* A page of the wrong level. */
    struct entry inner = {.kind = KIND_DIR, .name = bytes_str("aa")};
    inner.where.place = PLACE_PAGE;
    struct page two = {.level = 1, .n = 1, .entries = &inner};
    t = by_hand(&rig, &two, says);
    ck_assert_int_eq(tree_find(&t, bytes_str("aa"), &arena, &e), ERR_CORRUPT);
}
END_TEST

START_TEST(what_the_parent_says_and_is_not_there_is_corrupt)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "a", 1, 1);
    struct tree t = tree_rig_seal(&rig, edit);
    AUTO_ARENA arena = {0};
    struct entry e;
    struct tree other = t;
    other.root.offset = 1u << 29;
    ck_assert_int_eq(tree_find(&other, bytes_str("a"), &arena, &e), ERR_CORRUPT);
    other = t;
    other.root.tree.b[0] ^= 1;
    ck_assert_int_eq(tree_find(&other, bytes_str("a"), &arena, &e), ERR_CORRUPT);
    other = t;
    other.root.len = PAGE_BYTES_MAX + 1;
    ck_assert_int_eq(tree_find(&other, bytes_str("a"), &arena, &e), ERR_CORRUPT);
    other = t;
    other.root.place = PLACE_BLOB;
    ck_assert_int_eq(tree_find(&other, bytes_str("a"), &arena, &e), ERR_CORRUPT);
    other = t;
    other.root.check.b[5] ^= 1;
    ck_assert_int_eq(tree_find(&other, bytes_str("a"), &arena, &e), ERR_CORRUPT);
    ck_assert_int_eq(tree_find(&t, bytes_str("a"), &arena, &e), 0);
}
END_TEST

START_TEST(a_tree_object_ends_with_what_its_footer_names)
{
    struct tree_build build;
    tree_build_init(&build);
    uint32_t offset;
    ck_assert_int_eq(tree_build_add(&build, bytes_str("content"), &offset), 0);
    ck_assert_uint_eq(offset, TREE_HEADER_LEN);
    struct landing landing = {.verdict = VERDICT_REFUSED,
                              .closes = true,
                              .request = {{1}},
                              .session = {{2}},
                              .owner = {{3}},
                              .reason = bytes_str("limit")};
    ck_assert_int_eq(tree_build_record(&build, &landing), 0);
    landing.request.b[0] = 9;
    landing.closes = false;
    ck_assert_int_eq(tree_build_record(&build, &landing), 0);
    struct footer footer = {.hlc = 5};
    struct hash tree;
    ck_assert_int_eq(tree_build_finish(&build, bytes_str("the root page"), &footer, &tree), 0);
    struct bytes object = buf_bytes(&build.bytes);
    uint32_t footer_len;
    ck_assert_int_eq(tree_trailer_find(object, &footer_len), 0);
    struct bytes bytes =
        bytes_of(object.data + object.len - TREE_TRAILER_LEN - footer_len, footer_len);
    struct hash hash = sha256(bytes);
    ck_assert(hash_equal(&hash, &tree));
    AUTO_ARENA arena = {0};
    struct footer back;
    ck_assert_int_eq(footer_decode(bytes, &arena, &back), 0);
    ck_assert_uint_eq(back.n_records, 2);
    ck_assert(bytes_equal(bytes_of(object.data + back.root.offset, back.root.len),
                          bytes_str("the root page")));
    hash = page_hash(bytes_str("the root page"));
    ck_assert(hash_equal(&back.root.hash, &hash));
    struct bytes records = bytes_of(object.data + back.records.offset, back.records.len);
    hash = sha256(records);
    ck_assert(hash_equal(&back.records.hash, &hash));
    struct bytes ids = bytes_of(object.data + back.ids.offset, back.ids.len);
    hash = sha256(ids);
    ck_assert(hash_equal(&back.ids.hash, &hash));
    struct tree_id *id;
    ck_assert_int_eq(tree_ids_decode(ids, 2, &arena, &id), 0);
    ck_assert(id[0].closes && !id[1].closes);
    for (unsigned i = 0; i < 2; i++) {
        struct reader r;
        rd_init(&r, records);
        (void)rd_bytes(&r, id[i].offset);
        struct landing got;
        ck_assert_int_eq(landing_decode(rd_run32(&r, RECORDS_MAX), &arena, &got), 0);
        ck_assert(id16_equal(&got.request, &id[i].request));
        ck_assert(bytes_equal(got.reason, bytes_str("limit")));
    }
    tree_build_release(&build);
}
END_TEST

START_TEST(a_tree_object_has_a_limit)
{
    struct tree_build build;
    tree_build_init(&build);
    uint32_t offset = 77;
    static const uint8_t byte;
    /* Only the length is looked at before it is refused. */
    ck_assert_int_eq(tree_build_add(&build, bytes_of(&byte, TREE_OBJECT_MAX), &offset),
                     ERR_LIMIT);
    ck_assert_uint_eq(offset, 77);
    struct footer footer = {.n_companions = UINT16_MAX};
    struct hash tree;
    ck_assert_int_eq(tree_build_finish(&build, bytes_str("root"), &footer, &tree), ERR_LIMIT);
    tree_build_release(&build);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        find_is_what_the_model_has,
        a_cold_find_costs_one_read_a_page,
        listings_go_on_where_they_ended,
        a_walk_meets_all_and_leaves_out_what_is_skipped,
        the_empty_tree_has_a_root_and_nothing_else,
        pages_that_do_not_fit_together_are_corrupt,
        what_the_parent_says_and_is_not_there_is_corrupt,
        a_tree_object_ends_with_what_its_footer_names,
        a_tree_object_has_a_limit,
    };
    return suite_run("tree", tests, ARRAY_LEN(tests));
}
