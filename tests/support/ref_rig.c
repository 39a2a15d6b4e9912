#include "tests/support/ref_rig.h"

#include <check.h>

#include "formats/base/hash.h"

struct ref_rig_recipe {
    struct hash address;
    struct bytes canonical;
};

const struct ref_expected ref_anything = {.what = REF_ANYTHING};
const struct ref_expected ref_unbound = {.what = REF_UNBOUND};

struct ref_expected ref_bound_to(const struct hash *address)
{
    return (struct ref_expected){.what = REF_BOUND, .address = *address};
}

/* ---- what is found ---- */

static int recipe_find(void *arg, const struct id16 *project, const struct hash *address,
                       uint64_t *since_us, struct arena *arena, struct recipe *out)
{
    /* All is known here at any time. */
    if (*since_us == 0)
        *since_us = 1;
    struct ref_rig *rig = arg;
    ck_assert(id16_equal(project, &rig->forge.project));
    rig->looked_up++;
    for (size_t i = rig->n; i > 0; i--) {
        if (hash_equal(&rig->recipes[i - 1].address, address))
            return recipe_decode(rig->recipes[i - 1].canonical, arena, out);
    }
    return ERR_NOT_FOUND;
}

static int tree_find_by_content(void *arg, const struct id16 *project,
                                const struct hash *content, uint64_t *since_us,
                                struct location *out)
{
    /* All is known here at any time. */
    if (*since_us == 0)
        *since_us = 1;
    struct ref_rig *rig = arg;
    ck_assert(id16_equal(project, &rig->forge.project));
    if (!hash_equal(content, &rig->content))
        return ERR_NOT_FOUND;
    *out = rig->where;
    return OK;
}

static void front_make(struct ref_rig *rig)
{
    rig->source =
        (struct refs_source){.recipe = recipe_find, .tree = tree_find_by_content, .arg = rig};
    front_open_refs(&rig->front, &rig->forge, &rig->source);
}

void ref_rig_open(struct ref_rig *rig)
{
    *rig = (struct ref_rig){0};
    forge_init(&rig->forge);
    front_make(rig);
}

void ref_rig_join(struct ref_rig *rig, const struct ref_rig *first)
{
    *rig = (struct ref_rig){.content = first->content, .where = first->where};
    forge_join(&rig->forge, &first->forge, NULL);
    for (size_t i = 0; i < first->n; i++) {
        struct ref_rig_recipe *recipe = arena_push(&rig->arena, (void **)&rig->recipes, &rig->n,
                                                   &rig->cap, sizeof(*recipe));
        *recipe = first->recipes[i];
    }
    front_make(rig);
}

void ref_rig_close(struct ref_rig *rig)
{
    front_close(&rig->front);
    arena_release(&rig->arena);
    forge_release(&rig->forge);
}

struct hash ref_rig_leaf(unsigned number)
{
    return sha256(bytes_of(&number, sizeof(number)));
}

struct hash ref_rig_recipe(struct ref_rig *rig, const struct recipe_input *inputs, uint32_t n)
{
    AUTO_BUF canonical = {0};
    struct recipe recipe = {
        .function = bytes_str("concat"), .version = bytes_str("1.0.0"), .n_inputs = n};
    recipe.inputs = arena_array(&rig->arena, n, struct recipe_input);
    memcpy(recipe.inputs, inputs, n * sizeof(*inputs));
    ck_assert_int_eq(recipe_settle(&recipe, NULL), OK);
    recipe_encode(&recipe, &canonical);
    struct ref_rig_recipe *added =
        arena_push(&rig->arena, (void **)&rig->recipes, &rig->n, &rig->cap, sizeof(*added));
    added->canonical = arena_copy(&rig->arena, buf_bytes(&canonical));
    added->address = recipe_address(added->canonical);
    return added->address;
}

struct hash ref_rig_over_ref(struct ref_rig *rig, const char *name)
{
    struct recipe_input input = {.kind = RECIPE_REF,
                                 .ref = arena_copy(&rig->arena, bytes_str(name))};
    return ref_rig_recipe(rig, &input, 1);
}

struct hash ref_rig_over(struct ref_rig *rig, const struct hash *address)
{
    struct recipe_input input = {.kind = RECIPE_ADDRESS, .address = *address};
    return ref_rig_recipe(rig, &input, 1);
}

/* ---- what is asked ---- */

static void on_done(void *arg, const struct ref_done *done)
{
    struct ref_reply *reply = arg;
    reply->calls++;
    reply->err = done->err;
    reply->problem = done->problem;
    reply->pending = done->pending;
    reply->position = done->position;
}

void ref_rig_send(struct ref_rig *rig, const char *name, const struct hash *address,
                  const struct ref_expected *expected, struct ref_reply *reply)
{
    static struct caller caller;
    struct service *service = rig->front.service;
    const struct id16 *project = &rig->forge.project;
    struct bytes copy = arena_copy(&rig->arena, bytes_str(name));
    caller = caller_of("ann");
    *reply = (struct ref_reply){0};
    int err = address != NULL
                  ? service_ref_bind(service, &caller, project, copy, address, expected,
                                     &rig->arena, 60000, on_done, reply, &reply->problem)
                  : service_ref_delete(service, &caller, project, copy, expected, &rig->arena,
                                       60000, on_done, reply, &reply->problem);
    if (err != OK) {
        ck_assert_uint_eq(reply->calls, 0);
        ck_assert_int_eq(reply->problem.err, err);
        reply->err = err;
    }
}

struct ref_reply ref_rig_put(struct ref_rig *rig, const char *name, const struct hash *address,
                             const struct ref_expected *expected)
{
    struct ref_reply reply;
    ref_rig_send(rig, name, address, expected, &reply);
    if (reply.err == OK) {
        front_settle(&rig->front);
        ck_assert_uint_eq(reply.calls, 1);
    }
    return reply;
}

uint64_t ref_rig_bind(struct ref_rig *rig, const char *name, const struct hash *address)
{
    struct ref_reply reply = ref_rig_put(rig, name, address, &ref_anything);
    ck_assert_msg(reply.err == OK && !reply.pending, "%s: %s", name, reply.problem.message);
    return reply.position;
}

void ref_rig_is(struct ref_rig *rig, const char *name, const struct hash *address)
{
    struct refs_snapshot *snap =
        service_refs_snapshot(rig->front.service, &(struct caller){0}, &rig->forge.project);
    struct ref_value value;
    int err = refs_snapshot_ref(snap, bytes_str(name), bytes_str(""), &value);
    ck_assert_int_eq(err, address == NULL ? ERR_NOT_FOUND : OK);
    ck_assert_msg(address == NULL || hash_equal(&value.address, address), "%s", name);
    refs_snapshot_close(snap);
}
