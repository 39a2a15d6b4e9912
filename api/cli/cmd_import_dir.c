#include <stdlib.h>

#include "api/cli/changes.h"
#include "api/cli/cli.h"
#include "api/cli/target.h"
#include "formats/base/hex.h"
#include "formats/path.h"

/* A landing that is far larger would make all others wait for it. */
#define PIECE_INLINE     (12u * MIB)
#define PIECE_OPERATIONS 20000u
#define PATIENCE_MS      (10u * 60 * 1000)

struct import {
    struct cli *cli;
    struct client_project project;
    struct bytes id; /* in hex */
    const char *goal;
    struct workspace from; /* the directory; it is only read */
    struct scan scan;
    struct target_changes there; /* the project's files, sorted */
    uint64_t position;
    size_t pieces;
    size_t operations;
    size_t same;
};

static int project_of(struct import *import)
{
    struct cli *cli = import->cli;
    struct bytes handle = bytes_str(cli->words[1]);
    int err = client_project_find(&cli->client, handle, &cli->arena, &import->project);
    if (err == ERR_NOT_FOUND && handle_check(handle) == OK) {
        if (client_project_create(&cli->client, handle, &import->project.id) != OK)
            return cli_client_failed(cli, cli->words[1]);
        import->project.handle = handle;
        cli_say(cli, "made project %s", cli->words[1]);
    } else if (err != OK) {
        return cli_client_failed(cli, cli->words[1]);
    }
    struct id16_hex hex = id16_hex(&import->project.id);
    import->id = arena_copy(&cli->arena, bytes_str(hex.s));
    struct client_ranges ranges;
    client_ranges_init(&ranges, &cli->client, &import->project.id);
    struct index nothing = {0};
    struct target target;
    err = target_find(&ranges, UINT64_MAX, &cli->arena, &target);
    if (err == OK)
        err = target_diff(&ranges, &nothing, &target, &cli->arena, &import->there);
    import->position = target.position;
    return err == OK ? 0 : cli_client_failed(cli, cli->words[1]);
}

