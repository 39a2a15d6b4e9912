/* Verification and quarantine. */
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "tests/support/executor_rig.h"
#include "tests/support/rig_functions.h"
#include "tests/support/suite.h"

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct verify off = {.mode = VERIFY_OFF};
static const struct verify dual = {.mode = VERIFY_DUAL};

static struct hash text_leaf(struct executor_rig *rig, const char *text)
{
    return executor_rig_leaf(rig, bytes_str(text));
}

static void parses(const char *text, bool good, const char *back)
{
    struct verify verify = {0};
    ck_assert_msg((verify_parse(bytes_str(text), &verify) == OK) == good, "%s", text);
    if (!good)
        return;
    AUTO_BUF spelled = {0};
    verify_text(&verify, &spelled);
    buf_append(&spelled, "", 1);
    ck_assert_str_eq((const char *)spelled.data, back);
}

START_TEST(modes_in_words)
{
    parses("off", true, "off");
    parses("dual", true, "dual");
    parses("sampled:0", true, "sampled:0");
    parses("sampled:0.25", true, "sampled:0.25");
    parses("sampled:1", true, "sampled:1");
    parses("sampled:1.0", true, "sampled:1");
    parses("sampled:1.5", false, NULL);
    parses("sampled:-1", false, NULL);
    parses("sampled:nan", false, NULL);
    parses("sampled:", false, NULL);
    parses("sampled:.", false, NULL);
    parses("sampled: 1", false, NULL);
    parses("sampled", false, NULL);
    parses("Off", false, NULL);
    parses("", false, NULL);
}
END_TEST

START_TEST(rates_are_exact_at_the_ends)
{
    const struct verify never = {.mode = VERIFY_SAMPLED, .rate = 0};
    const struct verify always = {.mode = VERIFY_SAMPLED, .rate = 1};
    ck_assert(!verify_wanted(&never, 0));
    ck_assert(verify_wanted(&always, UINT64_MAX));
    ck_assert(!verify_wanted(&off, 0));
    ck_assert(verify_wanted(&dual, UINT64_MAX));
    const struct verify half = {.mode = VERIFY_SAMPLED, .rate = 0.5};
    ck_assert(verify_wanted(&half, UINT64_MAX / 2 - 4096));
    ck_assert(!verify_wanted(&half, UINT64_MAX / 2 + 4096));
}
END_TEST

/* How many of 200 runs are done twice. */
static uint64_t verified_of(struct verify server, const struct verify *get)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    rig.options.verify = server;
    executor_rig_open(&rig);
    struct hash at = text_leaf(&rig, "");
    for (unsigned i = 0; i < 200; i++)
        at = executor_rig_recipe(&rig, "concat", (struct hash[]){at, text_leaf(&rig, "x")}, 2,
                                 NULL);
    struct one_get asked;
    const struct get_options options = {.want = GET_BYTES, .verify = get};
    ck_assert_int_eq(one_get(&asked, &rig, at, &options), DERIVE_FAULT_NONE);
    struct executor_stats stats = executor_stats(rig.ex);
    ck_assert_uint_eq(stats.runs, 200 + stats.verified);
    ck_assert_uint_eq(stats.verify_passed, stats.verified);
    ck_assert_uint_eq(stats.verify_failed, 0);
    ck_assert(asked.derived->verified == (stats.verified > 0));
    one_get_close(&asked);
    executor_rig_close(&rig);
    return stats.verified;
}

START_TEST(how_often)
{
    struct verify sampled = {.mode = VERIFY_SAMPLED};
    ck_assert_uint_eq(verified_of(off, NULL), 0);
    ck_assert_uint_eq(verified_of(dual, NULL), 200);
    ck_assert_uint_eq(verified_of(sampled, NULL), 0);
    sampled.rate = 1;
    ck_assert_uint_eq(verified_of(sampled, NULL), 200);
    ck_assert_uint_eq(verified_of(off, &dual), 200);
    ck_assert_uint_eq(verified_of(dual, &off), 0);
    sampled.rate = 0.5;
    uint64_t some = verified_of(sampled, NULL);
    ck_assert_uint_gt(some, 50);
    ck_assert_uint_lt(some, 150);
}
END_TEST

