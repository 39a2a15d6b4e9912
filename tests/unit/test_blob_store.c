#include "pipeline/repo/content/blob_store.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/blob.h"
#include "formats/key.h"
#include "tests/support/build_chain.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"

#define CHUNK BUILD_CHAIN_CHUNK

static struct bytes sample(struct build_chain *bc, size_t len, uint64_t seed)
{
    uint8_t *data = arena_alloc(&bc->arena, len + 8);
    struct chance chance = {.state = seed + 1};
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = chance_u64(&chance);
        memcpy(data + i, &word, 8);
    }
    return bytes_of(data, len);
}

/* Uploads in pieces of `piece` bytes. */
static int upload_in(struct build_chain *bc, struct bytes data, size_t piece,
                     const struct hash *expected, struct content *out)
{
    struct upload *upload = upload_open(&bc->repo, &bc->project);
    int err = OK;
    for (size_t at = 0; at < data.len && err == OK; at += piece) {
        size_t left = data.len - at;
        err = upload_write(upload, bytes_of(data.data + at, left < piece ? left : piece));
    }
    if (err == OK)
        err = upload_finish(upload, expected, out);
    upload_close(upload);
    return err;
}

/* As read a moment ago; the repo keeps it. */
static const struct condemned *now(struct build_chain *bc)
{
    const struct condemned *condemned;
    ck_assert_int_eq(condemned_read(&bc->repo, &bc->project, &condemned), OK);
    condemned_drop(condemned);
    return condemned;
}

static bool lacks(struct build_chain *bc, struct hash hash)
{
    bool missing;
    ck_assert_int_eq(blob_missing(&bc->repo, &bc->project, now(bc), &hash, 1, &missing, NULL),
                     OK);
    return missing;
}

START_TEST(pieces_do_not_matter)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 3 * CHUNK + 17, 1);
    const size_t pieces[] = {997, CHUNK - 1, CHUNK, CHUNK + 1, SIZE_MAX / 2};
    struct content first = {0};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct content content;
        ck_assert_int_eq(upload_in(&bc, data, pieces[i], NULL, &content), OK);
        struct hash hash = sha256(data);
        ck_assert(hash_equal(&content.hash, &hash));
        ck_assert_uint_eq(content.size, data.len);
        ck_assert_int_eq(content.carrier, CARRIER_MANIFEST);
        if (i == 0)
            first = content;
        ck_assert(hash_equal(&content.manifest, &first.manifest));
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(blob_is_one_plain_frame)
{
    struct build_chain bc;
    build_chain_init(&bc);
    const size_t sizes[] = {0, 1, CHUNK};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct bytes data = sample(&bc, sizes[i], i);
        struct content content;
        (void)build_chain_counts(&bc);
        ck_assert_int_eq(upload_in(&bc, data, 1000, NULL, &content), OK);
        ck_assert_int_eq(content.carrier, CARRIER_BLOB);
        ck_assert_uint_eq(build_chain_counts(&bc).puts[TRACE_BLOB], 1);
        struct key key = key_blob(&bc.project, &content.hash);
        AUTO_BUF object = {0};
        AUTO_BUF plain = {0};
        ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &object, NULL, NULL), OK);
        ck_assert_int_eq(zstd_unpack(buf_bytes(&object), sizes[i], &plain), OK);
        ck_assert(bytes_equal(buf_bytes(&plain), data));
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(wrong_hash_leaves_nothing_under_it)
{
    struct build_chain bc;
    build_chain_init(&bc);
    const size_t sizes[] = {100, 3 * CHUNK};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct bytes data = sample(&bc, sizes[i], i);
        struct hash truth = sha256(data);
        struct hash wrong = truth;
        wrong.b[5] ^= 1;
        struct content content;
        ck_assert_int_eq(upload_in(&bc, data, 4096, &wrong, &content), ERR_INVALID);
        ck_assert(lacks(&bc, wrong));
        ck_assert(lacks(&bc, truth));
        ck_assert_int_eq(upload_in(&bc, data, 4096, &truth, &content), OK);
        ck_assert(!lacks(&bc, truth));
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(finished_upload_takes_no_more)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct upload *upload = upload_open(&bc.repo, &bc.project);
    struct content content;
    ck_assert_int_eq(upload_finish(upload, NULL, &content), OK);
    ck_assert_uint_eq(content.size, 0);
    ck_assert_int_eq(upload_write(upload, bytes_str("x")), ERR_INVALID);
    ck_assert_int_eq(upload_finish(upload, NULL, &content), ERR_INVALID);
    upload_close(upload);
    /* One that is given up. */
    upload = upload_open(&bc.repo, &bc.project);
    ck_assert_int_eq(upload_write(upload, sample(&bc, 3 * CHUNK, 1)), OK);
    upload_close(upload);
    build_chain_release(&bc);
}
END_TEST

