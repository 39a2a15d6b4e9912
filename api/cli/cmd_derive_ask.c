/* `mic derive`: what addresses are, how they hang together, and keeping house. With --json each
 * prints the server's answer as it is. */
#include "api/cli/cli.h"
#include "api/client/client_derive.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"
#include "pipeline/sys/http_client.h"

#define NUMBER(at, name) (unsigned long long)jrd_u64((at), (name), JSON_OPTIONAL, INT64_MAX, 0)

struct ask {
    struct cli *cli;
    struct buf below;
    struct buf body;
    struct buf text;
    struct json_t *value;
    struct json_problem wrong;
    struct json_at top;
};

static void ask_release(struct ask *ask)
{
    buf_release(&ask->below);
    buf_release(&ask->body);
    buf_release(&ask->text);
    json_drop(&ask->value);
}
#define AUTO_ASK AUTO(ask_release) struct ask

/* Sends what `below` and `body` say. 0: the answer is there; else what main is to return. */
static int ask_send(struct ask *ask, const char *method)
{
    struct cli *cli = ask->cli;
    struct bytes project;
    int status = cli_project(cli, &project);
    if (status == 0 && strcmp(method, "POST") == 0)
        status = cli_author(cli);
    if (status != 0)
        return status;
    buf_append(&ask->below, "", 1);
    const struct client_ask what = {.method = method,
                                    .below = (const char *)ask->below.data,
                                    .body = buf_bytes(&ask->body)};
    if (client_derive_ask(&cli->client, project, &what, &ask->text, &ask->value) != OK)
        return cli_client_failed(cli, cli->n_words > 0 ? cli->words[0] : cli->command->name);
    ask->top = jrd_top(ask->value, &ask->wrong);
    return 0;
}

/* The same; with --json the answer is printed, and that was all. */
static int ask_run(struct ask *ask, const char *method, bool *done)
{
    int status = ask_send(ask, method);
    *done = status == 0 && ask->cli->json;
    if (!*done)
        return status;
    buf_append(&ask->text, "\n", 1);
    return cli_print(buf_bytes(&ask->text));
}

/* An answer whose fields are not as they should be is said so. */
static int ask_end(const struct ask *ask)
{
    return jrd_ok(&ask->top) ? EXIT_DONE
                             : cli_fail(ask->cli, "the server's answer makes no sense: %s",
                                        ask->wrong.message);
}

/* Asks about the address in the first word. */
static int ask_address(struct ask *ask, const char *method, const char *what, bool *done)
{
    *done = false;
    struct hash address;
    int status = cli_address(ask->cli, ask->cli->words[0], &address);
    if (status != 0)
        return status;
    buf_printf(&ask->below, "/%s%s", ask->cli->words[0], what);
    return ask_run(ask, method, done);
}

static void text_print(const char *before, struct bytes text, const char *after)
{
    printf("%s%.*s%s", before, (int)text.len, (const char *)text.data, after);
}

/* --- what an address is --- */

static void recipe_print(const struct json_at *top)
{
    text_print("recipe ", jrd_text(top, "function", JSON_REQUIRED), " ");
    text_print("", jrd_text(top, "version", JSON_REQUIRED), "\n");
    struct json_at inputs = jrd_array(top, "inputs", JSON_REQUIRED);
    for (size_t i = 0; i < jrd_count(&inputs); i++) {
        if (!jrd_item_is_object(&inputs, i)) {
            text_print("input ", jrd_item_text(&inputs, i), "\n");
            continue;
        }
        struct json_at item = jrd_item(&inputs, i);
        struct bytes path = jrd_text(&item, "path", JSON_OPTIONAL);
        text_print("input @", jrd_text(&item, "ref", JSON_REQUIRED), path.len > 0 ? "//" : "");
        text_print("", path, "\n");
    }
    struct json_at parameters = jrd_object(top, "parameters", JSON_REQUIRED);
    void *iter = NULL;
    const char *name;
    struct bytes value;
    while (jrd_each_text(&parameters, &iter, &name, &value)) {
        printf("param %s=", name);
        text_print("", value, "\n");
    }
}

int cmd_derive_show(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    bool done;
    int status = ask_address(&ask, "GET", "/recipe", &done);
    if (status != 0 || done)
        return status;
    struct bytes kind = jrd_text(&ask.top, "kind", JSON_REQUIRED);
    if (bytes_equal(kind, bytes_str("recipe")))
        recipe_print(&ask.top);
    else if (bytes_equal(kind, bytes_str("leaf")))
        printf("leaf of %llu bytes\n", NUMBER(&ask.top, "size"));
    else
        text_print("", kind, "\n");
    return ask_end(&ask);
}

