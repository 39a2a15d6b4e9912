#include "pipeline/repo/check/fsck_log.h"

#include <inttypes.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/repo/check/fsck_chain.h"
#include "pipeline/repo/check/fsck_rollups.h"
#include "pipeline/repo/history/landlog_segment.h"

#define SEGMENTS_AT_ONCE 4u

/* What is filed under a hundred positions: the sum of digests does not depend on their order,
 * which a digest has in it. */
struct span {
    uint64_t count;
    uint64_t low;
    uint64_t high;
    bool unknown;
};

struct fsck_log {
    struct fsck_project *p;
    struct arena arena;
    struct landlog_segment_ref *segments; /* all that are there, by first, then end */
    size_t n_segments;
    size_t left;        /* those before have not been compared yet */
    uint64_t end;       /* no segment has positions from here on */
    struct span *spans; /* the spans from number `base` on */
    uint64_t base;
    size_t n_spans;
    size_t cap;
};

static uint64_t span_of(uint64_t position)
{
    return position == 0 ? 0 : (position - 1) / LOG_SPAN_SMALL;
}

/* --- digests --- */

static void effect_write(struct buf *out, const struct log_effect *effect)
{
    wr_u8(out, (uint8_t)effect->kind);
    wr_run16(out, effect->path);
    if (effect->kind != EFFECT_WRITE)
        return;
    wr_u8(out, (uint8_t)effect->file_kind);
    wr_u16(out, effect->mode);
    wr_u64(out, effect->size);
    wr_hash(out, &effect->hash);
    wr_u8(out, (uint8_t)effect->where.place);
    wr_hash(out, &effect->where.tree);
    wr_u32(out, effect->where.offset);
    wr_u32(out, effect->where.len);
    wr_hash(out, &effect->where.check);
}

/* `ordinal`: its place among those of its batch that are filed under its position. */
static struct id16 entry_digest(const struct log_entry *entry, uint32_t ordinal,
                                struct buf *scratch)
{
    buf_clear(scratch);
    wr_u32(scratch, ordinal);
    wr_u8(scratch, (uint8_t)entry->verdict);
    wr_u8(scratch, entry->closes);
    wr_u64(scratch, entry->position);
    wr_hash(scratch, &entry->tree);
    wr_id16(scratch, &entry->request);
    wr_id16(scratch, &entry->session);
    wr_id16(scratch, &entry->owner);
    wr_u64(scratch, entry->hlc);
    wr_run8(scratch, entry->author);
    wr_run32(scratch, entry->goal);
    wr_run8(scratch, entry->reason);
    for (uint32_t i = 0; i < entry->n_effects; i++)
        effect_write(scratch, &entry->effects[i]);
    return xxh3_128(buf_bytes(scratch));
}

static void span_add(struct span *span, const struct id16 *digest)
{
    uint64_t low;
    uint64_t high;
    memcpy(&low, digest->b, sizeof(low));
    memcpy(&high, digest->b + sizeof(low), sizeof(high));
    span->count++;
    span->low += low;
    span->high += high;
}

/* Adds entries of one batch or of a segment to spans that begin with number `base`. */
static void entries_add(struct span *spans, uint64_t base, const struct log_entry *entries,
                        size_t n, uint64_t end)
{
    AUTO_BUF scratch = {0};
    uint32_t ordinal = 0;
    for (size_t i = 0; i < n; i++) {
        const struct log_entry *e = &entries[i];
        bool follows =
            i > 0 && e[-1].position == e->position && hash_equal(&e[-1].tree, &e->tree);
        ordinal = follows ? ordinal + 1 : 0;
        if (e->position >= end)
            continue;
        struct id16 digest = entry_digest(e, ordinal, &scratch);
        span_add(&spans[span_of(e->position) - base], &digest);
    }
}

/* --- what the chain says --- */

/* Spans come from the highest down: makes room for those from `number` on. */
static void spans_reach(struct fsck_log *log, uint64_t number)
{
    if (log->n_spans > 0 && number >= log->base)
        return;
    uint64_t high = log->n_spans > 0 ? log->base + log->n_spans : span_of(log->end - 1) + 1;
    if (log->n_spans == 0)
        log->base = high;
    size_t more = (size_t)(log->base - number);
    if (log->n_spans + more > log->cap) {
        log->cap = 2 * (log->n_spans + more);
        log->spans = realloc(log->spans, log->cap * sizeof(*log->spans));
        if (log->spans == NULL)
            abort();
    }
    memmove(log->spans + more, log->spans, log->n_spans * sizeof(*log->spans));
    memset(log->spans, 0, more * sizeof(*log->spans));
    log->base = number;
    log->n_spans += more;
}

bool fsck_log_wants(const struct fsck_log *log, uint64_t position)
{
    return position < log->end;
}

