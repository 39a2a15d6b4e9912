#include "pipeline/derive/tree_input.h"

#include <archive.h>
#include <archive_entry.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "formats/page.h"
#include "formats/path.h"
#include "pipeline/repo/content/blob_store.h"
#include "tests/support/faulty.h"
#include "tests/support/fn_rig.h"
#include "tests/support/fn_tree_rig.h"
#include "tests/support/forge.h"
#include "tests/support/golden.h"
#include "tests/support/suite.h"

#define NONE      NULL
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct rig_file sample[] = {
    {{(const uint8_t *)"Makefile", 8},
     KIND_FILE,
     MODE_PLAIN,
     {(const uint8_t *)"all:\n\ttrue\n", 11}},
    {{(const uint8_t *)"doc/empty", 9}, KIND_FILE, MODE_PLAIN, {(const uint8_t *)"", 0}},
    {{(const uint8_t *)"doc/gr\xc3\xbc\xc3\x9f.txt", 14},
     KIND_FILE,
     MODE_PLAIN,
     {(const uint8_t *)"gr\xc3\xbc\xc3\x9f\n", 7}},
    {{(const uint8_t *)"doc/make", 8}, KIND_LINK, 0, {(const uint8_t *)"../Makefile", 11}},
    {{(const uint8_t *)"src/a/main.c", 12},
     KIND_FILE,
     MODE_PLAIN,
     {(const uint8_t *)"int main;\n", 10}},
    {{(const uint8_t *)"src/run", 7},
     KIND_FILE,
     MODE_EXEC,
     {(const uint8_t *)"#!/bin/sh\n", 10}},
};

static const char *const pattern_i[] = {"pattern", "i", NULL};

static void draft_file(struct draft *d, const struct rig_file *file)
{
    struct arena *arena = &d->forge->arena;
    draft_put(d, arena_str(arena, file->path),
              content_inline(arena, file->kind, file->mode, file->content), seen_text(NULL));
}

static void land(struct forge *f, struct draft *d)
{
    struct id16 request = forge_submit(f, d, 1);
    forge_drain(f);
    ck_assert_int_eq(forge_answer(f, &d->session.id, &request).verdict, VERDICT_LANDED);
}

static struct draft begin(struct forge *f, const char *key)
{
    return draft_open(f, "setup", key, forge_position(f));
}

static void sample_land(struct forge *f)
{
    struct draft d = begin(f, "sample");
    for (size_t i = 0; i < ARRAY_LEN(sample); i++)
        draft_file(&d, &sample[i]);
    land(f, &d);
}

/* `n` files in one directory, so many that it has several pages. */
static void many_land(struct forge *f, unsigned n)
{
    struct draft d = begin(f, "many");
    for (unsigned i = 0; i < n; i++)
        draft_write(&d, arena_printf(&f->arena, "many/file-%06u", i), "text\n", NULL);
    land(f, &d);
}

/* A tree as `f` sees it, as an input of a run. */
static struct tree_input *input_of(struct forge *f, const struct tree *tree)
{
    struct tree_input *input;
    ck_assert_int_eq(
        tree_input_open(&f->repo, &f->project, &tree->root, &tree->content, &input), OK);
    return input;
}

static int run_on(const char *name, const char *const *parameters, struct fn_tree *a,
                  struct fn_tree *b, struct buf *out)
{
    struct fn_tree *trees[] = {a, b};
    struct fn_problem problem = {0};
    struct fn_case of = {
        .name = name, .trees = trees, .n_inputs = b != NULL ? 2 : 1, .parameters = parameters};
    return fn_case_run(&of, out, &problem);
}

/* Another process with empty caches; the requests so far are forgotten. */
static void join_cold(struct forge *cold, struct forge *f)
{
    forge_join(cold, f, NULL);
    (void)trace_store_counts(f->trace, true);
}

static uint64_t tree_reads(struct forge *f)
{
    return trace_store_counts(f->trace, true).gets[TRACE_TREE];
}

/* ---- a landed tree ---- */

