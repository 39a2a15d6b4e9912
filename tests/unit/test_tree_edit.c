#include "pipeline/repo/tree/tree_edit.h"

#include <stdio.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/path.h"
#include "tests/support/chance.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"
#include "tests/support/tree_rig.h"

#define AUTO_RIG   AUTO(tree_rig_release) struct tree_rig
#define AUTO_MODEL AUTO(tree_model_release) struct tree_model

/* A path of few words, so that files and directories meet again and stand in each other's
 * way. */
static struct bytes draw_path(struct chance *c, struct buf *room)
{
    static const char *const words[] = {"a",   "b", "c",        "a-b",
                                        "a.c", "Z", "\xc3\xa9", "long-name"};
    room->len = 0;
    size_t depth = 1 + chance_below(c, 4);
    for (size_t i = 0; i < depth; i++) {
        buf_printf(room, "%s%s", i == 0 ? "" : "/", words[chance_below(c, ARRAY_LEN(words))]);
    }
    return buf_bytes(room);
}

/* One random put or remove, on the edit and on the model, which must agree. */
static void change(struct chance *c, struct tree_edit *edit, struct tree_model *model,
                   uint64_t stamp)
{
    AUTO_BUF room = {0};
    struct bytes path = draw_path(c, &room);
    bool a = false;
    bool b = false;
    if (chance_below(c, 3) == 0) {
        int expected = tree_model_remove(model, path, stamp, &b);
        ck_assert_int_eq(tree_edit_remove(edit, path, stamp, &a), expected);
    } else {
        struct entry e = model_file_entry(chance_below(c, 5));
        if (chance_below(c, 5) == 0) {
            e.mode = MODE_EXEC;
        } else if (chance_below(c, 5) == 0) {
            e.kind = KIND_LINK;
            e.mode = 0;
        }
        int expected = tree_model_put(model, path, &e, stamp, &b);
        ck_assert_int_eq(tree_edit_put(edit, path, &e, stamp, &a), expected);
    }
    ck_assert_int_eq(a, b);
}

static void same_listing(struct tree_edit *edit, const struct tree_model *model,
                         struct bytes path, struct bytes after, size_t max)
{
    AUTO(arena_release) struct arena arena = {0};
    struct tree_listing listing;
    ck_assert_int_eq(tree_edit_list(edit, path, after, max, &arena, &listing), 0);
    size_t n = 0;
    bool more = false;
    struct bytes last = {0};
    for (size_t i = 0; i < model->n; i++) {
        struct bytes rest = model->files[i].path;
        if (path.len > 0) {
            if (!path_below(rest, path)) {
                continue;
            }
            rest = bytes_of(rest.data + path.len + 1, rest.len - path.len - 1);
        }
        struct bytes name = path_first(&rest);
        if (bytes_compare(name, after) <= 0 || bytes_equal(name, last)) {
            continue;
        }
        last = name;
        if (n == max) {
            more = true;
            break;
        }
        struct bytes whole =
            bytes_of(model->files[i].path.data,
                     (size_t)(name.data - model->files[i].path.data) + name.len);
        struct entry e = tree_model_find(model, whole);
        ck_assert_uint_lt(n, listing.n);
        const struct entry *got = &listing.entries[n++];
        ck_assert(bytes_equal(got->name, name));
        ck_assert_int_eq(got->kind, e.kind);
        ck_assert(hash_equal(&got->hash, &e.hash));
        ck_assert_uint_eq(got->files, e.files);
        ck_assert_uint_eq(got->size, e.size);
        ck_assert_uint_eq(got->stamp, e.stamp);
    }
    ck_assert_uint_eq(listing.n, n);
    ck_assert_int_eq(listing.more, more);
}

