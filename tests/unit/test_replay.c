/* Replay against histories of everything that can land, and against logs that were tampered
 * with. */
#include "pipeline/repo/replay/replay.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/history/landlog_segment.h"
#include "pipeline/repo/tree/tree_edit.h"
#include "tests/support/history.h"
#include "tests/support/suite.h"

static const struct replay_options plain = {.to = UINT64_MAX};

/* The log as another process reads it, whose caches are empty. */
static int verify(struct history *h, const struct replay_options *options,
                  struct replay_report *report)
{
    struct forge other;
    forge_join(&other, &h->forge, NULL);
    int err = replay_verify(&other.repo, &h->forge.project, options, report);
    forge_release(&other);
    return err;
}

static void agrees(struct history *h, const struct replay_options *options)
{
    struct replay_report report;
    int err = verify(h, options, &report);
    ck_assert_msg(err == OK, "%s: %s", err_name(err), report.fault.what);
    ck_assert(!report.fault.found);
    ck_assert_uint_eq(report.position, forge_position(&h->forge));
}

/* The replay finds at `position` something that it says with `word`. */
static void differs(struct history *h, uint64_t position, const char *word)
{
    struct replay_report report;
    ck_assert_int_eq(verify(h, &plain, &report), ERR_CORRUPT);
    ck_assert(report.fault.found);
    ck_assert_msg(strstr(report.fault.what, word) != NULL, "%s", report.fault.what);
    ck_assert_msg(report.fault.first == position, "%llu: %s",
                  (unsigned long long)report.fault.first, report.fault.what);
    ck_assert_uint_lt(report.position, position);
    ck_assert_uint_le(position, report.position + 40);
}

START_TEST(an_empty_project_agrees)
{
    struct history h;
    history_init(&h, "empty");
    agrees(&h, &plain);
    history_release(&h);
}
END_TEST

START_TEST(a_history_agrees_out_of_the_chain_and_out_of_segments)
{
    struct history h;
    history_init(&h, "history");
    history_grow(&h, 60);
    agrees(&h, &plain);
    history_grow(&h, 330);
    agrees(&h, &plain);
    history_append(&h);
    agrees(&h, &plain);
    history_grow(&h, 1250);
    history_append(&h); /* one segment of 1,000 */
    agrees(&h, &plain);
    struct replay_options ahead = {.to = UINT64_MAX, .read_ahead = true};
    agrees(&h, &ahead);
    history_release(&h);
}
END_TEST

START_TEST(little_memory_is_enough)
{
    struct history h;
    history_init(&h, "memory");
    history_grow(&h, 250);
    history_append(&h);
    (void)trace_store_counts(h.forge.trace, true);
    agrees(&h, &plain);
    uint64_t gets = trace_store_counts(h.forge.trace, true).gets[TRACE_TREE];
    /* The tree is dropped after every batch, and read again from the project. */
    struct replay_options options = {.to = UINT64_MAX, .memory_max = 1};
    agrees(&h, &options);
    ck_assert_uint_gt(trace_store_counts(h.forge.trace, true).gets[TRACE_TREE], gets + 20);
    history_release(&h);
}
END_TEST

START_TEST(it_ends_where_it_is_told_to)
{
    struct history h;
    history_init(&h, "to");
    history_grow(&h, 230);
    history_append(&h);
    uint64_t head = forge_position(&h.forge);
    for (uint64_t to = 0; to <= head; to += 13) {
        struct replay_options options = {.to = to};
        struct replay_report report;
        ck_assert_int_eq(verify(&h, &options, &report), OK);
        /* The whole of the batch is compared. */
        ck_assert_uint_ge(report.position, to);
        ck_assert_uint_lt(report.position, to + 40);
    }
    struct replay_options options = {.to = head + 1};
    struct replay_report report;
    ck_assert_int_eq(verify(&h, &options, &report), ERR_INVALID);
    history_release(&h);
}
END_TEST

/* ---- a log that is not what happened ---- */

