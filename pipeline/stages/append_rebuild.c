/* Making the segments of a log again from the chain: all of it follows from there. */
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/log_segment.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/repo/put_once.h"
#include "pipeline/stages/append.h"

#define SEGMENTS_A_RUN 10u

static int segment_make(struct repo *repo, const struct append_log *log,
                        const struct head *head, const struct landlog_segment_ref *ref)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct log_segment segment = {
        .project = log->project, .first = ref->first, .end = ref->end};
    int err = landlog_collect(repo, &log->project, head, ref->first == 1 ? 0 : ref->first,
                              ref->end, &arena, &segment.entries, &segment.n);
    if (err != OK)
        return err;
    log_segment_encode(&segment, &arena, &bytes);
    if (bytes.len > LOG_SEGMENT_MAX)
        return ERR_LIMIT;
    struct key key = key_log(&log->project, ref->first, ref->end);
    return put_again(repo, key.s, buf_bytes(&bytes));
}

/* The longest that begins there; where none does, and there are some behind it, the one that
 * should. */
static bool segment_at(const struct landlog_segment_ref *refs, size_t n,
                       const struct head *head, uint64_t at, struct landlog_segment_ref *out)
{
    struct landlog_segment_ref ref = {.first = at, .end = at};
    bool more = false;
    for (size_t i = 0; i < n; i++) {
        bool over = refs[i].end > head->position; /* nobody can say what it is */
        more = more || (refs[i].end > at && !over);
        if (refs[i].first == at && refs[i].end > ref.end && !over)
            ref = refs[i];
    }
    if (ref.end == at)
        ref.end = at + LOG_SPAN_SMALL;
    *out = ref;
    return more;
}

int append_rebuild(struct repo *repo, struct append_log *log, const struct head *head)
{
    AUTO(arena_release) struct arena arena = {0};
    struct landlog_segment_ref *refs;
    size_t n;
    int made = 0;
    int err = landlog_keys(repo, &log->project, &arena, &refs, &n);
    if (log->rebuilt == 0)
        log->rebuilt = 1;
    for (unsigned i = 0; i < SEGMENTS_A_RUN && err == OK; i++) {
        struct landlog_segment_ref ref;
        if (!segment_at(refs, n, head, log->rebuilt, &ref))
            break;
        err = segment_make(repo, log, head, &ref);
        if (err == OK) {
            log->rebuilt = ref.end;
            made++;
        }
    }
    return err != OK ? err : made;
}