/* What the edit says of a path, in each way that it can be asked. */
static void same_answers(struct chance *c, struct tree_edit *edit,
                         const struct tree_model *model)
{
    AUTO_BUF room = {0};
    struct bytes path = draw_path(c, &room);
    struct entry want = tree_model_find(model, path);
    struct entry got;
    int err = tree_edit_find(edit, path, &got);
    ck_assert_int_eq(err, want.kind == KIND_NONE ? ERR_NOT_FOUND : 0);
    if (err == 0) {
        ck_assert_int_eq(got.kind, want.kind);
        ck_assert_uint_eq(got.size, want.size);
        ck_assert_uint_eq(got.files, want.files);
        ck_assert_uint_eq(got.stamp, want.stamp);
        ck_assert(bytes_equal(got.name, path_base(path)));
    }
    struct seen seen;
    struct seen expected = seen_of(want.kind == KIND_NONE ? NULL : &want);
    ck_assert_int_eq(tree_edit_seen(edit, path, &seen), 0);
    ck_assert(seen_equal(&seen, &expected));

    struct bytes above = path;
    struct entry nearest;
    do {
        above = path_parent(above);
        nearest = tree_model_find(model, above);
    } while (nearest.kind == KIND_NONE);
    size_t len;
    ck_assert_int_eq(tree_edit_nearest(edit, path, &len, &got), 0);
    ck_assert_uint_eq(len, above.len);
    ck_assert_int_eq(got.kind, nearest.kind);
    /* The root's is an upper bound only. */
    ck_assert(above.len == 0 ? got.stamp >= nearest.stamp : got.stamp == nearest.stamp);
    if (want.kind == KIND_DIR) {
        same_listing(edit, model, path, bytes_str(chance_below(c, 2) == 0 ? "" : "a-b"),
                     1 + chance_below(c, 5));
    }
}

START_TEST(any_sequence_of_edits_is_what_the_model_says)
{
    struct chance c;
    chance_init(&c, "tree_edit");
    for (unsigned round = 0; round < 12; round++) {
        AUTO_RIG rig;
        tree_rig_init(&rig, 1 << 20);
        rig.publish = round % 2 == 0;
        AUTO_MODEL model = {0};
        for (uint64_t stamp = 1; stamp <= 25; stamp++) {
            struct tree_edit *edit = tree_edit_open(&rig.tree);
            size_t changes = chance_below(&c, 30);
            for (size_t i = 0; i < changes; i++) {
                change(&c, edit, &model, stamp);
                if (chance_below(&c, 3) == 0) {
                    same_answers(&c, edit, &model);
                }
            }
            struct hash whole = tree_model_hash(&model);
            struct hash hash;
            ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
            ck_assert(hash_equal(&hash, &whole));
            rig.tree.position = stamp;
            struct tree t = tree_rig_seal(&rig, edit);
            ck_assert(hash_equal(&t.content, &whole));
            if (stamp % 5 == 0) {
                tree_rig_cold(&rig);
            }
            tree_rig_same(&t, &model);
        }
    }
}
END_TEST

/* The content hash is what the model says, after each of many changes of one edit. */
START_TEST(a_hash_that_is_asked_for_again_and_again)
{
    struct chance c;
    chance_init(&c, "tree_edit_again");
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    AUTO_MODEL model = {0};
    for (unsigned round = 0; round < 4; round++) {
        struct tree_edit *edit = tree_edit_open(&rig.tree);
        for (unsigned i = 0; i < 400; i++) {
            char path[32];
            unsigned dir = (unsigned)chance_below(&c, 4);
            unsigned name = (unsigned)chance_below(&c, 8);
            (void)snprintf(path, sizeof(path), "top/%u/%u", dir, name);
            bool a;
            bool b;
            /* Mostly other contents; now and then a name, or the last of a directory, goes. */
            if (chance_below(&c, 6) == 0) {
                ck_assert_int_eq(tree_edit_remove(edit, bytes_str(path), i, &a), 0);
                ck_assert_int_eq(tree_model_remove(&model, bytes_str(path), i, &b), 0);
            } else {
                struct entry e = model_file_entry(chance_below(&c, 5));
                e.mode = chance_below(&c, 2) == 0 ? MODE_EXEC : MODE_PLAIN;
                ck_assert_int_eq(tree_edit_put(edit, bytes_str(path), &e, i, &a), 0);
                ck_assert_int_eq(tree_model_put(&model, bytes_str(path), &e, i, &b), 0);
            }
            struct hash want = tree_model_hash(&model);
            struct hash hash;
            struct seen seen;
            if (chance_below(&c, 3) == 0) {
                ck_assert_int_eq(tree_edit_seen(edit, bytes_str("top/1"), &seen), 0);
            }
            ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
            ck_assert(hash_equal(&hash, &want));
        }
        rig.tree = tree_rig_seal(&rig, edit);
    }
}
END_TEST

