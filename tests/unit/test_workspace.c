#include "api/cli/workspace.h"
#include "pipeline/sys/file.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[] = "/tmp/test_workspace.XXXXXX";
static char root[100];
static char outside[100];

static void made(struct workspace *ws)
{
    folder_make(top);
    snprintf(root, sizeof(root), "%s/ws", top);
    snprintf(outside, sizeof(outside), "%s/outside", top);
    ck_assert_int_eq(file_mkdirs(root), OK);
    ck_assert_int_eq(file_mkdirs(outside), OK);
    struct id16 project = {{7}};
    ck_assert_int_eq(workspace_create(root, "http://x", &project, bytes_str("demo")), OK);
    ck_assert_int_eq(workspace_open(ws, root), OK);
}

static void removed(struct workspace *ws)
{
    workspace_close(ws);
    folder_remove(top);
}

static bool exists(const char *dir, const char *name)
{
    char path[300];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return lstat(path, &st) == 0;
}

static int create(struct workspace *ws, const char *path, const char *text)
{
    struct stat_mark mark;
    return worktree_create(&ws->tree, bytes_str(path), KIND_FILE, MODE_PLAIN, bytes_str(text),
                           &mark);
}

static int replace(struct workspace *ws, const char *path, const char *text)
{
    struct stat_mark mark;
    return worktree_replace(&ws->tree, bytes_str(path), KIND_FILE, MODE_PLAIN, bytes_str(text),
                            &mark);
}

START_TEST(found_from_below)
{
    struct workspace ws;
    made(&ws);
    ck_assert_str_eq(ws.handle, "demo");
    ck_assert_str_eq(ws.url, "http://x");
    ck_assert_int_eq(ws.project.b[0], 7);
    char below[200];
    snprintf(below, sizeof(below), "%s/a/b/c", root);
    ck_assert_int_eq(file_mkdirs(below), OK);
    struct workspace same;
    ck_assert_int_eq(workspace_open(&same, below), OK);
    ck_assert_str_eq(same.root, ws.root);
    workspace_close(&same);
    ck_assert_int_eq(workspace_open(&same, outside), ERR_NOT_FOUND);
    removed(&ws);
}
END_TEST

START_TEST(paths_of_the_user)
{
    struct workspace ws;
    made(&ws);
    AUTO(arena_release) struct arena arena = {0};
    struct bytes path;
    char below[200];
    snprintf(below, sizeof(below), "%s/d/e", ws.root);
    ck_assert_int_eq(workspace_path(&ws, below, "f", &arena, &path), OK);
    ck_assert(bytes_equal(path, bytes_str("d/e/f")));
    ck_assert_int_eq(workspace_path(&ws, below, "../x/./y//", &arena, &path), OK);
    ck_assert(bytes_equal(path, bytes_str("d/x/y")));
    ck_assert_int_eq(workspace_path(&ws, below, "../..", &arena, &path), OK);
    ck_assert_uint_eq(path.len, 0);
    ck_assert_int_eq(workspace_path(&ws, below, "../../..", &arena, &path), ERR_INVALID);
    ck_assert_int_eq(workspace_path(&ws, below, "../../../ws2/a", &arena, &path), ERR_INVALID);
    ck_assert_int_eq(workspace_path(&ws, below, "/etc", &arena, &path), ERR_INVALID);
    char whole[300];
    snprintf(whole, sizeof(whole), "%s/q", ws.root);
    ck_assert_int_eq(workspace_path(&ws, "/", whole, &arena, &path), OK);
    ck_assert(bytes_equal(path, bytes_str("q")));
    removed(&ws);
}
END_TEST

