/* Batches as the check reads them: past all caches, many side by side, and section by section,
 * so that damage to one section does not hide the others. */
#ifndef PIPELINE_REPO_CHECK_FSCK_BATCH_H
#define PIPELINE_REPO_CHECK_FSCK_BATCH_H

#include "pipeline/repo/check/fsck_inside.h"

struct fsck_batch {
    struct hash tree;
    struct key key;
    struct arena arena;
    struct buf tail; /* the last bytes of the object, from `at` on */
    uint64_t at;
    uint64_t size;     /* of the object; 0: not known */
    const char *wrong; /* the problem that keeps the footer from being read, or NULL */
    struct footer footer;
    struct tree_id *ids;     /* NULL when they are damaged, or not wanted */
    const struct page *root; /* the same */
    struct bytes records;    /* their section, checked; only when records_ok */
    bool records_ok;
};

/* Reads `n` batches, at most FSCK_AT_ONCE, whose `tree` is set: footers, and the sections that
 * are wanted. Damage to a section is told, unless `quiet`; why a footer cannot be read is left
 * to the caller, who knows who named it. */
int fsck_batches_read(struct fsck_project *, struct fsck_batch *, size_t n, bool ids_only,
                      bool quiet) MUST_USE;
void fsck_batch_release(struct fsck_batch *);
/* How many pages it can have brought, at most; of very many, how many are worth being
 * remembered. */
size_t fsck_batch_pages(const struct fsck_batch *);

#endif
