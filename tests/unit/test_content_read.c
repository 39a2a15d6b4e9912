#include "pipeline/repo/content/content_read.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/content.h"
#include "formats/key.h"
#include "pipeline/repo/content/blob_store.h"
#include "tests/support/build_chain.h"
#include "tests/support/chance.h"
#include "tests/support/suite.h"

#define CHUNK BUILD_CHAIN_CHUNK

/* Bytes without repetition, the same for the same seed. */
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

static struct content upload(struct build_chain *bc, struct bytes data)
{
    struct upload *upload = upload_open(&bc->repo, &bc->project);
    struct content content;
    ck_assert_int_eq(upload_write(upload, data), OK);
    ck_assert_int_eq(upload_finish(upload, NULL, &content), OK);
    upload_close(upload);
    return content;
}

static struct location place_of(const struct content *content)
{
    if (content->carrier == CARRIER_BLOB)
        return (struct location){.place = PLACE_BLOB};
    return (struct location){.place = PLACE_MANIFEST, .check = content->manifest};
}

static int open_content(struct build_chain *bc, const struct content *content,
                        struct content_reader **out)
{
    struct location where = place_of(content);
    return content_open(&bc->repo, &bc->project, &where, content->size, &content->hash, out);
}

static void range_is(struct content_reader *reader, struct bytes all, uint64_t offset,
                     size_t len)
{
    AUTO_BUF got = {0};
    buf_append(&got, "before", 6);
    ck_assert_int_eq(content_read_at(reader, offset, len, &got), OK);
    struct bytes want = {0};
    if (offset < all.len)
        want = bytes_of(all.data + offset, len < all.len - offset ? len : all.len - offset);
    ck_assert(bytes_equal(bytes_of(got.data + 6, got.len - 6), want));
}

START_TEST(every_place_reads_back)
{
    struct build_chain bc;
    build_chain_init(&bc);
    const size_t sizes[] = {0,         1,         1000,          CHUNK - 1, CHUNK,
                            CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1, 5 * CHUNK, 7 * CHUNK + 77};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct bytes data = sample(&bc, sizes[i], i);
        struct content content = upload(&bc, data);
        ck_assert_int_eq(content.carrier, sizes[i] <= CHUNK ? CARRIER_BLOB : CARRIER_MANIFEST);
        struct content_reader *readers[2];
        ck_assert_int_eq(open_content(&bc, &content, &readers[0]), OK);
        ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &readers[1]),
                         OK);
        for (unsigned r = 0; r < 2; r++) {
            ck_assert_uint_eq(content_size(readers[r]), sizes[i]);
            range_is(readers[r], data, 0, sizes[i]);
            range_is(readers[r], data, 0, SIZE_MAX);
            range_is(readers[r], data, sizes[i] / 2, CHUNK);
            range_is(readers[r], data, CHUNK - 1, 2);
            range_is(readers[r], data, sizes[i], 1);
            range_is(readers[r], data, sizes[i] + 1000, 1);
            range_is(readers[r], data, UINT64_MAX, 1);
            range_is(readers[r], data, 5, 0);
            content_close(readers[r]);
        }
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(range_fetches_only_its_chunks)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 20 * CHUNK, 3);
    struct content content = upload(&bc, data);
    build_chain_cold(&bc);
    struct content_reader *reader;
    ck_assert_int_eq(open_content(&bc, &content, &reader), OK);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_BLOB], 1); /* the manifest */
    range_is(reader, data, 7 * CHUNK + 5, 10);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_BLOB], 1);
    range_is(reader, data, 7 * CHUNK + 100, 1000);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_BLOB], 0);
    range_is(reader, data, 8 * CHUNK - 1, 2 + CHUNK);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_BLOB], 2);
    /* Read from the beginning in small pieces, each chunk is fetched once. */
    for (uint64_t at = 0; at < data.len; at += 10000)
        range_is(reader, data, at, 10000);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_BLOB], 20);
    content_close(reader);
    build_chain_release(&bc);
}
END_TEST

