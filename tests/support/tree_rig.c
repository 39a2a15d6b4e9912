#include "tests/support/tree_rig.h"

#include <check.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/store/mem.h"

static uint64_t rig_wall(struct clock *clock UNUSED)
{
    return 1800000000000u;
}

static uint64_t rig_mono(struct clock *clock UNUSED)
{
    return 1;
}

static void rig_sleep(struct clock *clock UNUSED, uint64_t us UNUSED)
{
}

void tree_rig_init(struct tree_rig *rig, size_t cache_bytes)
{
    *rig = (struct tree_rig){.clock = {rig_wall, rig_mono, rig_sleep}};
    rng_seeded_init(&rig->rng, 1);
    rig->mem = mem_store_open();
    rig->trace = trace_store_open(rig->mem);
    struct repo_options options = {
        .page_cache_bytes = cache_bytes, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    ck_assert_int_eq(repo_open(&rig->repo, rig->trace, &rig->clock, &rig->rng.rng, &options),
                     0);
    memset(rig->project.b, 7, sizeof(rig->project.b));
    rig->tree = (struct tree){.repo = &rig->repo, .project = rig->project};
}

void tree_rig_release(struct tree_rig *rig)
{
    repo_close(&rig->repo);
    store_close(rig->trace);
    store_close(rig->mem);
}

void tree_rig_cold(struct tree_rig *rig)
{
    held_cache_close(rig->repo.pages);
    rig->repo.pages = page_cache_open(256 * MIB);
}

struct tree tree_rig_seal(struct tree_rig *rig, struct tree_edit *edit)
{
    struct tree_build build;
    tree_build_init(&build);
    AUTO_BUF root = {0};
    struct footer footer = {.hlc = 1};
    if (rig->tree.root.place != PLACE_NONE) {
        footer_follow(&footer, &rig->footer, &rig->newest);
    }
    footer.position = footer.first;
    ck_assert_int_eq(tree_edit_seal(edit, &build, &root, &footer), 0);
    struct hash hash;
    ck_assert_int_eq(tree_build_finish(&build, buf_bytes(&root), &footer, &hash), 0);
    struct key key = key_tree(&rig->project, &hash);
    ck_assert_int_eq(store_put(rig->trace, key.s, buf_bytes(&build.bytes), PUT_ANY, NULL), 0);
    tree_build_release(&build);
    if (rig->publish) {
        tree_edit_publish(edit, &hash);
    }
    tree_edit_close(edit);
    rig->footer = footer;
    rig->newest = hash;
    rig->tree.root = (struct location){.place = PLACE_PAGE,
                                       .tree = hash,
                                       .offset = footer.root.offset,
                                       .len = footer.root.len,
                                       .check = footer.root.hash};
    rig->tree.content = footer.root_content;
    rig->tree.files = footer.files;
    rig->tree.bytes = footer.bytes;
    return rig->tree;
}

void tree_rig_put(struct tree_edit *edit, const char *path, uint64_t number, uint64_t stamp)
{
    struct entry e = model_file_entry(number);
    bool changed;
    ck_assert_int_eq(tree_edit_put(edit, bytes_str(path), &e, stamp, &changed), 0);
}

void tree_rig_remove(struct tree_edit *edit, const char *path, uint64_t stamp)
{
    bool changed;
    ck_assert_int_eq(tree_edit_remove(edit, bytes_str(path), stamp, &changed), 0);
    ck_assert(changed);
}

uint64_t tree_rig_reads(struct tree_rig *rig)
{
    return trace_store_counts(rig->trace, true).gets[TRACE_TREE];
}

void tree_rig_same(const struct tree *t, const struct tree_model *m)
{
    struct tree_walk *walk;
    ck_assert_int_eq(tree_walk_open(t, bytes_str(""), &walk), 0);
    size_t files = 0;
    struct bytes path;
    const struct entry *e;
    int err;
    while ((err = tree_walk_next(walk, &path, &e)) == 0) {
        ck_assert(bytes_equal(path_base(path), e->name));
        if (e->kind == KIND_DIR) {
            struct entry dir = tree_model_find(m, path);
            ck_assert_int_eq(dir.kind, KIND_DIR);
            ck_assert(hash_equal(&dir.hash, &e->hash));
            ck_assert_uint_eq(dir.files, e->files);
            ck_assert_uint_eq(dir.size, e->size);
            ck_assert_uint_eq(dir.stamp, e->stamp);
            continue;
        }
        ck_assert_uint_lt(files, m->n);
        const struct model_file *f = &m->files[files++];
        ck_assert(bytes_equal(f->path, path));
        ck_assert_int_eq(f->entry.kind, e->kind);
        ck_assert_uint_eq(f->entry.mode, e->mode);
        ck_assert_uint_eq(f->entry.size, e->size);
        ck_assert(hash_equal(&f->entry.hash, &e->hash));
        ck_assert_uint_eq(f->entry.stamp, e->stamp);
    }
    ck_assert_int_eq(err, ERR_NOT_FOUND);
    tree_walk_close(walk);
    ck_assert_uint_eq(files, m->n);
    ck_assert_uint_eq(t->files, m->n);
}
