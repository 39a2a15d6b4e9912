#include <stdlib.h>

#include "api/cli/cli.h"
#include "api/cli/merge.h"
#include "api/client/call.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/path.h"

static const char *state_name(enum scan_state state)
{
    switch (state) {
    case SCAN_ADDED:
        return "added";
    case SCAN_MODIFIED:
        return "modified";
    case SCAN_DELETED:
        return "deleted";
    }
    return "";
}

/* Reads index and files. What was read anew is kept for the next time, if nobody else is at
 * work here. */
static int look(struct cli *cli, struct index *index, struct scan *scan)
{
    int status = cli_open_workspace(cli);
    if (status != 0)
        return status;
    struct journal journal;
    if (journal_get(&cli->ws, &cli->arena, &journal) == OK)
        cli_say(cli, "a %s was interrupted here: mic sync finishes it",
                journal.kind == JOURNAL_CHECKOUT ? "checkout" : "sync");
    bool locked = workspace_lock(&cli->ws, cli->env->clock, 0) == OK;
    int err = index_load(&cli->ws, index);
    if (err == OK)
        err = scan_run(&cli->ws, index, &cli->arena, scan);
    if (err == OK && locked && scan->index_dirty)
        (void)!index_save(&cli->ws, index);
    workspace_unlock(&cli->ws);
    if (err == ERR_NOT_FOUND)
        return cli_fail(cli, "the checkout of this workspace is not finished: run it again");
    return err == OK ? 0 : cli_fail(cli, "the workspace cannot be read (%s)", err_name(err));
}

static int status_json(struct cli *cli, const struct index *index, const struct scan *scan,
                       const struct id16 *session)
{
    struct cli_json json;
    cli_json_begin(&json);
    struct json_writer *w = &json.w;
    jwr_object(w, NULL);
    jwr_id16(w, "project", &cli->ws.project);
    jwr_str(w, "handle", cli->ws.handle);
    jwr_u64(w, "position", index->position);
    if (session != NULL)
        jwr_id16(w, "session", session);
    jwr_array(w, "changes");
    for (size_t i = 0; i < scan->n; i++) {
        jwr_object(w, NULL);
        jwr_text(w, "path", scan->items[i].path);
        jwr_str(w, "state", state_name(scan->items[i].state));
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_array(w, "left_out");
    for (size_t i = 0; i < scan->n_skipped; i++) {
        jwr_object(w, NULL);
        jwr_text(w, "path", scan->skipped[i].path);
        jwr_str(w, "why", scan->skipped[i].why);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_u64(w, "files", scan->files);
    jwr_u64(w, "files_read", scan->read);
    jwr_object_end(w);
    return cli_json_end(&json);
}

int cmd_status(struct cli *cli)
{
    AUTO_INDEX index = {0};
    struct scan scan = {0};
    int status = look(cli, &index, &scan);
    if (status != 0)
        return status;
    struct id16 session;
    bool started = workspace_session(&cli->ws, &session) == OK;
    if (cli->json)
        return status_json(cli, &index, &scan, started ? &session : NULL);
    printf("%s at position %llu\n", cli->ws.handle, (unsigned long long)index.position);
    if (started)
        printf("session %s\n", id16_hex(&session).s);
    for (size_t i = 0; i < scan.n; i++)
        printf("%-9s %.*s\n", state_name(scan.items[i].state), (int)scan.items[i].path.len,
               scan.items[i].path.data);
    for (size_t i = 0; i < scan.n_skipped; i++)
        cli_say(cli, "left out: %.*s %s", (int)scan.skipped[i].path.len,
                scan.skipped[i].path.data, scan.skipped[i].why);
    if (scan.n == 0)
        printf("nothing is changed\n");
    return EXIT_DONE;
}

/* ---- diff -------------------------------------------------------------------------------- */

static unsigned git_mode(enum kind kind, uint16_t mode)
{
    if (kind == KIND_LINK)
        return 0120000;
    return mode == MODE_EXEC ? 0100755 : 0100644;
}

static bool is_wanted(const struct bytes *wanted, size_t n, struct bytes path)
{
    bool any = n == 0;
    for (size_t i = 0; i < n && !any; i++)
        any = bytes_equal(wanted[i], path) || path_below(path, wanted[i]);
    return any;
}

static int diff_one(struct cli *cli, const struct index *index, const struct scan_item *item,
                    struct buf *out)
{
    AUTO_BUF before = {0};
    AUTO_BUF after = {0};
    struct diff_side a = {0}, b = {0};
    struct id16_hex id = id16_hex(&cli->ws.project);
    const struct index_entry *base = item->base;
    char *path = arena_str(&cli->arena, item->path);
    if (base != NULL) {
        a = (struct diff_side){.there = true, .mode = git_mode(base->kind, base->mode)};
        /* Nobody reads a diff of so much; that it differs is told without its bytes. */
        if (base->size > MERGE_MAX) {
            buf_append(&before, "", 1);
        } else {
            int status = cli_open_client(cli);
            if (status != 0)
                return status;
            if (base_read(&cli->client, bytes_str(id.s), item->path, index->position,
                          &base->hash, base->size, &before) != OK)
                return cli_client_failed(cli, path);
        }
    }
    if (item->state != SCAN_DELETED) {
        struct stat st;
        b = (struct diff_side){.there = true, .mode = git_mode(item->kind, item->mode)};
        int err = worktree_read(&cli->ws.tree, item->path, MERGE_MAX, &after, &st);
        if (err == ERR_LIMIT) {
            buf_clear(&after);
            buf_append(&after, "\0\0", 2);
        } else if (err != OK) {
            return cli_fail(cli, "%s cannot be read (%s)", path, err_name(err));
        }
    }
    a.text = buf_bytes(&before);
    b.text = buf_bytes(&after);
    if (diff_text(path, &a, &b, out) != OK)
        return cli_fail(cli, "%s cannot be compared", path);
    return 0;
}

int cmd_diff(struct cli *cli)
{
    AUTO_INDEX index = {0};
    struct scan scan = {0};
    int status = look(cli, &index, &scan);
    struct bytes *wanted = arena_array(&cli->arena, cli->n_words, struct bytes);
    for (size_t i = 0; i < cli->n_words && status == 0; i++)
        status = cli_path(cli, cli->words[i], &wanted[i]);
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_u64(&json.w, "position", index.position);
    jwr_array(&json.w, "changes");
    for (size_t i = 0; i < scan.n && status == 0; i++) {
        const struct scan_item *item = &scan.items[i];
        if (!is_wanted(wanted, cli->n_words, item->path))
            continue;
        AUTO_BUF text = {0};
        status = diff_one(cli, &index, item, &text);
        if (status == 0 && !cli->json)
            status = cli_print(buf_bytes(&text));
        jwr_object(&json.w, NULL);
        jwr_text(&json.w, "path", item->path);
        jwr_str(&json.w, "state", state_name(item->state));
        jwr_text(&json.w, "diff", buf_bytes(&text));
        jwr_object_end(&json.w);
    }
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    if (status == 0 && cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return status;
}
