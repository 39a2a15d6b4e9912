/* The REST interface as C calls. A client belongs to one thread; it keeps its connections, and
 * the greatest hlc that it has seen, which it sends with every request.
 *
 * Calls give 0 or an enum err; then `client->problem` says why, in the server's words where it
 * answered. What a call gives points into the arena it was given. A project is named by its
 * handle or by its id in hex. */
#ifndef API_CLIENT_CLIENT_H
#define API_CLIENT_CLIENT_H

#include "formats/base/arena.h"
#include "formats/landing.h"
#include "pipeline/sys/clock.h"
#include "pipeline/sys/http_client.h"

struct client_problem {
    int err;           /* of the last call that failed */
    int status;        /* of the answer; 0: there was none */
    char code[64];     /* stable, such as "not_found" */
    char message[512]; /* a sentence */
    char field[192];   /* the offending field, or empty */
};

struct client {
    struct http_client *http;
    char *url; /* without a slash at its end */
    char *author;
    uint64_t hlc;
    struct client_problem problem;
};

struct client_options {
    const char *url;    /* as "http://127.0.0.1:8090" */
    const char *author; /* who asks; needed for writes, may be empty for reads */
    struct clock *clock;
};

int client_open(struct client *, const struct client_options *) MUST_USE;
void client_close(struct client *);
#define AUTO_CLIENT AUTO(client_close) struct client

/* --- projects --- */
struct client_project {
    struct id16 id;
    struct bytes handle;
};
struct client_projects {
    struct client_project *projects;
    size_t n;
    struct bytes next; /* empty at the end; else `after` for more */
};
struct client_head {
    uint64_t position;
    struct hash tree;    /* the tree object that the head names */
    struct hash content; /* content hash of the tree */
    uint64_t hlc;
    uint64_t files;
    uint64_t bytes;
};
int client_project_create(struct client *, struct bytes handle, struct id16 *out) MUST_USE;
int client_project_list(struct client *, struct bytes after, struct arena *,
                        struct client_projects *out) MUST_USE;
int client_project_find(struct client *, struct bytes project, struct arena *,
                        struct client_project *out) MUST_USE;
int client_head(struct client *, struct bytes project, struct client_head *out) MUST_USE;

/* --- sessions --- */
struct client_session_row {
    struct id16 id;
    struct bytes author;
    struct bytes goal;
    uint64_t base;
    uint64_t created; /* hlcs */
    uint64_t updated;
    uint64_t operations;
};
struct client_session_rows {
    struct client_session_row *rows;
    size_t n;
    struct bytes next;
};
struct client_said {
    struct bytes role; /* of a turn of the conversation; empty for a decision */
    struct bytes text;
    uint64_t hlc;
};
/* One path that a session changes. */
struct client_operation {
    struct bytes op; /* "write", "delete", "moved" */
    struct bytes path;
    struct bytes source;
    enum kind kind;
    uint16_t mode;
    uint64_t size;
    struct hash hash;
};
struct client_guard {
    struct bytes path;
    struct seen seen;
};
struct client_attribute {
    struct bytes name;
    struct bytes value;
};
struct client_session {
    struct client_session_row row;
    struct bytes state; /* "open", "landed", "abandoned", "conflicted", "refused" */
    uint64_t position;  /* 0 unless landed */
    struct client_attribute *attributes;
    size_t n_attributes;
    struct client_operation *operations;
    size_t n_operations;
    struct client_guard *guards;
    size_t n_guards;
    struct client_said *decisions;
    size_t n_decisions;
    struct client_said *turns;
    size_t n_turns;
};
/* `key` makes a retry the same session; base UINT64_MAX: the head's. */
int client_session_start(struct client *, struct bytes project, struct bytes key,
                         struct bytes goal, uint64_t base, struct id16 *out) MUST_USE;
int client_session_list(struct client *, struct bytes project, struct bytes after,
                        struct arena *, struct client_session_rows *out) MUST_USE;
