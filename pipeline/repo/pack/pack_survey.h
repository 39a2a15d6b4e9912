/* What a cold walk over a tree reads: counted, from a walk that changes nothing. */
#ifndef PIPELINE_REPO_PACK_PACK_SURVEY_H
#define PIPELINE_REPO_PACK_PACK_SURVEY_H

#include "pipeline/repo/pack/page_memo.h"
#include "pipeline/repo/tree/tree.h"

struct pack_survey {
    uint64_t pages; /* one that is shared once, as far as the memo remembers */
    uint64_t bytes;
    uint64_t objects; /* tree objects that they lie in; of very many, no more than these */
    uint64_t ranges;  /* of neighbours, none longer than PACK_RANGE */
};

/* `memo` is empty, and is left with what was met; `objects_kept` tree objects are told apart.
 * `progress` is told of every page. */
int pack_survey(const struct tree *, struct page_memo *memo, size_t objects_kept,
                void (*progress)(void *arg, uint64_t pages), void *arg,
                struct pack_survey *out) MUST_USE;

#endif
