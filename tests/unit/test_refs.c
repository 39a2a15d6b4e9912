/* What is read of references: values, the project's own tree, lists, history. */
#include <stdio.h>

#include "formats/project_id.h"
#include "pipeline/derive/refs/refs_history.h"
#include "pipeline/stages/stages.h"
#include "tests/support/ref_rig.h"
#include "tests/support/suite.h"

static struct ref_rig rig;

static void setup(void)
{
    ref_rig_open(&rig);
}

static void teardown(void)
{
    ref_rig_close(&rig);
}

static struct refs_snapshot *snapshot(void)
{
    return service_refs_snapshot(rig.front.service, &(struct caller){0}, &rig.forge.project);
}

static int value_of(struct refs_snapshot *snap, const char *name, const char *path,
                    struct ref_value *out)
{
    return refs_snapshot_ref(snap, bytes_str(name), bytes_str(path), out);
}

/* ---- one moment ---- */

START_TEST(a_snapshot_stays_as_it_was)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    (void)ref_rig_bind(&rig, "a", &one);
    (void)ref_rig_bind(&rig, "b", &one);
    (void)trace_store_counts(rig.forge.trace, true);
    struct refs_snapshot *snap = snapshot();
    struct trace_counts counts = trace_store_counts(rig.forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 0);
    struct ref_value value;
    ck_assert_int_eq(value_of(snap, "a", "", &value), OK);
    ck_assert(hash_equal(&value.address, &one) && value.kind == KIND_NONE);
    ck_assert_uint_eq(value.stamp, 1);
    (void)ref_rig_bind(&rig, "a", &two);
    (void)ref_rig_bind(&rig, "b", &two);
    (void)ref_rig_bind(&rig, "c", &two);
    (void)trace_store_counts(rig.forge.trace, true);
    ck_assert_int_eq(value_of(snap, "a", "", &value), OK);
    ck_assert(hash_equal(&value.address, &one));
    ck_assert_int_eq(value_of(snap, "b", "", &value), OK);
    ck_assert(hash_equal(&value.address, &one));
    ck_assert_int_eq(value_of(snap, "c", "", &value), ERR_NOT_FOUND);
    counts = trace_store_counts(rig.forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 0);
    struct head head;
    ck_assert_int_eq(refs_snapshot_refs_head(snap, &head), OK);
    ck_assert_uint_eq(head.position, 2);
    refs_snapshot_close(snap);
    teardown();
}
END_TEST

/* What was asked is what a bind guards: once each, also what is not bound. */
START_TEST(what_was_asked_is_remembered)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    (void)ref_rig_bind(&rig, "a/b", &one);
    struct refs_snapshot *snap = snapshot();
    struct ref_value value;
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "none%u", i);
        ck_assert_int_eq(value_of(snap, name, "", &value), ERR_NOT_FOUND);
        ck_assert_int_eq(value_of(snap, name, "", &value), ERR_NOT_FOUND);
    }
    ck_assert_int_eq(value_of(snap, "a/b", "", &value), OK);
    ck_assert_int_eq(value_of(snap, "a", "", &value), ERR_NOT_FOUND);
    ck_assert_int_eq(value_of(snap, "head", "", &value), OK);
    ck_assert_int_eq(value_of(snap, "no//name", "", &value), ERR_NOT_FOUND);
    size_t n;
    const struct ref_read *reads = refs_snapshot_reads(snap, &n);
    ck_assert_uint_eq(n, 102);
    ck_assert_int_eq(reads[0].seen.kind, KIND_NONE);
    ck_assert_int_eq(reads[100].seen.kind, KIND_FILE);
    ck_assert(hash_equal(&reads[100].address, &one));
    ck_assert_int_eq(reads[101].seen.kind, KIND_DIR);
    refs_snapshot_close(snap);
    teardown();
}
END_TEST

/* ---- trees ---- */

