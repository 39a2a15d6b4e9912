/* Answers that are older than the question, and projects that give none: what is asked again is
 * looked for in the chain, and who waits for a damaged project is told. */
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "tests/support/faulty.h"
#include "tests/support/front.h"
#include "tests/support/suite.h"

/* After this time the first look comes. */
#define LOOK_US 500000u

static struct forge forge;
static struct front front;
/* A front of another process, which knows nothing. */
static struct forge other;
static struct front second;

static void setup(void)
{
    forge_init(&forge);
    front_open(&front, &forge);
}

/* The drain makes batches of at most so many answers. */
static void drain_in_batches(uint32_t max)
{
    forge.land->close(forge.land);
    forge.land_options.batch_max = max;
    forge.land = stage_land_open(&forge.repo, &forge.land_options);
}

static void second_open(void)
{
    forge_join(&other, &forge, NULL);
    front_open(&second, &other);
    (void)trace_store_counts(forge.trace, true);
}

static void second_close(void)
{
    front_close(&second);
    forge_release(&other);
}

static void teardown(void)
{
    front_close(&front);
    forge_release(&forge);
}

/* --- requests of any size --- */

struct answers {
    unsigned calls;
    int err;
    const char *code;
    bool pending;
    size_t n;
    enum verdict *verdicts;
    uint64_t *positions;
    struct buf bytes; /* encoded, one behind the other */
};

static void answers_release(struct answers *answers)
{
    buf_release(&answers->bytes);
    free(answers->verdicts);
    free(answers->positions);
}

static void on_landed(void *arg, const struct land_result *result)
{
    struct answers *answers = arg;
    answers->calls++;
    answers->err = result->err;
    answers->code = result->problem.code;
    answers->pending = result->pending;
    answers->n = result->n;
    answers->verdicts = calloc(result->n, sizeof(*answers->verdicts));
    answers->positions = calloc(result->n, sizeof(*answers->positions));
    for (size_t i = 0; result->landings != NULL && i < result->n; i++) {
        ck_assert(id16_equal(&result->landings[i].session, &result->sessions[i]));
        ck_assert(id16_equal(&result->landings[i].request, &result->request));
        answers->verdicts[i] = result->landings[i].verdict;
        answers->positions[i] = result->landings[i].position;
        landing_encode(&result->landings[i], &answers->bytes);
    }
}

/* Sends `n` sessions as a series, each of which writes a file of its own; that with the number
 * `conflict` relies on what is not there. */
static void series_send(struct front *by, const char *name, size_t n, size_t conflict,
                        struct answers *answers)
{
    struct arena *arena = &by->forge->arena;
    struct session *sessions = arena_array(arena, n, struct session);
    for (size_t i = 0; i < n; i++) {
        char *path = arena_printf(arena, "%s/%zu", name, i);
        struct asked asked = asked_open(by, path, 0);
        struct record write = record_write_of(by, path, path, UINT64_MAX);
        if (i == conflict)
            write.operation.seen = seen_text("what is not there");
        (void)asked_add(&asked, write);
        sessions[i] = asked.session;
    }
    *answers = (struct answers){0};
    struct caller caller = caller_of("ann");
    struct problem problem = {0};
    int err = service_land(by->service, &caller, &by->project, sessions, n, arena, 60000,
                           on_landed, answers, &problem);
    ck_assert_msg(err == OK, "%s", problem.message);
    (void)!service_step(by->service);
}

static void filled(unsigned batches)
{
    for (unsigned i = 0; i < batches; i++)
        forge_land_text(&forge, arena_printf(&forge.arena, "fill%u", i),
                        arena_printf(&forge.arena, "fill/%u", i), "x", NULL);
}

/* The time of the first look, and one round. */
static void second_looks(void)
{
    other.clock.us += LOOK_US;
    (void)!service_step(second.service);
}

#define SERIES 200u

