/* Finds: in memory, in what waits for the database, in the database, and after a look once
 * more. */
#include "pipeline/derive/index/index_front.h"
#include "pipeline/derive/index/index_project.h"

/* What is looked for, and where it goes. */
struct wanted {
    struct index_project *p;
    const struct hash *key;
    struct arena *arena;
    struct buf *recipe;
    struct derive_leaf *leaf;
    struct memo *memo;
    struct told told; /* of the memo */
    struct location *where;
    struct derive_chunk *chunk;
};
typedef int find_once(struct wanted *);

/* Finds; a database that is damaged has nothing until the next look has filled it again. */
static int find_now(struct wanted *w, find_once *once)
{
    int err = once(w);
    return err == ERR_CORRUPT ? ERR_NOT_FOUND : err;
}

static int find(struct derive_index *index, const struct id16 *project, enum derive_miss miss,
                struct wanted *w, find_once *once)
{
    int err = project_hold(index, project, &w->p);
    if (err != OK)
        return err;
    err = find_now(w, once);
    if (err == ERR_NOT_FOUND && miss == DERIVE_MISS_LOOK) {
        err = project_look(w->p, LOOK_NOW);
        if (err == OK)
            err = find_now(w, once);
    }
    project_release(w->p);
    return err;
}

/* What waits for the database; NULL when it does not. Under lock. Of two, the one that came
 * first, or the one that came last. */
static const struct staged *staged_find(struct index_project *p, enum stage_kind kind,
                                        const struct hash *key)
{
    const struct staged *found = index_stage_find(p->stage, kind, key);
    const struct staged *before =
        p->filling != NULL ? index_stage_find(p->filling, kind, key) : NULL;
    if (found == NULL || before == NULL)
        return found != NULL ? found : before;
    bool first = kind == STAGE_MEMO || kind == STAGE_CHUNK;
    return !first || told_compare(&found->told, &before->told) < 0 ? found : before;
}

/* ---- recipes ---- */

static int ask_recipe(struct index_rows *rows, void *arg)
{
    struct wanted *w = arg;
    return rows_recipe(rows, w->key, w->recipe);
}

static int recipe_once(struct wanted *w)
{
    size_t at = w->recipe->len;
    index_lock(&w->p->lock);
    const struct staged *staged = staged_find(w->p, STAGE_RECIPE, w->key);
    if (staged != NULL)
        buf_append_bytes(w->recipe, staged->recipe);
    index_unlock(&w->p->lock);
    int err = staged != NULL ? OK : project_ask(w->p, ask_recipe, w);
    if (err == OK)
        index_front_add(w->p->index->front, &w->p->id, FRONT_RECIPE, w->key,
                        bytes_of(w->recipe->data + at, w->recipe->len - at));
    return err;
}

int derive_index_recipe(struct derive_index *index, const struct id16 *project,
                        const struct hash *address, enum derive_miss miss, struct buf *out)
{
    if (index_front_find(index->front, project, FRONT_RECIPE, address, out))
        return OK;
    struct wanted w = {.key = address, .recipe = out};
    return find(index, project, miss, &w, recipe_once);
}

/* ---- leaves, trees, chunks ---- */

static int ask_leaf(struct index_rows *rows, void *arg)
{
    struct wanted *w = arg;
    return rows_leaf(rows, w->key, w->leaf);
}

static int leaf_once(struct wanted *w)
{
    index_lock(&w->p->lock);
    const struct staged *staged = staged_find(w->p, STAGE_LEAF, w->key);
    if (staged != NULL)
        *w->leaf = staged->leaf;
    index_unlock(&w->p->lock);
    return staged != NULL ? OK : project_ask(w->p, ask_leaf, w);
}

int derive_index_leaf(struct derive_index *index, const struct id16 *project,
                      const struct hash *address, enum derive_miss miss,
                      struct derive_leaf *out)
{
    struct wanted w = {.key = address, .leaf = out};
    return find(index, project, miss, &w, leaf_once);
}

static int ask_tree(struct index_rows *rows, void *arg)
{
    struct wanted *w = arg;
    return rows_tree(rows, w->key, w->where);
}

static int tree_once(struct wanted *w)
{
    index_lock(&w->p->lock);
    const struct staged *staged = staged_find(w->p, STAGE_TREE, w->key);
    if (staged != NULL)
        *w->where = *staged->where;
    index_unlock(&w->p->lock);
    return staged != NULL ? OK : project_ask(w->p, ask_tree, w);
}

int derive_index_tree(struct derive_index *index, const struct id16 *project,
                      const struct hash *content, enum derive_miss miss, struct location *out)
{
    struct wanted w = {.key = content, .where = out};
    return find(index, project, miss, &w, tree_once);
}

static int ask_chunk(struct index_rows *rows, void *arg)
{
    struct wanted *w = arg;
    return rows_chunk(rows, w->key, w->chunk, &w->told);
}

/* What waits is looked for before the database, for it goes from there to here. */
static int chunk_once(struct wanted *w)
{
    struct derive_chunk waits;
    struct told told;
    index_lock(&w->p->lock);
    const struct staged *staged = staged_find(w->p, STAGE_CHUNK, w->key);
    bool staged_there = staged != NULL;
    if (staged_there) {
        waits = *staged->chunk;
        told = staged->told;
    }
    index_unlock(&w->p->lock);
    int err = project_ask(w->p, ask_chunk, w);
    if (!staged_there || (err != OK && err != ERR_NOT_FOUND) ||
        (err == OK && told_compare(&w->told, &told) <= 0))
        return err;
    *w->chunk = waits;
    return OK;
}

