/* Nodes put together, two of them on one bucket: what one was told the other finds, also when
 * the first is gone; what one found out about a function counts for the other. */
#include <stdatomic.h>

#include "formats/base/hash.h"
#include "pipeline/derive/project_source.h"
#include "pipeline/repo/project.h"
#include "pipeline/store/mem.h"
#include "pipeline/sys/bell.h"
#include "tests/support/folder.h"
#include "tests/support/rig_functions.h"
#include "tests/support/suite.h"

struct node {
    char dir[64];
    uint64_t look_us; /* 0: as for most */
    struct repo repo;
    struct derive derive;
};

static struct store *bucket;
static struct id16 project;
static struct node one = {.dir = "/tmp/mic-node-one-XXXXXX"};
static struct node two = {.dir = "/tmp/mic-node-two-XXXXXX"};

static void node_open(struct node *node)
{
    const struct repo_options repo = {.page_cache_bytes = MIB,
                                      .content_cache_bytes = MIB,
                                      .shards = 1,
                                      .chunk_size = CHUNK_SIZE_MIN};
    const struct derive_options options = {.dir = node->dir,
                                           .batch_max = MIB,
                                           .queue_max = 8u * MIB,
                                           .look_us = node->look_us > 0 ? node->look_us : 1000,
                                           .slots = 2,
                                           .in_flight_max = 16u * MIB,
                                           .ram_bytes = 16u * MIB,
                                           .disk_bytes = 16u * MIB,
                                           .function = rig_function_find};
    ck_assert_int_eq(repo_open(&node->repo, bucket, clock_system(), rng_system(), &repo), OK);
    ck_assert_int_eq(derive_open(&node->derive, &node->repo, &options), OK);
    derive_start(&node->derive);
}

static void node_close(struct node *node)
{
    derive_stop(&node->derive);
    derive_close(&node->derive);
    repo_close(&node->repo);
}

static void setup(void)
{
    bucket = mem_store_open();
    folder_make(one.dir);
    folder_make(two.dir);
    node_open(&one);
    node_open(&two);
    ck_assert_int_eq(project_create(&one.repo, bytes_str("demo"), &project), OK);
}

static void teardown(void)
{
    node_close(&one);
    node_close(&two);
    folder_remove(one.dir);
    folder_remove(two.dir);
    store_close(bucket);
}

/* ---- asking ---- */

struct told {
    struct bell bell;
    int err;
};

static void put_told(void *arg, int err, uint64_t hlc)
{
    struct told *told = arg;
    (void)hlc;
    told->err = err;
    bell_ring(&told->bell);
}

static struct hash item_put(struct node *node, const struct derive_item *item)
{
    struct told told = {.err = OK};
    bell_init(&told.bell);
    ck_assert_int_eq(derive_put(&node->derive, &project, item, 1, put_told, &told), OK);
    (void)bell_wait(&told.bell, BELL_FOR_EVER);
    bell_release(&told.bell);
    ck_assert_int_eq(told.err, OK);
    return item->address;
}

static struct hash leaf_put(struct node *node, const char *text)
{
    struct bytes data = bytes_str(text);
    return item_put(node, &(struct derive_item){
                              .kind = DERIVE_LEAF, .address = sha256(data), .data = data});
}

static struct hash recipe_of(struct node *node, const char *function,
                             const struct recipe_input *inputs, uint32_t n)
{
    struct recipe_input own[512];
    ck_assert_uint_le(n, ARRAY_LEN(own));
    memcpy(own, inputs, n * sizeof(*inputs));
    struct recipe recipe = {.function = bytes_str(function),
                            .version = bytes_str("1.0.0"),
                            .inputs = own,
                            .n_inputs = n};
    AUTO_BUF canonical = {0};
    ck_assert_int_eq(recipe_settle(&recipe, NULL), OK);
    recipe_encode(&recipe, &canonical);
    struct bytes data = buf_bytes(&canonical);
    return item_put(node, &(struct derive_item){.kind = DERIVE_RECIPE,
                                                .address = recipe_address(data),
                                                .data = data});
}

static struct hash recipe_put(struct node *node, const char *function, struct hash input)
{
    const struct recipe_input inputs[] = {{.kind = RECIPE_ADDRESS, .address = input}};
    return recipe_of(node, function, inputs, 1);
}

