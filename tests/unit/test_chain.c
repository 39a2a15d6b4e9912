#include "pipeline/repo/chain.h"

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain_cache.h"
#include "tests/support/build_chain.h"
#include "tests/support/suite.h"

static struct key tip_key(const struct build_chain *bc)
{
    return key_tree(&bc->project, &bc->head.tree_hash);
}

/* What opening the newest batch of a damaged project gives, with empty caches. */
static int tip_error(struct build_chain *bc)
{
    build_chain_cold(bc);
    const struct batch *batch;
    int err = chain_tip(&bc->repo, &bc->project, &bc->head, &batch);
    if (err == OK)
        chain_drop(&bc->repo, batch);
    return err;
}

static void head_replace(struct build_chain *bc, const struct head *head)
{
    uint8_t bytes[HEAD_LEN];
    head_encode(head, bytes);
    struct key key = key_head(&bc->project);
    ck_assert_int_eq(store_put(bc->mem, key.s, bytes_of(bytes, sizeof(bytes)), PUT_ANY, NULL),
                     OK);
}

START_TEST(head_of_no_project_is_not_found)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct id16 other = {{1}};
    struct head head;
    ck_assert_int_eq(chain_head(&bc.repo, &other, &head, NULL), ERR_NOT_FOUND);
    build_chain_release(&bc);
}
END_TEST

START_TEST(head_missing_from_a_project_is_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct key key = key_head(&bc.project);
    struct head head;
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    ck_assert_int_eq(chain_head(&bc.repo, &bc.project, &head, NULL), ERR_CORRUPT);
    ck_assert_int_eq(store_put(bc.mem, key.s, bytes_str("short"), PUT_ANY, NULL), OK);
    ck_assert_int_eq(chain_head(&bc.repo, &bc.project, &head, NULL), ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(head_far_ahead_does_not_move_the_clock)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct head head = bc.head;
    head.hlc = UINT64_MAX - 1;
    head_replace(&bc, &head);
    const struct batch *batch;
    ck_assert_int_eq(chain_head(&bc.repo, &bc.project, &head, NULL), OK);
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &head, &batch), ERR_CORRUPT);
    ck_assert_uint_lt(repo_hlc(&bc.repo), hlc_make(1800000060000u, 0));
    build_chain_release(&bc);
}
END_TEST

START_TEST(tip_must_agree_with_its_head)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 2);
    const struct batch *batch;
    struct head head = bc.head;
    head.position++;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &head, &batch), ERR_CORRUPT);
    head = bc.head;
    head.hlc++;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &head, &batch), ERR_CORRUPT);
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_uint_eq(batch->footer.position, 2);
    ck_assert_uint_eq(batch->footer.batch, 2);
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(batch_costs_one_read_and_brings_its_root)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 1);
    build_chain_cold(&bc);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    struct tree tree = chain_tree(&bc.repo, &bc.project, batch);
    AUTO(arena_release) struct arena arena = {0};
    struct entry entry;
    ck_assert_int_eq(tree_find(&tree, bytes_str("file"), &arena, &entry), OK);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 1);
    chain_drop(&bc.repo, batch);

    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    chain_drop(&bc.repo, batch);
    counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 0);
    build_chain_release(&bc);
}
END_TEST

