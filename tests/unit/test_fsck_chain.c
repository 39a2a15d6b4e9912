/* Damage to chain, records and tree, with right checksums: each is found by its name and key,
 * and nothing else is. */
#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/support/fsck_rig.h"
#include "tests/support/plant.h"
#include "tests/support/suite.h"

static struct forge f;
static struct fsck_result result;

static void setup(void)
{
    forge_init(&f);
    forge_land_text(&f, "one", "dir/a", "text a", NULL);
    forge_land_text(&f, "two", "dir/b", "text b", NULL);
    forge_land_text(&f, "three", "top", "text c", NULL);
    forge_land_delete(&f, "four", "dir/b", "text b");
}

static void teardown(void)
{
    forge_release(&f);
}

static void run(bool deep)
{
    f.clock.ms += 600000;
    fsck_rig_run(f.mem, &f.clock.clock, deep, 0, &result);
}

static void is_clean(bool deep)
{
    run(deep);
    ck_assert_msg(result.err == OK && result.counts.damages + result.counts.notes == 0, "%s",
                  fsck_rig_text(&result));
}

static void finds(bool deep, const char *invariant, const char *problem, const char *key)
{
    run(deep);
    const char *text = fsck_rig_text(&result);
    ck_assert_msg(result.err == OK && result.n == 1 && result.kept[0].damage, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].problem, problem) == 0, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].invariant, invariant) == 0, "%s", text);
    ck_assert_msg(strcmp(result.kept[0].key, key) == 0, "not %s\n%s", key, text);
}

static void finds_both(const char *invariant, const char *problem, const char *key)
{
    finds(false, invariant, problem, key);
    finds(true, invariant, problem, key);
}

/* Found deep only. */
static void finds_deep(const char *invariant, const char *problem, const char *key)
{
    is_clean(false);
    finds(true, invariant, problem, key);
}

/* A batch after the planted one, as a lander that has noticed nothing makes it. */
static void batch_follows(void)
{
    struct plant p;
    plant_begin(&p, &f);
    struct landing landing = plant_landing(&p, "next", "after", "text");
    plant_apply(&p, &landing, landing.position);
    plant_record(&p, &landing);
    plant_end(&p);
}

static struct plant planted;

static void begin(void)
{
    plant_begin(&planted, &f);
}

static struct landing landing_new(void)
{
    return plant_landing(&planted, "planted", "dir/new", "text");
}

static void end(struct landing *landing)
{
    plant_apply(&planted, landing, landing->position);
    plant_record(&planted, landing);
    plant_end(&planted);
}

START_TEST(nothing_planted)
{
    begin();
    struct landing landing = landing_new();
    end(&landing);
    batch_follows();
    is_clean(false);
    is_clean(true);
    ck_assert_uint_eq(result.counts.landings, 6);
    ck_assert_uint_eq(result.counts.contents, 5);
}
END_TEST

/* --- the head --- */

static void head_put(const struct head *head)
{
    uint8_t bytes[HEAD_LEN];
    struct key key = key_head(&f.project);
    head_encode(head, bytes);
    ck_assert_int_eq(store_put(f.mem, key.s, bytes_of(bytes, sizeof(bytes)), PUT_ANY, NULL),
                     OK);
}

static struct head head_now(void)
{
    struct head head;
    ck_assert_int_eq(chain_head(&f.repo, &f.project, &head, NULL), OK);
    return head;
}

START_TEST(head_that_points_at_nothing)
{
    struct head head = head_now();
    head.tree_hash.b[5] ^= 1;
    head_put(&head);
    finds_both("named", "head_dangling", key_head(&f.project).s);
}
END_TEST

START_TEST(head_that_differs_from_its_footer)
{
    struct head head = head_now();
    head.position++;
    head_put(&head);
    finds_both("monotone", "head_differs", key_head(&f.project).s);
    head.position--;
    head.hlc++;
    head_put(&head);
    finds_both("monotone", "head_differs", key_head(&f.project).s);
}
END_TEST

