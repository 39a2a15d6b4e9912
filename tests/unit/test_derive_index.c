/* What the index finds of what it was told, before it went into the database, after, and by
 * another process; and what stays of things that were told twice. */
#include "pipeline/derive/index/derive_index.h"

#include "tests/support/index_rig.h"
#include "tests/support/suite.h"

static struct index_rig rig;

/* A test asks the same three times: of what waits, of the database, and after a restart. */
enum when {
    WAITING,
    FLUSHED,
    RESTARTED,
    WHENS,
};

static void come_to(enum when when)
{
    if (when == FLUSHED)
        ck_assert_int_eq(derive_index_flush(rig.index), OK);
    if (when == RESTARTED)
        index_rig_reopen(&rig);
}

static void recipe_is(const struct derive_item *item)
{
    AUTO_BUF found = {0};
    buf_append(&found, "x", 1);
    ck_assert_int_eq(
        derive_index_recipe(rig.index, &rig.project, &item->address, DERIVE_MISS_TELL, &found),
        OK);
    ck_assert_uint_eq(found.len, item->data.len + 1);
    ck_assert_mem_eq(found.data + 1, item->data.data, item->data.len);
}

static int recipe_find(const struct hash *address, enum derive_miss miss)
{
    AUTO_BUF found = {0};
    return derive_index_recipe(rig.index, &rig.project, address, miss, &found);
}

static struct memo memo_of(uint64_t key)
{
    struct memo memo;
    struct hash hash = rig_hash(key);
    ck_assert_int_eq(
        derive_index_memo(rig.index, &rig.project, &hash, DERIVE_MISS_TELL, &rig.arena, &memo),
        OK);
    return memo;
}

static void output_is(uint64_t key, uint64_t output)
{
    struct hash wanted = rig_hash(output);
    struct memo memo = memo_of(key);
    ck_assert(hash_equal(&memo.output, &wanted));
    /* And once more, from the front. */
    memo = memo_of(key);
    ck_assert(hash_equal(&memo.output, &wanted));
}

static struct derive_leaf leaf_of(const struct hash *address)
{
    struct derive_leaf leaf;
    ck_assert_int_eq(
        derive_index_leaf(rig.index, &rig.project, address, DERIVE_MISS_TELL, &leaf), OK);
    return leaf;
}

START_TEST(everything_is_found)
{
    index_rig_open(&rig);
    struct derive_item leaf = rig_leaf(&rig, 1);
    struct derive_item recipe = rig_recipe(&rig, 2, &leaf.address, 1, "name");
    struct derive_item memo = rig_memo(3, 4);
    struct derive_item items[] = {leaf, recipe, memo, rig_tree(5, 77), rig_upload(6, 1u << 20)};
    const struct rig_object *object = index_rig_log(&rig, 8, 100, items, ARRAY_LEN(items));
    index_rig_apply(&rig, object);
    for (enum when when = WAITING; when < WHENS; when++) {
        come_to(when);
        struct derive_leaf found = leaf_of(&leaf.address);
        ck_assert(!found.uploaded);
        ck_assert_uint_eq(found.size, leaf.data.len);
        ck_assert_uint_eq(found.agent, 8);
        ck_assert_uint_eq(found.seq, 1);
        ck_assert_mem_eq(object->encoded.data + found.offset, leaf.data.data, leaf.data.len);
        struct hash uploaded = rig_hash(6);
        found = leaf_of(&uploaded);
        ck_assert(found.uploaded);
        ck_assert_uint_eq(found.size, 1u << 20);
        recipe_is(&recipe);
        recipe_is(&recipe);
        struct memo got = memo_of(3);
        ck_assert(hash_equal(&got.key, &memo.address));
        ck_assert(bytes_equal(got.function, bytes_str("f")));
        ck_assert(bytes_equal(got.version, bytes_str("1")));
        ck_assert_uint_eq(got.cost_us, 3);
        ck_assert_uint_eq(got.size, 5);
        output_is(3, 4);
        struct hash output = rig_hash(4);
        ck_assert_int_eq(derive_index_output(rig.index, &rig.project, &output, DERIVE_MISS_TELL,
                                             &rig.arena, &got),
                         OK);
        ck_assert(hash_equal(&got.key, &memo.address));
        struct location where;
        struct hash content = rig_hash(5);
        ck_assert_int_eq(
            derive_index_tree(rig.index, &rig.project, &content, DERIVE_MISS_TELL, &where), OK);
        struct hash part = rig_hash(1);
        ck_assert(hash_equal(&where.tree, &part));
        part = rig_hash(2);
        ck_assert(hash_equal(&where.check, &part));
        ck_assert_uint_eq(where.offset, 77);
        ck_assert_uint_eq(where.len, 9);
        ck_assert_int_eq(where.place, PLACE_PAGE);
    }
    ck_assert_uint_eq(rig.looks, 0);
    index_rig_close(&rig);
}
END_TEST

