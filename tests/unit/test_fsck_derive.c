/* The check of the derive log: a whole one is clean, merged or not, and each kind of damage is
 * found by its name and key, and nothing else is. */
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/derive/log/derive_log.h"
#include "pipeline/derive/log/derive_merge.h"
#include "pipeline/repo/chain.h"
#include "pipeline/store/mem.h"
#include "tests/support/collect_rig.h"
#include "tests/support/derive_rig.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"

#define OBJECTS 5u

static struct collect_rig rig;
static struct fsck_result result;
static struct content upload;
static struct entry directory;
static struct arena arena;

static void tell(struct derive_log *log, const struct derive_item *items, uint32_t n)
{
    struct derive_outcome outcome = {0};
    ck_assert_int_eq(
        derive_log_tell(log, &rig.f.project, items, n, derive_outcome_told, &outcome), OK);
    ck_assert_int_eq(derive_log_step(log), 1);
    ck_assert_int_eq(outcome.err, OK);
}

static void directory_find(void)
{
    struct head head;
    struct etag etag;
    const struct batch *tip;
    ck_assert_int_eq(chain_head(&rig.f.repo, &rig.f.project, &head, &etag), OK);
    ck_assert_int_eq(chain_tip(&rig.f.repo, &rig.f.project, &head, &tip), OK);
    struct tree tree = chain_tree(&rig.f.repo, &rig.f.project, tip);
    ck_assert_int_eq(tree_find(&tree, bytes_str("dir"), &arena, &directory), OK);
    chain_drop(&rig.f.repo, tip);
}

/* Leaves, an upload with the chunks of a result, and a tree with its place: an object each. */
static void setup(void)
{
    collect_rig_open(&rig);
    forge_land_text(&rig.f, "one", "dir/a", "1", NULL);
    upload = collect_rig_upload(&rig, 1, 1000);
    directory_find();
    struct derive_log *log = derive_log_open(
        &rig.f.repo, &(struct derive_log_options){.batch_max = MIB, .queue_max = MIB});
    for (unsigned i = 1; i <= 3; i++) {
        struct derive_item leaf = derive_leaf_item(&arena, i);
        tell(log, &leaf, 1);
    }
    const struct hash chunks[] = {{{1}}, {{2}}};
    const struct derive_item items[] = {
        {.kind = DERIVE_UPLOAD, .address = upload.hash, .size = upload.size},
        {.kind = DERIVE_CHUNKS,
         .chunks = {.recipe = {{3}},
                    .output = {{4}},
                    .size = MIB + 1,
                    .chunk_size = MIB,
                    .n = 2,
                    .hashes = chunks}},
        {.kind = DERIVE_TREE, .address = directory.hash, .where = directory.where},
    };
    tell(log, items, 2);
    tell(log, &items[2], 1);
    derive_log_close(log);
}

static void teardown(void)
{
    collect_rig_close(&rig);
    arena_release(&arena);
}

static void merge(void)
{
    struct derive_merge_report report;
    collect_rig_age(&rig);
    ck_assert_int_eq(derive_merge(&rig.f.repo, &rig.f.project,
                                  &(struct derive_merge_options){
                                      .age_ms = 1000, .objects_min = 1, .bytes_max = MIB},
                                  &report),
                     OK);
    ck_assert_uint_eq(report.deleted, OBJECTS);
}

static void is_clean(void)
{
    fsck_rig_run(rig.f.mem, &rig.f.clock.clock, true, 0, &result);
    ck_assert_msg(result.err == OK && result.n == 0, "%s", fsck_rig_text(&result));
    ck_assert_uint_eq(result.counts.derive_objects, OBJECTS);
}

static void finds(const char *invariant, const char *problem, struct key key)
{
    fsck_rig_run(rig.f.mem, &rig.f.clock.clock, false, 0, &result);
    ck_assert_msg(result.err == OK && result.n == 1, "%s", fsck_rig_text(&result));
    ck_assert_str_eq(result.kept[0].invariant, invariant);
    ck_assert_str_eq(result.kept[0].problem, problem);
    ck_assert_str_eq(result.kept[0].key, key.s);
}

static struct key object_key(uint64_t seq)
{
    return key_derive(&rig.f.project, rig.f.repo.agent, seq);
}

static struct key segment_key(uint64_t number)
{
    return key_derive_segment(&rig.f.project, number);
}

/* Flips a bit so far from the end. */
static void flip(struct key key, size_t from_end)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(rig.f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[bytes.len - from_end] ^= 1;
    ck_assert_int_eq(store_put(rig.f.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void copy(struct key from, struct key to)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(rig.f.mem, from.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(store_put(rig.f.mem, to.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

START_TEST(a_whole_log_is_clean)
{
    setup();
    is_clean();
    merge();
    is_clean();
    collect_rig_clean(&rig);
    teardown();
}
END_TEST

START_TEST(damaged_objects)
{
    setup();
    flip(object_key(2), 1);
    finds("named", "derive_damaged", object_key(2));
    flip(object_key(2), 1);
    is_clean();
    copy(object_key(5), object_key(6));
    finds("named", "derive_damaged", object_key(6));
    teardown();
}
END_TEST

START_TEST(missing_objects)
{
    setup();
    ck_assert_int_eq(store_delete(rig.f.mem, object_key(2).s), OK);
    finds("durable", "derive_missing", object_key(2));
    teardown();
    setup();
    ck_assert_int_eq(store_delete(rig.f.mem, object_key(1).s), OK);
    finds("durable", "derive_missing", object_key(1));
    teardown();
}
END_TEST

START_TEST(segments)
{
    setup();
    merge();
    flip(segment_key(1), 1);
    finds("named", "derive_damaged", segment_key(1));
    flip(segment_key(1), 1);
    copy(segment_key(1), segment_key(2));
    finds("named", "derive_segment_damaged", segment_key(2));
    ck_assert_int_eq(store_delete(rig.f.mem, segment_key(2).s), OK);
    is_clean();
    copy(segment_key(1), segment_key(2));
    ck_assert_int_eq(store_delete(rig.f.mem, segment_key(1).s), OK);
    fsck_rig_run(rig.f.mem, &rig.f.clock.clock, false, 0, &result);
    ck_assert_uint_eq(result.n, 2);
    ck_assert_str_eq(result.kept[0].problem, "derive_segment_missing");
    ck_assert_str_eq(result.kept[0].key, segment_key(1).s);
    teardown();
}
END_TEST

START_TEST(what_items_name)
{
    setup();
    struct key blob = key_blob(&rig.f.project, &upload.hash);
    ck_assert_int_eq(store_delete(rig.f.mem, blob.s), OK);
    finds("durable", "blob_missing", blob);
    (void)collect_rig_upload(&rig, 1, 1000);
    is_clean();
    /* A place that says another directory's content. */
    struct derive_item item = {
        .kind = DERIVE_TREE, .address = upload.hash, .where = directory.where};
    AUTO_BUF bytes = {0};
    derive_object_begin(&bytes, &rig.f.project, rig.f.repo.agent, 6, 1);
    derive_item_write(&bytes, &item);
    derive_object_finish(&bytes, 1);
    ck_assert_int_eq(store_put(rig.f.mem, object_key(6).s, buf_bytes(&bytes), PUT_ANY, NULL),
                     OK);
    finds("named", "derive_tree_differs", object_key(6));
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_whole_log_is_clean, damaged_objects, missing_objects,
                                  segments, what_items_name};
    return suite_run("fsck_derive", tests, ARRAY_LEN(tests));
}
