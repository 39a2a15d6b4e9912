#include "pipeline/repo/project.h"

#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/path.h"
#include "formats/project_id.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/known.h"
#include "pipeline/repo/put_once.h"
#include "pipeline/repo/tree/tree_edit.h"

#define GETS_AT_ONCE 64u

/* A fact about a handle: `id` is the project, `number` the stamp of its making. */
static struct hash handle_name(struct bytes handle)
{
    return known_name("handle", NULL, handle);
}

static void handle_learn(struct repo *repo, struct bytes handle,
                         const struct project_info *info)
{
    struct hash name = handle_name(handle);
    struct fact fact = {.id = info->id, .number = info->hlc_created};
    known_add(repo->known, &name, &fact);
}

static bool handle_known(struct repo *repo, struct bytes handle, struct project_info *out)
{
    struct hash name = handle_name(handle);
    struct fact fact;
    if (!known_find(repo->known, &name, &fact))
        return false;
    *out = (struct project_info){.id = fact.id, .hlc_created = fact.number, .handle = handle};
    return true;
}

/* `info` of what lies under a handle, which must be about that handle. */
static int handle_check_object(struct repo *repo, struct bytes bytes, struct bytes handle,
                               struct arena *arena, struct project_info *out)
{
    struct project_info info;
    struct key key = key_handle(handle);
    int err = handle_decode(bytes, arena, &info);
    if (err != OK || !bytes_equal(info.handle, handle))
        return damage_of(repo, key.s, ERR_CORRUPT);
    handle_learn(repo, handle, &info);
    *out = info;
    return OK;
}

static int handle_get(struct repo *repo, struct bytes handle, struct arena *arena,
                      struct project_info *out)
{
    AUTO_BUF bytes = {0};
    struct key key = key_handle(handle);
    int err = store_get(repo->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err != OK)
        return err;
    return handle_check_object(repo, buf_bytes(&bytes), handle, arena, out);
}

/* ---- making one ---- */

static int genesis_build(struct repo *repo, const struct id16 *project, uint64_t hlc,
                         struct tree_build *build, struct hash *tree)
{
    struct tree empty = {.repo = repo, .project = *project};
    struct tree_edit *edit = tree_edit_open(&empty);
    struct footer footer = {.hlc = hlc, .agent = repo->agent};
    AUTO_BUF root = {0};
    int err = tree_edit_seal(edit, build, &root, &footer);
    if (err == OK)
        err = tree_build_finish(build, buf_bytes(&root), &footer, tree);
    tree_edit_close(edit);
    return err;
}

/* Nothing names these until the handle does. */
static int objects_put(struct repo *repo, const struct project_info *info)
{
    AUTO(tree_build_release) struct tree_build build;
    tree_build_init(&build);
    struct head head = {.hlc = info->hlc_created};
    int err = genesis_build(repo, &info->id, info->hlc_created, &build, &head.tree_hash);
    if (err != OK)
        return err;
    AUTO_BUF bytes = {0};
    project_info_encode(info, &bytes);
    struct key project_key = key_project(&info->id);
    struct key tree_key = key_tree(&info->id, &head.tree_hash);
    struct store_op ops[] = {
        {.verb = STORE_PUT,
         .key = project_key.s,
         .data = buf_bytes(&bytes),
         .condition = PUT_IF_ABSENT},
        {.verb = STORE_PUT,
         .key = tree_key.s,
         .data = buf_bytes(&build.bytes),
         .condition = PUT_IF_ABSENT},
    };
    err = store_many(repo->store, ops, ARRAY_LEN(ops));
    if (err != OK)
        return err;
    uint8_t encoded[HEAD_LEN];
    head_encode(&head, encoded);
    struct key head_key = key_head(&info->id);
    return store_put(repo->store, head_key.s, bytes_of(encoded, sizeof(encoded)), PUT_IF_ABSENT,
                     NULL);
}

/* Puts the handle. When the answer leaves open whether it was us, what lies there says it: a
 * proxy's retry turns one's own win into a conflict. */
static int handle_put(struct repo *repo, const struct project_info *info, struct arena *arena)
{
    AUTO_BUF bytes = {0};
    handle_encode(info, &bytes);
    struct key key = key_handle(info->handle);
    int err = store_put(repo->store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL);
    if (err == OK) {
        handle_learn(repo, info->handle, info);
        return OK;
    }
    if (err != ERR_CONFLICT && err != ERR_UNKNOWN)
        return err;
    struct project_info there;
    int got = handle_get(repo, info->handle, arena, &there);
    if (got != OK)
        return err;
    return id16_equal(&there.id, &info->id) ? OK : ERR_CONFLICT;
}

