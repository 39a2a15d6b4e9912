#include <stdlib.h>

#include "api/cli/diff.h"
#include "api/cli/renames.h"
#include "api/client/call.h"
#include "formats/base/hex.h"

/* Files of a landing whose lines are shown to a person: an import has any number. */
#define HUNKS_FILES_MAX 1000u

void cli_operation_json(struct json_writer *w, const struct client_operation *op)
{
    jwr_object(w, NULL);
    jwr_text(w, "op", op->op);
    jwr_text(w, "path", op->path);
    if (op->source.len > 0)
        jwr_text(w, "source", op->source);
    if (op->kind != KIND_NONE) {
        jwr_str(w, "kind", kind_name(op->kind));
        if (op->kind == KIND_FILE)
            jwr_str(w, "mode", op->mode == MODE_EXEC ? "0755" : "0644");
        jwr_u64(w, "size", op->size);
        jwr_hash(w, "hash", &op->hash);
    }
    jwr_object_end(w);
}

static void said_json(struct json_writer *w, const char *name, const struct client_said *said,
                      size_t n)
{
    jwr_array(w, name);
    for (size_t i = 0; i < n; i++) {
        jwr_object(w, NULL);
        if (said[i].role.len > 0)
            jwr_text(w, "role", said[i].role);
        jwr_text(w, "text", said[i].text);
        jwr_decimal(w, "hlc", said[i].hlc);
        jwr_object_end(w);
    }
    jwr_array_end(w);
}

