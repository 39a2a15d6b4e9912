#include "tests/support/result_rig.h"

#include <check.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "tests/support/chance.h"

const struct id16 rig_project = {.b = {1, 2, 3}};
const struct id16 rig_other = {.b = {1, 2, 4}};

struct result_cache *result_rig_open(const char *dir, size_t ram_bytes, uint64_t disk_bytes)
{
    struct result_cache_options options = {
        .dir = dir, .ram_bytes = ram_bytes, .disk_bytes = disk_bytes, .chunk_size = RIG_CHUNK};
    struct result_cache *cache = NULL;
    ck_assert_int_eq(result_cache_open(&options, &cache), OK);
    return cache;
}

void result_rig_content(uint64_t seed, size_t len, struct buf *out)
{
    struct chance chance = {.state = seed};
    uint8_t *to = buf_reserve(out, len + sizeof(uint64_t));
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t word = chance_u64(&chance);
        memcpy(to + at, &word, sizeof(word));
    }
    out->len += len;
}

int result_rig_try(struct result_cache *cache, uint64_t seed, size_t len, uint64_t cost_us,
                   struct result *out, struct result_reader **reader)
{
    struct result_writer *w;
    struct result result;
    AUTO_BUF content = {0};
    result_rig_content(seed, len, &content);
    int err = result_begin(cache, &rig_project, &w);
    ck_assert_int_eq(err, OK);
    err = fn_put(result_out(w), buf_bytes(&content));
    if (err == OK) {
        ck_assert_uint_eq(result_written(w), len);
        err = result_finish(w, cost_us, &result, reader);
    }
    if (err == OK) {
        struct hash hash = sha256(buf_bytes(&content));
        ck_assert(hash_equal(&result.hash, &hash));
        ck_assert_uint_eq(result.size, len);
        ck_assert_uint_eq(hash_is_zero(&result.chunks), len <= RIG_CHUNK);
        if (out != NULL)
            *out = result;
    }
    result_writer_close(w);
    return err;
}

struct hash result_rig_put(struct result_cache *cache, uint64_t seed, size_t len,
                           uint64_t cost_us)
{
    struct result result;
    ck_assert_int_eq(result_rig_try(cache, seed, len, cost_us, &result, NULL), OK);
    return result.hash;
}

int result_rig_read(struct result_reader *r, uint64_t seed, size_t len)
{
    AUTO_BUF content = {0};
    result_rig_content(seed, len, &content);
    struct fn_bytes *bytes = result_bytes(r);
    ck_assert_uint_eq(bytes->size, len);
    ck_assert_uint_eq(result_of(r)->size, len);
    int err = OK;
    for (size_t at = 0; at < len && err == OK;) {
        struct bytes view;
        err = bytes->view(bytes, at, &view);
        if (err == OK) {
            ck_assert(view.len > 0 && view.len <= len - at);
            ck_assert_int_eq(memcmp(view.data, content.data + at, view.len), 0);
            at += view.len;
        }
    }
    result_close(r);
    return err;
}

int result_rig_get(struct result_cache *cache, uint64_t seed, size_t len)
{
    AUTO_BUF content = {0};
    result_rig_content(seed, len, &content);
    struct hash hash = sha256(buf_bytes(&content));
    struct result_reader *r;
    int err = result_open(cache, &rig_project, &hash, &r);
    return err != OK ? err : result_rig_read(r, seed, len);
}

struct result_cache_stats result_rig_stats(struct result_cache *cache)
{
    struct result_cache_stats stats;
    result_cache_stats(cache, &stats);
    return stats;
}
