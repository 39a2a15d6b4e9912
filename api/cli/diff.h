/* What differs between two positions, or between one and the files of the workspace, as a
 * patch. Contents are read when they are printed, one file at a time. */
#ifndef API_CLI_DIFF_H
#define API_CLI_DIFF_H

#include "api/cli/cli.h"
#include "api/cli/scan.h"

struct diff {
    struct cli *cli;
    struct bytes project; /* id in hex */
    uint64_t from;
    uint64_t to;
    bool local;                    /* what is there now lies in the workspace */
    struct client_changes changes; /* by path */
};

/* Prints it, or writes an array "changes" of it. Of more than `most` files it prints the first
 * and says on stderr how many there are. An exit status. */
int diff_print(const struct diff *, size_t most, struct json_writer *) MUST_USE;

/* Makes `diff->changes`, which are those from `diff->from` to the workspace's base, those to
 * the workspace's files. `scan` has only what is wanted of it. An exit status. */
int diff_add_scan(struct diff *, const struct scan *) MUST_USE;

#endif