/* The results for a landed tree are for ever what they are, and those for the same files in
 * memory. */
START_TEST(results_of_a_landed_tree)
{
    static const struct {
        const char *name;
        const char *golden;
        const char *const *parameters;
    } cases[] = {
        {"tree.list", "tree_list", NULL},
        {"tree.archive", "tree_archive", NULL},
        {"tree.stat", NULL, NULL},
        {"tree.search", NULL, pattern_i},
    };
    struct forge f;
    struct rig_tree rig;
    forge_init(&f);
    sample_land(&f);
    struct tree tree = forge_tree(&f);
    rig_tree_init(&rig, sample, ARRAY_LEN(sample), NULL);
    ck_assert(hash_equal(&rig.tree.top.hash, &tree.content));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF landed = {0};
        AUTO_BUF memory = {0};
        struct tree_input *input = input_of(&f, &tree);
        struct fn_tree *top = tree_input_tree(input);
        ck_assert_uint_eq(top->top.files, tree.files);
        ck_assert_uint_eq(top->top.size, tree.bytes);
        ck_assert_int_eq(run_on(cases[i].name, cases[i].parameters, top, NULL, &landed), OK);
        ck_assert_int_eq(run_on(cases[i].name, cases[i].parameters, &rig.tree, NULL, &memory),
                         OK);
        ck_assert(bytes_equal(buf_bytes(&landed), buf_bytes(&memory)));
        if (cases[i].golden != NULL)
            golden_check(cases[i].golden, buf_bytes(&landed));
        tree_input_close(input);
    }
    rig_tree_release(&rig);
    forge_release(&f);
}
END_TEST

/* A directory of a landed tree is a tree, too. */
START_TEST(a_directory_by_itself)
{
    struct forge f;
    struct entry dir;
    struct tree_input *input;
    AUTO_BUF out = {0};
    forge_init(&f);
    sample_land(&f);
    struct tree tree = forge_tree(&f);
    ck_assert_int_eq(tree_find(&tree, bytes_str("src"), &f.arena, &dir), OK);
    ck_assert_int_eq(tree_input_open(&f.repo, &f.project, &dir.where, &dir.hash, &input), OK);
    ck_assert_int_eq(
        run_on("tree.search", WITH("pattern", "main|sh"), tree_input_tree(input), NULL, &out),
        OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, "a/main.c:1:int main;\nrun:1:#!/bin/sh\n");
    tree_input_close(input);
    forge_release(&f);
}
END_TEST

START_TEST(an_empty_tree)
{
    struct forge f;
    forge_init(&f);
    struct tree tree = forge_tree(&f);
    struct location nowhere = {.place = PLACE_NONE};
    struct hash other = sha256(bytes_str("other"));
    for (unsigned i = 0; i < 2; i++) {
        struct tree_input *input;
        AUTO_BUF out = {0};
        const struct location *where = i == 0 ? &tree.root : &nowhere;
        ck_assert_int_eq(tree_input_open(&f.repo, &f.project, where, &tree.content, &input),
                         OK);
        ck_assert_int_eq(run_on("tree.list", NONE, tree_input_tree(input), NULL, &out), OK);
        ck_assert_uint_eq(out.len, 0);
        tree_input_close(input);
        ck_assert_int_eq(tree_input_open(&f.repo, &f.project, where, &other, &input),
                         ERR_CORRUPT);
    }
    forge_release(&f);
}
END_TEST

/* As deep as a path can be. */
START_TEST(a_deep_tree)
{
    static char path[PATH_LEN_MAX];
    static const char *const names[] = {"tree.list", "tree.stat", "tree.archive"};
    struct forge f;
    forge_init(&f);
    for (size_t i = 0; i < sizeof(path) - 1; i++)
        path[i] = i % 2 == 0 ? 'a' : '/';
    forge_land_text(&f, "deep", path, "found it\n", NULL);
    struct tree tree = forge_tree(&f);
    struct tree_input *input = input_of(&f, &tree);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_BUF out = {0};
        ck_assert_int_eq(run_on(names[i], NONE, tree_input_tree(input), NULL, &out), OK);
        ck_assert_uint_gt(out.len, 0);
    }
    tree_input_close(input);
    forge_release(&f);
}
END_TEST

