/* Derivation: putting leaves and recipes, getting results. */
#include <stdio.h>

#include "api/http/derive_request.h"
#include "api/http/http_values.h"
#include "api/http/route.h"
#include "api/json/recipe_json.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"

#define RECIPES_MOST 10000u
/* How often the part that a range means is looked for while its size changes; then all is. */
#define PARTS_MAX 3u
/* How often a result whose bytes were damaged is asked for again. */
#define TRIES_MAX 3u

/* --- putting --- */

struct put_answer {
    struct request *r;
    struct hash *addresses;
    size_t n;
    uint64_t size; /* of a leaf */
    bool many;
};

static void put_written(void *arg, const struct problem *problem, uint64_t hlc)
{
    struct put_answer *put = arg;
    struct request *r = put->r;
    (void)hlc; /* is in the answer's header */
    if (problem->err != OK) {
        respond_problem(r, problem);
        request_resume(r);
        return;
    }
    struct json_writer w;
    respond_json(r, 201, &w);
    if (put->many) {
        jwr_array(&w, "addresses");
        for (size_t i = 0; i < put->n; i++)
            jwr_hash(&w, NULL, &put->addresses[i]);
        jwr_array_end(&w);
    } else {
        jwr_hash(&w, "address", &put->addresses[0]);
    }
    if (put->size != UINT64_MAX)
        jwr_u64(&w, "size", put->size);
    jwr_object_end(&w);
    request_resume(r);
}

static void items_put(struct request *r, const struct derive_item *items, size_t n,
                      const struct put_answer *shape)
{
    struct put_answer *put = arena_new(&r->arena, struct put_answer);
    struct problem problem;
    *put = *shape;
    put->r = r;
    put->n = n;
    put->addresses = arena_array(&r->arena, n, struct hash);
    for (size_t i = 0; i < n; i++)
        put->addresses[i] = items[i].address;
    request_suspend(r);
    int err = service_derive_put(r->service, &r->caller, &r->project, items, (uint32_t)n,
                                 put_written, put, &problem);
    if (err != OK) {
        respond_problem(r, &problem);
        request_resume(r);
    }
}

/* It waits for the store, as the upload has. */
static void uploaded_put(struct request *r, const struct hash *expected)
{
    struct content content;
    struct problem problem;
    if (!request_upload_finish(r, expected, &content))
        return;
    int err = service_derive_upload(r->service, &r->caller, &r->project, &content, &problem);
    if (err != OK) {
        respond_problem(r, &problem);
        return;
    }
    struct json_writer w;
    respond_json(r, 201, &w);
    jwr_hash(&w, "address", &content.hash);
    jwr_u64(&w, "size", content.size);
    jwr_object_end(&w);
}

void handle_derive_leaf(struct request *r)
{
    struct hash expected;
    struct derive_item item = {.kind = DERIVE_LEAF, .data = buf_bytes(&r->body)};
    const char *header = request_header(r, "Mic-Hash");
    if (header != NULL && hash_parse(bytes_str(header), &expected) != OK) {
        respond_error(r, 400, "bad_header", "Mic-Hash", "a hash is 64 lower-case hex digits");
        return;
    }
    if (r->upload != NULL) {
        uploaded_put(r, header == NULL ? NULL : &expected);
        return;
    }
    item.address = sha256(item.data);
    item.size = item.data.len;
    if (header != NULL && !hash_equal(&item.address, &expected)) {
        respond_error(r, 422, "wrong_hash", "Mic-Hash", "the content has another hash");
        return;
    }
    items_put(r, &item, 1, &(struct put_answer){.size = item.size});
}

/* Of many, the field says which. */
static void recipe_refused(struct request *r, struct problem *problem, bool many, size_t at)
{
    if (many) {
        const char *field = arena_str(&r->arena, bytes_str(problem->field));
        (void)snprintf(problem->field, sizeof(problem->field), "recipes[%zu]%s%s", at,
                       field[0] != '\0' ? "." : "", field);
    }
    respond_problem(r, problem);
}

void handle_derive_recipes(struct request *r)
{
    static const char *const many_names[] = {"recipes"};
    struct json_problem wrong = {0};
    struct problem problem;
    struct json_at top;
    if (!request_json(r, false, &wrong, &top))
        return;
    bool many = jrd_has(&top, "recipes");
    struct json_at list = {0};
    size_t n = 1;
    if (many) {
        jrd_only(&top, many_names, ARRAY_LEN(many_names));
        list = jrd_array(&top, "recipes", JSON_REQUIRED);
        n = jrd_count(&list);
        if (n > RECIPES_MOST || (n == 0 && jrd_ok(&top)))
            jrd_fail(&top, "recipes", "out_of_range", "1 to %u recipes at once", RECIPES_MOST);
    }
    struct derive_item *items = arena_array(&r->arena, n, struct derive_item);
    int err = OK;
    size_t at = 0;
    for (size_t i = 0; i < n && jrd_ok(&top) && err == OK; i++) {
        struct json_at one = many ? jrd_item(&list, i) : top;
        struct recipe recipe = recipe_from_json(&one, &r->arena);
        at = i;
        if (jrd_ok(&top))
            err = service_derive_recipe(&recipe, &r->arena, &items[i], &problem);
    }
    if (!jrd_ok(&top))
        respond_json_problem(r, &wrong);
    else if (err != OK)
        recipe_refused(r, &problem, many, at);
    else
        items_put(r, items, n, &(struct put_answer){.many = many, .size = UINT64_MAX});
}

