/* What the files of this folder share about libgit2. */
#ifndef API_GIT_GIT_LIB_H
#define API_GIT_GIT_LIB_H

#include <git2.h>

#include "api/git/git.h"

/* Starts the library, once a process. */
void git_lib_start(void);

/* Says in the report why it failed; gives err. */
int git_fail(struct git_report *, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a call of libgit2 that gave `code`, in its words; gives the enum err. */
int git_lib_fail(struct git_report *, int code, const char *what);
/* The same for a call of the client. */
int git_client_fail(struct git_report *, const struct client *, int err, const char *what);

static inline struct bytes git_oid_bytes(const git_oid *oid)
{
    return bytes_of(oid->id, sizeof(oid->id));
}

struct git_hex {
    char s[GIT_OID_HEXSZ + 1];
};
struct git_hex git_hex(const git_oid *);

void git_repository_close(git_repository **);
void git_odb_close(git_odb **);
void git_odb_object_close(git_odb_object **);
#define AUTO_REPOSITORY AUTO(git_repository_close) git_repository
#define AUTO_ODB        AUTO(git_odb_close) git_odb
#define AUTO_OBJECT     AUTO(git_odb_object_close) git_odb_object

static inline struct bytes git_object_bytes(git_odb_object *object)
{
    return bytes_of(git_odb_object_data(object), git_odb_object_size(object));
}

#endif
