#include "pipeline/repo/history/path_log.h"

#include "formats/path.h"
#include "pipeline/repo/history/rollup_read.h"

/* Segments that are read side by side at first. One is much longer than a sector, and where a
 * path changes often one has all that is wanted. Where the rollups leave little of a segment,
 * it has a landing or two, and so many of these count as one. */
#define SEGMENTS_FIRST 2u
#define THIN_AS_ONE    4u
#define THIN_MAX       (2u * LOG_SPAN_SMALL) /* positions that are left of one */

struct path_log {
    struct arena arena; /* holds the reader itself */
    struct landlog *log;
    struct rollup_reader *rollups; /* NULL: of the root nobody asks them */
    struct bytes path;
    uint64_t from;
    uint64_t end; /* for the root: where its one run ends */
    /* The ranges that come next; the one at `at` is a run of the log that is being read through
     * where `in_run` says so. */
    struct landlog_range ranges[LANDLOG_EXPECT_MAX];
    size_t n;
    size_t at;
    bool in_run;
    unsigned segments; /* of the next ranges */
    unsigned segments_most;
};

bool path_log_touches(const struct log_entry *entry, struct bytes path)
{
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        struct bytes changed = entry->effects[i].path;
        if (bytes_equal(changed, path) || path_below(changed, path))
            return true;
    }
    return false;
}

static unsigned at_most(unsigned n, uint64_t most)
{
    return n < most ? n : (unsigned)most;
}

static struct path_log *path_log_new(struct repo *repo, const struct id16 *project,
                                     struct landlog *landlog, const struct path_asked *asked)
{
    struct arena arena = {0};
    struct path_log *log = arena_new(&arena, struct path_log);
    uint64_t head = landlog_head(landlog)->position;
    uint64_t wanted = asked->wanted > 0 ? asked->wanted : 1;
    log->log = landlog;
    log->path = arena_copy(&arena, asked->path);
    log->from = asked->from;
    log->end = (asked->before < head ? asked->before : head) + 1;
    log->segments = at_most(SEGMENTS_FIRST, wanted);
    log->segments_most = at_most(LANDLOG_AHEAD_MAX, wanted);
    landlog_below(landlog, log->path);
    if (asked->path.len > 0) {
        log->rollups = rollup_reader_open(repo, project);
        rollup_reader_ahead(log->rollups, at_most(ROLLUP_AHEAD_FIRST, wanted),
                            at_most(ROLLUP_AHEAD_MAX, wanted));
        rollup_reader_ask(log->rollups, rollup_key_path(asked->path), log->from, log->end);
    }
    log->arena = arena;
    return log;
}

int path_log_open(struct repo *repo, const struct id16 *project, const struct path_asked *asked,
                  struct path_log **out)
{
    struct landlog *landlog;
    int err = asked->head != NULL
                  ? landlog_open_at(repo, project, asked->head, asked->before, &landlog)
                  : landlog_open(repo, project, asked->before, &landlog);
    if (err == OK)
        *out = path_log_new(repo, project, landlog, asked);
    return err;
}

/* ---- ranges ---- */

/* False when there is none left. */
static bool range_next(struct path_log *log, struct landlog_range *out)
{
    struct rollup_range range;
    if (log->rollups == NULL) {
        *out = (struct landlog_range){.from = log->from, .end = log->end};
        log->end = log->from;
        return out->from < out->end;
    }
    if (!rollup_reader_next(log->rollups, &range))
        return false;
    *out = (struct landlog_range){.from = range.from, .end = range.end};
    return true;
}

/* Which of the long segments has a position, by the place of its first one. */
static uint64_t block_of(uint64_t position)
{
    uint64_t at = position > 0 ? position - 1 : 0;
    return at - at % LOG_SPAN_LARGE;
}

/* Whether both are best read through at once: they touch, or lie in one long segment, where
 * what lies between costs no request. */
static bool ranges_join(const struct path_log *log, const struct landlog_range *newer,
                        const struct landlog_range *older)
{
    uint64_t block = block_of(newer->from);
    if (block_of(older->end - 1) != block)
        return false;
    return older->end == newer->from || block + LOG_SPAN_LARGE < landlog_end(log->log);
}

/* Segments of some ranges, as they are gone through. */
struct tally {
    unsigned n;
    unsigned before;    /* what all but the last one count, in parts of a segment */
    uint64_t positions; /* of the last one that are looked at */
};

static unsigned tally_parts(const struct tally *tally)
{
    unsigned last = tally->positions > THIN_MAX ? THIN_AS_ONE : 1;
    return tally->before + (tally->n > 0 ? last : 0);
}

static void tally_add(struct tally *tally, const struct landlog_range *range, bool another)
{
    if (another) {
        tally->before = tally_parts(tally);
        tally->n++;
        tally->positions = 0;
    }
    tally->positions += range->end - range->from;
}

/* The next ranges, as many as lie in few segments: these are read side by side. */
static bool ranges_fill(struct path_log *log)
{
    struct tally tally = {0};
    struct landlog_range range;
    log->n = log->at = 0;
    while (log->n < LANDLOG_EXPECT_MAX && tally.n < log->segments_most &&
           tally_parts(&tally) < log->segments * THIN_AS_ONE && range_next(log, &range)) {
        struct landlog_range *newer = log->n > 0 ? &log->ranges[log->n - 1] : NULL;
        bool another = newer == NULL || block_of(newer->from) != block_of(range.end - 1);
        if (range.from < landlog_end(log->log))
            tally_add(&tally, &range, another);
        if (newer != NULL && ranges_join(log, newer, &range))
            newer->from = range.from;
        else
            log->ranges[log->n++] = range;
    }
    landlog_expect(log->log, log->ranges, log->n,
                   tally.n > log->segments ? tally.n : log->segments);
    log->segments = at_most(2 * log->segments, log->segments_most);
    return log->n > 0;
}

int path_log_next(struct path_log *log, const struct log_entry **out)
{
    for (;;) {
        const struct log_entry *entry;
        int err = OK;
        if (log->at == log->n && !ranges_fill(log))
            return ERR_NOT_FOUND;
        const struct landlog_range *range = &log->ranges[log->at];
        if (!log->in_run)
            err = landlog_run(log->log, range->from, range->end);
        log->in_run = true;
        while (err == OK && (err = landlog_next(log->log, &entry)) == OK) {
            if (entry->verdict == VERDICT_LANDED && path_log_touches(entry, log->path)) {
                *out = entry;
                return OK;
            }
        }
        if (err != ERR_NOT_FOUND)
            return err;
        log->in_run = false;
        log->at++;
    }
}

void path_log_close(struct path_log *log)
{
    if (log == NULL)
        return;
    landlog_close(log->log);
    rollup_reader_close(log->rollups);
    struct arena arena = log->arena;
    arena_release(&arena);
}