START_TEST(verifying_reads_what_is_cached)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 3);
    struct key key = key_tree(&bc.project, &bc.head.tree_hash);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    (void)build_chain_counts(&bc);
    ck_assert_int_eq(chain_verify(&bc.repo, &bc.project, &bc.head), OK);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 1);
    /* In the footer, and in the root page. */
    const long places[] = {-20, (long)batch->footer.root.offset + 3};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        build_chain_flip(&bc, key.s, places[i]);
        ck_assert_int_eq(chain_verify(&bc.repo, &bc.project, &bc.head), ERR_CORRUPT);
        build_chain_flip(&bc, key.s, places[i]);
        ck_assert_int_eq(chain_verify(&bc.repo, &bc.project, &bc.head), OK);
    }
    struct head ahead = bc.head;
    ahead.position++;
    ck_assert_int_eq(chain_verify(&bc.repo, &bc.project, &ahead), ERR_CORRUPT);
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(long_tail_costs_a_second_read)
{
    struct build_chain bc;
    build_chain_init(&bc);
    enum { N = 3000 };
    static struct build_answer answers[N];
    for (unsigned i = 0; i < N; i++)
        answers[i].verdict = VERDICT_REFUSED;
    build_chain_put(&bc, answers, N);
    build_chain_cold(&bc);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_uint_eq(batch->footer.n_records, N);
    ck_assert_uint_gt(batch->footer.ids.len, 64 * KIB);
    struct trace_counts counts = build_chain_counts(&bc);
    ck_assert_uint_eq(counts.gets[TRACE_TREE], 2);
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(footer_as_long_as_the_first_read_is_read)
{
    struct build_chain bc;
    build_chain_init(&bc);
    bc.companions = 1900;
    build_chain_write(&bc, "a", "text");
    build_chain_cold(&bc);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_uint_eq(batch->footer.n_companions, 1900);
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(every_damaged_byte_of_the_tail_shows)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 3);
    build_chain_cold(&bc);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    uint32_t ids_at = batch->footer.ids.offset;
    chain_drop(&bc.repo, batch);
    struct key key = tip_key(&bc);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    for (size_t at = ids_at; at < bytes.len; at++) {
        build_chain_flip(&bc, key.s, (long)at);
        ck_assert_msg(tip_error(&bc) == ERR_CORRUPT, "byte %zu", at);
        build_chain_flip(&bc, key.s, (long)at);
    }
    ck_assert_int_eq(tip_error(&bc), OK);
    build_chain_release(&bc);
}
END_TEST

START_TEST(short_and_missing_objects_are_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 1);
    struct key key = tip_key(&bc);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(bc.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    for (size_t len = 0; len < bytes.len; len += 7) {
        /* The end of the object, so that the trailer is whole. */
        struct bytes part = bytes_of(bytes.data + bytes.len - len, len);
        ck_assert_int_eq(store_put(bc.mem, key.s, part, PUT_ANY, NULL), OK);
        ck_assert_int_eq(tip_error(&bc), ERR_CORRUPT);
        part = bytes_of(bytes.data, len);
        ck_assert_int_eq(store_put(bc.mem, key.s, part, PUT_ANY, NULL), OK);
        ck_assert_int_eq(tip_error(&bc), ERR_CORRUPT);
    }
    ck_assert_int_eq(store_delete(bc.mem, key.s), OK);
    ck_assert_int_eq(tip_error(&bc), ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

/* The tip's object, its footer changed by `change` and the head made to name it. */
static void footer_change(struct build_chain *bc, void (*change)(struct footer *))
{
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc->repo, &bc->project, &bc->head, &batch), OK);
    struct footer footer = batch->footer;
    chain_drop(&bc->repo, batch);
    change(&footer);
    AUTO_BUF object = {0};
    AUTO_BUF encoded = {0};
    struct key key = tip_key(bc);
    ck_assert_int_eq(store_get(bc->mem, key.s, range_all(), &object, NULL, NULL), OK);
    object.len = footer.root.offset + footer.root.len;
    footer_encode(&footer, &encoded);
    bc->head.tree_hash = sha256(buf_bytes(&encoded));
    bc->head.position = footer.position;
    buf_append_bytes(&object, buf_bytes(&encoded));
    tree_trailer_write(&object, (uint32_t)encoded.len);
    key = tip_key(bc);
    ck_assert_int_eq(store_put(bc->mem, key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
}

static void root_hash_change(struct footer *footer)
{
    footer->root.hash.b[0] ^= 1;
}

static void ids_hash_change(struct footer *footer)
{
    footer->ids.hash.b[0] ^= 1;
}

static void sections_move(struct footer *footer)
{
    footer->ids.offset += 1;
}

START_TEST(wrong_root_ids_and_sections_are_corrupt)
{
    void (*const changes[])(struct footer *) = {root_hash_change, ids_hash_change,
                                                sections_move};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct build_chain bc;
        build_chain_init(&bc);
        build_chain_grow(&bc, 1);
        footer_change(&bc, changes[i]);
        ck_assert_int_eq(tip_error(&bc), ERR_CORRUPT);
        build_chain_release(&bc);
    }
}
END_TEST

static void records_hash_change(struct footer *footer)
{
    footer->records.hash.b[0] ^= 1;
}

START_TEST(records_are_held_to_the_footers_hash)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 1);
    footer_change(&bc, records_hash_change);
    const struct batch *batch;
    struct landing *landings;
    AUTO(arena_release) struct arena arena = {0};
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_int_eq(chain_records(&bc.repo, &bc.project, batch, &arena, &landings),
                     ERR_CORRUPT);
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(whole_object_under_another_name_is_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 1);
    struct hash first = bc.head.tree_hash;
    struct key first_key = tip_key(&bc);
    build_chain_grow(&bc, 1);
    struct key second_key = tip_key(&bc);
    AUTO_BUF object = {0};
    ck_assert_int_eq(store_get(bc.mem, second_key.s, range_all(), &object, NULL, NULL), OK);
    ck_assert_int_eq(store_put(bc.mem, first_key.s, buf_bytes(&object), PUT_ANY, NULL), OK);
    build_chain_cold(&bc);
    const struct batch *batch;
    ck_assert_int_eq(chain_batch(&bc.repo, &bc.project, &first, &batch), ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

START_TEST(find_gives_the_oldest_batch_that_reaches_the_position)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_answer three[3] = {{0}};
    struct build_answer refused = {.verdict = VERDICT_REFUSED};
    const uint64_t batches[] = {0, 3, 3, 6, 9};
    build_chain_put(&bc, three, 3);
    build_chain_put(&bc, &refused, 1);
    build_chain_put(&bc, three, 3);
    build_chain_put(&bc, three, 3);
    for (uint64_t p = 0; p <= 9; p++) {
        uint64_t want = p == 0 ? 0 : p <= 3 ? 1 : p <= 6 ? 3 : 4;
        const struct batch *batch;
        ck_assert_int_eq(chain_find(&bc.repo, &bc.project, &bc.head, p, &batch), OK);
        ck_assert_uint_eq(batch->footer.batch, want);
        ck_assert_uint_eq(batch->footer.position, batches[want]);
        chain_drop(&bc.repo, batch);
    }
    const struct batch *none;
    ck_assert_int_eq(chain_find(&bc.repo, &bc.project, &bc.head, 10, &none), ERR_INVALID);
    build_chain_release(&bc);
}
END_TEST

