/* `mic derive`: putting leaves and recipes, and getting what they come to. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "api/client/client_derive.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"
#include "formats/path.h"
#include "formats/ref.h"
#include "pipeline/sys/file.h"

/* What every command of derivation begins with. */
static int begin(struct cli *cli, bool writes, struct bytes *project)
{
    int status = cli_project(cli, project);
    return status == 0 && writes ? cli_author(cli) : status;
}

static int address_print(struct cli *cli, const struct hash *address)
{
    if (!cli->json) {
        printf("%s\n", hash_hex(address).s);
        return EXIT_DONE;
    }
    struct cli_json json;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    jwr_hash(&json.w, "address", address);
    jwr_object_end(&json.w);
    return cli_json_end(&json);
}

/* --- leaves --- */

struct leaf_file {
    int fd;
};

static long leaf_read(void *arg, uint8_t *out, size_t len)
{
    const struct leaf_file *file = arg;
    ssize_t n = read(file->fd, out, len);
    return n < 0 ? ERR_AGAIN : (long)n;
}

static int leaf_rewind(void *arg)
{
    const struct leaf_file *file = arg;
    return lseek(file->fd, 0, SEEK_SET) == 0 ? OK : ERR_AGAIN;
}

int cmd_derive_leaf(struct cli *cli)
{
    const char *name = cli->words[0];
    bool standard = strcmp(name, "-") == 0;
    struct bytes project;
    struct hash address;
    struct stat st = {0};
    int status = begin(cli, true, &project);
    if (status != 0)
        return status;
    struct leaf_file file = {.fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0 || fstat(file.fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        if (file.fd > STDIN_FILENO)
            (void)close(file.fd);
        return cli_fail(cli, "%s: cannot be read as a file", name);
    }
    bool regular = S_ISREG(st.st_mode);
    const struct http_source source = {.read = leaf_read,
                                       .rewind = regular ? leaf_rewind : NULL,
                                       .arg = &file,
                                       .size = regular ? (int64_t)st.st_size : -1};
    int err = client_derive_leaf(&cli->client, project, &source, &address);
    if (!standard)
        (void)close(file.fd);
    return err == OK ? address_print(cli, &address) : cli_client_failed(cli, name);
}

/* --- recipes --- */

/* An input: an address, @REF, or @REF//PATH for what lies below a directory. No path has two
 * slashes on end, so this can be nothing else. */
static int input_of(struct cli *cli, const char *word, struct recipe_input *out)
{
    if (word[0] != '@') {
        out->kind = RECIPE_ADDRESS;
        return cli_address(cli, word, &out->address);
    }
    const char *name = word + 1;
    const char *path = strstr(name, "//");
    out->kind = RECIPE_REF;
    out->ref = path == NULL ? bytes_str(name) : bytes_of(name, (size_t)(path - name));
    out->path = bytes_str(path == NULL ? "" : path + 2);
    const char *why = "is too long";
    if (!ref_is_head(out->ref) && ref_name_check(out->ref, &why) != OK)
        return cli_usage(cli, "\"%.*s\" is no name of a ref: it %s", (int)out->ref.len,
                         (const char *)out->ref.data, why);
    if (out->path.len > 0 && path_check(out->path, &why) != OK)
        return cli_usage(cli, "\"%s\" is no path: it %s", path + 2, why);
    return 0;
}

static int parameters_of(struct cli *cli, struct recipe *recipe)
{
    const char *given;
    size_t n = 0;
    while (cli_value(cli, "param", n) != NULL)
        n++;
    recipe->parameters = arena_array(&cli->arena, n, struct parameter);
    recipe->n_parameters = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        given = cli_value(cli, "param", i);
        const char *equals = strchr(given, '=');
        if (equals == NULL || equals - given > (ptrdiff_t)FUNCTION_NAME_MAX)
            return cli_usage(cli, "--param %s is not NAME=VALUE", given);
        struct bytes name = bytes_of(given, (size_t)(equals - given));
        for (size_t k = 0; k < i; k++) {
            if (bytes_equal(recipe->parameters[k].name, name))
                return cli_usage(cli, "--param %.*s is given twice", (int)name.len,
                                 (const char *)name.data);
        }
        recipe->parameters[i].name = name;
        recipe->parameters[i].value = bytes_str(equals + 1);
    }
    return 0;
}

/* FUNCTION, or FUNCTION@VERSION. */
static void function_of(const char *word, struct recipe *recipe)
{
    const char *at = strchr(word, '@');
    recipe->function = at == NULL ? bytes_str(word) : bytes_of(word, (size_t)(at - word));
    recipe->version = bytes_str(at == NULL ? "1.0.0" : at + 1);
}

