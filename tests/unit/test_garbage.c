/* Garbage in the bucket: every object of a world is damaged in every way, and what is no object
 * of the forge lies under every prefix. support/garbage.h says what has to hold; besides, the
 * check of the bucket must find it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/key.h"
#include "pipeline/sys/log.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/garbage.h"

static struct garbage_world world;

/* Over all tests: each runs in a process of its own. */
static struct garbage_tally *tally;

/* --- ways to damage an object --- */

enum { flips = 10, swaps = 5, objects_max = 128, keys_max = 64 };
enum way {
    WAY_EMPTY,
    WAY_HALF,
    WAY_LESS_ONE,
    WAY_MORE_ONE,
    WAY_FOREIGN,
    WAY_ZEROS, /* as long as a head */
    WAY_FLIP,
    WAY_SWAP = WAY_FLIP + flips,
    WAYS = WAY_SWAP + swaps,
};

static const char *way_name(unsigned way)
{
    static const char *const names[] = {"empty",         "half of it", "one byte less",
                                        "one byte more", "foreign",    "zeros"};
    static char text[32];
    if (way < WAY_FLIP)
        return names[way];
    if (way < WAY_SWAP)
        (void)snprintf(text, sizeof(text), "flip %u", way - WAY_FLIP);
    else
        (void)snprintf(text, sizeof(text), "swap %u", way - WAY_SWAP);
    return text;
}

/* The folder below the bucket or the project: objects of one folder are of one kind. */
static struct bytes folder_of(const char *key)
{
    const char *at = key;
    if (strncmp(key, "projects/", 9) == 0)
        at = strchr(key + 9, '/') + 1;
    return bytes_of(at, strcspn(at, "/"));
}

/* Swap 0 to 2: others of the same kind, the nearest before this one, the nearest behind it and
 * so of the other project where there is but one a project, and the next but one before it.
 * From 3 on: objects of other kinds. NULL when there is none. */
static const struct bucket_object *other_of(const struct bucket_object *object, unsigned swap)
{
    const struct bucket_copy *copy = &world.world.copy;
    bool same = swap < 3;
    unsigned skip = same ? swap / 2 : (swap - 3) * 7;
    size_t at = (size_t)(object - copy->objects);
    for (size_t i = 1; i < copy->n; i++) {
        size_t step = swap == 1 ? i : copy->n - i;
        const struct bucket_object *o = &copy->objects[(at + step) % copy->n];
        if (bytes_equal(folder_of(o->key), folder_of(object->key)) != same ||
            bytes_equal(o->bytes, object->bytes))
            continue;
        if (skip-- == 0)
            return o;
    }
    return NULL;
}

static void flip(struct buf *bytes, unsigned number)
{
    size_t len = bytes->len;
    /* Spread over all of it; besides, the lowest byte of a head's position. */
    size_t offset = number + 1 == flips ? 7 : number * len / (flips - 2);
    bytes->data[offset < len ? offset : len - 1] ^= (uint8_t)(1u << (number % 8));
}

/* False when there is no such damage to this object. */
static bool damage(const struct bucket_object *object, unsigned way, struct buf *out)
{
    static const uint8_t zeros[48];
    static const char foreign[] = "This is no object of the forge.\n";
    struct bytes in = object->bytes;
    if (way == WAY_HALF)
        in.len /= 2;
    if (way == WAY_LESS_ONE)
        in.len--;
    if (way == WAY_EMPTY)
        in.len = 0;
    if (way == WAY_FOREIGN)
        in = bytes_str(foreign);
    if (way == WAY_ZEROS)
        in = bytes_of(zeros, sizeof(zeros));
    if (way >= WAY_SWAP) {
        const struct bucket_object *other = other_of(object, way - WAY_SWAP);
        if (other == NULL)
            return false;
        in = other->bytes;
    }
    buf_append_bytes(out, in);
    if (way == WAY_MORE_ONE)
        buf_append(out, "", 1);
    if (way >= WAY_FLIP && way < WAY_SWAP)
        flip(out, way - WAY_FLIP);
    return true;
}

/* --- objects that are there --- */

/* The projects are alike: it is enough to damage one of them. */
static bool is_of_other(const char *key)
{
    struct id16_hex other = id16_hex(&world.world.projects[1].id);
    return strstr(key, other.s) != NULL || strcmp(key, "handles/other") == 0;
}