struct asked {
    struct bell bell;
    enum derive_fault fault;
    bool ran;
    uint64_t size;
    struct hash hash;
};

static atomic_uint asked_done_n; /* gets that have ended */

static void asked_done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct asked *asked = arg;
    if (derived == NULL) {
        asked->fault = problem->fault;
    } else {
        asked->ran = derived->ran;
        asked->size = derived->size;
        asked->hash = derived->hash;
        derived_close(derived);
    }
    atomic_fetch_add(&asked_done_n, 1);
    bell_ring(&asked->bell);
}

static void ask_begin(struct asked *asked, struct node *node, const struct hash *address,
                      const struct verify *verify)
{
    const struct get_options options = {
        .want = GET_BYTES, .verify = verify, .done = asked_done, .arg = asked};
    *asked = (struct asked){.fault = DERIVE_FAULT_NONE};
    bell_init(&asked->bell);
    struct project_source *source = project_source_open(&node->derive, &project, 0);
    executor_get(node->derive.executor, &project, project_source_hold(source), address,
                 &options, NULL);
    project_source_drop(source);
}

static void ask_end(struct asked *asked)
{
    (void)bell_wait(&asked->bell, BELL_FOR_EVER);
    bell_release(&asked->bell);
}

static struct asked ask(struct node *node, const struct hash *address, enum verify_mode mode)
{
    struct asked asked;
    const struct verify verify = {.mode = mode};
    ask_begin(&asked, node, address, &verify);
    ask_end(&asked);
    return asked;
}

/* ---- tests ---- */

START_TEST(what_one_was_told_another_finds)
{
    setup();
    struct hash recipe = recipe_put(&one, "uppercase", leaf_put(&one, "text"));
    struct asked here = ask(&two, &recipe, VERIFY_OFF);
    ck_assert_int_eq(here.fault, DERIVE_FAULT_NONE);
    ck_assert(here.ran);
    ck_assert_uint_eq(here.size, 4);
    teardown();
}
END_TEST

/* The index and the results of a node may go at any time. */
START_TEST(a_node_without_its_directory)
{
    setup();
    struct hash recipe = recipe_put(&one, "uppercase", leaf_put(&one, "text"));
    ck_assert_int_eq(ask(&one, &recipe, VERIFY_OFF).fault, DERIVE_FAULT_NONE);
    node_close(&one);
    folder_remove(one.dir);
    memcpy(one.dir, "/tmp/mic-node-one-XXXXXX", sizeof("/tmp/mic-node-one-XXXXXX"));
    folder_make(one.dir);
    node_open(&one);
    struct asked again = ask(&one, &recipe, VERIFY_OFF);
    ck_assert_int_eq(again.fault, DERIVE_FAULT_NONE);
    ck_assert(again.ran);
    struct derive_counts counts;
    ck_assert_int_eq(derive_index_counts(one.derive.index, &project, &counts), OK);
    ck_assert_uint_eq(counts.recipes, 1);
    ck_assert_uint_eq(counts.leaves, 1);
    ck_assert_uint_eq(counts.memos, 1);
    teardown();
}
END_TEST

/* A node has computed it, and serves it out of its cache; then another finds out that the
 * function gives two results. */
START_TEST(a_quarantine_counts_for_other_nodes)
{
    setup();
    struct derived *derived;
    struct hash leaf = leaf_put(&one, "text");
    struct hash recipe = recipe_put(&one, "test.chance", leaf);
    ck_assert_int_eq(ask(&one, &recipe, VERIFY_OFF).fault, DERIVE_FAULT_NONE);
    ck_assert_int_eq(executor_known(one.derive.executor, &project, &recipe, &derived), OK);
    derived_close(derived);
    struct hash other = recipe_put(&two, "test.chance", leaf_put(&two, "another"));
    ck_assert_int_eq(ask(&two, &other, VERIFY_DUAL).fault, DERIVE_FAULT_QUARANTINED);
    ck_assert_int_eq(ask(&two, &recipe, VERIFY_OFF).fault, DERIVE_FAULT_QUARANTINED);
    /* It hears of it when it reads the log the next time. */
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(derive_look(&one.derive, &project), OK);
        if (ask(&one, &recipe, VERIFY_OFF).fault == DERIVE_FAULT_QUARANTINED)
            break;
    }
    ck_assert_int_eq(executor_known(one.derive.executor, &project, &recipe, &derived),
                     ERR_NOT_FOUND);
    ck_assert_int_eq(ask(&one, &recipe, VERIFY_OFF).fault, DERIVE_FAULT_QUARANTINED);
    teardown();
}
END_TEST