int client_session_get(struct client *, struct bytes project, const struct id16 *session,
                       struct arena *, struct client_session *out) MUST_USE;
/* Adds records, all of the same kind: OPERATION, GUARD, DECISION or CONVERSATION. `key` and the
 * number of a record in the array are its key, so that a retry adds nothing. */
int client_session_write(struct client *, struct bytes project, const struct id16 *session,
                         struct bytes key, const struct record *records, size_t n) MUST_USE;
int client_session_rebase(struct client *, struct bytes project, const struct id16 *session,
                          uint64_t base) MUST_USE;

/* --- landing --- */
struct client_landed {
    bool
        pending; /* durable, but not decided within the wait: ask again with the same request */
    struct landing *landings; /* one a session, in their order */
    size_t n;
};
/* Lands whole sessions, a series in that order. Each has its START first, with a key, so that
 * asking again is the same request; ids, hlcs, project and owner are filled in here. A conflict
 * or a refusal is 0, too: look at the verdicts. */
int client_land(struct client *, const struct client_project *, struct session *sessions,
                size_t n, uint64_t wait_ms, struct arena *, struct client_landed *out) MUST_USE;
/* The two halves of client_land, for who prepares sessions on other threads: appends one behind
 * its length, and sends `n` of them. */
void client_land_encode(struct session *, const struct id16 *project, const struct id16 *owner,
                        struct buf *out);
int client_land_encoded(struct client *, const struct id16 *project, struct bytes sessions,
                        size_t n, uint64_t wait_ms, struct arena *,
                        struct client_landed *out) MUST_USE;
/* Asks again until it is decided or `patience_ms` are over. */
int client_land_wait(struct client *, const struct client_project *, struct session *sessions,
                     size_t n, uint64_t patience_ms, struct arena *,
                     struct client_landed *out) MUST_USE;
int client_session_land(struct client *, struct bytes project, const struct id16 *session,
                        struct bytes key, uint64_t wait_ms, struct arena *,
                        struct client_landed *out) MUST_USE;
int client_session_abandon(struct client *, struct bytes project, const struct id16 *session,
                           struct bytes reason, uint64_t wait_ms, struct arena *,
                           struct client_landed *out) MUST_USE;

/* --- would it land? --- */
struct client_preflight_landing {
    uint64_t position;
    struct id16 session;
    struct bytes author;
    struct bytes goal;
    uint64_t hlc;
};
/* What led to a conflict. */
struct client_preflight_cause {
    uint64_t base;                             /* at which its path was seen */
    struct client_preflight_landing *landings; /* that touched it since, newest first */
    size_t n;
    bool more; /* there are others, or they were not looked for */
};
struct client_preflight {
    uint64_t position; /* of the head at which it was decided */
    uint64_t hlc;
    struct bytes verdict; /* "clean", "conflicted", "refused", "answered" */
    /* Reasons and conflicts; when it is answered, the answer. */
    struct landing landing;
    struct client_preflight_cause *causes; /* landing.n_listed, unless it is answered */
};
/* What landing a session now would come to: OPERATION and GUARD records, which need no hlcs:
 * their order counts. A content that is to be brought when it lands is named: its carrier is
 * TREE_RAW. */
int client_preflight(struct client *, struct bytes project, uint64_t base,
                     const struct record *records, size_t n, struct arena *,
                     struct client_preflight *out) MUST_USE;
/* The same of a session that was started. */
int client_session_preflight(struct client *, struct bytes project, const struct id16 *session,
                             struct arena *, struct client_preflight *out) MUST_USE;

/* --- history and trees, as the server reads them --- */
struct client_log_entry {
    uint64_t position;
    struct bytes verdict;
    struct id16 session;
    struct bytes author;
    struct bytes goal;
    uint64_t hlc;
    struct hash tree;
    struct bytes reason;
    struct client_operation *effects;
    size_t n_effects;
};
struct client_log {
    struct client_log_entry *entries; /* newest first */
    size_t n;
    uint64_t next; /* 0 at the end; else `before` for more */
};
/* What landed from position `before` back (0: all), `limit` at most; `path` empty: the whole
 * project. */
