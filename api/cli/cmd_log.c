#include <stdlib.h>

#include "api/cli/cli.h"
#include "api/cli/path_history.h"
#include "api/client/call.h"
#include "formats/hlc.h"

#define LOG_LIMIT 50u
#define LOG_PAGE  200u

static void entry_json(struct json_writer *w, const struct client_log_entry *e)
{
    jwr_u64(w, "position", e->position);
    jwr_text(w, "verdict", e->verdict);
    jwr_id16(w, "session", &e->session);
    jwr_text(w, "author", e->author);
    jwr_text(w, "goal", e->goal);
    jwr_decimal(w, "hlc", e->hlc);
    jwr_hash(w, "tree", &e->tree);
    jwr_array(w, "effects");
    for (size_t i = 0; i < e->n_effects; i++)
        cli_operation_json(w, &e->effects[i]);
    jwr_array_end(w);
}

static void entry_text(const struct client_log_entry *e)
{
    struct bytes goal = first_line(e->goal);
    printf("%llu  %s  %.*s  %.*s\n", (unsigned long long)e->position, cli_date(e->hlc).s,
           (int)e->author.len, e->author.data, (int)goal.len, goal.data);
}

static int log_of_project(struct cli *cli, struct bytes project, uint64_t limit,
                          struct json_writer *w)
{
    struct client_log page = {0};
    while (limit > 0) {
        size_t count = limit < LOG_PAGE ? (size_t)limit : LOG_PAGE;
        if (client_log(&cli->client, project, bytes_of(NULL, 0), page.next, count, &cli->arena,
                       &page) != OK)
            return cli_client_failed(cli, "log");
        for (size_t i = 0; i < page.n; i++) {
            if (!cli->json)
                entry_text(&page.entries[i]);
            jwr_object(w, NULL);
            entry_json(w, &page.entries[i]);
            jwr_object_end(w);
        }
        limit -= page.n < limit ? page.n : limit;
        if (page.next == 0)
            break;
    }
    return 0;
}

static int log_of_path(struct cli *cli, struct bytes project, struct bytes path, uint64_t limit,
                       struct json_writer *w)
{
    struct path_history history;
    path_history_open(&history, &cli->client, project, path, UINT64_MAX,
                      cli_flag(cli, "follow"), limit < LOG_PAGE ? (size_t)limit : LOG_PAGE,
                      &cli->arena);
    for (; limit > 0; limit--) {
        struct path_step step;
        if (path_history_next(&history, &step) != OK)
            return cli_client_failed(cli, cli->words[0]);
        if (step.entry == NULL)
            break;
        bool moved = step.moved_from.len > 0;
        if (!cli->json)
            entry_text(step.entry);
        if (!cli->json && moved)
            printf("    moved from %.*s\n", (int)step.moved_from.len, step.moved_from.data);
        jwr_object(w, NULL);
        entry_json(w, step.entry);
        jwr_text(w, "path", step.path);
        if (moved)
            jwr_text(w, "moved_from", step.moved_from);
        jwr_object_end(w);
    }
    return 0;
}

int cmd_log(struct cli *cli)
{
    uint64_t limit = LOG_LIMIT;
    const char *given = cli_value(cli, "limit", 0);
    if (given != NULL && (hlc_parse(bytes_str(given), &limit) != OK || limit == 0))
        return cli_usage(cli, "--limit \"%s\" is no number from 1", given);
    if (cli_flag(cli, "follow") && cli->n_words == 0)
        return cli_usage(cli, "--follow needs a path");
    struct bytes project, path = bytes_of(NULL, 0);
    int status = cli_project(cli, &project);
    if (status == 0 && cli->n_words > 0)
        status = cli_path(cli, cli->words[0], &path);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_array(&json.w, "entries");
    status = path.len > 0 ? log_of_path(cli, project, path, limit, &json.w)
                          : log_of_project(cli, project, limit, &json.w);
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    if (status == 0 && cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return status;
}
