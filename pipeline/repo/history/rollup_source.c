#include "pipeline/repo/history/rollup_source.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/log_segment.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/history/landlog_segment.h"

#define LARGE_AT_ONCE 4u
/* Segments longer than this are read one by one. */
#define LONG_SEGMENT (4u * MIB)

static uint64_t large_first(uint64_t position)
{
    return position - (position - 1) % LOG_SPAN_LARGE;
}

void rollup_source_init(struct rollup_source *source, struct repo *repo,
                        const struct id16 *project, uint64_t first, uint64_t end)
{
    assert(first % LOG_SPAN_SMALL == 1 && end % LOG_SPAN_SMALL == 1);
    *source = (struct rollup_source){.repo = repo,
                                     .project = *project,
                                     .at = first,
                                     .done = first,
                                     .end = end,
                                     .at_once = ROLLUP_SOURCE_AT_ONCE};
}

void rollup_source_release(struct rollup_source *source)
{
    for (unsigned i = 0; i < ROLLUP_SOURCE_AT_ONCE; i++)
        buf_release(&source->bodies[i]);
}

/* Reads up to `n` segments of `span` positions side by side, from `first` on. Keeps those that
 * are there up to the first that is not; ERR_NOT_FOUND when that is the first of all. */
static int segments_get(struct rollup_source *source, uint64_t first, uint64_t span, unsigned n)
{
    struct key keys[ROLLUP_SOURCE_AT_ONCE];
    struct store_op ops[ROLLUP_SOURCE_AT_ONCE] = {0};
    source->n = source->given = 0;
    n = n < source->at_once ? n : source->at_once;
    for (unsigned i = 0; i < n; i++) {
        source->firsts[i] = first + i * span;
        source->ends[i] = source->firsts[i] + span;
        keys[i] = key_log(&source->project, source->firsts[i], source->ends[i]);
        buf_clear(&source->bodies[i]);
        ops[i] = (struct store_op){.verb = STORE_GET,
                                   .key = keys[i].s,
                                   .range = range_all(),
                                   .body = &source->bodies[i],
                                   .want_etag = ETAG_NEVER};
    }
    (void)!store_many(source->repo->store, ops, n); /* each has its own answer */
    if (ops[0].err != OK)
        return damage_unless_absent(source->repo, keys[0].s, ops[0].err);
    while (source->n < n && ops[source->n].err == OK) {
        if (source->bodies[source->n].len > LONG_SEGMENT)
            source->at_once = 1;
        source->n++;
    }
    source->at = source->ends[source->n - 1];
    return OK;
}

static unsigned fewer(uint64_t n, unsigned most)
{
    return n < most ? (unsigned)n : most;
}

/* In which order the two lengths are tried: large ones where whole ones are wanted. A segment
 * is always there in one of both, but it may change between two looks. */
static int source_fill(struct rollup_source *source)
{
    uint64_t first = large_first(source->at);
    bool whole = first == source->at && source->end - first >= LOG_SPAN_LARGE;
    uint64_t rest = source->end < first + LOG_SPAN_LARGE ? source->end : first + LOG_SPAN_LARGE;
    unsigned large = whole ? fewer((source->end - first) / LOG_SPAN_LARGE, LARGE_AT_ONCE) : 1;
    unsigned small = fewer((rest - source->at) / LOG_SPAN_SMALL, ROLLUP_SOURCE_AT_ONCE);
    int err = ERR_NOT_FOUND;
    for (unsigned i = 0; i < 3 && err == ERR_NOT_FOUND; i++) {
        if ((i % 2 == 0) == whole)
            err = segments_get(source, first, LOG_SPAN_LARGE, large);
        else
            err = segments_get(source, source->at, LOG_SPAN_SMALL, small);
    }
    return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
}

int rollup_source_next(struct rollup_source *source, struct log_scan *out)
{
    if (source->given == source->n) {
        if (source->at >= source->end)
            return ERR_NOT_FOUND;
        int err = source_fill(source);
        if (err != OK)
            return err;
    }
    unsigned i = source->given++;
    source->from = source->done;
    source->done = source->ends[i];
    struct bytes bytes = buf_bytes(&source->bodies[i]);
    struct log_scan scan;
    int err = log_scan_open(bytes, &scan);
    if (err == OK && (!id16_equal(&scan.project, &source->project) ||
                      scan.first != source->firsts[i] || scan.end != source->ends[i]))
        err = ERR_CORRUPT;
    if (err == OK)
        *out = scan;
    struct key key = key_log(&source->project, source->firsts[i], source->ends[i]);
    return damage_of(source->repo, key.s, err);
}

/* ---- where it ends ---- */

/* What is listed begins with the large segment that `from` lies in, for the small ones may have
 * gone. */
int rollup_source_end(struct repo *repo, const struct id16 *project, uint64_t from,
                      uint64_t *out)
{
    AUTO(arena_release) struct arena arena = {0};
    struct key prefix = key_log_prefix(project);
    struct key after = key_log(project, large_first(from) - 1, UINT64_MAX);
    const char *last = after.s;
    uint64_t end = from;
    struct store_list keys = {.more = true};
    while (keys.more) {
        int err = store_list(repo->store, &arena, prefix.s, last, STORE_LIST_MAX, &keys);
        if (err != OK)
            return err;
        for (size_t i = 0; i < keys.n; i++) {
            struct landlog_segment_ref ref;
            last = keys.keys[i].key;
            if (last[strlen(prefix.s)] > '9') {
                keys.more = false;
                break;
            }
            if (key_log_parse(last, &ref.first, &ref.end) == OK &&
                log_span_ok(ref.first, ref.end) && ref.first <= end && ref.end > end)
                end = ref.end;
        }
        if (keys.n == 0)
            break;
    }
    *out = end;
    return OK;
}