int client_log(struct client *, struct bytes project, struct bytes path, uint64_t before,
               size_t limit, struct arena *, struct client_log *out) MUST_USE;

struct client_listing {
    uint64_t position;
    struct entry *entries; /* without places */
    size_t n;
    struct bytes next;
};
/* `at` UINT64_MAX: the head's. */
int client_list(struct client *, struct bytes project, struct bytes path, uint64_t at,
                struct bytes after, struct arena *, struct client_listing *out) MUST_USE;

struct client_change {
    struct bytes path;
    const struct entry *a; /* NULL: it came */
    const struct entry *b; /* NULL: it went */
};
struct client_changes {
    struct client_change *changes;
    size_t n;
    struct bytes next;
};
int client_diff(struct client *, struct bytes project, uint64_t from, uint64_t to,
                struct bytes path, struct bytes after, struct arena *,
                struct client_changes *out) MUST_USE;

/* --- references --- */
struct client_ref {
    struct bytes name;
    struct hash address;
    struct bytes
        kind; /* "address", or what lies in a tree: "dir", "file", "link"; not of a list */
    uint64_t position;
};
struct client_refs {
    struct client_ref *refs;
    size_t n;
    struct bytes next; /* empty at the end; else `after` for more */
};
struct client_ref_entry {
    uint64_t position;
    uint64_t hlc;
    struct bytes author;
    bool bound; /* false: it was deleted */
    struct hash address;
};
struct client_ref_log {
    struct client_ref_entry *entries; /* newest first */
    size_t n;
    uint64_t next; /* 0 at the end; else `before` for more */
};
/* What a ref is to be bound to when it is changed. */
struct client_expected {
    bool said;  /* false: it does not matter */
    bool bound; /* false: to nothing */
    struct hash address;
};
struct client_ref_done {
    bool pending; /* it will be decided */
    uint64_t position;
    bool counted;      /* the server derives, and knows these: */
    uint64_t affected; /* recipes that depend on the ref */
    uint64_t depth;
};
/* `path` below the directory that it means; empty: itself. */
int client_ref(struct client *, struct bytes project, struct bytes name, struct bytes path,
               struct arena *, struct client_ref *out) MUST_USE;
int client_refs(struct client *, struct bytes project, struct bytes prefix, struct bytes after,
                struct arena *, struct client_refs *out) MUST_USE;
/* From position `before` back (0: all), `limit` at most. */
int client_ref_log(struct client *, struct bytes project, struct bytes name, uint64_t before,
                   size_t limit, struct arena *, struct client_ref_log *out) MUST_USE;
/* ERR_CONFLICT: ref_conflict or ref_cycle. */
int client_ref_bind(struct client *, struct bytes project, struct bytes name,
                    const struct hash *address, const struct client_expected *,
                    struct client_ref_done *out) MUST_USE;
int client_ref_delete(struct client *, struct bytes project, struct bytes name,
                      const struct client_expected *, struct client_ref_done *out) MUST_USE;

/* --- bytes --- */
/* A file's bytes as they come; not checked. */
int client_file(struct client *, struct bytes project, struct bytes path, uint64_t at,
                struct http_sink) MUST_USE;
/* Content by its hash, as it comes; not checked. */
int client_blob(struct client *, struct bytes project, const struct hash *,
                struct http_sink) MUST_USE;
/* Sends content up, which must come to `hash`. */
int client_blob_put(struct client *, struct bytes project, const struct http_source *,
                    const struct hash *hash) MUST_USE;
/* The same of bytes at hand. */
int client_blob_put_bytes(struct client *, struct bytes project, struct bytes,
                          const struct hash *hash) MUST_USE;
/* Sets missing[i] for the contents that the forge lacks. */
int client_blobs_missing(struct client *, struct bytes project, const struct hash *hashes,
                         size_t n, bool *missing) MUST_USE;

#endif
