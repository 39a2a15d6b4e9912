/* What differs between two positions, and which of the files that came are files that went,
 * under another name: those of the same content. A file that was changed on the way counts as a
 * new one, and so does an empty one. */
#ifndef API_CLI_RENAMES_H
#define API_CLI_RENAMES_H

#include "api/client/client.h"

/* All that differs below `path` ("": everywhere), page by page, in the arena. */
int changes_between(struct client *, struct bytes project, uint64_t from, uint64_t to,
                    struct bytes path, struct arena *, struct client_changes *out) MUST_USE;

/* One a change: what it was before, where it came by a rename; else NULL. A file that went is
 * the source of at most one; one of the same base name is taken first. In the arena. */
const struct client_change **renames_find(const struct client_changes *, struct arena *);

#endif
