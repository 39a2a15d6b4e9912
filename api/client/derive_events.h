/* The events of a result that is being computed; for client_derive.c only. */
#ifndef API_CLIENT_DERIVE_EVENTS_H
#define API_CLIENT_DERIVE_EVENTS_H

#include "api/client/client_derive.h"

/* Listens until there are no more, and calls get->wait for each that says how far it is. Fails
 * as the get would when the last one says that it has failed. */
int derive_events(struct client *, struct bytes project, const struct hash *,
                  const struct client_derive_get *) MUST_USE;

/* Of JSON. */
int derive_progress_read(struct client *, struct bytes text,
                         struct client_derive_progress *out) MUST_USE;

#endif
