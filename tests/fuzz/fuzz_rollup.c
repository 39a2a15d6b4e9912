/* The input is the body of a rollup's header and, behind it, a sector without what ends it:
 * this is put there as the header's shape wants it. */
#include <string.h>

#include "formats/base/hash.h"
#include "formats/rollup.h"
#include "tests/support/fuzz.h"

#define BODY_LEN (ROLLUP_SECTOR - 16u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The sector that tells about `key`, of an object whose other sectors are not there. */
static void sector_ask(const struct rollup *rollup, uint64_t key, struct bytes blocks)
{
    const struct rollup_shape *shape = &rollup->shape;
    struct rollup_hits hits;
    AUTO_FUZZ_OBJECT sector = fuzz_copy(blocks);
    (void)!rollup_ask(shape, fuzz_bytes(&sector), key, &hits);
    if (shape->sectors != 1 || blocks.len != ROLLUP_SECTOR)
        return;
    uint8_t object[2 * ROLLUP_SECTOR];
    struct rollup again;
    memcpy(object + ROLLUP_SECTOR, blocks.data, ROLLUP_SECTOR);
    rollup_seal(rollup, object);
    fuzz_check(rollup_check(bytes_of(object, sizeof(object)), &again) == 0,
               "sealed, and damaged");
    AUTO_FUZZ_OBJECT sealed = fuzz_copy(bytes_of(object + ROLLUP_SECTOR, ROLLUP_SECTOR));
    fuzz_check(rollup_ask(shape, fuzz_bytes(&sealed), key, &hits) == 0, "no answer");
    unsigned column = (unsigned)(key % shape->columns);
    rollup_add(shape, column, &key, 1, object);
    rollup_seal(rollup, object);
    memcpy(sealed.data, object + ROLLUP_SECTOR, ROLLUP_SECTOR);
    fuzz_check(rollup_ask(shape, fuzz_bytes(&sealed), key, &hits) == 0 &&
                   rollup_hit(&hits, column),
               "a key that is there, and is not");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = size < BODY_LEN ? size : BODY_LEN;
    AUTO_FUZZ_OBJECT object = fuzz_envelope("MRLP", 1, bytes_of(data, len));
    struct rollup rollup;
    if (rollup_check(fuzz_bytes(&object), &rollup) == 0)
        fuzz_check(rollup.shape.sectors == 0, "sectors that are not there");
    if (rollup_decode(fuzz_bytes(&object), &rollup) != 0)
        return 0;
    struct rollup_shape shape;
    fuzz_check(rollup_shape_of(&rollup.shape.project, rollup.shape.level, rollup.shape.first,
                               rollup_end(&rollup.shape), rollup_len(&rollup.shape),
                               &shape) == 0,
               "a header that no name fits");
    fuzz_check(shape.sectors == rollup.shape.sectors && shape.columns == rollup.shape.columns,
               "another shape");
    if (shape.sectors > 0)
        sector_ask(&rollup, xxh3_64(bytes_of(data, size)), bytes_of(data + len, size - len));
    return 0;
}
