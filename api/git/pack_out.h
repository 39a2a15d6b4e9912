/* Git objects on their way into a repository: gathered in memory and written as packs, because
 * a file for each would take far longer than the objects themselves. Any thread may write. */
#ifndef API_GIT_PACK_OUT_H
#define API_GIT_PACK_OUT_H

#include "api/git/git_lib.h"

struct pack_out;

/* `dir` is the repository's own directory (that has objects/). */
int pack_out_open(git_repository *, struct git_report *, struct pack_out **out) MUST_USE;
void pack_out_close(struct pack_out *);

int pack_out_write(struct pack_out *, git_object_t type, struct bytes data,
                   git_oid *out) MUST_USE;
/* An object of `size` bytes that come in pieces; it goes to a file of its own at once. */
int pack_out_stream(struct pack_out *, uint64_t size, git_odb_stream **out) MUST_USE;

/* Whether so much has gathered that a pack should be written; and writes it. No other thread
 * may write meanwhile. */
bool pack_out_full(struct pack_out *);
int pack_out_flush(struct pack_out *) MUST_USE;

#endif
