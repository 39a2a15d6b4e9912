#include "api/cli/cli.h"

/* What became of a conflict, for people. */
static void tell_step(const struct step *step)
{
    fprintf(stderr, "  %.*s: %s", (int)step->path.len, step->path.data, step->conflict);
    if (step->kind == STEP_SIDE)
        fprintf(stderr, "; theirs is in %.*s", (int)step->side.len, step->side.data);
    if (step->kind == STEP_MERGED)
        fprintf(stderr, "; look for the markers");
    fputc('\n', stderr);
}

int cli_tell_conflicts(struct cli *cli, const struct update *update)
{
    if (update->conflicts == 0)
        return 0;
    cli_say(cli, "%zu conflict%s to look at:", update->conflicts,
            update->conflicts == 1 ? "" : "s");
    for (size_t i = 0; i < update->plan.n; i++) {
        if (update->plan.steps[i].conflict != NULL)
            tell_step(&update->plan.steps[i]);
    }
    return EXIT_CONFLICT;
}

static int tell(struct cli *cli, const struct update *update)
{
    int status = cli_tell_conflicts(cli, update);
    if (!cli->json) {
        if (update->position == update->from)
            printf("at position %llu already\n", (unsigned long long)update->position);
        else
            printf("from %llu to %llu: %llu written, %llu removed, %llu merged\n",
                   (unsigned long long)update->from, (unsigned long long)update->position,
                   (unsigned long long)update->written, (unsigned long long)update->removed,
                   (unsigned long long)update->merged);
        return status;
    }
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_u64(&json.w, "from", update->from);
    jwr_u64(&json.w, "position", update->position);
    jwr_u64(&json.w, "written", update->written);
    jwr_u64(&json.w, "removed", update->removed);
    jwr_u64(&json.w, "merged", update->merged);
    jwr_array(&json.w, "conflicts");
    for (size_t i = 0; i < update->plan.n; i++) {
        const struct step *step = &update->plan.steps[i];
        if (step->conflict == NULL)
            continue;
        jwr_object(&json.w, NULL);
        jwr_text(&json.w, "path", step->path);
        jwr_str(&json.w, "why", step->conflict);
        if (step->kind == STEP_SIDE)
            jwr_text(&json.w, "theirs", step->side);
        jwr_object_end(&json.w);
    }
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    return cli_json_end(&json) == EXIT_DONE ? status : EXIT_FAILED;
}

static int move(struct cli *cli, uint64_t position, enum plan_mode mode)
{
    int status = cli_lock_workspace(cli);
    if (status != 0)
        return status;
    struct apply_progress progress = {.tick = cli_tick, .arg = cli};
    struct update update = {
        .ws = &cli->ws, .client = &cli->client, .progress = &progress, .arena = &cli->arena};
    int err = update_run(&update, position, mode);
    cli_tick_end(cli);
    if (err == ERR_CONFLICT && update.plan.n_lost > 0) {
        cli_say(cli, "these files are changed here, and would be overwritten:");
        for (size_t i = 0; i < update.plan.n_lost; i++)
            fprintf(stderr, "  %.*s\n", (int)update.plan.lost[i].len, update.plan.lost[i].data);
        cli_say(cli, "land them, or put them back, first");
        return EXIT_CONFLICT;
    }
    if (err != OK)
        return cli_client_failed(cli, mode == PLAN_GOTO ? "goto" : "sync");
    return tell(cli, &update);
}

int cmd_sync(struct cli *cli)
{
    return move(cli, UINT64_MAX, PLAN_SYNC);
}

int cmd_goto(struct cli *cli)
{
    uint64_t position = 0;
    int status = cli_position(cli, cli->words[0], &position);
    return status != 0 ? status : move(cli, position, PLAN_GOTO);
}