void fsck_log_add(struct fsck_log *log, const struct log_entry *entries, size_t n)
{
    if (n == 0 || entries[0].position >= log->end)
        return;
    spans_reach(log, span_of(entries[0].position));
    entries_add(log->spans, log->base, entries, n, log->end);
}

void fsck_log_unknown(struct fsck_log *log, uint64_t first, uint64_t end)
{
    if (end > log->end)
        end = log->end;
    if (first >= end)
        return;
    spans_reach(log, span_of(first));
    for (uint64_t at = span_of(first); at <= span_of(end - 1); at++)
        log->spans[at - log->base].unknown = true;
}

/* --- segments --- */

static void segment_damage(struct fsck_log *log, const struct landlog_segment_ref *ref,
                           const char *invariant, const char *problem, const char *what)
{
    struct key key = key_log(&log->p->id, ref->first, ref->end);
    fsck_damage(log->p->fsck, invariant, problem, key.s, "%s", what);
}

static bool segment_compare(struct fsck_log *log, const struct landlog_segment_ref *ref,
                            const struct log_segment *segment)
{
    size_t n = (size_t)(ref->end - ref->first) / LOG_SPAN_SMALL;
    struct span *says = calloc(n, sizeof(*says));
    if (says == NULL)
        abort();
    uint64_t base = span_of(ref->first);
    entries_add(says, base, segment->entries, segment->n, UINT64_MAX);
    bool same = true;
    for (size_t i = 0; i < n; i++) {
        const struct span *span = &log->spans[base + i - log->base];
        same =
            same && (span->unknown || (span->count == says[i].count &&
                                       span->low == says[i].low && span->high == says[i].high));
    }
    free(says);
    if (!same)
        segment_damage(log, ref, "rebuild", "log_differs",
                       "what it says of its positions is not what the chain says");
    return same;
}

static bool segment_decode(struct fsck_log *log, const struct landlog_segment_ref *ref,
                           struct bytes bytes, struct arena *arena, struct log_segment *out)
{
    int err = log_segment_decode(bytes, arena, out);
    if (err != OK || !id16_equal(&out->project, &log->p->id)) {
        segment_damage(log, ref, "named", "log_damaged",
                       err == OK ? "it is of another project" : "it cannot be decoded");
        return false;
    }
    if (out->first != ref->first || out->end != ref->end) {
        segment_damage(log, ref, "named", "log_damaged",
                       "its positions are not those of its name");
        return false;
    }
    return true;
}

/* Ten segments go when one has taken their place: one that is gone is either no longer listed,
 * or was told as a hole. */
static int segments_check(struct fsck_log *log, const struct landlog_segment_ref *refs,
                          size_t n)
{
    struct fsck_gets gets = {0};
    for (size_t i = 0; i < n; i++) {
        struct key key = key_log(&log->p->id, refs[i].first, refs[i].end);
        (void)fsck_gets_add(&gets, &key, range_all());
    }
    int err = fsck_gets_run(log->p->fsck, &gets);
    for (size_t i = 0; i < n && err == OK; i++) {
        AUTO(arena_release) struct arena arena = {0};
        struct log_segment segment;
        if (gets.ops[i].err == ERR_NOT_FOUND)
            continue;
        log->p->fsck->counts.segments++;
        struct bytes bytes =
            gets.ops[i].err == OK ? buf_bytes(&gets.bodies[i]) : bytes_of(NULL, 0);
        if (segment_decode(log, &refs[i], bytes, &arena, &segment) &&
            segment_compare(log, &refs[i], &segment))
            err = fsck_rollups_ask(log->p->rollups, &segment);
    }
    fsck_gets_clear(&gets);
    return err;
}

int fsck_log_check(struct fsck_log *log, uint64_t from)
{
    if (from <= 1)
        from = 1;
    size_t left = log->left;
    while (left > 0 && log->segments[left - 1].first >= from)
        left--;
    if (left == log->left)
        return OK;
    spans_reach(log, span_of(log->segments[left].first));
    for (size_t i = left; i < log->left; i += SEGMENTS_AT_ONCE) {
        size_t n = log->left - i < SEGMENTS_AT_ONCE ? log->left - i : SEGMENTS_AT_ONCE;
        int err = segments_check(log, log->segments + i, n);
        if (err != OK)
            return err;
    }
    log->left = left;
    /* A longer segment may begin further down, and reach up to a thousand positions. */
    size_t keep = LOG_SPAN_LARGE / LOG_SPAN_SMALL;
    if (log->n_spans > keep)
        log->n_spans = keep;
    return OK;
}

/* --- going back --- */

void fsck_log_back_init(struct fsck_log_back *back, const struct fsck_log *log,
                        uint64_t position)
{
    *back = (struct fsck_log_back){.log = log, .position = position};
}

void fsck_log_back_release(struct fsck_log_back *back)
{
    arena_release(&back->arena);
}

