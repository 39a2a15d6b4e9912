/* The check of buckets in which nothing is wrong. */
#include <stdio.h>

#include "formats/key.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/suite.h"
#include "tests/support/world.h"

static struct fsck_result result;

static void is_clean(struct store *store, struct clock *clock, bool deep, size_t ids_max)
{
    fsck_rig_run(store, clock, deep, ids_max, &result);
    ck_assert_msg(result.err == OK && result.counts.damages == 0, "%s", fsck_rig_text(&result));
}

START_TEST(test_world)
{
    struct world world;
    struct clock_manual clock;
    world_build(&world);
    struct store *store = bucket_copy_store(&world.copy);
    clock_manual_init(&clock, world.ms + 600000);
    for (unsigned deep = 0; deep < 2; deep++) {
        is_clean(store, &clock.clock, deep == 1, 0);
        ck_assert_msg(result.counts.notes == 1, "%s", fsck_rig_text(&result));
        ck_assert_str_eq(result.kept[0].problem, "dead_letter");
        ck_assert_uint_eq(result.counts.projects, 2);
        ck_assert_uint_eq(result.counts.landings, 2 * WORLD_POSITION);
        ck_assert_uint_eq(result.counts.segments, 2);
        ck_assert_uint_eq(result.counts.keys, world.copy.n);
        ck_assert_uint_eq(result.counts.unnamed, 0);
        printf(
            "%lu batches %lu answers %lu sessions %lu queue %lu blobs %lu pages %lu contents\n",
            result.counts.batches, result.counts.answers, result.counts.sessions,
            result.counts.queue_objects, result.counts.blobs, result.counts.pages,
            result.counts.contents);
    }
    store_close(store);
    world_release(&world);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_world};
    return suite_run("fsck", tests, ARRAY_LEN(tests));
}
