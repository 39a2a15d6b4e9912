/* Lines of /metrics, in the text format of Prometheus. */
#ifndef API_HTTP_METRIC_H
#define API_HTTP_METRIC_H

#include "formats/base/buf.h"

/* One number with its help and type ("counter", "gauge"). */
static inline void metric(struct buf *out, const char *name, const char *type, const char *help,
                          uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
               (unsigned long long)value);
}

#endif
