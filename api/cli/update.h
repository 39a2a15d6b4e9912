/* Moving a workspace to another position: for checkout, sync, goto and after landing. The base
 * in the index moves last, when all files are written; before the first is touched, the journal
 * says where to. Whoever takes the lock after a crash finishes what the journal says. */
#ifndef API_CLI_UPDATE_H
#define API_CLI_UPDATE_H

#include "api/cli/apply.h"

struct update {
    struct workspace *ws; /* locked */
    struct client *client;
    const struct apply_progress *progress;
    struct arena *arena;
    /* out */
    uint64_t from;
    uint64_t position;
    uint64_t written; /* files */
    uint64_t removed;
    uint64_t merged;
    struct plan plan; /* its steps say which are conflicts */
    size_t conflicts;
};

/* To `position` (UINT64_MAX: the head's). ERR_CONFLICT in mode PLAN_GOTO: plan.lost says what
 * it would lose, and nothing was done. Conflicts of a sync are OK, and counted. */
int update_run(struct update *, uint64_t position, enum plan_mode) MUST_USE;
/* Finishes what was interrupted; OK when nothing was. `did` (may be NULL) says whether. */
int update_resume(struct update *, bool *did) MUST_USE;
/* A checkout into a workspace that has just been created and is empty. */
int update_checkout(struct update *, uint64_t position) MUST_USE;

/* Conflicts that are not dealt with: files with markers, and what lies beside as theirs. Paths
 * in the arena. */
struct unresolved {
    struct bytes *paths;
    size_t n;
};
int update_unresolved(struct workspace *, struct arena *, struct unresolved *out) MUST_USE;

#endif
