/* Straight-line encoding and decoding of big-endian numbers and byte runs.
 *
 * The reader is sticky: the first read past the end, or the first rd_fail, makes it fail for
 * good; every later read gives zeros. So a decoder reads all fields in a row and checks once,
 * with rd_end or rd_error. Nothing is allocated here: byte runs point into the input.
 *
 * The envelope is the head of every format but the 48-byte head:
 *
 *   offset size field
 *        0    4 magic
 *        4    2 version
 *        6    2 zero
 *        8    8 XXH3-64 of everything from offset 16 to the end
 *       16      body
 */
#ifndef FORMATS_BASE_WIRE_H
#define FORMATS_BASE_WIRE_H

#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

#define ENVELOPE_LEN 16u

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    int err;
};

void rd_init(struct reader *, struct bytes in);
uint8_t rd_u8(struct reader *);
uint16_t rd_u16(struct reader *);
uint32_t rd_u32(struct reader *);
uint64_t rd_u64(struct reader *);
struct hash rd_hash(struct reader *);
struct id16 rd_id16(struct reader *);
struct bytes rd_bytes(struct reader *, size_t len);
/* A run behind its u8, u16 or u32 length. A length over `max` fails with ERR_LIMIT. */
struct bytes rd_run8(struct reader *, size_t max);
struct bytes rd_run16(struct reader *, size_t max);
struct bytes rd_run32(struct reader *, size_t max);
/* A count of items that each take at least `item_min` (> 0) bytes of what is left; fails with
 * ERR_LIMIT over `max`, with ERR_CORRUPT when the input is too short for so many. */
uint32_t rd_count(struct reader *, size_t item_min, uint32_t max);
/* A bool in one byte: anything but 0 and 1 is corrupt. */
bool rd_bool(struct reader *);
size_t rd_left(const struct reader *);
/* Makes the reader fail with `err`, unless it has failed before. */
void rd_fail(struct reader *, int err);
int rd_error(const struct reader *) MUST_USE;
/* 0 when all went well and the input is used up; ERR_CORRUPT for trailing bytes. */
int rd_end(struct reader *) MUST_USE;

void wr_u8(struct buf *, uint8_t);
void wr_u16(struct buf *, uint16_t);
void wr_u32(struct buf *, uint32_t);
void wr_u64(struct buf *, uint64_t);
void wr_hash(struct buf *, const struct hash *);
void wr_id16(struct buf *, const struct id16 *);
void wr_bytes(struct buf *, struct bytes);
/* The length must fit: asserted. */
void wr_run8(struct buf *, struct bytes);
void wr_run16(struct buf *, struct bytes);
void wr_run32(struct buf *, struct bytes);

/* Writes over the four bytes at offset `at`: for a count or a length that is known only
 * later. */
static inline void wr_u32_at(struct buf *out, size_t at, uint32_t number)
{
    assert(at <= out->len && out->len - at >= 4);
    for (size_t i = 0; i < 4; i++) {
        out->data[at + i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

/* Begins an envelope at the end of `out`; gives its offset, for envelope_close. */
size_t envelope_begin(struct buf *out, const char magic[4], uint16_t version) MUST_USE;
/* Fills in the checksum over all that was appended since. */
void envelope_close(struct buf *out, size_t at);
/* Checks magic, version and checksum; gives a reader on the body. ERR_CORRUPT otherwise. */
int envelope_open(struct bytes in, const char magic[4], uint16_t version,
                  struct reader *body) MUST_USE;

#endif
