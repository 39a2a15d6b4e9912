#include "api/cli/renames.h"
#include "formats/base/hash.h"
#include "tests/support/suite.h"

static struct entry contents[8]; /* one for each text that the tests use */

static const struct entry *content(const char *text)
{
    struct hash hash = sha256(bytes_str(text));
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        if (contents[i].kind == KIND_NONE)
            contents[i] = (struct entry){
                .kind = KIND_FILE, .mode = MODE_PLAIN, .size = strlen(text), .hash = hash};
        if (hash_equal(&contents[i].hash, &hash))
            return &contents[i];
    }
    return NULL;
}

static struct client_change came(const char *path, const char *text)
{
    return (struct client_change){.path = bytes_str(path), .b = content(text)};
}

static struct client_change went(const char *path, const char *text)
{
    return (struct client_change){.path = bytes_str(path), .a = content(text)};
}

/* What each change came from, or "". */
static void pairs(struct client_change *changes, size_t n, const char *const *want)
{
    AUTO(arena_release) struct arena arena = {0};
    struct client_changes all = {.changes = changes, .n = n};
    const struct client_change **from = renames_find(&all, &arena);
    for (size_t i = 0; i < n; i++) {
        struct bytes found = from[i] == NULL ? bytes_of(NULL, 0) : from[i]->path;
        ck_assert_msg(bytes_equal(found, bytes_str(want[i])), "change %zu came from %.*s", i,
                      (int)found.len, found.data);
    }
}

START_TEST(the_same_content)
{
    struct client_change changes[] = {went("a", "1"), came("b", "1"), came("c", "2"),
                                      went("d", "3")};
    pairs(changes, 4, (const char *const[]){"", "a", "", ""});
    pairs(changes, 0, NULL);
    pairs(changes + 1, 2, (const char *const[]){"", ""});
}
END_TEST

START_TEST(each_is_taken_once_and_its_name_first)
{
    struct client_change twins[] = {went("old/one", "1"), went("old/two", "1"),
                                    came("new/two", "1"), came("new/three", "1"),
                                    came("new/four", "1")};
    pairs(twins, 5, (const char *const[]){"", "", "old/two", "old/one", ""});
}
END_TEST

START_TEST(what_is_no_rename)
{
    /* Nothing is the same as nothing; a link is no file; and what was there is still there. */
    struct client_change empty[] = {went("a", ""), came("b", "")};
    pairs(empty, 2, (const char *const[]){"", ""});
    struct entry link = {.kind = KIND_LINK, .size = 1, .hash = content("1")->hash};
    struct client_change kinds[] = {went("a", "1"), {.path = bytes_str("b"), .b = &link}};
    pairs(kinds, 2, (const char *const[]){"", ""});
    struct client_change over[] = {
        went("a", "1"), {.path = bytes_str("b"), .a = content("2"), .b = content("1")}};
    pairs(over, 2, (const char *const[]){"", ""});
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_same_content,
        each_is_taken_once_and_its_name_first,
        what_is_no_rename,
    };
    return suite_run("renames", tests, ARRAY_LEN(tests));
}