START_TEST(writes_stay_inside)
{
    struct workspace ws;
    made(&ws);
    char name[200];
    snprintf(name, sizeof(name), "%s/link", root);
    ck_assert_int_eq(symlink(outside, name), 0);
    ck_assert_int_eq(create(&ws, "link/x", "evil"), ERR_CONFLICT);
    ck_assert_int_eq(replace(&ws, "link/x", "evil"), ERR_CONFLICT);
    ck_assert_int_eq(create(&ws, "link/deep/x", "evil"), ERR_CONFLICT);
    ck_assert(!exists(outside, "x"));
    ck_assert(!exists(outside, "deep"));
    /* A link in the file's own place is replaced, not followed. */
    snprintf(name, sizeof(name), "%s/file", root);
    char victim[200];
    snprintf(victim, sizeof(victim), "%s/victim", outside);
    ck_assert_int_eq(symlink(victim, name), 0);
    ck_assert_int_eq(create(&ws, "file", "evil"), ERR_CONFLICT);
    ck_assert_int_eq(replace(&ws, "file", "mine"), OK);
    ck_assert(!exists(outside, "victim"));
    struct stat st;
    ck_assert_int_eq(worktree_stat(&ws.tree, bytes_str("file"), &st), OK);
    ck_assert(S_ISREG(st.st_mode));
    /* Nothing is removed or read through one, either. */
    FILE *f = fopen(victim, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    ck_assert_int_eq(worktree_remove(&ws.tree, bytes_str("link/victim")), OK);
    ck_assert(exists(outside, "victim"));
    AUTO_BUF text = {0};
    ck_assert_int_eq(worktree_read(&ws.tree, bytes_str("link/victim"), 10, &text, &st),
                     ERR_NOT_FOUND);
    removed(&ws);
}
END_TEST

/* A directory that was opened before somebody put a link in its place. */
START_TEST(a_directory_swapped_for_a_link)
{
    struct workspace ws;
    made(&ws);
    ck_assert_int_eq(create(&ws, "d/one", "1"), OK);
    char a[200], b[200];
    snprintf(a, sizeof(a), "%s/d", root);
    snprintf(b, sizeof(b), "%s/e", root);
    ck_assert_int_eq(rename(a, b), 0);
    ck_assert_int_eq(symlink(outside, a), 0);
    (void)!create(&ws, "d/two", "2");
    ck_assert(!exists(outside, "two"));
    removed(&ws);
}
END_TEST

START_TEST(files_and_directories_give_way)
{
    struct workspace ws;
    made(&ws);
    ck_assert_int_eq(create(&ws, "a/b/c", "1"), OK);
    ck_assert_int_eq(create(&ws, "a/b/c", "2"), ERR_CONFLICT);
    ck_assert_int_eq(create(&ws, "a/b/c/d", "2"), ERR_CONFLICT);
    ck_assert_int_eq(replace(&ws, "a/b", "2"), ERR_CONFLICT); /* not empty */
    ck_assert_int_eq(worktree_remove(&ws.tree, bytes_str("a/b/c")), OK);
    ck_assert(!exists(root, "a"));
    ck_assert_int_eq(worktree_remove(&ws.tree, bytes_str("a/b/c")), OK);
    ck_assert_int_eq(create(&ws, "a/b/c", "3"), OK); /* not into a directory that is gone */
    ck_assert(exists(root, "a/b/c"));
    char empty[200];
    snprintf(empty, sizeof(empty), "%s/empty", root);
    ck_assert_int_eq(mkdir(empty, 0700), 0);
    ck_assert_int_eq(replace(&ws, "empty", "now a file"), OK);
    struct stat st;
    ck_assert_int_eq(worktree_stat(&ws.tree, bytes_str("empty"), &st), OK);
    ck_assert(S_ISREG(st.st_mode));
    removed(&ws);
}
END_TEST

START_TEST(the_lock_holds_between_processes)
{
    struct workspace ws;
    made(&ws);
    ck_assert_int_eq(workspace_lock(&ws, clock_system(), 0), OK);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct workspace other;
        int err = workspace_open(&other, root);
        err = err == OK ? workspace_lock(&other, clock_system(), 50) : err;
        _exit(err == ERR_AGAIN ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    workspace_unlock(&ws);
    struct workspace other;
    ck_assert_int_eq(workspace_open(&other, root), OK);
    ck_assert_int_eq(workspace_lock(&other, clock_system(), 0), OK);
    workspace_close(&other);
    removed(&ws);
}
END_TEST

START_TEST(session_and_journal)
{
    struct workspace ws;
    made(&ws);
    struct id16 id = {{1, 2, 3}}, back;
    ck_assert_int_eq(workspace_session(&ws, &back), ERR_NOT_FOUND);
    ck_assert_int_eq(workspace_session_set(&ws, &id), OK);
    ck_assert_int_eq(workspace_session(&ws, &back), OK);
    ck_assert(id16_equal(&id, &back));
    ck_assert_int_eq(workspace_drop(&ws, "session"), OK);
    ck_assert_int_eq(workspace_drop(&ws, "session"), OK);
    ck_assert_int_eq(workspace_session(&ws, &back), ERR_NOT_FOUND);
    AUTO(arena_release) struct arena arena = {0};
    struct journal_merge merge = {.path = bytes_str("a \"b\""),
                                  .before = {{1}},
                                  .after = {{2}},
                                  .mode = MODE_EXEC,
                                  .conflict = bytes_str("why")};
    struct journal journal = {.kind = JOURNAL_SYNC, .position = 5, .merges = &merge, .n = 1};
    journal.tree.b[0] = 9;
    struct journal read;
    ck_assert_int_eq(journal_get(&ws, &arena, &read), ERR_NOT_FOUND);
    ck_assert_int_eq(journal_put(&ws, &journal), OK);
    ck_assert_int_eq(journal_get(&ws, &arena, &read), OK);
    ck_assert_int_eq(read.kind, JOURNAL_SYNC);
    ck_assert_uint_eq(read.position, 5);
    ck_assert(hash_equal(&read.tree, &journal.tree));
    ck_assert_uint_eq(read.n, 1);
    ck_assert(bytes_equal(read.merges[0].path, merge.path));
    ck_assert(bytes_equal(read.merges[0].conflict, merge.conflict));
    ck_assert_int_eq(read.merges[0].mode, MODE_EXEC);
    ck_assert(hash_equal(&read.merges[0].before, &merge.before));
    ck_assert_int_eq(workspace_put(&ws, "journal", bytes_str("{\"kind\":")), OK);
    ck_assert_int_eq(journal_get(&ws, &arena, &read), ERR_CORRUPT);
    removed(&ws);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        found_from_below,
        paths_of_the_user,
        writes_stay_inside,
        a_directory_swapped_for_a_link,
        files_and_directories_give_way,
        the_lock_holds_between_processes,
        session_and_journal,
    };
    return suite_run("workspace", tests, ARRAY_LEN(tests));
}
