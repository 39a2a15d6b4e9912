#include "api/client/thick_contents.h"
#include "api/client/thick_tree.h"
#include "formats/base/hash.h"
#include "formats/blob.h"
#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/tree/tree_build.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"
#include "tests/support/tree_rig.h"
#include <stdio.h>
#include <stdlib.h>

/* Ranges out of a memory store, in place of HTTP. */
struct mem_source {
    struct range_source source;
    struct store *store;
    struct id16 project;
    uint64_t reads;
    uint64_t spoil;   /* the read of this number (from 1) has a bit flipped; 0: none */
    uint64_t shorten; /* the read of this number lacks its last byte */
};

static int mem_many(struct range_source *source, const struct range_feed *feed)
{
    struct mem_source *mem = (struct mem_source *)source;
    struct range_read *read;
    while ((read = feed->next(feed->arg)) != NULL) {
        struct key key = key_tree(&mem->project, &read->tree);
        struct store_range range =
            read->suffix ? range_suffix(read->len) : range_of(read->offset, read->len);
        read->err = store_get(mem->store, key.s, range, &read->body, NULL, NULL);
        mem->reads++;
        if (mem->reads == mem->spoil && read->body.len > 0)
            read->body.data[read->body.len / 2] ^= 0x10;
        if (mem->reads == mem->shorten && read->body.len > 0)
            read->body.len--;
        int err = feed->done(feed->arg, read);
        if (err != OK)
            return err;
    }
    return OK;
}

static struct mem_source source_of(struct store *store, const struct id16 *project)
{
    return (struct mem_source){
        .source = {.many = mem_many}, .store = store, .project = *project};
}

static struct thick_tree open_tree(struct mem_source *source, const struct hash *tree,
                                   struct arena *arena)
{
    struct thick_tree out;
    ck_assert_int_eq(thick_tree_open(&source->source, tree, arena, &out), OK);
    return out;
}

static void same_entry(const struct entry *have, const struct entry *want)
{
    ck_assert_int_eq(have->kind, want->kind);
    ck_assert_int_eq(have->mode, want->mode);
    ck_assert(hash_equal(&have->hash, &want->hash));
}

/* That the walk gives exactly what the model has. */
static void same_walk(struct mem_source *source, const struct hash *tree,
                      const struct tree_model *model)
{
    AUTO(arena_release) struct arena arena = {0};
    struct thick_tree thick = open_tree(source, tree, &arena);
    struct thick_changes all;
    ck_assert_int_eq(thick_tree_diff(&source->source, NULL, &thick, &arena, &all), OK);
    ck_assert_uint_eq(all.n, model->n);
    for (size_t i = 0; i < all.n; i++) {
        ck_assert(bytes_equal(all.changes[i].path, model->files[i].path));
        ck_assert_ptr_null(all.changes[i].a);
        same_entry(all.changes[i].b, &model->files[i].entry);
    }
}

static bool model_same(const struct model_file *a, const struct model_file *b)
{
    return a->entry.kind == b->entry.kind && a->entry.mode == b->entry.mode &&
           hash_equal(&a->entry.hash, &b->entry.hash);
}

/* That the difference is exactly that of the models. */
static void same_difference(struct mem_source *source, const struct hash *ta,
                            const struct tree_model *a, const struct hash *tb,
                            const struct tree_model *b)
{
    AUTO(arena_release) struct arena arena = {0};
    struct thick_tree x = open_tree(source, ta, &arena);
    struct thick_tree y = open_tree(source, tb, &arena);
    struct thick_changes found;
    ck_assert_int_eq(thick_tree_diff(&source->source, &x, &y, &arena, &found), OK);
    size_t n = 0, i = 0, k = 0;
    while (i < a->n || k < b->n) {
        const struct model_file *fa = i < a->n ? &a->files[i] : NULL;
        const struct model_file *fb = k < b->n ? &b->files[k] : NULL;
        int c = fa == NULL ? 1 : fb == NULL ? -1 : path_compare(fa->path, fb->path);
        fa = c <= 0 ? fa : NULL;
        fb = c >= 0 ? fb : NULL;
        struct bytes path = c <= 0 ? a->files[i].path : b->files[k].path;
        i += c <= 0 ? 1 : 0;
        k += c >= 0 ? 1 : 0;
        if (fa != NULL && fb != NULL && model_same(fa, fb))
            continue;
        ck_assert_uint_lt(n, found.n);
        const struct thick_change *change = &found.changes[n++];
        ck_assert(bytes_equal(change->path, path));
        ck_assert_int_eq(change->a != NULL, fa != NULL);
        ck_assert_int_eq(change->b != NULL, fb != NULL);
        if (fa != NULL)
            same_entry(change->a, &fa->entry);
        if (fb != NULL)
            same_entry(change->b, &fb->entry);
    }
    ck_assert_uint_eq(n, found.n);
}