START_TEST(a_split_directory_is_hashed_again_and_again)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    AUTO_MODEL model = {0};
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 6000; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "wide/%u", i % 3000);
        bool changed;
        struct entry e = model_file_entry(i);
        ck_assert_int_eq(tree_edit_put(edit, bytes_str(path), &e, i, &changed), 0);
        ck_assert_int_eq(tree_model_put(&model, bytes_str(path), &e, i, &changed), 0);
        if (i >= 2999 && i % 500 == 499) {
            struct hash want = tree_model_hash(&model);
            struct hash hash;
            ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
            ck_assert(hash_equal(&hash, &want));
        }
    }
    tree_edit_close(edit);
}
END_TEST

START_TEST(a_hash_that_failed_is_right_the_next_time)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 22);
    AUTO_MODEL all = {0};
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 9000; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "top/wide/%u", i);
        bool changed;
        struct entry e = model_file_entry(i);
        ck_assert_int_eq(tree_edit_put(edit, bytes_str(path), &e, 1, &changed), 0);
        ck_assert_int_eq(tree_model_put(&all, bytes_str(path), &e, 1, &changed), 0);
    }
    rig.tree = tree_rig_seal(&rig, edit);
    struct store *faulty = faulty_store_open(rig.trace);
    unsigned failed = 0;
    for (unsigned i = 0; i < 9000; i += 13) {
        AUTO_MODEL model = {0};
        char path[32];
        bool changed;
        tree_model_copy(&model, &all);
        tree_rig_cold(&rig);
        rig.tree.repo = &rig.repo;
        edit = tree_edit_open(&rig.tree);
        (void)snprintf(path, sizeof(path), "top/wide/%u", i);
        ck_assert_int_eq(tree_edit_remove(edit, bytes_str(path), 2, &changed), 0);
        ck_assert_int_eq(tree_model_remove(&model, bytes_str(path), 2, &changed), 0);
        /* Taking the first name of a page away needs the page before it. */
        rig.repo.store = faulty;
        faulty_reset(faulty);
        faulty_plan(faulty, 1, FAULT_AGAIN);
        struct hash hash;
        int err = tree_edit_root_hash(edit, &hash);
        rig.repo.store = rig.trace;
        if (err != 0) {
            struct hash want = tree_model_hash(&model);
            ck_assert_int_eq(err, ERR_AGAIN);
            ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
            ck_assert(hash_equal(&hash, &want));
            failed++;
        }
        tree_edit_close(edit);
    }
    ck_assert_uint_gt(failed, 0);
    store_close(faulty);
}
END_TEST

START_TEST(the_order_of_edits_leaves_no_trace_in_the_hash)
{
    struct chance c;
    chance_init(&c, "tree_edit_order");
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    struct tree empty = rig.tree;
    enum { N = 400 };
    unsigned order[N];
    struct hash first = {0};
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < N; i++) {
            order[i] = i;
        }
        for (unsigned i = N - 1; i > 0; i--) {
            unsigned k = (unsigned)chance_below(&c, i + 1);
            unsigned other = order[k];
            order[k] = order[i];
            order[i] = other;
        }
        rig.tree = empty;
        struct tree_edit *edit = tree_edit_open(&empty);
        for (unsigned i = 0; i < N; i++) {
            char path[64];
            (void)snprintf(path, sizeof(path), "d%u/e%u/f%u", order[i] % 7, order[i] % 3,
                           order[i]);
            tree_rig_put(edit, path, order[i], 1 + i % 3);
            if (i % 50 == 49) {
                edit = (tree_rig_seal(&rig, edit), tree_edit_open(&rig.tree));
            }
        }
        struct tree t = tree_rig_seal(&rig, edit);
        if (round == 0) {
            first = t.content;
        }
        ck_assert(hash_equal(&first, &t.content));
    }
}
END_TEST

