/* The canonical form of a page, kept: what its content hash is made of (page.h), so that a
 * change of one entry costs a few bytes and not the whole form. */
#ifndef FORMATS_PAGE_CANONICAL_H
#define FORMATS_PAGE_CANONICAL_H

#include "formats/page.h"

struct page_canonical {
    uint8_t *bytes;
    size_t len;
    size_t cap;
    uint32_t *at; /* where the entries begin */
    uint32_t n;
    uint32_t cap_entries;
};

/* The form of these entries, sorted by name; what it had before is gone. Memory comes from the
 * arena, and is used again when it is long enough. */
void page_canonical_make(struct page_canonical *, struct arena *, uint8_t level,
                         const struct entry *const *entries, size_t n);
/* Replaces the fields of the entry of that name, which must be there. */
void page_canonical_set(struct page_canonical *, const struct entry *);
/* As page_content_hash of the entries. */
struct hash page_canonical_hash(const struct page_canonical *);

#endif