/* A retry of a long series has all its answers by one look, and each batch is read once. */
START_TEST(a_long_series_is_found_by_one_walk)
{
    setup();
    drain_in_batches(30);
    struct answers first;
    series_send(&front, "s", SERIES, SIZE_MAX, &first);
    front_settle(&front);
    ck_assert_uint_eq(first.calls, 1);
    filled(3);
    second_open();
    struct answers again;
    series_send(&second, "s", SERIES, SIZE_MAX, &again);
    other.clock.us += LOOK_US - 1;
    (void)!service_step(second.service);
    ck_assert_uint_eq(again.calls, 0);
    (void)trace_store_counts(forge.trace, true);
    other.clock.us += 1;
    (void)!service_step(second.service);
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(again.calls, 1);
    ck_assert(!again.pending);
    for (size_t i = 0; i < SERIES; i++) {
        ck_assert_int_eq(again.verdicts[i], VERDICT_LANDED);
        ck_assert_uint_eq(again.positions[i], i + 1);
    }
    ck_assert(bytes_equal(buf_bytes(&again.bytes), buf_bytes(&first.bytes)));
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_le(counts.gets[TRACE_TREE], (SERIES + 29) / 30 + 3 + 1);
    ck_assert_uint_eq(counts.lists, 0);
    answers_release(&first);
    answers_release(&again);
    second_close();
    teardown();
}
END_TEST

/* What did not land is read from the records: all of a batch at once. */
START_TEST(a_series_that_ended_is_found_by_one_walk)
{
    setup();
    drain_in_batches(30);
    struct answers first;
    series_send(&front, "s", SERIES, 3, &first);
    front_settle(&front);
    ck_assert_uint_eq(first.calls, 1);
    second_open();
    struct answers again;
    series_send(&second, "s", SERIES, 3, &again);
    (void)trace_store_counts(forge.trace, true);
    second_looks();
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(again.calls, 1);
    ck_assert_int_eq(again.verdicts[2], VERDICT_LANDED);
    ck_assert_int_eq(again.verdicts[3], VERDICT_CONFLICTED);
    ck_assert_int_eq(again.verdicts[SERIES - 1], VERDICT_NOT_TRIED);
    ck_assert(bytes_equal(buf_bytes(&again.bytes), buf_bytes(&first.bytes)));
    ck_assert_uint_le(counts.gets[TRACE_TREE], 2 * ((SERIES + 29) / 30) + 1);
    answers_release(&first);
    answers_release(&again);
    second_close();
    teardown();
}
END_TEST

/* What lies so far back that the walk ends before is asked of the log. */
START_TEST(a_short_series_far_back_is_found)
{
    setup();
    struct answers first;
    series_send(&front, "s", 3, 1, &first);
    front_settle(&front);
    filled(250);
    second_open();
    struct answers again;
    series_send(&second, "s", 3, 1, &again);
    second_looks();
    ck_assert_uint_eq(again.calls, 1);
    ck_assert(bytes_equal(buf_bytes(&again.bytes), buf_bytes(&first.bytes)));
    answers_release(&first);
    answers_release(&again);
    second_close();
    teardown();
}
END_TEST

/* A look in between finds the part of a series that has its answers; the rest comes as it is
 * decided. */
static unsigned head_puts;

static void look_at_the_second_head(void *arg UNUSED, uint64_t call UNUSED,
                                    const struct store_op *op)
{
    struct key head = key_head(&forge.project);
    if (op == NULL || op->verb != STORE_PUT || strcmp(op->key, head.s) != 0)
        return;
    if (++head_puts == 2)
        second_looks();
}

START_TEST(a_series_that_is_being_answered)
{
    setup();
    struct answers first;
    series_send(&front, "s", 20, SIZE_MAX, &first);
    struct store *faulty = faulty_store_open(forge.trace);
    struct forge drain;
    forge_join(&drain, &forge, faulty);
    drain.land->close(drain.land);
    drain.land_options.batch_max = 7;
    drain.land = stage_land_open(&drain.repo, &drain.land_options);
    second_open();
    struct answers again;
    series_send(&second, "s", 20, SIZE_MAX, &again);
    head_puts = 0;
    faulty_watch(faulty, look_at_the_second_head, NULL);
    forge_drain(&drain);
    ck_assert_uint_ge(head_puts, 3);
    ck_assert_uint_eq(again.calls, 0);
    (void)!service_step(second.service);
    (void)!service_step(front.service);
    ck_assert_uint_eq(again.calls, 1);
    ck_assert_uint_eq(again.positions[19], 20);
    ck_assert(bytes_equal(buf_bytes(&again.bytes), buf_bytes(&first.bytes)));
    answers_release(&first);
    answers_release(&again);
    second_close();
    forge_release(&drain);
    store_close(faulty);
    teardown();
}
END_TEST

