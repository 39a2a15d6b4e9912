/* An uploaded leaf: what was answered as one stays; content that a collection has taken between
 * its upload and its being put, or is about to take, is no leaf until it is uploaded again. */
#include <stdio.h>

#include "pipeline/derive/derive.h"
#include "tests/support/collect_rig.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

#define SIZE (3 * CHUNK_SIZE_MIN)

static struct collect_rig rig;
static char dir[64];

static void setup(void)
{
    collect_rig_open(&rig);
    (void)snprintf(dir, sizeof(dir), "/tmp/mic-leaf-XXXXXX");
    folder_make(dir);
}

static void teardown(void)
{
    folder_remove(dir);
    collect_rig_close(&rig);
}

/* A node puts it as a leaf. */
static int leaf_put(const struct content *content)
{
    struct derive derive;
    const struct derive_options options = {.dir = dir,
                                           .batch_max = MIB,
                                           .queue_max = MIB,
                                           .slots = 1,
                                           .in_flight_max = MIB,
                                           .ram_bytes = MIB,
                                           .disk_bytes = MIB};
    ck_assert_int_eq(derive_open(&derive, &rig.f.repo, &options), OK);
    derive_start(&derive);
    int err = derive_put_upload(&derive, &rig.f.project, content);
    derive_stop(&derive);
    derive_close(&derive);
    return err;
}

static void collect(void)
{
    collect_rig_age(&rig);
    ck_assert_int_eq(collect_rig_run(&rig), OK);
}

START_TEST(an_uploaded_leaf_stays)
{
    setup();
    struct content content = collect_rig_upload(&rig, 1, SIZE);
    ck_assert_int_eq(leaf_put(&content), OK);
    collect();
    ck_assert(collect_rig_has(&rig, &content));
    collect_rig_clean(&rig);
    teardown();
}
END_TEST

START_TEST(what_was_collected_meanwhile_is_no_leaf)
{
    setup();
    struct content content = collect_rig_upload(&rig, 1, SIZE);
    collect();
    ck_assert(!collect_rig_has(&rig, &content));
    ck_assert_int_eq(leaf_put(&content), ERR_CONFLICT);
    /* Its name is durable by now, and that it was refused is no obstacle. */
    content = collect_rig_upload(&rig, 1, SIZE);
    ck_assert_int_eq(leaf_put(&content), OK);
    collect();
    ck_assert(collect_rig_has(&rig, &content));
    collect_rig_clean(&rig);
    teardown();
}
END_TEST

START_TEST(what_is_condemned_is_no_leaf)
{
    setup();
    struct content content = collect_rig_upload(&rig, 1, SIZE);
    collect_rig_condemn(&rig, GC_OPEN, &content.hash);
    ck_assert_int_eq(leaf_put(&content), ERR_CONFLICT);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {an_uploaded_leaf_stays, what_was_collected_meanwhile_is_no_leaf,
                            what_is_condemned_is_no_leaf};
    return suite_run("derive_upload", tests, ARRAY_LEN(tests));
}
