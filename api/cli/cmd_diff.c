/* mic diff: the workspace against its base or another position, or two positions. */
#include <stdlib.h>

#include "api/cli/diff.h"
#include "api/cli/look.h"
#include "api/cli/renames.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"
#include "formats/path.h"

/* What is to be compared, as the words say. */
struct asked {
    size_t positions; /* that are given: 0, 1 or 2 */
    uint64_t from;
    uint64_t to; /* UINT64_MAX: the head's */
    struct bytes *paths;
    size_t n;
};

static bool is_number(const char *word, size_t len)
{
    return len > 0 && strspn(word, "0123456789") >= len;
}

static int number_take(const struct cli *cli, const char *word, size_t len, uint64_t *out)
{
    if (hlc_parse(bytes_of(word, len), out) != OK || *out >= BASE_END)
        return cli_usage(cli, "\"%s\" is no position", word);
    return 0;
}

/* The positions at the front: "A", "A B", "A..B" or "A..". */
static int positions_take(const struct cli *cli, struct asked *asked, size_t *words)
{
    const char *first = cli->n_plain > 0 ? cli->words[0] : "";
    const char *dots = strstr(first, "..");
    *words = 0;
    asked->to = UINT64_MAX;
    if (dots != NULL && is_number(first, (size_t)(dots - first)) &&
        (dots[2] == '\0' || is_number(dots + 2, strlen(dots + 2)))) {
        asked->positions = 2;
        *words = 1;
        int status = number_take(cli, first, (size_t)(dots - first), &asked->from);
        if (status == 0 && dots[2] != '\0')
            status = number_take(cli, dots + 2, strlen(dots + 2), &asked->to);
        return status;
    }
    uint64_t *const into[] = {&asked->from, &asked->to};
    while (asked->positions < 2 && asked->positions < cli->n_plain) {
        const char *word = cli->words[asked->positions];
        if (!is_number(word, strlen(word)))
            break;
        int status = number_take(cli, word, strlen(word), into[asked->positions]);
        if (status != 0)
            return status;
        asked->positions++;
    }
    *words = asked->positions;
    return 0;
}

static bool is_wanted(const struct bytes *wanted, size_t n, struct bytes path)
{
    bool any = n == 0;
    for (size_t i = 0; i < n && !any; i++)
        any = bytes_equal(wanted[i], path) || path_below(path, wanted[i]);
    return any;
}

/* The paths, without those that others of them stand for. */
static int paths_take(struct cli *cli, size_t from, struct asked *asked)
{
    size_t n = cli->n_words - from;
    struct bytes *paths = arena_array(&cli->arena, n, struct bytes);
    for (size_t i = 0; i < n; i++) {
        int status = cli_path(cli, cli->words[from + i], &paths[i]);
        if (status != 0)
            return status;
    }
    asked->paths = arena_array(&cli->arena, n, struct bytes);
    for (size_t i = 0; i < n; i++) {
        bool covered = is_wanted(paths, i, paths[i]) && i > 0;
        for (size_t k = i + 1; k < n && !covered; k++)
            covered = path_below(paths[i], paths[k]);
        if (!covered)
            asked->paths[asked->n++] = paths[i];
    }
    return 0;
}

/* What differs between the two positions, of the paths that are asked for. */
static int changes_get(struct diff *diff, const struct asked *asked)
{
    struct cli *cli = diff->cli;
    struct client_changes all = {0};
    size_t cap = 0;
    for (size_t i = 0; i < (asked->n == 0 ? 1 : asked->n); i++) {
        struct client_changes found;
        if (changes_between(&cli->client, diff->project, diff->from, diff->to,
                            asked->n == 0 ? bytes_of(NULL, 0) : asked->paths[i], &cli->arena,
                            &found) != OK)
            return cli_client_failed(cli, "diff");
        for (size_t k = 0; k < found.n; k++) {
            struct client_change *change =
                arena_push(&cli->arena, (void **)&all.changes, &all.n, &cap, sizeof(*change));
            *change = found.changes[k];
        }
    }
    diff->changes = all;
    return 0;
}

static int positions_diff(struct cli *cli, const struct asked *asked, struct diff *diff)
{
    int status = cli_project(cli, &diff->project);
    diff->from = asked->from;
    diff->to = asked->to;
    struct client_head head;
    if (status == 0 && diff->to == UINT64_MAX) {
        /* So that all that is read is of one position. */
        if (client_head(&cli->client, diff->project, &head) != OK)
            return cli_client_failed(cli, "diff");
        diff->to = head.position;
    }
    return status == 0 ? changes_get(diff, asked) : status;
}

/* Of the scan what is wanted, in place. */
static void scan_narrow(struct scan *scan, const struct asked *asked)
{
    size_t kept = 0;
    for (size_t i = 0; i < scan->n; i++) {
        if (is_wanted(asked->paths, asked->n, scan->items[i].path))
            scan->items[kept++] = scan->items[i];
    }
    scan->n = kept;
}

static int workspace_diff(struct cli *cli, const struct asked *asked, const struct index *index,
                          struct scan *scan, struct diff *diff)
{
    struct id16_hex id = id16_hex(&cli->ws.project);
    diff->project = arena_copy(&cli->arena, bytes_str(id.s));
    diff->local = true;
    diff->to = index->position;
    diff->from = asked->positions == 0 ? index->position : asked->from;
    scan_narrow(scan, asked);
    bool asks = diff->from != diff->to || scan->n > 0;
    int status = asks ? cli_open_client(cli) : 0;
    if (status == 0 && diff->from != diff->to)
        status = changes_get(diff, asked);
    return status == 0 ? diff_add_scan(diff, scan) : status;
}

int cmd_diff(struct cli *cli)
{
    AUTO_INDEX index = {0};
    struct scan scan = {0};
    struct asked asked = {0};
    struct diff diff = {.cli = cli};
    size_t words;
    int status = positions_take(cli, &asked, &words);
    if (status == 0 && asked.positions < 2 && cli_value(cli, "project", 0) != NULL)
        return cli_usage(cli, "--project needs two positions: A B, or A..");
    if (status == 0 && asked.positions < 2)
        status = workspace_look(cli, &index, &scan);
    if (status == 0)
        status = paths_take(cli, words, &asked);
    if (status == 0)
        status = asked.positions == 2 ? positions_diff(cli, &asked, &diff)
                                      : workspace_diff(cli, &asked, &index, &scan, &diff);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_u64(&json.w, "from", diff.from);
    if (diff.local)
        jwr_u64(&json.w, "position", index.position);
    else
        jwr_u64(&json.w, "to", diff.to);
    status = diff_print(&diff, SIZE_MAX, &json.w);
    jwr_object_end(&json.w);
    if (status == 0 && cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return status;
}
