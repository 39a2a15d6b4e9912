#include "pipeline/repo/check/fsck_names.h"

#include <stdio.h>

#include "formats/base/hex.h"
#include "formats/gc.h"
#include "formats/log_segment.h"
#include "formats/path.h"
#include "formats/project_id.h"
#include "pipeline/repo/check/fsck_rollups.h"

/* A run that is open for longer is told of. */
#define GC_OPEN_LONG_MS 86400000u

static bool begins(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

static void unknown(struct fsck *fsck, const char *key)
{
    fsck_note(fsck, "unknown_key", key, "no object of the forge has such a name");
}

/* --- handles --- */

static int is_there(struct fsck *fsck, const struct key *key, bool *there)
{
    int err = store_get(fsck->store, key->s, range_none(), NULL, NULL, NULL);
    *there = err == OK;
    return err == ERR_NOT_FOUND ? OK : err;
}

/* One of project and head is enough here: the project's own check tells what it lacks. */
static int handle_target(struct fsck *fsck, const char *key, const struct project_info *info)
{
    struct key project = key_project(&info->id);
    struct key head = key_head(&info->id);
    bool there;
    int err = is_there(fsck, &project, &there);
    if (err == OK && !there)
        err = is_there(fsck, &head, &there);
    if (err == OK && !there)
        fsck_damage(fsck, "durable", "project_missing", key, "there is no project %s",
                    id16_hex(&info->id).s);
    return err;
}

static int handle_take(struct fsck *fsck, const struct store_op *op)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info info;
    struct bytes handle;
    if (op->err == ERR_NOT_FOUND || key_handle_parse(op->key, &handle) != OK)
        return OK;
    int err = op->err == OK ? handle_decode(buf_bytes(op->body), &arena, &info) : op->err;
    if (err == OK && bytes_equal(info.handle, handle))
        return handle_target(fsck, op->key, &info);
    fsck_damage(fsck, "named", "handle_damaged", op->key, "%s",
                err != OK ? "it cannot be decoded" : "it is another handle's object");
    return OK;
}

static int handles_wave(struct fsck *fsck, struct fsck_gets *gets)
{
    int err = fsck_gets_run(fsck, gets);
    for (size_t i = 0; i < gets->n && err == OK; i++)
        err = handle_take(fsck, &gets->ops[i]);
    fsck_gets_clear(gets);
    return err;
}

int fsck_handles_check(struct fsck *fsck)
{
    struct fsck_gets gets = {0};
    struct key prefix = key_handle_prefix();
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = fsck->store, .prefix = prefix.s};
    const struct store_key *key;
    int err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        struct bytes handle;
        fsck->counts.keys++;
        if (key_handle_parse(key->key, &handle) != OK) {
            unknown(fsck, key->key);
            continue;
        }
        struct key name = key_handle(handle);
        (void)fsck_gets_add(&gets, &name, range_all());
        if (gets.n == FSCK_AT_ONCE)
            err = handles_wave(fsck, &gets);
        if (err != OK)
            return err;
    }
    return err == ERR_NOT_FOUND ? handles_wave(fsck, &gets) : err;
}

/* --- keys of the bucket --- */

/* Whose keys are looked at by others. */
static const char *const folders[] = {"handles/", "leases/", "projects/", "queue/"};

static const char *folder_of(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (begins(key, folders[i]))
            return folders[i];
    }
    return NULL;
}

static void top_take(struct fsck *fsck, const char *key)
{
    uint64_t ms;
    uint64_t id;
    fsck->counts.keys++;
    bool known = strcmp(key, key_bucket().s) == 0 || strcmp(key, key_probe_note().s) == 0 ||
                 key_probe_parse(key, &ms, &id) == OK;
    if (!known)
        unknown(fsck, key);
}

int fsck_top_check(struct fsck *fsck)
{
    char after[STORE_KEY_MAX + 1] = "";
    struct store_list list = {.more = true};
    while (list.more) {
        AUTO(arena_release) struct arena arena = {0};
        int err = store_list(fsck->store, &arena, "", after, FSCK_AT_ONCE, &list);
        if (err != OK)
            return err;
        for (size_t i = 0; i < list.n; i++) {
            const char *folder = folder_of(list.keys[i].key);
            (void)snprintf(after, sizeof(after), "%s", list.keys[i].key);
            if (folder != NULL) {
                /* Behind all of it: '0' is what comes after '/'. */
                (void)snprintf(after, sizeof(after), "%s", folder);
                after[strlen(after) - 1] = '0';
                list.more = true;
                break;
            }
            top_take(fsck, list.keys[i].key);
        }
        list.more = list.more && list.n > 0;
    }
    return OK;
}

