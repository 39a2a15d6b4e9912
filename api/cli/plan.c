#include "api/cli/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/cli/merge.h"
#include "api/client/call.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/path.h"

struct planner {
    struct workspace *ws;
    struct client *client;
    const struct index *index;
    const struct scan *scan;
    const struct target *target;
    enum plan_mode mode;
    const struct journal *journal;
    struct arena *arena;
    struct plan *plan;
    size_t cap_merges, cap_lost;
    struct id16_hex project;
};

/* What lies under a path in the workspace. */
struct work {
    enum kind kind; /* NONE: nothing; DIR: a directory */
    uint16_t mode;
    uint64_t size;
    bool hashed;
    struct hash hash;
    struct stat_mark mark;
};

struct sink_buf {
    struct buf *out;
    size_t max;
};

static int sink_append(void *arg, struct bytes data)
{
    struct sink_buf *sink = arg;
    if (data.len > sink->max - sink->out->len)
        return ERR_LIMIT;
    buf_append_bytes(sink->out, data);
    return OK;
}

int base_read(struct client *client, struct bytes project, struct bytes path, uint64_t position,
              const struct hash *hash, uint64_t size, struct buf *out)
{
    AUTO_BUF got = {0};
    struct sink_buf sink = {.out = &got, .max = (size_t)size};
    int err = client_file(client, project, path, position,
                          (struct http_sink){.write = sink_append, .arg = &sink});
    if (err != OK)
        return err;
    struct hash found = sha256(buf_bytes(&got));
    if (!hash_equal(&found, hash))
        return client_fail(client, ERR_CORRUPT, "bad_content",
                           "%.*s at %llu is not what its hash says", (int)path.len, path.data,
                           (unsigned long long)position);
    buf_append_bytes(out, buf_bytes(&got));
    return OK;
}

/* ---- what is there ----------------------------------------------------------------------- */

static int work_find(struct planner *p, struct bytes path, const struct index_entry *base,
                     struct work *out)
{
    *out = (struct work){0};
    const struct scan_item *item = scan_find(p->scan, path);
    if (item == NULL && base != NULL && base->kind != KIND_NONE) {
        *out = (struct work){.kind = base->kind,
                             .mode = base->mode,
                             .size = base->size,
                             .hashed = true,
                             .hash = base->hash,
                             .mark = base->mark};
        return OK;
    }
    if (item != NULL && item->state != SCAN_DELETED) {
        *out = (struct work){.kind = item->kind,
                             .mode = item->mode,
                             .size = item->size,
                             .hashed = item->hashed,
                             .hash = item->hash,
                             .mark = item->mark};
        return OK;
    }
    /* Not looked at by the scan: ignored, or gone; or a directory stands there. */
    struct stat st;
    int err = worktree_stat(&p->ws->tree, path, &st);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return err;
    out->kind = stat_kind(&st) == KIND_NONE ? KIND_FILE : stat_kind(&st);
    out->mode = stat_mode(&st);
    out->size = (uint64_t)st.st_size;
    out->mark = stat_mark_of(&st);
    return OK;
}

static int work_hash(struct planner *p, struct bytes path, struct work *work)
{
    if (work->hashed || (work->kind != KIND_FILE && work->kind != KIND_LINK))
        return OK;
    struct stat st;
    int err = worktree_hash(&p->ws->tree, path, &work->hash, &st);
    if (err != OK)
        return err;
    work->hashed = true;
    work->mark = stat_mark_of(&st);
    return OK;
}

static bool work_is(const struct work *work, enum kind kind, uint16_t mode,
                    const struct hash *hash)
{
    return work->kind == kind && work->mode == mode && work->hashed &&
           hash_equal(&work->hash, hash);
}

static bool work_is_base(const struct work *work, const struct index_entry *base)
{
    if (base == NULL || base->kind == KIND_NONE)
        return work->kind == KIND_NONE;
    return work_is(work, base->kind, base->mode, &base->hash);
}

static bool work_is_new(const struct work *work, const struct entry *to)
{
    if (to == NULL)
        return work->kind == KIND_NONE;
    return work_is(work, to->kind, to->mode, &to->hash);
}

/* ---- merging ----------------------------------------------------------------------------- */