static void chunk_is(uint64_t hash, uint64_t recipe, uint64_t from, uint64_t end)
{
    struct derive_chunk chunk;
    struct hash wanted = rig_hash(hash);
    ck_assert_int_eq(
        derive_index_chunk(rig.index, &rig.project, &wanted, DERIVE_MISS_TELL, &chunk), OK);
    wanted = rig_hash(recipe);
    ck_assert(hash_equal(&chunk.recipe, &wanted));
    ck_assert_uint_eq(chunk.from, from);
    ck_assert_uint_eq(chunk.end, end);
}

START_TEST(chunks_are_found_by_their_content)
{
    index_rig_open(&rig);
    struct derive_item item = rig_chunks(&rig, 1, 2, 10, 3);
    index_rig_tell(&rig, 1, 100, &item, 1);
    /* The rest of an output whose beginning is told elsewhere. */
    item = rig_chunks(&rig, 3, 4, 20, 3);
    item.chunks.first = 2;
    item.chunks.n = 2;
    index_rig_tell(&rig, 1, 101, &item, 1);
    for (enum when when = WAITING; when < WHENS; when++) {
        come_to(when);
        chunk_is(10, 1, 0, CHUNK_SIZE_MIN);
        chunk_is(12, 1, 2 * CHUNK_SIZE_MIN, 3 * CHUNK_SIZE_MIN);
        chunk_is(13, 1, 3 * CHUNK_SIZE_MIN, 3 * CHUNK_SIZE_MIN + 1);
        chunk_is(2, 1, 0, 3 * CHUNK_SIZE_MIN + 1);
        chunk_is(21, 3, 3 * CHUNK_SIZE_MIN, 3 * CHUNK_SIZE_MIN + 1);
        struct derive_chunk none;
        struct hash output = rig_hash(4);
        ck_assert_int_eq(
            derive_index_chunk(rig.index, &rig.project, &output, DERIVE_MISS_TELL, &none),
            ERR_NOT_FOUND);
    }
    index_rig_close(&rig);
}
END_TEST

