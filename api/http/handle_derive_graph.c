/* Derivation: what an address is, what hangs together, and keeping house. */
#include "api/http/route.h"
#include "api/json/recipe_json.h"
#include "api/service/service_derive.h"
#include "formats/base/hex.h"
#include "formats/path.h"

#define PAGE_DEFAULT    1000u
#define PAGE_MOST       10000u
#define LINEAGE_DEFAULT 10000u
/* Results that were used since are not collected unless it is said. */
#define UNUSED_DEFAULT_S 3600u

/* ?after=: an address; zero when it is not there. */
static bool after_of(struct request *r, struct hash *out)
{
    const char *after = request_query(r, "after");
    *out = (struct hash){0};
    if (after == NULL || hash_parse(bytes_str(after), out) == OK)
        return true;
    respond_error(r, 400, "bad_query", "after",
                  "after is an address: 64 lower-case hex digits");
    return false;
}

static const char *is_name(const struct derive_found *found)
{
    switch (found->is) {
    case DERIVE_IS_RECIPE:
        return "recipe";
    case DERIVE_IS_BYTES:
        return "leaf";
    case DERIVE_IS_TREE:
        return "tree";
    }
    return "unknown";
}

static void found_to_json(struct json_writer *w, const struct derive_found *found)
{
    jwr_str(w, "kind", is_name(found));
    if (found->is == DERIVE_IS_RECIPE)
        recipe_to_json(w, &found->recipe);
    else if (found->is == DERIVE_IS_BYTES)
        jwr_u64(w, "size", found->size);
}

void handle_derive_recipe(struct request *r)
{
    struct hash address;
    struct derive_found found;
    struct problem problem;
    struct json_writer w;
    if (!request_hash(r, "address", &address))
        return;
    if (service_derive_find(r->service, &r->caller, &r->project, &address, &r->arena, &found,
                            &problem) != OK) {
        respond_problem(r, &problem);
        return;
    }
    respond_json(r, 200, &w);
    jwr_hash(&w, "address", &address);
    found_to_json(&w, &found);
    jwr_object_end(&w);
}

/* --- dependents --- */

struct root {
    struct hash address;
    struct derive_root root;
};

/* An address, or a ref by its name: exactly one of the two. */
static bool root_of(struct request *r, struct bytes address, struct bytes ref, struct root *out)
{
    if ((address.len == 0) == (ref.len == 0)) {
        respond_error(r, 422, "invalid", "address", "either an address or a ref is needed");
        return false;
    }
    if (ref.len > 0) {
        out->root = (struct derive_root){.ref = ref};
        return true;
    }
    if (hash_parse(address, &out->address) != OK) {
        respond_error(r, 422, "invalid", "address", "an address is 64 lower-case hex digits");
        return false;
    }
    out->root = (struct derive_root){.address = &out->address};
    return true;
}

static struct bytes query_bytes(struct request *r, const char *name)
{
    const char *value = request_query(r, name);
    return bytes_str(value == NULL ? "" : value);
}

static void page_to_json(struct json_writer *w, const struct derive_page *page)
{
    jwr_array(w, "addresses");
    for (size_t i = 0; i < page->n; i++)
        jwr_hash(w, NULL, &page->addresses[i]);
    jwr_array_end(w);
    if (page->more)
        jwr_hash(w, "next", &page->addresses[page->n - 1]);
}

void handle_derive_dependents(struct request *r)
{
    struct root root;
    struct hash after;
    uint64_t limit;
    struct derive_page page;
    struct derive_walk walk;
    struct problem problem;
    struct json_writer w;
    if (!root_of(r, query_bytes(r, "address"), query_bytes(r, "ref"), &root) ||
        !after_of(r, &after) || !request_limit(r, PAGE_MOST, PAGE_DEFAULT, &limit))
        return;
    /* How many there are in all does not change from page to page. */
    bool first = hash_is_zero(&after);
    int err = first ? service_derive_look(r->service, &r->caller, &r->project, &problem) : OK;
    if (err == OK)
        err = service_derive_dependents(r->service, &r->project, &root.root, &after,
                                        (size_t)limit, &r->arena, &page, &problem);
    if (err == OK && first)
        err = service_derive_affected(r->service, &r->project, &root.root, &walk, &problem);
    if (err != OK) {
        respond_problem(r, &problem);
        return;
    }
    respond_json(r, 200, &w);
    page_to_json(&w, &page);
    if (first) {
        jwr_u64(&w, "count", walk.count);
        jwr_u64(&w, "depth", walk.depth);
    }
    jwr_object_end(&w);
}

