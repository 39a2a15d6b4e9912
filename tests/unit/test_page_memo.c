#include "pipeline/repo/pack/page_memo.h"

#include <check.h>

#include "formats/base/hash.h"
#include "tests/support/suite.h"

static struct location place(uint64_t i)
{
    struct location where = {.place = PLACE_PAGE};
    where.tree = sha256(bytes_of((const uint8_t *)&i, sizeof(i)));
    where.check = sha256(bytes_of(where.tree.b, sizeof(where.tree.b)));
    return where;
}

static bool finds(const struct page_memo *memo, uint64_t i)
{
    struct location where = place(i);
    struct page_spot spot = {0};
    bool found = page_memo_find(memo, &where, &spot);
    ck_assert(!found || (spot.offset == i && spot.part == i / 7));
    return found;
}

static void add(struct page_memo *memo, uint64_t i, uint64_t files)
{
    struct location where = place(i);
    const struct page_spot spot = {.part = (uint32_t)(i / 7), .offset = (uint32_t)i};
    page_memo_add(memo, &where, files, &spot);
}

START_TEST(what_was_added_is_found)
{
    struct page_memo *memo = page_memo_open(4096);
    for (uint64_t i = 0; i < 1000; i++)
        add(memo, i, 1);
    unsigned found = 0;
    for (uint64_t i = 0; i < 1000; i++)
        found += finds(memo, i);
    ck_assert_uint_ge(found, 990);
    ck_assert(!finds(memo, 1000));
    struct location half = place(1);
    half.tree = place(2).tree;
    struct page_spot spot;
    ck_assert(!page_memo_find(memo, &half, &spot));
    page_memo_clear(memo);
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert(!finds(memo, i));
    page_memo_close(memo);
}
END_TEST

START_TEST(those_with_most_files_stay)
{
    struct page_memo *memo = page_memo_open(512);
    for (uint64_t i = 0; i < 20000; i++)
        add(memo, i, i % 100 == 0 ? 1000 : 1);
    unsigned large = 0;
    unsigned all = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        bool found = finds(memo, i);
        all += found;
        large += found && i % 100 == 0;
    }
    ck_assert_uint_le(all, 512);
    ck_assert_uint_ge(large, 190);
    page_memo_close(memo);
}
END_TEST

START_TEST(the_same_page_again_is_the_newer)
{
    struct page_memo *memo = page_memo_open(8);
    struct location where = place(3);
    struct page_spot spot = {.part = 1};
    page_memo_add(memo, &where, 5, &spot);
    spot.part = 2;
    page_memo_add(memo, &where, 5, &spot);
    spot.part = 0;
    ck_assert(page_memo_find(memo, &where, &spot));
    ck_assert_uint_eq(spot.part, 2);
    page_memo_close(memo);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_added_is_found,
        those_with_most_files_stay,
        the_same_page_again_is_the_newer,
    };
    return suite_run("page_memo", tests, ARRAY_LEN(tests));
}
