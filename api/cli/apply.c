#include "api/cli/apply.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/client/call.h"
#include "api/client/thick_contents.h"
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/path.h"
#include "pipeline/sys/file.h"

#define WORKERS    2u
#define SIDES_MAX  100u
#define STAGED_MAX (256u * MIB)

struct applier {
    struct workspace *ws;
    struct client_ranges *ranges;
    uint64_t position;
    struct plan *plan;
    const struct apply_progress *progress;
    uint64_t total;
    struct step **puts; /* what thick_contents gives, by its index */
    struct worktree trees[WORKERS];
    struct arena arena; /* of side paths */
    pthread_mutex_t lock;
    uint64_t done;             /* guarded by lock, as is all below */
    const struct step *failed; /* the first */
};

static int fail_at(struct applier *a, const struct step *step, int err)
{
    pthread_mutex_lock(&a->lock);
    if (a->failed == NULL)
        a->failed = step;
    pthread_mutex_unlock(&a->lock);
    return err;
}

static void done_one(struct applier *a, bool tick)
{
    pthread_mutex_lock(&a->lock);
    uint64_t done = ++a->done;
    pthread_mutex_unlock(&a->lock);
    if (tick && a->progress != NULL)
        a->progress->tick(a->progress->arg, done, a->total);
}

/* ---- one file ---------------------------------------------------------------------------- */

/* What was there when the plan was made must be there still. */
static int still_expected(struct worktree *wt, const struct step *step)
{
    if (!step->expected)
        return OK;
    struct stat st;
    int err = worktree_stat(wt, step->path, &st);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err != OK)
        return err;
    struct stat_mark now = stat_mark_of(&st);
    return stat_mark_equal(&now, &step->was) ? OK : ERR_AGAIN;
}

/* "a/b" when something of the user's stands at "a/b": "a/b.theirs"; when it stands at "a":
 * "a.theirs/b". Then with a number, while that is taken, too. */
static struct bytes side_path(struct applier *a, struct worktree *wt, const struct step *step,
                              unsigned number)
{
    struct bytes path = step->path;
    size_t cut = path.len;
    for (size_t i = 0; i < path.len; i++) {
        struct stat st;
        if (path.data[i] == '/' && worktree_stat(wt, bytes_of(path.data, i), &st) == OK &&
            !S_ISDIR(st.st_mode)) {
            cut = i;
            break;
        }
    }
    AUTO_BUF name = {0};
    buf_append(&name, path.data, cut);
    buf_printf(&name, number == 0 ? ".theirs" : ".theirs.%u", number + 1);
    buf_append(&name, path.data + cut, path.len - cut);
    pthread_mutex_lock(&a->lock);
    struct bytes copy = arena_copy(&a->arena, buf_bytes(&name));
    pthread_mutex_unlock(&a->lock);
    return copy;
}

static int side_put(struct applier *a, struct worktree *wt, struct step *step,
                    struct bytes plain)
{
    for (unsigned number = 0; number < SIDES_MAX; number++) {
        struct bytes side = side_path(a, wt, step, number);
        struct stat_mark mark;
        int err = worktree_create(wt, side, step->to->kind, step->to->mode, plain, &mark);
        struct hash there;
        struct stat st;
        if (err == ERR_CONFLICT && worktree_hash(wt, side, &there, &st) == OK &&
            hash_equal(&there, &step->to->hash))
            err = OK; /* an earlier try has written it */
        if (err == ERR_CONFLICT)
            continue;
        step->kind = STEP_SIDE;
        step->side = side;
        step->marked = false;
        if (step->conflict == NULL)
            step->conflict = "something of yours is in its place";
        return err;
    }
    return ERR_CONFLICT;
}

/* A file of an interrupted checkout: finished when it is a beginning, else kept. */
static int partial_put(struct worktree *wt, struct step *step, struct bytes plain)
{
    AUTO_BUF have = {0};
    struct stat st;
    int err = worktree_read(wt, step->path, plain.len, &have, &st);
    if (err != OK && err != ERR_LIMIT)
        return err;
    bool beginning =
        err == OK && (have.len == 0 || memcmp(have.data, plain.data, have.len) == 0);
    if (!beginning) {
        step->kind = STEP_ADOPT;
        step->conflict = "it was there, and is not what the checkout writes";
        return OK;
    }
    err = worktree_replace(wt, step->path, step->to->kind, step->to->mode, plain, &step->mark);
    step->marked = err == OK;
    return err;
}

static int put_plain(struct applier *a, struct worktree *wt, struct step *step,
                     struct bytes plain)
{
    const struct entry *to = step->to;
    int err;
    if (step->kind == STEP_SIDE)
        return side_put(a, wt, step, plain);
    if (step->partial)
        return partial_put(wt, step, plain);
    if (step->fresh) {
        err = worktree_create(wt, step->path, to->kind, to->mode, plain, &step->mark);
    } else {
        err = still_expected(wt, step);
        if (err == OK)
            err = worktree_replace(wt, step->path, to->kind, to->mode, plain, &step->mark);
    }
    if (err == ERR_CONFLICT)
        return side_put(a, wt, step, plain);
    step->marked = err == OK;
    return err;
}