static void random_edits(struct tree_edit *edit, struct tree_model *model,
                         struct chance *chance, unsigned n, uint64_t stamp)
{
    for (unsigned i = 0; i < n; i++) {
        char path[100];
        switch (chance_below(chance, 4)) {
        case 0:
            snprintf(path, sizeof(path), "f%llu", (unsigned long long)chance_below(chance, 40));
            break;
        case 1:
            snprintf(path, sizeof(path), "d%llu/e%llu/f%llu",
                     (unsigned long long)chance_below(chance, 6),
                     (unsigned long long)chance_below(chance, 6),
                     (unsigned long long)chance_below(chance, 6));
            break;
        default:
            snprintf(path, sizeof(path), "large/a-rather-long-name-to-fill-its-page-%llu",
                     (unsigned long long)chance_below(chance, 9000));
            break;
        }
        bool changed;
        struct bytes name = bytes_str(path);
        if (chance_below(chance, 4) == 0) {
            ck_assert_int_eq(tree_edit_remove(edit, name, stamp, &changed), OK);
            ck_assert_int_eq(tree_model_remove(model, name, stamp, &changed), OK);
        } else {
            struct entry e = model_file_entry(chance_u64(chance));
            ck_assert_int_eq(tree_edit_put(edit, name, &e, stamp, &changed), OK);
            ck_assert_int_eq(tree_model_put(model, name, &e, stamp, &changed), OK);
        }
    }
}

START_TEST(walk_and_difference_are_the_models)
{
    struct chance chance;
    chance_init(&chance, "walk_and_difference_are_the_models");
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    struct mem_source source = source_of(rig.mem, &rig.project);
    AUTO(tree_model_release) struct tree_model now = {0};
    AUTO(tree_model_release) struct tree_model first = {0};
    struct hash first_tree = {0};
    for (unsigned round = 0; round < 6; round++) {
        AUTO(tree_model_release) struct tree_model before = {0};
        struct hash before_tree = rig.newest;
        tree_model_copy(&before, &now);
        struct tree_edit *edit = tree_edit_open(&rig.tree);
        random_edits(edit, &now, &chance, round == 0 ? 9000 : 40, round + 1);
        rig.tree = tree_rig_seal(&rig, edit);
        same_walk(&source, &rig.newest, &now);
        if (round == 0) {
            first_tree = rig.newest;
            tree_model_copy(&first, &now);
        } else {
            same_difference(&source, &before_tree, &before, &rig.newest, &now);
            same_difference(&source, &rig.newest, &now, &before_tree, &before);
            same_difference(&source, &first_tree, &first, &rig.newest, &now);
        }
    }
}
END_TEST

START_TEST(difference_reads_only_what_differs)
{
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    struct mem_source source = source_of(rig.mem, &rig.project);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 200; i++) {
        char path[60];
        snprintf(path, sizeof(path), "d%u/file", i);
        tree_rig_put(edit, path, i, 1);
    }
    rig.tree = tree_rig_seal(&rig, edit);
    struct hash before = rig.newest;
    edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "d7/file", 1000, 2);
    rig.tree = tree_rig_seal(&rig, edit);
    AUTO(arena_release) struct arena arena = {0};
    struct thick_tree a = open_tree(&source, &before, &arena);
    struct thick_tree b = open_tree(&source, &rig.newest, &arena);
    source.reads = 0;
    struct thick_changes found;
    ck_assert_int_eq(thick_tree_diff(&source.source, &a, &b, &arena, &found), OK);
    ck_assert_uint_eq(found.n, 1);
    ck_assert_uint_le(source.reads, 4); /* two roots, two directories */
    source.reads = 0;
    ck_assert_int_eq(thick_tree_diff(&source.source, &a, &a, &arena, &found), OK);
    ck_assert_uint_eq(source.reads, 0);
    /* A whole walk joins the pages of 200 directories into a few reads. */
    ck_assert_int_eq(thick_tree_diff(&source.source, NULL, &a, &arena, &found), OK);
    ck_assert_uint_eq(found.n, 200);
    ck_assert_uint_le(source.reads, 3);
}
END_TEST

