#include "pipeline/derive/run/executor.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/support/executor_rig.h"
#include "tests/support/fn_tree_rig.h"
#include "tests/support/suite.h"

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct hash text_leaf(struct executor_rig *rig, const char *text)
{
    return executor_rig_leaf(rig, bytes_str(text));
}

START_TEST(a_recipe_a_leaf)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash upper = executor_rig_one(&rig, "uppercase", leaf, NULL);
    struct hash both =
        executor_rig_recipe(&rig, "concat", (struct hash[]){leaf, upper}, 2, NULL);
    executor_rig_gives(&rig, leaf, "abc");
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    executor_rig_gives(&rig, both, "abcABC");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    ck_assert_uint_eq(atomic_load(&rig.memos_told), 2);
    executor_rig_gives(&rig, both, "abcABC");
    executor_rig_gives(&rig, upper, "ABC");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(a_chain)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash at = text_leaf(&rig, "abc");
    const unsigned depth = 100000;
    for (unsigned i = 0; i < depth; i++)
        at = executor_rig_one(&rig, i % 2 == 0 ? "reverse" : "uppercase", at, NULL);
    executor_rig_gives(&rig, at, "ABC");
    struct executor_stats stats = executor_stats(rig.ex);
    /* Later ones have inputs that were seen before. */
    ck_assert_uint_lt(stats.runs, 8);
    ck_assert_uint_eq(stats.depth_last, depth);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(a_wide_one)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    const uint32_t n = 100000;
    struct hash *inputs = calloc(n, sizeof(*inputs));
    AUTO_BUF all = {0};
    for (uint32_t i = 0; i < n; i++) {
        AUTO_BUF text = {0};
        buf_printf(&text, "%u,", i);
        buf_append_bytes(&all, buf_bytes(&text));
        inputs[i] =
            executor_rig_one(&rig, "identity", executor_rig_leaf(&rig, buf_bytes(&text)), NULL);
    }
    buf_append(&all, "", 1);
    struct hash root = executor_rig_recipe(&rig, "concat", inputs, n, NULL);
    executor_rig_gives(&rig, root, (const char *)all.data);
    ck_assert_uint_eq(executor_rig_runs(&rig), n + 1);
    executor_rig_quiet(&rig);
    free(inputs);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(a_diamond)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash shared =
        executor_rig_one(&rig, "test.wait", text_leaf(&rig, "abc"), WITH("ms", "5"));
    struct hash sides[] = {executor_rig_one(&rig, "uppercase", shared, NULL),
                           executor_rig_one(&rig, "reverse", shared, NULL), shared, shared};
    struct hash root = executor_rig_recipe(&rig, "concat", sides, 4, NULL);
    executor_rig_gives(&rig, root, "ABCcbaabcabc");
    ck_assert_uint_eq(executor_rig_runs(&rig), 4);
    executor_rig_close(&rig);
}
END_TEST

/* Recipes whose inputs are equal share one run, whatever made the inputs. */
START_TEST(equal_inputs)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash upper = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    struct hash same = executor_rig_one(&rig, "reverse", text_leaf(&rig, "CBA"), NULL);
    executor_rig_gives(&rig, executor_rig_one(&rig, "sha256", upper, NULL),
                       "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    executor_rig_gives(&rig, executor_rig_one(&rig, "sha256", same, NULL),
                       "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_close(&rig);
}
END_TEST

/* Bytes that nobody needs are not made: memos are enough. */
START_TEST(memos_are_enough)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash upper = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    struct hash twice =
        executor_rig_recipe(&rig, "concat", (struct hash[]){upper, upper}, 2, NULL);
    struct hash root = executor_rig_one(&rig, "reverse", twice, NULL);
    executor_rig_gives(&rig, root, "CBACBA");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_reopen(&rig);
    struct one_get get;
    const struct get_options hash = {.want = GET_HASH};
    ck_assert_int_eq(one_get(&get, &rig, root, &hash), DERIVE_FAULT_NONE);
    struct hash wanted = sha256(bytes_str("CBACBA"));
    ck_assert(get.derived->hash_known && hash_equal(&get.derived->hash, &wanted));
    ck_assert_uint_eq(get.derived->size, 6);
    one_get_close(&get);
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    ck_assert_uint_eq(executor_stats(rig.ex).hits, 3);
    /* A new one over the middle needs that and what is below, not what is beside. */
    executor_rig_gives(&rig, executor_rig_one(&rig, "lowercase", twice, NULL), "abcabc");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_close(&rig);
}
END_TEST

/* Who asks only what a result is does not use it: its bytes are neither read nor kept for it.
 */
START_TEST(asking_what_it_is_is_no_use_of_it)
{
    static const enum get_want wants[] = {GET_HASH, GET_KNOWN, GET_SIZE};
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash root = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    executor_rig_gives(&rig, root, "ABC");
    struct result_cache_stats before;
    struct result_cache_stats after;
    for (unsigned gone = 0; gone < 2; gone++) {
        result_cache_stats(rig.cache, &before);
        uint64_t fast = executor_stats(rig.ex).fast;
        for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
            struct one_get get;
            const struct get_options options = {.want = wants[i]};
            ck_assert_int_eq(one_get(&get, &rig, root, &options), DERIVE_FAULT_NONE);
            ck_assert_uint_eq(get.derived->size, 3);
            ck_assert_uint_eq(get.derived->from, get.derived->end);
            one_get_close(&get);
        }
        result_cache_stats(rig.cache, &after);
        ck_assert_uint_eq(after.hits, before.hits);
        ck_assert_uint_eq(after.misses, before.misses);
        ck_assert_uint_eq(executor_stats(rig.ex).fast, fast + ARRAY_LEN(wants));
        if (gone == 0)
            executor_rig_evict(&rig, "ABC");
    }
    executor_rig_close(&rig);
}
END_TEST