/* ---- what is read ---- */

START_TEST(equal_parts_are_not_read)
{
    struct forge f;
    struct forge cold;
    AUTO_BUF out = {0};
    forge_init(&f);
    many_land(&f, 20000);
    sample_land(&f);
    struct tree a = forge_tree(&f);
    struct draft d = begin(&f, "change");
    draft_write(&d, "many/file-011111", "another\n", "text\n");
    draft_write(&d, "src/run", "another\n", "#!/bin/sh\n");
    d.session.records[d.session.n_records - 1].operation.seen.mode = MODE_EXEC;
    land(&f, &d);
    struct tree b = forge_tree(&f);
    join_cold(&cold, &f);
    struct tree_input *inputs[] = {input_of(&cold, &a), input_of(&cold, &b)};
    ck_assert_int_eq(
        run_on("tree.diff", NONE, tree_input_tree(inputs[0]), tree_input_tree(inputs[1]), &out),
        OK);
    buf_append(&out, "", 1);
    ck_assert_str_eq((const char *)out.data, "changed many/file-011111\nchanged src/run\n");
    /* On each side the top, the top of `many`, one page of it, and `src`, if not some of them
     * come in one. */
    ck_assert_uint_le(tree_reads(&f), 8);
    /* The same tree: not even its top is read again. */
    tree_input_close(inputs[1]);
    inputs[1] = input_of(&cold, &a);
    buf_clear(&out);
    ck_assert_int_eq(
        run_on("tree.diff", NONE, tree_input_tree(inputs[0]), tree_input_tree(inputs[1]), &out),
        OK);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_uint_eq(tree_reads(&f), 0);
    tree_input_close(inputs[0]);
    tree_input_close(inputs[1]);
    forge_release(&cold);
    forge_release(&f);
}
END_TEST

static size_t walk_all(struct forge *f, struct tree *tree)
{
    struct tree_walk *walk;
    struct bytes path;
    const struct entry *entry;
    size_t n = 0;
    tree->repo = &f->repo;
    ck_assert_int_eq(tree_walk_open(tree, bytes_str(""), &walk), OK);
    while (tree_walk_next(walk, &path, &entry) == OK)
        n++;
    tree_walk_close(walk);
    return n;
}

/* With one request come many pages, as for any walk. */
START_TEST(directories_are_read_ahead)
{
    struct forge f;
    struct forge cold;
    struct forge walker;
    AUTO_BUF out = {0};
    forge_init(&f);
    struct draft d = begin(&f, "dirs");
    for (unsigned i = 0; i < 3000; i++)
        draft_write(&d,
                    arena_printf(&f.arena, "%02u/%02u/%02u/file", i / 300, i / 20 % 15, i % 20),
                    arena_printf(&f.arena, "text %u\n", i), NULL);
    land(&f, &d);
    struct tree tree = forge_tree(&f);
    join_cold(&cold, &f);
    struct tree_input *input = input_of(&cold, &tree);
    ck_assert_int_eq(run_on("tree.list", NONE, tree_input_tree(input), NULL, &out), OK);
    uint64_t reads = tree_reads(&f);
    join_cold(&walker, &f);
    ck_assert_uint_eq(walk_all(&walker, &tree), 10 + 150 + 3000 + 3000);
    ck_assert_uint_eq(reads, tree_reads(&f));
    ck_assert_uint_le(reads, 10);
    /* And so do many small contents. */
    ck_assert_int_eq(run_on("tree.stat", NONE, tree_input_tree(input), NULL, &out), OK);
    ck_assert_uint_le(tree_reads(&f), 5);
    tree_input_close(input);
    forge_release(&walker);
    forge_release(&cold);
    forge_release(&f);
}
END_TEST

