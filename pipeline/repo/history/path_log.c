#include "pipeline/repo/history/path_log.h"

#include "formats/path.h"

struct path_log {
    struct arena arena; /* holds the reader itself */
    struct landlog *log;
    struct bytes path;
    uint64_t from;
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
    log->arena = arena;
    *out = log;
    return OK;
}

int path_log_next(struct path_log *log, const struct log_entry **out)
{
    const struct log_entry *entry;
    int err;
    while ((err = landlog_next(log->log, &entry)) == OK) {
        if (entry->position < log->from)
            return ERR_NOT_FOUND;
        if (entry->verdict == VERDICT_LANDED && path_log_touches(entry, log->path)) {
            *out = entry;
            return OK;
        }
    }
    return err;
}

void path_log_close(struct path_log *log)
{
    if (log == NULL)
        return;
    landlog_close(log->log);
    struct arena arena = log->arena;
    arena_release(&arena);
}
