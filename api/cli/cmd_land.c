#include "api/cli/changes.h"
#include "api/cli/cli.h"
#include "api/client/call.h"
#include "formats/base/hex.h"
#include "formats/path.h"

#define INLINE_REQUEST_MAX (20u * MIB)
#define SESSION_INLINE     (512u * KIB)
#define PATIENCE_MS        (10u * 60 * 1000)
#define BATCH_MAX          2000u
#define CONFLICTS_SHOWN    20u

struct land {
    struct cli *cli;
    struct bytes project; /* id in hex */
    struct index index;
    struct scan scan;
    struct changes changes;
    bool has_session;
    struct id16 session;
};

/* ---- telling ----------------------------------------------------------------------------- */

struct cli_seen cli_seen(const struct seen *seen)
{
    struct cli_seen text;
    if (!seen->said)
        snprintf(text.s, sizeof(text.s), "unknown");
    else if (seen->kind == KIND_NONE)
        snprintf(text.s, sizeof(text.s), "absent");
    else
        snprintf(text.s, sizeof(text.s), "%s%s %.12s", kind_name(seen->kind),
                 seen->mode == MODE_EXEC ? " 0755" : "", hash_hex(&seen->hash).s);
    return text;
}

static void tell_by(struct cli *cli, struct bytes project, uint64_t position)
{
    struct client_log log;
    if (position == 0)
        return;
    if (client_log(&cli->client, project, bytes_of(NULL, 0), position, 1, &cli->arena, &log) !=
            OK ||
        log.n == 0 || log.entries[0].position != position) {
        fprintf(stderr, "    by landing %llu\n", (unsigned long long)position);
        return;
    }
    struct bytes goal = first_line(log.entries[0].goal);
    fprintf(stderr, "    by landing %llu of %.*s: %.*s\n", (unsigned long long)position,
            (int)log.entries[0].author.len, log.entries[0].author.data, (int)goal.len,
            goal.data);
}

void cli_tell_landing(struct cli *cli, struct bytes project, const struct landing *landing)
{
    if (landing->verdict != VERDICT_CONFLICTED) {
        fprintf(stderr, "mic: %s: %.*s (%.*s)\n", verdict_name(landing->verdict),
                (int)landing->detail.len, landing->detail.data, (int)landing->reason.len,
                landing->reason.data);
        return;
    }
    fprintf(stderr, "mic: conflict: %u path%s changed by others\n", landing->n_conflicts,
            landing->n_conflicts == 1 ? " was" : "s were");
    size_t shown = landing->n_listed < CONFLICTS_SHOWN ? landing->n_listed : CONFLICTS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const struct conflict *conflict = &landing->conflicts[i];
        fprintf(stderr, "  %.*s (%s)\n    seen %s, there is %s\n", (int)conflict->path.len,
                conflict->path.data, conflict_what_name(conflict->what),
                cli_seen(&conflict->seen).s, cli_seen(&conflict->there).s);
        tell_by(cli, project, conflict->by);
    }
    if (shown < landing->n_conflicts)
        fprintf(stderr, "  … and %zu more\n", landing->n_conflicts - shown);
}

void cli_conflict_json(struct json_writer *w, const struct conflict *conflict)
{
    jwr_str(w, "what", conflict_what_name(conflict->what));
    jwr_text(w, "path", conflict->path);
    client_seen_json(w, "seen", &conflict->seen);
    client_seen_json(w, "there", &conflict->there);
    jwr_u64(w, "by", conflict->by);
}

void cli_landing_json(struct json_writer *w, const struct landing *landing)
{
    jwr_str(w, "verdict", verdict_name(landing->verdict));
    jwr_u64(w, "position", landing->position);
    jwr_id16(w, "session", &landing->session);
    jwr_text(w, "reason", landing->reason);
    jwr_text(w, "detail", landing->detail);
    jwr_u64(w, "conflicts_total", landing->n_conflicts);
    jwr_array(w, "conflicts");
    for (size_t i = 0; i < landing->n_listed; i++) {
        jwr_object(w, NULL);
        cli_conflict_json(w, &landing->conflicts[i]);
        jwr_object_end(w);
    }
    jwr_array_end(w);
}

/* ---- what lands -------------------------------------------------------------------------- */

/* What a conflict left behind must be dealt with first. */
int cli_check_resolved(struct cli *cli)
{
    struct unresolved left;
    int err = update_unresolved(&cli->ws, &cli->arena, &left);
    if (err != OK)
        return cli_fail(cli, "the list of conflicts cannot be read (%s)", err_name(err));
    if (left.n == 0)
        return 0;
    cli_say(cli, "there are conflicts to deal with first:");
    for (size_t i = 0; i < left.n; i++)
        fprintf(stderr, "  %.*s\n", (int)left.paths[i].len, left.paths[i].data);
    cli_say(cli, "take the markers out of files, and remove what is called NAME.theirs");
    return EXIT_CONFLICT;
}

