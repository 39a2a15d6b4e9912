/* Runs whose inputs are trees: what fails in one, and who leaves while it is read. */
#include "tests/support/executor_rig.h"
#include "tests/support/fn_tree_rig.h"
#include "tests/support/suite.h"

static const struct rig_file files[] = {
    {{(const uint8_t *)"a", 1}, KIND_FILE, MODE_PLAIN, {(const uint8_t *)"abc\n", 4}},
    {{(const uint8_t *)"b/c", 3}, KIND_FILE, MODE_PLAIN, {(const uint8_t *)"de\nf", 4}},
    {{(const uint8_t *)"b/d", 3}, KIND_LINK, 0, {(const uint8_t *)"../a", 4}},
};

static void begin(struct executor_rig *rig, struct rig_tree *tree, struct hash *top)
{
    executor_rig_init(rig);
    executor_rig_open(rig);
    rig_tree_init(tree, files, ARRAY_LEN(files), NULL);
    *top = executor_rig_tree(rig, &tree->tree);
}

static void end(struct executor_rig *rig, struct rig_tree *tree)
{
    executor_rig_close(rig);
    rig_tree_release(tree);
}

/* What a tree cannot give is the store's fault, and not the function's or its caller's. */
START_TEST(a_tree_that_fails)
{
    static const struct {
        int err;
        enum derive_fault fault;
    } cases[] = {{ERR_AGAIN, DERIVE_FAULT_STORE},
                 {ERR_CORRUPT, DERIVE_FAULT_STORE},
                 {ERR_LIMIT, DERIVE_FAULT_STORE},
                 {ERR_NOT_FOUND, DERIVE_FAULT_INPUT_MISSING}};
    static const char *const names[] = {"tree.archive", "tree.list", "tree.stat"};
    struct executor_rig rig;
    struct rig_tree tree;
    struct hash top;
    begin(&rig, &tree, &top);
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(names); i++) {
        struct hash recipe = executor_rig_one(&rig, names[i % ARRAY_LEN(names)], top, NULL);
        tree.err = cases[i / ARRAY_LEN(names)].err;
        for (tree.err_at = 1; tree.err_at < 3; tree.err_at++) {
            tree.calls = 0;
            struct derive_problem p =
                executor_rig_fails(&rig, recipe, cases[i / ARRAY_LEN(names)].fault);
            ck_assert(hash_equal(&p.address, &recipe));
            if (p.fault == DERIVE_FAULT_STORE)
                ck_assert_int_eq(p.err, tree.err);
            else
                ck_assert(hash_equal(&p.other, &top));
        }
    }
    /* Nothing of that is remembered. */
    tree.err_at = 0;
    struct one_get get;
    struct hash list = executor_rig_one(&rig, "tree.list", top, NULL);
    ck_assert_int_eq(one_get(&get, &rig, list, NULL), DERIVE_FAULT_NONE);
    one_get_close(&get);
    end(&rig, &tree);
}
END_TEST

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void wait_for_it(struct rig_tree *tree UNUSED)
{
    ck_assert_int_eq(pthread_mutex_lock(&held), 0);
    ck_assert_int_eq(pthread_mutex_unlock(&held), 0);
}

/* A run that writes nothing for long is stopped when it next reads. */
START_TEST(reading_stops_when_nobody_waits)
{
    struct executor_rig rig;
    struct rig_tree tree;
    struct hash top;
    struct one_get get;
    begin(&rig, &tree, &top);
    tree.called = wait_for_it;
    ck_assert_int_eq(pthread_mutex_lock(&held), 0);
    one_get_begin(&get, &rig, executor_rig_one(&rig, "tree.stat", top, NULL), NULL);
    while (executor_stats(rig.ex).running < 1)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    executor_cancel(rig.ex, get.ticket);
    one_get_wait(&get);
    ck_assert_int_eq(get.problem.fault, DERIVE_FAULT_CANCELLED);
    ck_assert_int_eq(pthread_mutex_unlock(&held), 0);
    executor_rig_quiet(&rig);
    struct executor_stats stats = executor_stats(rig.ex);
    ck_assert_uint_eq(stats.stopped, 1);
    ck_assert_uint_eq(stats.failed, 0);
    ck_assert_uint_le(tree.calls, 1); /* the one that was under way */
    one_get_close(&get);
    end(&rig, &tree);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_tree_that_fails, reading_stops_when_nobody_waits};
    return suite_run("executor_trees", tests, ARRAY_LEN(tests));
}
