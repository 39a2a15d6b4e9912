#include "pipeline/repo/project.h"

#include "formats/base/hex.h"
#include "formats/key.h"
#include "formats/path.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/known.h"
#include "tests/support/build_chain.h"
#include "tests/support/suite.h"

START_TEST(new_project_is_an_empty_tree)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_cold(&bc);
    struct id16 found;
    ck_assert_int_eq(project_find(&bc.repo, bytes_str("demo"), &found), OK);
    ck_assert(id16_equal(&found, &bc.project));
    const struct batch *batch;
    struct head head;
    ck_assert_int_eq(chain_head(&bc.repo, &found, &head, NULL), OK);
    ck_assert_uint_eq(head.position, 0);
    ck_assert_int_eq(chain_tip(&bc.repo, &found, &head, &batch), OK);
    ck_assert_uint_eq(batch->footer.batch, 0);
    ck_assert_uint_eq(batch->footer.files, 0);
    ck_assert_uint_eq(batch->footer.n_records, 0);
    struct tree tree = chain_tree(&bc.repo, &found, batch);
    AUTO(arena_release) struct arena arena = {0};
    struct tree_listing listing;
    ck_assert_int_eq(tree_list(&tree, bytes_str(""), bytes_str(""), 10, &arena, &listing), OK);
    ck_assert_uint_eq(listing.n, 0);
    chain_drop(&bc.repo, batch);
    struct project_info info;
    ck_assert_int_eq(project_info_get(&bc.repo, &found, &arena, &info), OK);
    ck_assert(bytes_equal(info.handle, bytes_str("demo")));
    build_chain_release(&bc);
}
END_TEST

START_TEST(taken_handle_is_a_conflict)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct id16 id;
    ck_assert_int_eq(project_create(&bc.repo, bytes_str("demo"), &id), ERR_CONFLICT);
    ck_assert_int_eq(project_create(&bc.repo, bytes_str("demo2"), &id), OK);
    build_chain_release(&bc);
}
END_TEST

START_TEST(bad_handle_is_refused)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct id16 id;
    const char *const bad[] = {"", "-a", "a/b", "A", "ü", "0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(project_create(&bc.repo, bytes_str(bad[i]), &id), ERR_INVALID);
    build_chain_release(&bc);
}
END_TEST

/* A store on which an action runs just before the n-th put, or which changes a put's answer. */
struct hook_store {
    struct store store;
    struct store *below;
    const char *prefix; /* of the puts that it is about */
    int answer;         /* what a put answers after it was made; 0: the truth */
    void (*before)(void *);
    void *arg;
};

static int hook_one(struct store *store, struct store_op *op)
{
    struct hook_store *hook = (struct hook_store *)store;
    bool mine =
        op->verb == STORE_PUT && strncmp(op->key, hook->prefix, strlen(hook->prefix)) == 0;
    if (mine && hook->before != NULL)
        hook->before(hook->arg);
    int err = hook->below->calls->one(hook->below, op);
    if (mine && err == OK && hook->answer != 0)
        op->err = err = hook->answer;
    return err;
}

static int hook_many(struct store *store, struct store_op *ops, size_t n)
{
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        int err = hook_one(store, &ops[i]);
        first = first == OK ? err : first;
    }
    return first;
}

static int hook_list(struct store *store, struct arena *arena, const char *prefix,
                     const char *after, size_t max, struct store_list *out)
{
    struct hook_store *hook = (struct hook_store *)store;
    return store_list(hook->below, arena, prefix, after, max, out);
}

static uint64_t hook_date_ms(struct store *store)
{
    return store_date_ms(((struct hook_store *)store)->below);
}

static const struct store_calls hook_calls = {
    .name = "hook",
    .one = hook_one,
    .many = hook_many,
    .list = hook_list,
    .date_ms = hook_date_ms,
};

struct rival {
    struct build_chain *bc;
    struct id16 id;
    bool done;
};

static void rival_creates(void *arg)
{
    struct rival *rival = arg;
    if (rival->done)
        return;
    rival->done = true;
    struct store *hooked = rival->bc->repo.store;
    rival->bc->repo.store = rival->bc->trace;
    ck_assert_int_eq(project_create(&rival->bc->repo, bytes_str("shared"), &rival->id), OK);
    rival->bc->repo.store = hooked;
}

START_TEST(schedule_29_one_handle_names_one_project)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct rival rival = {.bc = &bc};
    struct hook_store hook = {.store = {.calls = &hook_calls},
                              .below = bc.trace,
                              .prefix = "handles/",
                              .before = rival_creates,
                              .arg = &rival};
    bc.repo.store = &hook.store;
    struct id16 id;
    ck_assert_int_eq(project_create(&bc.repo, bytes_str("shared"), &id), ERR_CONFLICT);
    bc.repo.store = bc.trace;
    build_chain_cold(&bc);
    ck_assert_int_eq(project_find(&bc.repo, bytes_str("shared"), &id), OK);
    ck_assert(id16_equal(&id, &rival.id));
    build_chain_release(&bc);
}
END_TEST

START_TEST(own_handle_behind_a_wrong_answer_is_recognised)
{
    const int answers[] = {ERR_CONFLICT, ERR_UNKNOWN};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct build_chain bc;
        build_chain_init(&bc);
        struct hook_store hook = {.store = {.calls = &hook_calls},
                                  .below = bc.trace,
                                  .prefix = "handles/",
                                  .answer = answers[i]};
        bc.repo.store = &hook.store;
        struct id16 id, found;
        ck_assert_int_eq(project_create(&bc.repo, bytes_str("mine"), &id), OK);
        ck_assert_int_eq(project_find(&bc.repo, bytes_str("mine"), &found), OK);
        ck_assert(id16_equal(&id, &found));
        bc.repo.store = bc.trace;
        build_chain_release(&bc);
    }
}
END_TEST