/* --- lineage --- */

static void lineage_to_json(struct request *r, const struct lineage *lineage)
{
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "nodes");
    for (size_t i = 0; i < lineage->n; i++) {
        const struct lineage_node *node = &lineage->nodes[i];
        jwr_object(&w, NULL);
        jwr_hash(&w, "address", &node->address);
        if (node->found)
            found_to_json(&w, &node->what);
        else
            jwr_str(&w, "kind", "missing");
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    jwr_bool(&w, "more", lineage->more);
    jwr_object_end(&w);
}

static void node_to_dot(struct buf *out, const struct lineage *lineage, size_t i)
{
    const struct lineage_node *node = &lineage->nodes[i];
    const struct recipe *recipe = &node->what.recipe;
    bool is_recipe = node->found && node->what.is == DERIVE_IS_RECIPE;
    struct hash_hex hex = hash_hex(&node->address);
    buf_printf(out, "  \"%s\" [label=\"", hex.s);
    if (is_recipe)
        buf_printf(out, "%.*s\\n", (int)recipe->function.len, recipe->function.data);
    else
        buf_printf(out, "%s\\n", node->found ? is_name(&node->what) : "missing");
    buf_printf(out, "%.12s\"%s];\n", hex.s, is_recipe ? "" : ", shape=box");
    for (uint32_t k = 0; is_recipe && k < recipe->n_inputs; k++) {
        if (node->inputs[k] < lineage->n)
            buf_printf(out, "  \"%s\" -> \"%s\";\n",
                       hash_hex(&lineage->nodes[node->inputs[k]].address).s, hex.s);
    }
}

static void lineage_to_dot(struct request *r, const struct lineage *lineage)
{
    AUTO_BUF out = {0};
    buf_printf(&out, "digraph lineage {\n");
    for (size_t i = 0; i < lineage->n; i++)
        node_to_dot(&out, lineage, i);
    buf_printf(&out, "}\n");
    respond_bytes(r, 200, "text/vnd.graphviz", buf_bytes(&out));
}

/* What was walked goes when it is spelled; its spelling, which is about as long, stays until
 * the client has read it. */
void handle_derive_lineage(struct request *r)
{
    AUTO(arena_release) struct arena walked = {0};
    struct hash address;
    uint64_t limit;
    struct lineage lineage;
    struct problem problem;
    const char *format = request_query(r, "format");
    bool dot = format != NULL && strcmp(format, "dot") == 0;
    if (format != NULL && !dot && strcmp(format, "json") != 0) {
        respond_error(r, 400, "bad_query", "format", "format is json or dot");
        return;
    }
    if (!request_hash(r, "address", &address) ||
        !request_limit(r, LINEAGE_MAX, LINEAGE_DEFAULT, &limit))
        return;
    if (service_derive_lineage(r->service, &r->caller, &r->project, &address, (size_t)limit,
                               &walked, &lineage, &problem) != OK)
        respond_problem(r, &problem);
    else if (!request_hold(r, walked.used))
        return;
    else if (dot)
        lineage_to_dot(r, &lineage);
    else
        lineage_to_json(r, &lineage);
}

/* --- invalidating --- */