START_TEST(an_edit_that_leaves_nothing_seals_an_empty_root)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    struct tree t = tree_rig_seal(&rig, tree_edit_open(&rig.tree));
    struct hash empty = page_content_hash(0, NULL, 0);
    ck_assert(hash_equal(&t.content, &empty));
    ck_assert_uint_eq(t.files, 0);
    AUTO(arena_release) struct arena arena = {0};
    struct tree_listing listing;
    ck_assert_int_eq(tree_list(&t, bytes_str(""), bytes_str(""), 10, &arena, &listing), 0);
    ck_assert_uint_eq(listing.n, 0);

    struct tree_edit *edit = tree_edit_open(&t);
    tree_rig_put(edit, "a/b/c", 1, 1);
    t = tree_rig_seal(&rig, edit);
    ck_assert_uint_eq(t.files, 1);
    edit = tree_edit_open(&t);
    tree_rig_remove(edit, "a/b/c", 2);
    struct entry e;
    ck_assert_int_eq(tree_edit_find(edit, bytes_str("a"), &e), ERR_NOT_FOUND);
    ck_assert_int_eq(tree_edit_find(edit, bytes_str(""), &e), 0);
    ck_assert_int_eq(e.kind, KIND_DIR);
    ck_assert_uint_eq(e.stamp, 2);
    t = tree_rig_seal(&rig, edit);
    ck_assert(hash_equal(&t.content, &empty));
    ck_assert_uint_eq(t.files, 0);
    ck_assert_uint_eq(t.bytes, 0);
}
END_TEST

START_TEST(files_and_directories_stand_in_each_others_way)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "dir/file", 1, 1);
    struct tree t = tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&t);
    struct entry e = model_file_entry(2);
    bool changed;
    ck_assert_int_eq(tree_edit_put(edit, bytes_str("dir"), &e, 2, &changed), ERR_CONFLICT);
    ck_assert_int_eq(tree_edit_put(edit, bytes_str("dir/file/x"), &e, 2, &changed),
                     ERR_CONFLICT);
    ck_assert_int_eq(tree_edit_put(edit, bytes_str("dir/file/x/y"), &e, 2, &changed),
                     ERR_CONFLICT);
    ck_assert_int_eq(tree_edit_remove(edit, bytes_str("dir"), 2, &changed), ERR_CONFLICT);
    ck_assert_int_eq(tree_edit_remove(edit, bytes_str("dir/file/x"), 2, &changed), 0);
    ck_assert(!changed);
    ck_assert_int_eq(tree_edit_put(edit, bytes_str("a//b"), &e, 2, &changed), ERR_INVALID);
    ck_assert_int_eq(tree_edit_put(edit, bytes_str(""), &e, 2, &changed), ERR_INVALID);
    struct hash hash;
    ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
    ck_assert(hash_equal(&hash, &t.content));

    /* When the directory is empty a file may take its place, and the other way round. */
    tree_rig_remove(edit, "dir/file", 2);
    tree_rig_put(edit, "dir", 3, 2);
    ck_assert_int_eq(tree_edit_put(edit, bytes_str("dir/file"), &e, 2, &changed), ERR_CONFLICT);
    tree_rig_remove(edit, "dir", 2);
    tree_rig_put(edit, "dir/file/x", 4, 2);
    t = tree_rig_seal(&rig, edit);
    AUTO_MODEL model = {0};
    e = model_file_entry(4);
    ck_assert_int_eq(tree_model_put(&model, bytes_str("dir/file/x"), &e, 2, &changed), 0);
    tree_rig_same(&t, &model);
}
END_TEST

START_TEST(what_changes_nothing_sets_no_stamp)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "a/b", 1, 1);
    struct tree t = tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&t);
    struct entry same = model_file_entry(1);
    same.where.place = PLACE_RAW; /* that it lies elsewhere is no change */
    bool changed;
    ck_assert_int_eq(tree_edit_put(edit, bytes_str("a/b"), &same, 9, &changed), 0);
    ck_assert(!changed);
    ck_assert_int_eq(tree_edit_remove(edit, bytes_str("a/c"), 9, &changed), 0);
    ck_assert(!changed);
    ck_assert_int_eq(tree_edit_remove(edit, bytes_str("x/y/z"), 9, &changed), 0);
    ck_assert(!changed);
    struct tree next = tree_rig_seal(&rig, edit);
    ck_assert(hash_equal(&next.root.check, &t.root.check) ||
              !hash_equal(&next.root.tree, &t.root.tree));
    AUTO(arena_release) struct arena arena = {0};
    struct entry e;
    ck_assert_int_eq(tree_find(&next, bytes_str("a/b"), &arena, &e), 0);
    ck_assert_uint_eq(e.stamp, 1);
    ck_assert_int_eq(tree_find(&next, bytes_str("a"), &arena, &e), 0);
    ck_assert_uint_eq(e.stamp, 1);
    /* The page of the directory was not made again. */
    ck_assert(hash_equal(&e.where.tree, &t.root.tree));
}
END_TEST