static int collect(struct land *land)
{
    struct cli *cli = land->cli;
    int err = index_load(&cli->ws, &land->index);
    if (err == OK)
        err = scan_run(&cli->ws, &land->index, &cli->arena, &land->scan);
    if (err != OK)
        return cli_fail(cli, "the workspace cannot be read (%s)", err_name(err));
    for (size_t i = 0; i < land->scan.n_skipped; i++)
        cli_say(cli, "left out: %.*s %s", (int)land->scan.skipped[i].path.len,
                land->scan.skipped[i].path.data, land->scan.skipped[i].why);
    land->changes = (struct changes){
        .tree = &cli->ws.tree,
        .client = &cli->client,
        .project = land->project,
        .base = land->index.position,
        .arena = &cli->arena,
        .inline_max = land->has_session ? SESSION_INLINE : INLINE_REQUEST_MAX,
    };
    for (size_t i = 0; i < land->scan.n && err == OK; i++) {
        struct seen seen = index_seen(land->scan.items[i].base);
        err = changes_add(&land->changes, &land->scan.items[i], &seen);
    }
    if (err == OK)
        err = changes_upload(&land->changes);
    return err == OK ? 0 : cli_fail(cli, "%s", land->changes.why);
}

static struct record *push(struct land *land, struct record **records, size_t *n, size_t *cap,
                           enum record_kind kind)
{
    struct record *record =
        arena_push(&land->cli->arena, (void **)records, n, cap, sizeof(*record));
    record->kind = kind;
    return record;
}

/* Guards and notes of the command line. */
static int said(struct land *land, enum record_kind kind, struct record **records, size_t *n,
                size_t *cap)
{
    struct cli *cli = land->cli;
    const char *value;
    const char *option = kind == RECORD_GUARD ? "guard" : "note";
    for (size_t k = 0; (value = cli_value(cli, option, k)) != NULL; k++) {
        struct bytes path = bytes_of(NULL, 0);
        int status = kind == RECORD_GUARD ? cli_path(cli, value, &path) : 0;
        if (status != 0)
            return status;
        struct record *record = push(land, records, n, cap, kind);
        if (kind == RECORD_GUARD) {
            record->guard.base = land->index.position;
            record->guard.path = path;
        } else {
            record->conversation.role = bytes_str("user");
            record->conversation.text = bytes_str(value);
        }
    }
    return 0;
}

/* ---- a whole session --------------------------------------------------------------------- */

static int land_whole(struct land *land, struct bytes goal, struct client_landed *out)
{
    struct cli *cli = land->cli;
    struct record *records = NULL;
    size_t n = 0, cap = 0;
    struct record *start = push(land, &records, &n, &cap, RECORD_START);
    start->start.key = cli_key(cli);
    start->start.base = land->index.position;
    start->start.author = bytes_str(cli->client.author);
    start->start.goal = goal;
    for (size_t i = 0; i < land->changes.n; i++)
        *push(land, &records, &n, &cap, RECORD_OPERATION) = land->changes.records[i];
    int status = said(land, RECORD_GUARD, &records, &n, &cap);
    if (status == 0)
        status = said(land, RECORD_CONVERSATION, &records, &n, &cap);
    if (status != 0)
        return status;
    struct session session = {.records = records, .n_records = n};
    struct client_project project = {.id = cli->ws.project};
    int err =
        client_land_wait(&cli->client, &project, &session, 1, PATIENCE_MS, &cli->arena, out);
    return err == OK ? 0 : cli_client_failed(cli, "land");
}

/* ---- the session that was started -------------------------------------------------------- */

static int write_all(struct land *land, const struct record *records, size_t n)
{
    struct cli *cli = land->cli;
    for (size_t at = 0; at < n; at += BATCH_MAX) {
        size_t count = n - at < BATCH_MAX ? n - at : BATCH_MAX;
        if (client_session_write(&cli->client, land->project, &land->session, cli_key(cli),
                                 records + at, count) != OK)
            return cli_client_failed(cli, "session");
    }
    return 0;
}

/* What the session holds of earlier tries: paths that are no longer changed, which are to be as
 * in the base again, and guards, which now rely on what the workspace has. */
static int carry_over(struct land *land, struct record **guards, size_t *n, size_t *cap)
{
    struct cli *cli = land->cli;
    struct client_session session;
    if (client_session_get(&cli->client, land->project, &land->session, &cli->arena,
                           &session) != OK)
        return cli_client_failed(cli, "session");
    for (size_t i = 0; i < session.n_operations; i++) {
        if (scan_find(&land->scan, session.operations[i].path) == NULL)
            changes_restore(&land->changes, session.operations[i].path,
                            index_find(&land->index, session.operations[i].path));
    }
    bool moved = session.row.base != land->index.position;
    if (moved && client_session_rebase(&cli->client, land->project, &land->session,
                                       land->index.position) != OK)
        return cli_client_failed(cli, "rebase");
    for (size_t i = 0; moved && i < session.n_guards; i++) {
        struct record *guard = push(land, guards, n, cap, RECORD_GUARD);
        guard->guard.path = session.guards[i].path;
        guard->guard.base = land->index.position;
    }
    return 0;
}