START_TEST(head_is_the_projects_tree)
{
    setup();
    struct ref_value value;
    struct head_info head;
    struct problem problem;
    struct refs_snapshot *snap = snapshot();
    ck_assert_int_eq(value_of(snap, "head", "", &value), OK);
    ck_assert_int_eq(value.kind, KIND_DIR);
    refs_snapshot_close(snap);
    forge_land_text(&rig.forge, "one", "src/a", "text", NULL);
    forge_land_text(&rig.forge, "two", "src/b", "more", NULL);
    ck_assert_int_eq(service_head(rig.front.service, &rig.forge.project, &head, &problem), OK);
    (void)trace_store_counts(rig.forge.trace, true);
    snap = snapshot();
    ck_assert_int_eq(value_of(snap, "head", "", &value), OK);
    ck_assert(hash_equal(&value.address, &head.content));
    struct seen src;
    struct snapshot *tree;
    ck_assert_int_eq(snapshot_open(&rig.forge.repo, &rig.forge.project, UINT64_MAX, &tree), OK);
    ck_assert_int_eq(snapshot_seen(tree, bytes_str("src"), &src), OK);
    snapshot_close(tree);
    (void)trace_store_counts(rig.forge.trace, true);
    forge_land_text(&rig.forge, "three", "src/c", "later", NULL);
    (void)trace_store_counts(rig.forge.trace, true);
    ck_assert_int_eq(value_of(snap, "head", "src", &value), OK);
    ck_assert(hash_equal(&value.address, &src.hash));
    ck_assert_int_eq(value.where.place, PLACE_PAGE);
    ck_assert_int_eq(value_of(snap, "head", "src/a", &value), OK);
    ck_assert(value.kind == KIND_FILE && value.size == 4 && value.stamp == 1);
    ck_assert_int_eq(value_of(snap, "head", "src/c", &value), ERR_NOT_FOUND);
    ck_assert_int_eq(value_of(snap, "head", "src//a", &value), ERR_NOT_FOUND);
    struct trace_counts counts = trace_store_counts(rig.forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 0);
    refs_snapshot_close(snap);
    teardown();
}
END_TEST

START_TEST(a_path_picks_below_a_bound_directory)
{
    setup();
    struct ref_value src;
    struct ref_value value;
    forge_land_text(&rig.forge, "one", "src/deep/a", "text", NULL);
    struct refs_snapshot *snap = snapshot();
    ck_assert_int_eq(value_of(snap, "head", "src", &src), OK);
    refs_snapshot_close(snap);
    (void)ref_rig_bind(&rig, "release", &src.address);
    struct hash leaf = ref_rig_leaf(1);
    (void)ref_rig_bind(&rig, "other", &leaf);
    /* The project goes on, and the ref stays with what it was bound to. */
    forge_land_text(&rig.forge, "two", "src/deep/a", "other text", "text");
    snap = snapshot();
    ck_assert_int_eq(value_of(snap, "release", "deep/a", &value), ERR_NOT_FOUND);
    rig.content = src.address;
    rig.where = src.where;
    ck_assert_int_eq(value_of(snap, "release", "deep/a", &value), OK);
    ck_assert(value.kind == KIND_FILE && value.size == 4);
    ck_assert_uint_eq(value.stamp, 1); /* of the bind */
    ck_assert_int_eq(value_of(snap, "release", "deep/b", &value), ERR_NOT_FOUND);
    ck_assert_int_eq(value_of(snap, "release", "", &value), OK);
    ck_assert(hash_equal(&value.address, &src.address));
    ck_assert_int_eq(value_of(snap, "other", "deep", &value), ERR_NOT_FOUND);
    refs_snapshot_close(snap);
    teardown();
}
END_TEST

/* ---- lists ---- */