/* --- projects --- */

int fsck_projects_next(struct fsck_projects *projects, struct id16 *out)
{
    static const char prefix[] = "projects/";
    for (;;) {
        AUTO(arena_release) struct arena arena = {0};
        struct store_list list;
        int err = store_list(projects->fsck->store, &arena, prefix, projects->after, 1, &list);
        if (err != OK)
            return err;
        if (list.n == 0)
            return ERR_NOT_FOUND;
        const char *key = list.keys[0].key;
        const char *name = key + sizeof(prefix) - 1;
        size_t len = strcspn(name, "/");
        if (name[len] == '/' && id16_parse(bytes_of(name, len), out) == OK &&
            !project_id_is_refs(out)) {
            (void)snprintf(projects->after, sizeof(projects->after), "%s%.*s0", prefix,
                           (int)len, name);
            return OK;
        }
        (void)snprintf(projects->after, sizeof(projects->after), "%s", key);
        projects->fsck->counts.keys++;
        unknown(projects->fsck, key);
    }
}

int fsck_project_find(struct fsck *fsck, const char *name, struct id16 *out)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct project_info info;
    struct id16 id;
    if (id16_parse(bytes_str(name), &id) == OK) {
        bool there = false;
        struct key key = key_project(&id);
        int err = project_id_is_refs(&id) ? OK : is_there(fsck, &key, &there);
        if (err == OK && there)
            *out = id;
        return err == OK && !there ? ERR_NOT_FOUND : err;
    }
    if (handle_check(bytes_str(name)) != OK)
        return ERR_NOT_FOUND;
    struct key key = key_handle(bytes_str(name));
    int err = store_get(fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err != OK)
        return err;
    err = handle_decode(buf_bytes(&bytes), &arena, &info);
    if (err == OK && bytes_equal(info.handle, bytes_str(name))) {
        *out = info.id;
        return handle_target(fsck, key.s, &info);
    }
    fsck_damage(fsck, "named", "handle_damaged", key.s,
                "it does not say which project it names");
    return ERR_CORRUPT;
}

/* Whether the handle that the project was made with names it. */
static int named_by_handle(struct fsck_project *p, struct bytes handle, bool *named,
                           bool *readable)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct project_info info;
    struct key key = key_handle(handle);
    int err = store_get(p->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    *named = false;
    *readable = true;
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK)
        err = handle_decode(buf_bytes(&bytes), &arena, &info);
    if (err == OK && !bytes_equal(info.handle, handle))
        err = ERR_CORRUPT;
    if (err != OK) {
        *readable = false; /* told where handles are looked at */
        return fsck_is_damage(err) ? OK : err;
    }
    struct id16 plain = project_id_plain(&p->id);
    *named = id16_equal(&info.id, &plain);
    return OK;
}

static int info_get(struct fsck_project *p, struct arena *arena, struct project_info *out)
{
    AUTO_BUF bytes = {0};
    struct key key = key_project(&p->id);
    int err = store_get(p->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = project_info_decode(buf_bytes(&bytes), arena, out);
    if (err == OK && !id16_equal(&out->id, &p->id))
        err = ERR_CORRUPT;
    return err;
}

/* A project is made in steps, the handle last; who loses the race for the handle leaves one
 * that is empty and that nothing names. */
static void unnamed(struct fsck_project *p, bool has_head, struct bytes handle)
{
    struct key key = key_handle(handle);
    struct key project = key_project(&p->id);
    if (has_head && p->head.position > 0) {
        fsck_damage(p->fsck, "durable", "handle_missing", key.s,
                    "it does not name project %s, which was made with it and has landings",
                    id16_hex(&p->id).s);
        return;
    }
    fsck_note(p->fsck, "project_unnamed", project.s,
              "no handle names it, and nothing has landed on it: its making was not finished");
}

int fsck_project_names(struct fsck_project *p, bool has_head)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_info info;
    struct key project = key_project(&p->id);
    struct key head = key_head(&p->id);
    int err = info_get(p, &arena, &info);
    bool refs_begun =
        err == ERR_NOT_FOUND && project_id_is_refs(&p->id) && p->head.position == 0;
    if (err == ERR_NOT_FOUND && (!has_head || refs_begun)) {
        fsck_note(p->fsck, "project_unnamed", project.s,
                  refs_begun ? "the making of the tree of references was not finished"
                             : "there are objects below it, and neither it nor a head");
        return OK;
    }
    if (err != OK) {
        if (!fsck_is_damage(err))
            return err;
        fsck_damage(p->fsck, err == ERR_NOT_FOUND ? "durable" : "named",
                    err == ERR_NOT_FOUND ? "project_missing" : "project_damaged", project.s,
                    "%s",
                    err == ERR_NOT_FOUND ? "there is a head, and no project"
                                         : "it is not what its name says");
        return OK;
    }
    bool named;
    bool readable;
    err = named_by_handle(p, info.handle, &named, &readable);
    if (err != OK)
        return err;
    if (!named && readable)
        unnamed(p, has_head, info.handle);
    else if (!has_head)
        fsck_damage(p->fsck, "durable", "head_missing", head.s,
                    "a project without a head is corrupt, never empty");
    return OK;
}

