#include "api/cli/cli.h"
#include "formats/base/hex.h"
#include "formats/path.h"

int cmd_project_create(struct cli *cli)
{
    struct bytes handle = bytes_str(cli->words[0]);
    if (handle_check(handle) != OK)
        return cli_usage(cli,
                         "\"%s\" is no handle: 1 to 100 of a-z 0-9 . _ -, beginning with a "
                         "letter or digit",
                         cli->words[0]);
    int status = cli_open_client(cli);
    if (status == 0)
        status = cli_author(cli);
    if (status != 0)
        return status;
    struct id16 id;
    if (client_project_create(&cli->client, handle, &id) != OK)
        return cli_client_failed(cli, cli->words[0]);
    if (cli->json) {
        struct cli_json json;
        cli_json_begin(&json);
        jwr_object(&json.w, NULL);
        jwr_id16(&json.w, "id", &id);
        jwr_text(&json.w, "handle", handle);
        jwr_u64(&json.w, "position", 0);
        jwr_object_end(&json.w);
        return cli_json_end(&json);
    }
    printf("%s %s\n", id16_hex(&id).s, cli->words[0]);
    return EXIT_DONE;
}

int cmd_project_list(struct cli *cli)
{
    int status = cli_open_client(cli);
    if (status != 0)
        return status;
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_array(&json.w, "projects");
    struct client_projects page = {0};
    do {
        if (client_project_list(&cli->client, page.next, &cli->arena, &page) != OK) {
            buf_release(&json.text);
            return cli_client_failed(cli, "project list");
        }
        for (size_t i = 0; i < page.n; i++) {
            const struct client_project *project = &page.projects[i];
            if (!cli->json)
                printf("%s %.*s\n", id16_hex(&project->id).s, (int)project->handle.len,
                       project->handle.data);
            jwr_object(&json.w, NULL);
            jwr_id16(&json.w, "id", &project->id);
            jwr_text(&json.w, "handle", project->handle);
            jwr_object_end(&json.w);
        }
    } while (page.next.len > 0);
    jwr_array_end(&json.w);
    jwr_object_end(&json.w);
    if (cli->json)
        return cli_json_end(&json);
    buf_release(&json.text);
    return EXIT_DONE;
}
