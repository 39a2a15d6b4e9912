/* What commands work with: the login, the workspace, the client. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "api/cli/cli.h"
#include "api/cli/login.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"
#include "formats/path.h"

#define LOCK_WAIT_MS 60000u
/* Between two lines of progress where none can be rewritten. */
#define PROGRESS_LINE_US 5000000u

int cli_open_workspace(struct cli *cli)
{
    if (cli->has_ws)
        return 0;
    int err = workspace_open(&cli->ws, cli->env->cwd);
    if (err == ERR_NOT_FOUND)
        return cli_fail(cli, "this is no workspace: mic checkout PROJECT makes one");
    if (err != OK)
        return cli_fail(cli, "the workspace's .mic/config.json cannot be read (%s)",
                        err_name(err));
    cli->has_ws = true;
    return 0;
}

int cli_open_client(struct cli *cli)
{
    if (cli->has_client)
        return 0;
    struct login login;
    int status = login_find(cli, &login);
    if (status != 0)
        return status;
    if (cli->env->url == NULL && cli->has_ws)
        login.url = cli->ws.url;
    if (login.url == NULL)
        return cli_fail(cli, "no forge is known: mic login URL --author NAME");
    struct client_options options = {
        .url = login.url, .author = login.author, .clock = cli->env->clock};
    if (client_open(&cli->client, &options) != OK)
        return cli_client_failed(cli, "login");
    cli->has_client = true;
    return 0;
}

int cli_author(struct cli *cli)
{
    if (cli->client.author[0] == '\0')
        return cli_fail(cli, "who are you? mic login URL --author NAME, or set MIC_AUTHOR");
    return 0;
}

int cli_lock_workspace(struct cli *cli)
{
    int status = cli_open_workspace(cli);
    if (status != 0)
        return status;
    int err = workspace_lock(&cli->ws, cli->env->clock, 200);
    if (err == ERR_AGAIN) {
        cli_say(cli, "waiting for another mic in this workspace");
        err = workspace_lock(&cli->ws, cli->env->clock, LOCK_WAIT_MS);
    }
    if (err != OK)
        return cli_fail(cli, "the workspace cannot be locked (%s)", err_name(err));
    status = cli_open_client(cli);
    if (status != 0)
        return status;
    struct apply_progress progress = {.tick = cli_tick, .arg = cli};
    struct update update = {
        .ws = &cli->ws, .client = &cli->client, .progress = &progress, .arena = &cli->arena};
    bool did = false;
    err = update_resume(&update, &did);
    cli_tick_end(cli);
    if (err != OK)
        return cli_client_failed(cli, "finishing what was interrupted here");
    if (did) {
        cli_say(cli, "finished what was interrupted: this workspace is at %llu",
                (unsigned long long)update.position);
        (void)cli_tell_conflicts(cli, &update);
    }
    return 0;
}

int cli_project(struct cli *cli, struct bytes *id)
{
    const char *named = cli_value(cli, "project", 0);
    int status = named == NULL ? cli_open_workspace(cli) : 0;
    if (status == 0)
        status = cli_open_client(cli);
    if (status != 0)
        return status;
    struct client_project project = {0};
    if (named == NULL)
        project.id = cli->ws.project;
    else if (client_project_find(&cli->client, bytes_str(named), &cli->arena, &project) != OK)
        return cli_client_failed(cli, named);
    struct id16_hex hex = id16_hex(&project.id);
    *id = arena_copy(&cli->arena, bytes_str(hex.s));
    return 0;
}

int cli_position(const struct cli *cli, const char *text, uint64_t *out)
{
    if (hlc_parse(bytes_str(text), out) != OK || *out >= BASE_END)
        return cli_usage(cli, "\"%s\" is no position: it is a whole number", text);
    return 0;
}

int cli_address(const struct cli *cli, const char *text, struct hash *out)
{
    if (hash_parse(bytes_str(text), out) == OK)
        return 0;
    return cli_usage(cli, "\"%s\" is no address: one is 64 lower-case hex digits", text);
}

int cli_path(struct cli *cli, const char *word, struct bytes *out)
{
    const char *why = NULL;
    if (cli_value(cli, "project", 0) != NULL) {
        struct bytes path = bytes_str(word);
        while (path.len > 0 && path.data[path.len - 1] == '/')
            path.len--;
        *out = bytes_equal(path, bytes_str(".")) ? bytes_of(NULL, 0) : path;
    } else {
        int status = cli_open_workspace(cli);
        if (status != 0)
            return status;
        if (workspace_path(&cli->ws, cli->env->cwd, word, &cli->arena, out) != OK)
            return cli_fail(cli, "%s lies outside of this workspace", word);
    }
    if (out->len > 0 && path_check(*out, &why) != OK)
        return cli_fail(cli, "%s is no path: it %s", word, why == NULL ? "is too long" : why);
    return 0;
}

/* ---- small things ------------------------------------------------------------------------ */

void cli_tick(void *arg, uint64_t done, uint64_t total)
{
    struct cli *cli = arg;
    if (!cli->env->terminal || total < 100)
        return;
    uint64_t now = cli->env->clock->mono_us(cli->env->clock);
    if (cli->progress_shown && now - cli->progress_us < 100000)
        return;
    cli->progress_us = now;
    cli->progress_shown = true;
    fprintf(stderr, "\r%llu of %llu files", (unsigned long long)done,
            (unsigned long long)total);
}

void cli_progress(struct cli *cli, const char *fmt, ...)
{
    char text[256];
    uint64_t now = cli->env->clock->mono_us(cli->env->clock);
    bool early = cli->progress_us != 0 && now - cli->progress_us < PROGRESS_LINE_US;
    if (cli->json || (early && !cli->env->terminal))
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    cli->progress_us = now;
    cli->progress_shown = cli->env->terminal;
    if (cli->env->terminal)
        fprintf(stderr, "\r\033[K%s", text);
    else
        fprintf(stderr, "mic: %s\n", text);
}

void cli_tick_end(struct cli *cli)
{
    if (cli->progress_shown)
        fputs("\r\033[K", stderr);
    cli->progress_shown = false;
}

struct bytes cli_key(struct cli *cli)
{
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1];
    cli->env->rng->fill(cli->env->rng, random, sizeof(random));
    hex_encode(hex, random, sizeof(random));
    return arena_copy(&cli->arena, bytes_str(hex));
}

void cli_json_begin(struct cli_json *json)
{
    json->text = (struct buf){0};
    jwr_init(&json->w, &json->text);
}

int cli_json_end(struct cli_json *json)
{
    buf_append(&json->text, "\n", 1);
    int status = cli_print(buf_bytes(&json->text));
    buf_release(&json->text);
    return status;
}

int cli_print(struct bytes data)
{
    size_t wrote = data.len == 0 ? 0 : fwrite(data.data, 1, data.len, stdout);
    return wrote == data.len ? EXIT_DONE : EXIT_FAILED;
}

struct cli_date cli_date(uint64_t hlc)
{
    struct cli_date date;
    time_t seconds = (time_t)(hlc_ms(hlc) / 1000);
    struct tm tm;
    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(date.s, sizeof(date.s), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        date.s[0] = '\0';
    return date;
}

struct bytes first_line(struct bytes text)
{
    const uint8_t *end = text.len == 0 ? NULL : memchr(text.data, '\n', text.len);
    return end == NULL ? text : bytes_of(text.data, (size_t)(end - text.data));
}