START_TEST(one_put_a_chunk_and_repeats_are_put_once)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct content content;
    (void)build_chain_counts(&bc);
    ck_assert_int_eq(upload_in(&bc, sample(&bc, 10 * CHUNK, 1), 70000, NULL, &content), OK);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.puts[TRACE_BLOB], 10 + 1);
    ck_assert_uint_eq(counts.gets[TRACE_BLOB], 0);
    uint8_t *zeros = arena_zalloc(&bc.arena, 1, 50 * CHUNK);
    ck_assert_int_eq(upload_in(&bc, bytes_of(zeros, 50 * CHUNK), 70000, NULL, &content), OK);
    counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.puts[TRACE_BLOB], 1 + 1);
    build_chain_release(&bc);
}
END_TEST

START_TEST(uploading_again_heals)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 500, 1);
    struct content content;
    ck_assert_int_eq(upload_in(&bc, data, 500, NULL, &content), OK);
    struct key key = key_blob(&bc.project, &content.hash);
    AUTO_BUF before = {0};
    AUTO_BUF after = {0};
    ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &before, NULL, NULL), OK);
    build_chain_flip(&bc, key.s, 100);
    ck_assert_int_eq(upload_in(&bc, data, 500, NULL, &content), OK);
    ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &after, NULL, NULL), OK);
    ck_assert(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
    build_chain_release(&bc);
}
END_TEST

START_TEST(missing_asks_once_a_hash_and_remembers)
{
    struct build_chain bc;
    build_chain_init(&bc);
    enum { N = 150 };
    struct hash hashes[N];
    bool missing[N];
    for (unsigned i = 0; i < N; i++) {
        struct bytes data = sample(&bc, 50 + i, i);
        struct content content;
        hashes[i] = sha256(data);
        if (i % 3 != 0)
            ck_assert_int_eq(upload_in(&bc, data, 500, NULL, &content), OK);
    }
    build_chain_cold(&bc);
    for (unsigned round = 0; round < 2; round++) {
        ck_assert_int_eq(
            blob_missing(&bc.repo, &bc.project, now(&bc), hashes, N, missing, NULL), OK);
        for (unsigned i = 0; i < N; i++)
            ck_assert_int_eq(missing[i], i % 3 == 0);
        ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_BLOB], round == 0 ? N : N / 3);
    }
    struct id16 other = {{8}};
    ck_assert_int_eq(blob_missing(&bc.repo, &other, now(&bc), hashes, N, missing, NULL), OK);
    for (unsigned i = 0; i < N; i++)
        ck_assert(missing[i]);
    build_chain_release(&bc);
}
END_TEST

START_TEST(schedule_33_manifest_counts_only_with_its_chunks)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 70 * CHUNK, 4);
    struct content content;
    ck_assert_int_eq(upload_in(&bc, data, data.len, NULL, &content), OK);
    build_chain_cold(&bc);
    ck_assert(!lacks(&bc, content.hash));
    ck_assert(!lacks(&bc, content.hash));
    struct hash chunk = sha256(bytes_of(data.data + 68 * CHUNK, CHUNK));
    struct key key = key_blob(&bc.project, &chunk);
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    build_chain_cold(&bc);
    ck_assert(lacks(&bc, content.hash));
    struct content found;
    ck_assert_int_eq(blob_describe(&bc.repo, &bc.project, now(&bc), &content.hash, &found),
                     ERR_NOT_FOUND);
    /* The next upload does not skip what it believes to be there. */
    ck_assert_int_eq(upload_in(&bc, data, data.len, NULL, &content), OK);
    build_chain_cold(&bc);
    ck_assert(!lacks(&bc, content.hash));
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_blob_counts_as_missing)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct content small, large;
    ck_assert_int_eq(upload_in(&bc, sample(&bc, 100, 1), 100, NULL, &small), OK);
    ck_assert_int_eq(upload_in(&bc, sample(&bc, 3 * CHUNK, 2), 4096, NULL, &large), OK);
    struct key key = key_blob(&bc.project, &small.hash);
    struct key large_key = key_blob(&bc.project, &large.hash);
    build_chain_flip(&bc, key.s, 0);
    build_chain_flip(&bc, large_key.s, 70);
    build_chain_cold(&bc);
    ck_assert(lacks(&bc, small.hash));
    ck_assert(lacks(&bc, large.hash));
    ck_assert_int_eq(store_put(bc.mem, key.s, bytes_str(""), PUT_ANY, NULL), OK);
    ck_assert(lacks(&bc, small.hash));
    struct content found;
    ck_assert_int_eq(blob_describe(&bc.repo, &bc.project, now(&bc), &small.hash, &found),
                     ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

/* A blob under another's name is a whole frame, of another size: a tree that took it would say
 * so for ever. */
START_TEST(blob_under_another_name_counts_as_missing)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 100, 1);
    struct content mine, other, found;
    ck_assert_int_eq(upload_in(&bc, data, 100, NULL, &mine), OK);
    ck_assert_int_eq(upload_in(&bc, sample(&bc, 777, 2), 777, NULL, &other), OK);
    struct key key = key_blob(&bc.project, &mine.hash);
    struct key from = key_blob(&bc.project, &other.hash);
    AUTO_BUF frame = {0};
    ck_assert_int_eq(store_get(bc.mem, from.s, range_all(), &frame, NULL, NULL), OK);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&frame), PUT_ANY, NULL), OK);
    build_chain_cold(&bc);
    ck_assert(!lacks(&bc, mine.hash)); /* at a look */
    ck_assert_int_eq(blob_describe(&bc.repo, &bc.project, now(&bc), &mine.hash, &found),
                     ERR_NOT_FOUND);
    /* Now it is known better, so that the client puts it again. */
    ck_assert(lacks(&bc, mine.hash));
    ck_assert_int_eq(upload_in(&bc, data, 100, NULL, &mine), OK);
    ck_assert(!lacks(&bc, mine.hash));
    build_chain_cold(&bc);
    ck_assert_int_eq(blob_describe(&bc.repo, &bc.project, now(&bc), &mine.hash, &found), OK);
    ck_assert_uint_eq(found.size, 100);
    build_chain_release(&bc);
}
END_TEST

