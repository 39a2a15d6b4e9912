/* A store in a directory of one machine's file system. Any number of processes may use one
 * directory at once.
 *
 * An object is a file at its key's path; what the store needs for itself lies in DIR/.micelio.
 * A put writes a temporary file, syncs it, renames it to its name and syncs the folder; `many`
 * does each of these steps for all its puts before the next, so that they share the work of a
 * sync. So no name stands on the disk before its bytes do. A condition is checked and the put
 * made under a lock that holds between processes. An etag is a digest of the bytes, never a
 * time.
 *
 * Between the rename and the sync of the folder an object is seen that a power loss could take
 * back. It bears a mark for so long (its owner may execute it), and whoever gets a marked
 * object, or is told that it is there, syncs its folder first. So nothing that a get has given
 * is ever lost, and whatever a head names is durable before the head is. A list does not wait
 * for that: it may name an object that is not durable yet. A delete is not synced: a power loss
 * may bring its object back.
 *
 * Folders are never removed, so that no put meets one that is going. The space of a deleted or
 * replaced object is free a moment after the call, for a thread of the store does that. A store
 * is not used on both sides of a fork. */
#ifndef PIPELINE_STORE_FS_H
#define PIPELINE_STORE_FS_H

#include "pipeline/store/store.h"

/* Opens `dir`, which is made when it is not there, and removes temporary files older than a
 * day. ERR_DENIED, ERR_LIMIT (disk full) or ERR_INVALID (not a directory). */
int fs_store_open(const char *dir, struct store **out) MUST_USE;

#endif
