/* The files of a result cache's directory, as a test sees them from outside. */
#ifndef TESTS_SUPPORT_RESULT_FILES_H
#define TESTS_SUPPORT_RESULT_FILES_H

#include "formats/base/types.h"

#define RESULT_FILES_PATH_MAX 1024u

/* Files that have a name, and those that have none yet. `dir` is the cache's, or the file
 * area's. */
size_t result_files_count(const char *dir);
size_t result_files_fresh(const char *dir);
/* The path of the only file with a name, or of the one whose name has `part` in it. */
void result_files_find(const char *dir, const char *part, char out[RESULT_FILES_PATH_MAX]);

#endif
