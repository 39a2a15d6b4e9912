/* Histories of git, in and out. */
#include "api/cli/cli.h"
#include "api/git/git.h"
#include "formats/path.h"

/* Paths that are shown on a terminal; --json has more. */
#define SHOWN_MAX 50u

static void left_out_tell(struct cli *cli, const struct git_report *report)
{
    uint64_t n = git_report_left_out(report);
    if (n == 0)
        return;
    cli_say(cli,
            "%llu path%s of the history cannot be held as git has %s:", (unsigned long long)n,
            n == 1 ? "" : "s", n == 1 ? "it" : "them");
    for (size_t i = 0; i < report->n_left_out && i < SHOWN_MAX; i++) {
        const struct git_left_out *left = &report->left_out[i];
        fprintf(stderr, "  %.*s %.*s (%.*s)\n", (int)left->path.len,
                (const char *)left->path.data, (int)left->detail.len,
                (const char *)left->detail.data, left->commit.len < 12 ? 0 : 12,
                (const char *)left->commit.data);
    }
    if (n > SHOWN_MAX)
        fprintf(stderr, "  … and %llu more\n", (unsigned long long)(n - SHOWN_MAX));
}

static void left_out_json(struct json_writer *w, const struct git_report *report)
{
    jwr_object(w, "left_out");
    for (enum git_why why = GIT_WHY_SUBMODULE; why < (enum git_why)GIT_WHYS; why++)
        jwr_u64(w, git_why_name(why), report->left_out_by[why]);
    jwr_object_end(w);
    jwr_array(w, "left_out_paths");
    for (size_t i = 0; i < report->n_left_out; i++) {
        const struct git_left_out *left = &report->left_out[i];
        jwr_object(w, NULL);
        jwr_text(w, "path", left->path);
        jwr_str(w, "why", git_why_name(left->why));
        jwr_text(w, "detail", left->detail);
        jwr_text(w, "commit", left->commit);
        jwr_object_end(w);
    }
    jwr_array_end(w);
}

static int report_json(const struct git_report *report, bool import)
{
    struct cli_json json;
    cli_json_begin(&json);
    struct json_writer *w = &json.w;
    jwr_object(w, NULL);
    jwr_u64(w, "commits", report->landings);
    jwr_u64(w, "position", report->position);
    if (report->commit[0] == '\0')
        jwr_null(w, "commit");
    else
        jwr_str(w, "commit", report->commit);
    if (import) {
        jwr_bool(w, "resumed", report->resumed);
        left_out_json(w, report);
    } else {
        jwr_u64(w, "renamed", report->renamed);
    }
    jwr_object_end(w);
    return cli_json_end(&json);
}

static int report_tell(struct cli *cli, const struct git_report *report, int err, bool import)
{
    cli_tick_end(cli);
    left_out_tell(cli, report);
    const char *what = import ? "import git" : "export git";
    if (err != OK) {
        cli_say(cli, "%s: %s", what, report->problem);
        if (import && report->landings > 0)
            cli_say(cli, "%llu commits have landed; the same command goes on behind them",
                    (unsigned long long)report->landings);
        return err == ERR_CONFLICT ? EXIT_CONFLICT : EXIT_FAILED;
    }
    if (cli->json)
        return report_json(report, import);
    printf("%llu commit%s%s, up to %s at position %llu\n", (unsigned long long)report->landings,
           report->landings == 1 ? "" : "s", report->resumed ? " more" : "",
           report->commit[0] == '\0' ? "none" : report->commit,
           (unsigned long long)report->position);
    if (report->renamed > 0)
        cli_say(cli, "%llu commit%s another id here than in the repository of the import",
                (unsigned long long)report->renamed, report->renamed == 1 ? " has" : "s have");
    return EXIT_DONE;
}

static int project_find_or_make(struct cli *cli, const char *name, struct client_project *out)
{
    struct bytes handle = bytes_str(name);
    int err = client_project_find(&cli->client, handle, &cli->arena, out);
    if (err == ERR_NOT_FOUND && handle_check(handle) == OK) {
        out->handle = handle;
        err = client_project_create(&cli->client, handle, &out->id);
        if (err == OK)
            cli_say(cli, "made project %s", name);
    }
    return err == OK ? 0 : cli_client_failed(cli, name);
}

int cmd_import_git(struct cli *cli)
{
    int status = cli_open_client(cli);
    if (status == 0)
        status = cli_author(cli);
    struct client_project project = {0};
    if (status == 0)
        status = project_find_or_make(cli, cli->words[1], &project);
    if (status != 0)
        return status;
    struct git_import_options options = {
        .url = cli->client.url,
        .ref = cli_value(cli, "ref", 0),
        .clock = cli->env->clock,
        .progress = {.tick = cli_tick, .arg = cli},
    };
    struct git_report report = {0};
    int err = git_import(&cli->client, &project, cli->words[0], &options, &report);
    status = report_tell(cli, &report, err, true);
    git_report_release(&report);
    return status;
}

int cmd_export_git(struct cli *cli)
{
    int status = cli_open_client(cli);
    if (status != 0)
        return status;
    struct client_project project;
    if (client_project_find(&cli->client, bytes_str(cli->words[0]), &cli->arena, &project) !=
        OK)
        return cli_client_failed(cli, cli->words[0]);
    struct git_export_options options = {
        .bare = cli_flag(cli, "bare"),
        .branch = cli_value(cli, "branch", 0),
        .progress = {.tick = cli_tick, .arg = cli},
    };
    struct git_report report = {0};
    int err = git_export(&cli->client, &project, cli->words[1], &options, &report);
    status = report_tell(cli, &report, err, false);
    git_report_release(&report);
    return status;
}
