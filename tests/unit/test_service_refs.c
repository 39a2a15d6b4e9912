#include "formats/base/hex.h"
#include "formats/key.h"
#include "formats/project_id.h"
#include "pipeline/repo/project.h"
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

static void refused(const struct ref_reply *reply, int err, const char *code)
{
    ck_assert_int_eq(reply->err, err);
    ck_assert_str_eq(reply->problem.code, code);
}

static const char *below(struct id16 project)
{
    static struct key prefix;
    prefix = key_project_prefix(&project);
    return prefix.s;
}

START_TEST(a_ref_is_bound_and_bound_anew)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    ref_rig_is(&rig, "a/b", NULL);
    ck_assert_uint_eq(ref_rig_bind(&rig, "a/b", &one), 1);
    ref_rig_is(&rig, "a/b", &one);
    ref_rig_is(&rig, "a", NULL);
    ref_rig_is(&rig, "a/b/c", NULL);
    ck_assert_uint_eq(ref_rig_bind(&rig, "a/b", &two), 2);
    ref_rig_is(&rig, "a/b", &two);
    teardown();
}
END_TEST

START_TEST(compare_and_set)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    struct hash three = ref_rig_leaf(3);
    struct ref_expected is_one = ref_bound_to(&one);
    struct ref_expected is_two = ref_bound_to(&two);
    struct ref_reply reply = ref_rig_put(&rig, "a", &two, &is_one);
    refused(&reply, ERR_CONFLICT, "ref_conflict");
    ck_assert_str_eq(reply.problem.message, "a is not bound");
    reply = ref_rig_put(&rig, "a", &one, &ref_unbound);
    ck_assert_int_eq(reply.err, OK);
    reply = ref_rig_put(&rig, "a", &two, &ref_unbound);
    refused(&reply, ERR_CONFLICT, "ref_conflict");
    ck_assert_ptr_nonnull(strstr(reply.problem.message, hash_hex(&one).s));
    reply = ref_rig_put(&rig, "a", &three, &is_two);
    refused(&reply, ERR_CONFLICT, "ref_conflict");
    ref_rig_is(&rig, "a", &one);
    reply = ref_rig_put(&rig, "a", &two, &is_one);
    ck_assert_int_eq(reply.err, OK);
    ref_rig_is(&rig, "a", &two);
    teardown();
}
END_TEST

START_TEST(a_ref_is_deleted)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    struct ref_expected is_two = ref_bound_to(&two);
    struct ref_reply reply = ref_rig_put(&rig, "a", NULL, &ref_anything);
    refused(&reply, ERR_NOT_FOUND, "not_found");
    (void)ref_rig_bind(&rig, "a", &one);
    reply = ref_rig_put(&rig, "a", NULL, &is_two);
    refused(&reply, ERR_CONFLICT, "ref_conflict");
    ref_rig_is(&rig, "a", &one);
    reply = ref_rig_put(&rig, "a", NULL, &ref_anything);
    ck_assert_int_eq(reply.err, OK);
    ck_assert_uint_eq(reply.position, 2);
    ref_rig_is(&rig, "a", NULL);
    reply = ref_rig_put(&rig, "a", NULL, &ref_anything);
    refused(&reply, ERR_NOT_FOUND, "not_found");
    ck_assert_uint_eq(ref_rig_bind(&rig, "a", &two), 3);
    teardown();
}
END_TEST

/* A retry of what was done, whatever it expects, finds it done. */
START_TEST(what_is_so_is_not_landed_again)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    ck_assert_uint_eq(ref_rig_bind(&rig, "a", &one), 1);
    (void)ref_rig_bind(&rig, "b", &one);
    (void)trace_store_counts(rig.forge.trace, true);
    struct ref_reply reply;
    ref_rig_send(&rig, "a", &one, &ref_unbound, &reply);
    ck_assert_int_eq(reply.err, OK);
    ck_assert_uint_eq(reply.calls, 1);
    ck_assert_uint_eq(reply.position, 1);
    struct trace_counts counts = trace_store_counts(rig.forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.puts[TRACE_QUEUE] + counts.puts[TRACE_HEAD], 0);
    teardown();
}
END_TEST