void handle_derive_invalidate(struct request *r)
{
    static const char *const names[] = {"address", "ref", "cascade", "dry_run"};
    struct json_problem wrong = {0};
    struct problem problem;
    struct json_at top;
    struct root root;
    struct invalidation what;
    struct invalidated out;
    if (!request_json(r, false, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    struct bytes address = jrd_text(&top, "address", JSON_OPTIONAL);
    struct bytes ref = jrd_text(&top, "ref", JSON_OPTIONAL);
    what.cascade = jrd_bool(&top, "cascade", JSON_OPTIONAL);
    what.dry_run = jrd_bool(&top, "dry_run", JSON_OPTIONAL);
    if (!jrd_ok(&top)) {
        respond_json_problem(r, &wrong);
        return;
    }
    if (!root_of(r, address, ref, &root))
        return;
    if (service_derive_look(r->service, &r->caller, &r->project, &problem) != OK ||
        service_derive_invalidate(r->service, &r->project, &root.root, &what, &out, &problem) !=
            OK) {
        respond_problem(r, &problem);
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_bool(&w, "was_cached", out.was_cached);
    jwr_u64(&w, "count", out.of.count);
    jwr_u64(&w, "depth", out.of.depth);
    jwr_u64(&w, "freed", out.freed);
    jwr_bool(&w, "goes_on", out.goes_on);
    jwr_object_end(&w);
}

void handle_derive_collect(struct request *r)
{
    static const char *const names[] = {"unused_s", "max", "dry_run"};
    struct json_problem wrong = {0};
    struct problem problem;
    struct json_at top;
    if (!request_json(r, true, &wrong, &top))
        return;
    jrd_only(&top, names, ARRAY_LEN(names));
    uint64_t unused_s = jrd_u64(&top, "unused_s", JSON_OPTIONAL, UINT32_MAX, UNUSED_DEFAULT_S);
    uint64_t max = jrd_u64(&top, "max", JSON_OPTIONAL, INT64_MAX, 0);
    bool dry_run = jrd_bool(&top, "dry_run", JSON_OPTIONAL);
    if (!jrd_ok(&top)) {
        respond_json_problem(r, &wrong);
        return;
    }
    struct result_collected *out = arena_new(&r->arena, struct result_collected);
    if (service_derive_collect(r->service, &r->project, unused_s * 1000000,
                               max == 0 ? UINT64_MAX : max, dry_run, out, &problem) != OK) {
        respond_problem(r, &problem);
        return;
    }
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_u64(&w, "results", out->entries);
    jwr_u64(&w, "bytes", out->bytes);
    jwr_u64(&w, "kept", out->kept);
    jwr_bool(&w, "more", out->more);
    jwr_array(&w, "sample");
    for (size_t i = 0; i < out->n_sample; i++)
        jwr_hash(&w, NULL, &out->sample[i]);
    jwr_array_end(&w);
    jwr_object_end(&w);
}

/* --- pins --- */

struct pin_answer {
    struct request *r;
    bool was;
};

static void pin_written(void *arg, const struct problem *problem, uint64_t hlc)
{
    struct pin_answer *pin = arg;
    struct json_writer w;
    (void)hlc; /* is in the answer's header */
    if (problem->err != OK) {
        respond_problem(pin->r, problem);
    } else {
        respond_json(pin->r, 200, &w);
        jwr_bool(&w, "was_pinned", pin->was);
        jwr_object_end(&w);
    }
    request_resume(pin->r);
}

static void pin_set(struct request *r, bool set)
{
    struct hash address;
    struct problem problem;
    struct pin_answer *pin = arena_new(&r->arena, struct pin_answer);
    pin->r = r;
    if (!request_hash(r, "address", &address))
        return;
    request_suspend(r);
    int err = service_derive_pin(r->service, &r->caller, &r->project, &address, set, &pin->was,
                                 pin_written, pin, &problem);
    if (err != OK) {
        respond_problem(r, &problem);
        request_resume(r);
    }
}

void handle_derive_pin(struct request *r)
{
    pin_set(r, true);
}

void handle_derive_unpin(struct request *r)
{
    pin_set(r, false);
}

void handle_derive_pins(struct request *r)
{
    struct hash after;
    uint64_t limit;
    struct derive_page page;
    struct problem problem;
    struct json_writer w;
    if (!after_of(r, &after) || !request_limit(r, PAGE_MOST, PAGE_DEFAULT, &limit))
        return;
    int err = OK;
    if (hash_is_zero(&after))
        err = service_derive_look(r->service, &r->caller, &r->project, &problem);
    if (err == OK)
        err = service_derive_pins(r->service, &r->project, &after, (size_t)limit, &r->arena,
                                  &page, &problem);
    if (err != OK) {
        respond_problem(r, &problem);
        return;
    }
    respond_json(r, 200, &w);
    page_to_json(&w, &page);
    jwr_object_end(&w);
}

/* --- what there is --- */

void handle_derive_functions(struct request *r)
{
    size_t n;
    const struct function *const *all = functions_all(&n);
    struct json_writer w;
    respond_json(r, 200, &w);
    jwr_array(&w, "functions");
    for (size_t i = 0; i < n; i++) {
        struct hash digest = function_digest(all[i]);
        jwr_object(&w, NULL);
        jwr_str(&w, "name", all[i]->name);
        jwr_str(&w, "version", all[i]->version);
        jwr_str(&w, "about", all[i]->about);
        jwr_hash(&w, "implementation", &digest);
        jwr_array(&w, "inputs");
        for (uint32_t k = 0; k < all[i]->inputs_least; k++)
            jwr_str(&w, NULL, function_takes_tree(all[i], k) ? "tree" : "bytes");
        jwr_array_end(&w);
        jwr_u64(&w, "inputs_least", all[i]->inputs_least);
        jwr_u64(&w, "inputs_most", all[i]->inputs_most);
        jwr_array(&w, "parameters");
        for (size_t k = 0; k < all[i]->n_parameters; k++) {
            jwr_object(&w, NULL);
            jwr_str(&w, "name", all[i]->parameters[k].name);
            jwr_bool(&w, "required", all[i]->parameters[k].required);
            jwr_object_end(&w);
        }
        jwr_array_end(&w);
        jwr_object_end(&w);
    }
    jwr_array_end(&w);
    jwr_object_end(&w);
}

void handle_derive_status(struct request *r)
{
    struct derive_status status;
    struct problem problem;
    struct json_writer w;
    if (service_derive_status(r->service, &r->project, &r->arena, &status, &problem) != OK) {
        respond_problem(r, &problem);
        return;
    }
    respond_json(r, 200, &w);
    jwr_u64(&w, "recipes", status.counts.recipes);
    jwr_u64(&w, "leaves", status.counts.leaves);
    jwr_u64(&w, "memos", status.counts.memos);
    jwr_u64(&w, "pins", status.counts.pins);
    jwr_object(&w, "cache");
    jwr_u64(&w, "entries", status.results.entries);
    jwr_u64(&w, "bytes", status.results.bytes);
    jwr_u64(&w, "hits", status.results.hits);
    jwr_u64(&w, "misses", status.results.misses);
    jwr_u64(&w, "evictions", status.results.ram.evictions + status.results.disk.evictions);
    jwr_u64(&w, "damaged", status.results.damaged);
    jwr_object_end(&w);
    jwr_object(&w, "runs");
    jwr_u64(&w, "gets", status.runs.gets);
    jwr_u64(&w, "runs", status.runs.runs);
    jwr_u64(&w, "failed", status.runs.failed);
    jwr_u64(&w, "shared", status.runs.shared);
    jwr_u64(&w, "hits", status.runs.hits);
    jwr_u64(&w, "misses", status.runs.misses);
    jwr_u64(&w, "running", status.runs.running);
    jwr_u64(&w, "in_flight", status.runs.in_flight);
    jwr_object_end(&w);
    jwr_object(&w, "verification");
    jwr_str(&w, "mode", status.verify);
    jwr_u64(&w, "total", status.runs.verified);
    jwr_u64(&w, "passed", status.runs.verify_passed);
    jwr_u64(&w, "failed", status.runs.verify_failed);
    jwr_object_end(&w);
    jwr_object_end(&w);
}
