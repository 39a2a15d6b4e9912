#include "pipeline/repo/tree/snapshot.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/content/content_read.h"
#include "tests/support/build_chain.h"
#include "tests/support/suite.h"

static struct snapshot *open_at(struct build_chain *bc, uint64_t position)
{
    struct snapshot *snapshot;
    ck_assert_int_eq(snapshot_open(&bc->repo, &bc->project, position, &snapshot), OK);
    return snapshot;
}

/* The file at `path` has this text; NULL: there is nothing. */
static void text_is(struct build_chain *bc, struct snapshot *snapshot, const char *path,
                    const char *text)
{
    AUTO(arena_release) struct arena arena = {0};
    struct entry entry;
    struct seen seen;
    int err = snapshot_find(snapshot, bytes_str(path), &arena, &entry);
    ck_assert_int_eq(snapshot_seen(snapshot, bytes_str(path), &seen), OK);
    if (text == NULL) {
        ck_assert_int_eq(err, ERR_NOT_FOUND);
        ck_assert(seen.said && seen.kind == KIND_NONE);
        return;
    }
    ck_assert_int_eq(err, OK);
    ck_assert_int_eq(seen.kind, KIND_FILE);
    ck_assert(hash_equal(&seen.hash, &entry.hash));
    struct content_reader *reader;
    AUTO_BUF got = {0};
    ck_assert_int_eq(
        content_open(&bc->repo, &bc->project, &entry.where, entry.size, &entry.hash, &reader),
        OK);
    ck_assert_int_eq(content_read_at(reader, 0, 1000, &got), OK);
    content_close(reader);
    ck_assert(bytes_equal(buf_bytes(&got), bytes_str(text)));
}

/* One batch of landings 1 … n; landing i writes "p" as "i", and "d/i". */
static void batch_of(struct build_chain *bc, unsigned n)
{
    struct build_op *ops = arena_array(&bc->arena, (size_t)2 * n, struct build_op);
    struct build_answer *answers = arena_array(&bc->arena, n, struct build_answer);
    for (unsigned i = 0; i < n; i++) {
        unsigned long long p = bc->head.position + i + 1;
        const char *text = arena_printf(&bc->arena, "%llu", p);
        ops[2 * i] = (struct build_op){.op = OP_WRITE, .path = "p", .text = text};
        ops[2 * i + 1] = (struct build_op){
            .op = OP_WRITE, .path = arena_printf(&bc->arena, "d/%llu", p), .text = text};
        answers[i] = (struct build_answer){.ops = &ops[2 * i], .n_ops = 2};
    }
    build_chain_put(bc, answers, n);
}

START_TEST(schedule_11_base_inside_a_batch)
{
    struct build_chain bc;
    build_chain_init(&bc);
    batch_of(&bc, 10);
    batch_of(&bc, 1000);
    struct snapshot *snapshot = open_at(&bc, 500);
    ck_assert_uint_eq(snapshot_position(snapshot), 500);
    text_is(&bc, snapshot, "p", "500");
    text_is(&bc, snapshot, "d/500", "500");
    text_is(&bc, snapshot, "d/501", NULL);
    text_is(&bc, snapshot, "d/7", "7");
    AUTO(arena_release) struct arena arena = {0};
    struct entry entry;
    ck_assert_int_eq(snapshot_find(snapshot, bytes_str("p"), &arena, &entry), OK);
    ck_assert_uint_eq(entry.stamp, 500);
    ck_assert_int_eq(snapshot_find(snapshot, bytes_str("d"), &arena, &entry), OK);
    ck_assert_uint_eq(entry.stamp, 500);
    ck_assert_uint_eq(entry.files, 500);
    struct tree tree;
    ck_assert_int_eq(snapshot_tree(snapshot, &tree), ERR_NOT_FOUND);
    snapshot_close(snapshot);
    build_chain_release(&bc);
}
END_TEST

START_TEST(whole_batches_are_plain_trees)
{
    struct build_chain bc;
    build_chain_init(&bc);
    batch_of(&bc, 3);
    build_chain_put(&bc, &(struct build_answer){.verdict = VERDICT_REFUSED}, 1);
    batch_of(&bc, 3);
    const uint64_t positions[] = {0, 3, 6, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(positions); i++) {
        struct snapshot *snapshot = open_at(&bc, positions[i]);
        struct tree tree;
        ck_assert_int_eq(snapshot_tree(snapshot, &tree), OK);
        ck_assert_uint_eq(tree.position, positions[i] == UINT64_MAX ? 6 : positions[i]);
        const char *const want[] = {NULL, "3", "6", "6"};
        text_is(&bc, snapshot, "p", want[i]);
        snapshot_close(snapshot);
    }
    struct snapshot *none;
    ck_assert_int_eq(snapshot_open(&bc.repo, &bc.project, 7, &none), ERR_INVALID);
    build_chain_release(&bc);
}
END_TEST