/* Whatever comes first, and wherever the other one is. */
START_TEST(the_recipe_that_was_told_first_has_the_chunk)
{
    for (unsigned order = 0; order < 4; order++) {
        index_rig_open(&rig);
        struct derive_item early = rig_chunks(&rig, 1, 2, 10, 1);
        struct derive_item late = rig_chunks(&rig, 3, 4, 10, 1);
        struct rig_object one = *index_rig_log(&rig, 1, 100, &early, 1);
        struct rig_object two = *index_rig_log(&rig, 2, 200, &late, 1);
        index_rig_apply(&rig, order % 2 == 0 ? &one : &two);
        if (order >= 2)
            ck_assert_int_eq(derive_index_flush(rig.index), OK);
        index_rig_apply(&rig, order % 2 == 0 ? &two : &one);
        chunk_is(10, 1, 0, CHUNK_SIZE_MIN);
        ck_assert_int_eq(derive_index_flush(rig.index), OK);
        chunk_is(10, 1, 0, CHUNK_SIZE_MIN);
        chunk_is(4, 3, 0, CHUNK_SIZE_MIN + 1);
        index_rig_close(&rig);
    }
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    index_rig_open(&rig);
    struct derive_item item = rig_recipe(&rig, 1, NULL, 0, NULL);
    index_rig_tell(&rig, 1, 1, &item, 1);
    struct hash other = rig_hash(1);
    for (enum when when = WAITING; when < WHENS; when++) {
        come_to(when);
        struct derive_leaf leaf;
        struct memo memo;
        struct location where;
        ck_assert_int_eq(recipe_find(&other, DERIVE_MISS_TELL), ERR_NOT_FOUND);
        ck_assert_int_eq(
            derive_index_leaf(rig.index, &rig.project, &item.address, DERIVE_MISS_TELL, &leaf),
            ERR_NOT_FOUND);
        ck_assert_int_eq(derive_index_memo(rig.index, &rig.project, &other, DERIVE_MISS_TELL,
                                           &rig.arena, &memo),
                         ERR_NOT_FOUND);
        ck_assert_int_eq(derive_index_output(rig.index, &rig.project, &other, DERIVE_MISS_TELL,
                                             &rig.arena, &memo),
                         ERR_NOT_FOUND);
        ck_assert_int_eq(
            derive_index_tree(rig.index, &rig.project, &other, DERIVE_MISS_TELL, &where),
            ERR_NOT_FOUND);
    }
    /* Nor in another project. */
    struct id16 project = {.b = {8}};
    AUTO_BUF found = {0};
    ck_assert_int_eq(
        derive_index_recipe(rig.index, &project, &item.address, DERIVE_MISS_LOOK, &found),
        ERR_NOT_FOUND);
    ck_assert_uint_eq(found.len, 0);
    index_rig_close(&rig);
}
END_TEST

/* The memo that was told first stays, whatever comes first to this node. */
START_TEST(first_memo_stays)
{
    for (enum when when = WAITING; when <= FLUSHED; when++) {
        index_rig_open(&rig);
        struct derive_item late = rig_memo(1, 2);
        struct derive_item early = rig_memo(1, 2);
        late.memo.cost_us = 30;
        early.memo.cost_us = 10;
        index_rig_tell(&rig, 5, 300, &late, 1);
        ck_assert_uint_eq(memo_of(1).cost_us, 30);
        come_to(when);
        ck_assert_uint_eq(memo_of(1).cost_us, 30);
        index_rig_tell(&rig, 6, 100, &early, 1);
        ck_assert_uint_eq(memo_of(1).cost_us, 10);
        come_to(when);
        ck_assert_uint_eq(memo_of(1).cost_us, 10);
        /* One that comes after it changes nothing. */
        index_rig_tell(&rig, 6, 200, &late, 1);
        ck_assert_uint_eq(memo_of(1).cost_us, 10);
        come_to(RESTARTED);
        ck_assert_uint_eq(memo_of(1).cost_us, 10);
        struct derive_counts counts;
        ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
        ck_assert_uint_eq(counts.memos, 1);
        index_rig_close(&rig);
    }
}
END_TEST

static int quarantine_find(const struct hash *implementation, struct quarantine *out)
{
    return derive_index_quarantine(rig.index, &rig.project, bytes_str("f"), bytes_str("1"),
                                   implementation, &rig.arena, out);
}

static void quarantine_count(void *arg, const struct id16 *project)
{
    unsigned *n = arg;
    ck_assert(id16_equal(project, &rig.project));
    ++*n;
}