/* Puts `stored` as the tree object that a location names. */
static struct location in_tree(struct build_chain *bc, enum place place, struct bytes stored)
{
    struct location where = {
        .place = place, .tree = {{5}}, .offset = 3, .len = (uint32_t)stored.len};
    AUTO_BUF object = {0};
    buf_append(&object, "abc", 3);
    buf_append_bytes(&object, stored);
    buf_append(&object, "xyz", 3);
    struct key key = key_tree(&bc->project, &where.tree);
    ck_assert_int_eq(store_put(bc->mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
    return where;
}

START_TEST(content_in_a_tree_object)
{
    struct build_chain bc;
    build_chain_init(&bc);
    char text[5000];
    memset(text, 'x', sizeof(text));
    struct bytes plain = bytes_of(text, sizeof(text));
    struct hash hash = sha256(plain);
    AUTO_BUF frame = {0};
    zstd_pack(plain, &frame);
    for (unsigned zstd = 0; zstd < 2; zstd++) {
        struct location where = in_tree(&bc, zstd != 0 ? PLACE_ZSTD : PLACE_RAW,
                                        zstd != 0 ? buf_bytes(&frame) : plain);
        struct content_reader *reader;
        struct key key = key_tree(&bc.project, &where.tree);
        (void)build_chain_counts(&bc);
        ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, plain.len, &hash, &reader),
                         OK);
        range_is(reader, plain, 0, plain.len);
        range_is(reader, plain, 77, 99);
        ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 1);
        content_close(reader);
        /* Wrong size, wrong hash, a flipped bit, past the end, gone. */
        ck_assert_int_eq(
            content_open(&bc.repo, &bc.project, &where, plain.len - 1, &hash, &reader),
            ERR_CORRUPT);
        struct hash other = hash;
        other.b[31] ^= 1;
        ck_assert_int_eq(
            content_open(&bc.repo, &bc.project, &where, plain.len, &other, &reader),
            ERR_CORRUPT);
        build_chain_flip(&bc, key.s, 3 + where.len / 2);
        ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, plain.len, &hash, &reader),
                         ERR_CORRUPT);
        where.offset = 1u << 20;
        ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, plain.len, &hash, &reader),
                         ERR_CORRUPT);
        ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
        ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, plain.len, &hash, &reader),
                         ERR_CORRUPT);
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(places_without_content_are_invalid)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct hash hash = {{1}};
    struct content_reader *reader;
    const enum place places[] = {PLACE_NONE, PLACE_PAGE};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct location where = {.place = places[i]};
        ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, 1, &hash, &reader),
                         ERR_INVALID);
    }
    ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &hash, &reader), ERR_NOT_FOUND);
    struct location where = {.place = PLACE_BLOB};
    ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, 1, &hash, &reader),
                     ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_blob_is_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 1000, 1);
    struct content content = upload(&bc, data);
    struct key key = key_blob(&bc.project, &content.hash);
    struct content_reader *reader;
    AUTO_BUF object = {0};
    ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &object, NULL, NULL), OK);
    for (size_t at = 0; at < object.len; at++) {
        build_chain_flip(&bc, key.s, (long)at);
        int err = open_content(&bc, &content, &reader);
        if (err == OK) { /* a bit of the frame that does not matter */
            range_is(reader, data, 0, data.len);
            content_close(reader);
        } else {
            ck_assert_int_eq(err, ERR_CORRUPT);
            ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &reader),
                             ERR_CORRUPT);
        }
        build_chain_flip(&bc, key.s, (long)at);
    }
    /* Other content under this name, whole in itself. */
    AUTO_BUF frame = {0};
    zstd_pack(sample(&bc, 1000, 2), &frame);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&frame), PUT_ANY, NULL), OK);
    ck_assert_int_eq(open_content(&bc, &content, &reader), ERR_CORRUPT);
    ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &reader),
                     ERR_CORRUPT);
    ck_assert_int_eq(store_put(bc.mem, key.s, bytes_str(""), PUT_ANY, NULL), OK);
    ck_assert_int_eq(open_content(&bc, &content, &reader), ERR_CORRUPT);
    ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &reader),
                     ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(blob_larger_than_a_chunk_is_refused_unread)
{
    struct build_chain bc;
    build_chain_init(&bc);
    /* A small frame that says it is huge: no memory is spent on what it says. */
    uint8_t *zeros = arena_zalloc(&bc.arena, 1, 40 * MIB);
    AUTO_BUF frame = {0};
    zstd_pack(bytes_of(zeros, 40 * MIB), &frame);
    struct hash hash = sha256(bytes_of(zeros, 40 * MIB));
    struct key key = key_blob(&bc.project, &hash);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&frame), PUT_ANY, NULL), OK);
    struct content_reader *reader;
    struct location where = {.place = PLACE_BLOB};
    ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &hash, &reader), ERR_CORRUPT);
    ck_assert_int_eq(content_open(&bc.repo, &bc.project, &where, 40 * MIB, &hash, &reader),
                     ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_chunk_spares_the_others)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct bytes data = sample(&bc, 4 * CHUNK, 9);
    struct content content = upload(&bc, data);
    struct hash third = sha256(bytes_of(data.data + 2 * CHUNK, CHUNK));
    struct key key = key_blob(&bc.project, &third);
    struct content_reader *reader;
    ck_assert_int_eq(open_content(&bc, &content, &reader), OK);
    for (unsigned gone = 0; gone < 2; gone++) {
        AUTO_BUF got = {0};
        if (gone != 0)
            ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
        else
            build_chain_flip(&bc, key.s, 1000);
        ck_assert_int_eq(content_read_at(reader, CHUNK, 2 * CHUNK, &got), ERR_CORRUPT);
        ck_assert_uint_eq(got.len, 0);
        range_is(reader, data, 0, 2 * CHUNK);
        range_is(reader, data, 3 * CHUNK, CHUNK);
    }
    content_close(reader);
    build_chain_release(&bc);
}
END_TEST

