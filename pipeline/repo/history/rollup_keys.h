/* Inside the making of rollups: sets of keys, as sorted lists without doubles, and how the log
 * gives them. */
#ifndef PIPELINE_REPO_HISTORY_ROLLUP_KEYS_H
#define PIPELINE_REPO_HISTORY_ROLLUP_KEYS_H

#include "formats/rollup.h"
#include "pipeline/repo/history/rollup_source.h"

struct key_list {
    uint64_t *keys;
    size_t n;
    size_t cap;
};

void key_list_release(struct key_list *);
void key_list_grow(struct key_list *, size_t cap);
/* Sorts, and drops doubles. `scratch` is used as memory. */
void key_list_settle(struct key_list *, struct key_list *scratch);
/* Drops what is greater than `high`; the list is sorted. */
void key_list_cut(struct key_list *, uint64_t high);

static inline void key_list_add(struct key_list *list, uint64_t key)
{
    if (list->n == list->cap)
        key_list_grow(list, list->n + 1);
    list->keys[list->n++] = key;
}

/* The keys in [low, high] of one column after another. */
struct key_gather {
    uint64_t low;
    uint64_t high; /* is lowered when more keys than may be kept are found */
    size_t kept_max;
    size_t kept;
    struct key_list columns[ROLLUP_COLUMNS_MAX]; /* sorted, no doubles */
    unsigned n;                                  /* columns that are done */
    uint64_t source;                             /* checksum of the answers that were read */
    struct key_list raw;                         /* of the column at hand */
    struct key_list scratch;
};

void key_gather_release(struct key_gather *);
/* Reads the log of `columns` columns of `span` positions each, from `first` on. Forgets what
 * was gathered before. Errors are those of rollup_source_next. */
int key_gather_run(struct key_gather *, struct repo *, const struct id16 *project,
                   uint64_t first, uint64_t span, unsigned columns) MUST_USE;
/* How many keys there are in all columns together, doubles counted once. */
uint64_t key_gather_union(struct key_gather *);

#endif