START_TEST(find_reads_few_batches)
{
    struct build_chain bc;
    build_chain_init(&bc);
    for (unsigned i = 0; i < 600; i++)
        build_chain_put(&bc, &(struct build_answer){0}, 1);
    for (uint64_t p = 0; p <= 600; p += 37) {
        build_chain_cold(&bc);
        const struct batch *batch;
        ck_assert_int_eq(chain_find(&bc.repo, &bc.project, &bc.head, p, &batch), OK);
        ck_assert_uint_eq(batch->footer.position, p);
        chain_drop(&bc.repo, batch);
        /* 600 has three digits to base 16, and a step lowers one of them. */
        struct trace_counts counts = build_chain_counts(&bc);
        ck_assert_uint_le(counts.gets[TRACE_TREE], 3 * 16 + 1);
    }
    build_chain_release(&bc);
}
END_TEST

/* Short ones come with the footer, long ones by a read of their own. */
START_TEST(records_cost_a_read_when_they_are_long)
{
    static const struct build_answer answers[600];
    static const struct {
        size_t n;
        uint64_t gets;
    } cases[] = {{1, 0}, {50, 0}, {ARRAY_LEN(answers), 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct build_chain bc;
        const struct batch *batch;
        struct landing *landings;
        AUTO(arena_release) struct arena arena = {0};
        build_chain_init(&bc);
        build_chain_put(&bc, answers, cases[i].n);
        build_chain_cold(&bc);
        (void)build_chain_counts(&bc);
        ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
        ck_assert_int_eq(chain_records(&bc.repo, &bc.project, batch, &arena, &landings), OK);
        ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 1 + cases[i].gets);
        ck_assert_uint_eq(landings[cases[i].n - 1].position, cases[i].n);
        chain_drop(&bc.repo, batch);
        build_chain_release(&bc);
    }
}
END_TEST

