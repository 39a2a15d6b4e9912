/* Keys of memos in a filter: a memo that was told is found whatever happens meanwhile, and one
 * that was not costs no question to the database. */
#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/derive/index/index_project.h"
#include "tests/support/chance.h"
#include "tests/support/index_rig.h"
#include "tests/support/suite.h"

#define MEMOS 4000u

static struct index_rig rig;

START_TEST(filter_denies_what_was_not_added)
{
    const uint64_t n = 20000;
    struct index_filter *filter = index_filter_open(n);
    for (uint64_t i = 0; i < n; i++) {
        struct hash key = rig_hash(i);
        index_filter_add(filter, &key);
        ck_assert(!index_filter_full(filter));
    }
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < 2 * n; i++) {
        struct hash key = rig_hash(i);
        bool may = index_filter_may(filter, &key);
        ck_assert(may || i >= n);
        wrong += may && i >= n;
    }
    ck_assert_uint_lt(wrong, n / 50);
    struct hash more = rig_hash(n);
    index_filter_add(filter, &more);
    ck_assert(index_filter_full(filter));
    index_filter_close(filter);
}
END_TEST

static void memos_tell(uint64_t from, uint64_t end)
{
    static struct derive_item items[MEMOS];
    uint32_t n = 0;
    for (uint64_t i = from; i < end; i++) {
        items[n++] = rig_memo(i, i);
    }
    if (n > 0)
        index_rig_tell(&rig, 1, 100 + from, items, n);
}

static int memo_find(uint64_t i)
{
    AUTO(arena_release) struct arena arena = {0};
    struct hash key = rig_hash(i);
    struct hash output = rig_hash(i);
    struct memo memo;
    int err = derive_index_memo(rig.index, &rig.project, &key, DERIVE_MISS_TELL, &arena, &memo);
    if (err == OK)
        ck_assert(hash_equal(&memo.output, &output));
    return err;
}

static struct index_project *project_of(void)
{
    struct index_project *p;
    ck_assert_int_eq(project_hold(rig.index, &rig.project, &p), OK);
    return p;
}

START_TEST(what_was_told_is_found)
{
    struct chance chance;
    chance_init(&chance, "what_was_told_is_found");
    index_rig_open(&rig);
    uint64_t n = 0;
    while (n < MEMOS) {
        uint64_t more = chance_below(&chance, 300);
        more = more < MEMOS - n ? more : MEMOS - n;
        memos_tell(n, n + more);
        n += more;
        uint64_t what = chance_below(&chance, 4);
        if (what == 0)
            ck_assert_int_eq(derive_index_flush(rig.index), OK);
        else if (what == 1)
            index_rig_reopen(&rig);
        struct index_project *p = project_of();
        if (what == 2) { /* it is made anew while some of them wait */
            p->wants_memos = true;
            project_memos_read(p);
            ck_assert_ptr_nonnull(p->memos);
        }
        project_release(p);
        for (unsigned k = 0; k < 50 && n > 0; k++)
            ck_assert_int_eq(memo_find(chance_below(&chance, n)), OK);
        ck_assert_int_eq(memo_find(n), ERR_NOT_FOUND);
    }
    index_rig_reopen(&rig);
    struct index_project *p = project_of();
    ck_assert_int_eq(derive_index_flush(rig.index), OK);
    uint64_t denied = 0;
    for (uint64_t i = 0; i < 2 * n; i++) {
        struct hash key = rig_hash(i);
        bool may = project_memo_may(p, &key);
        ck_assert(may || i >= n);
        denied += !may;
        ck_assert_int_eq(memo_find(i), i < n ? OK : ERR_NOT_FOUND);
    }
    ck_assert_uint_gt(denied, n / 100 * 98);
    project_release(p);
    index_rig_close(&rig);
}
END_TEST

/* ---- at once ---- */

static atomic_bool ends;

static void *reads_always(void *arg)
{
    struct index_project *p = arg;
    while (!atomic_load(&ends)) {
        index_lock(&p->lock);
        p->wants_memos = true;
        index_unlock(&p->lock);
        ck_assert_int_eq(derive_index_flush(rig.index), OK);
    }
    return NULL;
}

START_TEST(what_is_told_while_keys_are_read)
{
    index_rig_open(&rig);
    struct index_project *p = project_of();
    pthread_t thread;
    atomic_store(&ends, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, reads_always, p), 0);
    for (uint64_t n = 0; n < MEMOS; n += 20) {
        memos_tell(n, n + 20);
        for (uint64_t i = n < 200 ? 0 : n - 200; i < n + 20; i++)
            ck_assert_int_eq(memo_find(i), OK);
    }
    atomic_store(&ends, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    for (uint64_t i = 0; i < MEMOS; i++)
        ck_assert_int_eq(memo_find(i), OK);
    ck_assert_ptr_nonnull(p->memos);
    project_release(p);
    index_rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        filter_denies_what_was_not_added,
        what_was_told_is_found,
        what_is_told_while_keys_are_read,
    };
    return suite_run("index_memos", tests, ARRAY_LEN(tests));
}
