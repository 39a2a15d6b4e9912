#include "api/cli/look.h"
#include "formats/base/hex.h"

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

int workspace_look(struct cli *cli, struct index *index, struct scan *scan)
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

static int status_json(struct cli *cli, struct index *index, struct scan *scan,
                       const struct id16 *session)
{
    int status = EXIT_DONE;
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
    if (cli_flag(cli, "remote"))
        status = cli_status_remote(cli, index, scan, w);
    jwr_object_end(w);
    int printed = cli_json_end(&json);
    return printed == EXIT_DONE ? status : printed;
}

int cmd_status(struct cli *cli)
{
    AUTO_INDEX index = {0};
    struct scan scan = {0};
    if (cli_value(cli, "guard", 0) != NULL && !cli_flag(cli, "remote"))
        return cli_usage(cli, "a guard is for --remote");
    int status = workspace_look(cli, &index, &scan);
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
    return cli_flag(cli, "remote") ? cli_status_remote(cli, &index, &scan, NULL) : EXIT_DONE;
}