static int lineage_dot(struct cli *cli)
{
    AUTO_BUF below = {0};
    AUTO_BUF text = {0};
    struct bytes project;
    struct hash address;
    int status = cli_address(cli, cli->words[0], &address);
    if (status == 0)
        status = cli_project(cli, &project);
    if (status != 0)
        return status;
    buf_printf(&below, "/%s/lineage?format=dot", cli->words[0]);
    buf_append(&below, "", 1);
    const struct client_ask what = {.method = "GET", .below = (const char *)below.data};
    if (client_derive_ask(&cli->client, project, &what, &text, NULL) != OK)
        return cli_client_failed(cli, cli->words[0]);
    return cli_print(buf_bytes(&text));
}

int cmd_derive_lineage(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    bool done;
    if (cli_flag(cli, "dot") && cli->json)
        return cli_usage(cli, "--dot is no JSON");
    if (cli_flag(cli, "dot"))
        return lineage_dot(cli);
    int status = ask_address(&ask, "GET", "/lineage", &done);
    if (status != 0 || done)
        return status;
    struct json_at nodes = jrd_array(&ask.top, "nodes", JSON_REQUIRED);
    for (size_t i = 0; i < jrd_count(&nodes); i++) {
        struct json_at node = jrd_item(&nodes, i);
        struct bytes function = jrd_text(&node, "function", JSON_OPTIONAL);
        text_print("", jrd_text(&node, "address", JSON_REQUIRED), " ");
        text_print("", jrd_text(&node, "kind", JSON_REQUIRED), function.len > 0 ? " " : "");
        text_print("", function, "\n");
    }
    if (jrd_bool(&ask.top, "more", JSON_OPTIONAL))
        cli_say(cli, "there is more than is shown here");
    return ask_end(&ask);
}

/* --- chunks --- */

/* One page of chunks, behind `next`, which it moves on: 0 when that was the last. */
static int chunks_page(struct cli *cli, uint64_t *next, struct json_writer *w)
{
    AUTO_ASK ask = {.cli = cli};
    struct hash address;
    int status = cli_address(cli, cli->words[0], &address);
    if (status != 0)
        return status;
    buf_printf(&ask.below, "/%s/chunks?after=%llu", cli->words[0], (unsigned long long)*next);
    status = ask_send(&ask, "GET");
    if (status != 0)
        return status;
    bool lasts = jrd_bool(&ask.top, "lasts", JSON_REQUIRED);
    if (*next == 0 && !lasts)
        cli_say(cli, "it uses references: its chunks can be got as long as it is cached");
    if (*next == 0) {
        jwr_text(w, "output", jrd_text(&ask.top, "output", JSON_REQUIRED));
        jwr_u64(w, "size", jrd_u64(&ask.top, "size", JSON_REQUIRED, INT64_MAX, 0));
        jwr_bool(w, "lasts", lasts);
        jwr_array(w, "chunks");
    }
    struct json_at list = jrd_array(&ask.top, "chunks", JSON_REQUIRED);
    for (size_t i = 0; i < jrd_count(&list); i++) {
        struct json_at row = jrd_item(&list, i);
        struct bytes chunk = jrd_text(&row, "address", JSON_REQUIRED);
        if (!cli->json) {
            printf("%llu %llu ", NUMBER(&row, "offset"), NUMBER(&row, "size"));
            text_print("", chunk, "\n");
        }
        jwr_object(w, NULL);
        jwr_u64(w, "offset", NUMBER(&row, "offset"));
        jwr_u64(w, "size", NUMBER(&row, "size"));
        jwr_text(w, "address", chunk);
        jwr_object_end(w);
    }
    *next = jrd_u64(&ask.top, "next", JSON_OPTIONAL, INT64_MAX, 0);
    return ask_end(&ask);
}

int cmd_derive_chunks(struct cli *cli)
{
    uint64_t next = 0;
    struct cli_json json;
    int status;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    do
        status = chunks_page(cli, &next, &json.w);
    while (status == EXIT_DONE && next > 0);
    if (status == EXIT_DONE) {
        jwr_array_end(&json.w);
        jwr_object_end(&json.w);
        if (cli->json)
            return cli_json_end(&json);
    }
    buf_release(&json.text);
    return status;
}

/* --- dependents --- */

/* The root in the first word, an address or @REF: as a field's name and its value. */
static int root_word(struct cli *cli, const char **name, const char **value)
{
    const char *word = cli->words[0];
    bool ref = word[0] == '@';
    *name = ref ? "ref" : "address";
    *value = ref ? word + 1 : word;
    struct hash address;
    return ref ? 0 : cli_address(cli, word, &address);
}