static int land_started(struct land *land, struct client_landed *out)
{
    struct cli *cli = land->cli;
    struct record *guards = NULL, *notes = NULL;
    size_t n_guards = 0, cap_guards = 0, n_notes = 0, cap_notes = 0;
    int status = carry_over(land, &guards, &n_guards, &cap_guards);
    if (status == 0)
        status = said(land, RECORD_GUARD, &guards, &n_guards, &cap_guards);
    if (status == 0)
        status = said(land, RECORD_CONVERSATION, &notes, &n_notes, &cap_notes);
    if (status == 0)
        status = write_all(land, land->changes.records, land->changes.n);
    if (status == 0)
        status = write_all(land, guards, n_guards);
    if (status == 0)
        status = write_all(land, notes, n_notes);
    if (status != 0)
        return status;
    struct bytes key = cli_key(cli);
    int err;
    unsigned tries = 0;
    do {
        err = client_session_land(&cli->client, land->project, &land->session, key, 30000,
                                  &cli->arena, out);
    } while (((err == OK && out->pending) || err == ERR_UNKNOWN) && ++tries < 20);
    return err == OK ? 0 : cli_client_failed(cli, "land");
}

/* ---- after the answer -------------------------------------------------------------------- */

static int advance(struct land *land, uint64_t position, struct update *update)
{
    struct cli *cli = land->cli;
    struct apply_progress progress = {.tick = cli_tick, .arg = cli};
    *update = (struct update){
        .ws = &cli->ws, .client = &cli->client, .progress = &progress, .arena = &cli->arena};
    int err = update_run(update, position, PLAN_SYNC);
    cli_tick_end(cli);
    if (err != OK) {
        (void)cli_client_failed(cli, "landed, but the workspace could not follow");
        cli_say(cli, "run: mic sync");
    }
    return err;
}

static int answer(struct land *land, const struct client_landed *landed)
{
    struct cli *cli = land->cli;
    if (landed->pending || landed->n == 0)
        return cli_fail(cli, "it is not decided yet; mic log will show whether it landed");
    const struct landing *landing = &landed->landings[0];
    bool is_landed = landing->verdict == VERDICT_LANDED;
    int status = is_landed                                ? EXIT_DONE
                 : landing->verdict == VERDICT_CONFLICTED ? EXIT_CONFLICT
                                                          : EXIT_FAILED;
    struct update update = {0};
    size_t conflicts = 0;
    if (is_landed) {
        if (land->has_session)
            (void)!workspace_drop(&cli->ws, "session");
        if (advance(land, landing->position, &update) == OK)
            conflicts = update.conflicts;
    } else {
        cli_tell_landing(cli, land->project, landing);
        if (landing->verdict == VERDICT_CONFLICTED)
            cli_say(cli, "run: mic sync");
    }
    if (cli->json) {
        struct cli_json json;
        cli_json_begin(&json);
        jwr_object(&json.w, NULL);
        cli_landing_json(&json.w, landing);
        jwr_u64(&json.w, "operations", land->changes.n);
        jwr_object_end(&json.w);
        if (cli_json_end(&json) != EXIT_DONE)
            return EXIT_FAILED;
    } else if (is_landed) {
        printf("landed as %llu: %zu path%s\n", (unsigned long long)landing->position,
               land->changes.n, land->changes.n == 1 ? "" : "s");
    }
    if (is_landed && landing->position > land->index.position + 1)
        cli_say(cli, "took in %llu landing%s of others",
                (unsigned long long)(landing->position - land->index.position - 1),
                landing->position - land->index.position == 2 ? "" : "s");
    if (conflicts > 0)
        (void)cli_tell_conflicts(cli, &update);
    return status;
}

int cmd_land(struct cli *cli)
{
    struct land land = {.cli = cli};
    struct client_landed landed = {0};
    const char *goal = cli_value(cli, "message", 0);
    int status = cli_lock_workspace(cli);
    if (status == 0)
        status = cli_author(cli);
    if (status == 0)
        status = cli_check_resolved(cli);
    if (status != 0)
        return status;
    bool started = workspace_session(&cli->ws, &land.session) == OK;
    land.has_session = started;
    if (goal != NULL && goal[0] == '\0')
        return cli_usage(cli, "the goal is empty");
    if (goal == NULL && !started)
        return cli_usage(cli, "a goal is missing: -m GOAL says what the change is for");
    if (goal != NULL && started)
        return cli_usage(cli,
                         "a session was started here, which has its goal: leave -m out, or "
                         "give the session up with mic session abandon");
    struct id16_hex id = id16_hex(&cli->ws.project);
    land.project = bytes_str(id.s);
    status = collect(&land);
    if (status == 0 && land.changes.n == 0 && !started) {
        cli_say(cli, "nothing is changed here");
        if (cli->json)
            puts("{\"verdict\":\"nothing\"}");
    } else if (status == 0) {
        status = started ? land_started(&land, &landed)
                         : land_whole(&land, bytes_str(goal), &landed);
        if (status == 0)
            status = answer(&land, &landed);
    }
    index_release(&land.index);
    return status;
}
