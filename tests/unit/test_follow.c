/* A stage that runs over and over in a thread. */
#include "pipeline/stages/follow.h"

#include <check.h>
#include <semaphore.h>

#include "tests/support/suite.h"

#define FOR_EVER_MS 86400000u

static struct counter {
    struct stage stage;
    unsigned runs;
    sem_t three;
} counter;

/* Finds nothing to do, three times. */
static int counter_run(struct stage *stage)
{
    struct counter *c = (struct counter *)stage;
    c->runs++;
    stage->again_ms = c->runs < 3 ? 1 : 0;
    if (c->runs == 3)
        (void)sem_post(&c->three);
    return 0;
}

/* Without that it would pause for a day. */
START_TEST(a_stage_says_when_it_wants_to_run_again)
{
    counter.stage = (struct stage){.name = "counter", .run = counter_run};
    ck_assert_int_eq(sem_init(&counter.three, 0, 0), 0);
    struct follow *follow = follow_start(&counter.stage, FOR_EVER_MS, FOR_EVER_MS);
    while (sem_wait(&counter.three) != 0)
        ;
    follow_stop(follow);
    ck_assert_uint_eq(counter.runs, 3);
    (void)sem_destroy(&counter.three);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_stage_says_when_it_wants_to_run_again};
    return suite_run("follow", tests, ARRAY_LEN(tests));
}
