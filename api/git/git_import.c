#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/git/git_commit.h"
#include "api/git/import_blocks.h"
#include "api/git/landings.h"
#include "formats/base/hex.h"

#define BATCH_BYTES    (8u * MIB)
#define BATCH_SESSIONS 1000u
#define WAIT_MS        20000u
#define WAIT_AGAIN_MS  3000u
#define PATIENCE_MS    60000u
#define PAUSE_US       500000u
#define NAMES_MAX      2000000u
#define THREADS_MAX    4u
#define ATTEMPTS_MAX   1000u
/* Over so many landings of others the base is moved: nothing of an import before can still
 * wait, and whether a session was answered is looked up down to its base. */
#define BASE_BEHIND_MAX 10000u

struct import {
    struct client *client;
    const struct client_project *project;
    const char *path;
    struct git_import_options options;
    struct git_report *report;
    struct session_terms terms;
    uint64_t base;    /* of the sessions that are made next */
    unsigned attempt; /* at them */
    git_oid *
        commits; /* those to land, oldest first; before them, if `from` is 1, the last landed */
    size_t n;
    size_t from;
    struct import_block block; /* taken, and not all of it sent */
    size_t block_at;           /* sessions of it that are in requests */
    struct buf body;           /* of the request */
    size_t body_sessions;
    size_t sent; /* commits whose landing is answered, `from` included */
    bool again;  /* the sessions must be made anew, from `sent` on */
    bool insisted;
    uint64_t head; /* the project's position when it was last asked for */
};

/* ---- the history ------------------------------------------------------------------------- */

static void commit_push(struct import *im, size_t *cap, const git_oid *oid)
{
    if (im->n == *cap) {
        *cap = *cap == 0 ? 1024 : *cap * 2;
        im->commits = reallocarray(im->commits, *cap, sizeof(*im->commits));
        if (im->commits == NULL)
            abort();
    }
    im->commits[im->n++] = *oid;
}

/* Where the history ends: OK and a zero id when there is no commit at all. */
static int tip_find(struct import *im, git_repository *repository, git_oid *out)
{
    if (im->options.ref == NULL && git_repository_head_unborn(repository) == 1) {
        *out = (git_oid){0};
        return OK;
    }
    git_object *object = NULL;
    git_object *commit = NULL;
    const char *ref = im->options.ref == NULL ? "HEAD" : im->options.ref;
    int code = git_revparse_single(&object, repository, ref);
    if (code == 0)
        code = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
    if (code == 0)
        *out = *git_object_id(commit);
    git_object_free(commit);
    git_object_free(object);
    return code == 0 ? OK : git_lib_fail(im->report, code, ref);
}

static int parent_find(struct import *im, git_odb *odb, const git_oid *commit, git_oid *out,
                       bool *has)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_OBJECT *object = NULL;
    struct git_commit_parts parts;
    int code = git_odb_read(&object, odb, commit);
    if (code != 0)
        return git_lib_fail(im->report, code, git_hex(commit).s);
    if (git_odb_object_type(object) != GIT_OBJECT_COMMIT ||
        git_commit_split(git_object_bytes(object), &arena, &parts) != OK)
        return git_fail(im->report, ERR_CORRUPT, "commit %s is damaged", git_hex(commit).s);
    struct bytes parent = git_commit_first_parent(&parts);
    *has = parent.len > 0;
    if (*has)
        (void)git_oid_fromstrn(out, (const char *)parent.data, parent.len);
    return OK;
}

/* Collects the first-parent history from the tip down to `last` (zero: to its beginning), which
 * is then the first; ERR_CONFLICT when `last` is not in it. */