START_TEST(chunk_of_another_size_is_no_chunk)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct content large, other;
    struct bytes data = sample(&bc, CHUNK + 50, 1);
    ck_assert_int_eq(upload_in(&bc, data, CHUNK, NULL, &large), OK);
    ck_assert_int_eq(upload_in(&bc, sample(&bc, 777, 2), 777, NULL, &other), OK);
    struct hash chunks[] = {sha256(bytes_of(data.data, CHUNK)),
                            sha256(bytes_of(data.data + CHUNK, 50))};
    struct key from = key_blob(&bc.project, &other.hash);
    AUTO_BUF frame = {0};
    ck_assert_int_eq(store_get(bc.mem, from.s, range_all(), &frame, NULL, NULL), OK);
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        struct key key = key_blob(&bc.project, &chunks[i]);
        AUTO_BUF kept = {0};
        ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &kept, NULL, NULL), OK);
        build_chain_cold(&bc);
        ck_assert(!lacks(&bc, large.hash));
        ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&frame), PUT_ANY, NULL), OK);
        build_chain_cold(&bc);
        ck_assert(lacks(&bc, large.hash));
        ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&kept), PUT_ANY, NULL), OK);
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(describe_says_what_lies_there)
{
    struct build_chain bc;
    build_chain_init(&bc);
    const size_t sizes[] = {0, 77, CHUNK, CHUNK + 1, 9 * CHUNK};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct content content, found;
        ck_assert_int_eq(upload_in(&bc, sample(&bc, sizes[i], i), 50000, NULL, &content), OK);
        build_chain_cold(&bc);
        for (unsigned round = 0; round < 2; round++) {
            ck_assert_int_eq(
                blob_describe(&bc.repo, &bc.project, now(&bc), &content.hash, &found), OK);
            ck_assert_uint_eq(found.size, sizes[i]);
            ck_assert_int_eq(found.carrier, content.carrier);
            ck_assert(hash_equal(&found.hash, &content.hash));
            ck_assert(hash_equal(&found.manifest, &content.manifest));
            uint64_t gets = build_chain_counts(&bc).gets[TRACE_BLOB];
            ck_assert_uint_eq(round == 0 ? gets > 0 : gets == 0, 1);
        }
    }
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pieces_do_not_matter,
        blob_is_one_plain_frame,
        wrong_hash_leaves_nothing_under_it,
        finished_upload_takes_no_more,
        one_put_a_chunk_and_repeats_are_put_once,
        uploading_again_heals,
        missing_asks_once_a_hash_and_remembers,
        schedule_33_manifest_counts_only_with_its_chunks,
        damaged_blob_counts_as_missing,
        blob_under_another_name_counts_as_missing,
        chunk_of_another_size_is_no_chunk,
        describe_says_what_lies_there,
    };
    return suite_run("blob_store", tests, ARRAY_LEN(tests));
}
