#include "tests/support/fsck_rig.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "formats/base/limits.h"
#include "pipeline/store/trace.h"
#include "pipeline/sys/log.h"

static void keep(void *arg, const struct fsck_finding *finding)
{
    struct fsck_result *result = arg;
    if (result->n == FSCK_KEPT_MAX)
        return;
    struct fsck_kept *kept = &result->kept[result->n++];
    kept->damage = finding->damage;
    (void)snprintf(kept->invariant, sizeof(kept->invariant), "%s", finding->invariant);
    (void)snprintf(kept->problem, sizeof(kept->problem), "%s", finding->problem);
    (void)snprintf(kept->key, sizeof(kept->key), "%s", finding->key);
    (void)snprintf(kept->detail, sizeof(kept->detail), "%s", finding->detail);
}

static uint64_t writes(const struct trace_counts *counts)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < TRACE_KINDS; i++)
        n += counts->puts[i] + counts->deletes[i];
    return n;
}

void fsck_rig_run(struct store *store, struct clock *clock, bool deep, size_t ids_max,
                  struct fsck_result *out)
{
    struct rng_seeded rng;
    struct store *trace = trace_store_open(store);
    struct fsck_options options = {.deep = deep,
                                   .ids_max = ids_max,
                                   .page_cache_bytes = 4 * MIB,
                                   .found = keep,
                                   .found_arg = out};
    *out = (struct fsck_result){0};
    rng_seeded_init(&rng, 1);
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_to_fd(silent);
    out->err = fsck_run(trace, clock, &rng.rng, &options, &out->counts);
    log_to_fd(STDERR_FILENO);
    (void)close(silent);
    struct trace_counts counts = trace_store_counts(trace, true);
    ck_assert_uint_eq(writes(&counts), 0);
    store_close(trace);
}

const char *fsck_rig_text(const struct fsck_result *result)
{
    static char text[64 * 1024];
    size_t len = (size_t)snprintf(text, sizeof(text), "%s, %zu found:", err_name(result->err),
                                  result->n);
    for (size_t i = 0; i < result->n; i++) {
        const struct fsck_kept *kept = &result->kept[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\n%s %s (%s) %s: %s",
                                kept->damage ? "damage" : "note", kept->problem,
                                kept->invariant, kept->key, kept->detail);
        if (len >= sizeof(text))
            break;
    }
    return text;
}
