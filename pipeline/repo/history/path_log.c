#include "pipeline/repo/history/path_log.h"

#include "formats/path.h"
#include "pipeline/repo/history/rollup_read.h"

struct path_log {
    struct arena arena; /* holds the reader itself */
    struct landlog *log;
    struct rollup_reader *rollups; /* NULL: of the root nobody asks them */
    bool in_run;                   /* of the log, which is read through */
    struct bytes path;
    uint64_t from;
    uint64_t end; /* for the root: where its one run ends */
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

int path_log_open(struct repo *repo, const struct id16 *project, struct bytes path,
                  uint64_t from, uint64_t before, struct path_log **out)
{
    struct landlog *landlog;
    int err = landlog_open(repo, project, before, &landlog);
    if (err != OK)
        return err;
    struct arena arena = {0};
    struct path_log *log = arena_new(&arena, struct path_log);
    log->log = landlog;
    log->path = arena_copy(&arena, path);
    log->from = from;
    uint64_t head = landlog_head(landlog)->position;
    log->end = (before < head ? before : head) + 1;
    if (path.len > 0) {
        log->rollups = rollup_reader_open(repo, project);
        rollup_reader_ask(log->rollups, rollup_key_path(path), from, log->end);
    }
    log->arena = arena;
    *out = log;
    return OK;
}

/* False when there is none left. */
static bool range_next(struct path_log *log, struct rollup_range *out)
{
    if (log->rollups != NULL)
        return rollup_reader_next(log->rollups, out);
    *out = (struct rollup_range){.from = log->from, .end = log->end};
    log->end = log->from;
    return out->from < out->end;
}

int path_log_next(struct path_log *log, const struct log_entry **out)
{
    for (;;) {
        struct rollup_range range;
        const struct log_entry *entry;
        int err = OK;
        if (!log->in_run && !range_next(log, &range))
            return ERR_NOT_FOUND;
        if (!log->in_run)
            err = landlog_run(log->log, range.from, range.end);
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