START_TEST(a_change_that_is_undone_leaves_its_stamp)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 1 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "a/b", 1, 1);
    tree_rig_put(edit, "a/c", 1, 1);
    struct tree t = tree_rig_seal(&rig, edit);
    edit = tree_edit_open(&t);
    tree_rig_put(edit, "a/b", 2, 5);
    tree_rig_put(edit, "a/b", 1, 6);
    tree_rig_put(edit, "x/y", 1, 7);
    tree_rig_remove(edit, "x/y", 8);
    struct hash hash;
    ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
    ck_assert(hash_equal(&hash, &t.content));
    struct tree next = tree_rig_seal(&rig, edit);
    ck_assert(hash_equal(&next.content, &t.content));
    AUTO(arena_release) struct arena arena = {0};
    struct entry e;
    ck_assert_int_eq(tree_find(&next, bytes_str("a/b"), &arena, &e), 0);
    ck_assert_uint_eq(e.stamp, 6);
    ck_assert_int_eq(tree_find(&next, bytes_str("a/c"), &arena, &e), 0);
    ck_assert_uint_eq(e.stamp, 1);
    ck_assert_int_eq(tree_find(&next, bytes_str("a"), &arena, &e), 0);
    ck_assert_uint_eq(e.stamp, 6);
    ck_assert_int_eq(tree_find(&next, bytes_str("x"), &arena, &e), ERR_NOT_FOUND);
}
END_TEST

/* A directory of several pages, each file with a stamp of its own choice. */
static struct tree split_dir(struct tree_rig *rig, uint64_t stamp_step, unsigned batches)
{
    unsigned n = 3000;
    for (unsigned batch = 0; batch < batches; batch++) {
        struct tree_edit *edit = tree_edit_open(&rig->tree);
        for (unsigned i = batch; i < n; i += batches) {
            char path[64];
            (void)snprintf(path, sizeof(path), "dir/some-longer-name-%06u", i);
            tree_rig_put(edit, path, i, 1 + i * stamp_step);
        }
        tree_rig_seal(rig, edit);
    }
    return rig->tree;
}

START_TEST(schedule_24_stamps_and_places_do_not_decide_splitting)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    struct tree empty = rig.tree;
    struct tree one = split_dir(&rig, 0, 1);
    rig.tree = empty;
    struct tree two = split_dir(&rig, 1000003, 7);
    ck_assert(hash_equal(&one.content, &two.content));
    AUTO(arena_release) struct arena arena = {0};
    struct entry a;
    struct entry b;
    ck_assert_int_eq(tree_find(&one, bytes_str("dir"), &arena, &a), 0);
    ck_assert_int_eq(tree_find(&two, bytes_str("dir"), &arena, &b), 0);
    ck_assert_uint_ne(a.stamp, b.stamp);
    struct tree_edit *edit_a = tree_edit_open(&one);
    struct tree_edit *edit_b = tree_edit_open(&two);
    struct seen seen_a;
    struct seen seen_b;
    ck_assert_int_eq(tree_edit_seen(edit_a, bytes_str("dir"), &seen_a), 0);
    ck_assert_int_eq(tree_edit_seen(edit_b, bytes_str("dir"), &seen_b), 0);
    ck_assert(seen_equal(&seen_a, &seen_b));
    tree_edit_close(edit_a);
    tree_edit_close(edit_b);
}
END_TEST

