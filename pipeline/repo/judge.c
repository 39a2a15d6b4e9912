#include "pipeline/repo/judge.h"

#include "formats/base/hex.h"
#include "pipeline/repo/conflict.h"
#include "pipeline/repo/content/blob_store.h"

struct judge {
    struct repo *repo;
    const struct id16 *project;
    struct tree_edit *edit;
    const struct session_view *view;
    struct judge_uploads *uploads;
    struct arena *arena;
};

static void refuse(struct landing *out, const char *reason, const char *detail)
{
    *out = (struct landing){
        .verdict = VERDICT_REFUSED, .reason = bytes_str(reason), .detail = bytes_str(detail)};
}

/* What a write keeps must lie where it is to be kept from. */
static int source_check(const struct judge *j, const struct effect *e, bool *missing)
{
    struct entry source;
    int err = tree_edit_find(j->edit, e->source.len > 0 ? e->source : e->path, &source);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *missing = err == ERR_NOT_FOUND || !hash_equal(&source.hash, &e->content.hash);
    return OK;
}

static int uploads_look(const struct judge *j, const struct hash *blobs, size_t n,
                        bool *missing)
{
    struct judge_uploads *u = j->uploads;
    int err = OK;
    if (u->condemned == NULL)
        err = condemned_read(j->repo, j->project, &u->condemned);
    if (err == ERR_CORRUPT) /* told; and no fault of the session's */
        return ERR_AGAIN;
    if (err == OK)
        err = blob_missing(j->repo, j->project, u->condemned, blobs, n, missing, &u->awaits);
    return err;
}

/* Whether everything that the writes name is there: 0 and a verdict. */
static int contents_check(const struct judge *j, struct landing *out)
{
    struct hash *blobs = arena_array(j->arena, j->view->n_effects, struct hash);
    size_t n = 0;
    for (size_t i = 0; i < j->view->n_effects; i++) {
        const struct effect *e = &j->view->effects[i];
        if (e->kind != EFFECT_WRITE)
            continue;
        if (e->content.carrier == CARRIER_BLOB || e->content.carrier == CARRIER_MANIFEST)
            blobs[n++] = e->content.hash;
        if (e->content.carrier != CARRIER_SOURCE)
            continue;
        bool missing;
        int err = source_check(j, e, &missing);
        if (err != OK)
            return err;
        if (missing) {
            refuse(out, "source_missing",
                   "a write keeps the content of a path that does not hold it");
            return OK;
        }
    }
    bool *missing = arena_array(j->arena, n, bool);
    int err = n == 0 ? OK : uploads_look(j, blobs, n, missing);
    if (err == ERR_NOT_FOUND) {
        refuse(out, "content_missing", "a content that the session names is not there");
        return OK;
    }
    for (size_t i = 0; err == OK && i < n; i++) {
        if (!missing[i])
            continue;
        refuse(
            out, "blob_missing",
            arena_printf(j->arena, "content %s has not been uploaded", hash_hex(&blobs[i]).s));
        return OK;
    }
    if (err == OK)
        *out = (struct landing){.verdict = VERDICT_LANDED};
    return err;
}

int judge_session(struct repo *repo, const struct id16 *project, struct tree_edit *edit,
                  const struct session_view *view, struct judge_uploads *uploads,
                  struct arena *arena, struct landing *out)
{
    struct judge j = {.repo = repo,
                      .project = project,
                      .edit = edit,
                      .view = view,
                      .uploads = uploads,
                      .arena = arena};
    struct conflict_list conflicts;
    if (view->start == NULL) {
        refuse(out, "start_missing", "the request does not name the session's start");
        return OK;
    }
    int err = conflict_check(edit, view, arena, &conflicts);
    if (err == ERR_INVALID) {
        refuse(out, "path_clash", "the session writes a path below another that it writes");
        return OK;
    }
    if (err != OK)
        return err;
    if (conflicts.n > 0) {
        *out = (struct landing){.verdict = VERDICT_CONFLICTED,
                                .reason = bytes_str("conflict"),
                                .n_conflicts = conflicts.n,
                                .n_listed = conflicts.n_listed,
                                .conflicts = conflicts.conflicts};
        return OK;
    }
    return contents_check(&j, out);
}

void judge_unfit(int err, struct landing *out)
{
    if (err == ERR_LIMIT)
        refuse(out, "limit", "what the session makes of the tree would be over a limit");
    else
        refuse(out, "damaged", "a part of the tree that the session needs is damaged");
}
