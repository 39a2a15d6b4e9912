/* Outputs of functions, by what they are: (project, SHA-256 of the bytes). A cache: whatever is
 * in it can be computed again, and may go at any time.
 *
 * Two tiers, memory over a directory, each with a budget of bytes. What goes first is what
 * saves the least measured time a byte (gdsf.h); what is pinned never goes. A result that is
 * computed faster than a file is read lies in memory only; every other one is written to a file
 * when it is finished, so a process that is killed finds it again. A file is complete or it is
 * not there, and its bytes are checked against their hash before anybody sees them: a damaged
 * one is removed, and is a miss.
 *
 * A result that is longer than the chunk size is a row of chunks of that size (the last may be
 * shorter), listed by a manifest (blob.h). Each chunk can be opened by its own hash as long as
 * the result is there. Results of any length go through bounded memory.
 *
 * Any thread may call anything here, but a writer or a reader belongs to one thread at a time.
 * All of them are closed before the cache is. */
#ifndef PIPELINE_DERIVE_CACHE_RESULT_CACHE_H
#define PIPELINE_DERIVE_CACHE_RESULT_CACHE_H

#include "formats/base/err.h"
#include "pipeline/derive/function.h"
#include "pipeline/sys/clock.h"

struct file_area;
struct result_cache;
struct result_writer;
struct result_reader;

struct result_cache_options {
    /* Where files lie, in a folder `results` of its own; NULL: memory only. One cache at a time
     * uses a directory. */
    const char *dir;
    size_t ram_bytes;    /* results in memory, with what the table needs for them */
    uint64_t disk_bytes; /* files; those that are being written are not counted */
    uint32_t chunk_size; /* CHUNK_SIZE_MIN to CHUNK_SIZE_MAX */
    /* A result that cost less than this gets no file, unless it is pinned or too long for
     * memory. */
    uint64_t file_cost_us;
    struct clock *clock; /* for how long results were not used; NULL: the system's */
    /* Instead of the files of `dir`, for tests; the caller's, and stays as long as the cache.
     */
    struct file_area *files;
};

/* What is found in the directory is in the cache. ERR_CONFLICT: another cache has it open. */
int result_cache_open(const struct result_cache_options *, struct result_cache **out) MUST_USE;
void result_cache_close(struct result_cache *);

/* A result, as a memo states it. */
struct result {
    struct hash hash;
    uint64_t size;
    uint32_t chunk_size;
    struct hash chunks; /* SHA-256 of the manifest; zero where it lies in one piece */
};

/* ---- writing ---- */

/* `project` NULL: the bytes are hashed and counted only, and nothing is kept. */
int result_begin(struct result_cache *, const struct id16 *project,
                 struct result_writer **out) MUST_USE;
/* Where the bytes go. Its flush gives ERR_LIMIT when the result is longer than RESULT_SIZE_MAX,
 * or than all the memory there is where there is no directory; ERR_AGAIN when the directory is
 * full and the rest is too long for memory. */
struct fn_out *result_out(struct result_writer *);
/* How many bytes were written so far. */
uint64_t result_written(const struct result_writer *);
/* The result is complete; `cost_us` is what it took. It is there from now on, unless it is
 * worth less than what it would push out, or there is no room: then it is not kept, and this is
 * no error. `reader`, if it is not NULL, gives the bytes in any case; it is set to NULL where
 * they were hashed only. Fails as flush does. The writer is to be closed all the same. */
int result_finish(struct result_writer *, uint64_t cost_us, struct result *out,
                  struct result_reader **reader) MUST_USE;
/* What is not finished is thrown away. NULL is fine. */
void result_writer_close(struct result_writer *);

/* ---- reading ---- */

/* The result, or chunk of one, that has this hash: ERR_NOT_FOUND when it is not there. Other
 * errors are the file system's (ERR_AGAIN: too many open files). */
int result_open(struct result_cache *, const struct id16 *project, const struct hash *,
                struct result_reader **out) MUST_USE;
/* Another reader of the same, for another thread; also when the result is not in the cache any
 * more. */
struct result_reader *result_share(const struct result_reader *) MUST_USE;
/* The bytes; they stay readable until the reader is closed, also when the result is evicted or
 * dropped. A view gives ERR_CORRUPT when a chunk turns out to be damaged: the result is not in
 * the cache any more, and is to be computed again. */
struct fn_bytes *result_bytes(struct result_reader *);
/* What it is; of a chunk, that of the chunk alone. */
const struct result *result_of(const struct result_reader *);
/* The hashes of its chunks, in order, as long as the reader is open; NULL, and none, where it
 * lies in one piece. */
const struct hash *result_chunks(const struct result_reader *, uint32_t *n);
/* NULL is fine. */
void result_close(struct result_reader *);

/* ---- what else can be done with results ---- */

/* Whether result_open would find it, without counting as a use; and its size, unless `size` is
 * NULL. */
bool result_has(struct result_cache *, const struct id16 *project, const struct hash *,
                uint64_t *size);
/* The result with this hash is never evicted, whether it is there already or comes later. Pins
 * are no counts: one unpin is enough. A pinned result that is there has a file, which keeps the
 * pin over a restart; a pin on one that is not there lasts as long as the process. */
void result_pin(struct result_cache *, const struct id16 *project, const struct hash *);
void result_unpin(struct result_cache *, const struct id16 *project, const struct hash *);
/* Takes the result out, pinned or not (its pin stays, for when it comes again); gives the bytes
 * that it had, 0 when it was not there. */
uint64_t result_drop(struct result_cache *, const struct id16 *project, const struct hash *);

/* Takes out the results of a project that are not pinned and that nobody has used for
 * `unused_us` (since the process began, for those that were found in the directory), at most
 * `max` of them; with `dry_run` it only counts. */
#define RESULT_SAMPLE_MAX 100u
struct result_collected {
    uint64_t entries; /* that go */
    uint64_t bytes;   /* of these */
    uint64_t kept;    /* entries of the project that stay */
    bool more;        /* there are others beyond `max` */
    struct hash sample[RESULT_SAMPLE_MAX];
    size_t n_sample;
};
void result_collect(struct result_cache *, const struct id16 *project, uint64_t unused_us,
                    uint64_t max, bool dry_run, struct result_collected *out);

struct result_tier_stats {
    uint64_t entries;
    uint64_t bytes;     /* as they count towards the budget */
    uint64_t evictions; /* for want of room */
};

struct result_cache_stats {
    uint64_t hits;
    uint64_t misses;
    uint64_t
        damaged;     /* files that were removed because their bytes were not what they should */
    uint64_t unkept; /* results that got no file for want of room on the disk */
    uint64_t entries; /* results that are there, in either tier */
    uint64_t bytes;   /* of these results, each once */
    uint64_t pinned;  /* of these results */
    struct result_tier_stats ram;
    struct result_tier_stats disk;
};
void result_cache_stats(struct result_cache *, struct result_cache_stats *out);

#endif