START_TEST(schedule_25_a_revert_does_not_bring_old_stamps_back)
{
    for (unsigned publish = 0; publish < 2; publish++) {
        AUTO_RIG rig;
        tree_rig_init(&rig, 64 << 20);
        rig.publish = publish == 1;
        struct tree first = split_dir(&rig, 0, 1);
        const char *path = "dir/some-longer-name-001234";
        struct tree_edit *edit = tree_edit_open(&first);
        tree_rig_put(edit, path, 77777, 2);
        struct tree second = tree_rig_seal(&rig, edit);
        ck_assert(!hash_equal(&second.content, &first.content));
        edit = tree_edit_open(&second);
        tree_rig_put(edit, path, 1234, 3);
        struct tree third = tree_rig_seal(&rig, edit);
        ck_assert(hash_equal(&third.content, &first.content));
        AUTO(arena_release) struct arena arena = {0};
        struct entry e;
        ck_assert_int_eq(tree_find(&third, bytes_str(path), &arena, &e), 0);
        ck_assert_uint_eq(e.stamp, 3);
        ck_assert_int_eq(tree_find(&third, bytes_str("dir"), &arena, &e), 0);
        ck_assert_uint_eq(e.stamp, 3);
        ck_assert_int_eq(tree_find(&first, bytes_str(path), &arena, &e), 0);
        ck_assert_uint_eq(e.stamp, 1);
    }
}
END_TEST

START_TEST(a_path_of_4096_bytes)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    AUTO_BUF deep = {0};
    while (deep.len < PATH_LEN_MAX - 2) {
        buf_append(&deep, deep.len % 4 == 0 ? "d/" : "e/", 2);
    }
    buf_append(&deep, "xy", 2);
    ck_assert_uint_eq(deep.len, PATH_LEN_MAX);
    struct bytes path = buf_bytes(&deep);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    struct entry e = model_file_entry(1);
    bool changed;
    ck_assert_int_eq(tree_edit_put(edit, path, &e, 1, &changed), 0);
    struct tree t = tree_rig_seal(&rig, edit);
    AUTO(arena_release) struct arena arena = {0};
    struct entry got;
    ck_assert_int_eq(tree_find(&t, path, &arena, &got), 0);
    ck_assert_uint_eq(got.stamp, 1);
    ck_assert(bytes_equal(got.name, bytes_str("xy")));
    struct tree_walk *walk;
    ck_assert_int_eq(tree_walk_open(&t, bytes_str(""), &walk), 0);
    size_t n = 0;
    struct bytes at = {0};
    const struct entry *met;
    while (tree_walk_next(walk, &at, &met) == 0) {
        n++;
        if (met->kind == KIND_FILE) {
            ck_assert(bytes_equal(at, path));
        }
    }
    tree_walk_close(walk);
    ck_assert_uint_eq(n, PATH_LEN_MAX / 2);
    edit = tree_edit_open(&t);
    ck_assert_int_eq(tree_edit_remove(edit, path, 2, &changed), 0);
    ck_assert(changed);
    struct tree gone = tree_rig_seal(&rig, edit);
    ck_assert_uint_eq(gone.files, 0);
    struct tree_diff *diff;
    struct tree_change change;
    ck_assert_int_eq(tree_diff_open(&t, &gone, bytes_str(""), &diff), 0);
    ck_assert_int_eq(tree_diff_next(diff, &change), 0);
    ck_assert(bytes_equal(change.path, path));
    ck_assert_int_eq(tree_diff_next(diff, &change), ERR_NOT_FOUND);
    tree_diff_close(diff);
    buf_append(&deep, "z", 1);
    edit = tree_edit_open(&gone);
    ck_assert_int_eq(tree_edit_put(edit, buf_bytes(&deep), &e, 1, &changed), ERR_LIMIT);
    tree_edit_close(edit);
}
END_TEST

/* Overwrites the tree object with one in which a byte of the page at `where` is another. */
static void damage(struct tree_rig *rig, const struct location *where)
{
    struct key key = key_tree(&rig->project, &where->tree);
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_get(rig->mem, key.s, range_all(), &body, NULL, NULL), 0);
    body.data[where->offset + where->len / 2] ^= 1;
    ck_assert_int_eq(store_put(rig->mem, key.s, buf_bytes(&body), PUT_ANY, NULL), 0);
}