START_TEST(evicted)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash upper = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    struct hash root = executor_rig_one(&rig, "reverse", upper, NULL);
    executor_rig_gives(&rig, root, "CBA");
    executor_rig_evict(&rig, "CBA");
    executor_rig_gives(&rig, root, "CBA");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_evict(&rig, "CBA");
    executor_rig_evict(&rig, "ABC");
    executor_rig_gives(&rig, root, "CBA");
    ck_assert_uint_eq(executor_rig_runs(&rig), 5);
    ck_assert_uint_eq(executor_stats(rig.ex).recomputed, 3);
    executor_rig_close(&rig);
}
END_TEST

/* A cache that keeps nothing: every result is handed on all the same. */
START_TEST(nothing_is_kept)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.cache_options.ram_bytes = 1;
    executor_rig_open(&rig);
    struct hash upper = executor_rig_one(&rig, "uppercase", text_leaf(&rig, "abc"), NULL);
    struct hash lower = executor_rig_one(&rig, "lowercase", upper, NULL);
    struct hash root =
        executor_rig_recipe(&rig, "concat", (struct hash[]){lower, upper, lower}, 3, NULL);
    executor_rig_gives(&rig, root, "abcABCabc");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_gives(&rig, root, "abcABCabc");
    ck_assert_uint_eq(executor_rig_runs(&rig), 6);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(early_cut_off)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash low = executor_rig_over_ref(&rig, "lowercase", "source");
    struct hash root = executor_rig_one(&rig, "reverse", low, NULL);
    executor_rig_bind(&rig, "source", text_leaf(&rig, "abc"));
    executor_rig_gives(&rig, root, "cba");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    /* Another input with the same result: what is above is not run. */
    executor_rig_bind(&rig, "source", text_leaf(&rig, "aBC"));
    executor_rig_gives(&rig, root, "cba");
    ck_assert_uint_eq(executor_rig_runs(&rig), 3);
    executor_rig_bind(&rig, "source", text_leaf(&rig, "xyz"));
    executor_rig_gives(&rig, root, "zyx");
    ck_assert_uint_eq(executor_rig_runs(&rig), 5);
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, root, NULL), DERIVE_FAULT_NONE);
    ck_assert_uint_eq(get.derived->n_refs, 1);
    ck_assert(bytes_equal(get.derived->refs[0].name, bytes_str("source")));
    struct hash xyz = sha256(bytes_str("xyz"));
    ck_assert(hash_equal(&get.derived->refs[0].address, &xyz));
    one_get_close(&get);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(trees_as_inputs)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    const struct rig_file files[] = {
        {.path = bytes_str("a"), .kind = KIND_FILE, .mode = 0644, .content = bytes_str("abc")}};
    struct rig_tree tree;
    rig_tree_init(&tree, files, ARRAY_LEN(files), NULL);
    struct hash top = executor_rig_tree(&rig, &tree.tree);
    struct hash list = executor_rig_one(&rig, "tree.list", top, NULL);
    executor_rig_gives(
        &rig, executor_rig_one(&rig, "uppercase", list, NULL),
        "FILE 0644 3 BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD A\n");
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    /* A tree has a content hash and no bytes. */
    struct one_get get;
    ck_assert_int_eq(one_get(&get, &rig, top, NULL), DERIVE_FAULT_NONE);
    ck_assert_int_eq(get.derived->is, DERIVE_IS_TREE);
    ck_assert(hash_equal(&get.derived->hash, &top));
    ck_assert_uint_eq(get.derived->end, 0);
    one_get_close(&get);
    /* A tree where bytes are taken, also for a range, and bytes where a tree is. */
    struct hash wrong = executor_rig_one(&rig, "identity", top, NULL);
    executor_rig_fails(&rig, wrong, DERIVE_FAULT_INPUT_INVALID);
    const struct get_options range = {.want = GET_RANGE, .from = 0, .end = 1};
    ck_assert_int_eq(one_get(&get, &rig, wrong, &range), DERIVE_FAULT_INPUT_INVALID);
    one_get_close(&get);
    wrong = executor_rig_one(&rig, "tree.list", text_leaf(&rig, "abc"), NULL);
    executor_rig_fails(&rig, wrong, DERIVE_FAULT_INPUT_INVALID);
    executor_rig_close(&rig);
    rig_tree_release(&tree);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_recipe_a_leaf,
                                  a_chain,
                                  a_wide_one,
                                  a_diamond,
                                  equal_inputs,
                                  memos_are_enough,
                                  asking_what_it_is_is_no_use_of_it,
                                  evicted,
                                  nothing_is_kept,
                                  early_cut_off,
                                  trees_as_inputs};
    return suite_run("executor", tests, ARRAY_LEN(tests));
}
