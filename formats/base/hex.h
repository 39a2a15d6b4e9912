/* Lower-case hex, as keys and JSON spell hashes and ids. */
#ifndef FORMATS_BASE_HEX_H
#define FORMATS_BASE_HEX_H

#include "formats/base/types.h"

#define HASH_HEX_LEN 64u
#define ID16_HEX_LEN 32u

/* Writes 2 * len characters and a NUL. */
void hex_encode(char *out, const void *data, size_t len);
/* Exactly 2 * len lower-case hex digits, else ERR_INVALID. */
int hex_decode(void *out, size_t len, struct bytes hex) MUST_USE;

struct hash_hex {
    char s[HASH_HEX_LEN + 1];
};
struct id16_hex {
    char s[ID16_HEX_LEN + 1];
};
struct hash_hex hash_hex(const struct hash *);
struct id16_hex id16_hex(const struct id16 *);
int hash_parse(struct bytes hex, struct hash *out) MUST_USE;
int id16_parse(struct bytes hex, struct id16 *out) MUST_USE;

#endif
