/* A workspace: a directory with the files of a project at one position, and in `.mic`
 *
 *   config.json   url, project id, handle; written once
 *   index         the base and what the files were when last looked at (see index.h)
 *   session       the id of the session that was started here, if any
 *   journal       what is under way: see journal below
 *   lock          locked while something is changed, so that one mic at a time changes it
 *   tmp/          files that are being written
 *   staged/       merged files of the journal
 *
 * Every one of these files is replaced whole. */
#ifndef API_CLI_WORKSPACE_H
#define API_CLI_WORKSPACE_H

#include "api/cli/worktree.h"
#include "formats/base/arena.h"
#include "formats/base/types.h"
#include "pipeline/sys/clock.h"

struct workspace {
    char *root; /* absolute */
    char *url;
    char *handle;
    struct id16 project;
    struct worktree tree;
    int lock; /* -1: not held */
};

#define AUTO_WORKSPACE AUTO(workspace_close) struct workspace

/* The workspace that `from` lies in. ERR_NOT_FOUND; ERR_CORRUPT when its config.json is not
 * readable. */
int workspace_open(struct workspace *, const char *from) MUST_USE;
/* Makes `.mic` in the directory `root`, which is there. */
int workspace_create(const char *root, const char *url, const struct id16 *project,
                     struct bytes handle) MUST_USE;
void workspace_close(struct workspace *);

/* Takes the lock, waiting up to `wait_ms`; ERR_AGAIN when another holds it. */
int workspace_lock(struct workspace *, struct clock *, uint64_t wait_ms) MUST_USE;
void workspace_unlock(struct workspace *);

/* A file of .mic: ERR_NOT_FOUND; ERR_LIMIT over `max`. Put is atomic; dropping what is not
 * there is OK. */
int workspace_get(struct workspace *, const char *name, size_t max, struct buf *out) MUST_USE;
int workspace_put(struct workspace *, const char *name, struct bytes) MUST_USE;
int workspace_drop(struct workspace *, const char *name) MUST_USE;

/* The session that is current here; ERR_NOT_FOUND. */
int workspace_session(struct workspace *, struct id16 *out) MUST_USE;
int workspace_session_set(struct workspace *, const struct id16 *session) MUST_USE;

/* A change of base that is under way. It stands from before the first file is touched until the
 * index has the new base, so whoever comes after a crash finishes it first. */
enum journal_kind {
    JOURNAL_CHECKOUT,
    JOURNAL_SYNC, /* and goto */
};
/* A file whose new content is neither the old base's nor the new one's. */
struct journal_merge {
    struct bytes path;
    struct hash before; /* of the work file that was merged; zero: there was none */
    struct hash after;  /* of what lies in staged/ under this hash */
    uint16_t mode;
    struct bytes conflict; /* why it is a conflict; empty: it is none */
};
struct journal {
    enum journal_kind kind;
    uint64_t position;
    struct hash tree;    /* the tree object to read the target from */
    struct hash content; /* content hash of the target's tree; zero: not known */
    struct journal_merge *merges;
    size_t n;
};
int journal_get(struct workspace *, struct arena *, struct journal *out) MUST_USE;
int journal_put(struct workspace *, const struct journal *) MUST_USE;

/* A path as the user gave it, seen from `cwd`, as a path of the project; "" for the root
 * itself. ERR_INVALID when it lies outside. */
int workspace_path(const struct workspace *, const char *cwd, const char *given, struct arena *,
                   struct bytes *out) MUST_USE;

#endif
