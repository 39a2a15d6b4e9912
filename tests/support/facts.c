#include "tests/support/facts.h"

#include <check.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/history/landlog.h"
#include "pipeline/repo/history/rollup_read.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/tree/snapshot.h"

struct reading {
    struct facts *facts;
    struct repo *repo;
    const struct world_project *p;
    struct arena arena;
};

static void add(struct reading *r, const char *group, const char *name, int err,
                struct bytes value)
{
    struct facts *facts = r->facts;
    void *items = facts->items;
    struct fact *slot =
        arena_push(&facts->arena, &items, &facts->n, &facts->cap, sizeof(*slot));
    facts->items = items;
    *slot = (struct fact){.group = group, .err = err};
    slot->name = arena_str(&facts->arena, bytes_str(name));
    if (err == OK)
        slot->value = xxh3_128(value);
}

static const char *at_position(struct reading *r, uint64_t position)
{
    return arena_printf(&r->arena, "%llu", (unsigned long long)position);
}

/* --- the project --- */

static void project_read(struct reading *r)
{
    const struct world_project *p = r->p;
    struct id16 id = {0};
    int err = project_find(r->repo, bytes_str(p->handle), &id);
    add(r, "project", "by handle", err, bytes_of(&id, sizeof(id)));
    err = project_find(r->repo, bytes_str(id16_hex(&p->id).s), &id);
    add(r, "project", "by id", err, bytes_of(&id, sizeof(id)));
    struct project_info info = {0};
    err = project_info_get(r->repo, &p->id, &r->arena, &info);
    add(r, "project", "info", err, info.handle);
    err = project_find(r->repo, bytes_str("nobody"), &id);
    add(r, "project", "absent", err, bytes_of(&id, sizeof(id)));
    struct project_list list = {0};
    err = project_list(r->repo, &r->arena, "", 100, &list);
    if (err != OK)
        add(r, "projects", "list", err, bytes_of(NULL, 0));
    for (size_t i = 0; i < list.n; i++) {
        const char *handle = arena_str(&r->arena, list.projects[i].handle);
        /* The world's other project is in its own facts. */
        if (strcmp(handle, "demo") == 0 || strcmp(handle, "other") == 0)
            handle = strcmp(handle, p->handle) == 0 ? handle : NULL;
        if (handle != NULL)
            add(r, "projects", handle, OK, bytes_of(&list.projects[i].id, sizeof(id)));
    }
}

/* --- trees --- */

static int content_get(struct reading *r, const struct entry *e, struct buf *out)
{
    struct content_reader *reader;
    int err = content_open(r->repo, &r->p->id, &e->where, e->size, &e->hash, &reader);
    if (err != OK)
        return err;
    err = content_read_at(reader, 0, (size_t)content_size(reader), out);
    content_close(reader);
    return err;
}

static void entry_add(struct reading *r, const char *group, const char *name, int err,
                      const struct entry *e)
{
    AUTO_BUF text = {0};
    if (err == OK)
        buf_printf(&text, "%d %o %llu %s %llu", (int)e->kind, e->mode,
                   (unsigned long long)e->size, hash_hex(&e->hash).s,
                   (unsigned long long)e->files);
    add(r, group, name, err, buf_bytes(&text));
}

static void directory_read(struct reading *r, struct snapshot *snapshot, const char *group,
                           const char *path)
{
    struct tree_listing list = {0};
    int err = snapshot_list(snapshot, bytes_str(path), bytes_str(""), 1000, &r->arena, &list);
    if (err != OK)
        add(r, group, path[0] == '\0' ? "root" : path, err, bytes_of(NULL, 0));
    for (size_t i = 0; i < list.n; i++) {
        const struct entry *e = &list.entries[i];
        const char *below =
            arena_printf(&r->arena, "%s%s%.*s", path, path[0] == '\0' ? "" : "/",
                         (int)e->name.len, (const char *)e->name.data);
        entry_add(r, group, below, OK, e);
        if (e->kind == KIND_DIR) {
            directory_read(r, snapshot, group, below);
            continue;
        }
        AUTO_BUF bytes = {0};
        const char *name = arena_printf(&r->arena, "%s: content", below);
        err = content_get(r, e, &bytes);
        add(r, group, name, err, buf_bytes(&bytes));
    }
}

static void paths_read(struct reading *r, struct snapshot *snapshot, const char *group)
{
    static const char *const paths[] = {"dir1/sub1/file1", "dir0/sub0/file3", "single3",
                                        "content/large", "nowhere/at/all"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct entry entry;
        int err = snapshot_find(snapshot, bytes_str(paths[i]), &r->arena, &entry);
        entry_add(r, group, arena_printf(&r->arena, "find %s", paths[i]), err, &entry);
    }
}