/* One page of addresses, behind `next`, which it moves on: empty when that was the last. */
static int page_print(struct cli *cli, const char *first, bool counted, struct bytes *next,
                      struct json_writer *w)
{
    AUTO_ASK ask = {.cli = cli};
    bool begins = next->len == 0;
    buf_printf(&ask.below, "%s", first);
    if (!begins)
        buf_printf(&ask.below, "%cafter=%.*s", strchr(first, '?') != NULL ? '&' : '?',
                   (int)next->len, (const char *)next->data);
    int status = ask_send(&ask, "GET");
    if (status != 0)
        return status;
    unsigned long long count = NUMBER(&ask.top, "count");
    unsigned long long depth = NUMBER(&ask.top, "depth");
    if (begins && counted && cli->json) {
        jwr_u64(w, "count", count);
        jwr_u64(w, "depth", depth);
    } else if (begins && counted) {
        cli_say(cli, "%llu %s on it, directly or not; %llu deep", count,
                count == 1 ? "recipe depends" : "recipes depend", depth);
    }
    if (begins)
        jwr_array(w, "addresses");
    struct json_at list = jrd_array(&ask.top, "addresses", JSON_REQUIRED);
    for (size_t i = 0; i < jrd_count(&list); i++) {
        struct bytes address = jrd_item_text(&list, i);
        jwr_text(w, NULL, address);
        if (!cli->json)
            text_print("", address, "\n");
    }
    *next = arena_copy(&cli->arena, jrd_text(&ask.top, "next", JSON_OPTIONAL));
    return ask_end(&ask);
}

/* All of them, page by page. */
static int pages_print(struct cli *cli, const char *first, bool counted)
{
    struct bytes next = bytes_of(NULL, 0);
    struct cli_json json;
    int status;
    cli_json_begin(&json);
    jwr_object(&json.w, NULL);
    do
        status = page_print(cli, first, counted, &next, &json.w);
    while (status == EXIT_DONE && next.len > 0);
    if (status == EXIT_DONE) {
        jwr_array_end(&json.w);
        jwr_object_end(&json.w);
        if (cli->json)
            return cli_json_end(&json);
    }
    buf_release(&json.text);
    return status;
}

int cmd_derive_dependents(struct cli *cli)
{
    const char *name;
    const char *value;
    AUTO_BUF below = {0};
    int status = root_word(cli, &name, &value);
    if (status != 0)
        return status;
    buf_printf(&below, "/dependents?%s=", name);
    http_escape(&below, bytes_str(value), false);
    buf_append(&below, "", 1);
    return pages_print(cli, (const char *)below.data, true);
}

int cmd_derive_invalidate(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    const char *name;
    const char *value;
    struct json_writer w;
    bool done;
    int status = root_word(cli, &name, &value);
    if (status != 0)
        return status;
    jwr_init(&w, &ask.body);
    jwr_object(&w, NULL);
    jwr_str(&w, name, value);
    jwr_bool(&w, "cascade", cli_flag(cli, "cascade"));
    jwr_bool(&w, "dry_run", cli_flag(cli, "dry-run"));
    jwr_object_end(&w);
    buf_printf(&ask.below, "/invalidate");
    status = ask_run(&ask, "POST", &done);
    if (status != 0 || done)
        return status;
    if (strcmp(name, "address") == 0)
        printf("%s; ", jrd_bool(&ask.top, "was_cached", JSON_REQUIRED) ? "was cached"
                                                                       : "was not cached");
    unsigned long long count = NUMBER(&ask.top, "count");
    printf("%llu %s, %llu deep; %llu bytes %s%s\n", count,
           count == 1 ? "dependent" : "dependents", NUMBER(&ask.top, "depth"),
           NUMBER(&ask.top, "freed"), cli_flag(cli, "dry-run") ? "would be freed" : "freed",
           jrd_bool(&ask.top, "goes_on", JSON_OPTIONAL) ? ", and more behind this answer" : "");
    return ask_end(&ask);
}

int cmd_derive_collect(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    struct json_writer w;
    bool done;
    uint64_t unused_s;
    const char *unused = cli_value(cli, "unused", 0);
    if (unused != NULL && hlc_parse(bytes_str(unused), &unused_s) != OK)
        return cli_usage(cli, "--unused %s is no number of seconds", unused);
    jwr_init(&w, &ask.body);
    jwr_object(&w, NULL);
    if (unused != NULL)
        jwr_u64(&w, "unused_s", unused_s);
    jwr_bool(&w, "dry_run", cli_flag(cli, "dry-run"));
    jwr_object_end(&w);
    buf_printf(&ask.below, "/collect");
    int status = ask_run(&ask, "POST", &done);
    if (status != 0 || done)
        return status;
    printf("%llu results %s, %llu bytes; %llu stay\n", NUMBER(&ask.top, "results"),
           cli_flag(cli, "dry-run") ? "would go" : "gone", NUMBER(&ask.top, "bytes"),
           NUMBER(&ask.top, "kept"));
    return ask_end(&ask);
}

