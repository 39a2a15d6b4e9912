/* A page: one directory, or a slice of a very large one, in a tree object.
 *
 *   offset size field
 *        0   16 envelope "MPAG" version 1
 *       16    1 level: 0 has the directory's entries, 1 and up have pages of the level below
 *       17    2 count of tree objects in the table
 *       19   32 each: hash of a tree object, in order of first use by the entries, no two
 *               alike; in entries, index 0 is the object that holds this page, i is the i-th
 *            4 count of entries
 *              entries, sorted by the bytes of their names, no two alike:
 *                1 kind   1 place   2 mode   8 size   8 stamp   32 content hash
 *                1 + n    name
 *                for RAW, ZSTD, PAGE:   2 index of the tree object   4 offset   4 length
 *                for MANIFEST, PAGE:    32 check
 *                for PAGE:              8 files below
 *
 * Files and links have any place but PAGE, and NONE only when they are empty; the length of a
 * RAW one is its size. Directories, and all entries from level 1 up, have PAGE.
 *
 * The content hash of a page is the SHA-512/256 with prefix "micelio page" over the canonical
 * fields only: level (1), then for each entry kind 1, mode 2, size 8, hash 32, name 1 + n.
 * Stamps, places and manifests are not in it, so equal subtrees have equal content hashes
 * whatever their history. The page hash is the SHA-512/256 with prefix "micelio page bytes"
 * over all bytes of the page.
 *
 * Splitting: a level's sequence of entries is cut into pages by their names alone (see
 * page_split). */
#ifndef FORMATS_PAGE_H
#define FORMATS_PAGE_H

#include "formats/base/arena.h"
#include "formats/base/limits.h"
#include "formats/entry.h"

struct page {
    uint8_t level;
    uint32_t n;
    struct entry *entries;
};

/* Bytes that `name` adds to the canonical form of a page: what splitting counts. */
static inline uint32_t page_weight(struct bytes name)
{
    return (uint32_t)(44u + name.len);
}

/* Content hash over canonical fields. */
struct hash page_content_hash(uint8_t level, const struct entry *entries, size_t n);
struct hash page_hash(struct bytes encoded);

/* Appends the page. Locations with an all-zero tree are written as index 0. ERR_LIMIT when it
 * has more than PAGE_BYTES_MAX or its level is not below PAGE_LEVELS_MAX. Entries that
 * page_decode would refuse are a bug of the caller. */
int page_encode(const struct page *, struct buf *out) MUST_USE;
/* Decodes; names point into `in`, which must live as long as the arena's page. Locations of
 * index 0 get `self` as their tree. Checks order, kinds, modes, places and limits, and that
 * each name is one step down; not the hashes. */
int page_decode(struct bytes in, const struct hash *self, struct arena *,
                struct page *out) MUST_USE;

/* The entry called `name`, or NULL; and for an inner page the child that would hold it (never
 * NULL when n > 0). */
const struct entry *page_find(const struct page *, struct bytes name);
const struct entry *page_child(const struct page *, struct bytes name);

/* Whether `name` marks a boundary at `level`: a page may begin with it. Depends on the name and
 * level only, with probability weight / PAGE_TARGET, by XXH3-64 of the name seeded with the
 * level. */
bool page_boundary(struct bytes name, uint8_t level);

/* Cuts a sequence of names into pages, by names alone, the same for the same sequence whatever
 * its history:
 *   1. A page begins at each boundary name that leaves at least PAGE_LEAST before it since the
 *      last cut and PAGE_LEAST behind it to the end (`open_end`: there is more behind, which is
 *      long enough).
 *   2. A run between two such cuts of over PAGE_CUT_OVER is cut at its least name hash (the one
 *      of page_boundary; of equal ones the first) among the places that leave PAGE_LEAST on
 *      both sides, and each part again, until none is over it or no place is left.
 * A cut inside such a run is never at a boundary name. Gives in `cuts` the indexes at which
 * pages begin, ascending, cuts[0] = 0; the count is at most n, and 1 when n is 0. `cuts` has
 * room for n + 1. Iterative; O(n log n) at worst. */
size_t page_split(const struct bytes *names, size_t n, uint8_t level, bool open_end,
                  uint32_t *cuts);

#endif
