/* mic-forge over a store that is as slow as one far away, for `make bench` part g: the program
 * itself, of which only the opening of the store is another (see the Makefile).
 *
 *   SLOW_DELAY_MS=30 SLOW_PUT_INTERVAL_MS=1000 slow_forge DIR [FLAGS of mic-forge]
 *
 * Every request takes SLOW_DELAY_MS; a second put to a key within SLOW_PUT_INTERVAL_MS is
 * refused. Without them it is as quick as the directory. */
#include <stdlib.h>

#include "jobs/shared/open_store.h"
#include "pipeline/store/slow.h"

int __real_open_store(const char *program, const struct settings *, struct store **out);
int __wrap_open_store(const char *program, const struct settings *, struct store **out);

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

/* The store below is in use until the process ends, and ends with it. */
int __wrap_open_store(const char *program, const struct settings *s, struct store **out)
{
    struct store *disk;
    int code = __real_open_store(program, s, &disk);
    if (code >= 0)
        return code;
    const struct slow_options options = {.clock = clock_system(),
                                         .delay_us = number("SLOW_DELAY_MS") * 1000,
                                         .put_interval_ms =
                                             (uint32_t)number("SLOW_PUT_INTERVAL_MS")};
    *out = slow_store_open(disk, &options);
    return code;
}
