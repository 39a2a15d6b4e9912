/* Keys of all memos that were told of a project, in a filter. */
#include "pipeline/derive/index/index_project.h"

/* Beyond what is there. */
#define ROOM (64u * 1024u)
/* More would take too much memory. */
#define MEMOS_MAX (8u * 1024u * 1024u)
/* Keys that are added at once. */
#define TURN 1024u

void project_memo_told(struct index_project *p, const struct hash *key)
{
    if (p->memos != NULL)
        index_filter_add(p->memos, key);
    if (p->memos_next != NULL)
        index_filter_add(p->memos_next, key);
    /* It is made anew, larger. */
    if (p->memos != NULL && index_filter_full(p->memos) && p->memos_next == NULL)
        p->wants_memos = true;
}

bool project_memo_may(const struct index_project *p, const struct hash *key)
{
    return p->memos == NULL || index_filter_may(p->memos, key);
}

void project_memos_drop(struct index_project *p)
{
    index_filter_close(p->memos);
    p->memos = NULL;
    p->memos_next = NULL; /* it is his who makes it */
}

static void staged_add(struct index_filter *filter, const struct index_stage *stage)
{
    for (size_t i = 0; stage != NULL && i < stage->n; i++) {
        if (stage->items[i].kind == DERIVE_MEMO)
            index_filter_add(filter, &stage->items[i].address);
    }
}

/* Has what waits for the database; what is told from now on is added, too. So nothing that the
 * database does not have yet is missed. NULL: it is not wanted. */
static struct index_filter *filter_begin(struct index_project *p, uint64_t memos)
{
    struct index_filter *filter = NULL;
    index_lock(&p->lock);
    uint64_t waits = p->stage->n + (p->filling != NULL ? p->filling->n : 0);
    if (p->wants_memos && p->memos_next == NULL && memos <= MEMOS_MAX) {
        filter = index_filter_open(memos + waits + memos / 2 + ROOM);
        staged_add(filter, p->stage);
        staged_add(filter, p->filling);
        p->memos_next = filter;
    }
    p->wants_memos = false;
    index_unlock(&p->lock);
    return filter;
}

/* False: the database was made anew meanwhile. */
static bool keys_add(struct index_project *p, struct index_filter *filter,
                     const struct hash *keys, size_t n)
{
    index_lock(&p->lock);
    bool ours = p->memos_next == filter;
    for (size_t i = 0; i < n && ours; i++)
        index_filter_add(filter, &keys[i]);
    index_unlock(&p->lock);
    return ours;
}

static int keys_read(struct index_project *p, struct index_rows *rows,
                     struct index_filter *filter)
{
    struct hash keys[TURN];
    size_t n = 0;
    bool ours = true;
    struct index_query *query;
    int err = rows_query(rows, ROWS_MEMO_KEYS, &query);
    if (err != OK)
        return err;
    while (ours && (err = index_query_next(query)) == OK) {
        err = index_row_hash(query, 0, &keys[n++]);
        if (err != OK)
            break;
        if (n == TURN) {
            ours = keys_add(p, filter, keys, n);
            n = 0;
        }
    }
    index_query_reset(query);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    return ours && keys_add(p, filter, keys, n) ? OK : ERR_CORRUPT;
}

/* Takes its place, unless it failed or the database was made anew. */
static void filter_end(struct index_project *p, struct index_filter *filter, int err)
{
    struct index_filter *gone = filter;
    index_lock(&p->lock);
    if (p->memos_next == filter) {
        p->memos_next = NULL;
        if (err == OK) {
            gone = p->memos;
            p->memos = filter;
        }
    }
    index_unlock(&p->lock);
    index_filter_close(gone);
}

void project_memos_read(struct index_project *p)
{
    struct index_rows *rows = NULL;
    struct derive_counts counts;
    uint64_t edges;
    uint64_t generation = 0;
    index_lock(&p->lock);
    bool wanted = p->wants_memos;
    index_unlock(&p->lock);
    if (!wanted || project_walker_take(p, &rows, &generation) != OK)
        return;
    int err = rows_counts(rows, &counts, &edges);
    struct index_filter *filter = err == OK ? filter_begin(p, counts.memos) : NULL;
    if (filter != NULL)
        filter_end(p, filter, keys_read(p, rows, filter));
    project_walker_give(p, rows, generation);
}
