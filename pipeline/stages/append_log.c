#include "pipeline/stages/append.h"

#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/log_segment.h"
#include "pipeline/repo/history/landlog_segment.h"

#define SEGMENTS_A_RUN 10u
#define SMALL_A_LARGE  (LOG_SPAN_LARGE / LOG_SPAN_SMALL)

/* As long as the entries of one walk take less, the next walk may be twice as long. */
#define WALK_BYTES (16u * MIB)

/* A segment is final only when the head is at its end or beyond: answers that land nothing are
 * filed under the head's position, so under `end - 1` they still come while the head is
 * there. */
static bool is_final(const struct head *head, uint64_t end)
{
    return head->position >= end;
}

bool append_due(const struct append_log *log, const struct head *head)
{
    return !log->listed || is_final(head, log->end + LOG_SPAN_SMALL) ||
           log->end - log->rolled >= LOG_SPAN_LARGE;
}

/* Written once: whoever was first has put the same entries. */
static int segment_put(struct repo *repo, const struct log_segment *segment)
{
    AUTO(arena_release) struct arena scratch = {0};
    AUTO_BUF bytes = {0};
    log_segment_encode(segment, &scratch, &bytes);
    /* Readers refuse one that is longer; they take what it would hold from the chain. */
    if (bytes.len > LOG_SEGMENT_MAX)
        return ERR_LIMIT;
    struct key key = key_log(&segment->project, segment->first, segment->end);
    int err = store_put(repo->store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL);
    return err == ERR_CONFLICT ? OK : err;
}

/* ---- small segments ---- */

/* Cuts entries in order of the chain into segments, and puts these one after another, so that
 * there is never a hole. */
static int cut_and_put(struct repo *repo, struct append_log *log, struct log_entry *entries,
                       uint32_t n, unsigned span)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < span; i++) {
        uint64_t end = log->end + LOG_SPAN_SMALL;
        uint32_t from = at;
        while (at < n && entries[at].position < end)
            at++;
        struct log_segment segment = {
            .project = log->project,
            .first = log->end,
            .end = end,
            .entries = entries + from,
            .n = at - from,
        };
        int err = segment_put(repo, &segment);
        if (err != OK)
            return err;
        log->end = end;
    }
    return OK;
}

/* One walk of the chain, for as many segments as memory allows: a batch that reaches over many
 * of them is then read once. */
static int walk_and_put(struct repo *repo, struct append_log *log, const struct head *head,
                        unsigned span)
{
    AUTO(arena_release) struct arena arena = {0};
    struct log_entry *entries;
    uint32_t n;
    uint64_t first = log->end == 1 ? 0 : log->end;
    uint64_t end = log->end + (uint64_t)span * LOG_SPAN_SMALL;
    int err = landlog_collect(repo, &log->project, head, first, end, &arena, &entries, &n);
    if (err != OK)
        return err;
    log->span = arena.used < WALK_BYTES ? 2 * span : 1;
    return cut_and_put(repo, log, entries, n, span);
}

static int smalls_put(struct repo *repo, struct append_log *log, const struct head *head,
                      int *put)
{
    unsigned left = SEGMENTS_A_RUN;
    while (left > 0 && is_final(head, log->end + LOG_SPAN_SMALL)) {
        unsigned span = log->span < left ? log->span : left;
        uint64_t whole = (head->position - log->end) / LOG_SPAN_SMALL;
        if (span > whole)
            span = (unsigned)whole;
        int err = walk_and_put(repo, log, head, span);
        if (err != OK)
            return err;
        left -= span;
        *put += (int)span;
    }
    return OK;
}

/* ---- large segments ---- */

static int refs_delete(struct repo *repo, const struct id16 *project,
                       const struct landlog_segment_ref *refs, size_t n)
{
    struct key keys[SMALL_A_LARGE];
    struct store_op ops[SMALL_A_LARGE] = {0};
    assert(n <= SMALL_A_LARGE);
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_log(project, refs[i].first, refs[i].end);
        ops[i] = (struct store_op){.verb = STORE_DELETE, .key = keys[i].s};
    }
    return n > 0 ? store_many(repo->store, ops, n) : OK;
}