static int stage(struct planner *p, struct bytes path, const struct work *work,
                 struct bytes text, uint16_t mode, const char *conflict, struct step *step)
{
    struct hash after = sha256(text);
    char name[HASH_HEX_LEN + 16];
    snprintf(name, sizeof(name), "staged/%s", hash_hex(&after).s);
    int err = workspace_put(p->ws, name, text);
    if (err != OK)
        return err;
    struct journal_merge *merge =
        arena_push(p->arena, (void **)&p->plan->merges, &p->plan->n_merges, &p->cap_merges,
                   sizeof(*merge));
    static const struct hash none;
    *merge = (struct journal_merge){
        .path = path,
        .before = work->kind == KIND_NONE ? none : work->hash,
        .after = after,
        .mode = mode,
        .conflict = bytes_str(conflict == NULL ? "" : conflict),
    };
    step->kind = STEP_MERGED;
    step->merged = after;
    step->mode = mode;
    step->conflict = conflict;
    step->expected = true;
    step->was = work->mark;
    return OK;
}

static uint16_t mode_merge(const struct index_entry *base, uint16_t ours, uint16_t theirs)
{
    bool same = base != NULL && base->kind == KIND_FILE && base->mode == ours;
    return same ? theirs : ours;
}

/* Two files that both differ from the base: text is merged, of others theirs goes beside. */
static int merge_files(struct planner *p, struct bytes path, const struct index_entry *base,
                       const struct work *work, struct step *step)
{
    const struct entry *to = step->to;
    bool based = base != NULL && base->kind == KIND_FILE;
    step->kind = STEP_SIDE;
    step->conflict = "binary files differ";
    if (work->size > MERGE_MAX || to->size > MERGE_MAX || (based && base->size > MERGE_MAX))
        return OK;
    AUTO_BUF a = {0};
    AUTO_BUF ours = {0};
    AUTO_BUF theirs = {0};
    struct stat st;
    struct bytes project = bytes_str(p->project.s);
    int err = worktree_read(&p->ws->tree, path, MERGE_MAX, &ours, &st);
    if (err == OK)
        err = base_read(p->client, project, path, p->target->position, &to->hash, to->size,
                        &theirs);
    if (err == OK && based)
        err = base_read(p->client, project, path, p->index->position, &base->hash, base->size,
                        &a);
    if (err != OK)
        return err;
    uint16_t mode = mode_merge(base, work->mode, to->mode);
    if (bytes_equal(buf_bytes(&ours), buf_bytes(&theirs)))
        return stage(p, path, work, buf_bytes(&ours), mode, NULL, step);
    if (based && bytes_equal(buf_bytes(&a), buf_bytes(&theirs)))
        return stage(p, path, work, buf_bytes(&ours), mode, NULL, step);
    if (based && bytes_equal(buf_bytes(&a), buf_bytes(&ours)))
        return stage(p, path, work, buf_bytes(&theirs), mode, NULL, step);
    if (!is_text(buf_bytes(&a)) || !is_text(buf_bytes(&ours)) || !is_text(buf_bytes(&theirs)))
        return OK;
    AUTO_BUF merged = {0};
    bool conflicts = false;
    char label[40];
    snprintf(label, sizeof(label), "position %llu", (unsigned long long)p->target->position);
    err = merge_text(buf_bytes(&a), buf_bytes(&ours), buf_bytes(&theirs), "this workspace",
                     label, &merged, &conflicts);
    if (err != OK)
        return err;
    return stage(p, path, work, buf_bytes(&merged), mode,
                 conflicts ? "both changed the same lines" : NULL, step);
}

/* What an earlier try has staged for the path. */
static const struct journal_merge *merge_of(const struct planner *p, struct bytes path)
{
    for (size_t i = 0; p->journal != NULL && i < p->journal->n; i++) {
        if (bytes_equal(p->journal->merges[i].path, path))
            return &p->journal->merges[i];
    }
    return NULL;
}

/* ---- one path ---------------------------------------------------------------------------- */

static void lose(struct planner *p, struct bytes path)
{
    struct bytes *lost = arena_push(p->arena, (void **)&p->plan->lost, &p->plan->n_lost,
                                    &p->cap_lost, sizeof(*lost));
    *lost = path;
}

