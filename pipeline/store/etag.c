#include "pipeline/store/etag.h"

#include "formats/base/hex.h"

struct etag etag_of_digest(const struct id16 *digest, uint64_t len)
{
    uint8_t spelled[8];
    for (size_t i = 0; i < sizeof(spelled); i++) {
        spelled[i] = (uint8_t)(len >> (56 - 8 * i));
    }
    struct etag etag = {{0}};
    hex_encode(etag.s, digest->b, sizeof(digest->b));
    etag.s[ID16_HEX_LEN] = '-';
    hex_encode(etag.s + ID16_HEX_LEN + 1, spelled, sizeof(spelled));
    return etag;
}

struct etag etag_of(struct bytes data)
{
    struct id16 digest = xxh3_128(data);
    return etag_of_digest(&digest, data.len);
}

bool etag_equal(const struct etag *a, const struct etag *b)
{
    return strncmp(a->s, b->s, sizeof(a->s)) == 0;
}