START_TEST(records_come_in_order)
{
    struct build_chain bc;
    build_chain_init(&bc);
    struct build_op op = {.op = OP_WRITE, .path = "a", .text = "one"};
    struct build_answer answers[] = {
        {.verdict = VERDICT_REFUSED, .key = "r"},
        {.key = "l", .ops = &op, .n_ops = 1},
        {.verdict = VERDICT_ABANDONED, .key = "x"},
    };
    build_chain_put(&bc, answers, ARRAY_LEN(answers));
    build_chain_cold(&bc);
    const struct batch *batch;
    struct landing *landings;
    struct landing one;
    AUTO(arena_release) struct arena arena = {0};
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_int_eq(chain_records(&bc.repo, &bc.project, batch, &arena, &landings), OK);
    ck_assert_int_eq(landings[0].verdict, VERDICT_REFUSED);
    ck_assert_uint_eq(landings[0].position, 0);
    ck_assert_int_eq(landings[1].verdict, VERDICT_LANDED);
    ck_assert_uint_eq(landings[1].position, 1);
    ck_assert_uint_eq(landings[1].landed.n_records, 2);
    ck_assert_int_eq(landings[2].verdict, VERDICT_ABANDONED);
    ck_assert_int_eq(chain_record(&bc.repo, &bc.project, batch, 2, &arena, &one), OK);
    struct id16 session = build_chain_session(&bc, "x", 0);
    ck_assert(id16_equal(&one.session, &session));
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(damaged_records_are_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 1);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    struct section records = batch->footer.records;
    chain_drop(&bc.repo, batch);
    struct key key = tip_key(&bc);
    for (uint32_t i = 0; i < records.len; i += 5) {
        AUTO(arena_release) struct arena arena = {0};
        struct landing *landings;
        struct landing one;
        build_chain_cold(&bc);
        build_chain_flip(&bc, key.s, (long)records.offset + (long)i);
        ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
        ck_assert_int_eq(chain_records(&bc.repo, &bc.project, batch, &arena, &landings),
                         ERR_CORRUPT);
        ck_assert_int_eq(chain_record(&bc.repo, &bc.project, batch, 0, &arena, &one),
                         ERR_CORRUPT);
        build_chain_flip(&bc, key.s, (long)records.offset + (long)i);
        chain_drop(&bc.repo, batch);
    }
    build_chain_release(&bc);
}
END_TEST

START_TEST(ids_that_do_not_match_their_records_are_corrupt)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 2);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    struct tree_id id = batch->ids[0];
    for (unsigned i = 0; i < 6; i++) {
        struct tree_id wrong = id;
        struct footer footer = batch->footer;
        switch (i) {
        case 0:
            wrong.session.b[0] ^= 1;
            break;
        case 1:
            wrong.request.b[0] ^= 1;
            break;
        case 2:
            wrong.verdict = VERDICT_REFUSED;
            break;
        case 3:
            wrong.offset = 1;
            break;
        case 4:
            wrong.closes = !wrong.closes;
            break;
        default:
            /* The landing's position does not follow. */
            footer.first--;
            footer.position--;
            break;
        }
        struct hash name = {{(uint8_t)(i + 1)}};
        chain_remember(&bc.repo, &bc.project, &name, &footer, &wrong, (struct bytes){0});
        const struct batch *remembered;
        ck_assert_int_eq(chain_batch(&bc.repo, &bc.project, &name, &remembered), OK);
        /* Its records are read under the name of the true one. */
        struct batch mixed = *remembered;
        mixed.tree_hash = batch->tree_hash;
        AUTO(arena_release) struct arena arena = {0};
        struct landing *landings;
        ck_assert_int_eq(chain_records(&bc.repo, &bc.project, &mixed, &arena, &landings),
                         ERR_CORRUPT);
        chain_drop(&bc.repo, remembered);
    }
    chain_drop(&bc.repo, batch);
    build_chain_release(&bc);
}
END_TEST

START_TEST(remembered_batch_is_not_read)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 1);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    struct footer footer = batch->footer;
    struct tree_id id = batch->ids[0];
    chain_drop(&bc.repo, batch);
    build_chain_cold(&bc);
    chain_remember(&bc.repo, &bc.project, &bc.head.tree_hash, &footer, &id, (struct bytes){0});
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 0);
    chain_drop(&bc.repo, batch);
    /* Another project does not see it. */
    struct id16 other = {{9}};
    ck_assert_int_eq(chain_batch(&bc.repo, &other, &bc.head.tree_hash, &batch), ERR_CORRUPT);
    build_chain_release(&bc);
}
END_TEST

static const struct batch *cache_put(struct chain_cache *cache, uint8_t n, uint32_t n_ids)
{
    struct id16 project = {{1}};
    struct hash name = {{n}};
    struct batch *batch = chain_cache_new(&name);
    batch->footer.n_records = n_ids;
    return chain_cache_add(cache, &project, batch);
}