/* A path that is neither as the old base has it nor as the new one. */
static int both_changed(struct planner *p, const struct index_entry *base,
                        const struct work *work, struct step *step)
{
    const struct entry *to = step->to;
    step->expected = false;
    if (p->mode == PLAN_GOTO) {
        lose(p, step->path);
        return OK;
    }
    if (p->mode == PLAN_RESUME) {
        bool shorter = to != NULL && to->kind == KIND_FILE && work->kind == KIND_FILE &&
                       work->size < to->size;
        step->kind = shorter ? STEP_PUT : STEP_ADOPT;
        step->partial = shorter;
        step->conflict = shorter ? NULL : "it was there, and is not what the checkout writes";
        return OK;
    }
    if (to == NULL) {
        step->kind = STEP_ADOPT;
        step->conflict = "changed here, deleted there: yours stays, as a new file";
        return OK;
    }
    if (work->kind == KIND_NONE) {
        step->kind = STEP_PUT;
        step->fresh = true;
        step->conflict = "deleted here, changed there: theirs is back";
        return OK;
    }
    if (work->kind == KIND_FILE && to->kind == KIND_FILE)
        return merge_files(p, step->path, base, work, step);
    step->kind = STEP_SIDE;
    step->conflict = "not two files that could be merged";
    return OK;
}

static int path_plan(struct planner *p, struct step *step)
{
    struct index_entry *base = index_find(p->index, step->path);
    struct work work;
    int err = work_find(p, step->path, base, &work);
    const struct journal_merge *merge = merge_of(p, step->path);
    bool compare = merge != NULL || (step->to != NULL && work.size == step->to->size);
    if (err == OK && compare)
        err = work_hash(p, step->path, &work);
    if (err != OK)
        return err;
    step->was = work.mark;
    step->expected = work.kind != KIND_NONE && base != NULL && base->marked;
    if (merge != NULL) {
        bool before = work.kind == KIND_NONE
                          ? hash_is_zero(&merge->before)
                          : work.hashed && hash_equal(&work.hash, &merge->before);
        step->kind = before ? STEP_MERGED : STEP_ADOPT;
        step->merged = merge->after;
        step->mode = merge->mode;
        step->conflict = merge->conflict.len == 0 ? NULL : arena_str(p->arena, merge->conflict);
        return OK;
    }
    if (work_is_new(&work, step->to)) {
        step->kind = STEP_ADOPT;
        step->marked = step->to != NULL;
        step->mark = work.mark;
        return OK;
    }
    /* A directory where a file is to go is empty by then, or it is found out when it is put. */
    if (work_is_base(&work, base) || work.kind == KIND_DIR) {
        step->kind = step->to == NULL ? STEP_REMOVE : STEP_PUT;
        step->fresh = work.kind == KIND_NONE;
        step->expected = step->expected && work.kind != KIND_DIR;
        if (work.kind == KIND_DIR && step->to == NULL)
            step->kind = STEP_ADOPT;
        return OK;
    }
    err = work_hash(p, step->path, &work);
    return err != OK ? err : both_changed(p, base, &work, step);
}

int plan_make(struct workspace *ws, struct client *client, const struct index *index,
              const struct scan *scan, const struct target *target,
              const struct target_changes *changes, enum plan_mode mode,
              const struct journal *journal, struct arena *arena, struct plan *out)
{
    *out = (struct plan){.arena = arena, .steps = arena_array(arena, changes->n, struct step)};
    struct planner p = {.ws = ws,
                        .client = client,
                        .index = index,
                        .scan = scan,
                        .target = target,
                        .mode = mode,
                        .journal = journal,
                        .arena = arena,
                        .plan = out,
                        .project = id16_hex(&ws->project)};
    client->problem = (struct client_problem){0};
    for (size_t i = 0; i < changes->n; i++) {
        const struct thick_change *change = &changes->changes[i];
        struct step *step = &out->steps[out->n++];
        step->path = change->path;
        step->to = change->b;
        int err = path_plan(&p, step);
        if (err != OK) {
            if (client->problem.err != err)
                (void)client_fail(client, err, err_name(err), "%.*s cannot be read",
                                  (int)step->path.len, step->path.data);
            return err;
        }
    }
    /* What an earlier try merged stays in the journal, for the try after this one. */
    for (size_t i = 0; journal != NULL && i < journal->n; i++) {
        struct journal_merge *merge = arena_push(arena, (void **)&out->merges, &out->n_merges,
                                                 &p.cap_merges, sizeof(*merge));
        *merge = journal->merges[i];
    }
    return OK;
}