/* What the first one changes is whether results are served: somebody has to hear of it. */
START_TEST(quarantine_is_told_once)
{
    unsigned told = 0;
    index_rig_open(&rig);
    rig.options.quarantined = quarantine_count;
    rig.options.quarantined_arg = &told;
    index_rig_reopen(&rig);
    struct derive_item one = rig_memo(1, 2);
    struct derive_item two = rig_memo(1, 3);
    index_rig_tell(&rig, 5, 100, &one, 1);
    ck_assert_uint_eq(told, 0);
    index_rig_tell(&rig, 6, 200, &two, 1);
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    ck_assert_uint_eq(told, 1);
    index_rig_tell(&rig, 7, 300, &two, 1);
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    ck_assert_uint_eq(told, 1);
    index_rig_close(&rig);
}
END_TEST

START_TEST(quarantine_is_found)
{
    index_rig_open(&rig);
    struct derive_item item = {
        .kind = DERIVE_QUARANTINE,
        .quarantine = {.function = bytes_str("f"),
                       .version = bytes_str("1"),
                       .implementation = rig_hash(1),
                       .key = rig_hash(2),
                       .first = rig_hash(3),
                       .second = rig_hash(4)},
    };
    struct quarantine found;
    struct hash ours = rig_hash(1);
    struct hash other = rig_hash(5);
    ck_assert_int_eq(quarantine_find(&ours, &found), ERR_NOT_FOUND);
    index_rig_tell(&rig, 1, 1, &item, 1);
    for (enum when when = WAITING; when < WHENS; when++) {
        come_to(when);
        ck_assert_int_eq(quarantine_find(&ours, &found), OK);
        ck_assert(hash_equal(&found.key, &item.quarantine.key));
        ck_assert(hash_equal(&found.first, &item.quarantine.first));
        ck_assert(hash_equal(&found.second, &item.quarantine.second));
        ck_assert(bytes_equal(found.function, bytes_str("f")));
        ck_assert_int_eq(quarantine_find(&other, &found), ERR_NOT_FOUND);
    }
    index_rig_close(&rig);
}
END_TEST

/* Two nodes that ran the same and told of different outputs, and nobody verified. */
START_TEST(memos_that_differ_quarantine)
{
    for (enum when when = WAITING; when <= FLUSHED; when++) {
        index_rig_open(&rig);
        struct derive_item one = rig_memo(1, 2);
        struct derive_item two = rig_memo(1, 3);
        struct quarantine found;
        struct hash implementation = rig_hash(99);
        index_rig_tell(&rig, 5, 100, &one, 1);
        come_to(when);
        ck_assert_int_eq(quarantine_find(&implementation, &found), ERR_NOT_FOUND);
        index_rig_tell(&rig, 6, 200, &two, 1);
        ck_assert_int_eq(derive_index_flush(rig.index), OK);
        for (unsigned i = 0; i < 2; i++) {
            ck_assert_int_eq(quarantine_find(&implementation, &found), OK);
            ck_assert(hash_equal(&found.first, &one.memo.output));
            ck_assert(hash_equal(&found.second, &two.memo.output));
            index_rig_reopen(&rig);
        }
        output_is(1, 2);
        index_rig_close(&rig);
    }
}
END_TEST

static void pins_are(const struct hash *wanted, size_t n)
{
    struct hash *found;
    size_t n_found;
    struct hash none = {0};
    struct derive_counts counts;
    ck_assert_int_eq(
        derive_index_pins(rig.index, &rig.project, &none, 100, &rig.arena, &found, &n_found),
        OK);
    ck_assert_uint_eq(n_found, n);
    for (size_t i = 0; i < n; i++) {
        bool pinned;
        size_t same = 0;
        for (size_t j = 0; j < n; j++)
            same += hash_equal(&found[j], &wanted[i]);
        ck_assert_uint_eq(same, 1);
        ck_assert(i == 0 || hash_compare(&found[i - 1], &found[i]) < 0);
        ck_assert_int_eq(derive_index_pinned(rig.index, &rig.project, &wanted[i], &pinned), OK);
        ck_assert(pinned);
    }
    ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
    ck_assert_uint_eq(counts.pins, n);
}