/* --- getting --- */

static int derived_read(void *arg, uint64_t offset, size_t len, struct buf *out)
{
    struct derived *derived = arg;
    size_t end = out->len + len;
    while (out->len < end) {
        struct bytes piece;
        int err = derived_view(derived, offset, &piece);
        if (err != OK)
            return err;
        if (piece.len > end - out->len)
            piece.len = end - out->len;
        buf_append_bytes(out, piece);
        offset += piece.len;
    }
    return OK;
}

static void derived_drop(void *arg)
{
    derived_close(arg);
}

/* What stands for the content: its hash; for a part that was computed alone, and has none, what
 * it is computed from. */
static struct hash derived_tag(const struct derived *derived)
{
    if (derived->hash_known)
        return derived->hash;
    if (derived->n_refs == 0)
        return derived->address;
    AUTO_BUF all = {0};
    buf_append(&all, derived->address.b, sizeof(derived->address.b));
    for (uint32_t i = 0; i < derived->n_refs; i++)
        buf_append(&all, derived->refs[i].address.b, sizeof(derived->refs[i].address.b));
    return sha256(buf_bytes(&all));
}

/* Takes it over. A result that uses no reference is the same for ever. */
static void respond_derived(struct request *r, struct derived *derived)
{
    if (derived->is == DERIVE_IS_TREE) {
        derived_close(derived);
        respond_error(r, 422, "is_tree", NULL,
                      "this address is a directory: derive its listing (tree.list) or its "
                      "archive (tree.archive)");
        return;
    }
    respond_header(r, "Mic-Ran", "%s", derived->ran ? "yes" : "no");
    if (!hash_is_zero(&derived->chunks))
        respond_header(r, "Mic-Chunk-Size", "%u", derived->chunk_size);
    struct hash tag = derived_tag(derived);
    struct hash_hex etag = hash_hex(&tag);
    bool fixed = derived->n_refs == 0;
    const struct source source = {
        .size = derived->size, .read = derived_read, .close = derived_drop, .arg = derived};
    respond_source(r, "application/octet-stream", etag.s, fixed, source);
}

void derive_request_begin(struct derive_request *get, derive_answer_fn next, void *arg)
{
    struct request *r = get->r;
    service_derive_get(r->service, &r->project, &get->address, &get->ask, next, arg);
}

void derive_progress_to_json(struct json_writer *w, const struct get_progress *progress)
{
    jwr_u64(w, "nodes", progress->nodes);
    jwr_u64(w, "known", progress->known);
    jwr_u64(w, "runs", progress->runs);
    jwr_u64(w, "running", progress->running);
    jwr_u64(w, "bytes", progress->bytes_out);
    jwr_u64(w, "elapsed_ms", progress->elapsed_us / 1000);
    if (!hash_is_zero(&progress->address))
        jwr_hash(w, "address", &progress->address);
}

static void respond_pending(struct request *r, const struct get_progress *progress)
{
    struct json_writer w;
    respond_json(r, 202, &w);
    jwr_str(&w, "state", "running");
    derive_progress_to_json(&w, progress);
    jwr_object_end(&w);
}

bool derive_answer_begin(struct request *r, const struct derive_answer *answer)
{
    if (answer->err != OK)
        respond_problem(r, &answer->problem);
    else if (answer->pending)
        respond_pending(r, &answer->progress);
    else
        return true;
    return false;
}

static void snapshot_headers(struct request *r, const struct derive_answer *answer)
{
    if (!answer->has_refs)
        return;
    respond_header(r, "Mic-Refs-Position", "%llu", (unsigned long long)answer->refs_position);
    respond_header(r, "Mic-Position", "%llu", (unsigned long long)answer->head_position);
}

/* Whether the bytes that will be sent first are at hand: a file of the cache may turn out to be
 * damaged, and is gone then. */
static bool readable(const struct derive_request *get, struct derived *derived)
{
    uint64_t from = 0;
    uint64_t len;
    struct bytes piece;
    if (derived->from == derived->end || get->r->head)
        return true;
    if (request_header(get->r, MHD_HTTP_HEADER_IF_RANGE) == NULL)
        (void)range_parse(request_header(get->r, MHD_HTTP_HEADER_RANGE), derived->size, &from,
                          &len);
    int err = derived_view(derived, from, &piece);
    return err != ERR_CORRUPT && err != ERR_NOT_FOUND;
}

static void on_part(void *arg, const struct derive_answer *answer);

static void on_result(void *arg, const struct derive_answer *answer)
{
    struct derive_request *get = arg;
    if (derive_answer_begin(get->r, answer)) {
        if (get->tries < TRIES_MAX && !readable(get, answer->derived)) {
            get->tries++;
            derived_close(answer->derived);
            derive_request_begin(get, get->ask.want == GET_RANGE ? on_part : on_result, get);
            return;
        }
        snapshot_headers(get->r, answer);
        respond_derived(get->r, answer->derived);
    }
    request_resume(get->r);
}

