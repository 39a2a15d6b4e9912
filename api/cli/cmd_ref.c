/* Names that addresses are bound to. */
#include "api/cli/cli.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"
#include "formats/ref.h"

#define LOG_LIMIT 50u
#define LOG_PAGE  200u

static int name_of(struct cli *cli, bool binds, struct bytes *out)
{
    const char *why = "is too long";
    struct bytes name = bytes_str(cli->words[0]);
    *out = name;
    if ((!binds && ref_is_head(name)) || ref_name_check(name, &why) == OK)
        return 0;
    return cli_usage(cli, "\"%s\" is no name of a ref: it %s", cli->words[0], why);
}

/* What --expect says. */
static int expected_of(struct cli *cli, struct client_expected *out)
{
    const char *text = cli_value(cli, "expect", 0);
    *out = (struct client_expected){.said = text != NULL};
    if (text == NULL || strcmp(text, "none") == 0)
        return 0;
    out->bound = true;
    return cli_address(cli, text, &out->address);
}

static int ref_failed(struct cli *cli)
{
    const char *code = cli->client.problem.code;
    bool conflict = strcmp(code, "ref_conflict") == 0 || strcmp(code, "ref_cycle") == 0;
    int status = cli_client_failed(cli, cli->words[0]);
    return conflict ? EXIT_CONFLICT : status;
}

static int done_tell(struct cli *cli, struct bytes name, const struct hash *address,
                     const struct client_ref_done *done)
{
    if (done->pending)
        return cli_fail(cli, "%s: it was taken, and will be decided; mic ref get tells",
                        cli->words[0]);
    if (done->affected > 0)
        cli_say(cli, "%llu %s on it, directly or not; %llu deep",
                (unsigned long long)done->affected,
                done->affected == 1 ? "recipe depends" : "recipes depend",
                (unsigned long long)done->depth);
    if (!cli->json)
        return EXIT_DONE;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_text(&json.w, "name", name);
    if (address != NULL)
        jwr_hash(&json.w, "address", address);
    else
        jwr_null(&json.w, "address");
    jwr_u64(&json.w, "position", done->position);
    if (done->counted) {
        jwr_u64(&json.w, "affected", done->affected);
        jwr_u64(&json.w, "depth", done->depth);
    }
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}

int cmd_ref_bind(struct cli *cli)
{
    struct bytes name;
    struct bytes project;
    struct hash address;
    struct client_expected expected;
    struct client_ref_done done;
    int status = name_of(cli, true, &name);
    if (status == 0)
        status = cli_address(cli, cli->words[1], &address);
    if (status == 0)
        status = expected_of(cli, &expected);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status == 0)
        status = cli_author(cli);
    if (status != 0)
        return status;
    if (client_ref_bind(&cli->client, project, name, &address, &expected, &done) != OK)
        return ref_failed(cli);
    return done_tell(cli, name, &address, &done);
}

int cmd_ref_rm(struct cli *cli)
{
    struct bytes name;
    struct bytes project;
    struct client_expected expected;
    struct client_ref_done done;
    int status = name_of(cli, true, &name);
    if (status == 0)
        status = expected_of(cli, &expected);
    if (status == 0 && expected.said && !expected.bound)
        status = cli_usage(cli, "what is to be deleted is bound to something");
    if (status == 0)
        status = cli_project(cli, &project);
    if (status == 0)
        status = cli_author(cli);
    if (status != 0)
        return status;
    if (client_ref_delete(&cli->client, project, name, &expected, &done) != OK)
        return ref_failed(cli);
    return done_tell(cli, name, NULL, &done);
}

int cmd_ref_get(struct cli *cli)
{
    struct bytes name;
    struct bytes project;
    struct client_ref ref;
    struct bytes path = bytes_str(cli->n_words > 1 ? cli->words[1] : "");
    int status = name_of(cli, false, &name);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status != 0)
        return status;
    if (client_ref(&cli->client, project, name, path, &cli->arena, &ref) != OK)
        return cli_client_failed(cli, cli->words[0]);
    if (!cli->json) {
        printf("%s\n", hash_hex(&ref.address).s);
        return EXIT_DONE;
    }
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_text(&json.w, "name", name);
    if (path.len > 0)
        jwr_text(&json.w, "path", path);
    jwr_hash(&json.w, "address", &ref.address);
    jwr_text(&json.w, "kind", ref.kind);
    jwr_u64(&json.w, "position", ref.position);
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}

static int refs_print(struct cli *cli, struct bytes project, struct bytes prefix,
                      struct json_writer *w)
{
    struct client_refs page = {0};
    do {
        if (client_refs(&cli->client, project, prefix, page.next, &cli->arena, &page) != OK)
            return cli_client_failed(cli, "ref ls");
        for (size_t i = 0; i < page.n; i++) {
            const struct client_ref *ref = &page.refs[i];
            if (!cli->json)
                printf("%s %.*s\n", hash_hex(&ref->address).s, (int)ref->name.len,
                       ref->name.data);
            jwr_object(w, NULL);
            jwr_text(w, "name", ref->name);
            jwr_hash(w, "address", &ref->address);
            jwr_u64(w, "position", ref->position);
            jwr_object_end(w);
        }
    } while (page.next.len > 0);
    return 0;
}

int cmd_ref_ls(struct cli *cli)
{
    struct bytes project;
    struct bytes prefix = bytes_str(cli->n_words > 0 ? cli->words[0] : "");
    int status = cli_project(cli, &project);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_array(&json.w, "refs");
    status = refs_print(cli, project, prefix, &json.w);
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    if (status == 0 && cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return status;
}

static void entry_print(const struct cli *cli, const struct client_ref_entry *entry,
                        struct json_writer *w)
{
    if (!cli->json)
        printf("%llu  %s  %.*s  %s\n", (unsigned long long)entry->position,
               cli_date(entry->hlc).s, (int)entry->author.len, entry->author.data,
               entry->bound ? hash_hex(&entry->address).s : "deleted");
    jwr_object(w, NULL);
    jwr_u64(w, "position", entry->position);
    jwr_decimal(w, "hlc", entry->hlc);
    jwr_text(w, "author", entry->author);
    if (entry->bound)
        jwr_hash(w, "address", &entry->address);
    else
        jwr_null(w, "address");
    jwr_object_end(w);
}

static int log_print(struct cli *cli, struct bytes project, struct bytes name, uint64_t limit,
                     struct json_writer *w)
{
    struct client_ref_log page = {0};
    do {
        size_t count = limit < LOG_PAGE ? (size_t)limit : LOG_PAGE;
        if (client_ref_log(&cli->client, project, name, page.next, count, &cli->arena, &page) !=
            OK)
            return cli_client_failed(cli, cli->words[0]);
        for (size_t i = 0; i < page.n; i++)
            entry_print(cli, &page.entries[i], w);
        limit -= page.n < limit ? page.n : limit;
    } while (limit > 0 && page.next > 0);
    return 0;
}

int cmd_ref_log(struct cli *cli)
{
    struct bytes name;
    struct bytes project;
    uint64_t limit = LOG_LIMIT;
    const char *given = cli_value(cli, "limit", 0);
    if (given != NULL && (hlc_parse(bytes_str(given), &limit) != OK || limit == 0))
        return cli_usage(cli, "--limit \"%s\" is no number from 1", given);
    int status = name_of(cli, true, &name);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_array(&json.w, "entries");
    status = log_print(cli, project, name, limit, &json.w);
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    if (status == 0 && cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return status;
}
