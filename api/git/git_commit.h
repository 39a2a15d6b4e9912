/* A raw commit object, taken apart so that it can be put together again with another tree and
 * other parents. Nothing of it is understood but where its parts begin; all else is kept byte
 * for byte: authors, encodings, signatures, unknown headers, and the message with or without a
 * newline at its end. */
#ifndef API_GIT_GIT_COMMIT_H
#define API_GIT_GIT_COMMIT_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

#define GIT_HEX_LEN 40u

struct git_commit_parts {
    struct bytes tree;    /* its id in hex */
    struct bytes parents; /* their ids in hex, one space between */
    struct bytes rest;    /* what follows the tree and parent lines */
};

/* ERR_CORRUPT when it does not begin as a commit does. `parents` lies in the arena, the other
 * parts in `raw`. */
int git_commit_split(struct bytes raw, struct arena *, struct git_commit_parts *out) MUST_USE;
/* The first parent in hex; empty when there is none. */
struct bytes git_commit_first_parent(const struct git_commit_parts *);
/* Appends the object that has these parts. */
void git_commit_join(const struct git_commit_parts *, struct buf *out);

/* Appends `rest` without what vouches for the original object: the headers gpgsig,
 * gpgsig-sha256 and mergetag. */
void git_commit_unsign(struct bytes rest, struct buf *out);

/* The message's first paragraph in one line of UTF-8, at most `max` bytes. Bytes that are not
 * UTF-8 are taken for Latin-1 when the commit says so or says nothing, else they become
 * U+FFFD. */
struct bytes git_commit_subject(struct bytes rest, size_t max, struct arena *);

#endif