int derive_index_chunk(struct derive_index *index, const struct id16 *project,
                       const struct hash *hash, enum derive_miss miss, struct derive_chunk *out)
{
    struct wanted w = {.key = hash, .chunk = out};
    return find(index, project, miss, &w, chunk_once);
}

/* ---- memos ---- */

static struct memo memo_keep(struct arena *arena, const struct memo *from)
{
    struct memo copy = *from;
    copy.function = arena_copy(arena, from->function);
    copy.version = arena_copy(arena, from->version);
    return copy;
}

static int ask_memo(struct index_rows *rows, void *arg)
{
    struct wanted *w = arg;
    return rows_memo(rows, w->key, w->arena, w->memo, &w->told);
}

/* Takes the memo that waits for the database, if it was told before the one that is found.
 * Under lock. */
static int memo_earlier(struct wanted *w, int err)
{
    const struct staged *staged = staged_find(w->p, STAGE_MEMO, w->key);
    if (staged == NULL || (err == OK && told_compare(&staged->told, &w->told) >= 0))
        return err;
    *w->memo = memo_keep(w->arena, staged->memo);
    w->told = staged->told;
    return OK;
}

/* The one that was told first, wherever it is. What waits is looked through before the
 * database, for it goes from there to here; and after it, so that the front never keeps one
 * when an earlier one has come. */
static int memo_once(struct wanted *w)
{
    struct index_project *p = w->p;
    struct memo waits;
    struct memo *out = w->memo;
    index_lock(&p->lock);
    uint64_t filled = p->filled;
    w->memo = &waits;
    int err = memo_earlier(w, ERR_NOT_FOUND);
    struct told told = w->told;
    index_unlock(&p->lock);
    w->memo = out;
    int asked = project_ask(p, ask_memo, w);
    if (asked != OK && asked != ERR_NOT_FOUND)
        return asked;
    if (err == OK && (asked != OK || told_compare(&told, &w->told) < 0)) {
        *out = waits;
        w->told = told;
        asked = OK;
    }
    AUTO_BUF body = {0};
    index_lock(&p->lock);
    err = memo_earlier(w, asked);
    if (err == OK && p->filled == filled) {
        memo_write(&body, out);
        index_front_add(p->index->front, &p->id, FRONT_MEMO, w->key, buf_bytes(&body));
    }
    index_unlock(&p->lock);
    return err;
}

static int memo_fronted(struct buf *body, struct arena *arena, struct memo *out)
{
    struct reader r;
    rd_init(&r, arena_copy(arena, buf_bytes(body)));
    *out = memo_read(&r);
    return rd_end(&r);
}

/* Whether no memo of that key was ever told, as far as is known here; comes before every run.
 */
static int memo_never(struct derive_index *index, const struct id16 *project,
                      const struct hash *key, bool *out)
{
    struct index_project *p;
    int err = project_hold(index, project, &p);
    if (err != OK)
        return err;
    index_lock(&p->lock);
    *out = !project_memo_may(p, key);
    index_unlock(&p->lock);
    project_release(p);
    return OK;
}

int derive_index_memo(struct derive_index *index, const struct id16 *project,
                      const struct hash *key, enum derive_miss miss, struct arena *arena,
                      struct memo *out)
{
    AUTO_BUF body = {0};
    bool never = false;
    int err = memo_never(index, project, key, &never);
    if (err != OK || (never && miss == DERIVE_MISS_TELL))
        return err != OK ? err : ERR_NOT_FOUND;
    if (index_front_find(index->front, project, FRONT_MEMO, key, &body))
        return memo_fronted(&body, arena, out);
    struct wanted w = {.key = key, .arena = arena, .memo = out};
    return find(index, project, miss, &w, memo_once);
}

static int ask_output(struct index_rows *rows, void *arg)
{
    struct wanted *w = arg;
    return rows_output(rows, w->key, w->arena, w->memo);
}

static int output_once(struct wanted *w)
{
    index_lock(&w->p->lock);
    const struct staged *staged = staged_find(w->p, STAGE_OUTPUT, w->key);
    if (staged != NULL)
        *w->memo = memo_keep(w->arena, staged->memo);
    index_unlock(&w->p->lock);
    return staged != NULL ? OK : project_ask(w->p, ask_output, w);
}

int derive_index_output(struct derive_index *index, const struct id16 *project,
                        const struct hash *output, enum derive_miss miss, struct arena *arena,
                        struct memo *out)
{
    struct wanted w = {.key = output, .arena = arena, .memo = out};
    return find(index, project, miss, &w, output_once);
}

int derive_index_quarantine(struct derive_index *index, const struct id16 *project,
                            struct bytes function, struct bytes version,
                            const struct hash *implementation, struct arena *arena,
                            struct quarantine *out)
{
    struct index_project *p;
    int err = project_hold(index, project, &p);
    if (err != OK)
        return err;
    err = ERR_NOT_FOUND;
    index_lock(&p->lock);
    for (size_t i = 0; i < p->n_quarantines && err != OK; i++) {
        const struct quarantine *q = &p->quarantines[i];
        if (!hash_equal(&q->implementation, implementation) ||
            !bytes_equal(q->function, function) || !bytes_equal(q->version, version))
            continue;
        *out = index_quarantine_copy(arena, q);
        err = OK;
    }
    index_unlock(&p->lock);
    project_release(p);
    return err;
}

bool derive_index_keeps(struct derive_index *index, const struct id16 *project,
                        const struct hash *address)
{
    struct index_project *p;
    if (project_hold(index, project, &p) != OK)
        return false;
    index_lock(&p->lock);
    bool keeps = pin_set_has(&p->pins, address);
    index_unlock(&p->lock);
    project_release(p);
    return keeps;
}