START_TEST(head_that_is_none)
{
    struct key key = key_head(&f.project);
    ck_assert_int_eq(store_put(f.mem, key.s, bytes_str("head"), PUT_ANY, NULL), OK);
    finds_both("named", "head_damaged", key.s);
    ck_assert_int_eq(store_delete(f.mem, key.s), OK);
    finds_both("durable", "head_missing", key.s);
}
END_TEST

/* --- the chain --- */

START_TEST(chain_that_is_broken_at_prev)
{
    begin();
    struct landing landing = landing_new();
    planted.footer.prev = planted.tip->footer.prev;
    planted.footer.ancestors[0].tree = planted.tip->footer.prev;
    end(&landing);
    batch_follows();
    finds_both("named", "chain_broken", planted.key.s);
    /* Only the one that nobody names any more is left out. */
    ck_assert_uint_eq(result.counts.batches, 6);
}
END_TEST

START_TEST(gap_in_positions)
{
    begin();
    planted.footer.first++;
    planted.footer.ancestors[0].position++;
    planted.position++;
    planted.head.position++;
    struct landing landing = landing_new();
    end(&landing);
    batch_follows();
    finds_both("monotone", "position_gap", planted.key.s);
}
END_TEST

START_TEST(hlc_that_does_not_grow)
{
    begin();
    planted.footer.hlc = planted.tip->footer.hlc;
    struct landing landing = landing_new();
    end(&landing);
    batch_follows();
    finds_both("monotone", "hlc_not_greater", planted.key.s);
}
END_TEST

START_TEST(tree_object_that_is_gone)
{
    begin();
    struct landing landing = landing_new();
    end(&landing);
    batch_follows();
    batch_follows();
    ck_assert_int_eq(store_delete(f.mem, planted.key.s), OK);
    finds_both("named", "tree_missing", planted.key.s);
}
END_TEST

/* --- records --- */

START_TEST(record_whose_session_is_missing)
{
    begin();
    struct landing landing = landing_new();
    plant_apply(&planted, &landing, landing.position);
    landing.has_session = false;
    plant_record(&planted, &landing);
    plant_end(&planted);
    finds_both("atomic", "session_missing", planted.key.s);
}
END_TEST

START_TEST(record_with_another_session)
{
    begin();
    struct landing landing = landing_new();
    landing.landed.position--;
    end(&landing);
    finds_both("atomic", "session_differs", planted.key.s);
}
END_TEST

/* Its id follows from the project in which it was begun, whichever that is. */
START_TEST(record_with_a_session_of_nowhere)
{
    begin();
    struct landing landing = landing_new();
    landing.landed.project.b[0] ^= 1;
    end(&landing);
    finds_both("atomic", "session_differs", planted.key.s);
}
END_TEST

START_TEST(record_with_another_position)
{
    begin();
    struct landing landing = landing_new();
    landing.position = landing.landed.position = 3;
    plant_apply(&planted, &landing, planted.position);
    plant_record(&planted, &landing);
    plant_end(&planted);
    finds_both("monotone", "position_gap", planted.key.s);
}
END_TEST

START_TEST(content_that_lies_nowhere)
{
    begin();
    struct landing landing = landing_new();
    struct landing other = landing;
    plant_apply(&planted, &landing, landing.position);
    other.landed.records[1].operation.content.offset += 1u << 20;
    plant_record(&planted, &other);
    plant_end(&planted);
    finds_both("named", "location_wrong", planted.key.s);
}
END_TEST

START_TEST(two_answers_to_one_request)
{
    struct draft d = draft_open(&f, "ann", "conflict", 1);
    draft_write(&d, "dir/a", "other", "never");
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    begin();
    plant_answer(&planted, &d.session.id, &request, VERDICT_REFUSED);
    plant_end(&planted);
    batch_follows();
    finds_both("final", "answered_twice", planted.key.s);
}
END_TEST

