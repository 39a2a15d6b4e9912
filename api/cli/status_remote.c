/* `mic status --remote`: would `mic land` land what is changed here? The session that it would
 * land is put together as it does that, but for the contents, which are only named. */
#include "api/cli/changes.h"
#include "api/cli/cli.h"
#include "api/client/call.h"
#include "formats/base/hex.h"

#define CONFLICTS_SHOWN 20u

struct remote {
    struct cli *cli;
    struct bytes project; /* id in hex */
    struct index *index;
    const struct scan *scan;
    struct changes changes; /* guards are put behind its records */
    bool has_session;
    bool closed; /* the session has its answer */
    struct id16 session;
};

/* ---- what would land --------------------------------------------------------------------- */

static void guard_add(struct remote *remote, struct bytes path, uint64_t base,
                      const struct seen *seen)
{
    struct changes *c = &remote->changes;
    struct record *record =
        arena_push(c->arena, (void **)&c->records, &c->n, &c->cap, sizeof(*record));
    record->kind = RECORD_GUARD;
    record->guard = (struct record_guard){.base = base, .path = path, .seen = *seen};
}

/* What the session that was started has besides. Once the workspace has moved on, its guards
 * rely on what that has now. */
static int session_add(struct remote *remote)
{
    struct cli *cli = remote->cli;
    struct client_session session;
    if (client_session_get(&cli->client, remote->project, &remote->session, &cli->arena,
                           &session) != OK)
        return cli_client_failed(cli, "session");
    remote->closed = !bytes_equal(session.state, bytes_str("open"));
    for (size_t i = 0; i < session.n_operations; i++) {
        struct bytes path = session.operations[i].path;
        if (scan_find(remote->scan, path) == NULL)
            changes_restore(&remote->changes, path, index_find(remote->index, path));
    }
    bool moved = session.row.base != remote->index->position;
    static const struct seen unsaid;
    for (size_t i = 0; i < session.n_guards; i++)
        guard_add(remote, session.guards[i].path,
                  moved ? remote->index->position : session.row.base,
                  moved ? &unsaid : &session.guards[i].seen);
    return 0;
}

static int collect(struct remote *remote)
{
    static const struct seen unsaid;
    struct cli *cli = remote->cli;
    const char *value;
    remote->changes = (struct changes){.tree = &cli->ws.tree,
                                       .client = &cli->client,
                                       .project = remote->project,
                                       .base = remote->index->position,
                                       .arena = &cli->arena,
                                       .named = true};
    for (size_t i = 0; i < remote->scan->n; i++) {
        struct seen seen = index_seen(remote->scan->items[i].base);
        if (changes_add(&remote->changes, &remote->scan->items[i], &seen) != OK)
            return cli_fail(cli, "%s", remote->changes.why);
    }
    int status = remote->has_session ? session_add(remote) : 0;
    for (size_t i = 0; status == 0 && (value = cli_value(cli, "guard", i)) != NULL; i++) {
        struct bytes path;
        status = cli_path(cli, value, &path);
        if (status == 0)
            guard_add(remote, path, remote->index->position, &unsaid);
    }
    return status;
}

static int ask(struct remote *remote, struct client_preflight *out)
{
    struct cli *cli = remote->cli;
    int err =
        remote->closed
            ? client_session_preflight(&cli->client, remote->project, &remote->session,
                                       &cli->arena, out)
            : client_preflight(&cli->client, remote->project, remote->index->position,
                               remote->changes.records, remote->changes.n, &cli->arena, out);
    return err == OK ? 0 : cli_client_failed(cli, "status --remote");
}

/* ---- telling ----------------------------------------------------------------------------- */

static bool verdict_is(const struct client_preflight *preflight, const char *name)
{
    return bytes_equal(preflight->verdict, bytes_str(name));
}

static void tell_cause(const struct client_preflight_cause *cause)
{
    for (size_t i = 0; i < cause->n; i++) {
        const struct client_preflight_landing *landing = &cause->landings[i];
        struct bytes goal = first_line(landing->goal);
        printf("    by landing %llu of %.*s: %.*s\n", (unsigned long long)landing->position,
               (int)landing->author.len, landing->author.data, (int)goal.len, goal.data);
    }
    if (cause->n > 0 && cause->more)
        printf("    and by others before\n");
}

