/* mic revert POSITION: lands the inverse of a landing. What the landing changed is brought back
 * to what it was before, if it is still what the landing left: each path is seen as it was at
 * that position, so whatever was changed since is a conflict, and nothing lands. */
#include <stdio.h>
#include <stdlib.h>

#include "api/cli/cli.h"
#include "api/client/call.h"
#include "formats/base/hex.h"

#define INLINE_REQUEST_MAX (20u * MIB)
#define PATIENCE_MS        (10u * 60 * 1000)

struct revert {
    struct cli *cli;
    struct bytes project; /* id in hex */
    uint64_t position;
    struct bytes goal;
    struct record *records;
    size_t n, cap;
    size_t inline_bytes;
    size_t paths;
};

/* ---- contents ---------------------------------------------------------------------------- */

static int to_buf(void *arg, struct bytes data)
{
    struct buf *out = arg;
    if (data.len > INLINE_CONTENT_MAX - out->len)
        return ERR_LIMIT;
    buf_append_bytes(out, data);
    return OK;
}

/* Small content that the request has no room for goes up by itself. */
static int content_upload(struct revert *r, struct bytes plain, const struct hash *hash)
{
    return client_blob_put_bytes(&r->cli->client, r->project, plain, hash);
}

/* The content that the path had before. Large content lies in the forge under its hash, for
 * history is never collected; small content has to be brought again. */
static int content_of(struct revert *r, struct bytes path, const struct entry *before,
                      struct content *out)
{
    struct cli *cli = r->cli;
    struct content content = {.kind = before->kind,
                              .mode = before->mode,
                              .size = before->size,
                              .hash = before->hash,
                              .carrier = CARRIER_BLOB};
    if (before->size > INLINE_CONTENT_MAX) {
        *out = content;
        return OK;
    }
    AUTO_BUF plain = {0};
    struct http_sink sink = {.write = to_buf, .arg = &plain};
    int err = client_file(&cli->client, r->project, path, r->position - 1, sink);
    if (err != OK)
        return err;
    struct content small =
        content_inline(&cli->arena, before->kind, before->mode, buf_bytes(&plain));
    if (!hash_equal(&small.hash, &before->hash))
        return client_fail(&cli->client, ERR_CORRUPT, "bad_answer",
                           "the bytes that came are not those of its hash");
    r->inline_bytes += small.data.len;
    if (r->inline_bytes > INLINE_REQUEST_MAX) {
        *out = content;
        return content_upload(r, buf_bytes(&plain), &before->hash);
    }
    *out = small;
    return OK;
}

/* ---- the inverse ------------------------------------------------------------------------- */

static struct record *push(struct revert *r, enum record_kind kind)
{
    struct record *record =
        arena_push(&r->cli->arena, (void **)&r->records, &r->n, &r->cap, sizeof(*record));
    record->kind = kind;
    return record;
}

static int change_undo(struct revert *r, const struct client_change *change)
{
    struct content content = {0};
    int err = OK;
    bool kept = change->a != NULL && change->b != NULL &&
                hash_equal(&change->a->hash, &change->b->hash) &&
                change->a->kind == change->b->kind;
    if (kept)
        content = (struct content){.kind = change->a->kind,
                                   .mode = change->a->mode,
                                   .size = change->a->size,
                                   .hash = change->a->hash,
                                   .carrier = CARRIER_SOURCE};
    else if (change->a != NULL)
        err = content_of(r, change->path, change->a, &content);
    if (err != OK)
        return err;
    struct record *record = push(r, RECORD_OPERATION);
    record->operation = (struct record_operation){
        .op = change->a != NULL ? OP_WRITE : OP_DELETE,
        .base = r->position,
        .path = change->path,
        .seen = seen_of(change->b),
        .content = content,
    };
    r->paths++;
    return OK;
}

static int inverse_make(struct revert *r)
{
    struct cli *cli = r->cli;
    struct client_changes page = {0};
    do {
        if (client_diff(&cli->client, r->project, r->position - 1, r->position,
                        bytes_of(NULL, 0), page.next, &cli->arena, &page) != OK)
            return cli_client_failed(cli, "revert");
        for (size_t i = 0; i < page.n; i++) {
            if (change_undo(r, &page.changes[i]) != OK)
                return cli_client_failed(cli, arena_str(&cli->arena, page.changes[i].path));
        }
    } while (page.next.len > 0);
    return 0;
}