/* The check of the bucket goes to its end, and tells of something: at the latest when it reads
 * deep. Undamaged there is one dead letter, and nothing else. */
static void checked(const char *key, struct bytes bytes, const char *name)
{
    struct clock_manual clock;
    struct fsck_result result;
    bool told = false;
    struct store *store = bucket_copy_store(&world.world.copy);
    ck_assert_int_eq(store_put(store, key, bytes, PUT_ANY, NULL), OK);
    clock_manual_init(&clock, world.world.ms);
    for (unsigned deep = 0; deep < 2 && !told; deep++) {
        fsck_rig_run(store, &clock.clock, deep == 1, 0, &result);
        ck_assert_msg(result.err == OK, "%s: %s", name, fsck_rig_text(&result));
        told =
            result.counts.damages > 0 || result.counts.notes > 1 || result.counts.unnamed > 0;
    }
    ck_assert_msg(told, "%s: the check says nothing", name);
    store_close(store);
}

static void pair(const char *key, struct bytes bytes, const char *what)
{
    char name[400];
    (void)snprintf(name, sizeof(name), "%s, %s", key, what);
    garbage_run(&world, key, bytes, name, tally);
    checked(key, bytes, name);
}

START_TEST(damaged_object)
{
    const struct bucket_copy *copy = &world.world.copy;
    ck_assert_uint_le(copy->n, objects_max);
    if ((size_t)_i >= copy->n)
        return;
    const struct bucket_object *object = &copy->objects[_i];
    if (is_of_other(object->key) || strcmp(object->key, "bucket") == 0)
        return;
    for (unsigned way = 0; way < WAYS; way++) {
        AUTO_BUF bytes = {0};
        if (damage(object, way, &bytes))
            pair(object->key, buf_bytes(&bytes), way_name(way));
    }
}
END_TEST

/* Without it nobody works there; what it says is lost, and nothing else. */
START_TEST(damaged_bucket)
{
    static const struct repo_options options = {.shards = 3, .chunk_size = CHUNK_SIZE_MIN};
    const struct bucket_object *object = bucket_copy_find(&world.world.copy, "bucket");
    for (unsigned way = 0; way < WAYS; way++) {
        AUTO_BUF bytes = {0};
        struct clock_manual clock;
        struct rng_seeded rng;
        struct repo repo;
        struct bucket_copy after;
        if (!damage(object, way, &bytes))
            continue;
        struct store *store = bucket_copy_store(&world.world.copy);
        ck_assert_int_eq(store_put(store, "bucket", buf_bytes(&bytes), PUT_ANY, NULL), OK);
        clock_manual_init(&clock, world.world.ms);
        rng_seeded_init(&rng, way);
        int log = memfd_create("log", MFD_CLOEXEC);
        log_to_fd(log);
        ck_assert_int_eq(repo_open(&repo, store, &clock.clock, &rng.rng, &options),
                         ERR_CORRUPT);
        log_to_fd(STDERR_FILENO);
        char line[200] = {0};
        ck_assert_int_gt(pread(log, line, sizeof(line) - 1, 0), 0);
        ck_assert_ptr_nonnull(strstr(line, "key=bucket "));
        bucket_copy_take(&after, store);
        ck_assert_uint_eq(after.n, world.world.copy.n);
        ck_assert(bytes_equal(bucket_copy_find(&after, "bucket")->bytes, buf_bytes(&bytes)));
        bucket_copy_release(&after);
        (void)close(log);
        store_close(store);
        tally->pairs++;
        tally->seen++;
    }
}
END_TEST

/* --- objects that are not the forge's --- */

/* Under `key`: foreign bytes, none, and objects that are valid elsewhere. */
static void foreign_put(const char *key)
{
    static const char *const like[] = {"handles/",    "/head",         "/project",
                                       "/sessions/",  "/landing-log/", "/bloom-index/",
                                       "queue/0000/", "/blobs/"};
    const struct bucket_copy *copy = &world.world.copy;
    pair(key, bytes_str("This is no object of the forge.\n"), "foreign");
    pair(key, bytes_of(NULL, 0), "empty");
    for (size_t i = 0; i < ARRAY_LEN(like); i++) {
        const struct bucket_object *found = NULL;
        for (size_t k = 0; k < copy->n && found == NULL; k++)
            found = strstr(copy->objects[k].key, like[i]) != NULL ? &copy->objects[k] : NULL;
        ck_assert_ptr_nonnull(found);
        if (strstr(key, like[i]) != NULL)
            pair(key, found->bytes, "an object from elsewhere");
    }
}

