#include "pipeline/store/trace.h"

#include <check.h>

#include "pipeline/store/mem.h"
#include "tests/support/suite.h"

START_TEST(requests_are_counted_by_verb_and_kind)
{
    struct store *below = mem_store_open();
    struct store *trace = trace_store_open(below);
    static const struct {
        const char *key;
        enum trace_kind kind;
    } keys[] = {
        {"bucket", TRACE_BUCKET},
        {"handles/h", TRACE_HANDLE},
        {"queue/0000/x", TRACE_QUEUE},
        {"queue/dead/x", TRACE_QUEUE},
        {"leases/0000", TRACE_LEASE},
        {"projects/p/project", TRACE_PROJECT},
        {"projects/p/head", TRACE_HEAD},
        {"projects/p/gc", TRACE_GC},
        {"projects/p/trees/00/x.bin", TRACE_TREE},
        {"projects/p/landing-log/x.log", TRACE_LOG},
        {"projects/p/landing-log/bloom-index/level-1/x.bloom", TRACE_ROLLUP},
        {"projects/p/sessions/x.bin", TRACE_SESSION},
        {"projects/p/blobs/00/x", TRACE_BLOB},
        {"projects/p/derive/a/1.bin", TRACE_DERIVE},
        {"projects/p/refs/head", TRACE_HEAD},
        {"projects/p/refs/trees/00/x.bin", TRACE_TREE},
        {"projects/p/refs/landing-log/x.log", TRACE_LOG},
        {"projects/p/refs", TRACE_OTHER},
        {"bucket2", TRACE_OTHER},
        {"projects/p", TRACE_OTHER},
        {"projects/p/header", TRACE_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        AUTO_BUF body = {0};
        (void)trace_store_counts(trace, true);
        ck_assert_int_eq(store_put(trace, keys[i].key, bytes_str("12345"), PUT_ANY, NULL), OK);
        ck_assert_int_eq(store_get(trace, keys[i].key, range_suffix(2), &body, NULL, NULL), OK);
        ck_assert_int_eq(store_get(trace, keys[i].key, range_none(), NULL, NULL, NULL), OK);
        ck_assert_int_eq(store_delete(trace, keys[i].key), OK);
        struct trace_counts counts = trace_store_counts(trace, false);
        for (size_t kind = 0; kind < TRACE_KINDS; kind++) {
            bool same = kind == (size_t)keys[i].kind;
            ck_assert_uint_eq(counts.puts[kind], same ? 1 : 0);
            ck_assert_uint_eq(counts.gets[kind], same ? 2 : 0);
            ck_assert_uint_eq(counts.deletes[kind], same ? 1 : 0);
        }
        ck_assert_uint_eq(counts.bytes_in, 5);
        ck_assert_uint_eq(counts.bytes_out, 2);
        ck_assert_uint_eq(counts.rounds, 4);
        ck_assert_uint_eq(counts.failed, 0);
    }
    store_close(trace);
    store_close(below);
}
END_TEST

START_TEST(each_of_many_counts_and_so_do_failures)
{
    struct store *below = mem_store_open();
    struct store *trace = trace_store_open(below);
    AUTO_BUF body = {0};
    struct store_op ops[] = {
        {.verb = STORE_PUT, .key = "bucket", .data = bytes_str("123")},
        {.verb = STORE_GET, .key = "projects/p/head", .body = &body},
        {.verb = STORE_DELETE, .key = "queue/x"},
    };
    ck_assert_int_eq(store_many(trace, ops, ARRAY_LEN(ops)), ERR_NOT_FOUND);
    struct arena arena = {0};
    struct store_list list;
    ck_assert_int_eq(store_list(trace, &arena, "", "", 10, &list), OK);
    arena_release(&arena);
    struct trace_counts counts = trace_store_counts(trace, true);
    ck_assert_uint_eq(counts.puts[TRACE_BUCKET], 1);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_eq(counts.deletes[TRACE_QUEUE], 1);
    ck_assert_uint_eq(counts.lists, 1);
    ck_assert_uint_eq(counts.rounds, 2);
    ck_assert_uint_eq(counts.failed, 1);
    counts = trace_store_counts(trace, false);
    ck_assert_uint_eq(counts.lists + counts.failed + counts.bytes_in, 0);
    store_close(trace);
    store_close(below);
}
END_TEST

START_TEST(every_kind_has_a_name_of_its_own)
{
    for (size_t i = 0; i < TRACE_KINDS; i++) {
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(trace_kind_name((enum trace_kind)i),
                             trace_kind_name((enum trace_kind)j));
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        requests_are_counted_by_verb_and_kind,
        each_of_many_counts_and_so_do_failures,
        every_kind_has_a_name_of_its_own,
    };
    return suite_run("trace", tests, ARRAY_LEN(tests));
}