START_TEST(find)
{
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    struct mem_source source = source_of(rig.mem, &rig.project);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    for (unsigned i = 0; i < 5000; i++) {
        char path[80];
        snprintf(path, sizeof(path), "deep/er/a-name-that-is-long-enough-%u", i);
        tree_rig_put(edit, path, i, 1);
    }
    rig.tree = tree_rig_seal(&rig, edit);
    AUTO(arena_release) struct arena arena = {0};
    struct thick_tree tree = open_tree(&source, &rig.newest, &arena);
    struct entry e;
    struct entry want = model_file_entry(4321);
    struct bytes path = bytes_str("deep/er/a-name-that-is-long-enough-4321");
    ck_assert_int_eq(thick_tree_find(&source.source, &tree, path, &arena, &e), OK);
    same_entry(&e, &want);
    ck_assert_int_eq(thick_tree_find(&source.source, &tree, bytes_str("deep"), &arena, &e), OK);
    ck_assert_int_eq(e.kind, KIND_DIR);
    ck_assert_int_eq(thick_tree_find(&source.source, &tree, bytes_str(""), &arena, &e), OK);
    ck_assert(hash_equal(&e.hash, &tree.footer.root_content));
    ck_assert_int_eq(thick_tree_find(&source.source, &tree, bytes_str("no"), &arena, &e),
                     ERR_NOT_FOUND);
    path = bytes_str("deep/er/a-name-that-is-long-enough-1/x");
    ck_assert_int_eq(thick_tree_find(&source.source, &tree, path, &arena, &e), ERR_NOT_FOUND);
}
END_TEST

START_TEST(damage_is_found)
{
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    struct tree_edit *edit = tree_edit_open(&rig.tree);
    tree_rig_put(edit, "a", 1, 1);
    tree_rig_put(edit, "d/b", 2, 1);
    rig.tree = tree_rig_seal(&rig, edit);
    for (uint64_t spoilt = 1; spoilt <= 3; spoilt++) {
        for (int how = 0; how < 2; how++) {
            AUTO(arena_release) struct arena arena = {0};
            struct mem_source source = source_of(rig.mem, &rig.project);
            source.spoil = how == 0 ? spoilt : 0;
            source.shorten = how == 1 ? spoilt : 0;
            struct thick_tree tree;
            struct thick_changes found;
            int err = thick_tree_open(&source.source, &rig.newest, &arena, &tree);
            if (err == OK)
                err = thick_tree_diff(&source.source, NULL, &tree, &arena, &found);
            /* The suffix read has more than the footer, so not every flip in it matters. */
            if (spoilt > 1 || how == 1)
                ck_assert_int_eq(err, ERR_CORRUPT);
        }
    }
}
END_TEST