START_TEST(manifest_is_held_to_its_own_hash)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct content content = upload(&bc, sample(&bc, 4 * CHUNK, 9));
    struct key key = key_blob(&bc.project, &content.hash);
    struct content_reader *reader;
    struct content wrong = content;
    wrong.manifest.b[0] ^= 1;
    ck_assert_int_eq(open_content(&bc, &wrong, &reader), ERR_CORRUPT);
    wrong = content;
    wrong.size++;
    ck_assert_int_eq(open_content(&bc, &wrong, &reader), ERR_CORRUPT);
    AUTO_BUF object = {0};
    ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &object, NULL, NULL), OK);
    for (size_t at = 0; at < object.len; at++) {
        build_chain_flip(&bc, key.s, (long)at);
        ck_assert_int_eq(open_content(&bc, &content, &reader), ERR_CORRUPT);
        ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &reader),
                         ERR_CORRUPT);
        build_chain_flip(&bc, key.s, (long)at);
    }
    /* Another manifest, whole in itself, under this name. */
    AUTO_BUF other = {0};
    struct content second = upload(&bc, sample(&bc, 3 * CHUNK, 10));
    struct key second_key = key_blob(&bc.project, &second.hash);
    ck_assert_int_eq(store_get(bc.mem, second_key.s, range_all(), &other, NULL, NULL), OK);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&other), PUT_ANY, NULL), OK);
    ck_assert_int_eq(open_content(&bc, &content, &reader), ERR_CORRUPT);
    ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &reader),
                     ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(long_manifest_is_read_whole)
{
    struct build_chain bc;
    build_chain_init(&bc);
    /* Of so many chunks that the manifest is longer than a chunk's frame may be. */
    uint8_t *zeros = arena_zalloc(&bc.arena, 1, CHUNK);
    struct upload *upload = upload_open(&bc.repo, &bc.project);
    for (unsigned i = 0; i < 2200; i++)
        ck_assert_int_eq(upload_write(upload, bytes_of(zeros, CHUNK)), OK);
    struct content content;
    ck_assert_int_eq(upload_finish(upload, NULL, &content), OK);
    upload_close(upload);
    struct content_reader *reader;
    ck_assert_int_eq(open_content(&bc, &content, &reader), OK);
    AUTO_BUF got = {0};
    ck_assert_int_eq(content_read_at(reader, 2199ull * CHUNK + CHUNK - 3, 10, &got), OK);
    ck_assert(bytes_equal(buf_bytes(&got), bytes_of("\0\0\0", 3)));
    content_close(reader);
    ck_assert_int_eq(content_open_blob(&bc.repo, &bc.project, &content.hash, &reader), OK);
    ck_assert_uint_eq(content_size(reader), 2200ull * CHUNK);
    content_close(reader);
    build_chain_release(&bc);
}
END_TEST

START_TEST(content_of_another_project_is_not_found)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct content content = upload(&bc, sample(&bc, 100, 1));
    struct id16 other = {{3}};
    struct content_reader *reader;
    ck_assert_int_eq(content_open_blob(&bc.repo, &other, &content.hash, &reader),
                     ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_place_reads_back,          range_fetches_only_its_chunks,
        content_in_a_tree_object,        places_without_content_are_invalid,
        damaged_blob_is_corrupt,         blob_larger_than_a_chunk_is_refused_unread,
        damaged_chunk_spares_the_others, manifest_is_held_to_its_own_hash,
        long_manifest_is_read_whole,     content_of_another_project_is_not_found,
    };
    return suite_run("content_read", tests, ARRAY_LEN(tests));
}
