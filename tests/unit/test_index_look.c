/* Looks: what one node was answered for another finds after one look, also when the first is
 * gone; and however many miss at once, the store sees one look. */
#include <pthread.h>
#include <sched.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "pipeline/derive/index/index_follow.h"
#include "pipeline/derive/index/index_project.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/store/trace.h"
#include "tests/support/derive_rig.h"
#include "tests/support/index_rig.h"
#include "tests/support/suite.h"

#define THREADS 8u

static struct index_rig rig;

/* ---- over a real log ---- */

static struct derive_rig bucket;
static struct derive_node a;
static struct derive_node b;

/* The index is b's, and so is the clock that it waits by. */
static void two_open(void)
{
    index_rig_open(&rig);
    derive_rig_open(&bucket);
    derive_node_open(&a, &bucket, NULL, MIB, MIB);
    derive_node_open(&b, &bucket, NULL, MIB, MIB);
    rig.project = derive_project(1);
    rig.options.follow = index_follow;
    rig.options.arg = &b.repo;
    index_rig_reopen(&rig);
}

static void two_close(void)
{
    derive_index_close(rig.index);
    rig.options.follow = NULL;
    derive_node_close(&b);
    derive_rig_close(&bucket);
    ck_assert_int_eq(derive_index_open(&rig.options, &rig.index), OK);
    index_rig_close(&rig);
}

static int leaf_find(uint64_t n, enum derive_miss miss, struct derive_leaf *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_item item = derive_leaf_item(&arena, n);
    struct hash address = sha256(item.data);
    return derive_index_leaf(rig.index, &rig.project, &address, miss, out);
}

static uint64_t requests(void)
{
    struct trace_counts counts = trace_store_counts(bucket.trace, true);
    uint64_t n = counts.lists;
    for (size_t i = 0; i < TRACE_KINDS; i++)
        n += counts.gets[i] + counts.puts[i] + counts.deletes[i];
    return n;
}

START_TEST(another_node_finds)
{
    two_open();
    struct derive_outcome outcome = {0};
    struct derive_item items[] = {rig_leaf(&rig, 1), rig_recipe(&rig, 2, NULL, 0, NULL)};
    ck_assert_int_eq(
        derive_log_tell(a.log, &rig.project, items, 2, derive_outcome_told, &outcome), OK);
    derive_node_settle(&a, &bucket);
    ck_assert_uint_eq(outcome.told, 1);
    ck_assert_int_eq(outcome.err, OK);
    derive_node_close(&a); /* it is gone right after its answer */

    AUTO_BUF canonical = {0};
    AUTO_BUF body = {0};
    struct derive_leaf leaf;
    (void)requests();
    ck_assert_int_eq(leaf_find(1, DERIVE_MISS_TELL, &leaf), ERR_NOT_FOUND);
    ck_assert_uint_eq(requests(), 0);
    ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project, &items[1].address,
                                         DERIVE_MISS_LOOK, &canonical),
                     OK);
    ck_assert(bytes_equal(buf_bytes(&canonical), items[1].data));
    uint64_t look = requests();
    ck_assert_uint_gt(look, 0);
    /* The leaf came along, and lies where the index says. */
    ck_assert_int_eq(leaf_find(1, DERIVE_MISS_TELL, &leaf), OK);
    ck_assert_uint_eq(requests(), 0);
    ck_assert_int_eq(derive_read(&b.repo, &rig.project, leaf.agent, leaf.seq, leaf.offset,
                                 (uint32_t)leaf.size, &body),
                     OK);
    ck_assert(bytes_equal(buf_bytes(&body), items[0].data));
    two_close();
}
END_TEST

/* The node's own log tells its index before it answers, and nothing is read back. */
START_TEST(own_items_are_found_at_once)
{
    two_open();
    derive_log_close(b.log);
    b.log = derive_log_open(&b.repo, &(struct derive_log_options){.batch_max = MIB,
                                                                  .queue_max = MIB,
                                                                  .durable = index_durable,
                                                                  .arg = rig.index});
    struct derive_leaf leaf;
    for (uint64_t n = 1; n < 5; n++) {
        struct derive_outcome outcome = {0};
        ck_assert_int_eq(derive_node_tell(&b, 1, n, &outcome), OK);
        ck_assert_int_eq(leaf_find(n, DERIVE_MISS_TELL, &leaf), ERR_NOT_FOUND);
        derive_node_settle(&b, &bucket);
        ck_assert_int_eq(outcome.err, OK);
        (void)requests();
        ck_assert_int_eq(leaf_find(n, DERIVE_MISS_TELL, &leaf), OK);
        ck_assert_uint_eq(leaf.seq, n);
        ck_assert_uint_eq(requests(), 0);
    }
    (void)trace_store_counts(bucket.trace, true);
    ck_assert_int_eq(derive_index_look(rig.index, &rig.project), OK);
    struct trace_counts counts = trace_store_counts(bucket.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_DERIVE], 0);
    derive_log_close(b.log);
    b.log = derive_log_open(&b.repo, &(struct derive_log_options){.batch_max = MIB});
    derive_node_close(&a);
    two_close();
}
END_TEST

