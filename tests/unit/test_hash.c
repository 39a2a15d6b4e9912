#include "formats/base/hash.h"

#include <check.h>
#include <pthread.h>

#include "formats/base/hex.h"
#include "tests/support/suite.h"

static void expect_hash(struct hash hash, const char *hex)
{
    ck_assert_str_eq(hash_hex(&hash).s, hex);
}

START_TEST(sha256_of_known_texts)
{
    expect_hash(sha256(bytes_of(NULL, 0)),
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_hash(sha256(bytes_str("abc")),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

/* RFC 4231, cases 1, 2, 6 (a key longer than a block) and the empty key of Wikipedia's HMAC. */
START_TEST(hmac_sha256_of_known_texts)
{
    uint8_t key[131];
    memset(key, 0x0b, 20);
    expect_hash(hmac_sha256(bytes_of(key, 20), bytes_str("Hi There")),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_hash(hmac_sha256(bytes_str("Jefe"), bytes_str("what do ya want for nothing?")),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    expect_hash(
        hmac_sha256(bytes_of(key, sizeof(key)),
                    bytes_str("Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    expect_hash(hmac_sha256(bytes_of(NULL, 0), bytes_of(NULL, 0)),
                "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(sha512_256_takes_the_prefix_with_its_nul)
{
    /* printf 'p\0abc' | openssl dgst -sha512-256 */
    expect_hash(sha512_256("p", bytes_str("abc")),
                "35b4be93ca678317b707901b9e96e17d02e5157709d1c09e7f939f416250bb57");
    expect_hash(sha512_256("", bytes_of(NULL, 0)),
                "10baad1713566ac2333467bddb0597dec9066120dd72ac2dcb8394221dcbe43d");
}
END_TEST

START_TEST(sha256_in_pieces)
{
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, bytes_str("a"));
    sha256_update(&ctx, bytes_of(NULL, 0));
    /* Another hash of the same thread in between must not disturb it. */
    expect_hash(sha256(bytes_str("abc")),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_update(&ctx, bytes_str("bc"));
    expect_hash(sha256_final(&ctx),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_release(&ctx);
    sha256_init(&ctx);
    sha256_release(&ctx);
}
END_TEST

START_TEST(derived_ids_tell_lists_of_parts_apart)
{
    const struct bytes one[] = {bytes_str("ab"), bytes_str("c")};
    const struct bytes two[] = {bytes_str("a"), bytes_str("bc")};
    struct id16 ids[] = {id16_derive("d", one, 2), id16_derive("d", two, 2),
                         id16_derive("e", one, 2), id16_derive("d", one, 1),
                         id16_derive("d", NULL, 0)};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        for (size_t j = 0; j < i; j++) {
            ck_assert(!id16_equal(&ids[i], &ids[j]));
        }
    }
    /* printf 'd\0\0\0\0\2ab\0\0\0\1c' | sha256sum, the first 16 bytes */
    ck_assert_str_eq(id16_hex(&ids[0]).s, "06739f8a580f2dca2b5ef0d7a217233e");
}
END_TEST

START_TEST(xxh3_of_known_texts)
{
    ck_assert_uint_eq(xxh3_64(bytes_of(NULL, 0)), 0x2d06800538d394c2);
    ck_assert_uint_eq(xxh3_64(bytes_str("abc")), xxh3_64_seed(bytes_str("abc"), 0));
    ck_assert_uint_ne(xxh3_64(bytes_str("abc")), xxh3_64_seed(bytes_str("abc"), 1));
    struct id16 digest = xxh3_128(bytes_of(NULL, 0));
    ck_assert_str_eq(id16_hex(&digest).s, "99aa06d3014798d86001c324468d497f");
}
END_TEST

START_TEST(xxh3_in_pieces)
{
    uint8_t data[5000];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    struct id16 whole = xxh3_128(bytes_of(data, sizeof(data)));
    struct xxh3_128_ctx ctx;
    xxh3_128_init(&ctx);
    for (size_t at = 0; at < sizeof(data); at += 1000) {
        xxh3_128_update(&ctx, bytes_of(data + at, 1000));
    }
    xxh3_128_update(&ctx, bytes_of(NULL, 0));
    struct id16 pieces = xxh3_128_final(&ctx);
    ck_assert(id16_equal(&whole, &pieces));
}
END_TEST

static void *hash_much(void *out)
{
    struct hash hash = {{0}};
    for (int i = 0; i < 2000; i++) {
        hash = sha256(bytes_of(hash.b, sizeof(hash.b)));
        hash = sha512_256("thread", bytes_of(hash.b, sizeof(hash.b)));
    }
    *(struct hash *)out = hash;
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
    pthread_t threads[4];
    struct hash hashes[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hash_much, &hashes[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    struct hash mine;
    (void)hash_much(&mine);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert(hash_equal(&hashes[i], &mine));
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        sha256_of_known_texts,
        hmac_sha256_of_known_texts,
        sha512_256_takes_the_prefix_with_its_nul,
        sha256_in_pieces,
        derived_ids_tell_lists_of_parts_apart,
        xxh3_of_known_texts,
        xxh3_in_pieces,
        threads_do_not_disturb_each_other,
    };
    return suite_run("hash", tests, ARRAY_LEN(tests));
}