/* ---- chunks ---- */

static struct hash letters(char letter)
{
    static char text[CHUNK_SIZE_MIN];
    memset(text, letter, sizeof(text));
    return sha256(bytes_of(text, sizeof(text)));
}

/* Its result has three chunks, each of one letter that no leaf has; and a bit. */
static struct hash three_chunks(struct node *node)
{
    static char text[CHUNK_SIZE_MIN + 1];
    struct recipe_input inputs[4];
    for (int i = 0; i < 4; i++) {
        memset(text, 'a' + i, CHUNK_SIZE_MIN);
        text[i == 3 ? 1 : CHUNK_SIZE_MIN] = '\0';
        inputs[i] =
            (struct recipe_input){.kind = RECIPE_ADDRESS, .address = leaf_put(node, text)};
    }
    return recipe_put(node, "uppercase", recipe_of(node, "concat", inputs, 4));
}

/* What is told is not waited for: a node asks until it has heard of it. */
static struct asked ask_until(struct node *node, const struct hash *address)
{
    struct asked asked = {.fault = DERIVE_FAULT_NOT_FOUND};
    for (int i = 0; i < 1000 && asked.fault == DERIVE_FAULT_NOT_FOUND; i++)
        asked = ask(node, address, VERIFY_OFF);
    return asked;
}

START_TEST(a_chunk_is_got_on_another_node)
{
    setup();
    struct hash recipe = three_chunks(&one);
    struct asked whole = ask(&one, &recipe, VERIFY_OFF);
    ck_assert_uint_eq(whole.size, 3 * CHUNK_SIZE_MIN + 1);
    struct hash second = letters('B');
    struct asked got = ask_until(&two, &second);
    ck_assert_int_eq(got.fault, DERIVE_FAULT_NONE);
    ck_assert(got.ran);
    ck_assert_uint_eq(got.size, CHUNK_SIZE_MIN);
    ck_assert(hash_equal(&got.hash, &second));
    /* So is the last one, and all of it. */
    struct hash last = sha256(bytes_str("D"));
    ck_assert_uint_eq(ask(&two, &last, VERIFY_OFF).size, 1);
    ck_assert_uint_eq(ask(&two, &whole.hash, VERIFY_OFF).size, 3 * CHUNK_SIZE_MIN + 1);
    struct hash never = letters('X');
    ck_assert_int_eq(ask(&two, &never, VERIFY_OFF).fault, DERIVE_FAULT_NOT_FOUND);
    teardown();
}
END_TEST

START_TEST(a_chunk_is_got_when_the_result_is_gone)
{
    setup();
    struct hash recipe = three_chunks(&one);
    struct hash output = ask(&one, &recipe, VERIFY_OFF).hash;
    struct hash third = letters('C');
    ck_assert_int_eq(ask_until(&two, &third).fault, DERIVE_FAULT_NONE);
    struct asked got = ask(&one, &third, VERIFY_OFF);
    ck_assert_int_eq(got.fault, DERIVE_FAULT_NONE);
    ck_assert(!got.ran);
    ck_assert_uint_gt(result_drop(one.derive.results, &project, &output), 0);
    got = ask(&one, &third, VERIFY_OFF);
    ck_assert_int_eq(got.fault, DERIVE_FAULT_NONE);
    ck_assert(got.ran);
    ck_assert_uint_eq(got.size, CHUNK_SIZE_MIN);
    /* Nothing lies here but what is in the bucket. */
    node_close(&one);
    folder_remove(one.dir);
    memcpy(one.dir, "/tmp/mic-node-one-XXXXXX", sizeof("/tmp/mic-node-one-XXXXXX"));
    folder_make(one.dir);
    node_open(&one);
    struct hash first = letters('A');
    ck_assert_int_eq(ask(&one, &first, VERIFY_OFF).fault, DERIVE_FAULT_NONE);
    teardown();
}
END_TEST