static void tell_conflicts(const struct client_preflight *preflight)
{
    const struct landing *landing = &preflight->landing;
    printf("at position %llu it would conflict: %u path%s changed by others\n",
           (unsigned long long)preflight->position, landing->n_conflicts,
           landing->n_conflicts == 1 ? " was" : "s were");
    size_t shown = landing->n_listed < CONFLICTS_SHOWN ? landing->n_listed : CONFLICTS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const struct conflict *conflict = &landing->conflicts[i];
        printf("  %.*s (%s)\n    seen %s, there is %s\n", (int)conflict->path.len,
               conflict->path.data, conflict_what_name(conflict->what),
               cli_seen(&conflict->seen).s, cli_seen(&conflict->there).s);
        tell_cause(&preflight->causes[i]);
    }
    if (shown < landing->n_conflicts)
        printf("  … and %zu more\n", landing->n_conflicts - shown);
}

static void tell(const struct remote *remote, const struct client_preflight *preflight)
{
    const struct landing *landing = &preflight->landing;
    unsigned long long position = preflight->position;
    if (verdict_is(preflight, "answered"))
        printf("the session has its answer: %s at position %llu\n",
               verdict_name(landing->verdict), (unsigned long long)landing->position);
    else if (verdict_is(preflight, "conflicted"))
        tell_conflicts(preflight);
    else if (!verdict_is(preflight, "clean"))
        printf("at position %llu it would be refused: %.*s (%.*s)\n", position,
               (int)landing->detail.len, landing->detail.data, (int)landing->reason.len,
               landing->reason.data);
    else if (remote->changes.n > 0)
        printf("at position %llu it would land\n", position);
    else
        printf("the project is at position %llu\n", position);
}

static void cause_json(struct json_writer *w, const struct client_preflight_cause *cause)
{
    jwr_u64(w, "base", cause->base);
    jwr_array(w, "landings");
    for (size_t i = 0; i < cause->n; i++) {
        const struct client_preflight_landing *landing = &cause->landings[i];
        jwr_object(w, NULL);
        jwr_u64(w, "position", landing->position);
        jwr_id16(w, "session", &landing->session);
        jwr_text(w, "author", landing->author);
        jwr_text(w, "goal", landing->goal);
        jwr_decimal(w, "hlc", landing->hlc);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_bool(w, "more", cause->more);
}

static void remote_json(struct json_writer *w, const struct client_preflight *preflight)
{
    const struct landing *landing = &preflight->landing;
    jwr_object(w, "remote");
    jwr_u64(w, "position", preflight->position);
    jwr_decimal(w, "hlc", preflight->hlc);
    jwr_text(w, "verdict", preflight->verdict);
    if (verdict_is(preflight, "answered")) {
        jwr_object(w, "answer");
        cli_landing_json(w, landing);
        jwr_object_end(w);
        jwr_object_end(w);
        return;
    }
    jwr_text(w, "reason", landing->reason);
    jwr_text(w, "detail", landing->detail);
    jwr_u64(w, "conflicts_total", landing->n_conflicts);
    jwr_array(w, "conflicts");
    for (size_t i = 0; i < landing->n_listed; i++) {
        const struct conflict *conflict = &landing->conflicts[i];
        jwr_object(w, NULL);
        cli_conflict_json(w, conflict);
        cause_json(w, &preflight->causes[i]);
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_object_end(w);
}

int cli_status_remote(struct cli *cli, struct index *index, struct scan *scan,
                      struct json_writer *w)
{
    struct remote remote = {.cli = cli, .index = index, .scan = scan};
    struct id16_hex id = id16_hex(&cli->ws.project);
    remote.project = bytes_str(id.s);
    remote.has_session = workspace_session(&cli->ws, &remote.session) == OK;
    struct client_preflight preflight = {0};
    int status = cli_check_resolved(cli);
    if (status == 0)
        status = cli_open_client(cli);
    if (status == 0)
        status = collect(&remote);
    if (status == 0)
        status = ask(&remote, &preflight);
    if (status != 0)
        return status;
    if (w != NULL)
        remote_json(w, &preflight);
    else
        tell(&remote, &preflight);
    if (verdict_is(&preflight, "clean"))
        return EXIT_DONE;
    return verdict_is(&preflight, "conflicted") ? EXIT_CONFLICT : EXIT_FAILED;
}