static int history_find(struct import *im, const git_oid *last)
{
    AUTO_REPOSITORY *repository = NULL;
    AUTO_ODB *odb = NULL;
    git_oid at;
    int code = git_repository_open(&repository, im->path);
    if (code == 0)
        code = git_repository_odb(&odb, repository);
    if (code != 0)
        return git_lib_fail(im->report, code, im->path);
    int err = tip_find(im, repository, &at);
    bool more = err == OK && !git_oid_is_zero(&at);
    bool shallow = git_repository_is_shallow(repository) == 1;
    size_t cap = 0;
    bool met = false;
    while (err == OK && more && !met) {
        commit_push(im, &cap, &at);
        met = git_oid_equal(&at, last);
        git_oid parent = {0};
        err = met ? OK : parent_find(im, odb, &at, &parent, &more);
        /* A shallow clone has no commits beyond its edge: its history begins there. */
        if (err == OK && more && shallow && !git_odb_exists(odb, &parent))
            more = false;
        at = parent;
    }
    for (size_t i = 0; i < im->n / 2; i++) {
        git_oid other = im->commits[i];
        im->commits[i] = im->commits[im->n - 1 - i];
        im->commits[im->n - 1 - i] = other;
    }
    if (err == OK && !git_oid_is_zero(last) && !met)
        return git_fail(im->report, ERR_CONFLICT,
                        "the project's newest imported commit, %s, is not in this history",
                        git_hex(last).s);
    im->from = met ? 1 : 0;
    return err;
}

/* ---- where to go on ---------------------------------------------------------------------- */

static unsigned attempt_of(struct bytes key)
{
    unsigned attempt = 0;
    for (size_t i = GIT_OID_HEXSZ + 1; i < key.len && attempt < ATTEMPTS_MAX; i++)
        attempt = attempt * 10 + (unsigned)(key.data[i] - '0') % 10;
    return attempt < 2 ? 1 : attempt;
}

/* Finds the commit that landed last (zero: none) and settles base and attempt: with those of
 * the newest session, what a request of an import that was killed may still land and what this
 * run sends are the same sessions. */
static int resume_find(struct import *im, git_oid *last)
{
    *last = (git_oid){0};
    struct client_head head;
    struct id16_hex id = id16_hex(&im->project->id);
    int err = client_head(im->client, bytes_str(id.s), &head);
    if (err != OK)
        return git_client_fail(im->report, im->client, err, "the project's head");
    im->head = head.position;
    im->report->position = head.position;
    im->base = head.position;
    im->attempt = 1;
    if (head.position == 0)
        return OK;
    AUTO(arena_release) struct arena arena = {0};
    struct client_ranges ranges;
    client_ranges_init(&ranges, im->client, &im->project->id);
    struct landed_commit newest;
    err = landings_newest_commit(&ranges.source, &head.tree, &arena, &newest);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return git_client_fail(im->report, im->client, err, "the project's landings");
    if (newest.id.len != GIT_OID_HEXSZ ||
        git_oid_fromstrn(last, (const char *)newest.id.data, newest.id.len) != 0)
        return git_fail(im->report, ERR_CORRUPT,
                        "landing %llu has a " GIT_ATTR_ID " that is no commit's id",
                        (unsigned long long)newest.position);
    im->report->position = newest.position;
    im->attempt = attempt_of(newest.key);
    if (head.position - newest.position < BASE_BEHIND_MAX)
        im->base = newest.base;
    return OK;
}

/* Names what the last landed commit's tree has and the forge has not. */
static int resume_look(struct import *im)
{
    struct session_maker maker;
    int err = session_maker_open(&maker, &im->terms, im->report);
    if (err != OK)
        return err;
    err = session_maker_look(&maker, &im->commits[0]);
    session_maker_close(&maker);
    return err;
}

/* ---- requests ---------------------------------------------------------------------------- */

/* Fills the request with what is ready: at least one session, for which it waits, unless all
 * are sent. */
static int body_fill(struct import *im, struct import_blocks *blocks)
{
    buf_clear(&im->body);
    im->body_sessions = 0;
    for (;;) {
        if (im->block_at == im->block.n) {
            import_block_release(&im->block);
            im->block_at = 0;
            int err = import_blocks_next(blocks, im->body_sessions > 0, &im->block);
            if (err != OK || im->block.n == 0)
                return err;
        }
        size_t begin = im->block_at == 0 ? 0 : im->block.ends[im->block_at - 1];
        size_t len = im->block.ends[im->block_at] - begin;
        bool full = im->body_sessions == im->options.batch_sessions ||
                    im->body.len + len > im->options.batch_bytes;
        if (im->body_sessions > 0 && full)
            return OK;
        buf_append(&im->body, im->block.bytes.data + begin, len);
        im->body_sessions++;
        im->block_at++;
    }
}