START_TEST(session_that_lands_twice)
{
    batch_follows();
    struct plant p;
    begin();
    struct landing landing = landing_new();
    end(&landing);
    forge_land_delete(&f, "gone", "dir/new", "text");
    plant_begin(&p, &f);
    struct landing again = landing;
    p.position++;
    again.position = again.landed.position = p.position;
    again.request.b[0] ^= 1;
    ck_assert_int_eq(tree_build_add(&p.build, bytes_str("text"),
                                    &again.landed.records[1].operation.content.offset),
                     OK);
    plant_apply(&p, &again, again.position);
    plant_record(&p, &again);
    plant_end(&p);
    finds_both("once", "landed_twice", p.key.s);
}
END_TEST

START_TEST(session_that_is_abandoned_after_it_has_landed)
{
    struct draft d = draft_open(&f, "ann", "landed", 4);
    draft_write(&d, "x", "y", NULL);
    struct id16 request = forge_submit(&f, &d, 1);
    forge_drain(&f);
    begin();
    request.b[1] ^= 1;
    struct landing landing = {.verdict = VERDICT_ABANDONED,
                              .closes = true,
                              .session = d.session.id,
                              .request = request,
                              .position = planted.position};
    plant_record(&planted, &landing);
    plant_end(&planted);
    finds_both("final", "answered_after_close", planted.key.s);
}
END_TEST

/* --- the tree --- */

START_TEST(wrong_stamp)
{
    begin();
    struct landing landing = landing_new();
    plant_apply(&planted, &landing, landing.position - 1);
    plant_record(&planted, &landing);
    plant_end(&planted);
    batch_follows();
    finds_deep("rebuild", "stamp_wrong", planted.key.s);
}
END_TEST

START_TEST(wrong_counts_of_the_whole)
{
    begin();
    struct landing landing = landing_new();
    planted.footer.files = 1;
    end(&landing);
    finds_both("rebuild", "counts_wrong", planted.key.s);
}
END_TEST

static void dir_counts_more(struct page *root, struct footer *footer)
{
    ck_assert(bytes_equal(root->entries[0].name, bytes_str("dir")));
    root->entries[0].files++;
    footer->files++;
}

START_TEST(wrong_counts_of_a_directory)
{
    begin();
    struct landing landing = landing_new();
    planted.root = dir_counts_more;
    end(&landing);
    finds_deep("rebuild", "counts_wrong", planted.key.s);
}
END_TEST

/* The directory is one that this batch did not touch. */
START_TEST(wrong_counts_of_a_directory_that_was_there)
{
    begin();
    struct landing landing = plant_landing(&planted, "planted", "top2", "text");
    planted.root = dir_counts_more;
    end(&landing);
    finds_deep("rebuild", "counts_wrong", planted.key.s);
}
END_TEST

static void dir_elsewhere(struct page *root, struct footer *footer UNUSED)
{
    root->entries[0].where.tree.b[7] ^= 1;
}

static void file_beyond(struct page *root, struct footer *footer UNUSED)
{
    for (uint32_t i = 0; i < root->n; i++) {
        if (bytes_equal(root->entries[i].name, bytes_str("top2")))
            root->entries[i].where.offset += 1u << 20;
    }
}

START_TEST(location_that_points_into_nothing)
{
    begin();
    struct landing landing = plant_landing(&planted, "planted", "top2", "text");
    planted.root = dir_elsewhere;
    end(&landing);
    finds_deep("named", "location_wrong", planted.key.s);
}
END_TEST

START_TEST(location_that_points_beyond_its_object)
{
    begin();
    struct landing landing = plant_landing(&planted, "planted", "top2", "text");
    planted.root = file_beyond;
    end(&landing);
    finds_both("named", "location_wrong", planted.key.s);
}
END_TEST

START_TEST(session_that_has_seen_something_else)
{
    begin();
    struct landing landing = plant_landing(&planted, "planted", "dir/a", "text");
    end(&landing);
    batch_follows();
    finds_deep("serial", "not_as_seen", planted.key.s);
}
END_TEST

