/* What is damaged is logged by its key, and what the store has failed is no damage. */
#include "pipeline/repo/damage.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/sys/log.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"

static struct forge forge;
static int log_fd;

static void setup(void)
{
    forge_init(&forge);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(log_fd, 0);
    log_to_fd(log_fd);
}

static void teardown(void)
{
    log_to_fd(STDERR_FILENO);
    (void)close(log_fd);
    forge_release(&forge);
}

/* How many lines were logged about the key. */
static unsigned lines_about(const char *key)
{
    char text[8192] = {0};
    ck_assert_int_ge(pread(log_fd, text, sizeof(text) - 1, 0), 0);
    const char *said = arena_printf(&forge.arena, "object_damaged key=%s ", key);
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, said)) != NULL; at++)
        n++;
    return n;
}

START_TEST(damage_is_what_is_wrong_with_the_object)
{
    const int damages[] = {ERR_CORRUPT, ERR_INVALID, ERR_LIMIT, ERR_NOT_FOUND};
    const int others[] = {OK, ERR_AGAIN, ERR_UNKNOWN, ERR_DENIED, ERR_CONFLICT};
    setup();
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const char *key = arena_printf(&forge.arena, "key/%zu", i);
        ck_assert_int_eq(damage_of(&forge.repo, key, damages[i]), ERR_CORRUPT);
        ck_assert_uint_eq(lines_about(key), 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        ck_assert_int_eq(damage_of(&forge.repo, "other", others[i]), others[i]);
        ck_assert_int_eq(damage_unless_absent(&forge.repo, "other", others[i]), others[i]);
    }
    ck_assert_int_eq(damage_unless_absent(&forge.repo, "other", ERR_NOT_FOUND), ERR_NOT_FOUND);
    ck_assert_uint_eq(lines_about("other"), 0);
    ck_assert_int_eq(damage_unless_absent(&forge.repo, "other", ERR_LIMIT), ERR_CORRUPT);
    ck_assert_uint_eq(lines_about("other"), 1);
    teardown();
}
END_TEST

START_TEST(one_object_is_logged_once_a_minute)
{
    setup();
    for (unsigned minute = 1; minute <= 3; minute++) {
        for (unsigned i = 0; i < 100; i++)
            damage_log(&forge.repo, "a/key", ERR_CORRUPT);
        ck_assert_uint_eq(lines_about("a/key"), minute);
        forge.clock.us += 60000000;
    }
    teardown();
}
END_TEST

/* A head that names a tree object that is not there: nobody can tell which of them is wrong. */
START_TEST(a_head_without_its_tree_object)
{
    setup();
    struct head head;
    struct key head_key = key_head(&forge.project);
    ck_assert_int_eq(chain_head(&forge.repo, &forge.project, &head, NULL), OK);
    struct key tree_key = key_tree(&forge.project, &head.tree_hash);
    ck_assert_int_eq(store_delete(forge.mem, tree_key.s), OK);
    struct forge reader;
    forge_join(&reader, &forge, NULL);
    const struct batch *tip;
    ck_assert_int_eq(chain_tip(&reader.repo, &forge.project, &head, &tip), ERR_CORRUPT);
    ck_assert_uint_eq(lines_about(head_key.s), 1);
    ck_assert_uint_eq(lines_about(tree_key.s), 1);
    forge_release(&reader);
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        damage_is_what_is_wrong_with_the_object,
        one_object_is_logged_once_a_minute,
        a_head_without_its_tree_object,
    };
    return suite_run("damage", tests, ARRAY_LEN(tests));
}
