/* mic blame PATH: which landing each line of a file came with. The versions of the file are
 * read from the newest back, until every line is told. */
#include <stdio.h>
#include <stdlib.h>

#include "api/cli/blame.h"
#include "api/cli/cli.h"
#include "api/cli/merge.h"
#include "api/cli/patch.h"
#include "api/cli/path_history.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"

/* Landings that are asked for at first: most files are told by few. */
#define STEPS_EXPECTED 16u
#define GOAL_COLUMNS   40u
#define NAME_COLUMNS   20u

/* A landing that a line may be by. */
struct writer {
    const struct client_log_entry *entry;
    struct bytes path; /* that the file had then */
    bool used;
    bool told;                      /* its goal was printed */
    struct client_session *session; /* with --why, of one that is used */
};

struct blaming {
    struct cli *cli;
    struct bytes project;
    struct bytes path;
    uint64_t at;
    struct buf text;
    struct blame blame;
    struct writer *writers; /* `blame` has their numbers */
    size_t n, cap;
};

/* ---- reading ----------------------------------------------------------------------------- */

struct text_sink {
    struct buf *out;
    bool over;
};

static int to_text(void *arg, struct bytes data)
{
    struct text_sink *sink = arg;
    if (data.len > PATCH_TEXT_MAX - sink->out->len) {
        sink->over = true;
        return ERR_LIMIT;
    }
    buf_append_bytes(sink->out, data);
    return OK;
}

/* The file as it is at `b->at`. */
static int text_get(struct blaming *b)
{
    struct cli *cli = b->cli;
    const char *name = cli->words[0];
    struct text_sink text = {.out = &b->text};
    struct http_sink sink = {.write = to_text, .arg = &text};
    int err = client_file(&cli->client, b->project, b->path, b->at, sink);
    if (text.over)
        return cli_fail(cli, "%s is over %u MiB: its lines are not told", name,
                        PATCH_TEXT_MAX / MIB);
    if (err != OK)
        return cli_client_failed(cli, name);
    if (!is_text(buf_bytes(&b->text)))
        return cli_fail(cli, "%s is a binary file: it has no lines", name);
    return 0;
}

static size_t writer_add(struct blaming *b, const struct path_step *step)
{
    struct writer *writer =
        arena_push(&b->cli->arena, (void **)&b->writers, &b->n, &b->cap, sizeof(*writer));
    writer->entry = step->entry;
    writer->path = step->path;
    return b->n - 1;
}

/* One version further back, which `step` wrote. False: it cannot be looked at. */
static int version_take(struct blaming *b, const struct path_step *step, bool *taken)
{
    struct cli *cli = b->cli;
    const struct client_operation *what = step->what;
    *taken = what->size <= PATCH_TEXT_MAX;
    if (!*taken) {
        cli_say(cli, "%s was over %u MiB at %llu: what came before is not told", cli->words[0],
                PATCH_TEXT_MAX / MIB, (unsigned long long)step->entry->position);
        return 0;
    }
    AUTO_BUF text = {0};
    if (base_read(&cli->client, b->project, step->path, step->entry->position, &what->hash,
                  what->size, &text) != OK)
        return cli_client_failed(cli, cli->words[0]);
    if (blame_older(&b->blame, buf_bytes(&text), writer_add(b, step)) != OK)
        return cli_fail(cli, "%s cannot be compared", cli->words[0]);
    return 0;
}

