#include "tests/support/store_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/store/fs.h"
#include "tests/support/folder.h"

void rig_make_dir(struct rig *rig, const char *where)
{
    (void)snprintf(rig->dir, sizeof(rig->dir), "%s/mic-store-XXXXXX", where);
    folder_make(rig->dir);
}

/* Deletes all that a test has left in a bucket. */
static void sweep(struct store *store)
{
    struct store_list list = {.more = true};
    while (list.more) {
        AUTO(arena_release) struct arena arena = {0};
        ck_assert_int_eq(store_list(store, &arena, "", "", STORE_LIST_MAX, &list), OK);
        struct store_op *ops = arena_array(&arena, list.n, struct store_op);
        for (size_t i = 0; i < list.n; i++)
            ops[i] = (struct store_op){.verb = STORE_DELETE, .key = list.keys[i].key};
        ck_assert_int_eq(store_many(store, ops, list.n), OK);
    }
}

void rig_release(struct rig *rig)
{
    if (rig->sweep)
        sweep(rig->store);
    store_close(rig->store);
    store_close(rig->below);
    if (rig->dir[0] != '\0')
        folder_remove(rig->dir);
}

void rig_open_fs(struct rig *rig, const char *where)
{
    rig_make_dir(rig, where);
    ck_assert_int_eq(fs_store_open(rig->dir, &rig->store), OK);
}

void rig_seed(struct rng_seeded *rng)
{
    const char *given = getenv("MIC_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("MIC_SEED=%llu\n", (unsigned long long)seed);
    (void)fflush(stdout);
    rng_seeded_init(rng, seed);
}

void rig_put(struct store *store, const char *key, const char *text)
{
    ck_assert_int_eq(store_put(store, key, bytes_str(text), PUT_ANY, NULL), OK);
}

void rig_expect(struct store *store, const char *key, const char *text)
{
    AUTO_BUF body = {0};
    uint64_t size = 99;
    ck_assert_int_eq(store_get(store, key, range_all(), &body, NULL, &size), OK);
    ck_assert_uint_eq(size, strlen(text));
    ck_assert(bytes_equal(buf_bytes(&body), bytes_str(text)));
}

void rig_expect_none(struct store *store, const char *key)
{
    AUTO_BUF body = {0};
    ck_assert_int_eq(store_get(store, key, range_all(), &body, NULL, NULL), ERR_NOT_FOUND);
    ck_assert_int_eq(store_get(store, key, range_none(), NULL, NULL, NULL), ERR_NOT_FOUND);
    ck_assert_uint_eq(body.len, 0);
}

/* Bytes that no other (seed, len) has, for seeds that differ. */
void rig_fill(struct buf *out, uint64_t seed, size_t len)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, seed);
    rng.rng.fill(&rng.rng, buf_reserve(out, len), len);
    out->len += len;
}

/* The number is a sum: whoever counts has an entry of its own, so that it can tell what became
 * of a put that it has no answer to. */
struct share {
    uint64_t owner;
    uint64_t n;
};

static struct share *share_of(struct buf *body, uint64_t owner)
{
    ck_assert_uint_eq(body->len % sizeof(struct share), 0);
    for (size_t at = 0; at < body->len; at += sizeof(struct share)) {
        struct share *share = (struct share *)(void *)(body->data + at);
        if (share->owner == owner)
            return share;
    }
    const struct share none = {.owner = owner};
    buf_append(body, &none, sizeof(none));
    return (struct share *)(void *)(body->data + body->len - sizeof(none));
}

void rig_count_up(struct store *store, unsigned rounds)
{
    /* Only a store on a network may not know. */
    bool far = strcmp(store->calls->name, "s3") == 0;
    uint64_t me = rng_u64(rng_system());
    uint64_t sure = 0;
    for (;;) {
        AUTO_BUF body = {0};
        struct etag etag;
        ck_assert_int_eq(store_get(store, "race/n", range_all(), &body, &etag, NULL), OK);
        struct share *mine = share_of(&body, me);
        ck_assert_uint_ge(mine->n, sure);
        if (mine->n == rounds)
            return;
        mine->n++;
        int err = store_put(store, "race/n", buf_bytes(&body), PUT_IF_MATCH, &etag);
        ck_assert(err == OK || err == ERR_CONFLICT ||
                  (far && (err == ERR_UNKNOWN || err == ERR_AGAIN)));
        if (err == OK)
            sure = mine->n;
    }
}

void rig_put_zero(struct store *store)
{
    ck_assert_int_eq(store_put(store, "race/n", bytes_of(NULL, 0), PUT_ANY, NULL), OK);
}

void rig_expect_number(struct store *store, uint64_t want)
{
    AUTO_BUF body = {0};
    uint64_t number = 0;
    ck_assert_int_eq(store_get(store, "race/n", range_all(), &body, NULL, NULL), OK);
    for (size_t at = 0; at < body.len; at += sizeof(struct share)) {
        struct share share;
        memcpy(&share, body.data + at, sizeof(share));
        number += share.n;
    }
    ck_assert_uint_eq(number, want);
}

void rig_expect_list(struct store *store, const char *prefix, const char *after, size_t max,
                     const char *const *want, size_t n, bool more)
{
    struct arena arena = {0};
    struct store_list list;
    ck_assert_int_eq(store_list(store, &arena, prefix, after, max, &list), OK);
    ck_assert_uint_eq(list.n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(list.keys[i].key, want[i]);
        ck_assert_uint_eq(list.keys[i].size, strlen(want[i]));
    }
    ck_assert_msg(list.more == more, "prefix %s after %s max %zu: more", prefix, after, max);
    arena_release(&arena);
}

void *rig_read_whole(void *arg)
{
    struct rig_replacing *replacing = arg;
    while (!atomic_load(&replacing->done)) {
        AUTO_BUF body = {0};
        ck_assert_int_eq(store_get(replacing->store, "k", range_all(), &body, NULL, NULL), OK);
        ck_assert(body.len == 50000 || body.len == 90000);
        for (size_t i = 0; i < body.len; i++) {
            ck_assert_uint_eq(body.data[i], body.len == 50000 ? 5 : 9);
        }
    }
    return NULL;
}
