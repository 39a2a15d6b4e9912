/* mic-forge over a store that is as slow as one far away, for `make bench` part g: the program
 * itself, of which only the opening of the store is another (see the Makefile).
 *
 *   SLOW_DELAY_MS=30 SLOW_PUT_INTERVAL_MS=1000 slow_forge DIR [FLAGS of mic-forge]
 *
 * Every request takes SLOW_DELAY_MS; a second put to a key within SLOW_PUT_INTERVAL_MS is
 * refused. At its end it says on stderr how many were. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/shared/open_store.h"
#include "jobs/shared/process.h"
#include "pipeline/store/slow.h"

int __real_open_probed_store(const char *program, const struct settings *, struct store **out);
int __wrap_open_probed_store(const char *program, const struct settings *, struct store **out);
void __real_process_close(struct process *);
void __wrap_process_close(struct process *);

static struct store *disk;
static struct store *slow;

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

int __wrap_open_probed_store(const char *program, const struct settings *s, struct store **out)
{
    int code = __real_open_probed_store(program, s, &disk);
    if (code >= 0)
        return code;
    const struct slow_options options = {.clock = clock_system(),
                                         .delay_us = number("SLOW_DELAY_MS") * 1000,
                                         .put_interval_ms =
                                             (uint32_t)number("SLOW_PUT_INTERVAL_MS")};
    slow = slow_store_open(disk, &options);
    *out = slow;
    return code;
}

void __wrap_process_close(struct process *p)
{
    fprintf(stderr, "puts refused: %" PRIu64 "\n", slow_store_refused(slow));
    __real_process_close(p);
    store_close(disk);
}
