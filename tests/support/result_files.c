#include "tests/support/result_files.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

struct look {
    const char *part; /* NULL: any */
    bool fresh;
    size_t n;
    char found[RESULT_FILES_PATH_MAX];
};

static void look_into(struct look *look, const char *folder)
{
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' ||
            (look->part != NULL && strstr(entry->d_name, look->part) == NULL))
            continue;
        look->n++;
        ck_assert_int_lt(
            snprintf(look->found, sizeof(look->found), "%s/%s", folder, entry->d_name),
            (int)sizeof(look->found));
    }
    (void)closedir(dir);
}

static void look_below(struct look *look, const char *dir)
{
    char root[RESULT_FILES_PATH_MAX / 2];
    struct stat st;
    (void)snprintf(root, sizeof(root), "%s/results", dir);
    if (stat(root, &st) != 0)
        (void)snprintf(root, sizeof(root), "%s", dir);
    DIR *folders = opendir(root);
    ck_assert_ptr_nonnull(folders);
    struct dirent *entry;
    while ((entry = readdir(folders)) != NULL) {
        char folder[RESULT_FILES_PATH_MAX];
        bool fresh = strcmp(entry->d_name, "new") == 0;
        (void)snprintf(folder, sizeof(folder), "%s/%s", root, entry->d_name);
        if (entry->d_name[0] != '.' && fresh == look->fresh && stat(folder, &st) == 0 &&
            S_ISDIR(st.st_mode))
            look_into(look, folder);
    }
    (void)closedir(folders);
}

size_t result_files_count(const char *dir)
{
    struct look look = {0};
    look_below(&look, dir);
    return look.n;
}

size_t result_files_fresh(const char *dir)
{
    struct look look = {.fresh = true};
    look_below(&look, dir);
    return look.n;
}

void result_files_find(const char *dir, const char *part, char out[RESULT_FILES_PATH_MAX])
{
    struct look look = {.part = part};
    look_below(&look, dir);
    ck_assert_uint_eq(look.n, 1);
    memcpy(out, look.found, sizeof(look.found));
}