/* Contents lie in a tree object in order of their paths, whatever the order of the records. */
START_TEST(small_contents_are_read_ahead)
{
    enum { N = 500, LEN = 8000 };
    static const uint64_t whole = N * LEN;
    struct forge f;
    struct forge cold;
    AUTO_BUF out = {0};
    forge_init(&f);
    struct chance chance = {.state = 5};
    struct draft d = begin(&f, "contents");
    for (unsigned i = 0; i < N; i++) {
        char *text = arena_alloc(&f.arena, LEN + 1);
        for (unsigned k = 0; k < LEN; k++)
            text[k] = (char)(' ' + chance_below(&chance, 90));
        text[LEN] = '\0';
        draft_write(&d, arena_printf(&f.arena, "%u/%u/%u", i * 7 % N % 10, i * 7 % N % 50, i),
                    text, NULL);
    }
    land(&f, &d);
    struct tree tree = forge_tree(&f);
    join_cold(&cold, &f);
    struct tree_input *input = input_of(&cold, &tree);
    ck_assert_int_eq(run_on("tree.stat", NONE, tree_input_tree(input), NULL, &out), OK);
    struct trace_counts counts = trace_store_counts(f.trace, true);
    ck_assert_uint_le(counts.gets[TRACE_TREE], 20);
    ck_assert_uint_le(counts.bytes_out, whole + whole / 4);
    tree_input_close(input);
    forge_release(&cold);
    forge_release(&f);
}
END_TEST

/* ---- large files ---- */

#define LARGE_CHUNKS 5u
#define LARGE        (LARGE_CHUNKS * (size_t)CHUNK_SIZE_DEFAULT - 77)

static struct bytes large_bytes(struct arena *arena)
{
    uint8_t *data = arena_alloc(arena, LARGE);
    struct chance chance = {.state = 3};
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (uint8_t)chance_u64(&chance);
    return bytes_of(data, LARGE);
}

static struct tree large_land(struct forge *f, struct bytes data)
{
    struct content content;
    struct upload *upload = upload_open(&f->repo, &f->project);
    ck_assert_int_eq(upload_write(upload, data), OK);
    ck_assert_int_eq(upload_finish(upload, NULL, &content), OK);
    upload_close(upload);
    content.kind = KIND_FILE;
    content.mode = MODE_PLAIN;
    struct draft d = begin(f, "large");
    draft_put(&d, "large", content, seen_text(NULL));
    land(f, &d);
    return forge_tree(f);
}

static uint64_t blob_reads(struct forge *f)
{
    return trace_store_counts(f->trace, true).gets[TRACE_BLOB];
}

/* Chunk by chunk, each when it is wanted, and no more of it at once than a part of one. */
START_TEST(large_files_come_in_chunks)
{
    struct forge f;
    struct forge cold;
    struct fn_dir *dir;
    struct fn_bytes *in;
    forge_init(&f);
    struct bytes data = large_bytes(&f.arena);
    struct tree tree = large_land(&f, data);
    join_cold(&cold, &f);
    struct tree_input *input = input_of(&cold, &tree);
    struct fn_tree *top = tree_input_tree(input);
    ck_assert_int_eq(top->open_dir(top, &top->top, &dir), OK);
    ck_assert_int_eq(top->open_file(top, dir->item, &in), OK);
    ck_assert_uint_eq(in->size, LARGE);
    ck_assert_uint_eq(blob_reads(&f), 1); /* the manifest */
    uint64_t reads = 0;
    for (uint64_t at = 0; at < LARGE;) {
        struct bytes view;
        ck_assert_int_eq(in->view(in, at, &view), OK);
        ck_assert_uint_gt(view.len, 0);
        ck_assert_uint_le(view.len, CHUNK_SIZE_DEFAULT / 2);
        ck_assert_mem_eq(view.data, data.data + at, view.len);
        at += view.len;
        reads += blob_reads(&f);
        ck_assert_uint_eq(reads, (at + CHUNK_SIZE_DEFAULT - 1) / CHUNK_SIZE_DEFAULT);
    }
    top->close_file(top, in);
    top->close_dir(dir);
    AUTO_BUF out = {0};
    ck_assert_int_eq(run_on("tree.archive", NONE, top, NULL, &out), OK);
    ck_assert_uint_eq(blob_reads(&f), 1 + LARGE_CHUNKS);
    ck_assert_mem_eq(out.data + 512, data.data, LARGE);
    tree_input_close(input);
    forge_release(&cold);
    forge_release(&f);
}
END_TEST

