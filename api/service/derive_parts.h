/* What the files of derivation share. */
#ifndef API_SERVICE_DERIVE_PARTS_H
#define API_SERVICE_DERIVE_PARTS_H

#include "api/service/parts.h"
#include "api/service/service_derive.h"

/* Whether this server derives at all: a problem when not. */
int service_derive_on(struct service *, struct problem *) MUST_USE;
/* What was looked for under the address failed for `err`. */
int service_derive_failed(struct problem *, int err, const struct hash *address);

/* Tells the log, as service_derive_put does, for whoever asks: what is told follows from what
 * is there. */
int service_derive_tell(struct service *, const struct id16 *project,
                        const struct derive_item *, uint32_t n, derive_written_fn, void *arg,
                        struct problem *) MUST_USE;

#endif
