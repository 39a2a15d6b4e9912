/* The input is four bytes of size and then a frame, and, once more as it is, plain bytes to
 * pack. */
#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/base/wire.h"
#include "formats/blob.h"
#include "formats/content.h"
#include "tests/support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack_and_unpack(struct bytes plain)
{
    AUTO_BUF frame = {0};
    AUTO_BUF again = {0};
    zstd_pack(plain, &frame);
    fuzz_check(zstd_unpack(buf_bytes(&frame), plain.len, &again) == 0, "does not unpack");
    fuzz_same(plain, buf_bytes(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pack_and_unpack(bytes_of(data, size));
    struct reader r;
    rd_init(&r, bytes_of(data, size));
    uint64_t wanted = rd_u32(&r) % (4 * MIB);
    AUTO_FUZZ_OBJECT frame = fuzz_copy(rd_bytes(&r, rd_left(&r)));
    AUTO_BUF out = {0};
    uint64_t said = 0;
    if (zstd_size(fuzz_bytes(&frame), &said) == 0 && said < 4 * MIB) {
        /* A size that does not fit what the frame says ends early, so mostly it is made to
         * fit. */
        wanted = wanted % 4 == 0 ? wanted : said;
    }
    int err = zstd_unpack(fuzz_bytes(&frame), wanted, &out);
    fuzz_check(out.len == (err == 0 ? wanted : 0), "another size than asked for");
    if (err == 0) {
        AUTO(arena_release) struct arena arena = {0};
        struct hash hash = sha256(buf_bytes(&out));
        struct bytes plain;
        err = content_unpack(&arena, true, fuzz_bytes(&frame), wanted, &hash, &plain);
        fuzz_check(err == 0, "the arena's differs");
        fuzz_same(buf_bytes(&out), plain);
    }
    return 0;
}
