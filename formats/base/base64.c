#include "formats/base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct bytes data, struct buf *out)
{
    char *to = (char *)buf_reserve(out, (data.len + 2) / 3 * 4);
    size_t n = 0;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t bits = (uint32_t)data.data[i] << 16;
        bits |= left > 1 ? (uint32_t)data.data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)data.data[i + 2] : 0;
        to[n++] = digits[bits >> 18];
        to[n++] = digits[bits >> 12 & 63];
        to[n++] = left > 1 ? digits[bits >> 6 & 63] : '=';
        to[n++] = left > 2 ? digits[bits & 63] : '=';
    }
    out->len += n;
}

static int digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct bytes text, struct buf *out)
{
    if (text.len % 4 != 0)
        return ERR_INVALID;
    for (size_t i = 0; i < text.len; i += 4) {
        const uint8_t *at = text.data + i;
        bool last = i + 4 == text.len;
        size_t pad = last && at[3] == '=' ? (at[2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4 - pad; k++) {
            int d = digit(at[k]);
            if (d < 0)
                return ERR_INVALID;
            bits |= (uint32_t)d << (18 - 6 * k);
        }
        /* The bits that padding leaves over must be zero, or two spellings mean the same. */
        if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0))
            return ERR_INVALID;
        uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        buf_append(out, bytes, 3 - pad);
    }
    return OK;
}