int project_begin(struct repo *repo, const struct project_info *info)
{
    AUTO(tree_build_release) struct tree_build build;
    tree_build_init(&build);
    struct head head = {.hlc = info->hlc_created};
    int err = genesis_build(repo, &info->id, info->hlc_created, &build, &head.tree_hash);
    struct key key = key_tree(&info->id, &head.tree_hash);
    if (err == OK)
        err = put_once(repo, key.s, buf_bytes(&build.bytes));
    if (err != OK)
        return err;
    uint8_t encoded[HEAD_LEN];
    head_encode(&head, encoded);
    key = key_head(&info->id);
    err =
        store_put(repo->store, key.s, bytes_of(encoded, sizeof(encoded)), PUT_IF_ABSENT, NULL);
    return err == ERR_CONFLICT ? OK : err;
}

/* A fact about a project: that the making of its tree of references was done. */
static struct hash refs_name(const struct id16 *refs)
{
    return known_name("refs", refs, bytes_of(NULL, 0));
}

int project_refs_make(struct repo *repo, const struct id16 *project)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct id16 refs = project_id_refs(project);
    struct hash name = refs_name(&refs);
    struct fact fact = {.id = refs};
    if (known_find(repo->known, &name, &fact))
        return OK;
    struct key key = key_project(&refs);
    int err = store_get(repo->store, key.s, range_none(), NULL, NULL, NULL);
    if (err == ERR_NOT_FOUND) {
        struct project_info info;
        err = project_info_get(repo, project, &arena, &info);
        if (err != OK)
            return err;
        info.id = refs;
        info.hlc_created = repo_hlc(repo);
        err = project_begin(repo, &info);
        project_info_encode(&info, &bytes);
        /* Two that make it at once differ in their stamps: either's will do. */
        if (err == OK)
            err = store_put(repo->store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL);
        err = err == ERR_CONFLICT ? OK : err;
    }
    if (err == OK)
        known_add(repo->known, &name, &fact);
    return err;
}

int project_publish(struct repo *repo, const struct project_info *info)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    project_info_encode(info, &bytes);
    struct key key = key_project(&info->id);
    int err = put_once(repo, key.s, buf_bytes(&bytes));
    if (err != OK || project_id_is_refs(&info->id))
        return err;
    return handle_put(repo, info, &arena);
}

int project_create(struct repo *repo, struct bytes handle, struct id16 *out)
{
    if (handle_check(handle) != OK)
        return ERR_INVALID;
    /* One that reads as a project's id could pose as that project. */
    struct id16 id;
    if (id16_parse(handle, &id) == OK)
        return ERR_INVALID;
    struct key key = key_handle(handle);
    int err = store_get(repo->store, key.s, range_none(), NULL, NULL, NULL);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_CONFLICT : err;

    repo->rng->fill(repo->rng, id.b, sizeof(id.b));
    id = project_id_plain(&id);
    struct project_info info = {.id = id, .hlc_created = repo_hlc(repo), .handle = handle};
    AUTO(arena_release) struct arena arena = {0};
    err = objects_put(repo, &info);
    if (err == OK)
        err = handle_put(repo, &info, &arena);
    if (err == OK)
        *out = id;
    return err;
}

/* ---- finding ---- */

static int id_find(struct repo *repo, const struct id16 *id)
{
    if (project_id_is_refs(id))
        return ERR_NOT_FOUND;
    struct hash name = known_name("project", id, bytes_of(NULL, 0));
    struct fact fact = {.id = *id};
    if (known_find(repo->known, &name, &fact))
        return OK;
    struct key key = key_project(id);
    int err = store_get(repo->store, key.s, range_none(), NULL, NULL, NULL);
    if (err == OK)
        known_add(repo->known, &name, &fact);
    return err;
}

int project_find(struct repo *repo, struct bytes name, struct id16 *out)
{
    struct id16 id;
    if (id16_parse(name, &id) == OK) {
        int err = id_find(repo, &id);
        if (err == OK)
            *out = id;
        return err;
    }
    if (handle_check(name) != OK)
        return ERR_NOT_FOUND;
    struct project_info info;
    if (!handle_known(repo, name, &info)) {
        AUTO(arena_release) struct arena arena = {0};
        int err = handle_get(repo, name, &arena, &info);
        if (err != OK)
            return err;
    }
    *out = info.id;
    return OK;
}

int project_refs_find(struct repo *repo, const struct id16 *project, struct id16 *out)
{
    struct id16 refs = project_id_refs(project);
    struct key key = key_head(&refs);
    int err = store_get(repo->store, key.s, range_none(), NULL, NULL, NULL);
    if (err == OK)
        *out = refs;
    return err;
}