/* Names under every prefix, in the bucket's form and in none. */
START_TEST(foreign_object)
{
    static const char *const names[] = {
        "garbage",
        "handles/garbage",
        "handles/UPPER",
        "handles/0123456789abcdef0123456789abcdef",
        "queue/garbage",
        "queue/0000/garbage",
        "queue/0000/0000000000000001-0000000000000002-0000000000000003",
        "queue/0007/0000000000000001-0000000000000002-0000000000000003",
        "queue/dead/garbage",
        "queue/dead/0000-0000000000000001-0000000000000002-0000000000000003",
        "leases/garbage",
        "leases/0001",
        "projects/garbage",
        "projects/garbage/head",
        "projects/0123456789abcdef0123456789abcdef/head",
        "projects/0123456789abcdef0123456789abcdef/project",
    };
    if ((size_t)_i < ARRAY_LEN(names))
        foreign_put(names[_i]);
}
END_TEST

START_TEST(foreign_object_in_a_project)
{
    static const char *const names[] = {
        "garbage",
        "gc",
        "heads",
        "trees/garbage",
        "trees/00/garbage.bin",
        "landing-log/garbage",
        "landing-log/000000000001-000000000301.log",
        "landing-log/000000000050-000000000150.log",
        "landing-log/000000000101-000000000201.log",
        "landing-log/000000000301-000000000401.log",
        "landing-log/000000000001-000000001001.log",
        "landing-log/bloom-index/garbage",
        "landing-log/bloom-index/level-1/garbage",
        "landing-log/bloom-index/level-1/000000000001-000000000301.bloom",
        "landing-log/bloom-index/level-1/000000000101-000000000201.bloom",
        "landing-log/bloom-index/level-1/000000000301-000000000401.bloom",
        "landing-log/bloom-index/level-1/000000000001-000000010001.bloom",
        "landing-log/bloom-index/level-2/000000000001-000000010001.bloom",
        "landing-log/bloom-index/level-3/000000000001-000001000001.bloom",
        "sessions/garbage",
        "sessions/garbage.bin",
        "sessions/000000000005456789abcdef01234567.bin",
        "blobs/garbage",
        "blobs/00/garbage",
        "refs/garbage",
        "derive/garbage",
    };
    char key[300];
    if ((size_t)_i >= ARRAY_LEN(names))
        return;
    (void)snprintf(key, sizeof(key), "projects/%s/%s", id16_hex(&world.world.projects[0].id).s,
                   names[_i]);
    foreign_put(key);
}
END_TEST

/* Where the forge is about to put something: it lies there already. */
START_TEST(foreign_object_where_one_is_put)
{
    AUTO(arena_release) struct arena arena = {0};
    const char **keys;
    size_t n = garbage_keys(&world, &arena, &keys);
    ck_assert_uint_le(n, keys_max);
    if ((size_t)_i >= n || is_of_other(keys[_i]))
        return;
    foreign_put(keys[_i]);
}
END_TEST

static void world_open(void)
{
    garbage_world_open(&world);
    ck_assert_uint_gt(world.facts[0].n, 500);
}

int main(void)
{
    tally =
        mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return EXIT_FAILURE;
    Suite *suite = suite_create("garbage");
    TCase *tcase = tcase_create("garbage");
    tcase_set_timeout(tcase, 120);
    /* Once, in the process that all tests are forked from. */
    tcase_add_unchecked_fixture(tcase, world_open, NULL);
    tcase_add_test(tcase, damaged_bucket);
    tcase_add_loop_test(tcase, damaged_object, 0, objects_max);
    tcase_add_loop_test(tcase, foreign_object, 0, 20);
    tcase_add_loop_test(tcase, foreign_object_in_a_project, 0, 30);
    tcase_add_loop_test(tcase, foreign_object_where_one_is_put, 0, keys_max);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    printf("garbage: %u pairs of an object and a damage; in %u of them something could not be "
           "read, %u things in all; a project that was hit took a landing in %u\n",
           tally->pairs, tally->seen, tally->errors, tally->landed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
