/* Small helpers over the file system, durable where they say so. Errors are enum err:
 * ENOENT not found, EEXIST conflict, EACCES/EPERM/EROFS denied, ENOSPC/EDQUOT/EMFILE again, the
 * rest unknown or invalid. */
#ifndef PIPELINE_SYS_FILE_H
#define PIPELINE_SYS_FILE_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

int err_from_errno(int e);
/* Appends the whole file; ERR_LIMIT when it has more than `max` bytes. */
int file_read(const char *path, size_t max, struct buf *out) MUST_USE;
/* Writes all of `data` to fd, whatever write(2) takes at once. */
int fd_write_all(int fd, struct bytes data) MUST_USE;
/* Replaces `path` by a temporary beside it that is synced, renamed, and its directory synced
 * when `durable`. */
int file_replace(const char *path, struct bytes data, unsigned mode, bool durable) MUST_USE;
/* mkdir -p. */
int file_mkdirs(const char *path) MUST_USE;

#endif
