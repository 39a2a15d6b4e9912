#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/git/export_contents.h"
#include "api/git/git_commit.h"
#include "api/git/out_tree.h"
#include "formats/base/hex.h"
#include "formats/hlc.h"

#define WORKERS 2u

struct export
{
    struct client *client;
    const struct client_project *project;
    const char *dir;
    const struct git_export_options *options;
    struct git_report *report;
    const char *branch;
    struct client_head head;
    struct client_ranges ranges;
    git_repository *repository;
    struct pack_out *pack;
    struct out_tree *tree;
    struct export_contents contents;
    git_oid last; /* the commit that was written last */
};

static int read_failed(struct export *ex, int err, const char *what)
{
    return git_client_fail(ex->report, ex->client, err, what);
}

/* ---- the repository ---------------------------------------------------------------------- */

/* That `dir` is not there or has nothing in it. */
static int dir_check(struct export *ex)
{
    DIR *dir = opendir(ex->dir);
    if (dir == NULL && errno == ENOENT)
        return OK;
    if (dir == NULL)
        return git_fail(ex->report, ERR_CONFLICT, "%s is there and is no directory", ex->dir);
    bool empty = true;
    const struct dirent *entry;
    while (empty && (entry = readdir(dir)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(dir);
    return empty ? OK : git_fail(ex->report, ERR_CONFLICT, "%s is not empty", ex->dir);
}

static int repository_make(struct export *ex)
{
    int err = dir_check(ex);
    if (err != OK)
        return err;
    git_repository_init_options options;
    (void)git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags = GIT_REPOSITORY_INIT_MKPATH | GIT_REPOSITORY_INIT_NO_REINIT;
    if (ex->options->bare)
        options.flags |= GIT_REPOSITORY_INIT_BARE;
    options.initial_head = ex->branch;
    int code = git_repository_init_ext(&ex->repository, ex->dir, &options);
    if (code != 0)
        return git_lib_fail(ex->report, code, ex->dir);
    return pack_out_open(ex->repository, ex->report, &ex->pack);
}

static int repository_finish(struct export *ex)
{
    if (git_oid_is_zero(&ex->last))
        return OK;
    AUTO_BUF name = {0};
    buf_printf(&name, "refs/heads/%s", ex->branch);
    buf_append(&name, "", 1);
    git_reference *ref = NULL;
    int code = git_reference_create(&ref, ex->repository, (const char *)name.data, &ex->last, 0,
                                    "mic export");
    git_reference_free(ref);
    if (code != 0)
        return git_lib_fail(ex->report, code, "setting the branch");
    if (ex->options->bare)
        return OK;
    git_checkout_options options;
    (void)git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
    options.checkout_strategy = GIT_CHECKOUT_FORCE;
    code = git_checkout_head(ex->repository, &options);
    if (code == 0)
        return OK;
    return git_lib_fail(ex->report, code,
                        "the repository is complete, but its files cannot be written");
}

/* ---- commits ----------------------------------------------------------------------------- */

/* All pieces of the raw commit; false when the landing is no imported commit. */
static bool commit_text(const struct landing *landing, struct buf *out)
{
    struct bytes piece;
    if (!landing_attribute(landing, GIT_ATTR_COMMIT, &piece))
        return false;
    char name[64];
    buf_append_bytes(out, piece);
    for (unsigned i = 1; i < REQUEST_MAX / TEXT_LEN_MAX; i++) {
        (void)snprintf(name, sizeof(name), GIT_ATTR_COMMIT ".%u", i);
        if (!landing_attribute(landing, name, &piece))
            break;
        buf_append_bytes(out, piece);
    }
    return true;
}

/* An author as git writes it: no angle brackets or control bytes in the name. */
static void ident(struct bytes author, uint64_t hlc, struct buf *out)
{
    AUTO_BUF name = {0};
    bool mail = false;
    for (size_t i = 0; i < author.len; i++) {
        uint8_t c = author.data[i];
        bool plain = c >= 0x20 && c != '<' && c != '>' && c != 0x7f;
        buf_append(&name, plain ? (const char *)&c : "_", 1);
        mail = mail || c == '@';
    }
    buf_append_bytes(out, buf_bytes(&name));
    buf_append(out, " <", 2);
    if (mail)
        buf_append_bytes(out, buf_bytes(&name));
    buf_printf(out, "> %llu +0000", (unsigned long long)(hlc_ms(hlc) / 1000));
}

static void landing_text(const struct landing *landing, const struct session_view *view,
                         struct buf *out)
{
    static const struct record_start nobody;
    const struct record_start *start = view->start == NULL ? &nobody : &view->start->start;
    buf_printf(out, "author ");
    ident(start->author, landing->hlc, out);
    buf_printf(out, "\ncommitter ");
    ident(start->author, landing->hlc, out);
    buf_printf(out, "\n\n");
    buf_append_bytes(out, start->goal);
    buf_printf(out, "\n");
}

static int commit_object(struct export *ex, const struct git_commit_parts *parts,
                         struct bytes original, git_oid *out)
{
    AUTO_BUF raw = {0};
    git_commit_join(parts, &raw);
    git_oid oid;
    int code = git_odb_hash(&oid, raw.data, raw.len, GIT_OBJECT_COMMIT);
    if (code != 0)
        return git_lib_fail(ex->report, code, "a commit");
    struct git_hex hex = git_hex(&oid);
    if (original.len > 0 && !bytes_equal(bytes_str(hex.s), original)) {
        AUTO_BUF rest = {0};
        git_commit_unsign(parts->rest, &rest);
        struct git_commit_parts unsigned_parts = *parts;
        unsigned_parts.rest = buf_bytes(&rest);
        buf_clear(&raw);
        git_commit_join(&unsigned_parts, &raw);
        ex->report->renamed++;
    }
    return pack_out_write(ex->pack, GIT_OBJECT_COMMIT, buf_bytes(&raw), out);
}

static int commit_write(struct export *ex, const struct landing *landing,
                        const struct session_view *view)
{
    git_oid tree;
    int err = out_tree_write(ex->tree, ex->pack, &tree);
    if (err != OK)
        return err;
    AUTO_BUF rest = {0};
    struct bytes original = {0};
    if (commit_text(landing, &rest))
        (void)landing_attribute(landing, GIT_ATTR_ID, &original);
    else
        landing_text(landing, view, &rest);
    struct git_hex tree_hex = git_hex(&tree);
    struct git_hex parent_hex = git_hex(&ex->last);
    struct git_commit_parts parts = {
        .tree = bytes_str(tree_hex.s),
        .parents = bytes_of(parent_hex.s, git_oid_is_zero(&ex->last) ? 0 : GIT_HEX_LEN),
        .rest = buf_bytes(&rest),
    };
    err = commit_object(ex, &parts, original, &ex->last);
    if (err == OK) {
        ex->report->landings++;
        ex->report->position = landing->position;
    }
    return err;
}

/* ---- landings ---------------------------------------------------------------------------- */

static int landing_apply(struct export *ex, const struct session_view *view)
{
    for (size_t i = 0; i < view->n_effects; i++) {
        if (view->effects[i].kind != EFFECT_WRITE)
            out_tree_remove(ex->tree, view->effects[i].path);
    }
    for (size_t i = 0; i < view->n_effects; i++) {
        const struct effect *effect = &view->effects[i];
        if (effect->kind != EFFECT_WRITE)
            continue;
        const struct content *content = &effect->content;
        const git_oid *oid = content_oids_find(&ex->contents.oids, &content->hash);
        if (oid == NULL)
            return ERR_CORRUPT;
        int err = out_tree_put(ex->tree, effect->path, content->kind, content->mode, oid);
        if (err != OK)
            return ERR_CORRUPT;
    }
    return OK;
}

static int batch_export(struct export *ex, const struct landing_batch *batch)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landing *landings;
    size_t n;
    int err = landings_read(&ex->ranges.source, batch, &arena, &landings, &n);
    if (err != OK)
        return read_failed(ex, err, "the project's landings");
    struct session_view *views = arena_array(&arena, n, struct session_view);
    for (size_t i = 0; i < n; i++)
        session_view(&landings[i].landed, &arena, &views[i]);
    err = export_contents_bring(&ex->contents, &batch->tree, views, n);
    for (size_t i = 0; i < n && err == OK; i++) {
        err = landing_apply(ex, &views[i]);
        if (err != OK)
            return git_fail(ex->report, err, "landing %llu does not follow from those before",
                            (unsigned long long)landings[i].position);
        err = commit_write(ex, &landings[i], &views[i]);
    }
    if (err == OK && pack_out_full(ex->pack))
        err = pack_out_flush(ex->pack);
    if (err == OK && ex->options->progress.tick != NULL)
        ex->options->progress.tick(ex->options->progress.arg, batch->position,
                                   ex->head.position);
    return err;
}

/* Holds what came out against the tree that the head names, path by path. */
static int tree_verify(struct export *ex)
{
    AUTO(arena_release) struct arena arena = {0};
    struct thick_tree tree;
    struct thick_changes all;
    int err = thick_tree_open(&ex->ranges.source, &ex->head.tree, &arena, &tree);
    if (err == OK)
        err = thick_tree_diff(&ex->ranges.source, NULL, &tree, &arena, &all);
    if (err != OK)
        return read_failed(ex, err, "the project's tree");
    bool same = all.n == out_tree_files(ex->tree) &&
                hash_equal(&tree.footer.root_content, &ex->head.content);
    for (size_t i = 0; i < all.n && same; i++) {
        const struct entry *e = all.changes[i].b;
        const git_oid *oid = content_oids_find(&ex->contents.oids, &e->hash);
        enum kind kind;
        uint16_t mode;
        git_oid found;
        same = oid != NULL &&
               out_tree_find(ex->tree, all.changes[i].path, &kind, &mode, &found) &&
               kind == e->kind && mode == e->mode && git_oid_equal(oid, &found);
    }
    if (same)
        return OK;
    return git_fail(ex->report, ERR_CORRUPT,
                    "the landings do not give the tree that the project's head names");
}

static int export_run(struct export *ex)
{
    struct id16_hex id = id16_hex(&ex->project->id);
    int err = client_head(ex->client, bytes_str(id.s), &ex->head);
    if (err != OK)
        return read_failed(ex, err, "the project's head");
    err = repository_make(ex);
    if (err != OK)
        return err;
    client_ranges_init(&ex->ranges, ex->client, &ex->project->id);
    ex->contents = (struct export_contents){
        .client = ex->client,
        .project = ex->project->id,
        .source = &ex->ranges.source,
        .pack = ex->pack,
        .report = ex->report,
        .workers = WORKERS,
    };
    AUTO(arena_release) struct arena arena = {0};
    struct landing_batch *batches;
    size_t n;
    err = landings_list(&ex->ranges.source, &ex->head.tree, &arena, &batches, &n);
    if (err != OK)
        return read_failed(ex, err, "the project's landings");
    for (size_t i = 0; i < n && err == OK; i++)
        err = batch_export(ex, &batches[i]);
    if (err == OK)
        err = tree_verify(ex);
    if (err == OK)
        err = pack_out_flush(ex->pack);
    if (err == OK)
        git_oid_tostr(ex->report->commit, sizeof(ex->report->commit), &ex->last);
    return err == OK ? repository_finish(ex) : err;
}

int git_export(struct client *client, const struct client_project *project, const char *dir,
               const struct git_export_options *options, struct git_report *report)
{
    git_lib_start();
    *report = (struct git_report){0};
    struct export ex = {
        .client = client,
        .project = project,
        .dir = dir,
        .options = options,
        .report = report,
        .branch = options->branch == NULL ? "main" : options->branch,
        .tree = out_tree_open(),
    };
    int err = export_run(&ex);
    content_oids_release(&ex.contents.oids);
    out_tree_close(ex.tree);
    if (ex.pack != NULL)
        pack_out_close(ex.pack);
    git_repository_free(ex.repository);
    return err;
}