static int not_landed(struct import *im, const git_oid *commit, const struct landing *landing)
{
    struct git_hex hex = git_hex(commit);
    if (landing->verdict == VERDICT_CONFLICTED && landing->n_listed > 0) {
        const struct conflict *conflict = &landing->conflicts[0];
        return git_fail(im->report, ERR_CONFLICT,
                        "commit %s does not land: in the project %.*s is not what its parent "
                        "has there; %u such path%s in all",
                        hex.s, (int)(conflict->path.len < 200 ? conflict->path.len : 200),
                        conflict->path.len == 0 ? "" : (const char *)conflict->path.data,
                        landing->n_conflicts, landing->n_conflicts == 1 ? "" : "s");
    }
    return git_fail(im->report, ERR_CONFLICT, "commit %s does not land: %s, %.*s", hex.s,
                    verdict_name(landing->verdict), (int)landing->detail.len,
                    landing->detail.len == 0 ? "" : (const char *)landing->detail.data);
}

/* Looks whether commits from `sent` on have landed by an earlier request, or by one whose
 * answer was lost; then this goes on behind the newest that did. */
static int catch_up(struct import *im, bool *caught_up)
{
    git_oid last;
    unsigned attempt = im->attempt;
    uint64_t base = im->base;
    uint64_t position = im->report->position;
    *caught_up = false;
    int err = resume_find(im, &last);
    for (size_t i = im->sent; err == OK && i < im->n && !*caught_up; i++) {
        if (!git_oid_equal(&im->commits[i], &last))
            continue;
        im->report->landings += i + 1 - im->sent;
        git_oid_tostr(im->report->commit, sizeof(im->report->commit), &last);
        im->sent = i + 1;
        im->again = true;
        *caught_up = true;
    }
    if (*caught_up)
        return OK;
    im->attempt = attempt;
    im->base = base;
    im->report->position = position;
    return err;
}

/* The session was answered before, by a request of an import that was killed or that failed. If
 * it did not land then, its commit comes in a new session. */
static int closed_before(struct import *im)
{
    bool caught_up;
    int err = catch_up(im, &caught_up);
    if (err != OK || caught_up)
        return err;
    im->again = true;
    if (++im->attempt <= ATTEMPTS_MAX)
        return OK;
    return git_fail(im->report, ERR_LIMIT, "commit %s was tried too often",
                    git_hex(&im->commits[im->sent]).s);
}

/* Whether the answer is an earlier request's: the same sessions are the same request and keep
 * their answer, though the project has moved on since. What was refused is tried once more in
 * any case. */
static bool is_old(struct import *im, const struct landing *landing)
{
    if (bytes_equal(landing->reason, bytes_str("session_closed")) ||
        landing->position < im->head)
        return true;
    bool insist = landing->verdict == VERDICT_REFUSED && !im->insisted;
    im->insisted = im->insisted || insist;
    return insist;
}

static int answers_take(struct import *im, const struct client_landed *landed)
{
    for (size_t i = 0; i < landed->n; i++) {
        const struct landing *landing = &landed->landings[i];
        const git_oid *commit = &im->commits[im->sent];
        if (landing->verdict != VERDICT_LANDED)
            return is_old(im, landing) ? closed_before(im) : not_landed(im, commit, landing);
        im->report->landings++;
        im->report->position = landing->position;
        git_oid_tostr(im->report->commit, sizeof(im->report->commit), commit);
        im->sent++;
    }
    return OK;
}

/* A request that the forge does not take at all. Against a base that is far behind a path may
 * seem to be a file below which another commit writes; against the newest landing it is not. */
static int not_taken(struct import *im, int err)
{
    bool clash = err == ERR_INVALID && strcmp(im->client->problem.code, "path_clash") == 0;
    if (!clash || im->base == im->report->position)
        return git_client_fail(im->report, im->client, err, "landing");
    im->base = im->report->position;
    im->again = true;
    return OK;
}

static int gave_up(struct import *im, int err)
{
    if (err == OK)
        return git_fail(im->report, ERR_UNKNOWN,
                        "the forge has accepted a request and does not land it");
    return git_client_fail(im->report, im->client, err, "landing");
}

/* Whether the failure of a request or a question may pass. */
static bool may_pass(int err)
{
    return err == ERR_AGAIN || err == ERR_UNKNOWN;
}