/* What a bind costs before it is in the queue, and what the drain then does. */
START_TEST(what_a_bind_costs)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct ref_reply reply;
    (void)ref_rig_bind(&rig, "a", &one);
    (void)trace_store_counts(rig.forge.trace, true);
    ref_rig_send(&rig, "b", &one, &ref_anything, &reply);
    struct trace_counts counts = trace_store_counts(rig.forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.gets[TRACE_TREE] + counts.gets[TRACE_PROJECT], 0);
    ck_assert_uint_eq(counts.puts[TRACE_QUEUE] + counts.puts[TRACE_HEAD], 0);
    front_settle(&rig.front);
    counts = trace_store_counts(rig.forge.trace, true);
    ck_assert_uint_eq(counts.puts[TRACE_QUEUE], 1);
    ck_assert_uint_eq(counts.puts[TRACE_TREE], 1);
    ck_assert_uint_eq(counts.puts[TRACE_HEAD], 1);
    ck_assert_uint_eq(reply.position, 2);
    teardown();
}
END_TEST

/* The second tree comes with the first bind, and the project's own does not change by it. */
START_TEST(the_tree_of_references_is_made_once)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct id16 project = rig.forge.project;
    struct id16 refs = project_id_refs(&project);
    struct id16 found;
    size_t before = forge_count(&rig.forge, below(project));
    ref_rig_is(&rig, "a", NULL);
    ck_assert_int_eq(project_refs_find(&rig.forge.repo, &project, &found), ERR_NOT_FOUND);
    ck_assert_uint_eq(forge_count(&rig.forge, below(refs)), 0);
    (void)ref_rig_bind(&rig, "a", &one);
    /* Head, project, the tree of no landing and that of one. */
    ck_assert_uint_eq(forge_count(&rig.forge, below(refs)), 4);
    ck_assert_uint_eq(forge_count(&rig.forge, below(project)), before + 4);
    ck_assert_uint_eq(forge_position(&rig.forge), 0);
    ck_assert_int_eq(project_refs_find(&rig.forge.repo, &project, &found), OK);
    ck_assert(id16_equal(&found, &refs));
    (void)ref_rig_bind(&rig, "b", &one);
    ck_assert_uint_eq(forge_count(&rig.forge, below(refs)), 5);
    /* Another process finds it. */
    struct ref_rig other;
    ref_rig_join(&other, &rig);
    ck_assert_uint_eq(ref_rig_bind(&other, "c", &one), 3);
    ref_rig_is(&rig, "c", &one);
    ref_rig_close(&other);
    teardown();
}
END_TEST

/* Whoever makes it may stop anywhere; the next bind goes on from there. */
START_TEST(a_tree_that_was_half_made_is_made_whole)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct id16 refs = project_id_refs(&rig.forge.project);
    struct project_info info = {
        .id = refs, .hlc_created = repo_hlc(&rig.forge.repo), .handle = bytes_str("demo")};
    ck_assert_int_eq(project_begin(&rig.forge.repo, &info), OK);
    ref_rig_is(&rig, "a", NULL);
    ck_assert_uint_eq(ref_rig_bind(&rig, "a", &one), 1);
    struct key key = key_project(&refs);
    ck_assert_int_eq(store_get(rig.forge.mem, key.s, range_none(), NULL, NULL, NULL), OK);
    teardown();
}
END_TEST

/* One whose head is lost is damaged, never empty. */
START_TEST(a_lost_head_is_damage)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct id16 refs = project_id_refs(&rig.forge.project);
    (void)ref_rig_bind(&rig, "a", &one);
    struct key key = key_head(&refs);
    ck_assert_int_eq(store_delete(rig.forge.mem, key.s), OK);
    struct ref_reply reply = ref_rig_put(&rig, "b", &one, &ref_anything);
    refused(&reply, ERR_CORRUPT, "project_damaged");
    teardown();
}
END_TEST