void cli_session_json(struct json_writer *w, const struct client_session *s,
                      struct arena *arena)
{
    jwr_text(w, "state", s->state);
    jwr_text(w, "author", s->row.author);
    jwr_text(w, "goal", s->row.goal);
    jwr_u64(w, "base", s->row.base);
    if (s->position > 0)
        jwr_u64(w, "position", s->position);
    jwr_object(w, "attributes");
    for (size_t i = 0; i < s->n_attributes; i++)
        jwr_text(w, arena_str(arena, s->attributes[i].name), s->attributes[i].value);
    jwr_object_end(w);
    jwr_array(w, "operations");
    for (size_t i = 0; i < s->n_operations; i++)
        cli_operation_json(w, &s->operations[i]);
    jwr_array_end(w);
    jwr_array(w, "guards");
    for (size_t i = 0; i < s->n_guards; i++) {
        jwr_object(w, NULL);
        jwr_text(w, "path", s->guards[i].path);
        client_seen_json(w, "seen", &s->guards[i].seen);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    said_json(w, "decisions", s->decisions, s->n_decisions);
    said_json(w, "conversation", s->turns, s->n_turns);
}

static void indented(struct bytes text)
{
    while (text.len > 0) {
        struct bytes line = first_line(text);
        printf("    %.*s\n", (int)line.len, line.data);
        size_t step = line.len < text.len ? line.len + 1 : line.len;
        text = bytes_of(text.data + step, text.len - step);
    }
}

static void session_text(const struct client_session *s)
{
    printf("author  %.*s\nbase    %llu\n\n", (int)s->row.author.len, s->row.author.data,
           (unsigned long long)s->row.base);
    indented(s->row.goal);
    if (s->n_turns > 0)
        printf("\nconversation\n");
    for (size_t i = 0; i < s->n_turns; i++) {
        printf("  %.*s\n", (int)s->turns[i].role.len, s->turns[i].role.data);
        indented(s->turns[i].text);
    }
    if (s->n_decisions > 0)
        printf("\ndecisions\n");
    for (size_t i = 0; i < s->n_decisions; i++)
        indented(s->decisions[i].text);
    if (s->n_guards > 0)
        printf("\nrelied on\n");
    for (size_t i = 0; i < s->n_guards; i++)
        printf("    %s%.*s\n", s->guards[i].path.len == 0 ? "." : "",
               (int)s->guards[i].path.len, s->guards[i].path.data);
    if (s->n_operations > 0)
        printf("\nchanges\n");
    for (size_t i = 0; i < s->n_operations; i++)
        printf("    %-7.*s %.*s\n", (int)s->operations[i].op.len, s->operations[i].op.data,
               (int)s->operations[i].path.len, s->operations[i].path.data);
}

/* The object stays open. */
static void landing_json(struct json_writer *w, const struct client_log_entry *e,
                         struct client_session *session, struct arena *arena)
{
    jwr_object(w, NULL);
    jwr_u64(w, "position", e->position);
    jwr_id16(w, "session", &e->session);
    jwr_decimal(w, "hlc", e->hlc);
    jwr_hash(w, "tree", &e->tree);
    jwr_array(w, "effects");
    for (size_t i = 0; i < e->n_effects; i++)
        cli_operation_json(w, &e->effects[i]);
    jwr_array_end(w);
    session->position = 0;
    cli_session_json(w, session, arena);
}

/* What the landing changed, with its lines. */
static int hunks(struct cli *cli, struct bytes project, uint64_t position,
                 struct json_writer *w)
{
    struct diff diff = {.cli = cli, .project = project, .from = position - 1, .to = position};
    if (changes_between(&cli->client, project, diff.from, diff.to, bytes_of(NULL, 0),
                        &cli->arena, &diff.changes) != OK)
        return cli_client_failed(cli, "show");
    if (!cli->json && diff.changes.n > 0)
        printf("\n");
    return diff_print(&diff, cli->json ? SIZE_MAX : HUNKS_FILES_MAX, w);
}

int cmd_show(struct cli *cli)
{
    uint64_t position = 0;
    struct bytes project;
    int status = cli_position(cli, cli->words[0], &position);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status != 0)
        return status;
    struct client_log log;
    if (client_log(&cli->client, project, bytes_of(NULL, 0), position, 1, &cli->arena, &log) !=
        OK)
        return cli_client_failed(cli, "show");
    if (log.n == 0 || log.entries[0].position != position)
        return cli_fail(cli, "there is no landing %llu", (unsigned long long)position);
    const struct client_log_entry *e = &log.entries[0];
    struct client_session session;
    if (client_session_get(&cli->client, project, &e->session, &cli->arena, &session) != OK)
        return cli_client_failed(cli, "show");
    struct cli_json json;
    cli_json_begin(&json);
    if (cli->json) {
        landing_json(&json.w, e, &session, &cli->arena);
    } else {
        printf("landing %llu\nsession %s\ndate    %s\n", (unsigned long long)position,
               id16_hex(&e->session).s, cli_date(e->hlc).s);
        session_text(&session);
    }
    status = cli_flag(cli, "brief") ? 0 : hunks(cli, project, position, &json.w);
    if (cli->json)
        jwr_object_end(&json.w);
    if (status == 0 && cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return status;
}

int cmd_session_show(struct cli *cli)
{
    struct bytes project;
    struct id16 id = {0};
    int status = cli_project(cli, &project);
    if (status != 0)
        return status;
    if (cli->n_words > 0) {
        if (id16_parse(bytes_str(cli->words[0]), &id) != OK)
            return cli_usage(cli, "\"%s\" is no session: it is 32 hex digits", cli->words[0]);
    } else if (!cli->has_ws || workspace_session(&cli->ws, &id) != OK) {
        return cli_fail(cli, "no session was started here: mic session start -m GOAL");
    }
    struct client_session session;
    if (client_session_get(&cli->client, project, &id, &cli->arena, &session) != OK)
        return cli_client_failed(cli, "session show");
    if (cli->json) {
        struct cli_json json;
        cli_json_begin(&json);
        jwr_object(&json.w, NULL);
        jwr_id16(&json.w, "id", &id);
        cli_session_json(&json.w, &session, &cli->arena);
        jwr_object_end(&json.w);
        return cli_json_end(&json);
    }
    printf("session %s\nstate   %.*s\n", id16_hex(&id).s, (int)session.state.len,
           session.state.data);
    if (session.position > 0)
        printf("landing %llu\n", (unsigned long long)session.position);
    session_text(&session);
    return EXIT_DONE;
}
