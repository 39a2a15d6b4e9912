#include "api/client/client_derive.h"

#include <stdio.h>

#include "api/client/call.h"
#include "api/client/derive_events.h"
#include "api/json/recipe_json.h"
#include "formats/base/hex.h"

#define ANSWER_MAX (256u * MIB)
/* How long the server is to wait before it says how far it is. */
#define FIRST_WAIT "1s"
#define WAIT       "5s"

static int address_answer(struct call *call, struct hash *out)
{
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    struct json_at top;
    int err = call_top(call, &value, &wrong, &top);
    if (err != OK)
        return err;
    struct hash address = jrd_hash(&top, "address", JSON_REQUIRED);
    err = call_fields(call, &wrong);
    if (err == OK)
        *out = address;
    return err;
}

int client_derive_leaf(struct client *client, struct bytes project,
                       const struct http_source *source, struct hash *out)
{
    AUTO_CALL call;
    call_project(&call, client, "POST", project, "/derive/leaves");
    call_header(&call, "Content-Type: application/octet-stream");
    call.http.source = *source;
    return address_answer(&call, out);
}

int client_derive_recipe(struct client *client, struct bytes project,
                         const struct recipe *recipe, struct hash *out)
{
    AUTO_CALL call;
    struct json_writer w;
    call_project(&call, client, "POST", project, "/derive/recipes");
    jwr_init(&w, &call.body);
    jwr_object(&w, NULL);
    recipe_to_json(&w, recipe);
    jwr_object_end(&w);
    call_json(&call);
    return address_answer(&call, out);
}

int derive_progress_read(struct client *client, struct bytes text,
                         struct client_derive_progress *out)
{
    AUTO_JSON *value = NULL;
    struct json_problem wrong = {0};
    int err = json_parse(text, &wrong, &value);
    if (err == OK) {
        struct json_at top = jrd_top(value, &wrong);
        out->nodes = jrd_u64(&top, "nodes", JSON_REQUIRED, INT64_MAX, 0);
        out->known = jrd_u64(&top, "known", JSON_REQUIRED, INT64_MAX, 0);
        out->runs = jrd_u64(&top, "runs", JSON_REQUIRED, INT64_MAX, 0);
        out->running = jrd_u64(&top, "running", JSON_REQUIRED, INT64_MAX, 0);
        out->bytes = jrd_u64(&top, "bytes", JSON_REQUIRED, INT64_MAX, 0);
        out->elapsed_ms = jrd_u64(&top, "elapsed_ms", JSON_REQUIRED, INT64_MAX, 0);
    }
    if (err == OK && wrong.code == NULL)
        return OK;
    return client_fail(client, ERR_CORRUPT, "bad_answer",
                       "what the server says of its progress makes no sense");
}

/* One request; `*pending`: it is not there yet. */
static int get_once(struct client *client, struct bytes project, const struct hash *address,
                    const struct client_derive_get *get, const char *wait, bool *pending)
{
    AUTO_CALL call;
    char below[96];
    char range[96];
    snprintf(below, sizeof(below), "/derive/%s", hash_hex(address).s);
    call_project(&call, client, "GET", project, below);
    if (get->verify != NULL)
        call_query(&call, "verify", bytes_str(get->verify));
    call_query(&call, "wait", bytes_str(wait));
    if (get->range != NULL) {
        snprintf(range, sizeof(range), "Range: bytes=%s", get->range);
        call_header(&call, range);
    }
    call.http.sink = get->sink;
    int err = call_run(&call);
    *pending = err == OK && call.http.status == 202;
    if (!*pending)
        return err;
    struct client_derive_progress progress;
    err = derive_progress_read(client, buf_bytes(&call.http.body), &progress);
    if (err == OK && get->wait != NULL)
        get->wait(get->arg, &progress);
    return err;
}

int client_derive_get(struct client *client, struct bytes project, const struct hash *address,
                      const struct client_derive_get *get)
{
    bool pending;
    int err = get_once(client, project, address, get, FIRST_WAIT, &pending);
    while (pending && err == OK) {
        /* The whole result is there when the events end, unless they were cut. */
        if (get->range == NULL && get->wait != NULL)
            err = derive_events(client, project, address, get);
        if (err == OK)
            err = get_once(client, project, address, get, WAIT, &pending);
    }
    return err;
}

/* One request; `*pending`: its answer is not there yet. */
static int ask_once(struct client *client, struct bytes project, const struct client_ask *ask,
                    struct buf *text, struct json_t **out, bool *pending)
{
    AUTO_CALL call;
    call_project(&call, client, ask->method, project, "/derive");
    buf_append(&call.url, ask->below, strlen(ask->below));
    call.http.body_max = ANSWER_MAX;
    if (ask->body.len > 0) {
        buf_append_bytes(&call.body, ask->body);
        call_json(&call);
    }
    int err = call_run(&call);
    *pending = err == OK && call.http.status == 202;
    if (*pending || err != OK)
        return err;
    if (text != NULL)
        buf_append_bytes(text, buf_bytes(&call.http.body));
    return out != NULL ? call_answer(&call, out) : OK;
}

int client_derive_ask(struct client *client, struct bytes project, const struct client_ask *ask,
                      struct buf *text, struct json_t **out)
{
    bool pending = true;
    int err = OK;
    while (pending && err == OK)
        err = ask_once(client, project, ask, text, out, &pending);
    return err;
}