/* ---- many at once ---- */

static struct {
    pthread_mutex_t lock;
    bool gather; /* whoever waits for the next look waits until all are there */
    struct clock clock;
    uint64_t us;
    uint64_t slept;
} crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t crowd_mono(struct clock *clock)
{
    (void)clock;
    index_lock(&crowd.lock);
    uint64_t us = crowd.us;
    index_unlock(&crowd.lock);
    return us;
}

static uint64_t crowd_wall(struct clock *clock)
{
    return 1800000000000u + crowd_mono(clock) / 1000;
}

static uint32_t lookers(void)
{
    struct index_project *p;
    ck_assert_int_eq(project_hold(rig.index, &rig.project, &p), OK);
    index_lock(&p->lock);
    uint32_t n = p->lookers;
    index_unlock(&p->lock);
    project_release(p);
    return n;
}

static void crowd_sleep(struct clock *clock, uint64_t us)
{
    (void)clock;
    while (crowd.gather && lookers() < THREADS)
        (void)sched_yield();
    index_lock(&crowd.lock);
    crowd.us += us;
    crowd.slept += us;
    index_unlock(&crowd.lock);
}

static void *miss(void *arg)
{
    struct derive_leaf leaf;
    ck_assert_int_eq(leaf_find(*(uint64_t *)arg, DERIVE_MISS_LOOK, &leaf), ERR_NOT_FOUND);
    return NULL;
}

START_TEST(misses_share_a_look)
{
    two_open();
    crowd.clock =
        (struct clock){.mono_us = crowd_mono, .wall_ms = crowd_wall, .sleep_us = crowd_sleep};
    rig.options.clock = &crowd.clock;
    index_rig_reopen(&rig);
    derive_node_put(&a, &bucket, 1, 1);
    uint64_t n = 77;
    (void)miss(&n); /* the first look reads what is there */
    (void)requests();
    (void)miss(&n);
    uint64_t look = requests();
    ck_assert_uint_gt(look, 0);
    ck_assert_uint_eq(crowd.slept, 1000000);
    crowd.gather = true;
    for (unsigned round = 0; round < 3; round++) {
        pthread_t threads[THREADS];
        uint64_t wanted[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            wanted[i] = 100 + i;
            ck_assert_int_eq(pthread_create(&threads[i], NULL, miss, &wanted[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(requests(), look);
    }
    ck_assert_uint_eq(crowd.slept, 4000000);
    derive_node_close(&a);
    two_close();
}
END_TEST

/* However few threads they have, and so one after another. */
START_TEST(who_asked_at_one_moment_share_a_look)
{
    two_open();
    crowd.clock =
        (struct clock){.mono_us = crowd_mono, .wall_ms = crowd_wall, .sleep_us = crowd_sleep};
    crowd.us = 5000000;
    crowd.gather = false;
    rig.options.clock = &crowd.clock;
    index_rig_reopen(&rig);
    ck_assert_int_eq(derive_index_look(rig.index, &rig.project), OK);
    (void)requests();
    uint64_t asked = crowd_mono(NULL);
    ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, asked), OK);
    uint64_t look = requests();
    ck_assert_uint_gt(look, 0);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, asked), OK);
    ck_assert_uint_eq(requests(), 0);
    /* Who asks when it has begun may ask for what was told since. */
    asked = crowd_mono(NULL);
    derive_node_put(&a, &bucket, 1, 9);
    (void)requests();
    ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, asked), OK);
    ck_assert_uint_gt(requests(), 0);
    struct derive_leaf leaf;
    ck_assert_int_eq(leaf_find(9, DERIVE_MISS_TELL, &leaf), OK);
    derive_node_close(&a);
    two_close();
}
END_TEST

/* ---- looks that fail ---- */

START_TEST(failed_look_is_not_shared_afterwards)
{
    index_rig_open(&rig);
    rig.look_err = ERR_AGAIN;
    ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, 0), ERR_AGAIN);
    rig.look_err = OK;
    ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, 0), OK);
    ck_assert_uint_eq(rig.looks, 2);
    ck_assert_int_eq(derive_index_look_since(rig.index, &rig.project, 0), OK);
    ck_assert_uint_eq(rig.looks, 2);
    index_rig_close(&rig);
}
END_TEST

START_TEST(failed_look_is_told)
{
    index_rig_open(&rig);
    struct derive_item item = rig_recipe(&rig, 1, NULL, 0, NULL);
    struct derive_counts counts;
    AUTO_BUF canonical = {0};
    (void)index_rig_log(&rig, 1, 100, &item, 1);
    rig.look_err = ERR_AGAIN;
    ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project, &item.address,
                                         DERIVE_MISS_LOOK, &canonical),
                     ERR_AGAIN);
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), ERR_AGAIN);
    rig.look_err = OK;
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(counts.recipes, 1);
    ck_assert_uint_eq(rig.looks, 3);
    /* It has looked, so it need not look again to say what there is. */
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(rig.looks, 3);
    index_rig_close(&rig);
}
END_TEST

/* ---- threads ---- */

