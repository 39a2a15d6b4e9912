#include "pipeline/sys/file.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/folder.h"
#include "tests/support/suite.h"

/* Every test has a process and so a folder of its own. */
static char folder[] = "/tmp/mic-file-XXXXXX";

static void enter_folder(void)
{
    folder_make(folder);
    ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    folder_remove(folder);
}

/* No temporary is left beside the one entry. */
static void expect_only(const char *name)
{
    DIR *dir = opendir(".");
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            ck_assert_str_eq(entry->d_name, name);
        }
    }
    (void)closedir(dir);
}

START_TEST(errors_of_the_system)
{
    static const struct {
        int e;
        int err;
    } table[] = {
        {0, OK},
        {ENOENT, ERR_NOT_FOUND},
        {EEXIST, ERR_CONFLICT},
        {EACCES, ERR_DENIED},
        {EPERM, ERR_DENIED},
        {EROFS, ERR_DENIED},
        {ENOSPC, ERR_AGAIN},
        {EDQUOT, ERR_AGAIN},
        {EMFILE, ERR_AGAIN},
        {ENOTDIR, ERR_INVALID},
        {EIO, ERR_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        ck_assert_int_eq(err_from_errno(table[i].e), table[i].err);
    }
}
END_TEST

START_TEST(a_file_is_replaced_and_read)
{
    enter_folder();
    AUTO_BUF body = {0};
    ck_assert_int_eq(file_replace("f", bytes_str("first"), 0600, true), OK);
    ck_assert_int_eq(file_replace("f", bytes_str("second"), 0751, false), OK);
    ck_assert_int_eq(file_read("f", 100, &body), OK);
    ck_assert_int_eq(file_read("f", 6, &body), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str("secondsecond")));
    struct stat st;
    ck_assert_int_eq(stat("f", &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0751);
    expect_only("f");
    leave_folder();
}
END_TEST

START_TEST(reads_that_fail_append_nothing)
{
    enter_folder();
    AUTO_BUF body = {0};
    static const uint8_t data[200000];
    ck_assert_int_eq(file_read("missing", 100, &body), ERR_NOT_FOUND);
    ck_assert_int_eq(file_replace("f", bytes_of(data, sizeof(data)), 0600, false), OK);
    ck_assert_int_eq(file_read("f", sizeof(data) - 1, &body), ERR_LIMIT);
    ck_assert_int_eq(file_read(".", 100, &body), ERR_INVALID);
    ck_assert_uint_eq(body.len, 0);
    ck_assert_int_eq(file_read("f", sizeof(data), &body), OK);
    ck_assert_uint_eq(body.len, sizeof(data));
    ck_assert_int_eq(file_replace("empty", bytes_of(NULL, 0), 0600, true), OK);
    ck_assert_int_eq(file_read("empty", 0, &body), OK);
    leave_folder();
}
END_TEST

START_TEST(replacing_what_cannot_be)
{
    enter_folder();
    ck_assert_int_eq(file_replace("no/f", bytes_str("x"), 0600, true), ERR_NOT_FOUND);
    ck_assert_int_eq(file_mkdirs("folder/below"), OK);
    ck_assert_int_eq(file_replace("folder", bytes_str("x"), 0600, true), ERR_INVALID);
    expect_only("folder");
    leave_folder();
}
END_TEST

START_TEST(folders_are_made)
{
    enter_folder();
    char absolute[64];
    (void)snprintf(absolute, sizeof(absolute), "%s/x/y/", folder);
    const char *const good[] = {"a", "a/b/c", "a/b/c", "a//d/", "./e", absolute, "/"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct stat st;
        ck_assert_int_eq(file_mkdirs(good[i]), OK);
        ck_assert_int_eq(stat(good[i], &st), 0);
        ck_assert(S_ISDIR(st.st_mode));
    }
    ck_assert_int_eq(file_replace("f", bytes_str("x"), 0600, false), OK);
    ck_assert_int_eq(file_mkdirs("f"), ERR_INVALID);
    ck_assert_int_eq(file_mkdirs("f/g"), ERR_INVALID);
    ck_assert_int_eq(file_mkdirs(""), ERR_INVALID);
    leave_folder();
}
END_TEST

START_TEST(all_is_written_to_a_descriptor)
{
    enter_folder();
    static uint8_t data[300000];
    data[299999] = 7;
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fd_write_all(fd, bytes_of(data, sizeof(data))), OK);
    ck_assert_int_eq(fd_write_all(fd, bytes_of(NULL, 0)), OK);
    (void)close(fd);
    AUTO_BUF body = {0};
    ck_assert_int_eq(file_read("f", sizeof(data), &body), OK);
    ck_assert(bytes_equal(buf_bytes(&body), bytes_of(data, sizeof(data))));
    ck_assert_int_eq(fd_write_all(-1, bytes_str("x")), ERR_UNKNOWN);
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        errors_of_the_system,
        a_file_is_replaced_and_read,
        reads_that_fail_append_nothing,
        replacing_what_cannot_be,
        folders_are_made,
        all_is_written_to_a_descriptor,
    };
    return suite_run("file", tests, ARRAY_LEN(tests));
}