/* --- keys of a project --- */

static bool hash_at_end(const char *key, const char *ending, struct hash *out)
{
    const char *name = strrchr(key, '/') + 1;
    size_t len = strlen(name);
    size_t end = strlen(ending);
    return len == HASH_HEX_LEN + end && strcmp(name + HASH_HEX_LEN, ending) == 0 &&
           hash_parse(bytes_of(name, HASH_HEX_LEN), out) == OK;
}

static bool is_segment(const char *key)
{
    uint64_t first;
    uint64_t end;
    return key_log_parse(key, &first, &end) == OK && log_span_ok(first, end);
}

static bool is_derive(const char *key)
{
    uint64_t agent;
    uint64_t number;
    return key_derive_parse(key, &agent, &number) == OK ||
           key_derive_segment_parse(key, &number) == OK;
}

static bool key_known(const struct fsck_project *p, const char *key, uint64_t *trees)
{
    struct hash hash;
    struct id16 session;
    if (strcmp(key, key_project(&p->id).s) == 0 || strcmp(key, key_head(&p->id).s) == 0 ||
        strcmp(key, key_gc(&p->id).s) == 0)
        return true;
    if (hash_at_end(key, ".bin", &hash) && strcmp(key, key_tree(&p->id, &hash).s) == 0) {
        ++*trees;
        return true;
    }
    if (hash_at_end(key, "", &hash) && strcmp(key, key_blob(&p->id, &hash).s) == 0) {
        p->fsck->counts.blobs++;
        return true;
    }
    return is_segment(key) || is_derive(key) || key_session_parse(key, &session) == OK;
}

/* Only its collector, or an operator, closes a run: one that is open for long has lost its own,
 * and sessions may wait for it. */
static int gc_check(struct fsck_project *p)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct gc gc;
    struct key key = key_gc(&p->id);
    struct clock *clock = p->fsck->repo.clock;
    int err = store_get(p->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK)
        err = gc_decode(buf_bytes(&bytes), &arena, &gc);
    if (err != OK && !fsck_is_damage(err))
        return err;
    if (err != OK)
        fsck_damage(p->fsck, "named", "gc_damaged", key.s, "it cannot be decoded");
    else if (gc.state == GC_OPEN && gc.opened_ms + GC_OPEN_LONG_MS < clock->wall_ms(clock))
        fsck_note(p->fsck, "collection_open", key.s,
                  "run %s is open since long: mic-gc --resume ends it", id16_hex(&gc.run).s);
    return OK;
}

/* What lies below the project's references is looked at as a project of its own. */
static bool is_of_refs(const struct fsck_project *p, const char *key)
{
    struct id16 refs = project_id_refs(&p->id);
    return !project_id_is_refs(&p->id) && begins(key, key_project_prefix(&refs).s);
}

int fsck_project_keys(struct fsck_project *p, uint64_t *trees)
{
    struct key prefix = key_project_prefix(&p->id);
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = p->fsck->store, .prefix = prefix.s};
    const struct store_key *key;
    int err = gc_check(p);
    *trees = 0;
    if (err != OK)
        return err;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        if (is_of_refs(p, key->key)) {
            p->has_refs = true;
            continue;
        }
        p->fsck->counts.keys++;
        if (!fsck_rollups_add(p->rollups, key->key) && !key_known(p, key->key, trees))
            unknown(p->fsck, key->key);
    }
    return err == ERR_NOT_FOUND ? OK : err;
}