static const char *names_of(const char *prefix, const char *after, size_t max, bool *more)
{
    static char text[4096];
    struct refs_listing list;
    struct refs_snapshot *snap = snapshot();
    AUTO(arena_release) struct arena arena = {0};
    ck_assert_int_eq(
        refs_snapshot_list(snap, bytes_str(prefix), bytes_str(after), max, &arena, &list), OK);
    text[0] = '\0';
    for (size_t i = 0; i < list.n; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%.*s ", (int)list.refs[i].name.len,
                       (const char *)list.refs[i].name.data);
        struct hash address = ref_rig_leaf((unsigned)list.refs[i].stamp);
        ck_assert(hash_equal(&list.refs[i].address, &address));
    }
    *more = list.more;
    refs_snapshot_close(snap);
    return text;
}

START_TEST(names_are_listed)
{
    setup();
    bool more;
    ck_assert_str_eq(names_of("", "", 10, &more), "");
    static const char *const names[] = {"b/y", "a", "b-x", "b/x", "c/1/2", "c/1/3", "c/2"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        struct hash address = ref_rig_leaf(i + 1);
        ck_assert_uint_eq(ref_rig_bind(&rig, names[i], &address), i + 1);
    }
    ck_assert_str_eq(names_of("", "", 10, &more), "a b/x b/y b-x c/1/2 c/1/3 c/2 ");
    ck_assert(!more);
    ck_assert_str_eq(names_of("b", "", 10, &more), "b/x b/y ");
    ck_assert_str_eq(names_of("c/1", "", 10, &more), "c/1/2 c/1/3 ");
    ck_assert_str_eq(names_of("b/x", "", 10, &more), "b/x ");
    ck_assert_str_eq(names_of("nothing", "", 10, &more), "");
    ck_assert_str_eq(names_of("", "a", 2, &more), "b/x b/y ");
    ck_assert(more);
    ck_assert_str_eq(names_of("", "b/y", 10, &more), "b-x c/1/2 c/1/3 c/2 ");
    ck_assert_str_eq(names_of("", "c/1/2", 1, &more), "c/1/3 ");
    ck_assert(more);
    ck_assert_str_eq(names_of("", "c/1/3", 1, &more), "c/2 ");
    ck_assert(!more);
    ck_assert_str_eq(names_of("", "c/2", 1, &more), "");
    ck_assert_str_eq(names_of("b/x", "b/x", 1, &more), "");
    teardown();
}
END_TEST

/* Of a cold process: the values come many at once, in few requests for the tree. */
START_TEST(many_names_are_listed_in_pages)
{
    setup();
    for (unsigned i = 0; i < 200; i++) {
        char name[32];
        struct hash address = ref_rig_leaf(i);
        (void)snprintf(name, sizeof(name), "all/%03u", i);
        (void)ref_rig_bind(&rig, name, &address);
    }
    struct ref_rig cold;
    ref_rig_join(&cold, &rig);
    struct refs_snapshot *snap =
        service_refs_snapshot(cold.front.service, &(struct caller){0}, &cold.forge.project);
    struct refs_listing list;
    char after[32] = "";
    for (unsigned page = 0; page < 4; page++) {
        AUTO(arena_release) struct arena arena = {0};
        ck_assert_int_eq(
            refs_snapshot_list(snap, bytes_str("all"), bytes_str(after), 50, &arena, &list),
            OK);
        ck_assert_uint_eq(list.n, 50);
        ck_assert(list.more == (page < 3));
        for (unsigned i = 0; i < 50; i++) {
            struct hash address = ref_rig_leaf(50 * page + i);
            ck_assert(hash_equal(&list.refs[i].address, &address));
        }
        (void)snprintf(after, sizeof(after), "%.*s", (int)list.refs[49].name.len,
                       (const char *)list.refs[49].name.data);
    }
    refs_snapshot_close(snap);
    ref_rig_close(&cold);
    teardown();
}
END_TEST

/* ---- history ---- */

static struct refs_history history_of(const char *name, uint64_t before, size_t max)
{
    struct refs_history history;
    ck_assert_int_eq(refs_history(&rig.forge.repo, &rig.forge.project, bytes_str(name), before,
                                  max, &rig.arena, &history),
                     OK);
    return history;
}

