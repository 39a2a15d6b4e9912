/* The one place where object names are spelled. Where {pid} stands, a tree of references
 * (project_id.h) has {pid}/refs: it lies below the project whose references it holds. */
#ifndef FORMATS_KEY_H
#define FORMATS_KEY_H

#include "formats/base/err.h"
#include "formats/base/types.h"

struct key {
    char s[256];
};

/* bucket */
struct key key_bucket(void);
/* handles/{handle}; it has passed handle_check */
struct key key_handle(struct bytes handle);
/* handles/ */
struct key key_handle_prefix(void);
/* queue/{shard:04x}/{hlc:016x}-{agent:016x}-{seq:016x} */
struct key key_queue(uint32_t shard, uint64_t hlc, uint64_t agent, uint64_t seq);
/* queue/{shard:04x}/ */
struct key key_queue_prefix(uint32_t shard);
/* queue/dead/{shard:04x}-{hlc}-{agent}-{seq} */
struct key key_dead(uint32_t shard, uint64_t hlc, uint64_t agent, uint64_t seq);
/* queue/dead/ */
struct key key_dead_prefix(void);
/* leases/{shard:04x} */
struct key key_lease(uint32_t shard);
/* projects/{pid}/ */
struct key key_project_prefix(const struct id16 *project);
/* projects/{pid}/project */
struct key key_project(const struct id16 *project);
/* projects/{pid}/head */
struct key key_head(const struct id16 *project);
/* projects/{pid}/gc */
struct key key_gc(const struct id16 *project);
/* projects/{pid}/trees/{h2}/{hash}.bin */
struct key key_tree(const struct id16 *project, const struct hash *);
/* projects/{pid}/trees/ */
struct key key_tree_prefix(const struct id16 *project);
/* projects/{pid}/landing-log/{first:012}-{end:012}.log */
struct key key_log(const struct id16 *project, uint64_t first, uint64_t end);
/* projects/{pid}/landing-log/ */
struct key key_log_prefix(const struct id16 *project);
/* projects/{pid}/landing-log/bloom-index/level-{level}/{first:012}-{end:012}.bloom */
struct key key_rollup(const struct id16 *project, unsigned level, uint64_t first, uint64_t end);
/* projects/{pid}/landing-log/bloom-index/level-{level}/ */
struct key key_rollup_prefix(const struct id16 *project, unsigned level);
/* projects/{pid}/landing-log/bloom-index/ */
struct key key_rollups_prefix(const struct id16 *project);
/* projects/{pid}/sessions/{sid}.bin */
struct key key_session(const struct id16 *project, const struct id16 *session);
/* projects/{pid}/sessions/ */
struct key key_session_prefix(const struct id16 *project);
/* projects/{pid}/blobs/{h2}/{hash} */
struct key key_blob(const struct id16 *project, const struct hash *);
/* projects/{pid}/blobs/ */
struct key key_blob_prefix(const struct id16 *project);
/* projects/{pid}/derive/{agent:016x}/{seq:016x}.bin */
struct key key_derive(const struct id16 *project, uint64_t agent, uint64_t seq);
/* projects/{pid}/derive/segments/{number:016x}.bin: behind those of all agents */
struct key key_derive_segment(const struct id16 *project, uint64_t number);
/* projects/{pid}/derive/ */
struct key key_derive_prefix(const struct id16 *project);
/* projects/{pid}/derive/segments/ */
struct key key_derive_segment_prefix(const struct id16 *project);
/* probe/{ms:016x}-{id:016x}/{name}: of a probe that began then */
struct key key_probe(uint64_t ms, uint64_t id, const char *name);
/* probe/ */
struct key key_probe_prefix(void);
/* probe/passed: that a probe was passed */
struct key key_probe_note(void);

/* The reverse; ERR_INVALID for a key of another form. */
int key_queue_parse(const char *key, uint32_t *shard, uint64_t *hlc, uint64_t *agent,
                    uint64_t *seq) MUST_USE;
int key_log_parse(const char *key, uint64_t *first, uint64_t *end) MUST_USE;
int key_rollup_parse(const char *key, unsigned *level, uint64_t *first, uint64_t *end) MUST_USE;
int key_session_parse(const char *key, struct id16 *session) MUST_USE;
int key_tree_parse(const char *key, struct hash *tree) MUST_USE;
int key_blob_parse(const char *key, struct hash *blob) MUST_USE;
int key_derive_parse(const char *key, uint64_t *agent, uint64_t *seq) MUST_USE;
int key_derive_segment_parse(const char *key, uint64_t *number) MUST_USE;
int key_handle_parse(const char *key, struct bytes *handle) MUST_USE; /* points into key */
int key_probe_parse(const char *key, uint64_t *ms, uint64_t *id) MUST_USE;

/* The shard of a project: XXH3-64 of its id, modulo. */
uint32_t key_shard(const struct id16 *project, uint32_t shards);

#endif
