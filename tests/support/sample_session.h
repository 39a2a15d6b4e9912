/* Sample sessions for tests of formats: always the same, with every kind of record and of
 * content. */
#ifndef TESTS_SUPPORT_SAMPLE_SESSION_H
#define TESTS_SUPPORT_SAMPLE_SESSION_H

#include "formats/landing.h"

struct id16 sample_id(uint8_t n);
/* SHA-256 of the text. */
struct hash sample_hash(const char *text);
struct seen sample_absent(void);
/* A plain file with this text. */
struct seen sample_seen(const char *text);
/* A plain file with this text, as raw bytes. The text must outlive it. */
struct content sample_inline(const char *text);
/* A plain file with this text, which the source is to have. */
struct content sample_source(const char *text);

/* One record each, without an id. Seen is absent. */
struct record sample_write(uint64_t hlc, const char *path, const char *text);
struct record sample_delete(uint64_t hlc, const char *path, struct seen seen);
struct record sample_rename(uint64_t hlc, const char *path, const char *target,
                            const char *text);
struct record sample_guard(uint64_t hlc, const char *path, struct seen seen);
struct record sample_start(uint64_t hlc, const char *key, uint64_t base);

/* An empty open session of sample project and owner, that the start record (sample_start) of
 * this key and base begins. */
struct session sample_session_empty(const char *key, uint64_t base);
/* An open session with operations, guards with what they have seen, decisions and a
 * conversation with roles. */
struct session sample_session(struct arena *);
/* The same after it has landed: contents lie in a tree object, and the state says so. */
struct session sample_session_landed(struct arena *);

/* A landing of sample_session_landed at `position`, without conflicts. */
struct landing sample_landing(struct arena *, uint64_t position);
/* An answer with two conflicts. */
struct landing sample_conflicted(struct arena *, uint64_t position);

#endif
