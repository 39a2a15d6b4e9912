#include "api/cli/cli.h"
#include "formats/base/hex.h"
#include "formats/path.h"

#define WAIT_MS 30000u

/* The session that was started here, with the workspace locked and the client open. */
static int current(struct cli *cli, struct id16 *session, struct bytes *project)
{
    int status = cli_lock_workspace(cli);
    if (status == 0)
        status = cli_author(cli);
    if (status == 0)
        status = cli_project(cli, project);
    if (status != 0)
        return status;
    if (workspace_session(&cli->ws, session) != OK)
        return cli_fail(cli, "no session was started here: mic session start -m GOAL");
    return 0;
}

static int done_json(struct cli *cli, const struct id16 *session)
{
    if (!cli->json)
        return EXIT_DONE;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_id16(&json.w, "session", session);
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}

static int text_ok(struct cli *cli, const char *what, const char *text, size_t max)
{
    size_t len = strlen(text);
    if (len == 0 || len > max || !utf8_ok(bytes_of(text, len)))
        return cli_usage(cli, "the %s must be 1 to %zu bytes of UTF-8", what, max);
    return 0;
}

int cmd_session_start(struct cli *cli)
{
    const char *goal = cli_value(cli, "message", 0);
    if (goal == NULL)
        return cli_usage(cli, "a goal is missing: -m GOAL says what the session is for");
    int status = text_ok(cli, "goal", goal, GOAL_LEN_MAX);
    if (status == 0)
        status = cli_lock_workspace(cli);
    if (status == 0)
        status = cli_author(cli);
    struct bytes project;
    if (status == 0)
        status = cli_project(cli, &project);
    if (status != 0)
        return status;
    struct id16 session;
    if (workspace_session(&cli->ws, &session) == OK)
        return cli_fail(cli,
                        "session %s was started here: mic land, or mic session abandon, "
                        "comes first",
                        id16_hex(&session).s);
    AUTO_INDEX index = {0};
    int err = index_load(&cli->ws, &index);
    if (err != OK)
        return cli_fail(cli, "the workspace cannot be read (%s)", err_name(err));
    if (client_session_start(&cli->client, project, cli_key(cli), bytes_str(goal),
                             index.position, &session) != OK)
        return cli_client_failed(cli, "session start");
    err = workspace_session_set(&cli->ws, &session);
    if (err != OK)
        return cli_fail(cli, ".mic/session cannot be written (%s)", err_name(err));
    if (!cli->json)
        printf("%s\n", id16_hex(&session).s);
    return done_json(cli, &session);
}

static int write_one(struct cli *cli, const struct record *records, size_t n)
{
    struct id16 session;
    struct bytes project;
    int status = current(cli, &session, &project);
    if (status != 0)
        return status;
    if (client_session_write(&cli->client, project, &session, cli_key(cli), records, n) != OK)
        return cli_client_failed(cli, cli->command->name);
    return done_json(cli, &session);
}

int cmd_session_note(struct cli *cli)
{
    const char *role = cli_value(cli, "role", 0);
    if (role == NULL)
        role = "user";
    int status = text_ok(cli, "role", role, ROLE_LEN_MAX);
    if (status == 0)
        status = text_ok(cli, "note", cli->words[0], TEXT_LEN_MAX);
    if (status != 0)
        return status;
    struct record record = {.kind = RECORD_CONVERSATION};
    record.conversation.role = bytes_str(role);
    record.conversation.text = bytes_str(cli->words[0]);
    return write_one(cli, &record, 1);
}

int cmd_session_decide(struct cli *cli)
{
    int status = text_ok(cli, "decision", cli->words[0], TEXT_LEN_MAX);
    struct record record = {.kind = RECORD_DECISION, .decision = bytes_str(cli->words[0])};
    return status != 0 ? status : write_one(cli, &record, 1);
}

int cmd_session_guard(struct cli *cli)
{
    int status = cli_open_workspace(cli);
    if (status != 0)
        return status;
    AUTO_INDEX index = {0};
    int err = index_load(&cli->ws, &index);
    if (err != OK)
        return cli_fail(cli, "the workspace cannot be read (%s)", err_name(err));
    struct record *records = arena_array(&cli->arena, cli->n_words, struct record);
    for (size_t i = 0; i < cli->n_words; i++) {
        records[i].kind = RECORD_GUARD;
        records[i].guard.base = index.position;
        status = cli_path(cli, cli->words[i], &records[i].guard.path);
        if (status != 0)
            return status;
    }
    return write_one(cli, records, cli->n_words);
}

int cmd_session_list(struct cli *cli)
{
    struct bytes project;
    int status = cli_project(cli, &project);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_array(&json.w, "sessions");
    struct client_session_rows page = {0};
    do {
        if (client_session_list(&cli->client, project, page.next, &cli->arena, &page) != OK) {
            buf_release(&json.text);
            return cli_client_failed(cli, "session list");
        }
        for (size_t i = 0; i < page.n; i++) {
            const struct client_session_row *row = &page.rows[i];
            struct bytes goal = first_line(row->goal);
            if (!cli->json)
                printf("%s  %s  %.*s  %.*s\n", id16_hex(&row->id).s, cli_date(row->updated).s,
                       (int)row->author.len, row->author.data, (int)goal.len, goal.data);
            jwr_object(&json.w, NULL);
            jwr_id16(&json.w, "id", &row->id);
            jwr_text(&json.w, "author", row->author);
            jwr_text(&json.w, "goal", row->goal);
            jwr_u64(&json.w, "base", row->base);
            jwr_decimal(&json.w, "created", row->created);
            jwr_decimal(&json.w, "updated", row->updated);
            jwr_u64(&json.w, "operations", row->operations);
            jwr_object_end(&json.w);
        }
    } while (page.next.len > 0);
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    if (cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return EXIT_DONE;
}

int cmd_session_abandon(struct cli *cli)
{
    struct id16 session;
    struct bytes project;
    int status = current(cli, &session, &project);
    if (status != 0)
        return status;
    struct bytes reason = cli->n_words > 0 ? bytes_str(cli->words[0]) : bytes_of(NULL, 0);
    struct client_landed landed;
    int err = client_session_abandon(&cli->client, project, &session, reason, WAIT_MS,
                                     &cli->arena, &landed);
    if (err != OK)
        return cli_client_failed(cli, "session abandon");
    err = workspace_drop(&cli->ws, "session");
    if (err != OK)
        return cli_fail(cli, ".mic/session cannot be removed (%s)", err_name(err));
    /* It may have landed, by somebody else's request, before it could be given up. */
    bool is_landed = landed.n > 0 && landed.landings[0].verdict == VERDICT_LANDED;
    if (is_landed)
        return cli_fail(cli, "the session has landed as %llu before it could be abandoned",
                        (unsigned long long)landed.landings[0].position);
    if (!cli->json)
        cli_say(cli, "abandoned %s", id16_hex(&session).s);
    return done_json(cli, &session);
}
