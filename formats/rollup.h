/* A rollup: Bloom filters over runs of landings, so that "which landings touched this" is asked
 * of a few sectors and not of the whole log. It says "no", or "may be". "May be" is also what
 * is made of a filter that is absent, damaged, or about other positions than its name; a "no"
 * is only ever read from a sector whose checksum, place and project hold.
 *
 * One object holds from 1 to 100 filters ("columns") side by side, each over as many positions
 * as its level has (its span), one after another. All have the same number of blocks, that of
 * the fullest, and lie bit by bit beside each other, so one read of a sector asks all of them
 * about a key. Filters are made of exact keys and sized for these: they are never merged by OR,
 * and two answers are never intersected.
 *
 *   offset size field
 *        0   16 envelope "MRLP" version 1, over the header
 *       16    1 level: 1, 2 or 3
 *       17    1 columns
 *       18    2 zero
 *       20    4 sectors; 0: the filters were too large to make, and may contain everything
 *       24   16 project
 *       40    8 first position
 *       48    8 end: first + columns * span; positions [first, end) are covered, and position
 *               0, too, where first is 1
 *       56    8 span of one column
 *       64    8 seed, of level and first position
 *       72    8 checksum of the answers that it was made from
 *       80    8 XXH3-64 over the checksums of all sectors, in order
 *       88  4*c keys of each column
 *           ... zeros up to 4,096
 *     4096      the sectors, 4,096 bytes each:
 *             0 4064 blocks, as many as fit: 256 rows of one bit a column each, lowest bit of a
 *                    byte first
 *          4064    4 "MRLS"   2 version   1 level   1 columns
 *          4072    8 first position
 *          4080    4 sectors   4 number of this one, from 0
 *          4088    8 XXH3-64 of the 4,088 bytes before, seeded with that of the project's id
 *
 * A sector says of itself where it belongs, so a reader who knows an object's name and size
 * needs no header: one range read a question.
 *
 * A block is split in eight words of 32 rows; a key sets one row in each. Which block, is told
 * by the key's highest bits, so keys in order go through the object from front to back. */
#ifndef FORMATS_ROLLUP_H
#define FORMATS_ROLLUP_H

#include "formats/base/err.h"
#include "formats/base/types.h"

#define ROLLUP_SECTOR      4096u
#define ROLLUP_COLUMNS_MAX 100u
#define ROLLUP_LEVELS      3u

/* What its name and size say about an object. */
struct rollup_shape {
    struct id16 project;
    unsigned level;
    unsigned columns;
    uint64_t first;
    uint32_t sectors; /* without the header; 0: may contain everything */
};

struct rollup {
    struct rollup_shape shape;
    uint64_t source; /* checksum of the answers that it was made from */
    uint32_t keys[ROLLUP_COLUMNS_MAX];
};

/* The columns that may contain a key: bit i % 64 of word i / 64. */
struct rollup_hits {
    uint64_t words[2];
};

/* What is asked for: a path, be it of a file or a directory ("" is the root), a content, a
 * session. Each kind has a name space of its own. */
uint64_t rollup_key_path(struct bytes path);
uint64_t rollup_key_content(const struct hash *);
uint64_t rollup_key_session(const struct id16 *);

/* Positions of one column: 100, 10,000, 1,000,000. */
uint64_t rollup_span(unsigned level);
/* Whether there may be an object of these positions: whole columns, at most a hundred of them,
 * and all of one column of the level above. */
bool rollup_name_ok(unsigned level, uint64_t first, uint64_t end);
uint64_t rollup_end(const struct rollup_shape *);

/* Sectors for `columns` filters of which the fullest has `keys` keys, at a false positive in a
 * thousand questions; 0 when the object would be longer than ROLLUP_MAX. */
uint32_t rollup_sectors(uint64_t keys, unsigned columns);
uint64_t rollup_len(const struct rollup_shape *);

/* `object` has rollup_len bytes, all zero to begin with. */
void rollup_add(const struct rollup_shape *, unsigned column, const uint64_t *keys, size_t n,
                uint8_t *object);
/* Writes the header and what ends each sector, when all keys are in. */
void rollup_seal(const struct rollup *, uint8_t *object);

/* The header: the first ROLLUP_SECTOR bytes. ERR_CORRUPT. */
int rollup_decode(struct bytes header, struct rollup *out) MUST_USE;
/* A whole object, all of its sectors. ERR_CORRUPT. */
int rollup_check(struct bytes object, struct rollup *out) MUST_USE;

/* ERR_INVALID for positions that no object has, ERR_CORRUPT for a size. */
int rollup_shape_of(const struct id16 *project, unsigned level, uint64_t first, uint64_t end,
                    uint64_t size, struct rollup_shape *out) MUST_USE;
/* Where the one sector lies that tells about the key. The shape has sectors. */
uint64_t rollup_sector_at(const struct rollup_shape *, uint64_t key);
/* Asks it. ERR_CORRUPT when it is damaged, or another than rollup_sector_at says. */
int rollup_ask(const struct rollup_shape *, struct bytes sector, uint64_t key,
               struct rollup_hits *out) MUST_USE;

/* Of an object that rollup_check has let pass: the first of `n` keys that the column says no
 * to; `n` when it may contain them all. The shape has sectors. */
size_t rollup_lacks(const struct rollup_shape *, unsigned column, const uint64_t *keys,
                    size_t n, const uint8_t *object);

static inline bool rollup_hit(const struct rollup_hits *hits, unsigned column)
{
    return (hits->words[column / 64] >> column % 64 & 1) != 0;
}

#endif