#define RETRIES 40u

/* Those who ask again together share a read of the head, and a walk. */
START_TEST(budget_of_many_retries)
{
    setup();
    struct answers first[RETRIES];
    struct answers again[RETRIES];
    for (unsigned i = 0; i < RETRIES; i++)
        series_send(&front, arena_printf(&forge.arena, "r%u", i), 1, SIZE_MAX, &first[i]);
    front_settle(&front);
    second_open();
    for (unsigned i = 0; i < RETRIES; i++)
        series_send(&second, arena_printf(&other.arena, "r%u", i), 1, SIZE_MAX, &again[i]);
    (void)trace_store_counts(forge.trace, true);
    second_looks();
    struct trace_counts counts = trace_store_counts(forge.trace, true);
    ck_assert_uint_eq(counts.gets[TRACE_HEAD], 1);
    ck_assert_uint_le(counts.gets[TRACE_TREE], 2);
    for (unsigned i = 0; i < RETRIES; i++) {
        ck_assert_uint_eq(again[i].calls, 1);
        ck_assert(bytes_equal(buf_bytes(&again[i].bytes), buf_bytes(&first[i].bytes)));
        answers_release(&first[i]);
        answers_release(&again[i]);
    }
    second_close();
    teardown();
}
END_TEST

/* Two fronts ask before there is an answer, and one after: all are told the same. */
START_TEST(every_copy_of_a_request_has_the_same_answer)
{
    setup();
    struct answers answers[3];
    series_send(&front, "s", 1, SIZE_MAX, &answers[0]);
    second_open();
    clock_manual_init(&other.clock, forge.clock.ms + 1000);
    series_send(&second, "s", 1, SIZE_MAX, &answers[1]);
    (void)forge_drain(&forge);
    (void)!service_step(front.service);
    (void)!service_step(second.service);
    second_close();
    second_open();
    series_send(&second, "s", 1, SIZE_MAX, &answers[2]);
    second_looks();
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(answers[i].calls, 1);
        ck_assert_int_eq(answers[i].verdicts[0], VERDICT_LANDED);
        ck_assert(bytes_equal(buf_bytes(&answers[i].bytes), buf_bytes(&answers[0].bytes)));
    }
    for (unsigned i = 0; i < 3; i++)
        answers_release(&answers[i]);
    second_close();
    teardown();
}
END_TEST

/* --- projects that cannot be read --- */

