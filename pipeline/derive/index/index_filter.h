/* Which keys surely are not among many: two bytes of memory a key. What was added is never
 * denied; of what was not, one key in some hundred is not denied either. Not thread-safe. */
#ifndef PIPELINE_DERIVE_INDEX_INDEX_FILTER_H
#define PIPELINE_DERIVE_INDEX_INDEX_FILTER_H

#include "formats/base/err.h"
#include "formats/base/types.h"

struct index_filter;

/* For so many keys. */
struct index_filter *index_filter_open(uint64_t keys) MUST_USE;
void index_filter_close(struct index_filter *); /* NULL does nothing */

void index_filter_add(struct index_filter *, const struct hash *key);
/* False: it was not added. */
bool index_filter_may(const struct index_filter *, const struct hash *key);
/* Whether more were added than it is for: then it denies less. */
bool index_filter_full(const struct index_filter *);

#endif
