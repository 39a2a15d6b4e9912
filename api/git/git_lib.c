#include "api/git/git_lib.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

/* Trees up to this size stay in a repository's cache: the next commit begins with them. */
#define TREE_CACHED_MAX ((size_t)256 * KIB)

static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static void lib_start(void)
{
    (void)git_libgit2_init();
    (void)git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, TREE_CACHED_MAX);
    /* Whose the repository is matters where its configuration runs programs; here it is only
     * read. */
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
}

void git_lib_start(void)
{
    (void)pthread_once(&lib_once, lib_start);
}

int git_fail(struct git_report *report, int err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(report->problem, sizeof(report->problem), fmt, args);
    va_end(args);
    return err;
}

static int err_of_lib(int code)
{
    switch (code) {
    case GIT_ENOTFOUND:
        return ERR_NOT_FOUND;
    case GIT_EEXISTS:
        return ERR_CONFLICT;
    case GIT_EINVALIDSPEC:
    case GIT_EINVALID:
    case GIT_EAMBIGUOUS:
        return ERR_INVALID;
    case GIT_EMISMATCH:
        return ERR_CORRUPT;
    }
    return ERR_UNKNOWN;
}

int git_lib_fail(struct git_report *report, int code, const char *what)
{
    const git_error *error = git_error_last();
    return git_fail(report, err_of_lib(code), "%s: %s", what,
                    error == NULL ? "git gives no reason" : error->message);
}

int git_client_fail(struct git_report *report, const struct client *client, int err,
                    const char *what)
{
    bool said = client->problem.err == err && client->problem.message[0] != '\0';
    return git_fail(report, err, "%s: %s", what,
                    said ? client->problem.message : err_name(err));
}

struct git_hex git_hex(const git_oid *oid)
{
    struct git_hex hex;
    git_oid_tostr(hex.s, sizeof(hex.s), oid);
    return hex;
}

void git_repository_close(git_repository **repository)
{
    git_repository_free(*repository);
}

void git_odb_close(git_odb **odb)
{
    git_odb_free(*odb);
}

void git_odb_object_close(git_odb_object **object)
{
    git_odb_object_free(*object);
}
