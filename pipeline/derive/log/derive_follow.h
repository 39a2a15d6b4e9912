/* The derive log, as a node reads it: what every agent has told of a project, each agent's
 * objects in the order of their numbers.
 *
 * A look lists what lies behind the cursor and hops over what it has read: an agent that has
 * nothing new costs a list of few keys at most, however long its log is. Objects are fetched
 * side by side, and checked: magic, checksum, and that they are what their name says. One that
 * cannot be read is logged by its key and becomes a hole of the cursor (derive_cursor.h). What
 * was merged (derive_segment.h) is read from the segments. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_FOLLOW_H
#define PIPELINE_DERIVE_LOG_DERIVE_FOLLOW_H

#include "formats/derive_object.h"
#include "pipeline/derive/log/derive_cursor.h"
#include "pipeline/repo/repo.h"

/* Takes one object in; it is what `encoded` decodes to, and its byte runs point into that. The
 * same may come again, for another reader of the same index: it is nothing new then. An error
 * ends the look and is given back; the object comes again at the next. */
typedef int (*derive_take_fn)(void *arg, const struct derive_object *, struct bytes encoded);

/* Reads all objects that lay there when it began and that the cursor has not, and raises the
 * cursor. Fails when the store does, or `take`; what was taken until then counts. Damage is no
 * failure. */
int derive_follow(struct repo *, const struct id16 *project, struct derive_cursor *,
                  derive_take_fn take, void *arg) MUST_USE;

/* Appends `len` bytes at `offset` of an object, wherever it lies now: an agent's own, or a
 * segment that it was merged into. ERR_NOT_FOUND when it is nowhere; ERR_CORRUPT when it ends
 * before. The caller checks the bytes by their hash. */
int derive_read(struct repo *, const struct id16 *project, uint64_t agent, uint64_t seq,
                uint32_t offset, uint32_t len, struct buf *body) MUST_USE;

#endif