static void run_stage(struct stage *stage)
{
    while (stage->run(stage) > 0) {
    }
    stage->close(stage);
}

START_TEST(a_name_has_a_history)
{
    setup();
    struct refs_history history;
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    ck_assert_int_eq(refs_history(&rig.forge.repo, &rig.forge.project, bytes_str("a"),
                                  UINT64_MAX, 10, &rig.arena, &history),
                     ERR_NOT_FOUND);
    (void)ref_rig_bind(&rig, "a", &one);
    (void)ref_rig_bind(&rig, "other", &one);
    (void)ref_rig_bind(&rig, "a", &two);
    ck_assert_int_eq(ref_rig_put(&rig, "a", NULL, &ref_anything).err, OK);
    (void)ref_rig_bind(&rig, "a/below", &one);
    history = history_of("a", UINT64_MAX, 10);
    ck_assert_uint_eq(history.n, 3);
    ck_assert(!history.more);
    ck_assert(history.changes[0].position == 4 && !history.changes[0].bound);
    ck_assert(history.changes[1].position == 3 && history.changes[1].bound);
    ck_assert(hash_equal(&history.changes[1].address, &two));
    ck_assert(history.changes[2].position == 1);
    ck_assert(hash_equal(&history.changes[2].address, &one));
    ck_assert(bytes_equal(history.changes[2].author, bytes_str("ann")));
    ck_assert_uint_gt(history.changes[0].hlc, history.changes[1].hlc);
    ck_assert_int_eq(refs_history(&rig.forge.repo, &rig.forge.project, bytes_str("b"),
                                  UINT64_MAX, 10, &rig.arena, &history),
                     ERR_NOT_FOUND);
    ck_assert_int_eq(refs_history(&rig.forge.repo, &rig.forge.project, bytes_str("head"),
                                  UINT64_MAX, 10, &rig.arena, &history),
                     ERR_NOT_FOUND);
    teardown();
}
END_TEST

/* Over the log's segments and rollups, which are made of it as of a project's. */
START_TEST(a_long_history_comes_in_pages)
{
    setup();
    for (unsigned i = 1; i <= 250; i++) {
        struct hash address = ref_rig_leaf(i);
        (void)ref_rig_bind(&rig, i % 10 == 0 ? "a" : "b", &address);
    }
    const struct rollup_options options = {0};
    struct ref_rig cold;
    ref_rig_join(&cold, &rig);
    run_stage(stage_append_open(&cold.forge.repo));
    run_stage(stage_rollup_open(&cold.forge.repo, &options));
    ref_rig_close(&cold);
    struct id16 refs = project_id_refs(&rig.forge.project);
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *segments;
    size_t n;
    ck_assert_int_eq(landlog_segments(&rig.forge.repo, &refs, &arena, &segments, &n), OK);
    ck_assert_uint_eq(n, 2);
    uint64_t before = UINT64_MAX;
    unsigned want = 250;
    for (unsigned page = 0; page < 3; page++) {
        struct refs_history history = history_of("a", before, 10);
        ck_assert_uint_eq(history.n, page < 2 ? 10 : 5);
        for (size_t i = 0; i < history.n; i++, want -= 10) {
            struct hash address = ref_rig_leaf(want);
            ck_assert_uint_eq(history.changes[i].position, want);
            ck_assert(hash_equal(&history.changes[i].address, &address));
        }
        ck_assert(history.more == (page < 2));
        before = history.next;
    }
    ck_assert_uint_eq(want, 0);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_snapshot_stays_as_it_was, what_was_asked_is_remembered,
        head_is_the_projects_tree,  a_path_picks_below_a_bound_directory,
        names_are_listed,           many_names_are_listed_in_pages,
        a_name_has_a_history,       a_long_history_comes_in_pages,
    };
    return suite_run("refs", tests, ARRAY_LEN(tests));
}