/* Asks for the part that the header means when the result has this size. */
static void part_begin(struct derive_request *get, const struct derived *derived)
{
    uint64_t offset, len;
    const char *header = request_header(get->r, MHD_HTTP_HEADER_RANGE);
    bool part = derived->is != DERIVE_IS_TREE && get->parts++ < PARTS_MAX &&
                range_parse(header, derived->size, &offset, &len) == RANGE_WISH_PART;
    if (part) {
        get->ask.want = GET_RANGE;
        get->ask.from = offset;
        get->ask.end = offset + len;
    } else {
        get->ask.want = GET_BYTES;
    }
    derive_request_begin(get, part ? on_part : on_result, get);
}

/* Now that the size is known, what the header asks for can be told. */
static void on_size(void *arg, const struct derive_answer *answer)
{
    struct derive_request *get = arg;
    if (!derive_answer_begin(get->r, answer)) {
        request_resume(get->r);
        return;
    }
    struct derived *derived = answer->derived;
    part_begin(get, derived);
    derived_close(derived);
}

/* A reference may have been bound anew since the size was asked for, and then the header may
 * mean another part. */
static void on_part(void *arg, const struct derive_answer *answer)
{
    struct derive_request *get = arg;
    struct derived *derived = answer->derived;
    uint64_t offset, len;
    const char *header = request_header(get->r, MHD_HTTP_HEADER_RANGE);
    if (answer->err != OK || answer->pending || derived->is == DERIVE_IS_TREE ||
        (range_parse(header, derived->size, &offset, &len) == RANGE_WISH_PART &&
         offset == derived->from && offset + len == derived->end)) {
        on_result(arg, answer);
        return;
    }
    part_begin(get, derived);
    derived_close(derived);
}

static bool ask_read(struct request *r, struct derive_ask *ask)
{
    uint64_t most = http_server_options(r->server)->wait_max_ms;
    const char *verify = request_query(r, "verify");
    const char *wait = request_query(r, "wait");
    ask->wait_ms = most;
    if (wait != NULL && !request_wait_ms(r, &ask->wait_ms))
        return false;
    if (ask->wait_ms > most)
        ask->wait_ms = most;
    if (verify == NULL)
        return true;
    struct verify *wanted = arena_new(&r->arena, struct verify);
    if (verify_parse(bytes_str(verify), wanted) != OK) {
        respond_error(r, 400, "bad_query", "verify",
                      "verify is one of off, dual, sampled:RATE with a rate from 0 to 1");
        return false;
    }
    ask->verify = wanted;
    return true;
}

bool derive_request_read(struct derive_request *get)
{
    return request_hash(get->r, "address", &get->address) && ask_read(get->r, &get->ask);
}

void handle_derive_get(struct request *r)
{
    struct derive_request *get = arena_new(&r->arena, struct derive_request);
    struct derived *derived;
    get->r = r;
    get->ask.want = GET_BYTES;
    if (!derive_request_read(get))
        return;
    /* Whether the range counts where it has a condition is known when the content is. */
    bool part = !r->head && request_header(r, MHD_HTTP_HEADER_RANGE) != NULL &&
                request_header(r, MHD_HTTP_HEADER_IF_RANGE) == NULL;
    if (get->ask.verify == NULL &&
        service_derive_known(r->service, &r->project, &get->address, &derived)) {
        if (readable(get, derived)) {
            respond_derived(r, derived);
            return;
        }
        derived_close(derived);
    }
    if (part)
        get->ask.want = GET_SIZE;
    request_suspend(r);
    derive_request_begin(get, part ? on_size : on_result, get);
}

/* --- verifying --- */

static void on_verified(void *arg, const struct derive_answer *answer)
{
    struct derive_request *get = arg;
    struct request *r = get->r;
    if (answer->pending ||
        (answer->err != OK && strcmp(answer->problem.code, "quarantined") != 0)) {
        (void)derive_answer_begin(r, answer);
        request_resume(r);
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_bool(&w, "deterministic", answer->err == OK);
    if (answer->err != OK) {
        jwr_str(&w, "error", answer->problem.message);
    } else {
        const struct derived *derived = answer->derived;
        jwr_hash(&w, "output", &derived->hash);
        jwr_u64(&w, "size", derived->size);
        jwr_u64(&w, "cost_us", derived->cost_us);
        derived_close(answer->derived);
    }
    jwr_object_end(&w);
    request_resume(r);
}

void handle_derive_verify(struct request *r)
{
    static const struct verify dual = {.mode = VERIFY_DUAL};
    struct derive_request *get = arena_new(&r->arena, struct derive_request);
    get->r = r;
    if (!derive_request_read(get))
        return;
    get->ask.want = GET_HASH;
    get->ask.again = true;
    get->ask.verify = &dual;
    request_suspend(r);
    derive_request_begin(get, on_verified, get);
}
