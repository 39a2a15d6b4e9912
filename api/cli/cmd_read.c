#include "api/cli/cli.h"
#include "api/client/call.h"
#include "formats/base/hex.h"

static int at_option(struct cli *cli, uint64_t *at)
{
    const char *position = cli_value(cli, "at", 0);
    *at = UINT64_MAX;
    return position == NULL ? 0 : cli_position(cli, position, at);
}

static int to_stdout(void *arg UNUSED, struct bytes data)
{
    return cli_print(data) == EXIT_DONE ? OK : ERR_AGAIN;
}

static int to_buf(void *arg, struct bytes data)
{
    struct buf *out = arg;
    if (out->len + data.len > 64u * MIB)
        return ERR_LIMIT;
    buf_append_bytes(out, data);
    return OK;
}

int cmd_cat(struct cli *cli)
{
    uint64_t at;
    struct bytes project, path;
    int status = at_option(cli, &at);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status == 0)
        status = cli_path(cli, cli->words[0], &path);
    if (status != 0)
        return status;
    AUTO_BUF text = {0};
    struct http_sink sink = {.write = cli->json ? to_buf : to_stdout, .arg = &text};
    if (client_file(&cli->client, project, path, at, sink) != OK)
        return cli_client_failed(cli, cli->words[0]);
    if (!cli->json)
        return EXIT_DONE;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_text(&json.w, "path", path);
    jwr_u64(&json.w, "size", text.len);
    jwr_base64(&json.w, "base64", buf_bytes(&text));
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}

static void entry_print(const struct entry *e)
{
    const char *mode = e->kind == KIND_DIR    ? "dir "
                       : e->kind == KIND_LINK ? "link"
                       : e->mode == MODE_EXEC ? "0755"
                                              : "0644";
    printf("%s %12llu %10llu %.12s %.*s%s\n", mode, (unsigned long long)e->size,
           (unsigned long long)e->stamp, hash_hex(&e->hash).s, (int)e->name.len, e->name.data,
           e->kind == KIND_DIR ? "/" : "");
}

static void entry_json(struct json_writer *w, const struct entry *e)
{
    jwr_object(w, NULL);
    jwr_text(w, "name", e->name);
    jwr_str(w, "kind", kind_name(e->kind));
    if (e->kind == KIND_FILE)
        jwr_str(w, "mode", e->mode == MODE_EXEC ? "0755" : "0644");
    jwr_u64(w, "size", e->size);
    if (e->kind == KIND_DIR)
        jwr_u64(w, "files", e->files);
    jwr_hash(w, "hash", &e->hash);
    jwr_u64(w, "stamp", e->stamp);
    jwr_object_end(w);
}

int cmd_ls(struct cli *cli)
{
    uint64_t at;
    struct bytes project, path = bytes_of(NULL, 0);
    int status = at_option(cli, &at);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status == 0 && (cli->n_words > 0 || cli->has_ws))
        status = cli_path(cli, cli->n_words > 0 ? cli->words[0] : ".", &path);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_text(&json.w, "path", path);
    jwr_array(&json.w, "entries");
    struct client_listing page = {0};
    do {
        if (client_list(&cli->client, project, path, at, page.next, &cli->arena, &page) != OK) {
            buf_release(&json.text);
            return cli_client_failed(cli, cli->n_words > 0 ? cli->words[0] : "ls");
        }
        /* The pages after the first are of the same tree. */
        at = page.position;
        for (size_t i = 0; i < page.n; i++) {
            if (!cli->json)
                entry_print(&page.entries[i]);
            entry_json(&json.w, &page.entries[i]);
        }
    } while (page.next.len > 0);
    jwr_array_end(&json.w);
    jwr_u64(&json.w, "position", page.position);
    jwr_object_end(&json.w);
    if (cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return EXIT_DONE;
}