static int content_came(void *arg, unsigned worker, size_t index, struct bytes plain)
{
    struct applier *a = arg;
    struct step *step = a->puts[index];
    int err = put_plain(a, &a->trees[worker], step, plain);
    if (err != OK)
        return fail_at(a, step, err);
    done_one(a, false);
    return OK;
}

/* ---- contents that are not in tree objects ----------------------------------------------- */

struct download {
    int fd;
    struct sha256_ctx sha;
    uint64_t left;
};

static int download_write(void *arg, struct bytes data)
{
    struct download *download = arg;
    if (data.len > download->left)
        return ERR_CORRUPT;
    download->left -= data.len;
    sha256_update(&download->sha, data);
    return fd_write_all(download->fd, data);
}

static int download_run(struct applier *a, const struct step *step, int fd)
{
    const struct entry *to = step->to;
    struct client *client = a->ranges->client;
    struct id16_hex id = id16_hex(&a->ranges->project);
    struct download download = {.fd = fd, .left = to->size};
    struct http_sink sink = {.write = download_write, .arg = &download};
    sha256_init(&download.sha);
    bool blob = to->where.place == PLACE_BLOB || to->where.place == PLACE_MANIFEST;
    int err = blob ? client_blob(client, bytes_str(id.s), &to->hash, sink)
                   : client_file(client, bytes_str(id.s), step->path, a->position, sink);
    struct hash hash = sha256_final(&download.sha);
    if (err == OK && !hash_equal(&hash, &to->hash))
        err = client_fail(client, ERR_CORRUPT, "bad_content",
                          "what came is not what its hash says");
    return err;
}

/* Links and what goes beside are small or rare: they are read whole. */
static int fetch_plain(struct applier *a, struct step *step, struct worktree_temp *temp)
{
    AUTO_BUF plain = {0};
    if (step->to->size > STAGED_MAX)
        return ERR_LIMIT;
    uint8_t *room = buf_reserve(&plain, (size_t)step->to->size + 1);
    ssize_t got = 0;
    while (plain.len < step->to->size &&
           (got = pread(temp->fd, room + plain.len, (size_t)step->to->size - plain.len,
                        (off_t)plain.len)) > 0)
        plain.len += (size_t)got;
    return put_plain(a, &a->ws->tree, step, buf_bytes(&plain));
}

static int fetch_one(struct applier *a, struct step *step)
{
    struct worktree *wt = &a->ws->tree;
    struct worktree_temp temp;
    int err = worktree_temp_open(wt, &temp);
    if (err != OK)
        return err;
    err = download_run(a, step, temp.fd);
    if (err == OK &&
        (step->kind == STEP_SIDE || step->partial || step->to->kind != KIND_FILE)) {
        err = fetch_plain(a, step, &temp);
        worktree_discard(wt, &temp);
        return err;
    }
    if (err == OK)
        err = still_expected(wt, step);
    struct stat st;
    if (err == OK && step->fresh && worktree_stat(wt, step->path, &st) == OK)
        err = ERR_CONFLICT;
    if (err == OK) {
        err = worktree_adopt(wt, &temp, step->path, step->to->mode, &step->mark);
        step->marked = err == OK;
    }
    if (err == ERR_CONFLICT && temp.fd >= 0) {
        step->kind = STEP_SIDE;
        err = fetch_plain(a, step, &temp);
    }
    worktree_discard(wt, &temp);
    return err;
}

/* ---- all --------------------------------------------------------------------------------- */

static int removals(struct applier *a)
{
    struct worktree *wt = &a->ws->tree;
    for (size_t i = a->plan->n; i-- > 0;) {
        struct step *step = &a->plan->steps[i];
        if (step->kind != STEP_REMOVE)
            continue;
        int err = still_expected(wt, step);
        if (err == OK)
            err = worktree_remove(wt, step->path);
        if (err == ERR_CONFLICT) { /* a directory is there now: not ours to remove */
            step->kind = STEP_ADOPT;
            err = OK;
        }
        if (err != OK)
            return fail_at(a, step, err);
        done_one(a, true);
    }
    return OK;
}

static int merged(struct applier *a)
{
    struct worktree *wt = &a->ws->tree;
    for (size_t i = 0; i < a->plan->n; i++) {
        struct step *step = &a->plan->steps[i];
        if (step->kind != STEP_MERGED)
            continue;
        AUTO_BUF text = {0};
        char name[HASH_HEX_LEN + 16];
        snprintf(name, sizeof(name), "staged/%s", hash_hex(&step->merged).s);
        struct stat_mark mark;
        int err = workspace_get(a->ws, name, STAGED_MAX, &text);
        if (err == OK)
            err = still_expected(wt, step);
        if (err == OK)
            err = worktree_replace(wt, step->path, KIND_FILE, step->mode, buf_bytes(&text),
                                   &mark);
        if (err != OK)
            return fail_at(a, step, err);
        done_one(a, true);
    }
    return OK;
}