/* The start of the session: its goal and an attribute name what it reverts. */
static int start_make(struct revert *r)
{
    struct cli *cli = r->cli;
    struct client_log log;
    if (client_log(&cli->client, r->project, bytes_of(NULL, 0), r->position, 1, &cli->arena,
                   &log) != OK)
        return cli_client_failed(cli, "revert");
    if (log.n == 0 || log.entries[0].position != r->position)
        return cli_fail(cli, "there is no landing %llu", (unsigned long long)r->position);
    const char *goal = cli_value(cli, "message", 0);
    struct bytes was = first_line(log.entries[0].goal);
    size_t shown = was.len < GOAL_LEN_MAX / 2 ? was.len : 0;
    r->goal =
        goal != NULL
            ? bytes_str(goal)
            : bytes_str(arena_printf(&cli->arena, "Revert landing %llu: %.*s",
                                     (unsigned long long)r->position, (int)shown, was.data));
    struct attribute *reverts = arena_new(&cli->arena, struct attribute);
    reverts->name = bytes_str("reverts");
    reverts->value =
        bytes_str(arena_printf(&cli->arena, "%llu", (unsigned long long)r->position));
    push(r, RECORD_START)->start = (struct record_start){
        .key = cli_key(cli),
        .base = r->position,
        .author = bytes_str(cli->client.author),
        .goal = r->goal,
        .attributes = reverts,
        .n_attributes = 1,
    };
    return 0;
}

/* ---- the answer -------------------------------------------------------------------------- */

static int answer_json(const struct revert *r, const struct landing *landing)
{
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    cli_landing_json(&json.w, landing);
    jwr_u64(&json.w, "reverts", r->position);
    jwr_text(&json.w, "goal", r->goal);
    jwr_u64(&json.w, "operations", r->paths);
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}

static int answer(struct revert *r, const struct client_landed *landed)
{
    struct cli *cli = r->cli;
    if (landed->pending || landed->n == 0)
        return cli_fail(cli, "it is not decided yet; mic log will show whether it landed");
    const struct landing *landing = &landed->landings[0];
    bool is_landed = landing->verdict == VERDICT_LANDED;
    if (!is_landed)
        cli_tell_landing(cli, r->project, landing);
    if (landing->verdict == VERDICT_CONFLICTED)
        cli_say(cli, "nothing landed: what landing %llu changed was changed again since",
                (unsigned long long)r->position);
    if (cli->json && answer_json(r, landing) != EXIT_DONE)
        return EXIT_FAILED;
    if (is_landed && !cli->json)
        printf("landed as %llu: %zu path%s as before landing %llu\n",
               (unsigned long long)landing->position, r->paths, r->paths == 1 ? "" : "s",
               (unsigned long long)r->position);
    return is_landed                                ? EXIT_DONE
           : landing->verdict == VERDICT_CONFLICTED ? EXIT_CONFLICT
                                                    : EXIT_FAILED;
}

int cmd_revert(struct cli *cli)
{
    struct revert r = {.cli = cli};
    const char *goal = cli_value(cli, "message", 0);
    if (goal != NULL && (goal[0] == '\0' || strlen(goal) > GOAL_LEN_MAX))
        return cli_usage(cli, "the goal must be 1 to %u bytes", GOAL_LEN_MAX);
    int status = cli_position(cli, cli->words[0], &r.position);
    if (status == 0 && r.position == 0)
        return cli_usage(cli, "position 0 is before the first landing");
    if (status == 0)
        status = cli_project(cli, &r.project);
    if (status == 0)
        status = cli_author(cli);
    if (status == 0)
        status = start_make(&r);
    if (status == 0)
        status = inverse_make(&r);
    if (status != 0)
        return status;
    if (r.paths == 0) {
        cli_say(cli, "landing %llu changed nothing", (unsigned long long)r.position);
        if (cli->json)
            puts("{\"verdict\":\"nothing\"}");
        return EXIT_DONE;
    }
    struct session session = {.records = r.records, .n_records = r.n};
    struct client_project project;
    struct client_landed landed = {0};
    if (id16_parse(r.project, &project.id) != OK)
        return cli_fail(cli, "the project has no id");
    if (client_land_wait(&cli->client, &project, &session, 1, PATIENCE_MS, &cli->arena,
                         &landed) != OK)
        return cli_client_failed(cli, "revert");
    return answer(&r, &landed);
}