/* The segment [first, first + 100), changed by `change`, in place of the one that is there. */
static void segment_change(struct history *h, uint64_t first,
                           void (*change)(struct log_segment *, void *), void *arg)
{
    struct forge *f = &h->forge;
    struct landlog_segment_ref ref = {first, first + LOG_SPAN_SMALL};
    struct log_segment segment;
    ck_assert_int_eq(landlog_segment_get(&f->repo, &f->project, &ref, &f->arena, &segment), OK);
    change(&segment, arg);
    AUTO_BUF bytes = {0};
    log_segment_encode(&segment, &f->arena, &bytes);
    struct key key = key_log(&f->project, ref.first, ref.end);
    ck_assert_int_eq(store_put(f->store, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

/* Lands what nothing else touches, and its position is a batch of its own. */
static uint64_t unique_land(struct history *h)
{
    forge_land_text(&h->forge, "unique", "unique/file", "unique text", NULL);
    return forge_position(&h->forge);
}

/* The first write of a small content at or after `position`. */
static struct log_entry *entry_with_content(struct log_segment *segment, uint64_t position,
                                            struct log_effect **effect)
{
    for (uint32_t i = 0; i < segment->n; i++) {
        struct log_entry *entry = &segment->entries[i];
        if (entry->position < position)
            continue;
        for (uint32_t j = 0; j < entry->n_effects; j++) {
            *effect = &entry->effects[j];
            if ((*effect)->kind == EFFECT_WRITE && (*effect)->size > 0 &&
                ((*effect)->where.place == PLACE_RAW || (*effect)->where.place == PLACE_ZSTD))
                return entry;
        }
    }
    ck_abort_msg("no content");
}

static void open_with_log(struct history *h, const char *test)
{
    history_init(h, test);
    history_grow(h, 320);
    history_append(h);
}

/* The same, where nothing else touches what one landing has written. Gives its position. */
static uint64_t open_with_unique(struct history *h, const char *test)
{
    history_init(h, test);
    history_grow(h, 120);
    uint64_t position = unique_land(h);
    history_grow(h, 320);
    history_append(h);
    ck_assert_uint_lt(position, 201);
    return position;
}

static void flip(struct history *h, const char *key, size_t offset)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(h->forge.store, key, range_all(), &bytes, NULL, NULL), OK);
    ck_assert_uint_lt(offset, bytes.len);
    bytes.data[offset] ^= 1;
    ck_assert_int_eq(store_put(h->forge.store, key, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}

static void del(struct history *h, const char *key)
{
    ck_assert_int_eq(store_get(h->forge.store, key, range_none(), NULL, NULL, NULL), OK);
    ck_assert_int_eq(store_delete(h->forge.store, key), OK);
}

struct found {
    uint64_t position; /* in: at or after it */
    struct log_entry entry;
    struct log_effect effect;
};

static void content_find(struct log_segment *segment, void *arg)
{
    struct found *found = arg;
    struct log_effect *effect;
    found->entry = *entry_with_content(segment, found->position, &effect);
    found->effect = *effect;
}

START_TEST(a_flipped_content_is_found)
{
    struct history h;
    open_with_log(&h, "flip");
    struct found found = {.position = 150};
    segment_change(&h, 101, content_find, &found);
    struct key key = key_tree(&h.forge.project, &found.entry.tree);
    flip(&h, key.s, found.effect.where.offset + found.effect.where.len - 1);
    differs(&h, found.entry.position, "is not what the log says");
    history_release(&h);
}
END_TEST

START_TEST(a_lost_segment_is_found)
{
    struct history h;
    open_with_log(&h, "lost");
    struct key key = key_log(&h.forge.project, 101, 201);
    del(&h, key.s);
    struct replay_report report;
    ck_assert_int_eq(verify(&h, &plain, &report), ERR_CORRUPT);
    ck_assert_uint_eq(report.fault.first, 101);
    ck_assert_ptr_nonnull(strstr(report.fault.what, "no segment from position 101"));
    history_release(&h);
}
END_TEST

START_TEST(a_damaged_segment_is_found_behind_what_agrees)
{
    struct history h;
    open_with_log(&h, "damaged");
    struct key key = key_log(&h.forge.project, 201, 301);
    flip(&h, key.s, 200);
    differs(&h, 201, key.s);
    history_release(&h);
}
END_TEST

static void mode_change(struct log_segment *segment, void *arg)
{
    struct found *found = arg;
    struct log_effect *effect;
    found->entry = *entry_with_content(segment, found->position, &effect);
    effect->mode = effect->mode == MODE_EXEC ? MODE_PLAIN : MODE_EXEC;
    effect->file_kind = KIND_FILE;
}

START_TEST(another_mode_is_found)
{
    struct history h;
    struct found found = {.position = open_with_unique(&h, "mode")};
    segment_change(&h, 101, mode_change, &found);
    differs(&h, found.position, "content hash");
    history_release(&h);
}
END_TEST

static void content_lose(struct log_segment *segment, void *arg)
{
    struct found *found = arg;
    struct log_effect *effect;
    found->entry = *entry_with_content(segment, found->position, &effect);
    effect->where = (struct location){.place = PLACE_NONE};
}

START_TEST(a_kept_content_that_was_nowhere_is_found)
{
    struct history h;
    struct found found = {.position = open_with_unique(&h, "kept")};
    segment_change(&h, 101, content_lose, &found);
    differs(&h, found.position, "unique/file: no path that the landing changed had");
    history_release(&h);
}
END_TEST

static void effect_drop(struct log_segment *segment, void *arg)
{
    struct found *found = arg;
    struct log_effect *effect;
    struct log_entry *entry = entry_with_content(segment, found->position, &effect);
    found->entry = *entry;
    size_t at = (size_t)(effect - entry->effects);
    memmove(effect, effect + 1, (entry->n_effects - at - 1) * sizeof(*effect));
    entry->n_effects--;
}

START_TEST(an_effect_that_was_left_out_is_found)
{
    struct history h;
    struct found found = {.position = open_with_unique(&h, "effect")};
    segment_change(&h, 101, effect_drop, &found);
    differs(&h, found.position, "content hash");
    history_release(&h);
}
END_TEST

static void answer_drop(struct log_segment *segment, void *arg)
{
    struct found *found = arg;
    for (uint32_t i = 0; i < segment->n; i++) {
        if (segment->entries[i].verdict == VERDICT_LANDED)
            continue;
        found->entry = segment->entries[i];
        memmove(&segment->entries[i], &segment->entries[i + 1],
                (segment->n - i - 1) * sizeof(*segment->entries));
        segment->n--;
        return;
    }
    ck_abort_msg("all has landed");
}

START_TEST(an_answer_that_was_left_out_is_found)
{
    struct history h;
    open_with_log(&h, "answer");
    struct found found = {0};
    segment_change(&h, 101, answer_drop, &found);
    struct replay_report report;
    ck_assert_int_eq(verify(&h, &plain, &report), ERR_CORRUPT);
    ck_assert(report.fault.found);
    ck_assert_msg(strstr(report.fault.what, "answers, the log has") != NULL ||
                      strstr(report.fault.what, "leaves out batch") != NULL,
                  "%s", report.fault.what);
    ck_assert_uint_le(report.fault.first, found.entry.position + 1);
    history_release(&h);
}
END_TEST

START_TEST(a_lost_tree_object_is_found)
{
    struct history h;
    open_with_log(&h, "tree");
    struct found found = {.position = 220};
    segment_change(&h, 201, content_find, &found);
    struct key key = key_tree(&h.forge.project, &found.entry.tree);
    del(&h, key.s);
    uint64_t first = found.entry.position;
    struct replay_report report;
    ck_assert_int_eq(verify(&h, &plain, &report), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(report.fault.what, key.s));
    ck_assert_uint_le(report.fault.first, first);
    ck_assert_uint_lt(report.position, first);
    history_release(&h);
}
END_TEST

START_TEST(a_lost_large_content_is_found)
{
    struct history h;
    open_with_log(&h, "blob");
    struct key key = key_blob(&h.forge.project, &h.large.hash);
    del(&h, key.s);
    struct replay_report report;
    ck_assert_int_eq(verify(&h, &plain, &report), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(report.fault.what, "large content"));
    ck_assert_uint_gt(report.fault.first, 0);
    history_release(&h);
}
END_TEST

START_TEST(batches_in_between_that_answer_nothing_are_in_order)
{
    struct history h;
    open_with_log(&h, "fence");
    for (int i = 0; i < 3; i++) {
        /* An empty batch, as a collection puts it. */
        struct forge *f = &h.forge;
        struct head head;
        struct etag etag;
        const struct batch *tip;
        ck_assert_int_eq(chain_head(&f->repo, &f->project, &head, &etag), OK);
        ck_assert_int_eq(chain_tip(&f->repo, &f->project, &head, &tip), OK);
        struct tree tree = chain_tree(&f->repo, &f->project, tip);
        struct tree_edit *edit = tree_edit_open(&tree);
        struct tree_build build;
        tree_build_init(&build);
        struct footer footer = {.position = head.position, .hlc = repo_hlc(&f->repo)};
        footer_follow(&footer, &tip->footer, &tip->tree_hash);
        AUTO_BUF root = {0};
        ck_assert_int_eq(tree_edit_seal(edit, &build, &root, &footer), OK);
        head.hlc = footer.hlc;
        ck_assert_int_eq(tree_build_finish(&build, buf_bytes(&root), &footer, &head.tree_hash),
                         OK);
        struct key key = key_tree(&f->project, &head.tree_hash);
        ck_assert_int_eq(
            store_put(f->store, key.s, buf_bytes(&build.bytes), PUT_IF_ABSENT, NULL), OK);
        uint8_t bytes[HEAD_LEN];
        head_encode(&head, bytes);
        key = key_head(&f->project);
        ck_assert_int_eq(
            store_put(f->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &etag), OK);
        chain_drop(&f->repo, tip);
        tree_edit_close(edit);
        tree_build_release(&build);
        if (i == 1)
            history_grow(&h, 450);
        agrees(&h, &plain);
    }
    history_append(&h);
    agrees(&h, &plain);
    history_release(&h);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_empty_project_agrees,
        a_history_agrees_out_of_the_chain_and_out_of_segments,
        little_memory_is_enough,
        it_ends_where_it_is_told_to,
        a_flipped_content_is_found,
        a_lost_segment_is_found,
        a_damaged_segment_is_found_behind_what_agrees,
        another_mode_is_found,
        a_kept_content_that_was_nowhere_is_found,
        an_effect_that_was_left_out_is_found,
        an_answer_that_was_left_out_is_found,
        a_lost_tree_object_is_found,
        a_lost_large_content_is_found,
        batches_in_between_that_answer_nothing_are_in_order,
    };
    return suite_run("replay", tests, ARRAY_LEN(tests));
}