static bool cache_has(struct chain_cache *cache, uint8_t n)
{
    struct id16 project = {{1}};
    struct hash name = {{n}};
    const struct batch *batch = chain_cache_find(cache, &project, &name);
    chain_cache_drop(cache, batch);
    return batch != NULL;
}

START_TEST(cache_drops_the_least_recently_used)
{
    struct chain_cache *cache = chain_cache_open(3, 0);
    for (uint8_t n = 1; n <= 3; n++)
        chain_cache_drop(cache, cache_put(cache, n, 1));
    ck_assert(cache_has(cache, 1));
    chain_cache_drop(cache, cache_put(cache, 4, 1));
    ck_assert(cache_has(cache, 1));
    ck_assert(!cache_has(cache, 2));
    ck_assert(cache_has(cache, 3));
    ck_assert(cache_has(cache, 4));
    /* One with very many ids makes the others go. */
    chain_cache_drop(cache, cache_put(cache, 5, 100000));
    ck_assert(cache_has(cache, 5));
    ck_assert(!cache_has(cache, 1) && !cache_has(cache, 3) && !cache_has(cache, 4));
    chain_cache_close(cache);
}
END_TEST

START_TEST(remembered_records_are_not_read)
{
    struct build_chain bc;
    build_chain_init(&bc);
    build_chain_grow(&bc, 2);
    const struct batch *batch;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    struct footer footer = batch->footer;
    struct tree_id id = batch->ids[0];
    chain_drop(&bc.repo, batch);
    AUTO_BUF records = {0};
    struct key key = key_tree(&bc.project, &bc.head.tree_hash);
    ck_assert_int_eq(store_get(bc.repo.store, key.s,
                               range_of(footer.records.offset, footer.records.len), &records,
                               NULL, NULL),
                     OK);
    build_chain_cold(&bc);
    chain_remember(&bc.repo, &bc.project, &bc.head.tree_hash, &footer, &id,
                   buf_bytes(&records));
    AUTO(arena_release) struct arena arena = {0};
    struct landing *landings;
    struct landing one;
    ck_assert_int_eq(chain_tip(&bc.repo, &bc.project, &bc.head, &batch), OK);
    ck_assert_int_eq(chain_records(&bc.repo, &bc.project, batch, &arena, &landings), OK);
    ck_assert_int_eq(chain_record(&bc.repo, &bc.project, batch, 0, &arena, &one), OK);
    chain_drop(&bc.repo, batch);
    ck_assert_uint_eq(landings[0].position, 2);
    ck_assert_uint_eq(one.position, 2);
    ck_assert(id16_equal(&landings[0].session, &id.session));
    ck_assert_uint_eq(build_chain_counts(&bc).gets[TRACE_TREE], 0);
    build_chain_release(&bc);
}
END_TEST

static size_t cache_records(struct chain_cache *cache, uint8_t n)
{
    struct id16 project = {{1}};
    struct hash name = {{n}};
    const struct batch *batch = chain_cache_find(cache, &project, &name);
    ck_assert_ptr_nonnull(batch);
    size_t len = batch->records.len;
    chain_cache_drop(cache, batch);
    return len;
}

static void cache_put_records(struct chain_cache *cache, uint8_t n, size_t len)
{
    static const uint8_t zeros[200];
    const struct batch *batch = cache_put(cache, n, 1);
    chain_cache_keep(cache, batch, bytes_of(zeros, len));
    chain_cache_drop(cache, batch);
}

START_TEST(cache_keeps_the_newest_records)
{
    struct chain_cache *cache = chain_cache_open(6, 100);
    cache_put_records(cache, 1, 25);
    const struct batch *held = cache_put(cache, 1, 1);
    for (uint8_t n = 2; n <= 4; n++)
        cache_put_records(cache, n, 25);
    ck_assert_uint_eq(cache_records(cache, 2), 25);
    cache_put_records(cache, 5, 26); /* too large a part */
    ck_assert_uint_eq(cache_records(cache, 5), 0);
    cache_put_records(cache, 6, 10);
    /* The oldest go first, but not under who is reading them; the batches stay. */
    ck_assert_uint_eq(held->records.len, 25);
    ck_assert_uint_eq(cache_records(cache, 2), 0);
    ck_assert_uint_eq(cache_records(cache, 3), 25);
    chain_cache_drop(cache, held);
    cache_put_records(cache, 6, 10); /* it has them */
    for (uint8_t n = 7; n <= 12; n++)
        cache_put_records(cache, n, 20);
    ck_assert(!cache_has(cache, 1) && !cache_has(cache, 6));
    ck_assert_uint_eq(cache_records(cache, 7), 0);
    for (uint8_t n = 8; n <= 12; n++)
        ck_assert_uint_eq(cache_records(cache, n), 20);
    chain_cache_close(cache);
}
END_TEST