/* Goes back through the landings that wrote the file, to where it came from nothing. */
static int history_walk(struct blaming *b)
{
    struct cli *cli = b->cli;
    struct path_history history;
    path_history_open(&history, &cli->client, b->project, b->path, b->at, true, STEPS_EXPECTED,
                      &cli->arena);
    struct hash newest = sha256(buf_bytes(&b->text));
    const struct hash *at_hand = NULL; /* of the version at hand */
    bool more = text_lines(buf_bytes(&b->text)) > 0;
    while (more) {
        struct path_step step;
        if (path_history_next(&history, &step) != OK)
            return cli_client_failed(cli, cli->words[0]);
        /* A path that was deleted, moved away or a directory was no file before. */
        if (step.entry == NULL || step.what == NULL ||
            !bytes_equal(step.what->op, bytes_str("write")))
            break;
        int status = 0;
        if (at_hand == NULL) {
            if (!hash_equal(&step.what->hash, &newest))
                return cli_fail(cli, "%s is not what the log says of it", cli->words[0]);
            blame_begin(&b->blame, buf_bytes(&b->text), writer_add(b, &step));
        } else if (hash_equal(&step.what->hash, at_hand)) {
            blame_same(&b->blame, writer_add(b, &step));
        } else {
            status = version_take(b, &step, &more);
        }
        if (status != 0)
            return status;
        at_hand = &step.what->hash;
        more = more && b->blame.n_open > 0;
    }
    if (at_hand == NULL && text_lines(buf_bytes(&b->text)) > 0)
        return cli_fail(cli, "the log has no landing of %s", cli->words[0]);
    blame_end(&b->blame);
    for (size_t i = 0; i < b->blame.n; i++)
        b->writers[b->blame.by[i]].used = true;
    return 0;
}

static int sessions_get(struct blaming *b)
{
    struct cli *cli = b->cli;
    for (size_t i = 0; i < b->n; i++) {
        struct writer *writer = &b->writers[i];
        if (!writer->used)
            continue;
        writer->session = arena_new(&cli->arena, struct client_session);
        if (client_session_get(&cli->client, b->project, &writer->entry->session, &cli->arena,
                               writer->session) != OK)
            return cli_client_failed(cli, "blame");
    }
    return 0;
}

/* ---- printing ---------------------------------------------------------------------------- */

/* The next line, without its newline. */
static struct bytes line_take(struct bytes *rest)
{
    struct bytes line = first_line(*rest);
    size_t step = line.len < rest->len ? line.len + 1 : line.len;
    *rest = bytes_of(rest->data + step, rest->len - step);
    return line;
}

/* How many columns a text takes, if each of its characters takes one. */
static size_t columns(struct bytes text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += (text.data[i] & 0xc0u) != 0x80u;
    return n;
}

static struct bytes cut(struct bytes text, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += (text.data[i] & 0xc0u) != 0x80u;
        if (n > most)
            return bytes_of(text.data, i);
    }
    return text;
}

static void padded(struct bytes text, size_t width)
{
    size_t taken = columns(text);
    printf("  %.*s%*s", (int)text.len, text.data, (int)(width > taken ? width - taken : 0), "");
}

static size_t max_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void line_print(size_t number, int width, struct bytes line)
{
    printf("  %*zu) %.*s\n", width, number, (int)line.len, line.data);
}

static int digits(uint64_t number)
{
    return snprintf(NULL, 0, "%llu", (unsigned long long)number);
}

/* A line for a line. */
static void lines_print(const struct blaming *b)
{
    size_t author = 0;
    size_t goal = 0;
    int position = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct client_log_entry *e = b->writers[i].entry;
        if (!b->writers[i].used)
            continue;
        author = max_of(author, columns(cut(e->author, NAME_COLUMNS)));
        goal = max_of(goal, columns(cut(first_line(e->goal), GOAL_COLUMNS)));
        position = (int)max_of((size_t)position, (size_t)digits(e->position));
    }
    struct bytes rest = buf_bytes(&b->text);
    for (size_t i = 0; i < b->blame.n; i++) {
        const struct client_log_entry *e = b->writers[b->blame.by[i]].entry;
        printf("%*llu  %s", position, (unsigned long long)e->position, id16_hex(&e->session).s);
        padded(cut(e->author, NAME_COLUMNS), author);
        padded(cut(first_line(e->goal), GOAL_COLUMNS), goal);
        line_print(i + 1, digits(b->blame.n), line_take(&rest));
    }
}

static void indented(struct bytes text)
{
    while (text.len > 0) {
        struct bytes line = line_take(&text);
        printf("    %.*s\n", (int)line.len, line.data);
    }
}