static void tree_read(struct reading *r, uint64_t position)
{
    /* At the least: the first batch, in the middle of one, a single landing, the last one. */
    const char *group =
        arena_printf(&r->facts->arena, "tree at %llu", (unsigned long long)position);
    struct snapshot *snapshot;
    int err = snapshot_open(r->repo, &r->p->id, position, &snapshot);
    add(r, group, "open", err, bytes_of(NULL, 0));
    if (err != OK)
        return;
    paths_read(r, snapshot, group);
    if (position == WORLD_POSITION)
        directory_read(r, snapshot, group, "");
    snapshot_close(snapshot);
}

static void diff_read(struct reading *r)
{
    struct snapshot *a;
    struct snapshot *b;
    struct snapshot_changes changes = {0};
    int err = snapshot_open(r->repo, &r->p->id, 150, &a);
    if (err == OK) {
        err = snapshot_open(r->repo, &r->p->id, WORLD_POSITION, &b);
        if (err == OK) {
            err = snapshot_diff(a, b, bytes_str(""), bytes_str(""), 1000, &r->arena, &changes);
            snapshot_close(b);
        }
        snapshot_close(a);
    }
    AUTO_BUF paths = {0};
    for (size_t i = 0; i < changes.n; i++)
        buf_append_bytes(&paths, changes.changes[i].path);
    add(r, "diff", "150 to the end", err, buf_bytes(&paths));
}

/* --- the log --- */

static bool rollup_has(struct rollup_reader *reader, uint64_t key, uint64_t position)
{
    struct rollup_range range;
    rollup_reader_ask(reader, key, position, position + 1);
    return rollup_reader_next(reader, &range);
}

/* How many of the entry's keys no rollup has. */
static unsigned rollup_misses(struct rollup_reader *reader, const struct log_entry *entry)
{
    unsigned missed = !rollup_has(reader, rollup_key_session(&entry->session), entry->position);
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        const struct log_effect *effect = &entry->effects[i];
        missed += !rollup_has(reader, rollup_key_path(effect->path), entry->position);
        if (effect->kind == EFFECT_WRITE)
            missed += !rollup_has(reader, rollup_key_content(&effect->hash), entry->position);
    }
    return missed;
}

static void log_read(struct reading *r)
{
    struct landlog *log;
    unsigned missed = 0;
    const struct log_entry *entry;
    unsigned n = 0;
    int err = landlog_open(r->repo, &r->p->id, WORLD_POSITION - 1, &log);
    if (err != OK) {
        add(r, "log", "open", err, bytes_of(NULL, 0));
        return;
    }
    struct rollup_reader *rollups = rollup_reader_open(r->repo, &r->p->id);
    while ((err = landlog_next(log, &entry)) == OK) {
        AUTO_BUF text = {0};
        buf_printf(&text, "%llu %d %s %s %u", (unsigned long long)entry->position,
                   (int)entry->verdict, id16_hex(&entry->session).s,
                   id16_hex(&entry->request).s, entry->n_effects);
        for (uint32_t i = 0; i < entry->n_effects; i++)
            buf_append_bytes(&text, entry->effects[i].path);
        add(r, "log", arena_printf(&r->arena, "entry %u", n++), OK, buf_bytes(&text));
        missed += rollup_misses(rollups, entry);
    }
    rollup_reader_close(rollups);
    add(r, "log", "missed by rollups", err == ERR_NOT_FOUND ? OK : err,
        bytes_of(&missed, sizeof(missed)));
    add(r, "log", "end", err, bytes_of(NULL, 0));
    landlog_close(log);
}

static void landings_read(struct reading *r)
{
    const uint64_t positions[] = {1, 77, 100, 101, 150, 190, WORLD_POSITION};
    for (size_t i = 0; i < ARRAY_LEN(positions); i++) {
        struct log_entry entry = {0};
        int err = landlog_at(r->repo, &r->p->id, positions[i], &r->arena, &entry);
        add(r, "landing", at_position(r, positions[i]), err,
            bytes_of(&entry.session, sizeof(entry.session)));
    }
    struct landing landing = {0};
    struct hash tree;
    int err = landlog_session(r->repo, &r->p->id, &r->p->landed, &r->arena, &landing, &tree);
    add(r, "landing", "by session", err, bytes_of(&landing.request, sizeof(landing.request)));
    struct log_effect effect = {0};
    err = landlog_content(r->repo, &r->p->id, &r->p->small, &r->arena, &effect);
    add(r, "landing", "by content", err, effect.path);
}

/* --- sessions --- */

static void session_add(struct reading *r, const char *group, const char *name, int err,
                        struct session *session)
{
    AUTO_BUF bytes = {0};
    if (err == OK) {
        /* Not what was written, but when, and how often it was put away. */
        session->version = session->hlc_created = session->hlc_updated = 0;
        session_encode(session, &bytes);
    }
    add(r, group, name, err, buf_bytes(&bytes));
}

