/* What is old of derive logs becomes segments: a reader finds each object once, before, while
 * and after, and nothing is deleted that no segment has. */
#include "pipeline/derive/log/derive_merge.h"

#include <fcntl.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/repo/derived/derive_segments.h"
#include "pipeline/store/mem.h"
#include "pipeline/sys/log.h"
#include "tests/support/derive_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

#define OLD_MS 3600000u

static struct derive_rig rig;
static struct derive_node nodes[3];
static struct id16 project;
static struct derive_merge_report report;

static void setup(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
    derive_rig_open(&rig);
    mem_store_date(rig.mem, &rig.clock.clock);
    project = derive_project(1);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        derive_node_open(&nodes[i], &rig, NULL, MIB, MIB);
}

static void teardown(void)
{
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        derive_node_close(&nodes[i]);
    derive_rig_close(&rig);
}

static void put(size_t node, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n <= to; n++)
        derive_node_put(&nodes[node], &rig, 1, n);
}

static void age(void)
{
    rig.clock.ms += OLD_MS + 1;
}

static int merge_with(struct derive_node *node, uint64_t bytes_max)
{
    const struct derive_merge_options options = {
        .age_ms = OLD_MS, .objects_min = 2, .bytes_max = bytes_max};
    return derive_merge(&node->repo, &project, &options, &report);
}

static void merge(void)
{
    ck_assert_int_eq(merge_with(&nodes[2], MIB), OK);
}

/* How many keys there are: objects, and segments. */
static void there(size_t objects, size_t segments)
{
    struct store_key *keys;
    size_t all = derive_rig_keys(&rig, key_derive_prefix(&project).s, &keys);
    size_t merged = derive_rig_keys(&rig, key_derive_segment_prefix(&project).s, &keys);
    ck_assert_uint_eq(merged, segments);
    ck_assert_uint_eq(all - merged, objects);
}

/* --- readers --- */

struct reading {
    struct derive_cursor cursor;
    unsigned seen[100]; /* how often each number came */
    unsigned n;
    bool disorder; /* a number did not follow the one below it */
};

static int take(void *arg, const struct derive_object *object, struct bytes encoded UNUSED)
{
    struct reading *r = arg;
    const struct derive_at *at = derive_cursor_find(&r->cursor, object->agent);
    r->disorder = r->disorder || object->seq != at->seq + 1;
    for (uint32_t i = 0; i < object->n; i++) {
        uint64_t number = derive_leaf_number(&object->items[i]);
        ck_assert_uint_lt(number, ARRAY_LEN(r->seen));
        r->seen[number]++;
        r->n++;
    }
    return OK;
}

static void look_of(struct derive_node *node, struct reading *r)
{
    (void)trace_store_counts(rig.trace, true);
    ck_assert_int_eq(derive_follow(&node->repo, &project, &r->cursor, take, r), OK);
}

/* Each number from 1 to `last` once, and no other. */
static void has_all(const struct reading *r, unsigned last)
{
    ck_assert_uint_eq(r->n, last);
    for (unsigned i = 1; i <= last; i++)
        ck_assert_uint_eq(r->seen[i], 1);
    for (size_t i = 0; i < r->cursor.n; i++)
        ck_assert_uint_eq(r->cursor.agents[i].n_holes, 0);
}

static void a_new_reader_has_all(unsigned last)
{
    struct reading r = {0};
    look_of(&nodes[0], &r);
    has_all(&r, last);
    ck_assert(!r.disorder);
    look_of(&nodes[0], &r);
    has_all(&r, last);
    derive_cursor_release(&r.cursor);
}