/* A memo of a function that nobody has. */
static struct derive_item memo_item(const char *output)
{
    struct memo memo = {.key = sha256(bytes_str("key")),
                        .function = bytes_str("nobodys"),
                        .version = bytes_str("1.0.0"),
                        .implementation = sha256(bytes_str("implementation")),
                        .size = strlen(output),
                        .output = sha256(bytes_str(output)),
                        .chunk_size = CHUNK_SIZE_MIN};
    return (struct derive_item){.kind = DERIVE_MEMO, .address = memo.key, .memo = memo};
}

/* What its index has taken in it takes into its database when everything else has ended. */
START_TEST(a_quarantine_that_is_found_at_the_end)
{
    AUTO(arena_release) struct arena arena = {0};
    struct quarantine found;
    setup();
    struct derive_item first = memo_item("one");
    struct derive_item second = memo_item("two");
    (void)item_put(&one, &first);
    ck_assert_int_eq(derive_index_flush(one.derive.index), OK);
    (void)item_put(&one, &second);
    node_close(&one);
    node_open(&one);
    ck_assert_int_eq(derive_index_quarantine(one.derive.index, &project, first.memo.function,
                                             first.memo.version, &first.memo.implementation,
                                             &arena, &found),
                     OK);
    ck_assert(hash_equal(&found.first, &first.memo.output));
    ck_assert(hash_equal(&found.second, &second.memo.output));
    teardown();
}
END_TEST

/* ---- pins ---- */

static void pin_put(struct node *node, const struct hash *address, bool pin)
{
    (void)item_put(node, &(struct derive_item){.kind = pin ? DERIVE_PIN : DERIVE_UNPIN,
                                               .address = *address});
}

/* Whether the only result that is pinned is this one; none where it is NULL. */
static bool pinned_is(struct node *node, const char *text)
{
    struct result_cache_stats stats;
    struct result_collected kept;
    result_cache_stats(node->derive.results, &stats);
    if (stats.pinned != (text != NULL))
        return false;
    struct hash hash = sha256(bytes_str(text != NULL ? text : ""));
    result_collect(node->derive.results, &project, 0, UINT64_MAX, true, &kept);
    for (size_t i = 0; i < kept.n_sample; i++) {
        if (hash_equal(&kept.sample[i], &hash))
            return false;
    }
    return text == NULL || result_has(node->derive.results, &project, &hash, NULL);
}

/* What is pinned later is looked for aside. */
static bool pinned_soon(struct node *node, const char *text)
{
    for (int i = 0; i < 5000 && !pinned_is(node, text); i++)
        clock_system()->sleep_us(clock_system(), 1000);
    return pinned_is(node, text);
}

START_TEST(an_input_that_is_pinned_stays)
{
    setup();
    struct hash inner = recipe_put(&one, "uppercase", leaf_put(&one, "text"));
    struct hash above = recipe_put(&one, "lowercase", inner);
    pin_put(&one, &inner, true);
    ck_assert(ask(&one, &above, VERIFY_OFF).ran);
    ck_assert(pinned_is(&one, "TEXT"));
    /* Also when it is computed again, and by a process that has only read of it. */
    struct hash output = sha256(bytes_str("TEXT"));
    ck_assert_uint_gt(result_drop(one.derive.results, &project, &output), 0);
    node_close(&one);
    node_open(&one);
    ck_assert(pinned_is(&one, NULL));
    ck_assert(ask(&one, &inner, VERIFY_OFF).ran);
    ck_assert(pinned_is(&one, "TEXT"));
    pin_put(&one, &inner, false);
    ck_assert(pinned_soon(&one, NULL));
    teardown();
}
END_TEST

START_TEST(a_pin_of_another_node_counts)
{
    setup();
    struct hash inner = recipe_put(&two, "uppercase", leaf_put(&two, "text"));
    struct hash above = recipe_put(&two, "lowercase", inner);
    pin_put(&two, &inner, true);
    /* It looks for the recipe, and so hears of the pin. */
    ck_assert(ask(&one, &above, VERIFY_OFF).ran);
    ck_assert(pinned_is(&one, "TEXT"));
    pin_put(&two, &inner, false);
    ck_assert_int_eq(derive_look(&one.derive, &project), OK);
    ck_assert(pinned_soon(&one, NULL));
    teardown();
}
END_TEST

