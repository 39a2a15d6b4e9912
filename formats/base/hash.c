#include "formats/base/hash.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Fetching an algorithm costs more than hashing a small input, so it is done once a process; a
 * context is made once a thread and algorithm, for the same reason. */
enum algorithm {
    SHA256,
    SHA512_256,
    ALGORITHMS,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched[ALGORITHMS];
static pthread_key_t thread_key;

struct thread_contexts {
    EVP_MD_CTX *of[ALGORITHMS];
};
static _Thread_local struct thread_contexts *thread_contexts;

static void must(bool ok)
{
    if (!ok) {
        (void)fputs("the hash library failed\n", stderr);
        abort();
    }
}

static void thread_release(void *contexts)
{
    struct thread_contexts *mine = contexts;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        EVP_MD_CTX_free(mine->of[i]);
    }
    free(mine);
    thread_contexts = NULL;
}

static void fetch(void)
{
    fetched[SHA256] = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    fetched[SHA512_256] = EVP_MD_fetch(NULL, "SHA2-512/256", NULL);
    must(fetched[SHA256] != NULL && fetched[SHA512_256] != NULL);
    must(pthread_key_create(&thread_key, thread_release) == 0);
}

static struct thread_contexts *contexts_new(void)
{
    must(pthread_once(&once, fetch) == 0);
    struct thread_contexts *mine = malloc(sizeof(*mine));
    must(mine != NULL);
    for (size_t i = 0; i < ALGORITHMS; i++) {
        mine->of[i] = EVP_MD_CTX_new();
        must(mine->of[i] != NULL);
    }
    must(pthread_setspecific(thread_key, mine) == 0);
    thread_contexts = mine;
    return mine;
}

/* The calling thread's context, ready for a first update. */
static EVP_MD_CTX *begin(enum algorithm algorithm)
{
    struct thread_contexts *mine = thread_contexts;
    if (mine == NULL) {
        mine = contexts_new();
    }
    must(EVP_DigestInit_ex2(mine->of[algorithm], fetched[algorithm], NULL) == 1);
    return mine->of[algorithm];
}

static void update(EVP_MD_CTX *ctx, const void *data, size_t len)
{
    if (len > 0) {
        must(EVP_DigestUpdate(ctx, data, len) == 1);
    }
}

static struct hash end(EVP_MD_CTX *ctx)
{
    struct hash hash;
    unsigned len = 0;
    must(EVP_DigestFinal_ex(ctx, hash.b, &len) == 1 && len == sizeof(hash.b));
    return hash;
}

struct hash sha256(struct bytes data)
{
    EVP_MD_CTX *ctx = begin(SHA256);
    update(ctx, data.data, data.len);
    return end(ctx);
}

#define SHA256_BLOCK 64u

struct hash hmac_sha256(struct bytes key, struct bytes data)
{
    uint8_t inner[SHA256_BLOCK] = {0};
    uint8_t outer[SHA256_BLOCK];
    struct hash short_key;
    if (key.len > SHA256_BLOCK) {
        short_key = sha256(key);
        key = bytes_of(short_key.b, sizeof(short_key.b));
    }
    if (key.len > 0) {
        memcpy(inner, key.data, key.len);
    }
    for (size_t i = 0; i < SHA256_BLOCK; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    EVP_MD_CTX *ctx = begin(SHA256);
    update(ctx, inner, sizeof(inner));
    update(ctx, data.data, data.len);
    struct hash hash = end(ctx);
    ctx = begin(SHA256);
    update(ctx, outer, sizeof(outer));
    update(ctx, hash.b, sizeof(hash.b));
    return end(ctx);
}

struct hash sha512_256(const char *prefix, struct bytes data)
{
    EVP_MD_CTX *ctx = begin(SHA512_256);
    update(ctx, prefix, strlen(prefix) + 1);
    update(ctx, data.data, data.len);
    return end(ctx);
}

struct id16 id16_derive(const char *domain, const struct bytes *parts, size_t n)
{
    EVP_MD_CTX *ctx = begin(SHA256);
    update(ctx, domain, strlen(domain) + 1);
    for (size_t i = 0; i < n; i++) {
        assert(parts[i].len <= UINT32_MAX);
        uint32_t len = (uint32_t)parts[i].len;
        const uint8_t spelled[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16),
                                    (uint8_t)(len >> 8), (uint8_t)len};
        update(ctx, spelled, sizeof(spelled));
        update(ctx, parts[i].data, parts[i].len);
    }
    struct hash hash = end(ctx);
    struct id16 id;
    memcpy(id.b, hash.b, sizeof(id.b));
    return id;
}

/* A hash in pieces may move between threads, so its context is its own. */
void sha256_init(struct sha256_ctx *ctx)
{
    must(pthread_once(&once, fetch) == 0);
    ctx->md = EVP_MD_CTX_new();
    must(ctx->md != NULL);
    must(EVP_DigestInit_ex2(ctx->md, fetched[SHA256], NULL) == 1);
}

void sha256_update(struct sha256_ctx *ctx, struct bytes data)
{
    update(ctx->md, data.data, data.len);
}

struct hash sha256_final(struct sha256_ctx *ctx)
{
    struct hash hash = end(ctx->md);
    sha256_release(ctx);
    return hash;
}

void sha256_release(struct sha256_ctx *ctx)
{
    EVP_MD_CTX_free(ctx->md);
    ctx->md = NULL;
}

uint64_t xxh3_64(struct bytes data)
{
    return XXH3_64bits(data.data, data.len);
}

uint64_t xxh3_64_seed(struct bytes data, uint64_t seed)
{
    return XXH3_64bits_withSeed(data.data, data.len, seed);
}

static struct id16 canonical(XXH128_hash_t digest)
{
    XXH128_canonical_t spelled;
    XXH128_canonicalFromHash(&spelled, digest);
    struct id16 id;
    memcpy(id.b, spelled.digest, sizeof(id.b));
    return id;
}

struct id16 xxh3_128(struct bytes data)
{
    return canonical(XXH3_128bits(data.data, data.len));
}

void xxh3_128_init(struct xxh3_128_ctx *ctx)
{
    ctx->state = XXH3_createState();
    must(ctx->state != NULL);
    must(XXH3_128bits_reset(ctx->state) == XXH_OK);
}

void xxh3_128_update(struct xxh3_128_ctx *ctx, struct bytes data)
{
    if (data.len > 0) {
        must(XXH3_128bits_update(ctx->state, data.data, data.len) == XXH_OK);
    }
}

struct id16 xxh3_128_final(struct xxh3_128_ctx *ctx)
{
    struct id16 id = canonical(XXH3_128bits_digest(ctx->state));
    (void)XXH3_freeState(ctx->state);
    ctx->state = NULL;
    return id;
}
