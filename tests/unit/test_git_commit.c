#include "api/git/git_commit.h"

#include "tests/support/chance.h"
#include "tests/support/suite.h"

#define TREE    "1111111111111111111111111111111111111111"
#define PARENT  "2222222222222222222222222222222222222222"
#define PARENT2 "3333333333333333333333333333333333333333"
#define PEOPLE  "author A <a@b> 1 +0000\ncommitter C <c@d> 2 -0130\n"
#define SIGNED \
    "gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n  deeper\n -----END PGP SIGNATURE-----\n"
#define TAGGED \
    "mergetag object " PARENT2 "\n type commit\n tag v1\n tagger T <t@u> 3 +0000\n \n text\n"

static struct arena arena;

static struct git_commit_parts split(const char *raw)
{
    struct git_commit_parts parts;
    ck_assert_int_eq(git_commit_split(bytes_str(raw), &arena, &parts), OK);
    return parts;
}

static void ck_text(struct bytes got, const char *expected)
{
    struct bytes want = bytes_str(expected);
    ck_assert_msg(bytes_equal(got, want), "got \"%.*s\", not \"%s\"", (int)got.len,
                  got.len == 0 ? "" : (const char *)got.data, expected);
}

START_TEST(parts_are_where_they_should_be)
{
    struct git_commit_parts parts =
        split("tree " TREE "\nparent " PARENT "\nparent " PARENT2 "\n" PEOPLE "\nmessage\n");
    ck_text(parts.tree, TREE);
    ck_text(parts.parents, PARENT " " PARENT2);
    ck_text(parts.rest, PEOPLE "\nmessage\n");
    ck_text(git_commit_first_parent(&parts), PARENT);

    parts = split("tree " TREE "\n" PEOPLE "\nroot");
    ck_assert_uint_eq(parts.parents.len, 0);
    ck_assert_uint_eq(git_commit_first_parent(&parts).len, 0);
    ck_text(parts.rest, PEOPLE "\nroot");

    parts = split("tree " TREE "\n");
    ck_assert_uint_eq(parts.rest.len, 0);
}
END_TEST

START_TEST(what_is_no_commit_is_refused)
{
    static const char *const bad[] = {
        "",
        "tree",
        "tree " TREE,
        "tree 111111111111111111111111111111111111111\nauthor",
        "tree 111111111111111111111111111111111111111G\n" PEOPLE,
        "Tree " TREE "\n",
        "parent " PARENT "\ntree " TREE "\n",
        " tree " TREE "\n",
    };
    struct git_commit_parts parts;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(git_commit_split(bytes_str(bad[i]), &arena, &parts), ERR_CORRUPT);
    ck_assert_int_eq(git_commit_split(bytes_of(NULL, 0), &arena, &parts), ERR_CORRUPT);
}
END_TEST

START_TEST(a_commit_is_put_together_as_it_was)
{
    static const char *const commits[] = {
        "tree " TREE "\n" PEOPLE "\nroot\n",
        "tree " TREE "\nparent " PARENT "\n" PEOPLE "\nno newline at the end",
        "tree " TREE "\nparent " PARENT "\n" PEOPLE "\n",
        "tree " TREE "\nparent " PARENT "\n" PEOPLE,
        "tree " TREE "\nparent " PARENT "\nparent " PARENT2 "\nparent " PARENT "\n" PEOPLE
        "encoding ISO-8859-1\n" TAGGED SIGNED "\nmessage \xe4\n\n\n",
        "tree " TREE "\nparent " PARENT "\n" PEOPLE
        "x-unknown one\n two\n three\nHG:extra b\n\n\n",
        "tree " TREE "\nparent " PARENT "\nauthor nobody\nparent " PARENT2 "\n\nparent " PARENT
        "\n",
        "tree " TREE "\nparent " PARENT "\nparent short\n" PEOPLE "\nx",
    };
    for (size_t i = 0; i < ARRAY_LEN(commits); i++) {
        struct git_commit_parts parts = split(commits[i]);
        AUTO_BUF raw = {0};
        git_commit_join(&parts, &raw);
        ck_text(buf_bytes(&raw), commits[i]);
    }
}
END_TEST

START_TEST(any_bytes_come_back)
{
    struct chance chance;
    chance_init(&chance, "any_bytes_come_back");
    for (unsigned round = 0; round < 2000; round++) {
        AUTO_BUF raw = {0};
        buf_printf(&raw, "tree " TREE "\n");
        for (uint64_t n = chance_below(&chance, 4); n > 0; n--)
            buf_printf(&raw, "parent " PARENT "\n");
        for (uint64_t n = chance_below(&chance, 200); n > 0; n--) {
            static const char often[] = "\n\n  parent gpgsig\0\xff";
            uint8_t c = (uint8_t)often[chance_below(&chance, sizeof(often))];
            buf_append(&raw, &c, 1);
        }
        struct git_commit_parts parts;
        ck_assert_int_eq(git_commit_split(buf_bytes(&raw), &arena, &parts), OK);
        AUTO_BUF back = {0};
        git_commit_join(&parts, &back);
        ck_assert(bytes_equal(buf_bytes(&raw), buf_bytes(&back)));
        AUTO_BUF plain = {0};
        git_commit_unsign(parts.rest, &plain);
        ck_assert_uint_le(plain.len, parts.rest.len);
        struct bytes subject = git_commit_subject(parts.rest, 50, &arena);
        ck_assert_uint_le(subject.len, 50);
    }
}
END_TEST

