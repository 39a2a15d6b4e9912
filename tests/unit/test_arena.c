#include "formats/base/arena.h"

#include <check.h>

#include "formats/base/buf.h"
#include "tests/support/suite.h"

START_TEST(memory_is_aligned_and_apart)
{
    AUTO(arena_release) struct arena arena = {0};
    static const size_t sizes[] = {0, 1, 7, 16, 100, 4000, 5000, 1 << 20, 3, 3 << 20, 5};
    uint8_t *got[ARRAY_LEN(sizes)];
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        got[i] = arena_alloc(&arena, sizes[i]);
        ck_assert_ptr_nonnull(got[i]);
        ck_assert_uint_eq((uintptr_t)got[i] % _Alignof(max_align_t), 0);
        memset(got[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < sizes[i]; j += 97) {
            ck_assert_uint_eq(got[i][j], i);
        }
    }
    ck_assert_uint_ge(arena.used, 4 << 20);
}
END_TEST

START_TEST(empty_allocations_differ)
{
    AUTO(arena_release) struct arena arena = {0};
    void *a = arena_alloc(&arena, 0);
    void *b = arena_alloc(&arena, 0);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_ne(a, b);
}
END_TEST

START_TEST(zalloc_clears_reused_memory)
{
    AUTO(arena_release) struct arena arena = {0};
    for (int round = 0; round < 10; round++) {
        memset(arena_alloc(&arena, 3000), 0xff, 3000);
        uint64_t *zeros = arena_array(&arena, 300, uint64_t);
        for (int i = 0; i < 300; i++) {
            ck_assert_uint_eq(zeros[i], 0);
        }
    }
}
END_TEST

START_TEST(copies)
{
    AUTO(arena_release) struct arena arena = {0};
    char text[] = "text";
    struct bytes copy = arena_copy(&arena, bytes_str(text));
    char *string = arena_str(&arena, bytes_of(text, 2));
    text[0] = 'n';
    ck_assert(bytes_equal(copy, bytes_str("text")));
    ck_assert_str_eq(string, "te");
    ck_assert_str_eq(arena_str(&arena, bytes_of(NULL, 0)), "");
    ck_assert_uint_eq(arena_copy(&arena, bytes_of(NULL, 0)).len, 0);
    ck_assert_str_eq(arena_printf(&arena, "%05d %s", 42, "x"), "00042 x");
}
END_TEST

START_TEST(push_keeps_what_was_there)
{
    AUTO(arena_release) struct arena arena = {0};
    void *items = NULL;
    size_t n = 0;
    size_t cap = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *item = arena_push(&arena, &items, &n, &cap, sizeof(*item));
        ck_assert_uint_eq(*item, 0);
        *item = i;
    }
    ck_assert_uint_eq(n, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert_uint_eq(((uint32_t *)items)[i], i);
    }
}
END_TEST

START_TEST(release_makes_it_ready_again)
{
    struct arena arena;
    arena_init(&arena);
    (void)*arena_str(&arena, bytes_str("a"));
    arena_release(&arena);
    ck_assert_uint_eq(arena.used, 0);
    ck_assert_str_eq(arena_str(&arena, bytes_str("b")), "b");
    arena_release(&arena);
}
END_TEST

START_TEST(buf_grows)
{
    AUTO_BUF buf = {0};
    buf_append(&buf, NULL, 0);
    for (int i = 0; i < 1000; i++) {
        buf_append(&buf, "abc", 3);
    }
    ck_assert_uint_eq(buf.len, 3000);
    for (size_t i = 0; i < buf.len; i++) {
        ck_assert_uint_eq(buf.data[i], (uint8_t) "abc"[i % 3]);
    }
    buf_clear(&buf);
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_uint_gt(buf.cap, 0);
    memset(buf_reserve(&buf, 10000), 1, 10000);
    ck_assert_uint_eq(buf.len, 0);
}
END_TEST

START_TEST(buf_printf_at_every_fill)
{
    for (size_t fill = 0; fill < 130; fill++) {
        AUTO_BUF buf = {0};
        for (size_t i = 0; i < fill; i++) {
            buf_append(&buf, "-", 1);
        }
        buf_printf(&buf, "%d,%s", 123, "four");
        ck_assert_uint_eq(buf.len, fill + 8);
        ck_assert_int_eq(memcmp(buf.data + fill, "123,four", 8), 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        memory_is_aligned_and_apart,
        empty_allocations_differ,
        zalloc_clears_reused_memory,
        copies,
        push_keeps_what_was_there,
        release_makes_it_ready_again,
        buf_grows,
        buf_printf_at_every_fill,
    };
    return suite_run("arena", tests, ARRAY_LEN(tests));
}