int project_find_tree(struct repo *repo, struct bytes name, struct id16 *out)
{
    static const char ending[] = "/refs";
    size_t len = sizeof(ending) - 1;
    struct id16 project;
    if (name.len < len || memcmp(name.data + name.len - len, ending, len) != 0)
        return project_find(repo, name, out);
    int err = project_find(repo, bytes_of(name.data, name.len - len), &project);
    return err == OK ? project_refs_find(repo, &project, out) : err;
}

/* Reads the handles of `infos` that are not known yet, side by side. One that has gone or that
 * is damaged keeps a zero id. */
static int handles_get(struct repo *repo, struct project_info *infos, size_t n,
                       struct arena *arena)
{
    assert(n <= GETS_AT_ONCE);
    struct key keys[GETS_AT_ONCE];
    struct buf bodies[GETS_AT_ONCE] = {0};
    struct store_op ops[GETS_AT_ONCE] = {0};
    size_t of[GETS_AT_ONCE];
    size_t n_ops = 0;
    for (size_t i = 0; i < n; i++) {
        if (handle_known(repo, infos[i].handle, &infos[i]))
            continue;
        keys[n_ops] = key_handle(infos[i].handle);
        ops[n_ops] = (struct store_op){.verb = STORE_GET,
                                       .key = keys[n_ops].s,
                                       .range = range_all(),
                                       .body = &bodies[n_ops]};
        of[n_ops++] = i;
    }
    int err = n_ops > 0 ? store_many(repo->store, ops, n_ops) : OK;
    if (err == ERR_NOT_FOUND)
        err = OK;
    for (size_t i = 0; i < n_ops; i++) {
        struct project_info *info = &infos[of[i]];
        if (ops[i].err == OK)
            (void)!handle_check_object(repo, buf_bytes(&bodies[i]), info->handle, arena, info);
        else if (ops[i].err != ERR_NOT_FOUND && err == OK)
            err = ops[i].err;
        buf_release(&bodies[i]);
    }
    return err;
}

/* One page of handles; those that are damaged are left out. */
static int handles_list(struct repo *repo, struct arena *arena, const char *after, size_t max,
                        struct project_list *out, const char **last)
{
    struct key prefix = key_handle_prefix();
    struct store_list keys;
    int err = store_list(repo->store, arena, prefix.s, after, max, &keys);
    if (err != OK)
        return err;
    struct project_list list = {.more = keys.more};
    list.projects = arena_array(arena, keys.n, struct project_info);
    size_t named = 0;
    for (size_t i = 0; i < keys.n; i++) {
        if (key_handle_parse(keys.keys[i].key, &list.projects[named].handle) == OK)
            named++;
    }
    for (size_t i = 0; i < named && err == OK; i += GETS_AT_ONCE) {
        size_t left = named - i;
        err = handles_get(repo, list.projects + i, left < GETS_AT_ONCE ? left : GETS_AT_ONCE,
                          arena);
    }
    if (err != OK)
        return err;
    for (size_t i = 0; i < named; i++) {
        if (!id16_is_zero(&list.projects[i].id))
            list.projects[list.n++] = list.projects[i];
    }
    *out = list;
    *last = keys.n > 0 ? keys.keys[keys.n - 1].key : after;
    return OK;
}

int project_list(struct repo *repo, struct arena *arena, const char *after, size_t max,
                 struct project_list *out)
{
    struct key prefix = key_handle_prefix();
    const char *at = after[0] == '\0' ? "" : arena_printf(arena, "%s%s", prefix.s, after);
    if (max > STORE_LIST_MAX)
        max = STORE_LIST_MAX;
    /* A page of nothing but damaged handles would leave the caller without a place to go on
     * from.
     */
    struct project_list list;
    do {
        int err = handles_list(repo, arena, at, max, &list, &at);
        if (err != OK)
            return err;
    } while (list.n == 0 && list.more);
    *out = list;
    return OK;
}

int project_info_get(struct repo *repo, const struct id16 *id, struct arena *arena,
                     struct project_info *out)
{
    AUTO_BUF bytes = {0};
    struct key key = key_project(id);
    int err = store_get(repo->store, key.s, range_all(), &bytes, NULL, NULL);
    struct project_info info;
    if (err == OK)
        err = project_info_decode(buf_bytes(&bytes), arena, &info);
    if (err == OK && !id16_equal(&info.id, id))
        err = ERR_CORRUPT;
    if (err != OK)
        return damage_unless_absent(repo, key.s, err);
    *out = info;
    return OK;
}
