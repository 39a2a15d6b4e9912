/* The derive log as a node reads it: every object once, each agent's in their order, at the
 * cost of what is new; what cannot be read holds up nothing else and is tried again. */
#include "pipeline/derive/log/derive_follow.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/sys/log.h"
#include "tests/support/derive_rig.h"
#include "tests/support/faulty.h"
#include "tests/support/suite.h"

#define TAKEN_MAX 5000u

static struct derive_rig rig;
static struct derive_node nodes[3];

/* A reader: the numbers of the leaves, in the order in which they came. */
struct reader_of {
    struct derive_cursor cursor;
    uint64_t taken[TAKEN_MAX];
    size_t n;
    size_t objects;
    size_t fail_at; /* the taker fails at this object; 0: never */
};
static struct reader_of reader;

static int take(void *arg, const struct derive_object *object, struct bytes encoded)
{
    struct reader_of *r = arg;
    if (++r->objects == r->fail_at)
        return ERR_AGAIN;
    for (uint32_t i = 0; i < object->n; i++) {
        ck_assert(object->items[i].data.data >= encoded.data);
        ck_assert_uint_lt(r->n, TAKEN_MAX);
        r->taken[r->n++] = derive_leaf_number(&object->items[i]);
    }
    return OK;
}

static int look_as(struct derive_node *node, struct reader_of *r)
{
    struct id16 project = derive_project(1);
    (void)trace_store_counts(rig.trace, true);
    return derive_follow(&node->repo, &project, &r->cursor, take, r);
}

static void look(void)
{
    ck_assert_int_eq(look_as(&nodes[0], &reader), OK);
}

/* What the last look cost. */
static void costs(uint64_t lists, uint64_t gets)
{
    struct trace_counts c = trace_store_counts(rig.trace, false);
    ck_assert_uint_eq(c.lists, lists);
    ck_assert_uint_eq(c.gets[TRACE_DERIVE], gets);
}

static void took(size_t n, const uint64_t *numbers)
{
    ck_assert_uint_eq(reader.n, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(reader.taken[i], numbers[i]);
    reader.n = 0;
}

static int agent_order(const void *a, const void *b)
{
    const struct derive_node *left = a;
    const struct derive_node *right = b;
    return (left->repo.agent > right->repo.agent) - (left->repo.agent < right->repo.agent);
}

/* Nodes in the order of their agents, so that it is known in which order they are listed. */
static void setup(void)
{
    derive_rig_open(&rig);
    reader = (struct reader_of){0};
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        derive_node_open(&nodes[i], &rig, NULL, MIB, MIB);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        derive_log_close(nodes[i].log);
        nodes[i].log = NULL;
    }
    qsort(nodes, ARRAY_LEN(nodes), sizeof(nodes[0]), agent_order);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        nodes[i].log = derive_log_open(
            &nodes[i].repo, &(struct derive_log_options){.batch_max = MIB, .queue_max = MIB});
}

static void teardown(void)
{
    derive_cursor_release(&reader.cursor);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        derive_node_close(&nodes[i]);
    derive_rig_close(&rig);
}

static void put(size_t node, uint64_t n)
{
    derive_node_put(&nodes[node], &rig, 1, n);
}

static struct key key_of(size_t node, uint64_t seq)
{
    struct id16 project = derive_project(1);
    return key_derive(&project, nodes[node].repo.agent, seq);
}

static void quiet(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    log_to_fd(fd);
}

/* --- what is new --- */

START_TEST(each_comes_once_in_the_order_of_its_agent)
{
    setup();
    look();
    took(0, NULL);
    costs(2, 0); /* the first one looks for segments by themselves */
    look();
    costs(1, 0);
    put(1, 1);
    put(0, 10);
    put(1, 2);
    look();
    took(3, (const uint64_t[]){10, 1, 2});
    look();
    took(0, NULL);
    put(2, 20);
    put(1, 3);
    derive_node_put(&nodes[1], &rig, 2, 99); /* another project's */
    look();
    took(2, (const uint64_t[]){3, 20});
    ck_assert_uint_eq(derive_cursor_find(&reader.cursor, nodes[1].repo.agent)->seq, 3);
    teardown();
}
END_TEST

