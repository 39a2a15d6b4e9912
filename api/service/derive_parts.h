/* What the files of derivation share. */
#ifndef API_SERVICE_DERIVE_PARTS_H
#define API_SERVICE_DERIVE_PARTS_H

#include "api/service/parts.h"
#include "api/service/service_derive.h"

/* Whether this server derives at all: a problem when not. */
int service_derive_on(struct service *, struct problem *) MUST_USE;

#endif