START_TEST(other_trees_and_parents_can_be_put_in)
{
    struct git_commit_parts parts =
        split("tree " TREE "\nparent " PARENT "\nparent " PARENT2 "\n" PEOPLE "\nm\n");
    parts.tree = bytes_str(PARENT2);
    parts.parents = bytes_str(TREE);
    AUTO_BUF raw = {0};
    git_commit_join(&parts, &raw);
    ck_text(buf_bytes(&raw), "tree " PARENT2 "\nparent " TREE "\n" PEOPLE "\nm\n");
}
END_TEST

static void ck_unsigned(const char *rest, const char *expected)
{
    AUTO_BUF out = {0};
    git_commit_unsign(bytes_str(rest), &out);
    ck_text(buf_bytes(&out), expected);
}

START_TEST(signatures_go_and_the_rest_stays)
{
    ck_unsigned(PEOPLE SIGNED "\nmessage", PEOPLE "\nmessage");
    ck_unsigned(PEOPLE TAGGED SIGNED "x-after a\n b\n\nmessage\n",
                PEOPLE "x-after a\n b\n\nmessage\n");
    ck_unsigned(PEOPLE "gpgsig-sha256 a\n b\n\n", PEOPLE "\n");
    /* Only headers count, and only whole words. */
    ck_unsigned(PEOPLE "\n" SIGNED, PEOPLE "\n" SIGNED);
    ck_unsigned(PEOPLE "gpgsigned yes\n\nm", PEOPLE "gpgsigned yes\n\nm");
    ck_unsigned(PEOPLE "x a\n gpgsig b\n\nm", PEOPLE "x a\n gpgsig b\n\nm");
    ck_unsigned(PEOPLE "gpgsig cut", PEOPLE);
    ck_unsigned("", "");
}
END_TEST

static void ck_subject(const char *rest, const char *expected)
{
    ck_text(git_commit_subject(bytes_str(rest), 100, &arena), expected);
}

START_TEST(the_subject_is_the_first_paragraph)
{
    ck_subject(PEOPLE "\nsubject\n\nbody\n", "subject");
    ck_subject(PEOPLE "\nsubject", "subject");
    ck_subject(PEOPLE "\n\n \nlate\n", "late");
    ck_subject(PEOPLE "\none\n  two \r\n\r\nbody", "one two");
    ck_subject(PEOPLE "\n", "");
    ck_subject(PEOPLE, "");
    ck_subject("", "");
    ck_subject(PEOPLE "\na\tb\x01"
                      "c\x7f"
                      "d\n",
               "a b c d");
}
END_TEST

START_TEST(the_subject_is_utf8)
{
    ck_subject(PEOPLE "\n\xc3\xa4 \xe2\x98\x83 \xf0\x9f\x98\x80\n",
               "\xc3\xa4 \xe2\x98\x83 \xf0\x9f\x98\x80");
    ck_subject(PEOPLE "\n\xe4\xff\n", "\xc3\xa4\xc3\xbf");
    ck_subject(PEOPLE "encoding latin1\n\n\xe4\n", "\xc3\xa4");
    ck_subject(PEOPLE "encoding ISO-8859-1\n\n\xe4\n", "\xc3\xa4");
    ck_subject(PEOPLE "encoding KOI8-R\n\n\xf0 x\n", "\xef\xbf\xbd x");
    ck_subject(PEOPLE "x-encoding KOI8-R\n\n\xe4\n", "\xc3\xa4");
}
END_TEST

START_TEST(a_long_subject_is_cut_between_characters)
{
    struct bytes rest = bytes_str(PEOPLE "\n\xc3\xa4\xc3\xa4\xc3\xa4 \xe2\x98\x83\n");
    static const char *const cut[] = {"",
                                      "",
                                      "\xc3\xa4",
                                      "\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4\xc3\xa4",
                                      "\xc3\xa4\xc3\xa4\xc3\xa4 \xe2\x98\x83"};
    for (size_t max = 0; max < ARRAY_LEN(cut); max++)
        ck_text(git_commit_subject(rest, max, &arena), cut[max]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        parts_are_where_they_should_be,           what_is_no_commit_is_refused,
        a_commit_is_put_together_as_it_was,       any_bytes_come_back,
        other_trees_and_parents_can_be_put_in,    signatures_go_and_the_rest_stays,
        the_subject_is_the_first_paragraph,       the_subject_is_utf8,
        a_long_subject_is_cut_between_characters,
    };
    int status = suite_run("git_commit", tests, ARRAY_LEN(tests));
    arena_release(&arena);
    return status;
}
