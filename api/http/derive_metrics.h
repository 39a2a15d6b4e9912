/* What derivation says of itself at /metrics. */
#ifndef API_HTTP_DERIVE_METRICS_H
#define API_HTTP_DERIVE_METRICS_H

#include "api/service/service_derive.h"

/* Nothing where the service derives nothing. */
void derive_metrics(struct service *, struct buf *out);

#endif