/* A tree object whose root page has one entry, put by hand; gives its tree hash. */
static struct hash put_object(struct store *store, const struct id16 *project,
                              const struct entry *e)
{
    struct tree_build build;
    tree_build_init(&build);
    struct buf page = {0};
    char harmless[8] = "zzzzzzz";
    struct entry plain = *e;
    plain.name = bytes_of(harmless, e->name.len);
    struct page root = {.n = 1, .entries = &plain};
    ck_assert_int_eq(page_encode(&root, &page), OK);
    /* No encoder writes such a name. */
    uint8_t *at = memmem(page.data, page.len, harmless, e->name.len);
    ck_assert_ptr_nonnull(at);
    memcpy(at, e->name.data, e->name.len);
    envelope_close(&page, 0);
    /* Nor is there a content hash of one with a slash or dots: it must not come that far. */
    bool hashable = path_check(e->name, NULL) == OK || e->name.data[0] != '.' ||
                    (e->name.len > 2 && e->name.data[1] != '.');
    hashable = hashable && memchr(e->name.data, '/', e->name.len) == NULL;
    struct footer footer = {.root_content = page_content_hash(0, hashable ? e : &plain, 1)};
    struct hash tree;
    ck_assert_int_eq(tree_build_finish(&build, buf_bytes(&page), &footer, &tree), OK);
    struct key key = key_tree(project, &tree);
    ck_assert_int_eq(store_put(store, key.s, buf_bytes(&build.bytes), PUT_ANY, NULL), OK);
    buf_release(&page);
    tree_build_release(&build);
    return tree;
}

START_TEST(evil_names_do_not_come_out)
{
    static const char *const names[] = {"..", ".", "a/b", "../x", ".git", ".Git", "/", "a\nb"};
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct mem_source source = source_of(rig.mem, &rig.project);
        struct entry e = model_file_entry(1);
        e.name = bytes_str(names[i]);
        struct hash hash = put_object(rig.mem, &rig.project, &e);
        struct thick_tree tree;
        struct thick_changes found;
        ck_assert_int_eq(thick_tree_open(&source.source, &hash, &arena, &tree), OK);
        ck_assert_int_eq(thick_tree_diff(&source.source, NULL, &tree, &arena, &found),
                         ERR_CORRUPT);
    }
    AUTO(arena_release) struct arena arena = {0};
    struct mem_source source = source_of(rig.mem, &rig.project);
    struct entry e = model_file_entry(1);
    e.name = bytes_str(".mic");
    struct hash hash = put_object(rig.mem, &rig.project, &e);
    struct thick_tree tree = open_tree(&source, &hash, &arena);
    struct thick_changes found;
    ck_assert_int_eq(thick_tree_diff(&source.source, NULL, &tree, &arena, &found), ERR_CORRUPT);
}
END_TEST

/* A page of the right content whose stamps are others: only the page hash tells. */
START_TEST(forged_stamps_are_found)
{
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    AUTO(arena_release) struct arena arena = {0};
    struct mem_source source = source_of(rig.mem, &rig.project);
    struct entry e = model_file_entry(1);
    e.name = bytes_str("name");
    e.stamp = 0x1122334455667788;
    struct hash hash = put_object(rig.mem, &rig.project, &e);
    struct thick_tree tree = open_tree(&source, &hash, &arena);
    struct thick_changes found;
    ck_assert_int_eq(thick_tree_diff(&source.source, NULL, &tree, &arena, &found), OK);
    struct key key = key_tree(&rig.project, &hash);
    AUTO_BUF object = {0};
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &object, NULL, NULL), OK);
    uint8_t *stamp = memmem(object.data, object.len, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
    ck_assert_ptr_nonnull(stamp);
    stamp[7] ^= 1;
    struct buf page = {.data = object.data + tree.footer.root.offset,
                       .len = tree.footer.root.len,
                       .cap = tree.footer.root.len};
    envelope_close(&page, 0);
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
    ck_assert_int_eq(thick_tree_diff(&source.source, NULL, &tree, &arena, &found), ERR_CORRUPT);
}
END_TEST

START_TEST(trees_of_positions)
{
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    struct mem_source source = source_of(rig.mem, &rig.project);
    for (unsigned i = 0; i < 40; i++) {
        struct tree_edit *edit = tree_edit_open(&rig.tree);
        tree_rig_put(edit, "a", i, i + 1);
        rig.tree = tree_rig_seal(&rig, edit);
    }
    AUTO(arena_release) struct arena arena = {0};
    struct thick_tree head = open_tree(&source, &rig.newest, &arena);
    struct thick_tree at;
    uint64_t top = head.footer.position;
    ck_assert_int_eq(thick_tree_at(&source.source, &head, top + 1, &arena, &at), ERR_NOT_FOUND);
    for (uint64_t p = 1; p <= top; p++) {
        ck_assert_int_eq(thick_tree_at(&source.source, &head, p, &arena, &at), OK);
        ck_assert_uint_ge(at.footer.position, p);
        ck_assert(at.footer.first < p || at.footer.position == p);
    }
}
END_TEST

