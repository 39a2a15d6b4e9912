#include "formats/base/hex.h"

#include "formats/base/err.h"

void hex_encode(char *out, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

/* The digit's value, or 16 for what is none. */
static unsigned digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)c - '0';
    }
    return c >= 'a' && c <= 'f' ? (unsigned)c - 'a' + 10 : 16;
}

int hex_decode(void *out, size_t len, struct bytes hex)
{
    if (hex.len % 2 != 0 || hex.len / 2 != len) {
        return ERR_INVALID;
    }
    /* All digits are looked at first: outputs are written only on success. */
    for (size_t i = 0; i < hex.len; i++) {
        if (digit_value(hex.data[i]) > 15) {
            return ERR_INVALID;
        }
    }
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        unsigned high = digit_value(hex.data[2 * i]);
        bytes[i] = (uint8_t)(high << 4 | digit_value(hex.data[2 * i + 1]));
    }
    return OK;
}

struct hash_hex hash_hex(const struct hash *hash)
{
    struct hash_hex hex;
    hex_encode(hex.s, hash->b, sizeof(hash->b));
    return hex;
}

struct id16_hex id16_hex(const struct id16 *id)
{
    struct id16_hex hex;
    hex_encode(hex.s, id->b, sizeof(id->b));
    return hex;
}

int hash_parse(struct bytes hex, struct hash *out)
{
    return hex_decode(out->b, sizeof(out->b), hex);
}

int id16_parse(struct bytes hex, struct id16 *out)
{
    return hex_decode(out->b, sizeof(out->b), hex);
}