START_TEST(a_damaged_page_stops_only_what_needs_it)
{
    for (unsigned missing = 0; missing < 2; missing++) {
        AUTO_RIG rig;
        tree_rig_init(&rig, 64 << 20);
        struct tree_edit *edit = tree_edit_open(&rig.tree);
        tree_rig_put(edit, "bad/file", 1, 1);
        struct tree t = tree_rig_seal(&rig, edit);
        edit = tree_edit_open(&t);
        tree_rig_put(edit, "good/file", 1, 2);
        t = tree_rig_seal(&rig, edit);
        tree_rig_cold(&rig);
        AUTO(arena_release) struct arena arena = {0};
        struct entry bad;
        ck_assert_int_eq(tree_find(&t, bytes_str("bad"), &arena, &bad), 0);
        if (missing == 1) {
            struct key key = key_tree(&rig.project, &bad.where.tree);
            ck_assert_int_eq(store_delete(rig.mem, key.s), 0);
        } else {
            damage(&rig, &bad.where);
        }
        struct entry e;
        ck_assert_int_eq(tree_find(&t, bytes_str("bad/file"), &arena, &e), ERR_CORRUPT);
        edit = tree_edit_open(&t);
        bool changed;
        e = model_file_entry(3);
        ck_assert_int_eq(tree_edit_put(edit, bytes_str("bad/file"), &e, 3, &changed),
                         ERR_CORRUPT);
        ck_assert_int_eq(tree_edit_remove(edit, bytes_str("bad/x"), 3, &changed), ERR_CORRUPT);
        ck_assert_int_eq(tree_edit_find(edit, bytes_str("bad/file"), &e), ERR_CORRUPT);
        struct tree_listing listing;
        ck_assert_int_eq(
            tree_edit_list(edit, bytes_str("bad"), bytes_str(""), 9, &arena, &listing),
            ERR_CORRUPT);
        struct seen seen;
        ck_assert_int_eq(tree_edit_seen(edit, bytes_str("bad"), &seen), 0);
        tree_rig_put(edit, "good/file", 4, 3);
        tree_rig_put(edit, "good/more", 4, 3);
        struct tree next = tree_rig_seal(&rig, edit);
        ck_assert_uint_eq(next.files, 3);
        ck_assert_int_eq(tree_find(&next, bytes_str("good/more"), &arena, &e), 0);
        ck_assert_int_eq(tree_find(&next, bytes_str("bad"), &arena, &e), 0);
        ck_assert(hash_equal(&e.where.check, &bad.where.check));
    }
}
END_TEST

START_TEST(counts_that_lie_are_corrupt)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "a", 1, 1);
    struct tree t = tree_rig_seal(&rig, edit);
    t.files = 2;
    edit = tree_edit_open(&t);
    bool changed;
    ck_assert_int_eq(tree_edit_remove(edit, bytes_str("a"), 3, &changed), ERR_CORRUPT);
    tree_edit_close(edit);
}
END_TEST

START_TEST(sealed_pages_are_in_the_cache_when_published)
{
    AUTO_RIG rig;
    tree_rig_init(&rig, 64 << 20);
    rig.publish = true;
    struct tree t = split_dir(&rig, 1, 2);
    (void)tree_rig_reads(&rig);
    struct tree_edit *edit = tree_edit_open(&t);
    tree_rig_put(edit, "dir/some-longer-name-000500x", 1, 9);
    struct hash hash;
    ck_assert_int_eq(tree_edit_root_hash(edit, &hash), 0);
    t = tree_rig_seal(&rig, edit);
    ck_assert(hash_equal(&t.content, &hash));
    struct tree_walk *walk;
    ck_assert_int_eq(tree_walk_open(&t, bytes_str(""), &walk), 0);
    struct bytes path;
    const struct entry *e;
    while (tree_walk_next(walk, &path, &e) == 0) {
    }
    tree_walk_close(walk);
    ck_assert_uint_eq(tree_rig_reads(&rig), 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        any_sequence_of_edits_is_what_the_model_says,
        a_hash_that_is_asked_for_again_and_again,
        a_split_directory_is_hashed_again_and_again,
        a_hash_that_failed_is_right_the_next_time,
        the_order_of_edits_leaves_no_trace_in_the_hash,
        an_edit_that_leaves_nothing_seals_an_empty_root,
        files_and_directories_stand_in_each_others_way,
        what_changes_nothing_sets_no_stamp,
        a_change_that_is_undone_leaves_its_stamp,
        schedule_24_stamps_and_places_do_not_decide_splitting,
        schedule_25_a_revert_does_not_bring_old_stamps_back,
        a_path_of_4096_bytes,
        a_damaged_page_stops_only_what_needs_it,
        counts_that_lie_are_corrupt,
        sealed_pages_are_in_the_cache_when_published,
    };
    return suite_run("tree_edit", tests, ARRAY_LEN(tests));
}
