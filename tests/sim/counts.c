#include "tests/sim/counts.h"

#include <unistd.h>

#include "tests/sim/sim_world.h"

static struct counts *counts;
static struct verdict_of_seed *verdict;
static bool tracing;

static const char *const texts[] = {
#define X(name, text) [COUNT_##name] = (text),
    COUNTS(X)
#undef X
};

void counts_to(struct counts *to)
{
    counts = to;
}

void count(enum count what)
{
    assert(what < COUNT_KINDS);
    counts->n[what]++;
}

const char *count_text(enum count what)
{
    return texts[what];
}

void counts_print(FILE *out, const struct counts *all)
{
    for (unsigned i = 0; i < COUNT_KINDS; i++)
        (void)fprintf(out, "%10lu  %s\n", (unsigned long)all->n[i], texts[i]);
}

void verdict_to(struct verdict_of_seed *to)
{
    verdict = to;
}

void broken(const char *name, const char *fmt, ...)
{
    va_list args;
    (void)snprintf(verdict->broken, sizeof(verdict->broken), "%s", name);
    va_start(args, fmt);
    (void)vsnprintf(verdict->detail, sizeof(verdict->detail), fmt, args);
    va_end(args);
    verdict->virtual_ms = world_now_us() / 1000;
    if (tracing)
        printf("%10.3f  BROKEN %s: %s\n", (double)world_now_us() / 1e6, verdict->broken,
               verdict->detail);
    (void)fflush(stdout);
    _exit(1);
}

void trace_on(void)
{
    tracing = true;
}

bool trace_wanted(void)
{
    return tracing;
}

void trace(const char *fmt, ...)
{
    if (!tracing)
        return;
    va_list args;
    printf("%10.3f  ", (double)world_now_us() / 1e6);
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)fputc('\n', stdout);
}