/* Who, and why; only who, where it has been told. */
static void writer_print(const struct blaming *b, struct writer *writer)
{
    const struct client_log_entry *e = writer->entry;
    printf("landing %llu  session %s  %s  %.*s\n", (unsigned long long)e->position,
           id16_hex(&e->session).s, cli_date(e->hlc).s, (int)e->author.len, e->author.data);
    if (writer->told) {
        struct bytes goal = first_line(e->goal);
        printf("    %.*s\n", (int)goal.len, goal.data);
        return;
    }
    writer->told = true;
    indented(e->goal);
    if (!bytes_equal(writer->path, b->path))
        printf("  as %.*s\n", (int)writer->path.len, writer->path.data);
    if (writer->session->n_decisions > 0)
        printf("  decisions\n");
    for (size_t i = 0; i < writer->session->n_decisions; i++)
        indented(writer->session->decisions[i].text);
}

/* Runs of lines that came together, each below its reason. */
static void runs_print(const struct blaming *b)
{
    struct bytes rest = buf_bytes(&b->text);
    for (size_t i = 0; i < b->blame.n; i++) {
        if (i > 0 && b->blame.by[i] != b->blame.by[i - 1])
            printf("\n");
        if (i == 0 || b->blame.by[i] != b->blame.by[i - 1])
            writer_print(b, &b->writers[b->blame.by[i]]);
        line_print(i + 1, digits(b->blame.n), line_take(&rest));
    }
}

static int print_json(const struct blaming *b)
{
    struct cli_json json;
    cli_json_begin(&json);
    struct json_writer *w = &json.w;
    jwr_object(w, NULL);
    jwr_text(w, "path", b->path);
    jwr_u64(w, "at", b->at);
    jwr_array(w, "lines");
    struct bytes rest = buf_bytes(&b->text);
    for (size_t i = 0; i < b->blame.n; i++) {
        const struct client_log_entry *e = b->writers[b->blame.by[i]].entry;
        jwr_object(w, NULL);
        jwr_u64(w, "line", i + 1);
        jwr_u64(w, "position", e->position);
        jwr_id16(w, "session", &e->session);
        jwr_text(w, "text", line_take(&rest));
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_array(w, "landings");
    for (size_t i = 0; i < b->n; i++) {
        const struct writer *writer = &b->writers[i];
        if (!writer->used)
            continue;
        jwr_object(w, NULL);
        jwr_u64(w, "position", writer->entry->position);
        jwr_id16(w, "session", &writer->entry->session);
        jwr_decimal(w, "hlc", writer->entry->hlc);
        jwr_text(w, "path", writer->path);
        if (writer->session != NULL) {
            writer->session->position = 0; /* it is said already */
            cli_session_json(w, writer->session, &b->cli->arena);
        } else {
            jwr_text(w, "author", writer->entry->author);
            jwr_text(w, "goal", writer->entry->goal);
        }
        jwr_object_end(w);
    }
    jwr_array_end(w);
    jwr_object_end(w);
    return cli_json_end(&json);
}

/* ---- the command ------------------------------------------------------------------------- */

/* The position that is asked for; else the head's, so that all that is read is of one. */
static int position_find(struct blaming *b)
{
    struct cli *cli = b->cli;
    const char *given = cli_value(cli, "at", 0);
    if (given != NULL)
        return cli_position(cli, given, &b->at);
    struct client_head head;
    if (client_head(&cli->client, b->project, &head) != OK)
        return cli_client_failed(cli, "blame");
    b->at = head.position;
    return 0;
}

static int blame_run(struct blaming *b)
{
    struct cli *cli = b->cli;
    bool why = cli_flag(cli, "why");
    int status = cli_project(cli, &b->project);
    if (status == 0)
        status = cli_path(cli, cli->words[0], &b->path);
    if (status == 0 && b->path.len == 0)
        return cli_fail(cli, "%s is the top directory: name a file", cli->words[0]);
    if (status == 0)
        status = position_find(b);
    if (status == 0)
        status = text_get(b);
    if (status == 0)
        status = history_walk(b);
    if (status == 0 && why)
        status = sessions_get(b);
    if (status != 0)
        return status;
    if (cli->json)
        return print_json(b);
    if (why)
        runs_print(b);
    else
        lines_print(b);
    return EXIT_DONE;
}

int cmd_blame(struct cli *cli)
{
    struct blaming b = {.cli = cli};
    int status = blame_run(&b);
    blame_release(&b.blame);
    buf_release(&b.text);
    return status;
}