static void *fills(void *arg)
{
    uint64_t agent = *(uint64_t *)arg;
    for (uint64_t i = 0; i < 60; i++) {
        const struct rig_object *object = &rig.log[agent * 60 + i];
        ck_assert_int_eq(derive_index_apply(rig.index, &object->object, object->encoded), OK);
        AUTO_BUF canonical = {0};
        ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project,
                                             &object->object.items[0].address, DERIVE_MISS_TELL,
                                             &canonical),
                         OK);
        AUTO(arena_release) struct arena arena = {0};
        struct memo memo;
        ck_assert_int_eq(derive_index_memo(rig.index, &rig.project,
                                           &object->object.items[1].address, DERIVE_MISS_TELL,
                                           &arena, &memo),
                         OK);
        struct derive_counts counts;
        if (i % 16 == 0)
            ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
        if (i % 9 == 0)
            ck_assert_int_eq(derive_index_flush(rig.index), OK);
    }
    return NULL;
}

/* Whatever is being filled meanwhile, what was applied is found. */
START_TEST(threads_find_what_they_applied)
{
    index_rig_open(&rig);
    for (uint64_t t = 0; t < THREADS; t++) {
        for (uint64_t i = 0; i < 60; i++) {
            /* Some memos are told by all. */
            struct derive_item items[] = {rig_recipe(&rig, t * 1000 + i, NULL, 0, NULL),
                                          rig_memo(i % 3 == 0 ? i : t * 1000 + i, 5)};
            (void)index_rig_log(&rig, t, 100 + i, items, 2);
        }
    }
    derive_index_start(rig.index);
    pthread_t threads[THREADS];
    uint64_t numbers[THREADS];
    for (uint64_t t = 0; t < THREADS; t++) {
        numbers[t] = t;
        ck_assert_int_eq(pthread_create(&threads[t], NULL, fills, &numbers[t]), 0);
    }
    for (unsigned t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
    struct derive_counts counts;
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(counts.recipes, THREADS * 60);
    ck_assert_uint_eq(counts.memos, 20 + THREADS * 40);
    index_rig_reopen(&rig);
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(counts.recipes, THREADS * 60);
    ck_assert_uint_eq(rig.given, 0);
    index_rig_close(&rig);
}
END_TEST

static void *flushes(void *arg)
{
    (void)arg;
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    return NULL;
}

static bool is_filling(void)
{
    struct index_project *p;
    ck_assert_int_eq(project_hold(rig.index, &rig.project, &p), OK);
    index_lock(&p->lock);
    bool filling = p->filling != NULL;
    index_unlock(&p->lock);
    project_release(p);
    return filling;
}

/* The database is held up by another connection, and what goes into it is neither there nor in
 * what waits. */
START_TEST(what_is_on_its_way_is_found)
{
    index_rig_open(&rig);
    struct derive_item late = rig_memo(1, 2);
    struct derive_item early = rig_memo(1, 2);
    struct derive_item leaf = rig_leaf(&rig, 3);
    struct derive_item items[] = {rig_recipe(&rig, 2, NULL, 0, NULL), early, leaf,
                                  rig_tree(4, 5)};
    struct index_db *db;
    pthread_t thread;
    late.memo.cost_us = 1000;
    index_rig_tell(&rig, 1, 100, items, ARRAY_LEN(items));
    ck_assert_int_eq(index_db_open(index_rig_file(&rig), 1000, &db), OK);
    ck_assert_int_eq(index_db_run(db, "BEGIN IMMEDIATE"), OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, flushes, NULL), 0);
    while (!is_filling())
        (void)sched_yield();
    index_rig_tell(&rig, 1, 200, &late, 1);
    AUTO_BUF canonical = {0};
    struct derive_leaf found;
    struct location where;
    struct memo memo;
    ck_assert_int_eq(derive_index_recipe(rig.index, &rig.project, &items[0].address,
                                         DERIVE_MISS_TELL, &canonical),
                     OK);
    ck_assert_int_eq(derive_index_memo(rig.index, &rig.project, &early.address,
                                       DERIVE_MISS_TELL, &rig.arena, &memo),
                     OK);
    ck_assert_uint_eq(memo.cost_us, early.memo.cost_us);
    ck_assert_int_eq(derive_index_output(rig.index, &rig.project, &early.memo.output,
                                         DERIVE_MISS_TELL, &rig.arena, &memo),
                     OK);
    ck_assert_int_eq(
        derive_index_leaf(rig.index, &rig.project, &leaf.address, DERIVE_MISS_TELL, &found),
        OK);
    ck_assert_int_eq(
        derive_index_tree(rig.index, &rig.project, &items[3].address, DERIVE_MISS_TELL, &where),
        OK);
    ck_assert(is_filling());
    ck_assert_int_eq(index_db_run(db, "COMMIT"), OK);
    index_db_close(db);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    index_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        another_node_finds,
        own_items_are_found_at_once,
        misses_share_a_look,
        failed_look_is_told,
        threads_find_what_they_applied,
        what_is_on_its_way_is_found,
        who_asked_at_one_moment_share_a_look,
        failed_look_is_not_shared_afterwards,
    };
    return suite_run("index_look", tests, ARRAY_LEN(tests));
}