/* One that has no records leaves nothing behind when it goes (the sanitizers see it). */
START_TEST(cache_keeps_no_empty_records)
{
    struct chain_cache *cache = chain_cache_open(3, 100);
    cache_put_records(cache, 1, 0);
    cache_put_records(cache, 1, 0);
    for (uint8_t n = 2; n <= 40; n++)
        cache_put_records(cache, n, n % 3 == 0 ? 0 : 25);
    ck_assert(!cache_has(cache, 1));
    ck_assert_uint_eq(cache_records(cache, 40), 25);
    chain_cache_close(cache);
}
END_TEST

START_TEST(held_batch_outlives_its_place_in_the_cache)
{
    struct chain_cache *cache = chain_cache_open(1, 0);
    const struct batch *held = cache_put(cache, 1, 7);
    chain_cache_drop(cache, cache_put(cache, 2, 1));
    ck_assert(!cache_has(cache, 1));
    ck_assert_uint_eq(held->footer.n_records, 7);
    /* A second copy of it is one of its own. */
    chain_cache_drop(cache, cache_put(cache, 1, 7));
    chain_cache_drop(cache, held);
    ck_assert(cache_has(cache, 1));
    chain_cache_close(cache);
}
END_TEST

struct seeker {
    struct build_chain *bc;
    uint64_t at;
    bool good;
};

static void *seek(void *arg)
{
    struct seeker *seeker = arg;
    struct build_chain *bc = seeker->bc;
    for (unsigned i = 0; i < 300; i++) {
        uint64_t position = (seeker->at + i * 7) % (bc->head.position + 1);
        const struct batch *batch;
        int err = chain_find(&bc->repo, &bc->project, &bc->head, position, &batch);
        if (err != OK)
            return NULL;
        bool right = batch->footer.position == position;
        chain_drop(&bc->repo, batch);
        if (!right)
            return NULL;
    }
    seeker->good = true;
    return NULL;
}

START_TEST(many_threads_share_a_small_cache)
{
    struct build_chain bc;
    build_chain_init(&bc);
    for (unsigned i = 0; i < 40; i++)
        build_chain_put(&bc, &(struct build_answer){0}, 1);
    chain_cache_close(bc.repo.chain);
    bc.repo.chain = chain_cache_open(5, 0);
    enum { N = 4 };
    struct seeker seekers[N];
    pthread_t threads[N];
    for (unsigned i = 0; i < N; i++) {
        seekers[i] = (struct seeker){.bc = &bc, .at = i * 11};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, seek, &seekers[i]), 0);
    }
    for (unsigned i = 0; i < N; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert(seekers[i].good);
    }
    build_chain_release(&bc);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        head_of_no_project_is_not_found,
        head_missing_from_a_project_is_corrupt,
        head_far_ahead_does_not_move_the_clock,
        tip_must_agree_with_its_head,
        batch_costs_one_read_and_brings_its_root,
        verifying_reads_what_is_cached,
        long_tail_costs_a_second_read,
        footer_as_long_as_the_first_read_is_read,
        every_damaged_byte_of_the_tail_shows,
        short_and_missing_objects_are_corrupt,
        wrong_root_ids_and_sections_are_corrupt,
        records_are_held_to_the_footers_hash,
        whole_object_under_another_name_is_corrupt,
        find_gives_the_oldest_batch_that_reaches_the_position,
        find_reads_few_batches,
        records_cost_a_read_when_they_are_long,
        records_come_in_order,
        damaged_records_are_corrupt,
        ids_that_do_not_match_their_records_are_corrupt,
        remembered_batch_is_not_read,
        remembered_records_are_not_read,
        cache_drops_the_least_recently_used,
        cache_keeps_the_newest_records,
        cache_keeps_no_empty_records,
        held_batch_outlives_its_place_in_the_cache,
        many_threads_share_a_small_cache,
    };
    return suite_run("chain", tests, ARRAY_LEN(tests));
}