START_TEST(names_are_checked)
{
    setup();
    static const char *const bad[] = {"",     "head",   "head/a", "a/log",
                                      "a//b", ".git/a", "/a",     "a/../b"};
    struct hash one = ref_rig_leaf(1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ref_reply reply = ref_rig_put(&rig, bad[i], &one, &ref_anything);
        refused(&reply, ERR_INVALID, "ref_invalid");
        ck_assert_str_eq(reply.problem.field, "name");
        reply = ref_rig_put(&rig, bad[i], NULL, &ref_anything);
        refused(&reply, ERR_INVALID, "ref_invalid");
    }
    struct hash none = {{0}};
    struct ref_reply reply = ref_rig_put(&rig, "a", &none, &ref_anything);
    refused(&reply, ERR_INVALID, "field_invalid");
    (void)ref_rig_bind(&rig, "a/b", &one);
    reply = ref_rig_put(&rig, "a", &one, &ref_anything);
    refused(&reply, ERR_INVALID, "ref_clash");
    reply = ref_rig_put(&rig, "a/b/c", &one, &ref_anything);
    refused(&reply, ERR_INVALID, "ref_clash");
    reply = ref_rig_put(&rig, "a", NULL, &ref_anything);
    refused(&reply, ERR_NOT_FOUND, "not_found");
    teardown();
}
END_TEST

/* Nobody names the second tree by the roads that lead to projects. */
START_TEST(no_other_road_leads_to_references)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct id16 refs = project_id_refs(&rig.forge.project);
    struct id16 found;
    struct problem problem;
    (void)ref_rig_bind(&rig, "a", &one);
    ck_assert_int_eq(
        service_project_find(rig.front.service, bytes_str(id16_hex(&refs).s), &found, &problem),
        ERR_NOT_FOUND);
    AUTO(arena_release) struct arena arena = {0};
    const char *name = arena_printf(&arena, "%s/refs", id16_hex(&rig.forge.project).s);
    ck_assert_int_eq(service_project_find(rig.front.service, bytes_str(name), &found, &problem),
                     ERR_NOT_FOUND);
    ck_assert_int_eq(project_find_tree(&rig.forge.repo, bytes_str(name), &found), OK);
    ck_assert(id16_equal(&found, &refs));
    struct project_list list;
    ck_assert_int_eq(project_list(&rig.forge.repo, &arena, "", 100, &list), OK);
    ck_assert_uint_eq(list.n, 1);
    ck_assert(id16_equal(&list.projects[0].id, &rig.forge.project));
    for (unsigned i = 0; i < 64; i++) {
        const char *handle = arena_printf(&arena, "other%u", i);
        ck_assert_int_eq(project_create(&rig.forge.repo, bytes_str(handle), &found), OK);
        ck_assert(!project_id_is_refs(&found));
    }
    teardown();
}
END_TEST

/* Two that both expect the name to be unbound: one wins, and the other is told when it is asked
 * again. */
START_TEST(of_two_binds_at_once_one_lands)
{
    setup();
    struct hash one = ref_rig_leaf(1);
    struct hash two = ref_rig_leaf(2);
    struct ref_reply replies[2];
    ref_rig_send(&rig, "a", &one, &ref_unbound, &replies[0]);
    ref_rig_send(&rig, "a", &two, &ref_unbound, &replies[1]);
    front_settle(&rig.front);
    ck_assert_int_eq(replies[0].err, OK);
    refused(&replies[1], ERR_AGAIN, "ref_moved");
    ref_rig_is(&rig, "a", &one);
    struct ref_reply again = ref_rig_put(&rig, "a", &two, &ref_unbound);
    refused(&again, ERR_CONFLICT, "ref_conflict");
    again = ref_rig_put(&rig, "a", &two, &ref_anything);
    ck_assert_int_eq(again.err, OK);
    teardown();
}
END_TEST