START_TEST(tree_that_is_not_what_the_records_say)
{
    begin();
    struct landing landing = landing_new();
    plant_record(&planted, &landing);
    plant_end(&planted);
    batch_follows();
    finds_deep("rebuild", "tree_differs", planted.key.s);
}
END_TEST

/* --- flipped bits --- */

static void flip(const char *key, uint64_t offset)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(f.mem, key, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_uint_lt(offset, bytes.len);
    bytes.data[offset] ^= 1;
    ck_assert_int_eq(store_put(f.mem, key, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

/* A page that can be decoded, in the place of the one that its parent has the hash of. */
START_TEST(page_with_other_stamps)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    AUTO_BUF changed = {0};
    struct tree tree = forge_tree(&f);
    struct entry dir;
    struct page page;
    ck_assert_int_eq(tree_find(&tree, bytes_str("dir"), &arena, &dir), OK);
    struct key key = key_tree(&f.project, &dir.where.tree);
    ck_assert_int_eq(store_get(f.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    struct bytes old = bytes_of(bytes.data + dir.where.offset, dir.where.len);
    ck_assert_int_eq(page_decode(old, &dir.where.tree, &arena, &page), OK);
    for (uint32_t i = 0; i < page.n; i++) {
        if (hash_equal(&page.entries[i].where.tree, &dir.where.tree))
            page.entries[i].where.tree = (struct hash){{0}};
        page.entries[i].stamp++;
    }
    ck_assert_int_eq(page_encode(&page, &changed), OK);
    ck_assert_uint_eq(changed.len, dir.where.len);
    memcpy(bytes.data + dir.where.offset, changed.data, changed.len);
    ck_assert_int_eq(store_put(f.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    finds_deep("named", "page_damaged", key.s);
}
END_TEST

/* Every byte of a tree object counts, and each flip is one finding; not deep, those from the
 * records on. */
START_TEST(any_flipped_bit_of_a_tree_object)
{
    begin();
    struct landing landing = landing_new();
    end(&landing);
    const struct footer *footer = &planted.footer;
    uint64_t size;
    ck_assert_int_eq(store_get(f.mem, planted.key.s, range_none(), NULL, NULL, &size), OK);
    batch_follows();
    for (uint64_t at = 0; at < size; at++) {
        flip(planted.key.s, at);
        uint32_t content = TREE_HEADER_LEN + 4;
        const char *problem = at < TREE_HEADER_LEN                          ? "header_damaged"
                              : at < content                                ? "content_damaged"
                              : at < footer->records.offset                 ? "page_damaged"
                              : at < footer->ids.offset                     ? "records_damaged"
                              : at < footer->root.offset                    ? "ids_damaged"
                              : at < footer->root.offset + footer->root.len ? "page_damaged"
                                                                            : "footer_damaged";
        if (at < footer->records.offset)
            finds_deep("named", problem, planted.key.s);
        else
            finds_both("named", problem, planted.key.s);
        flip(planted.key.s, at);
    }
    is_clean(true);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_planted,
        head_that_points_at_nothing,
        head_that_differs_from_its_footer,
        head_that_is_none,
        chain_that_is_broken_at_prev,
        gap_in_positions,
        hlc_that_does_not_grow,
        tree_object_that_is_gone,
        record_whose_session_is_missing,
        record_with_another_session,
        record_with_a_session_of_nowhere,
        record_with_another_position,
        content_that_lies_nowhere,
        two_answers_to_one_request,
        session_that_lands_twice,
        session_that_is_abandoned_after_it_has_landed,
        wrong_stamp,
        wrong_counts_of_the_whole,
        wrong_counts_of_a_directory,
        wrong_counts_of_a_directory_that_was_there,
        location_that_points_into_nothing,
        location_that_points_beyond_its_object,
        session_that_has_seen_something_else,
        tree_that_is_not_what_the_records_say,
        page_with_other_stamps,
        any_flipped_bit_of_a_tree_object,
    };
    Suite *suite = suite_create("fsck_chain");
    TCase *tcase = tcase_create("fsck_chain");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
