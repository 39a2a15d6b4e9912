/* What it costs to read a tree whose pages lie here and there, and the same tree packed:
 * counted in requests, and in bytes where no more may be read than before. */
#include <check.h>
#include <stdio.h>

#include "api/client/thick_tree.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/pack/pack.h"
#include "tests/support/forge.h"
#include "tests/support/suite.h"
#include "tests/support/tree_digest.h"

#define DIRS    2000u
#define BATCHES 100u

/* Directories in some depth, each landing a part of them, spread over the whole tree. */
static void plant(struct forge *f)
{
    forge_init(f);
    for (unsigned b = 0; b < BATCHES; b++) {
        struct draft d = draft_open(f, "ann", arena_printf(&f->arena, "k%u", b), b);
        for (unsigned i = b; i < DIRS; i += BATCHES) {
            for (unsigned k = 0; k < 12; k++)
                draft_write(
                    &d,
                    arena_printf(&f->arena, "part%u/some%u/dir%u/file%u", i % 7, i % 29, i, k),
                    "text", NULL);
        }
        (void)forge_submit(f, &d, 1);
        (void)forge_drain(f);
    }
    ck_assert_uint_eq(forge_position(f), BATCHES);
}

struct cost {
    uint64_t reads;
    uint64_t bytes;
};

static struct cost cost_of(struct forge *f)
{
    struct trace_counts counts = trace_store_counts(f->trace, true);
    return (struct cost){.reads = counts.gets[TRACE_TREE], .bytes = counts.bytes_out};
}

/* A process that has nothing in memory walks over all of it. */
static struct cost cold_walk(struct forge *f, struct hash *digest)
{
    struct forge fresh;
    f->seq += 10;
    forge_join(&fresh, f, NULL);
    struct tree tree = forge_tree(&fresh);
    (void)cost_of(f);
    *digest = tree_digest(&tree);
    struct cost cost = cost_of(f);
    forge_release(&fresh);
    return cost;
}

static struct cost cold_look(struct forge *f, const char *path)
{
    struct forge fresh;
    AUTO(arena_release) struct arena arena = {0};
    struct entry e;
    f->seq += 10;
    forge_join(&fresh, f, NULL);
    struct tree tree = forge_tree(&fresh);
    (void)cost_of(f);
    ck_assert_int_eq(tree_find(&tree, bytes_str(path), &arena, &e), OK);
    struct cost cost = cost_of(f);
    forge_release(&fresh);
    return cost;
}

START_TEST(a_cold_walk_of_a_packed_tree_is_a_few_reads)
{
    struct forge f;
    struct hash before;
    struct hash after;
    struct pack_report report;
    plant(&f);
    const char *path =
        arena_printf(&f.arena, "part%u/some%u/dir%u/file3", 1234 % 7, 1234 % 29, 1234u);
    struct cost walk = cold_walk(&f, &before);
    struct cost look = cold_look(&f, path);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &(struct pack_options){0}, &report), OK);
    ck_assert(report.packed);
    struct cost packed_walk = cold_walk(&f, &after);
    struct cost packed_look = cold_look(&f, path);
    ck_assert(hash_equal(&before, &after));
    printf("walk: %llu reads of %llu bytes, packed %llu of %llu; said %llu and %llu\n",
           (unsigned long long)walk.reads, (unsigned long long)walk.bytes,
           (unsigned long long)packed_walk.reads, (unsigned long long)packed_walk.bytes,
           (unsigned long long)report.ranges_before, (unsigned long long)report.ranges_after);
    ck_assert_uint_gt(walk.reads, DIRS / 2);
    ck_assert_uint_le(packed_walk.reads, 8);
    ck_assert_uint_le(packed_walk.bytes, report.bytes + MIB);
    /* A single look-up reads one page a level, as before. */
    ck_assert_uint_eq(look.reads, 3);
    ck_assert_uint_eq(packed_look.reads, 3);
    ck_assert_uint_le(packed_look.bytes, look.bytes + look.bytes / 8);
    forge_release(&f);
}
END_TEST

/* --- a client that reads the tree by itself --- */

struct counted_source {
    struct range_source source;
    struct forge *forge;
    struct cost cost;
};

static int counted_many(struct range_source *source, const struct range_feed *feed)
{
    struct counted_source *counted = (struct counted_source *)source;
    struct range_read *read;
    while ((read = feed->next(feed->arg)) != NULL) {
        struct key key = key_tree(&counted->forge->project, &read->tree);
        struct store_range range =
            read->suffix ? range_suffix(read->len) : range_of(read->offset, read->len);
        read->err = store_get(counted->forge->trace, key.s, range, &read->body, NULL, NULL);
        counted->cost.reads++;
        counted->cost.bytes += read->body.len;
        int err = feed->done(feed->arg, read);
        if (err != OK)
            return err;
    }
    return OK;
}

static struct cost thick_walk(struct forge *f, size_t *n)
{
    AUTO(arena_release) struct arena arena = {0};
    struct counted_source counted = {.source = {.many = counted_many}, .forge = f};
    struct thick_tree thick;
    struct thick_changes all;
    struct head head;
    ck_assert_int_eq(chain_head(&f->repo, &f->project, &head, NULL), OK);
    ck_assert_int_eq(thick_tree_open(&counted.source, &head.tree_hash, &arena, &thick), OK);
    ck_assert_int_eq(thick_tree_diff(&counted.source, NULL, &thick, &arena, &all), OK);
    *n = all.n;
    return counted.cost;
}

START_TEST(a_cold_checkout_of_a_packed_tree_is_a_few_reads)
{
    struct forge f;
    struct pack_report report;
    size_t n;
    size_t n_packed;
    plant(&f);
    struct cost walk = thick_walk(&f, &n);
    ck_assert_int_eq(pack_project(&f.repo, &f.project, &(struct pack_options){0}, &report), OK);
    struct cost packed = thick_walk(&f, &n_packed);
    ck_assert_uint_eq(n, n_packed);
    printf("checkout: %llu reads of %llu bytes, packed %llu of %llu\n",
           (unsigned long long)walk.reads, (unsigned long long)walk.bytes,
           (unsigned long long)packed.reads, (unsigned long long)packed.bytes);
    ck_assert_uint_ge(walk.reads, BATCHES);
    ck_assert_uint_le(packed.reads, 24);
    forge_release(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_cold_walk_of_a_packed_tree_is_a_few_reads,
        a_cold_checkout_of_a_packed_tree_is_a_few_reads,
    };
    return suite_run("pack_reads", tests, ARRAY_LEN(tests));
}