START_TEST(what_is_old_becomes_one_segment)
{
    struct reading old = {0};
    setup();
    put(0, 1, 5);
    put(1, 6, 9);
    merge();
    there(9, 0); /* nothing is old */
    look_of(&nodes[0], &old);
    age();
    put(1, 10, 10);
    merge();
    ck_assert_uint_eq(report.segments, 1);
    ck_assert_uint_eq(report.objects, 9);
    ck_assert_uint_eq(report.deleted, 9);
    there(1, 1);
    a_new_reader_has_all(10);
    put(0, 11, 11);
    age();
    merge();
    there(0, 2);
    a_new_reader_has_all(11);
    /* Who has read all of it reads the heads, once. */
    look_of(&nodes[0], &old);
    has_all(&old, 11);
    struct trace_counts c = trace_store_counts(rig.trace, false);
    ck_assert_uint_eq(c.lists, 1);
    ck_assert_uint_eq(c.gets[TRACE_DERIVE], 2 + 2);
    look_of(&nodes[0], &old);
    c = trace_store_counts(rig.trace, false);
    ck_assert_uint_eq(c.lists, 1);
    ck_assert_uint_eq(c.gets[TRACE_DERIVE], 0);
    derive_cursor_release(&old.cursor);
    merge();
    there(0, 2);
    ck_assert_uint_eq(report.segments + report.deleted, 0);
    teardown();
}
END_TEST

START_TEST(one_that_comes_back_goes_on)
{
    setup();
    put(0, 1, 3);
    age();
    merge();
    there(0, 1);
    put(0, 4, 5);
    a_new_reader_has_all(5);
    put(1, 6, 6);
    a_new_reader_has_all(6);
    age();
    merge();
    there(0, 2);
    a_new_reader_has_all(6);
    teardown();
}
END_TEST

START_TEST(segments_are_bounded)
{
    setup();
    put(0, 1, 9);
    age();
    uint64_t size = 16 + 44 + 5 + 6; /* of an object of one leaf */
    ck_assert_int_eq(merge_with(&nodes[2], 4 * size), OK);
    ck_assert_uint_eq(report.objects, 4);
    ck_assert(report.more);
    there(5, 1);
    ck_assert_int_eq(merge_with(&nodes[2], 4 * size), OK);
    ck_assert_uint_eq(report.objects, 4);
    ck_assert(!report.more);
    /* One is not worth it. */
    ck_assert_int_eq(merge_with(&nodes[2], 4 * size), OK);
    ck_assert_uint_eq(report.segments, 0);
    there(1, 2);
    a_new_reader_has_all(9);
    teardown();
}
END_TEST

START_TEST(a_part_is_read_wherever_it_lies)
{
    AUTO_BUF body = {0};
    setup();
    put(0, 1, 12);
    age();
    merge();
    uint64_t agent = nodes[0].repo.agent;
    (void)trace_store_counts(rig.trace, true);
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 12, 65, 7, &body), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("leaf 12")));
    struct trace_counts c = trace_store_counts(rig.trace, true);
    ck_assert_uint_eq(c.lists, 1);
    ck_assert_uint_eq(c.gets[TRACE_DERIVE], 3);
    /* From now on it is known where the agent's lie. */
    buf_clear(&body);
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 7, 65, 6, &body), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("leaf 7")));
    c = trace_store_counts(rig.trace, true);
    ck_assert_uint_eq(c.lists, 0);
    ck_assert_uint_eq(c.gets[TRACE_DERIVE], 2);
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 7, 65, 7, &body),
                     ERR_CORRUPT);
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 13, 65, 7, &body),
                     ERR_NOT_FOUND);
    teardown();
}
END_TEST

/* --- while others are at work --- */

static struct derive_node *merges;

static void merge_meanwhile(void *arg UNUSED, uint64_t call UNUSED, const struct store_op *op)
{
    if (op == NULL || merges == NULL)
        return;
    struct derive_node *node = merges;
    merges = NULL;
    ck_assert_int_eq(merge_with(node, MIB), OK);
}

/* What was listed is gone when it is to be read: it lies in a segment, which is listed later.
 */
START_TEST(a_reader_misses_nothing_that_is_merged_meanwhile)
{
    struct reading r = {0};
    setup();
    put(0, 1, 5);
    put(1, 6, 9);
    age();
    merges = &nodes[2];
    faulty_watch(nodes[0].faulty, merge_meanwhile, NULL);
    uint64_t errors = log_errors();
    look_of(&nodes[0], &r);
    there(0, 1);
    has_all(&r, 9);
    ck_assert_uint_eq(log_errors(), errors);
    derive_cursor_release(&r.cursor);
    teardown();
}
END_TEST