START_TEST(two_answers_are_quarantined)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash chance = executor_rig_one(&rig, "test.chance", text_leaf(&rig, "abc"), NULL);
    struct hash top = executor_rig_one(&rig, "reverse", chance, NULL);
    struct one_get asked;
    const struct get_options options = {.want = GET_BYTES, .verify = &dual};
    ck_assert_int_eq(one_get(&asked, &rig, top, &options), DERIVE_FAULT_QUARANTINED);
    ck_assert(hash_equal(&asked.problem.address, &chance));
    struct hash first = sha256(bytes_str("abc 0"));
    struct hash second = sha256(bytes_str("abc 1"));
    ck_assert_str_eq(hash_hex(&asked.problem.first).s, hash_hex(&first).s);
    ck_assert_str_eq(hash_hex(&asked.problem.second).s, hash_hex(&second).s);
    ck_assert_str_eq(asked.problem.name, "test.chance");
    one_get_close(&asked);
    struct executor_stats stats = executor_stats(rig.ex);
    ck_assert_uint_eq(stats.verified, 1);
    ck_assert_uint_eq(stats.verify_failed, 1);
    ck_assert_uint_eq(atomic_load(&rig.quarantines_told), 1);
    ck_assert_uint_eq(atomic_load(&rig.memos_told), 0);
    /* It is not run again, by nobody, and not after a restart either. */
    struct hash other = executor_rig_one(&rig, "test.chance", text_leaf(&rig, "x"), NULL);
    executor_rig_fails(&rig, other, DERIVE_FAULT_QUARANTINED);
    ck_assert_uint_eq(executor_rig_runs(&rig), 2);
    executor_rig_reopen(&rig);
    struct derive_problem p = executor_rig_fails(&rig, other, DERIVE_FAULT_QUARANTINED);
    ck_assert(hash_equal(&p.first, &first) && hash_equal(&p.second, &second));
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    executor_rig_close(&rig);
}
END_TEST

/* A quarantine that could not be told is told when the function is asked for again. */
START_TEST(told_again)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    struct hash chance = executor_rig_one(&rig, "test.chance", text_leaf(&rig, "abc"), NULL);
    struct one_get asked;
    const struct get_options options = {.want = GET_BYTES, .verify = &dual};
    rig.tell_err = ERR_AGAIN;
    ck_assert_int_eq(one_get(&asked, &rig, chance, &options), DERIVE_FAULT_QUARANTINED);
    one_get_close(&asked);
    executor_rig_fails(&rig, chance, DERIVE_FAULT_QUARANTINED);
    ck_assert_uint_eq(atomic_load(&rig.quarantines_told), 0);
    rig.tell_err = OK;
    for (unsigned i = 0; i < 3; i++) {
        executor_rig_fails(&rig, chance, DERIVE_FAULT_QUARANTINED);
        ck_assert_uint_eq(atomic_load(&rig.quarantines_told), 1);
    }
    executor_rig_reopen(&rig);
    executor_rig_fails(&rig, chance, DERIVE_FAULT_QUARANTINED);
    ck_assert_uint_eq(executor_rig_runs(&rig), 0);
    executor_rig_close(&rig);
}
END_TEST

/* A result that is known is not served when its function is quarantined later. */
START_TEST(not_from_the_cache)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_slip(false);
    struct hash known = executor_rig_one(&rig, "test.slip", text_leaf(&rig, "abc"), NULL);
    struct hash above = executor_rig_one(&rig, "uppercase", known, NULL);
    executor_rig_gives(&rig, above, "ABC");
    struct derived *derived;
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &above, &derived), OK);
    derived_close(derived);
    rig_slip(true);
    struct hash other = executor_rig_one(&rig, "test.slip", text_leaf(&rig, "x"), NULL);
    struct one_get asked;
    const struct get_options options = {.want = GET_BYTES, .verify = &dual};
    ck_assert_int_eq(one_get(&asked, &rig, other, &options), DERIVE_FAULT_QUARANTINED);
    one_get_close(&asked);
    ck_assert_int_eq(executor_known(rig.ex, &rig.project, &above, &derived), ERR_NOT_FOUND);
    struct derive_problem p = executor_rig_fails(&rig, above, DERIVE_FAULT_QUARANTINED);
    ck_assert(hash_equal(&p.address, &known));
    executor_rig_close(&rig);
}
END_TEST

/* A get that was on its way when the function was quarantined does not make its result known
 * for those that come after. */
START_TEST(not_what_was_on_its_way)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_slip(false);
    struct hash known = executor_rig_one(&rig, "test.slip", text_leaf(&rig, "abc"), NULL);
    executor_rig_gives(&rig, known, "abc");
    executor_rig_reopen(&rig);
    struct one_get early;
    struct one_get asked;
    const struct get_options hash_only = {.want = GET_HASH};
    atomic_store(&rig.memo_stop, 1);
    one_get_begin(&early, &rig, known, &hash_only);
    while (atomic_load(&rig.memo_stop) != 2)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    rig_slip(true);
    struct hash other = executor_rig_one(&rig, "test.slip", text_leaf(&rig, "x"), NULL);
    const struct get_options twice = {.want = GET_BYTES, .verify = &dual};
    ck_assert_int_eq(one_get(&asked, &rig, other, &twice), DERIVE_FAULT_QUARANTINED);
    one_get_close(&asked);
    atomic_store(&rig.memo_stop, 0);
    one_get_wait(&early);
    one_get_close(&early);
    ck_assert_int_eq(one_get(&asked, &rig, known, &hash_only), DERIVE_FAULT_QUARANTINED);
    one_get_close(&asked);
    executor_rig_close(&rig);
}
END_TEST