static bool wants_content(const struct step *step)
{
    return step->kind == STEP_PUT || step->kind == STEP_SIDE;
}

struct ticking {
    struct range_source source;
    struct range_source *inner;
    struct applier *applier;
    const struct range_feed *feed;
};

static int ticking_done(void *arg, struct range_read *read)
{
    struct ticking *t = arg;
    struct applier *a = t->applier;
    pthread_mutex_lock(&a->lock);
    uint64_t done = a->done;
    pthread_mutex_unlock(&a->lock);
    if (a->progress != NULL)
        a->progress->tick(a->progress->arg, done, a->total);
    return t->feed->done(t->feed->arg, read);
}

static struct range_read *ticking_next(void *arg)
{
    struct ticking *t = arg;
    return t->feed->next(t->feed->arg);
}

/* Passes reads on, and tells of progress between them. */
static int ticking_many(struct range_source *source, const struct range_feed *feed)
{
    struct ticking *t = (struct ticking *)source;
    t->feed = feed;
    struct range_feed own = {.next = ticking_next, .done = ticking_done, .arg = t};
    return t->inner->many(t->inner, &own);
}

static int contents(struct applier *a)
{
    size_t n = 0;
    const struct entry **entries = calloc(a->plan->n + 1, sizeof(*entries));
    a->puts = calloc(a->plan->n + 1, sizeof(struct step *));
    if (entries == NULL || a->puts == NULL)
        abort();
    for (size_t i = 0; i < a->plan->n; i++) {
        struct step *step = &a->plan->steps[i];
        if (wants_content(step) && thick_in_tree(step->to)) {
            entries[n] = step->to;
            a->puts[n++] = step;
        }
    }
    struct ticking ticking = {
        .source = {.many = ticking_many}, .inner = &a->ranges->source, .applier = a};
    int err = thick_contents(&ticking.source, entries, n, WORKERS, content_came, a);
    for (size_t i = 0; err == OK && i < a->plan->n; i++) {
        struct step *step = &a->plan->steps[i];
        bool have = step->marked || step->side.len > 0;
        if (!wants_content(step) || have || thick_in_tree(step->to))
            continue;
        err = fetch_one(a, step);
        if (err != OK)
            (void)fail_at(a, step, err);
        else
            done_one(a, true);
    }
    free(entries);
    free(a->puts);
    return err;
}

static int explain(struct applier *a, int err)
{
    struct client *client = a->ranges->client;
    const struct step *step = a->failed;
    if (client->problem.err == err)
        return err;
    int len = step == NULL ? 0 : (int)step->path.len;
    const char *path = step == NULL ? "" : (const char *)step->path.data;
    if (err == ERR_AGAIN)
        return client_fail(client, err, "changed",
                           "%.*s was changed meanwhile, or the disk is full", len, path);
    if (err == ERR_CORRUPT)
        return client_fail(client, err, "bad_content", "%.*s is not what its hash says", len,
                           path);
    return client_fail(client, err, err_name(err), "%.*s cannot be written", len, path);
}

int apply_plan(struct workspace *ws, struct client_ranges *ranges, uint64_t position,
               struct plan *plan, const struct apply_progress *progress)
{
    struct applier a = {.ws = ws,
                        .ranges = ranges,
                        .position = position,
                        .plan = plan,
                        .progress = progress,
                        .lock = PTHREAD_MUTEX_INITIALIZER};
    ranges->client->problem = (struct client_problem){0};
    for (size_t i = 0; i < plan->n; i++)
        a.total += plan->steps[i].kind != STEP_ADOPT ? 1 : 0;
    int err = OK;
    for (unsigned i = 0; i < WORKERS; i++) {
        int opened = worktree_open(&a.trees[i], ws->root);
        err = err == OK ? opened : err;
    }
    if (err == OK)
        err = removals(&a);
    if (err == OK)
        err = contents(&a);
    if (err == OK)
        err = merged(&a);
    if (progress != NULL)
        progress->tick(progress->arg, a.done, a.total);
    for (unsigned i = 0; i < WORKERS; i++)
        worktree_close(&a.trees[i]);
    /* Side paths must outlive the arena they were made in. */
    err = err == OK ? OK : explain(&a, err);
    for (size_t i = 0; i < plan->n; i++) {
        struct step *step = &plan->steps[i];
        if (step->side.len > 0)
            step->side = arena_copy(plan->arena, step->side);
    }
    arena_release(&a.arena);
    return err;
}