START_TEST(a_long_log_that_is_known_costs_one_list)
{
    setup();
    for (unsigned i = 0; i < 250; i++) {
        put(0, i);
        put(1, 1000 + i);
    }
    look();
    ck_assert_uint_eq(reader.n, 500);
    reader.n = 0;
    costs(3, 500); /* whether anything is merged, whether there is anything, and all of it */
    look();
    costs(3, 0); /* what comes before the first agent, behind it, behind the second */
    put(1, 1);
    look();
    took(1, (const uint64_t[]){1});
    costs(3, 1);
    /* Short logs share a list. */
    put(2, 2);
    look();
    took(1, (const uint64_t[]){2});
    costs(3, 1);
    teardown();
}
END_TEST

START_TEST(what_an_index_knows_is_not_read)
{
    setup();
    for (unsigned i = 1; i <= 4; i++)
        put(0, i);
    derive_cursor_know(&reader.cursor, nodes[0].repo.agent, 3);
    derive_cursor_know(&reader.cursor, nodes[0].repo.agent, 2);
    look();
    took(1, (const uint64_t[]){4});
    costs(2, 1);
    teardown();
}
END_TEST

START_TEST(a_taker_that_fails_gets_it_again)
{
    setup();
    for (unsigned i = 1; i <= 4; i++)
        put(0, i);
    reader.fail_at = 3;
    ck_assert_int_eq(look_as(&nodes[0], &reader), ERR_AGAIN);
    took(2, (const uint64_t[]){1, 2});
    look();
    took(2, (const uint64_t[]){3, 4});
    teardown();
}
END_TEST

/* --- damage --- */

static void break_object(const char *key, struct buf *before)
{
    ck_assert_int_eq(store_get(rig.mem, key, range_all(), before, NULL, NULL), OK);
    before->data[before->len - 1] ^= 1;
    ck_assert_int_eq(store_put(rig.mem, key, buf_bytes(before), PUT_ANY, NULL), OK);
    before->data[before->len - 1] ^= 1;
}

START_TEST(damage_holds_up_nobody_and_is_tried_again)
{
    AUTO_BUF good = {0};
    setup();
    struct key key = key_of(0, 2);
    quiet();
    for (unsigned i = 1; i <= 3; i++) {
        put(0, i);
        put(1, 10 + i);
    }
    break_object(key.s, &good);
    uint64_t errors = log_errors();
    look();
    took(5, (const uint64_t[]){1, 3, 11, 12, 13});
    ck_assert_uint_eq(log_errors(), errors + 1);
    const struct derive_at *at = derive_cursor_find(&reader.cursor, nodes[0].repo.agent);
    ck_assert_uint_eq(at->seq, 3);
    ck_assert_uint_eq(at->n_holes, 1);
    ck_assert_uint_eq(at->holes[0].first, 2);
    ck_assert_uint_eq(at->holes[0].last, 2);
    ck_assert_int_eq(at->holes[0].err, ERR_CORRUPT);
    look();
    took(0, NULL);
    costs(1, 1);
    put(0, 4);
    look();
    took(1, (const uint64_t[]){4});
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&good), PUT_ANY, NULL), OK);
    look();
    took(1, (const uint64_t[]){2});
    look();
    took(0, NULL);
    costs(1, 0);
    teardown();
}
END_TEST