/* --- verifying and pins --- */

int cmd_derive_verify(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    bool done;
    int status = ask_address(&ask, "POST", "/verify", &done);
    if (status != 0 || done)
        return status;
    if (!jrd_bool(&ask.top, "deterministic", JSON_REQUIRED)) {
        struct bytes error = jrd_text(&ask.top, "error", JSON_OPTIONAL);
        return cli_fail(cli, "%.*s", (int)error.len, (const char *)error.data);
    }
    text_print("deterministic: ", jrd_text(&ask.top, "output", JSON_REQUIRED), "");
    printf(", %llu bytes, %llu us\n", NUMBER(&ask.top, "size"), NUMBER(&ask.top, "cost_us"));
    return ask_end(&ask);
}

static int pin_set(struct cli *cli, const char *what, bool pin)
{
    AUTO_ASK ask = {.cli = cli};
    bool done;
    int status = ask_address(&ask, "POST", what, &done);
    if (status != 0 || done)
        return status;
    if (jrd_bool(&ask.top, "was_pinned", JSON_REQUIRED) == pin)
        cli_say(cli, pin ? "it was pinned already" : "it was not pinned before");
    return ask_end(&ask);
}

int cmd_derive_pin(struct cli *cli)
{
    return pin_set(cli, "/pin", true);
}

int cmd_derive_unpin(struct cli *cli)
{
    return pin_set(cli, "/unpin", false);
}

int cmd_derive_pins(struct cli *cli)
{
    return pages_print(cli, "/pins", false);
}

/* --- what there is --- */

int cmd_derive_status(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    bool done;
    buf_printf(&ask.below, "/status");
    int status = ask_run(&ask, "GET", &done);
    if (status != 0 || done)
        return status;
    struct json_at cache = jrd_object(&ask.top, "cache", JSON_REQUIRED);
    struct json_at runs = jrd_object(&ask.top, "runs", JSON_REQUIRED);
    struct json_at verified = jrd_object(&ask.top, "verification", JSON_REQUIRED);
    printf("project: %llu recipes, %llu leaves, %llu memos, %llu pins\n",
           NUMBER(&ask.top, "recipes"), NUMBER(&ask.top, "leaves"), NUMBER(&ask.top, "memos"),
           NUMBER(&ask.top, "pins"));
    unsigned long long hits = NUMBER(&cache, "hits");
    unsigned long long looks = hits + NUMBER(&cache, "misses");
    printf("cache: %llu results, %llu bytes, hit rate %llu%% of %llu, %llu evictions\n",
           NUMBER(&cache, "entries"), NUMBER(&cache, "bytes"),
           looks > 0 ? hits * 100 / looks : 0, looks, NUMBER(&cache, "evictions"));
    printf("runs: %llu, %llu failed, %llu shared, %llu under way\n", NUMBER(&runs, "runs"),
           NUMBER(&runs, "failed"), NUMBER(&runs, "shared"), NUMBER(&runs, "running"));
    text_print("verification: ", jrd_text(&verified, "mode", JSON_REQUIRED), "");
    printf(", %llu verified, %llu passed, %llu failed\n", NUMBER(&verified, "total"),
           NUMBER(&verified, "passed"), NUMBER(&verified, "failed"));
    return ask_end(&ask);
}

int cmd_derive_functions(struct cli *cli)
{
    AUTO_ASK ask = {.cli = cli};
    bool done;
    buf_printf(&ask.below, "/functions");
    int status = ask_run(&ask, "GET", &done);
    if (status != 0 || done)
        return status;
    struct json_at list = jrd_array(&ask.top, "functions", JSON_REQUIRED);
    for (size_t i = 0; i < jrd_count(&list); i++) {
        struct json_at item = jrd_item(&list, i);
        text_print("", jrd_text(&item, "name", JSON_REQUIRED), " ");
        text_print("", jrd_text(&item, "version", JSON_REQUIRED), "");
        struct json_at inputs = jrd_array(&item, "inputs", JSON_REQUIRED);
        for (size_t k = 0; k < jrd_count(&inputs); k++)
            text_print(" ", jrd_item_text(&inputs, k), "");
        if (NUMBER(&item, "inputs_most") > jrd_count(&inputs))
            printf("…");
        struct json_at parameters = jrd_array(&item, "parameters", JSON_OPTIONAL);
        for (size_t k = 0; k < jrd_count(&parameters); k++) {
            struct json_at p = jrd_item(&parameters, k);
            bool required = jrd_bool(&p, "required", JSON_OPTIONAL);
            text_print(required ? " " : " [", jrd_text(&p, "name", JSON_REQUIRED),
                       required ? "=…" : "=…]");
        }
        text_print("\n    ", jrd_text(&item, "about", JSON_REQUIRED), "\n");
    }
    return ask_end(&ask);
}