/* ---- cycles ---- */

static void cycle_is(const struct ref_reply *reply, const char *way)
{
    refused(reply, ERR_CONFLICT, "ref_cycle");
    ck_assert_str_eq(reply->problem.message, way);
}

START_TEST(a_cycle_is_refused)
{
    setup();
    struct hash over_a = ref_rig_over_ref(&rig, "a");
    struct hash over_b = ref_rig_over_ref(&rig, "b");
    struct hash over_c = ref_rig_over_ref(&rig, "c");
    struct ref_reply reply = ref_rig_put(&rig, "a", &over_a, &ref_anything);
    cycle_is(&reply, "it would be computed from itself: a over a");
    (void)ref_rig_bind(&rig, "a", &over_b);
    reply = ref_rig_put(&rig, "b", &over_a, &ref_anything);
    cycle_is(&reply, "it would be computed from itself: b over a over b");
    (void)ref_rig_bind(&rig, "b", &over_c);
    struct hash deep = ref_rig_over(&rig, &over_a);
    deep = ref_rig_over(&rig, &deep);
    reply = ref_rig_put(&rig, "c", &deep, &ref_anything);
    cycle_is(&reply, "it would be computed from itself: c over a over b over c");
    ref_rig_is(&rig, "c", NULL);
    /* The way is free once one of them is bound to something else. */
    struct hash leaf = ref_rig_leaf(1);
    (void)ref_rig_bind(&rig, "b", &leaf);
    (void)ref_rig_bind(&rig, "c", &deep);
    teardown();
}
END_TEST

START_TEST(what_is_no_cycle_is_bound)
{
    setup();
    struct hash leaf = ref_rig_leaf(1);
    struct recipe_input inputs[] = {
        {.kind = RECIPE_REF, .ref = bytes_str("left")},
        {.kind = RECIPE_REF, .ref = bytes_str("right")},
        {.kind = RECIPE_REF, .ref = bytes_str("head"), .path = bytes_str("src")},
        {.kind = RECIPE_ADDRESS, .address = leaf},
    };
    struct hash top = ref_rig_recipe(&rig, inputs, ARRAY_LEN(inputs));
    struct hash over_base = ref_rig_over_ref(&rig, "base");
    (void)ref_rig_bind(&rig, "base", &leaf);
    (void)ref_rig_bind(&rig, "left", &over_base);
    (void)ref_rig_bind(&rig, "right", &over_base);
    (void)ref_rig_bind(&rig, "top", &top);
    struct hash over_top = ref_rig_over(&rig, &top);
    (void)ref_rig_bind(&rig, "top", &over_top);
    /* Both sides meet below, and are looked at once. */
    rig.looked_up = 0;
    (void)ref_rig_bind(&rig, "other", &top);
    ck_assert_uint_eq(rig.looked_up, 3);
    struct hash over_other = ref_rig_over_ref(&rig, "other");
    struct ref_reply reply = ref_rig_put(&rig, "base", &over_other, &ref_anything);
    ck_assert_str_eq(reply.problem.code, "ref_cycle");
    teardown();
}
END_TEST

/* Number 28: a over b and b over a, each checked before the other has landed. */
START_TEST(two_binds_at_once_close_no_cycle)
{
    for (unsigned order = 0; order < 2; order++) {
        setup();
        const char *names[] = {"a", "b"};
        struct hash over[] = {ref_rig_over_ref(&rig, "b"), ref_rig_over_ref(&rig, "a")};
        struct ref_reply replies[2];
        unsigned first = order;
        unsigned second = 1 - order;
        ref_rig_send(&rig, names[first], &over[first], &ref_unbound, &replies[first]);
        ref_rig_send(&rig, names[second], &over[second], &ref_unbound, &replies[second]);
        ck_assert_int_eq(replies[0].err + replies[1].err, OK);
        front_settle(&rig.front);
        ck_assert_int_eq(replies[first].err, OK);
        refused(&replies[second], ERR_AGAIN, "ref_moved");
        ref_rig_is(&rig, names[second], NULL);
        struct ref_reply again = ref_rig_put(&rig, names[second], &over[second], &ref_unbound);
        refused(&again, ERR_CONFLICT, "ref_cycle");
        teardown();
    }
}
END_TEST

