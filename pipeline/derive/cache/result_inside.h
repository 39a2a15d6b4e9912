/* What the files of the result cache share; nobody else includes this. See result_cache.h for
 * how it works.
 *
 * One mutex guards the tables, the tiers and every entry; it is never held over a read, a write
 * or the removal of a file. What is to be done to an entry's file is not said by orders but by
 * a state that is wanted: the entry counts towards the disk's budget or it does not. One thread
 * at a time (`busy`) brings the file there, and looks again when it is done.
 *
 * An entry lives while it is listed, or somebody holds it. */
#ifndef PIPELINE_DERIVE_CACHE_RESULT_INSIDE_H
#define PIPELINE_DERIVE_CACHE_RESULT_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "formats/blob.h"
#include "pipeline/derive/cache/gdsf.h"
#include "pipeline/derive/cache/result_cache.h"
#include "pipeline/derive/cache/result_name.h"
#include "pipeline/sys/file_area.h"
#include "pipeline/sys/must_alloc.h"

/* What an entry in memory counts for beside its bytes. */
#define ENTRY_BYTES 512u
#define CHUNK_BYTES (sizeof(struct hash) + sizeof(struct result_node) + 16)
#define BLOCK_BYTES 4096u /* files take whole ones */

/* A run of bytes, shared by whoever sees it. */
struct slab {
    _Atomic uint32_t refs;
    uint32_t len;
    struct slab *next; /* among those to be freed */
    uint8_t data[];
};

/* Something in a table, found by (project, hash). */
struct result_node {
    struct result_node *next;
    uint64_t code;
};

struct result_table {
    struct result_node **buckets;
    size_t n_buckets; /* a power of two */
    size_t n;
};

/* A chunk of a listed entry, found by its own hash. */
struct chunk_node {
    struct result_node node;
    struct result_entry *entry;
};

/* That a hash is pinned. */
struct pin_node {
    struct result_node node;
    struct id16 project;
    struct hash hash;
};

/* What an entry is to one tier. */
struct tier_part {
    struct gdsf_node order; /* in the tier's order while it may be evicted */
    uint64_t bytes;         /* what it counts for; 0: it is not in the tier */
};

struct result_tier {
    struct gdsf order;
    uint64_t bytes;
    uint64_t bytes_max;
    uint64_t entries;
    uint64_t evictions;
};

struct result_entry {
    struct result_node node;
    struct id16 project;
    struct result result;
    uint64_t cost_us;
    uint64_t used_us; /* when it was used last, by the clock's mono_us */
    uint32_t holders;
    uint32_t readers; /* holders that may still want bytes */
    bool listed;
    bool pinned;

    struct tier_part ram;
    struct tier_part disk;

    /* Its bytes in memory, by chunk; some or all may be missing. */
    uint32_t n_slabs;
    uint32_t n_loaded;
    uint64_t loaded_bytes;
    struct slab **slabs;
    struct hash *chunks;      /* NULL when it is one piece */
    struct chunk_node *nodes; /* of its chunks; NULL when it is one piece */

    /* Its file. */
    bool there; /* it has a name */
    bool going; /* which is being taken away from it */
    bool busy;  /* somebody is at it */
    bool stuck; /* it cannot be renamed */
    bool queued;
    int fd;           /* -1: not open; closed when the last reader is gone */
    uint32_t n_filed; /* so many chunks from the first on are in the file */
    char *fresh;      /* what the file is called before it has its name; NULL */
    uint64_t serial;
    uint32_t named_frequency; /* as its name says */
    bool named_pinned;
    struct result_entry *next; /* among those that have work, or are to be freed */
};

struct result_cache {
    pthread_mutex_t mutex;
    pthread_cond_t idle;     /* an entry is not busy any more */
    struct file_area *files; /* NULL: memory only */
    bool files_are_mine;
    uint32_t chunk_size;
    uint64_t file_cost_us;
    struct clock *clock;
    uint64_t ram_most; /* an entry with more bytes is not kept in memory */

    /* Under the mutex. */
    struct result_table entries;
    struct result_table chunks;
    struct result_table pins;
    struct result_tier ram;
    struct result_tier disk;
    uint64_t serial;
    bool full_told;
    struct result_cache_stats stats;
    struct result_entry *work; /* held */
    struct result_entry *dead;
    struct slab *dead_slabs;
};

/* ---- result_table.c ---- */