/* Flips a bit of the tree object that the head names. */
static void tip_damage(bool root)
{
    struct head head;
    const struct batch *tip;
    ck_assert_int_eq(chain_head(&forge.repo, &forge.project, &head, NULL), OK);
    ck_assert_int_eq(chain_tip(&forge.repo, &forge.project, &head, &tip), OK);
    struct key key = key_tree(&forge.project, &head.tree_hash);
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(forge.mem, key.s, range_all(), &bytes, NULL, NULL), OK);
    bytes.data[root ? tip->footer.root.offset + 3 : bytes.len - 20] ^= 0x40;
    ck_assert_int_eq(store_put(forge.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    chain_drop(&forge.repo, tip);
}

/* A drain that knows nothing puts the request with the dead letters. */
static void drained_dead(void)
{
    struct forge drain;
    forge_join(&drain, &forge, NULL);
    (void)forge_drain(&drain);
    forge_release(&drain);
    ck_assert_uint_eq(forge_count(&forge, "queue/0000/"), 0);
    ck_assert_uint_gt(forge_count(&forge, "queue/dead/"), 0);
}

static void told_damaged(const struct answers *answers)
{
    ck_assert_uint_eq(answers->calls, 1);
    ck_assert_int_eq(answers->err, ERR_CORRUPT);
    ck_assert_str_eq(answers->code, "project_damaged");
}

/* The head names a tree object that cannot be read any more: a front that has it in memory
 * takes the request, and no head moves to tell it. */
static void tip_is_damaged(bool root)
{
    setup();
    filled(2);
    second_open();
    struct head_info info;
    struct problem problem;
    ck_assert_int_eq(service_head(second.service, &second.project, &info, &problem), OK);
    tip_damage(root);
    struct answers answers;
    series_send(&second, "s", 1, SIZE_MAX, &answers);
    drained_dead();
    (void)!service_step(second.service);
    ck_assert_uint_eq(answers.calls, 0);
    second_looks();
    told_damaged(&answers);
    answers_release(&answers);
    second_close();
    /* One that has not takes nothing. */
    second_open();
    struct asked asked = asked_open(&second, "t", 0);
    asked_write(&asked, "t", "t");
    ck_assert_str_eq(front_refused(&second, &asked, 1), "project_damaged");
    second_close();
    teardown();
}

START_TEST(a_damaged_tip_is_said_to_be)
{
    tip_is_damaged(false);
    tip_is_damaged(true);
}
END_TEST

/* Whether the request was answered lies in a batch that cannot be read. */
START_TEST(a_damaged_history_is_said_to_be)
{
    setup();
    filled(2);
    tip_damage(false);
    forge_land_text(&forge, "on", "on", "x", NULL); /* by a drain that has it in memory */
    second_open();
    struct answers answers;
    series_send(&second, "s", 2, SIZE_MAX, &answers);
    drained_dead();
    second_looks();
    told_damaged(&answers);
    answers_release(&answers);
    second_close();
    teardown();
}
END_TEST

/* A project that is gone altogether was there when the request was taken. */
START_TEST(a_project_that_is_gone_is_said_to_be_damaged)
{
    setup();
    struct answers answers;
    series_send(&front, "s", 1, SIZE_MAX, &answers);
    struct key head = key_head(&forge.project);
    struct key project = key_project(&forge.project);
    ck_assert_int_eq(store_delete(forge.mem, head.s), OK);
    ck_assert_int_eq(store_delete(forge.mem, project.s), OK);
    (void)!service_step(front.service);
    told_damaged(&answers);
    answers_release(&answers);
    teardown();
}
END_TEST

/* Asking whether a project can be read costs one read where nothing moves, and none before the
 * first look. */
START_TEST(budget_of_waiting_for_a_drain_that_is_late)
{
    setup();
    filled(2);
    struct answers answers[2];
    (void)trace_store_counts(forge.trace, true);
    const uint64_t reads[] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    series_send(&front, "s", 1, SIZE_MAX, &answers[0]);
    for (unsigned i = 0; i < ARRAY_LEN(reads); i++) {
        forge.clock.us += LOOK_US / 5;
        (void)!service_step(front.service);
        if (i == 1) /* whose first look comes between those of the other */
            series_send(&front, "t", 1, SIZE_MAX, &answers[1]);
        ck_assert_uint_eq(trace_store_counts(forge.trace, true).gets[TRACE_TREE], reads[i]);
    }
    front_settle(&front);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(answers[i].calls, 1);
        ck_assert_int_eq(answers[i].verdicts[0], VERDICT_LANDED);
        answers_release(&answers[i]);
    }
    teardown();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_long_series_is_found_by_one_walk,
        a_series_that_ended_is_found_by_one_walk,
        a_short_series_far_back_is_found,
        a_series_that_is_being_answered,
        budget_of_many_retries,
        every_copy_of_a_request_has_the_same_answer,
        a_damaged_tip_is_said_to_be,
        a_damaged_history_is_said_to_be,
        a_project_that_is_gone_is_said_to_be_damaged,
        budget_of_waiting_for_a_drain_that_is_late,
    };
    return suite_run("service_answers", tests, ARRAY_LEN(tests));
}