/* What is computed again is held against its memo. */
START_TEST(another_answer_after_eviction)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_slip(false);
    struct hash slip = executor_rig_one(&rig, "test.slip", text_leaf(&rig, "abc"), NULL);
    executor_rig_gives(&rig, slip, "abc");
    executor_rig_evict(&rig, "abc");
    executor_rig_gives(&rig, slip, "abc");
    executor_rig_evict(&rig, "abc");
    rig_slip(true);
    struct derive_problem p = executor_rig_fails(&rig, slip, DERIVE_FAULT_QUARANTINED);
    struct hash first = sha256(bytes_str("abc"));
    struct hash second = sha256(bytes_str("abc 0"));
    ck_assert(hash_equal(&p.first, &first) && hash_equal(&p.second, &second));
    ck_assert_uint_eq(atomic_load(&rig.memos_told), 1);
    executor_rig_close(&rig);
}
END_TEST

/* Tells, as another node would, that a recipe of one input came to `text`. */
static void memo_from_elsewhere(struct executor_rig *rig, const char *name, struct hash input,
                                const char *text)
{
    const struct function *fn = rig_function_find(bytes_str(name), bytes_str("1.0.0"));
    const struct recipe recipe = {.function = bytes_str(name), .version = bytes_str("1.0.0")};
    const struct memo_input content = {.kind = MEMO_BYTES, .hash = input};
    struct hash digest = function_digest(fn);
    struct hash key = memo_key(&recipe, &digest, &content, 1);
    struct hash output = sha256(bytes_str(text));
    const struct derive_item item = {.kind = DERIVE_MEMO,
                                     .address = key,
                                     .memo = {.key = key,
                                              .function = bytes_str(name),
                                              .version = bytes_str("1.0.0"),
                                              .implementation = digest,
                                              .size = strlen(text),
                                              .output = output,
                                              .chunk_size = CHUNK_SIZE_MIN}};
    struct derive_source *source = executor_rig_source(rig);
    ck_assert_int_eq(source->tell(source, &item, 1), OK);
    source->release(source);
}

/* The run was begun by one who knew no memo, and is joined by one who does. */
START_TEST(another_answer_than_a_memo_that_came_meanwhile)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_gate(false);
    struct hash leaf = text_leaf(&rig, "abc");
    struct hash gate = executor_rig_one(&rig, "test.gate", leaf, NULL);
    struct one_get first;
    struct one_get second;
    one_get_begin(&first, &rig, gate, NULL);
    rig_gate_wait(1);
    memo_from_elsewhere(&rig, "test.gate", leaf, "other");
    one_get_begin(&second, &rig, gate, NULL);
    while (executor_stats(rig.ex).shared == 0)
        rig.options.clock->sleep_us(rig.options.clock, 1000);
    rig_gate(true);
    one_get_wait(&first);
    one_get_wait(&second);
    ck_assert_int_eq(second.problem.fault, DERIVE_FAULT_QUARANTINED);
    struct hash told = sha256(bytes_str("other"));
    struct hash got = sha256(bytes_str("abc"));
    ck_assert(hash_equal(&second.problem.first, &told));
    ck_assert(hash_equal(&second.problem.second, &got));
    ck_assert_uint_eq(atomic_load(&rig.quarantines_told), 1);
    one_get_close(&first);
    one_get_close(&second);
    executor_rig_close(&rig);
}
END_TEST

START_TEST(asked_to_verify)
{
    struct executor_rig rig;
    executor_rig_init(&rig);
    executor_rig_open(&rig);
    rig_slip(false);
    struct hash below = executor_rig_one(&rig, "lowercase", text_leaf(&rig, "ABC"), NULL);
    struct hash slip = executor_rig_one(&rig, "test.slip", below, NULL);
    struct one_get asked;
    const struct get_options again = {.want = GET_HASH, .again = true};
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(one_get(&asked, &rig, slip, &again), DERIVE_FAULT_NONE);
        ck_assert(asked.derived->verified && asked.derived->ran);
        one_get_close(&asked);
        /* What is below runs once, the function itself twice each time. */
        ck_assert_uint_eq(executor_rig_runs(&rig), 1 + 2 * (i + 1));
    }
    rig_slip(true);
    ck_assert_int_eq(one_get(&asked, &rig, slip, &again), DERIVE_FAULT_QUARANTINED);
    struct hash first = sha256(bytes_str("abc"));
    ck_assert(hash_equal(&asked.problem.first, &first));
    one_get_close(&asked);
    /* A leaf has nothing to run. */
    ck_assert_int_eq(one_get(&asked, &rig, text_leaf(&rig, "x"), &again), DERIVE_FAULT_NONE);
    ck_assert(!asked.derived->verified);
    one_get_close(&asked);
    executor_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {modes_in_words,
                                  rates_are_exact_at_the_ends,
                                  how_often,
                                  two_answers_are_quarantined,
                                  told_again,
                                  not_from_the_cache,
                                  not_what_was_on_its_way,
                                  asked_to_verify,
                                  another_answer_after_eviction,
                                  another_answer_than_a_memo_that_came_meanwhile};
    return suite_run("executor_verify", tests, ARRAY_LEN(tests));
}
