/* Hashes. SHA-256 names bytes; SHA-512/256 with a prefix of its own names pages (and recipes),
 * so that no content can pose as one; XXH3-64 is for checksums, filters and placement, never
 * for names. SHA is OpenSSL's, XXH3 is libxxhash's. */
#ifndef FORMATS_BASE_HASH_H
#define FORMATS_BASE_HASH_H

#include "formats/base/types.h"

struct hash sha256(struct bytes data);

/* SHA-512/256 over `prefix` (with its NUL) and `data`. */
struct hash sha512_256(const char *prefix, struct bytes data);

/* HMAC of SHA-256 (RFC 2104): only who knows the key can make it. */
struct hash hmac_sha256(struct bytes key, struct bytes data);

/* SHA-256 in pieces. */
struct sha256_ctx {
    void *md; /* EVP_MD_CTX */
};
void sha256_init(struct sha256_ctx *);
void sha256_update(struct sha256_ctx *, struct bytes);
struct hash sha256_final(struct sha256_ctx *); /* releases it, too */
void sha256_release(struct sha256_ctx *); /* for one that is given up; harmless after final */

/* The first 16 bytes of SHA-256 over `domain` (with its NUL) and then each part behind its u32
 * length, so that no two lists of parts collide. */
struct id16 id16_derive(const char *domain, const struct bytes *parts, size_t n);

uint64_t xxh3_64(struct bytes data);
uint64_t xxh3_64_seed(struct bytes data, uint64_t seed);

/* XXH3-128, in its canonical (big-endian) spelling. */
struct id16 xxh3_128(struct bytes data);

/* XXH3-128 in pieces. */
struct xxh3_128_ctx {
    void *state; /* XXH3_state_t */
};
void xxh3_128_init(struct xxh3_128_ctx *);
void xxh3_128_update(struct xxh3_128_ctx *, struct bytes);
struct id16 xxh3_128_final(struct xxh3_128_ctx *); /* releases it, too */

#endif