int cmd_derive_recipe(struct cli *cli)
{
    struct bytes project;
    struct hash address;
    struct recipe recipe = {0};
    int status = begin(cli, true, &project);
    if (status == 0)
        status = parameters_of(cli, &recipe);
    function_of(cli->words[0], &recipe);
    recipe.n_inputs = (uint32_t)(cli->n_words - 1);
    recipe.inputs = arena_array(&cli->arena, recipe.n_inputs, struct recipe_input);
    for (uint32_t i = 0; i < recipe.n_inputs && status == 0; i++)
        status = input_of(cli, cli->words[i + 1], &recipe.inputs[i]);
    if (status != 0)
        return status;
    if (client_derive_recipe(&cli->client, project, &recipe, &address) != OK)
        return cli_client_failed(cli, cli->words[0]);
    return address_print(cli, &address);
}

/* --- results --- */

struct get_out {
    struct cli *cli;
    const char *name; /* NULL: the standard output */
    int fd;           /* -1: not open yet */
    int err;
    uint64_t began_us;
};

/* What was in the file stays there until something comes to take its place. */
static int out_open(struct get_out *out)
{
    if (out->fd < 0)
        out->fd = open(out->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    out->err = out->fd < 0 ? ERR_DENIED : OK;
    return out->err;
}

static int to_fd(void *arg, struct bytes data)
{
    struct get_out *out = arg;
    cli_tick_end(out->cli);
    if (out_open(out) == OK)
        out->err = fd_write_all(out->fd, data);
    return out->err;
}

static bool number_ok(struct bytes text)
{
    uint64_t n;
    return text.len == 0 || hlc_parse(text, &n) == OK;
}

/* FROM-TO, FROM- or -LAST. A server passes over a range that it does not understand. */
static bool range_ok(const char *text)
{
    const char *dash = strchr(text, '-');
    if (dash == NULL)
        return false;
    struct bytes first = bytes_of(text, (size_t)(dash - text));
    struct bytes last = bytes_str(dash + 1);
    uint64_t from, to;
    bool both = first.len > 0 && last.len > 0;
    return first.len + last.len > 0 && number_ok(first) && number_ok(last) &&
           (!both ||
            (hlc_parse(first, &from) == OK && hlc_parse(last, &to) == OK && from <= to));
}

static void tell_progress(void *arg, const struct client_derive_progress *progress)
{
    const struct get_out *out = arg;
    struct cli *cli = out->cli;
    uint64_t now = cli->env->clock->mono_us(cli->env->clock);
    cli_progress(cli,
                 "computing for %llu s: %llu of %llu known, %llu runs ended, %llu under way, "
                 "%llu bytes written",
                 (unsigned long long)((now - out->began_us) / 1000000),
                 (unsigned long long)progress->known, (unsigned long long)progress->nodes,
                 (unsigned long long)progress->runs, (unsigned long long)progress->running,
                 (unsigned long long)progress->bytes);
}

int cmd_derive_get(struct cli *cli)
{
    struct bytes project;
    struct hash address;
    const char *name = cli_value(cli, "output", 0);
    int status = begin(cli, false, &project);
    if (status == 0)
        status = cli_address(cli, cli->words[0], &address);
    const char *range = cli_value(cli, "range", 0);
    if (status == 0 && range != NULL && !range_ok(range))
        status = cli_usage(cli, "--range %s is none of FROM-TO, FROM- and -LAST", range);
    if (status != 0)
        return status;
    struct get_out out = {.cli = cli,
                          .name = name,
                          .fd = name == NULL ? STDOUT_FILENO : -1,
                          .began_us = cli->env->clock->mono_us(cli->env->clock)};
    const struct client_derive_get get = {.range = range,
                                          .verify = cli_value(cli, "verify", 0),
                                          .sink = {.write = to_fd, .arg = &out},
                                          .wait = tell_progress,
                                          .arg = &out};
    int err = client_derive_get(&cli->client, project, &address, &get);
    cli_tick_end(cli);
    if (err == OK)
        (void)out_open(&out); /* an empty result makes an empty file */
    if (name != NULL && out.fd >= 0 && close(out.fd) != 0 && out.err == OK)
        out.err = ERR_AGAIN;
    if (out.err != OK)
        return cli_fail(cli, "%s: cannot be written", name == NULL ? "the output" : name);
    return err == OK ? EXIT_DONE : cli_client_failed(cli, cli->words[0]);
}