START_TEST(what_was_computed_is_pinned_later)
{
    setup();
    struct hash inner = recipe_put(&one, "uppercase", leaf_put(&one, "text"));
    struct hash above = recipe_put(&one, "lowercase", inner);
    ck_assert(ask(&one, &above, VERIFY_OFF).ran);
    ck_assert(pinned_is(&one, NULL));
    pin_put(&one, &inner, true);
    ck_assert(pinned_soon(&one, "TEXT"));
    teardown();
}
END_TEST

/* They wait for a look, which comes once in a while only; what is here need not wait for that.
 */
START_TEST(misses_hold_up_nobody)
{
    two.look_us = 1500000;
    setup();
    struct hash recipe = recipe_put(&two, "uppercase", leaf_put(&two, "text"));
    struct hash nothing = sha256(bytes_str("nothing lies here"));
    struct asked misses[6];
    struct asked first = ask(&two, &nothing, VERIFY_OFF);
    ck_assert_int_eq(first.fault, DERIVE_FAULT_NOT_FOUND);
    atomic_store(&asked_done_n, 0);
    for (size_t i = 0; i < ARRAY_LEN(misses); i++)
        ask_begin(&misses[i], &two, &nothing, NULL);
    struct asked here = ask(&two, &recipe, VERIFY_OFF);
    ck_assert_int_eq(here.fault, DERIVE_FAULT_NONE);
    ck_assert_uint_eq(atomic_load(&asked_done_n), 1);
    for (size_t i = 0; i < ARRAY_LEN(misses); i++) {
        ask_end(&misses[i]);
        ck_assert_int_eq(misses[i].fault, DERIVE_FAULT_NOT_FOUND);
    }
    two.look_us = 0;
    teardown();
}
END_TEST

/* A get looks for news while the node ends, and hears of a pin. */
START_TEST(a_pin_that_is_heard_of_at_the_end)
{
    two.look_us = 500000;
    setup();
    struct hash nothing = sha256(bytes_str("nothing lies here"));
    ck_assert_int_eq(ask(&two, &nothing, VERIFY_OFF).fault, DERIVE_FAULT_NOT_FOUND);
    struct asked late;
    ask_begin(&late, &two, &nothing, NULL);
    pin_put(&one, &nothing, true);
    node_close(&two);
    ask_end(&late);
    two.look_us = 0;
    node_open(&two);
    teardown();
}
END_TEST

/* Two short recipes are no reason to fill a disk that others use, too. */
START_TEST(a_result_has_the_room_for_results)
{
    static char text[64u * 1024u + 1];
    struct recipe_input inputs[17 * 16];
    setup();
    memset(text, 'a', sizeof(text) - 1);
    struct hash leaf = leaf_put(&one, text);
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        inputs[i] = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = leaf};
    struct hash fits = recipe_of(&one, "concat", inputs, 16 * 16);
    struct hash recipe = recipe_put(&one, "uppercase", fits);
    ck_assert_uint_eq(ask(&one, &recipe, VERIFY_OFF).size, 16u * MIB);
    struct hash larger = recipe_of(&one, "concat", inputs, ARRAY_LEN(inputs));
    recipe = recipe_put(&one, "uppercase", larger);
    ck_assert_int_eq(ask(&one, &recipe, VERIFY_OFF).fault, DERIVE_FAULT_RESULT_TOO_LARGE);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_one_was_told_another_finds,        a_node_without_its_directory,
        a_quarantine_counts_for_other_nodes,    a_chunk_is_got_on_another_node,
        a_chunk_is_got_when_the_result_is_gone, an_input_that_is_pinned_stays,
        a_pin_of_another_node_counts,           what_was_computed_is_pinned_later,
        a_quarantine_that_is_found_at_the_end,  misses_hold_up_nobody,
        a_pin_that_is_heard_of_at_the_end,      a_result_has_the_room_for_results,
    };
    return suite_run("derive_node", tests, ARRAY_LEN(tests));
}
