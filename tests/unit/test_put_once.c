#include "pipeline/repo/put_once.h"

#include "tests/support/faulty.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

static struct forge forge;
static struct forge other;
static struct store *faulty;

static void setup(void)
{
    forge_init(&forge);
    faulty = faulty_store_open(forge.trace);
    forge_join(&other, &forge, faulty);
    faulty_reset(faulty);
}

static void teardown(void)
{
    forge_release(&other);
    store_close(faulty);
    forge_release(&forge);
}

static int put(const char *text)
{
    return put_once(&other.repo, "a/name", bytes_str(text));
}

static void holds(const char *text)
{
    AUTO_BUF there = {0};
    ck_assert_int_eq(store_get(forge.mem, "a/name", range_all(), &there, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&there), bytes_str(text)));
}

START_TEST(the_same_bytes_are_put_once)
{
    setup();
    ck_assert_int_eq(put("these"), OK);
    ck_assert_int_eq(put("these"), OK);
    ck_assert_int_eq(put("others"), ERR_CONFLICT);
    ck_assert_int_eq(put(""), ERR_CONFLICT);
    holds("these");
    teardown();
}
END_TEST

START_TEST(an_unknown_put_is_told_by_what_lies_there)
{
    const enum fault faults[] = {FAULT_UNKNOWN_DONE, FAULT_UNKNOWN_LOST};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        setup();
        faulty_plan(faulty, 1, faults[i]);
        ck_assert_int_eq(put("these"), OK);
        holds("these");
        faulty_reset(faulty);
        faulty_plan(faulty, 1, faults[i]);
        ck_assert_int_eq(put("others"), ERR_CONFLICT);
        holds("these");
        teardown();
    }
}
END_TEST

/* Nobody knows yet whose bytes lie there. */
START_TEST(what_cannot_be_compared_is_neither)
{
    setup();
    ck_assert_int_eq(put("these"), OK);
    faulty_reset(faulty);
    faulty_plan(faulty, 2, FAULT_AGAIN);
    ck_assert_int_eq(put("these"), ERR_AGAIN);
    ck_assert_int_eq(put("these"), OK);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_same_bytes_are_put_once,
        an_unknown_put_is_told_by_what_lies_there,
        what_cannot_be_compared_is_neither,
    };
    return suite_run("put_once", tests, ARRAY_LEN(tests));
}
