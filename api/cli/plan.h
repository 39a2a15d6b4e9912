/* What is to be done to a workspace so that it has a new base: one step a path that differs
 * between the two. Nothing is changed here.
 *
 * Where a file was changed here and there: equal changes are taken as they are; text is merged;
 * of binary files ours stays, and theirs is written beside it as NAME.theirs; a file deleted
 * here and changed there comes back; one changed here and deleted there stays, as a new
 * file. */
#ifndef API_CLI_PLAN_H
#define API_CLI_PLAN_H

#include "api/cli/scan.h"
#include "api/cli/target.h"

enum plan_mode {
    PLAN_SYNC,
    PLAN_GOTO,   /* a change of ours that would need a merge is listed, not merged */
    PLAN_RESUME, /* of a checkout: what is there is a part of it, or the user's */
};

enum step_kind {
    STEP_ADOPT, /* the base changes, no file does */
    STEP_REMOVE,
    STEP_PUT,    /* the file becomes the new base's */
    STEP_MERGED, /* the file becomes what lies in staged/ */
    STEP_SIDE,   /* the new base's is written beside it */
};

struct step {
    enum step_kind kind;
    struct bytes path;
    const struct entry *to; /* of the new base; NULL: it has none */
    bool fresh;             /* PUT: nothing is there now */
    bool partial;  /* PUT: what is there may be a beginning of it; else it is the user's */
    bool expected; /* `was` must still hold, or the file was changed meanwhile */
    struct stat_mark was;
    struct hash merged;   /* MERGED */
    uint16_t mode;        /* MERGED */
    const char *conflict; /* why it is one; NULL: it is none */
    struct bytes side;    /* SIDE: where, filled in when it is done */
    bool marked; /* the file is as `to` says, with this mark; filled in when it is done */
    struct stat_mark mark;
};

struct plan {
    struct step *steps; /* sorted by path */
    size_t n;
    struct journal_merge *merges;
    size_t n_merges;
    struct arena *arena; /* that all of it lies in */
    struct bytes *lost;  /* PLAN_GOTO: what it would lose */
    size_t n_lost;
};

/* `journal` has the merges of an earlier try, or is NULL. Merged files are put into staged/. */
int plan_make(struct workspace *, struct client *, const struct index *, const struct scan *,
              const struct target *, const struct target_changes *, enum plan_mode,
              const struct journal *, struct arena *, struct plan *out) MUST_USE;

/* Appends what the base has under `e`'s path; checked against its hash. `project` is in hex. */
int base_read(struct client *, struct bytes project, struct bytes path, uint64_t position,
              const struct hash *, uint64_t size, struct buf *out) MUST_USE;

#endif
