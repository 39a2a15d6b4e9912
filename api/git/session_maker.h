/* Makes sessions out of commits: one maker a thread, with a repository handle and, when large
 * contents are to go up, a connection to the forge of its own. */
#ifndef API_GIT_SESSION_MAKER_H
#define API_GIT_SESSION_MAKER_H

#include "api/git/content_names.h"
#include "api/git/git_diff.h"
#include "api/git/left_out.h"

/* What all makers of an import share; read only, but for the two that take care themselves. */
struct session_terms {
    const char *repository;
    const char *url;
    const char *author;
    struct clock *clock;
    struct id16 project;
    struct id16 owner;
    uint64_t base;
    unsigned attempt; /* from 1; see git.h */
    struct content_names *names;
    struct left_out_set *left_out;
};

struct session_maker {
    const struct session_terms *terms;
    git_repository *repository;
    git_odb *odb;
    struct client client;
    bool has_client;
    struct git_report *report; /* for the problem only */
};

int session_maker_open(struct session_maker *, const struct session_terms *,
                       struct git_report *) MUST_USE;
void session_maker_close(struct session_maker *);

/* Appends the session of a commit, behind its u32 length, as a series carries it. `parent`
 * (NULL: none) is the commit whose tree it is held against. `number` counts the commits of the
 * history. Contents that are too large for it have been uploaded then. */
int session_make(struct session_maker *, const git_oid *parent, const git_oid *commit,
                 uint64_t number, struct buf *out) MUST_USE;

/* Counts what of a commit's tree the forge cannot hold, and makes nothing. */
int session_maker_look(struct session_maker *, const git_oid *commit) MUST_USE;

#endif