START_TEST(inside_is_as_if_landed_alone)
{
    /* The same landings, once in one batch and once in a batch each: every position has the
     * same content hash. */
    struct build_chain one, many;
    build_chain_init(&one);
    build_chain_init(&many);
    batch_of(&one, 20);
    for (unsigned i = 0; i < 20; i++)
        batch_of(&many, 1);
    for (uint64_t p = 0; p <= 20; p++) {
        struct snapshot *a = open_at(&one, p);
        struct snapshot *b = open_at(&many, p);
        struct seen root_a, root_b;
        ck_assert_int_eq(snapshot_seen(a, bytes_str(""), &root_a), OK);
        ck_assert_int_eq(snapshot_seen(b, bytes_str(""), &root_b), OK);
        ck_assert(seen_equal(&root_a, &root_b));
        snapshot_close(a);
        snapshot_close(b);
    }
    build_chain_release(&one);
    build_chain_release(&many);
}
END_TEST

START_TEST(cold_file_costs_a_read_a_level)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_write(&bc, "a/b/c/file", "text");
    build_chain_write(&bc, "other", "text");
    build_chain_cold(&bc);
    struct snapshot *snapshot = open_at(&bc, UINT64_MAX);
    text_is(&bc, snapshot, "a/b/c/file", "text");
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    /* The suffix with the root, then a, b, c, and the content. */
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 1 + 3 + 1);
    text_is(&bc, snapshot, "a/b/c/file", "text");
    counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 1);
    snapshot_close(snapshot);
    build_chain_release(&bc);
}
END_TEST

START_TEST(deletes_come_before_writes)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_write(&bc, "a", "file a");
    build_chain_write(&bc, "b/x", "file x");
    /* A file becomes a directory and a directory a file; inside a batch, so by replay. */
    struct build_op ops[] = {
        {.op = OP_WRITE, .path = "a/new", .text = "below a"},
        {.op = OP_DELETE, .path = "a"},
        {.op = OP_WRITE, .path = "b", .text = "file b"},
        {.op = OP_DELETE, .path = "b/x"},
    };
    struct build_answer answers[] = {{.ops = ops, .n_ops = ARRAY_LEN(ops)}, {0}};
    build_chain_put(&bc, answers, ARRAY_LEN(answers));
    struct snapshot *snapshot = open_at(&bc, 3);
    struct tree tree;
    ck_assert_int_eq(snapshot_tree(snapshot, &tree), ERR_NOT_FOUND);
    text_is(&bc, snapshot, "a/new", "below a");
    text_is(&bc, snapshot, "b", "file b");
    snapshot_close(snapshot);
    build_chain_release(&bc);
}
END_TEST

START_TEST(rename_keeps_its_sources_content)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_write(&bc, "p", "one");
    build_chain_write(&bc, "q", "two");
    /* What each source held is looked up before anything is gone or written over. */
    struct build_op shift[] = {
        {.op = OP_RENAME, .path = "p", .target = "z", .text = "one"},
        {.op = OP_RENAME, .path = "q", .target = "p", .text = "two"},
    };
    /* schedule 14: write, rename, write */
    struct build_op again[] = {
        {.op = OP_RENAME, .path = "p", .target = "r", .text = "two"},
        {.op = OP_WRITE, .path = "p", .text = "three"},
    };
    struct build_answer answers[] = {{.ops = shift, .n_ops = ARRAY_LEN(shift)},
                                     {.ops = again, .n_ops = ARRAY_LEN(again)},
                                     {0}};
    build_chain_put(&bc, answers, ARRAY_LEN(answers));
    struct snapshot *snapshot = open_at(&bc, 3);
    text_is(&bc, snapshot, "p", "two");
    text_is(&bc, snapshot, "q", NULL);
    text_is(&bc, snapshot, "z", "one");
    snapshot_close(snapshot);
    snapshot = open_at(&bc, 4);
    text_is(&bc, snapshot, "p", "three");
    text_is(&bc, snapshot, "z", "one");
    text_is(&bc, snapshot, "r", "two");
    snapshot_close(snapshot);
    build_chain_release(&bc);
}
END_TEST