/* ---- contents ---------------------------------------------------------------------------- */

#define CONTENTS 500u

struct contents {
    unsigned given[CONTENTS];
    int refuse; /* the index at which the callback gives up; -1: none */
};

static size_t text_of(size_t i, char *out, size_t size)
{
    size_t n = 0;
    for (size_t k = 0; k < i % 60 && n + 40 < size; k++)
        n += (size_t)snprintf(out + n, size - n, "line %zu of content %zu\n", k, i);
    return n;
}

static int content_given(void *arg, unsigned worker UNUSED, size_t index, struct bytes plain)
{
    struct contents *contents = arg;
    char text[4096];
    size_t len = text_of(index, text, sizeof(text));
    ck_assert(bytes_equal(plain, bytes_of(text, len)));
    __atomic_add_fetch(&contents->given[index], 1, __ATOMIC_RELAXED);
    return contents->refuse == (int)index ? ERR_DENIED : OK;
}

/* One tree object with many contents, raw and packed. */
static void contents_put(struct tree_rig *rig, struct entry *entries, struct hash *tree)
{
    struct tree_build build;
    tree_build_init(&build);
    for (size_t i = 0; i < CONTENTS; i++) {
        char text[4096];
        struct bytes plain = bytes_of(text, text_of(i, text, sizeof(text)));
        AUTO_BUF frame = {0};
        bool packed = i % 2 == 0 && plain.len > 0;
        zstd_pack(plain, &frame);
        struct bytes stored = packed ? buf_bytes(&frame) : plain;
        entries[i] = (struct entry){
            .kind = KIND_FILE, .mode = MODE_PLAIN, .size = plain.len, .hash = sha256(plain)};
        entries[i].where.place = packed ? PLACE_ZSTD : PLACE_RAW;
        entries[i].where.len = (uint32_t)stored.len;
        ck_assert_int_eq(tree_build_add(&build, stored, &entries[i].where.offset), OK);
    }
    *tree = sha256(bytes_str("a name"));
    for (size_t i = 0; i < CONTENTS; i++)
        entries[i].where.tree = *tree;
    struct key key = key_tree(&rig->project, tree);
    ck_assert_int_eq(store_put(rig->mem, key.s, buf_bytes(&build.bytes), PUT_ANY, NULL), OK);
    tree_build_release(&build);
}

START_TEST(contents_come_once_and_in_few_reads)
{
    AUTO(tree_rig_release) struct tree_rig rig;
    tree_rig_init(&rig, 8u << 20);
    static struct entry entries[CONTENTS];
    const struct entry *refs[CONTENTS];
    struct hash tree;
    contents_put(&rig, entries, &tree);
    for (size_t i = 0; i < CONTENTS; i++)
        refs[i] = &entries[i];
    struct mem_source source = source_of(rig.mem, &rig.project);
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct contents contents = {.refuse = -1};
        source.reads = 0;
        ck_assert_int_eq(
            thick_contents(&source.source, refs, CONTENTS, workers, content_given, &contents),
            OK);
        for (size_t i = 0; i < CONTENTS; i++)
            ck_assert_uint_eq(contents.given[i], 1);
        ck_assert_uint_le(source.reads, 2);
    }
    struct contents contents = {.refuse = 77};
    ck_assert_int_eq(
        thick_contents(&source.source, refs, CONTENTS, 2, content_given, &contents),
        ERR_DENIED);
    /* What is not the content that its hash says ends all. */
    contents.refuse = -1;
    entries[401].hash.b[0] ^= 1;
    ck_assert_int_eq(
        thick_contents(&source.source, refs, CONTENTS, 2, content_given, &contents),
        ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        walk_and_difference_are_the_models,
        difference_reads_only_what_differs,
        find,
        damage_is_found,
        evil_names_do_not_come_out,
        forged_stamps_are_found,
        trees_of_positions,
        contents_come_once_and_in_few_reads,
    };
    return suite_run("thick_tree", tests, ARRAY_LEN(tests));
}
