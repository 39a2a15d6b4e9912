/* Git histories in and out, over the REST interface.
 *
 * A commit becomes a session: its goal is the message's subject, its author is who imports, and
 * these attributes keep the rest:
 *
 *   git.commit     the raw commit object without its tree and parent lines, byte for byte; over
 *                  1 MiB it goes on in git.commit.1, git.commit.2, …
 *   git.id         the commit's id, in hex
 *   git.parents    the ids of all its parents, in hex, one space between
 *   git.left-out   what of the commit the forge cannot hold: a line each, path, a tab and why;
 *                  absent when there is nothing
 *
 * The session's key is the commit's id, and all sessions of an import have one base: the
 * project's position when it was begun, which whoever goes on with it reads from the newest of
 * them. So a commit's session id stays, and what is sent twice is landed once, whatever
 * requests it came in. A session that came and did not land is closed for good; its commit is
 * sent again with the key ID#2, and so on. */
#ifndef API_GIT_GIT_H
#define API_GIT_GIT_H

#include "api/client/client.h"

#define GIT_ATTR_COMMIT   "git.commit"
#define GIT_ATTR_ID       "git.id"
#define GIT_ATTR_PARENTS  "git.parents"
#define GIT_ATTR_LEFT_OUT "git.left-out"

/* What the forge cannot hold as git has it. */
enum git_why {
    GIT_WHY_SUBMODULE, /* a link to another repository's commit: left out */
    GIT_WHY_PATH,      /* path_check refuses the path: left out */
    GIT_WHY_KIND,      /* neither file, link nor directory: left out */
    GIT_WHY_CLASH,     /* a second entry of the same name in one directory: left out */
    GIT_WHY_EMPTY,     /* a directory without entries: left out */
    GIT_WHY_MODE,      /* held, but with another mode */
};
#define GIT_WHYS 6u

/* "submodule", "path", "kind", "clash", "empty_directory", "mode" */
const char *git_why_name(enum git_why);

#define GIT_LEFT_OUT_LISTED_MAX 10000u

struct git_left_out {
    enum git_why why;
    struct bytes path;   /* as git has it: any bytes */
    struct bytes detail; /* how a sentence about the path goes on */
    struct bytes commit; /* the first that has it, in hex */
};

/* What came of an import or export. */
struct git_report {
    uint64_t landings;              /* commits that landed, or were written, in this run */
    uint64_t position;              /* of the last of them, or where the import went on */
    bool resumed;                   /* an import: commits before were there already */
    char commit[41];                /* the last one's id; empty: there is none */
    uint64_t left_out_by[GIT_WHYS]; /* paths, each counted once */
    struct git_left_out *left_out;  /* the first of them */
    size_t n_left_out;
    uint64_t renamed;  /* an export: commits whose id is not that of their import */
    char problem[640]; /* why it failed, a sentence */
    struct arena arena;
};
void git_report_release(struct git_report *);
uint64_t git_report_left_out(const struct git_report *); /* all of them */

/* `total` is 0 while it is not known. */
struct git_progress {
    void (*tick)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

struct git_import_options {
    const char *url; /* of the forge: large contents go up over connections of their own */
    const char *ref; /* whose first-parent history; NULL: HEAD */
    struct clock *clock;
    struct git_progress progress;
    size_t batch_bytes;    /* of one request; 0: 8 MiB */
    size_t batch_sessions; /* 0: 1,000 */
    unsigned threads;      /* that read the repository; 0: one a processor, at most 4 */
    uint64_t patience_ms;  /* how long a forge that does not answer is asked again; 0: 60 s */
};

/* Lands the first-parent history of the repository at `path`, oldest first, one landing a
 * commit; a merge is what it changes against its first parent. Goes on behind the newest commit
 * that the project has. ERR_CONFLICT when that one is not in this history, or when a commit
 * does not land because the project's files are others. */
int git_import(struct client *, const struct client_project *, const char *path,
               const struct git_import_options *, struct git_report *) MUST_USE;

struct git_export_options {
    bool bare;
    const char *branch; /* NULL: "main" */
    struct git_progress progress;
};

/* Writes the project's landings as commits into a new repository at `dir`, which must not be
 * there or be empty. A landing of an imported commit is that commit again, with the tree that
 * the forge has and the exported commit before as its one parent: in a linear history the ids
 * are those of the original. Where the id becomes another, signatures, which cannot hold any
 * more, and merged tags are left out. Another landing is a commit by its author, at its time,
 * with the goal as the message. All that is read is checked by its hash, and the last tree
 * against the head's. */
int git_export(struct client *, const struct client_project *, const char *dir,
               const struct git_export_options *, struct git_report *) MUST_USE;

#endif