uint64_t result_code(const struct id16 *project, const struct hash *);
void result_table_release(struct result_table *);
void result_table_add(struct result_table *, struct result_node *, uint64_t code);
void result_table_remove(struct result_table *, struct result_node *);
/* The first with this code, or the next one behind `node`; NULL. */
struct result_node *result_table_first(const struct result_table *, uint64_t code);
struct result_node *result_table_next(const struct result_node *);

/* ---- result_entry.c; all of it under the mutex ---- */

void result_lock(struct result_cache *);
/* Frees what is to be freed, too. */
void result_unlock(struct result_cache *);
/* Unlocks after it has done what is queued. Not while an entry is busy by this thread. */
void result_leave(struct result_cache *);

struct result_entry *result_entry_make(const struct id16 *project, const struct result *,
                                       struct hash *chunks) MUST_USE; /* takes the chunks */
void result_entry_free(struct result_cache *, struct result_entry *);
struct result_entry *result_entry_find(struct result_cache *, const struct id16 *project,
                                       const struct hash *);
/* The listed entry that has this chunk. */
struct result_entry *result_chunk_find(struct result_cache *, const struct id16 *project,
                                       const struct hash *, uint32_t *chunk);
struct pin_node *result_pin_find(struct result_cache *, const struct id16 *project,
                                 const struct hash *);
void result_entry_list(struct result_cache *, struct result_entry *);
void result_entry_hold(struct result_entry *);
void result_entry_drop(struct result_cache *, struct result_entry *);
/* As hold and drop, for who may still want bytes of it. */
void result_entry_read(struct result_entry *);
void result_entry_read_end(struct result_cache *, struct result_entry *);
/* After a change: drops what is not needed any more, and queues what is to be done. */
void result_entry_settle(struct result_cache *, struct result_entry *);
/* Out of both tiers. */
void result_entry_remove(struct result_cache *, struct result_entry *);
/* Its file turned out to be damaged; says so. Takes the lock itself. */
void result_entry_damaged(struct result_cache *, struct result_entry *);

static inline uint64_t result_chunk_len(const struct result_entry *e, uint32_t chunk)
{
    uint64_t from = (uint64_t)chunk * e->result.chunk_size;
    uint64_t rest = e->result.size - from;
    return rest < e->result.chunk_size ? rest : e->result.chunk_size;
}

/* ---- slabs ---- */

/* One reference, the caller's; len is 0. */
struct slab *slab_make(size_t space) MUST_USE;
struct slab *slab_ref(struct slab *);
void slab_unref(struct slab *); /* NULL is fine */

/* ---- result_tier.c; all of it under the mutex ---- */

/* Counts the entry in a tier, or anew when what it is to the tier has changed. */
void result_ram_count(struct result_cache *, struct result_entry *);
void result_disk_count(struct result_cache *, struct result_entry *);
void result_ram_uncount(struct result_cache *, struct result_entry *);
void result_disk_uncount(struct result_cache *, struct result_entry *);
/* Evicts until the budgets hold. `fresh`, which may be NULL, is not told as an eviction when it
 * has to go. */
void result_make_room(struct result_cache *, const struct result_entry *fresh);
/* Evicts at least so many bytes of files, and removes these files. */
void result_free_disk(struct result_cache *, uint64_t bytes);
/* A use. */
void result_touch(struct result_cache *, struct result_entry *);

/* ---- result_file.c ---- */

bool result_file_is_due(const struct result_entry *);
/* Brings the file of a held entry to where it should be; leaves the lock meanwhile. */
void result_file_work(struct result_cache *, struct result_entry *);
/* A new file, and a write to one; they make room once when the disk is full. Not under the
 * lock.
 */
int result_file_create(struct result_cache *, char fresh[FILE_AREA_NAME_MAX], int *fd) MUST_USE;
int result_file_write(struct result_cache *, int fd, uint64_t offset, struct bytes) MUST_USE;
/* Reads chunk `chunk` of an entry that is read, checked: ERR_CORRUPT when it is damaged or
 * gone. Not under the lock. */
int result_file_read(struct result_cache *, struct result_entry *, uint32_t chunk,
                     struct slab **out) MUST_USE;
/* Says, once, that a result is not kept for `err`. Not under the lock. */
void result_file_unkept(struct result_cache *, int err);

/* ---- result_reader.c ---- */

/* A reader of an entry that is read; takes that over. */
struct result_reader *result_reader_make(struct result_cache *, struct result_entry *) MUST_USE;

/* ---- result_scan.c ---- */

/* Takes in what is found in the directory. */
int result_scan(struct result_cache *) MUST_USE;

#endif
