/* What is changed, as records of a session: contents are read, and those over the inline size,
 * or beyond what one request may hold, are uploaded first. */
#ifndef API_CLI_CHANGES_H
#define API_CLI_CHANGES_H

#include "api/cli/scan.h"
#include "api/client/client.h"

struct changes {
    struct worktree *tree; /* where the files are */
    struct client *client;
    struct bytes project; /* id in hex */
    uint64_t base;
    struct arena *arena;
    size_t inline_max; /* bytes of content that may travel inline */
    bool named;        /* contents are only named (CARRIER_TREE_RAW): nothing is sent */
    /* out */
    struct record *records; /* RECORD_OPERATION */
    size_t n, cap;
    size_t inline_bytes;
    uint64_t uploaded; /* bytes */
    /* contents that wait to be uploaded */
    struct bytes *paths;
    struct hash *hashes;
    size_t n_uploads, cap_paths, cap_hashes;
    char why[1024]; /* when a call has failed */
};

/* One changed path. `seen` is what the base has. ERR_AGAIN: the file changes while it is
 * read. */
int changes_add(struct changes *, const struct scan_item *, const struct seen *) MUST_USE;
/* A path that is to go. */
void changes_delete(struct changes *, struct bytes path, const struct seen *);
/* A path that is to be again what the base has, NULL: nothing. */
void changes_restore(struct changes *, struct bytes path, const struct index_entry *base);
/* Uploads what the forge lacks. After this the records may be sent. */
int changes_upload(struct changes *) MUST_USE;

#endif