START_TEST(an_object_under_anothers_name_is_damage)
{
    AUTO_BUF bytes = {0};
    struct id16 other = derive_project(2);
    setup();
    quiet();
    put(0, 1);
    struct key key = key_of(0, 1);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    struct key second = key_of(0, 2);
    struct key foreign = key_of(1, 1);
    struct key elsewhere = key_derive(&other, nodes[0].repo.agent, 1);
    ck_assert_int_eq(store_put(rig.mem, second.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(rig.mem, foreign.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(rig.mem, elsewhere.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    look();
    took(1, (const uint64_t[]){1});
    AUTO(derive_cursor_release) struct derive_cursor cursor = {0};
    ck_assert_int_eq(derive_follow(&nodes[0].repo, &other, &cursor, take, &reader), OK);
    took(0, NULL);
    teardown();
}
END_TEST

/* One that is lost is missed, not passed over. */
START_TEST(a_missing_number_is_a_hole)
{
    AUTO_BUF bytes = {0};
    setup();
    struct key key = key_of(0, 2);
    quiet();
    for (unsigned i = 1; i <= 4; i++)
        put(0, i);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_int_eq(store_delete(rig.mem, key.s), OK);
    uint64_t errors = log_errors();
    look();
    took(3, (const uint64_t[]){1, 3, 4});
    ck_assert_uint_eq(log_errors(), errors + 1);
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL), OK);
    look();
    took(1, (const uint64_t[]){2});
    teardown();
}
END_TEST

START_TEST(holes_are_bounded)
{
    setup();
    quiet();
    for (unsigned i = 1; i <= 2 * DERIVE_HOLES_MAX + 10; i++)
        put(0, i);
    put(1, 10000);
    for (unsigned i = 1; i <= 2 * DERIVE_HOLES_MAX + 10; i += 2)
        ck_assert_int_eq(store_delete(rig.mem, key_of(0, i).s), OK);
    look();
    /* Every second one until there are too many, and the other agent's. */
    ck_assert_uint_eq(reader.n, DERIVE_HOLES_MAX + 1);
    ck_assert_uint_eq(reader.taken[reader.n - 1], 10000);
    reader.n = 0;
    look();
    took(0, NULL);
    teardown();
}
END_TEST

/* --- trouble --- */

static struct buf unlisted;

/* A list that is made while number 2 and then number 3 are put may have the third only. */
static void put_unlisted(void *arg UNUSED, uint64_t call UNUSED, const struct store_op *op)
{
    if (op == NULL || unlisted.len == 0)
        return;
    struct key key = key_of(0, 2);
    ck_assert_int_eq(store_put(rig.mem, key.s, buf_bytes(&unlisted), PUT_IF_ABSENT, NULL), OK);
    buf_release(&unlisted);
}

/* No agent ever comes to the last number there is; whoever puts something there ends nobody. */
START_TEST(the_last_number_is_none)
{
    setup();
    struct id16 project = derive_project(1);
    struct key last = key_derive(&project, nodes[0].repo.agent, UINT64_MAX);
    struct key segment = key_derive_segment(&project, UINT64_MAX);
    struct bytes some = bytes_str("not an object");
    ck_assert_int_eq(store_put(rig.mem, last.s, some, PUT_ANY, NULL), OK);
    ck_assert_int_eq(store_put(rig.mem, segment.s, some, PUT_ANY, NULL), OK);
    for (uint64_t n = 1; n <= 3; n++) {
        put(0, n);
        look();
        took(1, (const uint64_t[]){n});
    }
    teardown();
}
END_TEST

START_TEST(what_comes_while_it_lists_is_not_lost)
{
    setup();
    for (unsigned i = 1; i <= 3; i++)
        put(0, i);
    struct key key = key_of(0, 2);
    ck_assert_int_eq(store_get(rig.mem, key.s, range_all(), &unlisted, NULL, NULL), OK);
    ck_assert_int_eq(store_delete(rig.mem, key.s), OK);
    faulty_watch(nodes[0].faulty, put_unlisted, NULL);
    uint64_t errors = log_errors();
    look();
    took(3, (const uint64_t[]){1, 3, 2});
    ck_assert_uint_eq(log_errors(), errors);
    teardown();
}
END_TEST

/* A put that takes effect late: whoever reads by numbers has not passed it over meanwhile. */
START_TEST(schedule_27_a_late_number_is_not_skipped)
{
    struct derive_outcome second = {0};
    struct derive_outcome third = {0};
    setup();
    struct derive_node *writer = &nodes[1];
    put(1, 1);
    faulty_reset(writer->faulty);
    faulty_late_calls(writer->faulty, 2);
    faulty_plan(writer->faulty, 1, FAULT_UNKNOWN_LATE);
    faulty_plan(writer->faulty, 2, FAULT_AGAIN);
    ck_assert_int_eq(derive_node_tell(writer, 1, 2, &second), OK);
    ck_assert_int_eq(derive_log_step(writer->log), 0);
    ck_assert_int_eq(derive_node_tell(writer, 1, 3, &third), OK);
    for (unsigned i = 0; i < 20 && third.told == 0; i++) {
        look();
        rig.clock.us += derive_log_wait_us(writer->log);
        (void)!derive_log_step(writer->log);
    }
    ck_assert_int_eq(second.err, OK);
    ck_assert_int_eq(third.err, OK);
    faulty_flush(writer->faulty);
    look();
    took(3, (const uint64_t[]){1, 2, 3});
    ck_assert_uint_eq(derive_cursor_find(&reader.cursor, writer->repo.agent)->n_holes, 0);
    teardown();
}
END_TEST

START_TEST(a_store_that_fails_loses_and_doubles_nothing)
{
    setup();
    for (uint64_t call = 1;; call++) {
        struct reader_of r = {0};
        if (call == 1) {
            for (unsigned i = 0; i < 150; i++)
                put(i % 3, i);
        }
        faulty_reset(nodes[0].faulty);
        faulty_plan(nodes[0].faulty, call, FAULT_AGAIN);
        int err = look_as(&nodes[0], &r);
        bool hit = faulty_hits(nodes[0].faulty, FAULT_AGAIN) > 0;
        ck_assert_int_eq(err, hit ? ERR_AGAIN : OK);
        faulty_reset(nodes[0].faulty);
        ck_assert_int_eq(look_as(&nodes[0], &r), OK);
        ck_assert_uint_eq(r.n, 150);
        uint64_t next[3] = {0, 1, 2};
        for (size_t i = 0; i < r.n; i++) {
            ck_assert_uint_eq(r.taken[i], next[r.taken[i] % 3]);
            next[r.taken[i] % 3] += 3;
        }
        derive_cursor_release(&r.cursor);
        if (!hit)
            break;
    }
    teardown();
}
END_TEST

START_TEST(a_part_of_an_object_is_read)
{
    AUTO_BUF body = {0};
    struct id16 project = derive_project(1);
    setup();
    put(0, 42);
    uint64_t agent = nodes[0].repo.agent;
    /* Behind header, kind and length. */
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 1, 65, 7, &body), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("leaf 42")));
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 1, 65, 8, &body),
                     ERR_CORRUPT);
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 1, 650, 8, &body),
                     ERR_CORRUPT);
    ck_assert_int_eq(derive_read(&nodes[1].repo, &project, agent, 2, 65, 7, &body),
                     ERR_NOT_FOUND);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_comes_once_in_the_order_of_its_agent,
        a_long_log_that_is_known_costs_one_list,
        what_an_index_knows_is_not_read,
        a_taker_that_fails_gets_it_again,
        damage_holds_up_nobody_and_is_tried_again,
        an_object_under_anothers_name_is_damage,
        a_missing_number_is_a_hole,
        holes_are_bounded,
        the_last_number_is_none,
        what_comes_while_it_lists_is_not_lost,
        schedule_27_a_late_number_is_not_skipped,
        a_store_that_fails_loses_and_doubles_nothing,
        a_part_of_an_object_is_read,
    };
    return suite_run("derive_follow", tests, ARRAY_LEN(tests));
}