static void handle_must_be_absent(void *arg)
{
    struct build_chain *bc = arg;
    struct key key = key_handle(bytes_str("late"));
    ck_assert_int_eq(store_get(bc->mem, key.s, range_none(), NULL, NULL, NULL), ERR_NOT_FOUND);
}

START_TEST(handle_is_put_last)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct hook_store hook = {.store = {.calls = &hook_calls},
                              .below = bc.trace,
                              .prefix = "projects/",
                              .before = handle_must_be_absent,
                              .arg = &bc};
    bc.repo.store = &hook.store;
    struct id16 id;
    ck_assert_int_eq(project_create(&bc.repo, bytes_str("late"), &id), OK);
    bc.repo.store = bc.trace;
    build_chain_release(&bc);
}
END_TEST

START_TEST(found_by_handle_or_id_and_remembered)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_cold(&bc);
    struct id16_hex hex = id16_hex(&bc.project);
    struct id16 id;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(project_find(&bc.repo, bytes_str("demo"), &id), OK);
        ck_assert(id16_equal(&id, &bc.project));
        ck_assert_int_eq(project_find(&bc.repo, bytes_str(hex.s), &id), OK);
        ck_assert(id16_equal(&id, &bc.project));
    }
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_HANDLE], 1);
    ck_assert_uint_eq(counts.gets[TRACE_PROJECT], 1);
    hex.s[0] = hex.s[0] == 'a' ? 'b' : 'a';
    ck_assert_int_eq(project_find(&bc.repo, bytes_str(hex.s), &id), ERR_NOT_FOUND);
    ck_assert_int_eq(project_find(&bc.repo, bytes_str("nobody"), &id), ERR_NOT_FOUND);
    ck_assert_int_eq(project_find(&bc.repo, bytes_str("../x"), &id), ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_handle_and_info_are_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_cold(&bc);
    struct key key = key_handle(bytes_str("demo"));
    struct id16 id;
    build_chain_flip(&bc, key.s, 20);
    ck_assert_int_eq(project_find(&bc.repo, bytes_str("demo"), &id), ERR_CORRUPT);
    build_chain_flip(&bc, key.s, 20);
    /* A whole one that belongs under another name. */
    AUTO_BUF bytes = {0};
    struct project_info info = {.id = bc.project, .handle = bytes_str("other")};
    handle_encode(&info, &bytes);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    ck_assert_int_eq(project_find(&bc.repo, bytes_str("demo"), &id), ERR_CORRUPT);
    AUTO(arena_release) struct arena arena = {0};
    key = key_project(&bc.project);
    build_chain_flip(&bc, key.s, 20);
    ck_assert_int_eq(project_info_get(&bc.repo, &bc.project, &arena, &info), ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(listed_in_pages_without_the_damaged)
{
    struct build_chain bc;
    build_chain_init(&bc);
    AUTO(arena_release) struct arena arena = {0};
    struct id16 id;
    for (unsigned i = 0; i < 150; i++) {
        const char *handle = arena_printf(&arena, "p%03u", i);
        ck_assert_int_eq(project_create(&bc.repo, bytes_str(handle), &id), OK);
    }
    build_chain_flip(&bc, "handles/p000", 20);
    build_chain_flip(&bc, "handles/p020", 20);
    build_chain_cold(&bc);
    const size_t pages[] = {1, 7, 1000};
    for (size_t p = 0; p < ARRAY_LEN(pages); p++) {
        const char *after = "";
        size_t seen = 0;
        struct project_list list = {.more = true};
        while (list.more) {
            ck_assert_int_eq(project_list(&bc.repo, &arena, after, pages[p], &list), OK);
            ck_assert_uint_le(list.n, pages[p]);
            seen += list.n;
            if (list.n > 0)
                after = arena_str(&arena, list.projects[list.n - 1].handle);
        }
        ck_assert_uint_eq(seen, 149); /* "demo", too */
    }
    /* What was read before is remembered: 149 good ones, and two damaged ones a walk. */
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_ge(counts.gets[TRACE_HANDLE], 149);
    ck_assert_uint_le(counts.gets[TRACE_HANDLE], 149 + 3 * 4);
    build_chain_release(&bc);
}
END_TEST

START_TEST(known_facts_are_bounded_and_may_be_absent)
{
    struct known *known = known_open(64);
    struct fact fact = {.number = 1};
    struct hash name = known_name("a", NULL, bytes_str("x"));
    for (unsigned i = 0; i < 10000; i++) {
        struct hash other = known_name("b", NULL, bytes_of(&i, sizeof(i)));
        if (i == 5000)
            known_add(known, &name, &fact);
        fact.number = i;
        known_add(known, &other, &fact);
        ck_assert(known_find(known, &other, &fact));
        ck_assert_uint_eq(fact.number, i);
        /* What is used stays. */
        if (i >= 5000)
            ck_assert(known_find(known, &name, &fact));
    }
    known_close(known);
    known_add(NULL, &name, &fact);
    ck_assert(!known_find(NULL, &name, &fact));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        new_project_is_an_empty_tree,
        taken_handle_is_a_conflict,
        bad_handle_is_refused,
        schedule_29_one_handle_names_one_project,
        own_handle_behind_a_wrong_answer_is_recognised,
        handle_is_put_last,
        found_by_handle_or_id_and_remembered,
        damaged_handle_and_info_are_corrupt,
        listed_in_pages_without_the_damaged,
        known_facts_are_bounded_and_may_be_absent,
    };
    return suite_run("project", tests, ARRAY_LEN(tests));
}