/* Joins the ten segments from `first` on, puts the one that takes their place, reads it back,
 * and only then deletes them. */
static int large_put(struct repo *repo, struct append_log *log, uint64_t first)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref refs[SMALL_A_LARGE];
    struct log_segment parts[SMALL_A_LARGE];
    struct log_segment large = {
        .project = log->project, .first = first, .end = first + LOG_SPAN_LARGE};
    for (unsigned i = 0; i < SMALL_A_LARGE; i++) {
        refs[i].first = first + i * LOG_SPAN_SMALL;
        refs[i].end = refs[i].first + LOG_SPAN_SMALL;
        int err = landlog_segment_get(repo, &log->project, &refs[i], &arena, &parts[i]);
        if (err != OK)
            return err;
        large.n += parts[i].n;
    }
    large.entries = arena_array(&arena, large.n, struct log_entry);
    uint32_t n = 0;
    for (unsigned i = 0; i < SMALL_A_LARGE; i++) {
        for (uint32_t j = 0; j < parts[i].n; j++)
            large.entries[n++] = parts[i].entries[j];
    }
    struct landlog_segment_ref ref = {.first = large.first, .end = large.end};
    struct log_segment back;
    int err = segment_put(repo, &large);
    if (err == OK)
        err = landlog_segment_get(repo, &log->project, &ref, &arena, &back);
    return err == OK ? refs_delete(repo, &log->project, refs, SMALL_A_LARGE) : err;
}

/* ---- what is there ---- */

/* Small segments whose large one is there, and chosen by readers: left behind by a crash
 * between its put and their deletes. */
static int leftovers_delete(struct repo *repo, const struct append_log *log,
                            const struct landlog_segment_ref *keys, size_t n)
{
    struct landlog_segment_ref refs[SMALL_A_LARGE];
    size_t n_refs = 0;
    uint64_t checked = 0; /* the large segment that was read last */
    for (size_t i = 0; i < n; i++) {
        if (keys[i].end > log->rolled || keys[i].end - keys[i].first != LOG_SPAN_SMALL)
            continue;
        uint64_t first = keys[i].first - (keys[i].first - 1) % LOG_SPAN_LARGE;
        if (first != checked) {
            AUTO(arena_release) struct arena arena = {0};
            struct landlog_segment_ref large = {.first = first, .end = first + LOG_SPAN_LARGE};
            struct log_segment segment;
            int err = landlog_segment_get(repo, &log->project, &large, &arena, &segment);
            if (err != OK)
                return err;
            checked = first;
        }
        refs[n_refs++] = keys[i];
        if (n_refs == SMALL_A_LARGE) {
            int err = refs_delete(repo, &log->project, refs, n_refs);
            if (err != OK)
                return err;
            n_refs = 0;
        }
    }
    return refs_delete(repo, &log->project, refs, n_refs);
}

static int log_list(struct repo *repo, struct append_log *log)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *keys;
    struct landlog_segment_ref *chosen;
    size_t n_keys;
    size_t n;
    int err = landlog_list(repo, &log->project, &arena, &keys, &n_keys, &chosen, &n);
    if (err != OK)
        return err;
    log->span = 1;
    log->end = n > 0 ? chosen[n - 1].end : 1;
    log->rolled = 1;
    for (size_t i = 0; i < n && chosen[i].end - chosen[i].first == LOG_SPAN_LARGE; i++)
        log->rolled = chosen[i].end;
    err = leftovers_delete(repo, log, keys, n_keys);
    log->listed = err == OK;
    return err;
}

int append_project(struct repo *repo, struct append_log *log, const struct head *head)
{
    int put = 0;
    int err = log->listed ? OK : log_list(repo, log);
    if (err == OK)
        err = smalls_put(repo, log, head, &put);
    if (err == OK && log->end - log->rolled >= LOG_SPAN_LARGE) {
        err = large_put(repo, log, log->rolled);
        if (err == OK) {
            log->rolled += LOG_SPAN_LARGE;
            put++;
        }
    }
    /* After an error nobody knows what came of a put or delete: look again next time. Segments
     * that have vanished are another appender's work, and no error. */
    if (err != OK)
        log->listed = false;
    return err != OK && err != ERR_NOT_FOUND ? err : put;
}
