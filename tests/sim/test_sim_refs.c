/* The simulator with references: many seeds, in each of which clients bind names over names. */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/sim/seeds.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_refs.h"
#include "tests/support/suite.h"

#if defined(__SANITIZE_ADDRESS__)
#define SEEDS 8u
#else
#define SEEDS 60u
#endif
#define SEEDS_LONG 600u

static void with_refs(struct profile *p)
{
    p->refs = true;
    p->import = false;
    p->strangers = false;
    p->nodes = 0;
    p->derives = 0;
}

static void run(uint64_t seed, struct verdict_of_seed *verdict)
{
    sim_seed_with(seed, with_refs, verdict);
}

/* Also those of the processes that play the seeds. */
static void counts_share(void)
{
    refs_counts = mmap(NULL, sizeof(*refs_counts), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(refs_counts != MAP_FAILED);
}

START_TEST(references_by_seeds)
{
    struct counts counts = {0};
    uint64_t seeds = getenv("MIC_LONG") != NULL ? SEEDS_LONG : SEEDS;
    counts_share();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct verdict_of_seed verdict;
        bool good = seed_run_with(run, seed, &counts, &verdict);
        ck_assert_msg(good, "seed %lu at %.3f s: %s: %s", (unsigned long)seed,
                      (double)verdict.virtual_ms / 1e3, verdict.broken, verdict.detail);
    }
    printf("refs of %lu seeds: %lu bound, %lu deleted, %lu not as expected, %lu moved, %lu "
           "cycles refused, %lu heads\n",
           (unsigned long)seeds, (unsigned long)refs_counts->bound,
           (unsigned long)refs_counts->deleted, (unsigned long)refs_counts->conflicts,
           (unsigned long)refs_counts->moved, (unsigned long)refs_counts->cycles,
           (unsigned long)refs_counts->heads);
    ck_assert_uint_gt(refs_counts->bound, 10 * seeds);
    ck_assert_uint_gt(refs_counts->deleted, seeds);
    ck_assert_uint_gt(refs_counts->moved, seeds / 2);
    ck_assert_uint_gt(refs_counts->cycles, seeds);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {references_by_seeds};
    return suite_run("sim_refs", tests, ARRAY_LEN(tests));
}