/* Sends the request until it is answered: the same bytes are the same request, so it may be
 * sent again whatever became of it. Before that the project is asked whether it has landed
 * already. */
static int body_send(struct import *im)
{
    struct clock *clock = im->options.clock;
    uint64_t begun = clock->mono_us(clock);
    uint64_t wait_ms = WAIT_MS;
    for (;;) {
        AUTO(arena_release) struct arena arena = {0};
        struct client_landed landed = {0};
        int err = client_land_encoded(im->client, &im->project->id, buf_bytes(&im->body),
                                      im->body_sessions, wait_ms, &arena, &landed);
        if (err == OK && !landed.pending && landed.n == im->body_sessions)
            return answers_take(im, &landed);
        if (err == OK && !landed.pending)
            return git_fail(im->report, ERR_CORRUPT, "the forge answered %zu of %zu sessions",
                            landed.n, im->body_sessions);
        if (err != OK && !may_pass(err))
            return not_taken(im, err);
        if (clock->mono_us(clock) - begun > im->options.patience_ms * 1000)
            return gave_up(im, err);
        if (err != OK)
            clock->sleep_us(clock, PAUSE_US);
        bool caught_up;
        err = catch_up(im, &caught_up);
        if (caught_up || (err != OK && !may_pass(err)))
            return err;
        wait_ms = WAIT_AGAIN_MS;
    }
}

static int send_all(struct import *im, struct import_blocks *blocks)
{
    im->again = false;
    while (!im->again) {
        int err = body_fill(im, blocks);
        if (err != OK || im->body_sessions == 0)
            return err;
        err = body_send(im);
        if (err != OK)
            return err;
        if (im->options.progress.tick != NULL)
            im->options.progress.tick(im->options.progress.arg, im->sent - im->from,
                                      im->n - im->from);
    }
    return OK;
}

static int land_all(struct import *im)
{
    im->sent = im->from;
    do {
        struct import_blocks *blocks;
        import_block_release(&im->block);
        im->block_at = 0;
        /* Only now, when no thread reads them. */
        im->terms.base = im->base;
        im->terms.attempt = im->attempt;
        int err = import_blocks_open(&im->terms, im->commits, im->n, im->sent,
                                     im->options.threads, im->report, &blocks);
        if (err != OK)
            return err;
        err = send_all(im, blocks);
        import_blocks_close(blocks);
        if (err != OK)
            return err;
    } while (im->again);
    return OK;
}

static int import_run(struct import *im)
{
    git_oid last;
    int err = resume_find(im, &last);
    if (err == OK)
        err = history_find(im, &last);
    im->report->resumed = im->from > 0;
    if (err == OK && im->from > 0) {
        git_oid_tostr(im->report->commit, sizeof(im->report->commit), &last);
        err = resume_look(im);
    }
    if (err == OK && im->n > im->from)
        err = land_all(im);
    return err;
}

static void options_settle(struct git_import_options *options)
{
    if (options->batch_bytes == 0 || options->batch_bytes > REQUEST_MAX)
        options->batch_bytes = BATCH_BYTES;
    if (options->batch_sessions == 0)
        options->batch_sessions = BATCH_SESSIONS;
    if (options->patience_ms == 0)
        options->patience_ms = PATIENCE_MS;
    if (options->threads == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        options->threads = processors < 1 ? 1 : (unsigned)processors;
        if (options->threads > THREADS_MAX)
            options->threads = THREADS_MAX;
    }
}

int git_import(struct client *client, const struct client_project *project, const char *path,
               const struct git_import_options *options, struct git_report *report)
{
    git_lib_start();
    *report = (struct git_report){0};
    struct import im = {
        .client = client,
        .project = project,
        .path = path,
        .options = *options,
        .report = report,
        .terms = {.repository = path,
                  .url = options->url,
                  .author = client->author,
                  .clock = options->clock,
                  .project = project->id,
                  .owner = owner_of(bytes_str(client->author)),
                  .names = content_names_open(NAMES_MAX),
                  .left_out = left_out_open()},
    };
    options_settle(&im.options);
    int err = import_run(&im);
    left_out_report(im.terms.left_out, report);
    left_out_close(im.terms.left_out);
    content_names_close(im.terms.names);
    import_block_release(&im.block);
    buf_release(&im.body);
    free(im.commits);
    return err;
}