static const struct entry *there_find(const struct import *import, struct bytes path)
{
    size_t low = 0;
    size_t high = import->there.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = path_compare(import->there.changes[mid].path, path);
        if (c == 0)
            return import->there.changes[mid].b;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void piece_begin(struct import *import, struct changes *changes)
{
    *changes = (struct changes){
        .tree = &import->from.tree,
        .client = &import->cli->client,
        .project = import->id,
        .base = import->position,
        .arena = &import->cli->arena,
        .inline_max = PIECE_INLINE,
    };
}

static int piece_land(struct import *import, struct changes *changes)
{
    struct cli *cli = import->cli;
    if (changes->n == 0)
        return 0;
    if (changes_upload(changes) != OK)
        return cli_fail(cli, "%s", changes->why);
    struct record *records = arena_array(&cli->arena, changes->n + 1, struct record);
    records[0].kind = RECORD_START;
    records[0].start.key = cli_key(cli);
    records[0].start.base = import->position;
    records[0].start.author = bytes_str(cli->client.author);
    records[0].start.goal = bytes_str(import->goal);
    memcpy(records + 1, changes->records, changes->n * sizeof(*records));
    struct session session = {.records = records, .n_records = changes->n + 1};
    struct client_landed landed;
    if (client_land_wait(&cli->client, &import->project, &session, 1, PATIENCE_MS, &cli->arena,
                         &landed) != OK)
        return cli_client_failed(cli, "import");
    if (landed.pending || landed.n == 0)
        return cli_fail(cli, "it is not decided yet; run the import again later");
    const struct landing *landing = &landed.landings[0];
    if (landing->verdict != VERDICT_LANDED) {
        cli_tell_landing(cli, import->id, landing);
        return landing->verdict == VERDICT_CONFLICTED ? EXIT_CONFLICT : EXIT_FAILED;
    }
    import->position = landing->position;
    import->pieces++;
    import->operations += changes->n;
    cli_tick(cli, import->operations, import->scan.n);
    return 0;
}

/* Whether the project has the file as it is. */
static int is_same(struct import *import, struct scan_item *item, const struct entry *e,
                   bool *same)
{
    *same = false;
    if (e == NULL || e->kind != item->kind || e->size != item->size)
        return OK;
    struct stat st;
    int err = worktree_hash(&import->from.tree, item->path, &item->hash, &st);
    item->hashed = err == OK;
    *same = err == OK && e->mode == item->mode && hash_equal(&e->hash, &item->hash);
    return err;
}

static int add_all(struct import *import, struct changes *changes)
{
    struct cli *cli = import->cli;
    for (size_t i = 0; i < import->scan.n; i++) {
        struct scan_item *item = &import->scan.items[i];
        const struct entry *e = there_find(import, item->path);
        struct seen seen = seen_of(e);
        bool same;
        int err = is_same(import, item, e, &same);
        if (err == OK && same) {
            import->same++;
            continue;
        }
        if (err == OK)
            err = changes_add(changes, item, &seen);
        if (err != OK)
            return cli_fail(cli, "%.*s cannot be read (%s)", (int)item->path.len,
                            item->path.data, err_name(err));
        if (changes->inline_bytes + INLINE_CONTENT_MAX > PIECE_INLINE ||
            changes->n >= PIECE_OPERATIONS) {
            int status = piece_land(import, changes);
            if (status != 0)
                return status;
            piece_begin(import, changes);
        }
    }
    return 0;
}

static int run(struct import *import)
{
    struct cli *cli = import->cli;
    struct changes changes;
    piece_begin(import, &changes);
    /* What goes comes first: a file may be where the directory has a directory. */
    for (size_t i = 0; cli_flag(cli, "delete") && i < import->there.n; i++) {
        const struct thick_change *there = &import->there.changes[i];
        struct seen seen = seen_of(there->b);
        if (scan_find(&import->scan, there->path) == NULL)
            changes_delete(&changes, there->path, &seen);
    }
    int status = add_all(import, &changes);
    return status != 0 ? status : piece_land(import, &changes);
}

int cmd_import_dir(struct cli *cli)
{
    struct import import = {.cli = cli, .goal = cli_value(cli, "message", 0)};
    if (import.goal == NULL || import.goal[0] == '\0')
        return cli_usage(cli, "a goal is missing: -m GOAL says what the files are");
    int status = cli_open_client(cli);
    if (status == 0)
        status = cli_author(cli);
    if (status != 0)
        return status;
    const char *dir = cli->words[0][0] == '/'
                          ? cli->words[0]
                          : arena_printf(&cli->arena, "%s/%s", cli->env->cwd, cli->words[0]);
    int err = worktree_open(&import.from.tree, dir);
    if (err != OK)
        return cli_fail(cli, "%s cannot be read (%s)", cli->words[0], err_name(err));
    struct index nothing = {0};
    err = scan_run(&import.from, &nothing, &cli->arena, &import.scan);
    if (err != OK)
        status = cli_fail(cli, "%s cannot be read (%s)", cli->words[0], err_name(err));
    if (status == 0)
        status = project_of(&import);
    if (status == 0)
        status = run(&import);
    cli_tick_end(cli);
    worktree_close(&import.from.tree);
    for (size_t i = 0; i < import.scan.n_skipped; i++)
        cli_say(cli, "left out: %.*s %s", (int)import.scan.skipped[i].path.len,
                import.scan.skipped[i].path.data, import.scan.skipped[i].why);
    if (status != 0)
        return status;
    if (!cli->json) {
        printf("%s at %llu: %zu landed in %zu landing%s, %zu were there already\n",
               cli->words[1], (unsigned long long)import.position, import.operations,
               import.pieces, import.pieces == 1 ? "" : "s", import.same);
        return EXIT_DONE;
    }
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_id16(&json.w, "project", &import.project.id);
    jwr_u64(&json.w, "position", import.position);
    jwr_u64(&json.w, "operations", import.operations);
    jwr_u64(&json.w, "landings", import.pieces);
    jwr_u64(&json.w, "same", import.same);
    jwr_u64(&json.w, "left_out", import.scan.n_skipped);
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}
