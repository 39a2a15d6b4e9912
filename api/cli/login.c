#include "api/cli/login.h"

#include "formats/path.h"
#include "pipeline/sys/file.h"

#define LOGIN_MAX (64u * 1024)

static const char *optional(struct cli *cli, const struct json_at *top, const char *name)
{
    if (!jrd_has(top, name))
        return NULL;
    return arena_str(&cli->arena, jrd_text(top, name, JSON_OPTIONAL));
}

static int login_read(struct cli *cli, struct login *out)
{
    *out = (struct login){0};
    if (cli->env->config == NULL)
        return 0;
    char *path = arena_printf(&cli->arena, "%s/config.json", cli->env->config);
    AUTO_BUF text = {0};
    int err = file_read(path, LOGIN_MAX, &text);
    if (err == ERR_NOT_FOUND)
        return 0;
    struct json_problem wrong = {0};
    AUTO_JSON *value = NULL;
    if (err != OK)
        return cli_fail(cli, "%s cannot be read (%s)", path, err_name(err));
    if (json_parse(buf_bytes(&text), &wrong, &value) == OK) {
        struct json_at top = jrd_top(value, &wrong);
        out->url = optional(cli, &top, "url");
        out->author = optional(cli, &top, "author");
    }
    if (wrong.code != NULL)
        return cli_fail(cli, "%s: %s", path, wrong.message);
    return 0;
}

int login_find(struct cli *cli, struct login *out)
{
    int status = login_read(cli, out);
    if (cli->env->url != NULL)
        out->url = cli->env->url;
    if (cli->env->author != NULL)
        out->author = cli->env->author;
    return status;
}

int login_save(struct cli *cli, const struct login *login)
{
    if (cli->env->config == NULL)
        return cli_fail(cli, "there is no home directory to keep the login in: set HOME");
    char *path = arena_printf(&cli->arena, "%s/config.json", cli->env->config);
    AUTO_BUF text = {0};
    struct json_writer w;
    jwr_init(&w, &text);
    jwr_object(&w, NULL);
    jwr_str(&w, "url", login->url);
    if (login->author != NULL)
        jwr_str(&w, "author", login->author);
    jwr_object_end(&w);
    buf_append(&text, "\n", 1);
    int err = file_mkdirs(cli->env->config);
    if (err == OK)
        err = file_replace(path, buf_bytes(&text), 0600, false);
    if (err != OK)
        return cli_fail(cli, "%s cannot be written (%s)", path, err_name(err));
    return 0;
}

int cmd_login(struct cli *cli)
{
    const char *url = cli->words[0];
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return cli_usage(cli, "\"%s\" is no URL: it begins with http:// or https://", url);
    struct login login;
    int status = login_read(cli, &login);
    if (status != 0)
        return status;
    const char *author = cli_value(cli, "author", 0);
    if (author != NULL && (author[0] == '\0' || strlen(author) > AUTHOR_LEN_MAX ||
                           strpbrk(author, "\r\n") != NULL || !utf8_ok(bytes_str(author))))
        return cli_usage(cli, "the author must be a name of 1 to %u bytes of UTF-8",
                         AUTHOR_LEN_MAX);
    login.url = url;
    login.author = author != NULL ? author : login.author;
    status = login_save(cli, &login);
    if (status != 0)
        return status;
    if (login.author == NULL)
        cli_say(cli, "no author is known yet: add --author NAME");
    if (cli->json) {
        struct cli_json json;
        cli_json_begin(&json);
        jwr_object(&json.w, NULL);
        jwr_str(&json.w, "url", login.url);
        jwr_str(&json.w, "author", login.author == NULL ? "" : login.author);
        jwr_object_end(&json.w);
        return cli_json_end(&json);
    }
    cli_say(cli, "logged in to %s%s%s", login.url, login.author == NULL ? "" : " as ",
            login.author == NULL ? "" : login.author);
    return EXIT_DONE;
}