/* The newest that has something at or below the position. What is wrong with it is told where
 * it is compared. */
static int back_segment(struct fsck_log_back *back)
{
    AUTO_BUF bytes = {0};
    const struct fsck_log *log = back->log;
    size_t i = log->n_segments;
    while (i > 0 && log->segments[i - 1].first > back->position)
        i--;
    if (i == 0)
        return ERR_NOT_FOUND;
    struct key key = key_log(&log->p->id, log->segments[i - 1].first, log->segments[i - 1].end);
    int err = store_get(log->p->fsck->store, key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK) {
        arena_release(&back->arena);
        err = log_segment_decode(arena_copy(&back->arena, buf_bytes(&bytes)), &back->arena,
                                 &back->segment);
    }
    if (err != OK)
        return fsck_is_damage(err) ? ERR_NOT_FOUND : err;
    back->left = back->segment.n;
    return OK;
}

int fsck_log_back_next(struct fsck_log_back *back, struct hash *out)
{
    for (;;) {
        while (back->left > 0) {
            const struct log_entry *entry = &back->segment.entries[--back->left];
            if (entry->position > back->position || hash_equal(&entry->tree, &back->tree))
                continue;
            back->tree = entry->tree;
            *out = entry->tree;
            return OK;
        }
        if (back->segment.first == 1)
            return ERR_NOT_FOUND;
        if (back->segment.first > 0)
            back->position = back->segment.first - 1;
        int err = back_segment(back);
        if (err != OK)
            return err;
    }
}

/* --- which there are --- */

static void hole_tell(struct fsck_project *p, uint64_t at, uint64_t next)
{
    bool large = at % LOG_SPAN_LARGE == 1 && next - at >= LOG_SPAN_LARGE;
    struct key key = key_log(&p->id, at, at + (large ? LOG_SPAN_LARGE : LOG_SPAN_SMALL));
    fsck_damage(p->fsck, "rebuild", "log_segment_missing", key.s,
                "there are segments behind it; none has positions %" PRIu64 " to %" PRIu64, at,
                next - 1);
}

/* Each hole before the end. */
static void holes_tell(const struct fsck_log *log)
{
    uint64_t at = 1;
    for (size_t i = 0; i < log->left; i++) {
        const struct landlog_segment_ref *ref = &log->segments[i];
        if (ref->first > at)
            hole_tell(log->p, at, ref->first);
        at = ref->end > at ? ref->end : at;
    }
}

/* Segments that reach over the head are left out: it has moved on since, or they are not of
 * this project. */
static int over_head(struct fsck_log *log)
{
    uint64_t tip = log->p->tip_position;
    uint64_t now = tip;
    size_t n = 0;
    for (size_t i = 0; i < log->left; i++) {
        const struct landlog_segment_ref ref = log->segments[i];
        if (ref.end <= tip) {
            log->segments[n++] = ref;
            continue;
        }
        int err = ref.end > now ? fsck_position_now(log->p, &now) : OK;
        if (err != OK)
            return err;
        if (ref.end > now && ref.end > tip)
            segment_damage(log, &ref, "rebuild", "log_over_head",
                           "it has positions that the head does not reach");
    }
    log->left = n;
    return OK;
}

static int segments_list(struct fsck_log *log)
{
    struct fsck_project *p = log->p;
    struct landlog_segment_ref *chosen;
    size_t n_chosen;
    int err = ERR_CORRUPT;
    /* As readers do: lists are not atomic, and what looks like a hole may be none. */
    for (unsigned i = 0; i < LANDLOG_LISTS_MAX && err == ERR_CORRUPT; i++) {
        err = landlog_keys(&p->fsck->repo, &p->id, &log->arena, &log->segments, &log->left);
        if (err == OK)
            err = landlog_select(log->segments, log->left, &log->arena, &chosen, &n_chosen);
    }
    return err == ERR_CORRUPT ? OK : err;
}

int fsck_log_open(struct fsck_project *p, struct fsck_log **out)
{
    struct arena arena = {0};
    struct fsck_log *log = arena_new(&arena, struct fsck_log);
    *log = (struct fsck_log){.p = p, .arena = arena};
    int err = segments_list(log);
    if (err == OK)
        holes_tell(log);
    /* Without a chain there is nothing to hold them against. */
    if (err == OK && !hash_is_zero(&p->tip))
        err = over_head(log);
    for (size_t i = 0; i < log->left; i++) {
        if (log->segments[i].end > log->end)
            log->end = log->segments[i].end;
    }
    if (hash_is_zero(&p->tip) && log->end > 0)
        fsck_log_unknown(log, 0, log->end);
    log->n_segments = log->left;
    *out = log;
    return err;
}

void fsck_log_close(struct fsck_log *log)
{
    if (log == NULL)
        return;
    free(log->spans);
    struct arena arena = log->arena;
    arena_release(&arena);
}
