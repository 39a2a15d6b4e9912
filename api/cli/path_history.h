/* The landings that changed a path, newest first, and what each did to it. A file that came by
 * a rename can be followed to the path that it had before. */
#ifndef API_CLI_PATH_HISTORY_H
#define API_CLI_PATH_HISTORY_H

#include "api/client/client.h"

struct path_history {
    struct client *client;
    struct bytes project; /* id in hex */
    struct arena *arena;  /* that all of it lies in */
    bool follow;
    struct bytes path; /* as it is called at this point of the history */
    struct client_log page;
    size_t at;     /* in the page */
    size_t wanted; /* entries of the next page */
    bool opened;   /* there is no page before the first */
};

/* What one landing did. */
struct path_step {
    const struct client_log_entry *entry;
    struct bytes path;                   /* as it is called after this landing */
    const struct client_operation *what; /* what was done to the path itself; NULL: only what
                                            lies below changed */
    struct bytes moved_from; /* the landing moved the file here from there; empty: no */
};

/* From position `before` back (UINT64_MAX: the head's). With `follow` a rename leads to what
 * landed before it at the path moved from. `expected` entries are asked for at first, and then
 * ever more. */
void path_history_open(struct path_history *, struct client *, struct bytes project,
                       struct bytes path, uint64_t before, bool follow, size_t expected,
                       struct arena *);
/* 0 and the next older step, whose entry is NULL at the end; else what the client failed of. */
int path_history_next(struct path_history *, struct path_step *out) MUST_USE;

#endif