/* The same from two processes, and through a ref that stays as it is, in every order of three.
 */
START_TEST(three_binds_at_once_close_no_cycle)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < ARRAY_LEN(orders); o++) {
        setup();
        static const char *const names[] = {"a", "b", "c"};
        static const char *const over[] = {"b", "c", "x"};
        struct hash over_a = ref_rig_over_ref(&rig, "a");
        struct hash leaf = ref_rig_leaf(1);
        (void)ref_rig_bind(&rig, "x", &over_a);
        (void)ref_rig_bind(&rig, "b", &leaf);
        struct hash addresses[3];
        for (unsigned i = 0; i < 3; i++)
            addresses[i] = ref_rig_over_ref(&rig, over[i]);
        struct ref_rig other;
        ref_rig_join(&other, &rig);
        struct ref_reply replies[3];
        for (unsigned i = 0; i < 3; i++) {
            unsigned which = orders[o][i];
            ref_rig_send(i == 1 ? &other : &rig, names[which], &addresses[which], &ref_anything,
                         &replies[which]);
            ck_assert_int_eq(replies[which].err, OK);
        }
        for (unsigned rounds = 0; rounds < 20; rounds++) {
            (void)!service_step(other.front.service);
            front_settle(&rig.front);
        }
        unsigned landed = 0;
        for (unsigned i = 0; i < 3; i++) {
            ck_assert_uint_eq(replies[i].calls, 1);
            landed += replies[i].err == OK;
        }
        ck_assert_uint_lt(landed, 3);
        ck_assert_uint_ge(landed, 1);
        unsigned cycles = 0;
        for (unsigned i = 0; i < 3; i++) {
            if (replies[i].err == OK)
                continue;
            refused(&replies[i], ERR_AGAIN, "ref_moved");
            struct ref_reply again = ref_rig_put(&rig, names[i], &addresses[i], &ref_anything);
            cycles += again.err == ERR_CONFLICT && strcmp(again.problem.code, "ref_cycle") == 0;
        }
        ck_assert_uint_eq(cycles, 1);
        ref_rig_close(&other);
        teardown();
    }
}
END_TEST

/* A chain of recipes as deep as they come is walked without recursion. */
START_TEST(deep_chains_are_walked)
{
    setup();
    struct hash at = ref_rig_over_ref(&rig, "a");
    for (unsigned i = 0; i < 3000; i++)
        at = ref_rig_over(&rig, &at);
    struct ref_reply reply = ref_rig_put(&rig, "a", &at, &ref_anything);
    refused(&reply, ERR_CONFLICT, "ref_cycle");
    (void)ref_rig_bind(&rig, "b", &at);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_ref_is_bound_and_bound_anew,
        compare_and_set,
        a_ref_is_deleted,
        what_is_so_is_not_landed_again,
        what_a_bind_costs,
        the_tree_of_references_is_made_once,
        a_tree_that_was_half_made_is_made_whole,
        a_lost_head_is_damage,
        names_are_checked,
        no_other_road_leads_to_references,
        of_two_binds_at_once_one_lands,
        a_cycle_is_refused,
        what_is_no_cycle_is_bound,
        two_binds_at_once_close_no_cycle,
        three_binds_at_once_close_no_cycle,
        deep_chains_are_walked,
    };
    return suite_run("service_refs", tests, ARRAY_LEN(tests));
}