START_TEST(later_pin_counts)
{
    index_rig_open(&rig);
    struct hash a = rig_hash(1);
    struct hash b = rig_hash(2);
    struct derive_item pins[] = {rig_pin(&a, true), rig_pin(&b, true)};
    struct hash both[] = {a, b};
    bool pinned = true;
    index_rig_tell(&rig, 1, 100, pins, 2);
    pins_are(both, 2);
    index_rig_reopen(&rig);
    pins_are(both, 2);
    /* An unpin of another agent that was told before the pin changes nothing; one after it
     * does; within one object the order counts. */
    struct derive_item unpin = rig_pin(&a, false);
    index_rig_tell(&rig, 2, 50, &unpin, 1);
    pins_are(both, 2);
    index_rig_tell(&rig, 2, 150, &unpin, 1);
    pins_are(&b, 1);
    ck_assert_int_eq(derive_index_pinned(rig.index, &rig.project, &a, &pinned), OK);
    ck_assert(!pinned);
    struct derive_item twice[] = {rig_pin(&a, true), rig_pin(&b, false), rig_pin(&a, false),
                                  rig_pin(&b, true)};
    index_rig_tell(&rig, 1, 200, twice, 4);
    pins_are(&b, 1);
    index_rig_reopen(&rig);
    pins_are(&b, 1);
    index_rig_close(&rig);
}
END_TEST

START_TEST(pins_come_in_pages)
{
    index_rig_open(&rig);
    struct derive_item pins[25];
    for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
        struct hash address = rig_hash(i);
        pins[i] = rig_pin(&address, true);
    }
    index_rig_tell(&rig, 1, 100, pins, ARRAY_LEN(pins));
    struct hash after = {0};
    size_t all = 0;
    for (size_t n = 1; n > 0; all += n) {
        struct hash *page;
        ck_assert_int_eq(
            derive_index_pins(rig.index, &rig.project, &after, 10, &rig.arena, &page, &n), OK);
        ck_assert_uint_le(n, 10);
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_lt(hash_compare(&after, &page[i]), 0);
            after = page[i];
        }
    }
    ck_assert_uint_eq(all, ARRAY_LEN(pins));
    index_rig_close(&rig);
}
END_TEST

START_TEST(counts_count_each_once)
{
    index_rig_open(&rig);
    struct derive_item leaf = rig_leaf(&rig, 1);
    struct derive_item items[] = {leaf, leaf, rig_recipe(&rig, 2, &leaf.address, 1, NULL),
                                  rig_recipe(&rig, 3, &leaf.address, 1, NULL), rig_memo(4, 4)};
    index_rig_tell(&rig, 1, 100, items, ARRAY_LEN(items));
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    index_rig_tell(&rig, 2, 200, items, ARRAY_LEN(items));
    for (unsigned i = 0; i < 2; i++) {
        struct derive_counts counts;
        ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
        ck_assert_uint_eq(counts.leaves, 1);
        ck_assert_uint_eq(counts.recipes, 2);
        ck_assert_uint_eq(counts.memos, 1);
        ck_assert_uint_eq(counts.pins, 0);
        index_rig_reopen(&rig);
    }
    index_rig_close(&rig);
}
END_TEST

/* A leaf that was put again lies where it was put last: the first may be what is damaged. */
START_TEST(later_place_counts)
{
    index_rig_open(&rig);
    struct derive_item leaf = rig_leaf(&rig, 1);
    struct derive_item tree = rig_tree(2, 10);
    struct derive_item again = rig_tree(2, 20);
    index_rig_tell(&rig, 1, 100, &leaf, 1);
    index_rig_tell(&rig, 1, 110, &tree, 1);
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    index_rig_tell(&rig, 2, 200, &leaf, 1);
    index_rig_tell(&rig, 2, 210, &again, 1);
    for (enum when when = WAITING; when < WHENS; when++) {
        struct location where;
        come_to(when);
        ck_assert_uint_eq(leaf_of(&leaf.address).agent, 2);
        ck_assert_int_eq(
            derive_index_tree(rig.index, &rig.project, &tree.address, DERIVE_MISS_TELL, &where),
            OK);
        ck_assert_uint_eq(where.offset, 20);
    }
    index_rig_close(&rig);
}
END_TEST

