#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "formats/base/hex.h"
#include "pipeline/sys/file.h"

/* Whether a directory holds nothing; ERR_NOT_FOUND when there is none. */
static int is_empty(const char *path, bool *empty)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return err_from_errno(errno);
    size_t n = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 ? 1 : 0;
    closedir(dir);
    *empty = n == 0;
    return OK;
}

static int tell(struct cli *cli, const struct update *update, const char *dir)
{
    int status = cli_tell_conflicts(cli, update);
    if (cli->json) {
        struct cli_json json;
        cli_json_begin(&json);
        jwr_object(&json.w, NULL);
        jwr_str(&json.w, "directory", dir);
        jwr_id16(&json.w, "project", &cli->ws.project);
        jwr_u64(&json.w, "position", update->position);
        jwr_u64(&json.w, "files", update->plan.n);
        jwr_object_end(&json.w);
        if (cli_json_end(&json) != EXIT_DONE)
            return EXIT_FAILED;
    } else {
        printf("%s: %zu file%s at position %llu\n", dir, update->plan.n,
               update->plan.n == 1 ? "" : "s", (unsigned long long)update->position);
    }
    return status;
}

/* The directory has a workspace: of this project, and not finished, it is finished now. */
static int resume(struct cli *cli, const struct client_project *project, const char *dir,
                  uint64_t at, struct update *update)
{
    struct journal journal;
    if (!id16_equal(&cli->ws.project, &project->id))
        return cli_fail(cli, "%s is a workspace of another project, %s", dir, cli->ws.handle);
    int err = journal_get(&cli->ws, &cli->arena, &journal);
    AUTO_INDEX index = {0};
    if (err == ERR_NOT_FOUND && index_load(&cli->ws, &index) == ERR_NOT_FOUND) {
        /* It was stopped before it knew where to go. */
        cli_say(cli, "finishing an interrupted checkout of %s", dir);
        if (update_run(update, at, PLAN_RESUME) != OK)
            return cli_client_failed(cli, dir);
        return 0;
    }
    if (err == ERR_NOT_FOUND)
        return cli_fail(cli, "%s is a workspace already: mic sync or mic goto move it", dir);
    if (err != OK)
        return cli_fail(cli, "%s/.mic/journal cannot be read (%s)", dir, err_name(err));
    cli_say(cli, "finishing an interrupted checkout of %s", dir);
    if (at != UINT64_MAX && at != journal.position)
        cli_say(cli, "it is of position %llu", (unsigned long long)journal.position);
    if (update_resume(update, NULL) != OK)
        return cli_client_failed(cli, dir);
    return 0;
}

static int make(struct cli *cli, const struct client_project *project, const char *dir)
{
    bool empty = true;
    int err = is_empty(dir, &empty);
    if (err == ERR_NOT_FOUND)
        err = file_mkdirs(dir);
    if (err == ERR_INVALID)
        return cli_fail(cli, "%s is no directory", dir);
    if (err != OK)
        return cli_fail(cli, "%s cannot be used (%s)", dir, err_name(err));
    char *config = arena_printf(&cli->arena, "%s/.mic/config.json", dir);
    if (!empty && access(config, F_OK) != 0) {
        /* One that was stopped while .mic was made has nothing else. */
        char *mic = arena_printf(&cli->arena, "%s/.mic", dir);
        if (access(mic, F_OK) != 0)
            return cli_fail(cli, "%s is not empty", dir);
    }
    if (access(config, F_OK) != 0)
        err = workspace_create(dir, cli->client.url, &project->id, project->handle);
    if (err == OK)
        err = workspace_open(&cli->ws, dir);
    if (err != OK)
        return cli_fail(cli, "%s: the workspace cannot be made (%s)", dir, err_name(err));
    cli->has_ws = true;
    err = workspace_lock(&cli->ws, cli->env->clock, 1000);
    if (err != OK)
        return cli_fail(cli, "another mic is at work in %s", dir);
    return empty ? 0 : -1;
}

int cmd_checkout(struct cli *cli)
{
    uint64_t at = UINT64_MAX;
    const char *position = cli_value(cli, "at", 0);
    int status = position == NULL ? 0 : cli_position(cli, position, &at);
    if (status == 0)
        status = cli_open_client(cli);
    if (status != 0)
        return status;
    struct client_project project;
    if (client_project_find(&cli->client, bytes_str(cli->words[0]), &cli->arena, &project) !=
        OK)
        return cli_client_failed(cli, cli->words[0]);
    const char *word =
        cli->n_words > 1 ? cli->words[1] : arena_str(&cli->arena, project.handle);
    const char *dir =
        word[0] == '/' ? word : arena_printf(&cli->arena, "%s/%s", cli->env->cwd, word);
    status = make(cli, &project, dir);
    if (status > 0)
        return status;
    struct apply_progress progress = {.tick = cli_tick, .arg = cli};
    struct update update = {
        .ws = &cli->ws, .client = &cli->client, .progress = &progress, .arena = &cli->arena};
    if (status < 0)
        status = resume(cli, &project, dir, at, &update);
    else if (update_checkout(&update, at) != OK)
        status = cli_client_failed(cli, dir);
    cli_tick_end(cli);
    return status != 0 ? status : tell(cli, &update, word);
}