/* Applies one effect to the tree at the head. */
static int apply_one(struct build_chain *bc, const struct effect *effect)
{
    struct snapshot *snapshot = open_at(bc, UINT64_MAX);
    struct tree tree;
    ck_assert_int_eq(snapshot_tree(snapshot, &tree), OK);
    struct tree_edit *edit = tree_edit_open(&tree);
    struct effect copy = *effect;
    struct session_view view = {.effects = &copy, .n_effects = 1};
    struct hash self = {{1}};
    int err = snapshot_apply(edit, &view, &self, 9);
    tree_edit_close(edit);
    snapshot_close(snapshot);
    return err;
}

START_TEST(what_cannot_apply_is_refused)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_write(&bc, "d/file", "text");
    struct content kept = {.kind = KIND_FILE,
                           .mode = MODE_EXEC,
                           .size = 4,
                           .hash = sha256(bytes_str("text")),
                           .carrier = CARRIER_SOURCE};
    struct effect effect = {.path = bytes_str("d/file"), .kind = EFFECT_WRITE, .content = kept};
    ck_assert_int_eq(apply_one(&bc, &effect), OK);
    effect.source = bytes_str("gone");
    ck_assert_int_eq(apply_one(&bc, &effect), ERR_CORRUPT);
    effect.source = bytes_str("d");
    ck_assert_int_eq(apply_one(&bc, &effect), ERR_CORRUPT);
    effect.source = bytes_str("d/file");
    effect.content.hash.b[0] ^= 1;
    ck_assert_int_eq(apply_one(&bc, &effect), ERR_CORRUPT);
    effect.content = kept;
    effect.content.carrier = CARRIER_INLINE_RAW;
    ck_assert_int_eq(apply_one(&bc, &effect), ERR_CORRUPT);
    effect.content.carrier = CARRIER_BLOB;
    effect.path = bytes_str("d");
    ck_assert_int_eq(apply_one(&bc, &effect), ERR_CONFLICT);
    effect.path = bytes_str("d/file/below");
    ck_assert_int_eq(apply_one(&bc, &effect), ERR_CONFLICT);
    /* For an operation a directory counts as absent. */
    effect = (struct effect){.path = bytes_str("d"), .kind = EFFECT_DELETE};
    ck_assert_int_eq(apply_one(&bc, &effect), OK);
    effect.path = bytes_str("d/file/below");
    ck_assert_int_eq(apply_one(&bc, &effect), OK);
    build_chain_release(&bc);
}
END_TEST

START_TEST(listing_inside_a_batch)
{
    struct build_chain bc;
    build_chain_init(&bc);
    batch_of(&bc, 30);
    struct snapshot *snapshot = open_at(&bc, 12);
    AUTO(arena_release) struct arena arena = {0};
    struct tree_listing listing;
    ck_assert_int_eq(
        snapshot_list(snapshot, bytes_str("d"), bytes_str(""), 5, &arena, &listing), OK);
    ck_assert_uint_eq(listing.n, 5);
    ck_assert(listing.more);
    ck_assert_int_eq(
        snapshot_list(snapshot, bytes_str("d"), listing.entries[4].name, 50, &arena, &listing),
        OK);
    ck_assert_uint_eq(listing.n, 7);
    ck_assert(!listing.more);
    ck_assert_int_eq(
        snapshot_list(snapshot, bytes_str("p"), bytes_str(""), 5, &arena, &listing),
        ERR_INVALID);
    snapshot_close(snapshot);
    build_chain_release(&bc);
}
END_TEST

START_TEST(pages_of_a_replay_survive_a_full_cache)
{
    struct build_chain bc;
    build_chain_init(&bc);
    batch_of(&bc, 30);
    /* A cache that holds nothing: the pages that lie in memory only are found again. */
    struct held_cache *pages = bc.repo.pages;
    bc.repo.pages = page_cache_open(1);
    struct snapshot *snapshot = open_at(&bc, 12);
    struct snapshot *head = open_at(&bc, UINT64_MAX);
    for (unsigned i = 0; i < 3; i++) {
        text_is(&bc, snapshot, "d/12", "12");
        text_is(&bc, snapshot, "d/13", NULL);
        text_is(&bc, head, "d/13", "13");
    }
    snapshot_close(head);
    snapshot_close(snapshot);
    held_cache_close(bc.repo.pages);
    bc.repo.pages = pages;
    build_chain_release(&bc);
}
END_TEST