/* What the test asks for changes `open` and `drop`. */
static void sessions_read(struct reading *r, bool untouched)
{
    static const struct id16 first;
    const struct world_project *p = r->p;
    struct id16 absent = p->open;
    absent.b[15] ^= 1;
    const struct {
        const char *name;
        const struct id16 *id;
    } asked[] = {{"landed", &p->landed}, {"gone", &p->gone},       {"open", &p->open},
                 {"drop", &p->drop},     {"waiting", &p->waiting}, {"absent", &absent}};
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct session_current now;
        if (!untouched && (asked[i].id == &p->open || asked[i].id == &p->drop))
            continue;
        int err = session_read(r->repo, &p->id, asked[i].id, &r->arena, &now);
        if (err == OK && now.partial)
            err = ERR_CORRUPT;
        session_add(r, "session", asked[i].name, err, &now.session);
    }
    if (!untouched)
        return;
    struct session_list list = {0};
    int err = session_list(r->repo, &p->id, &first, 100, &r->arena, &list);
    if (err != OK)
        add(r, "sessions", "list", err, bytes_of(NULL, 0));
    /* A list says which there are, as far as it can be known. */
    for (size_t i = 0; i < list.n; i++)
        add(r, "sessions", id16_hex(&list.sessions[i].id).s, OK,
            bytes_of(&list.sessions[i].owner, sizeof(list.sessions[i].owner)));
}

/* --- contents by their hash --- */

static void contents_read(struct reading *r)
{
    const struct hash *const hashes[] = {&r->p->blob, &r->p->large};
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        const char *name = i == 0 ? "blob" : "large";
        struct content_reader *reader;
        AUTO_BUF bytes = {0};
        int err = content_open_blob(r->repo, &r->p->id, hashes[i], &reader);
        if (err == OK) {
            err = content_read_at(reader, 0, (size_t)content_size(reader), &bytes);
            content_close(reader);
        }
        add(r, name, "read", err, buf_bytes(&bytes));
        struct content content = {0};
        err = blob_describe(r->repo, &r->p->id, NULL, hashes[i], &content);
        add(r, name, "size", err, bytes_of(&content.size, sizeof(content.size)));
        bool missing = false;
        err = blob_missing(r->repo, &r->p->id, NULL, hashes[i], 1, &missing, NULL);
        add(r, name, "there", err == OK && missing ? ERR_NOT_FOUND : err, bytes_of("", 1));
    }
}

void facts_read(struct facts *facts, struct repo *repo, const struct world_project *p,
                bool untouched)
{
    const uint64_t positions[] = {0, 1, 61, 100, 120, 185, WORLD_POSITION};
    *facts = (struct facts){0};
    struct reading r = {.facts = facts, .repo = repo, .p = p};
    project_read(&r);
    for (size_t i = 0; i < ARRAY_LEN(positions); i++)
        tree_read(&r, positions[i]);
    diff_read(&r);
    log_read(&r);
    landings_read(&r);
    sessions_read(&r, untouched);
    contents_read(&r);
    arena_release(&r.arena);
}

void facts_release(struct facts *facts)
{
    arena_release(&facts->arena);
}

/* --- comparing --- */

static bool same_name(const struct fact *a, const struct fact *b)
{
    return strcmp(a->group, b->group) == 0 && strcmp(a->name, b->name) == 0;
}

/* Looked for from `*from` on, where the last one was found: both lists are in one order. */
static const struct fact *fact_find(const struct facts *facts, const struct fact *like,
                                    size_t *from)
{
    for (size_t i = 0; i < facts->n; i++) {
        size_t at = (*from + i) % facts->n;
        if (!same_name(&facts->items[at], like))
            continue;
        *from = at + 1;
        return &facts->items[at];
    }
    return NULL;
}

/* Whether some of a group could not be read. */
static bool group_is_corrupt(const struct facts *facts, const char *group)
{
    for (size_t i = 0; i < facts->n; i++) {
        if (strcmp(facts->items[i].group, group) == 0 && facts->items[i].err == ERR_CORRUPT)
            return true;
    }
    return false;
}

const char *facts_differ(struct facts *got, const struct facts *want, facts_allow *allow,
                         void *arg, unsigned *errors)
{
    size_t from = 0;
    for (size_t i = 0; i < got->n; i++) {
        const struct fact *is = &got->items[i];
        const struct fact *was = fact_find(want, is, &from);
        if (is->err == ERR_CORRUPT)
            continue;
        if (was == NULL || (is->err == OK && was->err != OK) ||
            (is->err == OK && !id16_equal(&is->value, &was->value)))
            return arena_printf(&got->arena, "%s, %s: %s", is->group, is->name,
                                was == NULL ? "it was not there before"
                                            : "it is not what it was");
    }
    from = 0;
    for (size_t i = 0; i < want->n; i++) {
        const struct fact *was = &want->items[i];
        const struct fact *is = fact_find(got, was, &from);
        int err = is != NULL ? is->err : ERR_NOT_FOUND;
        if (is == NULL && group_is_corrupt(got, was->group))
            err = ERR_CORRUPT;
        *errors += err != was->err;
        if (err != was->err && err != ERR_CORRUPT && !allow(arg, was, err))
            return arena_printf(&got->arena, "%s, %s: %s", was->group, was->name,
                                err_name(err));
    }
    return NULL;
}
