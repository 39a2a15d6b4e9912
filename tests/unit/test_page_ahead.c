#include "pipeline/repo/tree/page_ahead.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "formats/key.h"
#include "pipeline/sys/log.h"
#include "tests/support/suite.h"
#include "tests/support/tree_rig.h"

#define PAGES 2000u

/* An object of nothing but pages. */
static struct tree_rig rig;
static struct hash object = {{0xab}};
static struct location pages[PAGES];
static struct page_ahead ahead;
static struct buf bytes;

static void object_put(void)
{
    struct key key = key_tree(&rig.project, &object);
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void setup(void)
{
    tree_rig_init(&rig, 64 * MIB);
    for (unsigned i = 0; i < PAGES; i++) {
        struct entry entries[20];
        char names[20][16];
        for (unsigned k = 0; k < ARRAY_LEN(entries); k++) {
            entries[k] = model_file_entry(i * 100 + k);
            (void)snprintf(names[k], sizeof(names[k]), "name%02u", k);
            entries[k].name = bytes_str(names[k]);
        }
        const struct page page = {.n = 5 + i % 15, .entries = entries};
        pages[i] = (struct location){
            .place = PLACE_PAGE, .tree = object, .offset = (uint32_t)bytes.len};
        ck_assert_int_eq(page_encode(&page, &bytes), OK);
        pages[i].len = (uint32_t)bytes.len - pages[i].offset;
        pages[i].check = page_hash(bytes_of(bytes.data + pages[i].offset, pages[i].len));
    }
    object_put();
    (void)trace_store_counts(rig.trace, true);
}

static void get(unsigned i, int want)
{
    const struct page_held *held;
    ck_assert_msg(page_ahead_get(&ahead, &rig.repo, &rig.project, &pages[i], &held) == want,
                  "page %u", i);
    if (want == OK) {
        ck_assert_uint_eq(held->page.n, 5 + i % 15);
        page_cache_drop(rig.repo.pages, held);
    }
}

static struct trace_counts counts(void)
{
    return trace_store_counts(rig.trace, true);
}

static void teardown(void)
{
    page_ahead_release(&ahead);
    buf_release(&bytes);
    tree_rig_release(&rig);
}

START_TEST(neighbours_come_in_long_reads)
{
    ck_assert_uint_gt(bytes.len, 1300 * KIB);
    for (unsigned i = PAGES; i-- > 0;)
        get(i, OK);
    struct trace_counts backwards = counts();
    ck_assert_uint_le(backwards.gets[TRACE_TREE], 5);
    ck_assert_uint_le(backwards.bytes_out, bytes.len + 16 * KIB);
    tree_rig_cold(&rig);
    for (unsigned i = 0; i < PAGES; i++)
        get(i, OK);
    struct trace_counts forwards = counts();
    ck_assert_uint_le(forwards.gets[TRACE_TREE], 5);
    ck_assert_uint_le(forwards.bytes_out, bytes.len + 16 * KIB);
}
END_TEST

START_TEST(pages_far_from_each_other_are_read_alone)
{
    uint64_t len = 0;
    for (unsigned i = 0; i < PAGES; i += 200) {
        unsigned at = i * 7 % PAGES;
        get(at, OK);
        len += pages[at].len;
    }
    struct trace_counts found = counts();
    ck_assert_uint_eq(found.gets[TRACE_TREE], PAGES / 200);
    ck_assert_uint_eq(found.bytes_out, len);
}
END_TEST

START_TEST(what_is_in_the_cache_is_not_read)
{
    get(7, OK);
    get(7, OK);
    ck_assert_uint_eq(counts().gets[TRACE_TREE], 1);
    page_ahead_release(&ahead);
    ahead = (struct page_ahead){0};
    get(7, OK);
    ck_assert_uint_eq(counts().gets[TRACE_TREE], 0);
}
END_TEST

START_TEST(each_page_is_checked)
{
    bytes.data[pages[500].offset + 40] ^= 1;
    object_put();
    log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    for (unsigned i = 600; i-- > 400;)
        get(i, i == 500 ? ERR_CORRUPT : OK);
}
END_TEST

START_TEST(an_object_that_is_too_short)
{
    bytes.len = pages[PAGES - 1].offset + 10;
    object_put();
    log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    get(PAGES - 3, OK);
    get(PAGES - 2, OK);
    get(PAGES - 1, ERR_CORRUPT);
    get(PAGES - 4, OK);
    object = (struct hash){{0xcd}};
    pages[0].tree = object;
    get(0, ERR_CORRUPT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        neighbours_come_in_long_reads,    pages_far_from_each_other_are_read_alone,
        what_is_in_the_cache_is_not_read, each_page_is_checked,
        an_object_that_is_too_short,
    };
    Suite *suite = suite_create("page_ahead");
    TCase *tcase = tcase_create("page_ahead");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