static void diff_is(struct build_chain *bc, uint64_t from, uint64_t to, const char *path,
                    const char *want)
{
    struct snapshot *a = open_at(bc, from);
    struct snapshot *b = open_at(bc, to);
    AUTO_BUF text = {0};
    struct bytes after = {0};
    AUTO(arena_release) struct arena arena = {0};
    struct snapshot_changes changes = {.more = true};
    /* In pages of two, so that paging is tried, too. */
    while (changes.more) {
        ck_assert_int_eq(snapshot_diff(a, b, bytes_str(path), after, 2, &arena, &changes), OK);
        for (size_t i = 0; i < changes.n; i++) {
            const struct tree_change *c = &changes.changes[i];
            buf_printf(&text, "%c%.*s ",
                       c->a == NULL   ? '+'
                       : c->b == NULL ? '-'
                                      : '*',
                       (int)c->path.len, (const char *)c->path.data);
            after = c->path;
        }
        ck_assert(changes.n == 2 || !changes.more);
    }
    buf_append(&text, "", 1);
    ck_assert_str_eq((const char *)text.data, want);
    snapshot_close(a);
    snapshot_close(b);
}

START_TEST(diff_between_any_two_positions)
{
    struct build_chain bc;
    build_chain_init(&bc);
    batch_of(&bc, 4);
    batch_of(&bc, 4);
    diff_is(&bc, 0, 4, "", "+d/1 +d/2 +d/3 +d/4 +p ");
    diff_is(&bc, 4, 0, "", "-d/1 -d/2 -d/3 -d/4 -p ");
    diff_is(&bc, 2, 3, "", "+d/3 *p ");
    diff_is(&bc, 3, 2, "", "-d/3 *p ");
    diff_is(&bc, 2, 6, "", "+d/3 +d/4 +d/5 +d/6 *p ");
    diff_is(&bc, 4, 6, "", "+d/5 +d/6 *p ");
    diff_is(&bc, 6, 8, "", "+d/7 +d/8 *p ");
    diff_is(&bc, 5, 5, "", "");
    diff_is(&bc, 2, 6, "d", "+d/3 +d/4 +d/5 +d/6 ");
    diff_is(&bc, 2, 6, "p", "*p ");
    diff_is(&bc, 0, 6, "p", "+p ");
    diff_is(&bc, 2, 6, "nothing", "");
    /* A file that becomes a directory. */
    struct build_op ops[] = {{.op = OP_DELETE, .path = "p"},
                             {.op = OP_WRITE, .path = "p/q", .text = "q"}};
    build_chain_put(&bc, &(struct build_answer){.ops = ops, .n_ops = 2}, 1);
    diff_is(&bc, 8, 9, "", "-p +p/q ");
    diff_is(&bc, 7, 9, "p", "-p +p/q ");
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_batch_is_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    batch_of(&bc, 4);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    struct key key = key_tree(&bc.project, &bc.head.tree_hash);
    build_chain_flip(&bc, key.s, (long)batch->footer.records.offset + 30);
    struct hash prev = batch->footer.prev;
    long at = (long)batch->footer.records.offset + 30;
    chain_drop(&bc.repo, batch);
    build_chain_cold(&bc);
    struct snapshot *snapshot;
    ck_assert_int_eq(snapshot_open(&bc.repo, &bc.project, 2, &snapshot), ERR_CORRUPT);
    build_chain_flip(&bc, key.s, at);
    /* The batch before, which the replay starts from, is gone. */
    build_chain_cold(&bc);
    key = key_tree(&bc.project, &prev);
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    ck_assert_int_eq(snapshot_open(&bc.repo, &bc.project, 2, &snapshot), ERR_CORRUPT);
    ck_assert_int_eq(snapshot_open(&bc.repo, &bc.project, 4, &snapshot), OK);
    snapshot_close(snapshot);
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        schedule_11_base_inside_a_batch,
        whole_batches_are_plain_trees,
        inside_is_as_if_landed_alone,
        cold_file_costs_a_read_a_level,
        deletes_come_before_writes,
        rename_keeps_its_sources_content,
        what_cannot_apply_is_refused,
        listing_inside_a_batch,
        pages_of_a_replay_survive_a_full_cache,
        diff_between_any_two_positions,
        damaged_batch_is_corrupt,
    };
    return suite_run("snapshot", tests, ARRAY_LEN(tests));
}