static void merge_at_put(void *arg, uint64_t call, const struct store_op *op)
{
    if (op != NULL && op->verb == STORE_PUT)
        merge_meanwhile(arg, call, op);
}

START_TEST(of_two_who_merge_at_once_one_wins)
{
    setup();
    put(0, 1, 5);
    put(1, 6, 9);
    age();
    merges = &nodes[1];
    faulty_watch(nodes[2].faulty, merge_at_put, NULL);
    /* The other one takes less. */
    const struct derive_merge_options options = {
        .age_ms = OLD_MS, .objects_min = 2, .bytes_max = 200};
    ck_assert_int_eq(derive_merge(&nodes[2].repo, &project, &options, &report), ERR_AGAIN);
    there(0, 1);
    a_new_reader_has_all(9);
    teardown();
}
END_TEST

/* --- damage --- */

START_TEST(a_damaged_object_stays_where_it_is)
{
    AUTO_BUF good = {0};
    struct reading r = {0};
    setup();
    put(0, 1, 4);
    struct key key = key_derive(&project, nodes[0].repo.agent, 2);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &good, NULL, NULL), OK);
    ck_assert_int_eq(store_put(rig.mem, key.s, bytes_str("?"), PUT_ANY, NULL), OK);
    age();
    merge();
    ck_assert_uint_eq(report.objects, 3);
    there(1, 1);
    look_of(&nodes[1], &r);
    ck_assert_uint_eq(r.n, 3);
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&good), PUT_ANY, NULL), OK);
    look_of(&nodes[1], &r);
    has_all(&r, 4);
    derive_cursor_release(&r.cursor);
    teardown();
}
END_TEST

START_TEST(with_a_damaged_segment_nothing_is_merged)
{
    AUTO_BUF good = {0};
    struct reading r = {0};
    setup();
    put(0, 1, 4);
    age();
    merge();
    put(1, 5, 7);
    age();
    struct key key = key_derive_segment(&project, 1);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &good, NULL, NULL), OK);
    good.data[20] ^= 1;
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&good), PUT_ANY, NULL), OK);
    good.data[20] ^= 1;
    ck_assert_int_eq(merge_with(&nodes[2], MIB), ERR_CORRUPT);
    there(3, 1);
    look_of(&nodes[2], &r);
    ck_assert_uint_eq(r.n, 3);
    ck_assert_uint_eq(r.cursor.segments.n_holes, 1);
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&good), PUT_ANY, NULL), OK);
    look_of(&nodes[2], &r);
    has_all(&r, 7);
    derive_cursor_release(&r.cursor);
    merge();
    there(0, 2);
    teardown();
}
END_TEST

/* A flipped bit in one of its objects hides that one only. */
START_TEST(damage_within_a_segment_is_that_of_an_object)
{
    AUTO_BUF bytes = {0};
    struct reading r = {0};
    setup();
    put(0, 1, 4);
    age();
    merge();
    struct key key = key_derive_segment(&project, 1);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[bytes.len - 1] ^= 1;
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    look_of(&nodes[1], &r);
    ck_assert_uint_eq(r.n, 3);
    ck_assert_uint_eq(r.seen[4], 0);
    ck_assert_uint_eq(r.cursor.agents[0].n_holes, 1);
    /* It is mended. */
    bytes.data[bytes.len - 1] ^= 1;
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    look_of(&nodes[1], &r);
    has_all(&r, 4);
    derive_cursor_release(&r.cursor);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_old_becomes_one_segment,
        one_that_comes_back_goes_on,
        segments_are_bounded,
        a_part_is_read_wherever_it_lies,
        a_reader_misses_nothing_that_is_merged_meanwhile,
        of_two_who_merge_at_once_one_wins,
        a_damaged_object_stays_where_it_is,
        with_a_damaged_segment_nothing_is_merged,
        damage_within_a_segment_is_that_of_an_object,
    };
    return suite_run("derive_merge", tests, ARRAY_LEN(tests));
}
