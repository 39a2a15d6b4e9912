/* The end of a history as long as a test wants it: the newest segments of its log, the newest
 * batches of its chain, and all of its rollups, as long as those of a real one would be and
 * with nothing in them. So every question to it costs what it costs at most where nothing is
 * found, and always the same. */
#ifndef TESTS_SUPPORT_LONG_HISTORY_H
#define TESTS_SUPPORT_LONG_HISTORY_H

#include "tests/support/build_chain.h"

#define LONG_HISTORY_BATCH 32u /* landings of a batch */
#define LONG_HISTORY_BELOW 20u /* batches of which the log has the landings, too */

/* Into a project in which nothing has landed. `keys`: of a landing, in the rollups. */
void long_history_put(struct build_chain *, uint64_t landings, unsigned keys);

/* Only the newest batches of a chain so long. */
void long_history_chain(struct build_chain *, uint64_t landings);

/* A filter of so many columns from `first` on, in which nothing is. `sectors` without the
 * header. */
void bare_rollup_put(struct build_chain *, unsigned level, uint64_t first, unsigned columns,
                     uint32_t sectors);
/* `n` columns from `first` on, as a group that fills up lies there. */
void bare_group_put(struct build_chain *, unsigned level, uint64_t first, unsigned n,
                    unsigned keys);

#endif