static uint64_t read_of(uint64_t agent)
{
    struct derive_read *reads;
    size_t n;
    ck_assert_int_eq(derive_index_agents(rig.index, &rig.project, &rig.arena, &reads, &n), OK);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || reads[i - 1].agent < reads[i].agent);
        if (reads[i].agent == agent)
            return reads[i].seq;
    }
    return 0;
}

/* What comes before its time is found, but not counted as read. */
START_TEST(numbers_are_counted_without_a_gap)
{
    index_rig_open(&rig);
    struct derive_item items[4];
    const struct rig_object *objects[4];
    for (size_t i = 0; i < 4; i++)
        items[i] = rig_recipe(&rig, i, NULL, 0, NULL);
    for (size_t i = 0; i < 4; i++) {
        (void)index_rig_log(&rig, UINT64_MAX, 100 + i, &items[i], 1);
        objects[i] = NULL;
    }
    for (size_t i = 0; i < 4; i++)
        objects[i] = &rig.log[i];
    index_rig_apply(&rig, objects[0]);
    ck_assert_uint_eq(read_of(UINT64_MAX), 1);
    index_rig_apply(&rig, objects[2]);
    recipe_is(&items[2]);
    ck_assert_uint_eq(read_of(UINT64_MAX), 1);
    index_rig_reopen(&rig);
    ck_assert_uint_eq(read_of(UINT64_MAX), 1);
    recipe_is(&items[2]);
    ck_assert_int_eq(recipe_find(&items[1].address, DERIVE_MISS_TELL), ERR_NOT_FOUND);
    ck_assert_int_eq(recipe_find(&items[1].address, DERIVE_MISS_LOOK), OK);
    ck_assert_uint_eq(rig.given, 3);
    ck_assert_uint_eq(read_of(UINT64_MAX), 4);
    index_rig_reopen(&rig);
    ck_assert_uint_eq(read_of(UINT64_MAX), 4);
    /* Nothing of it is read again. */
    ck_assert_int_eq(derive_index_look(rig.index, &rig.project), OK);
    ck_assert_uint_eq(rig.given, 0);
    index_rig_close(&rig);
}
END_TEST

/* More projects than databases stay open: those that are closed are opened again. */
START_TEST(many_projects)
{
    index_rig_open(&rig);
    rig.options.open_max = 2;
    index_rig_reopen(&rig);
    struct derive_item items[9];
    for (uint8_t i = 0; i < 9; i++) {
        rig.project.b[0] = i;
        items[i] = rig_recipe(&rig, i, NULL, 0, NULL);
        index_rig_tell(&rig, 1, 100, &items[i], 1);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (uint8_t i = 0; i < 9; i++) {
            struct derive_counts counts;
            rig.project.b[0] = i;
            ck_assert_int_eq(derive_index_counts(rig.index, &rig.project, &counts), OK);
            ck_assert_uint_eq(counts.recipes, 1);
            recipe_is(&items[i]);
            ck_assert_int_eq(recipe_find(&items[(i + 1) % 9].address, DERIVE_MISS_TELL),
                             ERR_NOT_FOUND);
        }
    }
    index_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        everything_is_found,
        what_is_not_there_is_not_found,
        chunks_are_found_by_their_content,
        the_recipe_that_was_told_first_has_the_chunk,
        first_memo_stays,
        quarantine_is_told_once,
        quarantine_is_found,
        memos_that_differ_quarantine,
        later_pin_counts,
        pins_come_in_pages,
        counts_count_each_once,
        later_place_counts,
        many_projects,
        numbers_are_counted_without_a_gap,
    };
    return suite_run("derive_index", tests, ARRAY_LEN(tests));
}