/* ---- errors ---- */

/* Whichever request fails, its error is the run's, and the next run is as if nothing had been.
 */
START_TEST(errors_of_the_store_are_passed_up)
{
    static const struct {
        const char *name;
        const char *const *parameters;
    } cases[] = {
        {"tree.archive", NULL},
        {"tree.stat", NULL},
        {"tree.search", pattern_i},
        {"tree.list", NULL},
    };
    struct forge f;
    forge_init(&f);
    sample_land(&f);
    struct tree tree = large_land(&f, large_bytes(&f.arena));
    struct store *faulty = faulty_store_open(f.trace);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int err = ERR_AGAIN;
        uint64_t call = 1;
        for (; err != OK; call++) {
            struct forge cold;
            struct tree_input *input = NULL;
            AUTO_BUF out = {0};
            faulty_reset(faulty);
            forge_join(&cold, &f, faulty);
            faulty_reset(faulty);
            faulty_plan(faulty, call, FAULT_AGAIN);
            err = tree_input_open(&cold.repo, &cold.project, &tree.root, &tree.content, &input);
            if (err == OK)
                err = run_on(cases[i].name, cases[i].parameters, tree_input_tree(input), NULL,
                             &out);
            ck_assert_int_eq(err, faulty_hits(faulty, FAULT_AGAIN) > 0 ? ERR_AGAIN : OK);
            tree_input_close(input);
            forge_release(&cold);
        }
        ck_assert_uint_gt(call, 2);
    }
    store_close(faulty);
    forge_release(&f);
}
END_TEST

/* What lies there is held to the hashes. */
START_TEST(damage_is_found)
{
    struct forge f;
    struct forge cold;
    struct tree_input *input;
    struct entry entry;
    forge_init(&f);
    sample_land(&f);
    struct tree tree = forge_tree(&f);
    ck_assert_int_eq(tree_find(&tree, bytes_str("src"), &f.arena, &entry), OK);
    forge_join(&cold, &f, NULL);
    /* The page of another directory. */
    ck_assert_int_eq(
        tree_input_open(&cold.repo, &cold.project, &entry.where, &tree.content, &input),
        ERR_CORRUPT);
    ck_assert_int_eq(
        tree_find(&tree, bytes_str("doc/gr\xc3\xbc\xc3\x9f.txt"), &f.arena, &entry), OK);
    ck_assert_int_eq(entry.where.place, PLACE_RAW);
    struct key key = key_tree(&f.project, &entry.where.tree);
    AUTO_BUF object = {0};
    ck_assert_int_eq(store_get(f.mem, key.s, range_all(), &object, NULL, NULL), OK);
    object.data[entry.where.offset] ^= 1;
    ck_assert_int_eq(store_put(f.mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
    input = input_of(&cold, &tree);
    AUTO_BUF out = {0};
    ck_assert_int_eq(run_on("tree.list", NONE, tree_input_tree(input), NULL, &out), OK);
    ck_assert_int_eq(run_on("tree.archive", NONE, tree_input_tree(input), NULL, &out),
                     ERR_CORRUPT);
    tree_input_close(input);
    forge_release(&cold);
    forge_release(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        results_of_a_landed_tree,
        a_directory_by_itself,
        an_empty_tree,
        a_deep_tree,
        equal_parts_are_not_read,
        directories_are_read_ahead,
        small_contents_are_read_ahead,
        large_files_come_in_chunks,
        errors_of_the_store_are_passed_up,
        damage_is_found,
    };
    return suite_run("tree_input", tests, ARRAY_LEN(tests));
}
