/* Results for tests: content that is the same for the same seed and length, put into a cache
 * and read back out of it. */
#ifndef TESTS_SUPPORT_RESULT_RIG_H
#define TESTS_SUPPORT_RESULT_RIG_H

#include "formats/base/buf.h"
#include "pipeline/derive/cache/result_cache.h"

#define RIG_CHUNK (64u * 1024u)

extern const struct id16 rig_project;
extern const struct id16 rig_other;

/* A cache with chunks of RIG_CHUNK; `dir` may be NULL. */
struct result_cache *result_rig_open(const char *dir, size_t ram_bytes,
                                     uint64_t disk_bytes) MUST_USE;
/* Appends the content of this seed. */
void result_rig_content(uint64_t seed, size_t len, struct buf *out);
/* Writes it and gives what finish gives; `out` and `reader` may be NULL. */
int result_rig_try(struct result_cache *, uint64_t seed, size_t len, uint64_t cost_us,
                   struct result *out, struct result_reader **reader) MUST_USE;
/* Writes it, and nothing may go wrong. Gives its hash. */
struct hash result_rig_put(struct result_cache *, uint64_t seed, size_t len, uint64_t cost_us);
/* Reads all of it, and closes the reader; whether it is the content of this seed. */
int result_rig_read(struct result_reader *, uint64_t seed, size_t len) MUST_USE;
/* Opens and reads it: OK, or what open or a view gives. Other content ends the test. */
int result_rig_get(struct result_cache *, uint64_t seed, size_t len) MUST_USE;
struct result_cache_stats result_rig_stats(struct result_cache *);

#endif
