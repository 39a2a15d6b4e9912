/* The service over a store that is slow or refuses: fewer and bigger puts, a bound on what
 * waits, and all that was accepted lands once when the store is well again. Time is the clock's
 * of the test; what it costs is counted in requests. */
#include <stdio.h>

#include "formats/base/limits.h"
#include "pipeline/store/pulse.h"
#include "tests/support/faulty.h"
#include "tests/support/front.h"
#include "tests/support/suite.h"

#define WINDOW_US   500u
#define BATCH_MAX   (256u * KIB)
#define QUEUE_MAX   (1u * MIB)
#define CLIENTS     40u
#define SECOND_US   1000000ull
#define TICK_US     1000u
#define TEXT_LEN    (48u * KIB)
#define CLIENTS_MAX 64u
#define STEPS_MAX   500000u /* of clients who never get anywhere */

struct client {
    unsigned number;
    struct reply reply;
    bool waits;
    uint64_t next_us;
    unsigned accepted;
};

struct rig {
    struct forge drain; /* the bucket, and a drain that sees it well */
    struct forge f;     /* the front's process */
    struct store *faulty;
    struct store *pulse;
    struct store *trace;
    struct front front;
    uint64_t latency_us;
    const char *text; /* of the file that each landing writes */
    struct client clients[CLIENTS_MAX];
    unsigned n;
    unsigned full;       /* requests that were refused as queue_full */
    uint64_t retry_most; /* what they were told */
    unsigned told_again; /* requests that were taken in and then not put */
    size_t bytes_most;   /* that waited */
};

/* Every call takes its time before it takes effect. */
static void on_call(void *arg, uint64_t call UNUSED, const struct store_op *op UNUSED)
{
    struct rig *rig = arg;
    struct clock *clock = &rig->f.clock.clock;
    clock->sleep_us(clock, rig->latency_us);
}

static void rig_open(struct rig *rig)
{
    *rig = (struct rig){.text = "so be it"};
    forge_init(&rig->drain);
    rig->faulty = faulty_store_open(rig->drain.trace);
    rig->pulse = pulse_store_open(rig->faulty, &rig->f.clock.clock);
    rig->trace = trace_store_open(rig->pulse);
    forge_join(&rig->f, &rig->drain, rig->trace);
    const struct service_options options = {
        .intake = {.window_us = WINDOW_US, .batch_max = BATCH_MAX, .queue_max = QUEUE_MAX},
        .wait_max_ms = 60000,
        .poll_ms = 50,
        .waiters_max = 1000,
        .pulse = rig->pulse};
    rig->front = (struct front){.forge = &rig->f, .project = rig->f.project};
    ck_assert_int_eq(service_open(&rig->f.repo, &options, &rig->front.service), OK);
    faulty_watch(rig->faulty, on_call, rig);
}

static void rig_close(struct rig *rig)
{
    front_close(&rig->front);
    forge_release(&rig->f);
    store_close(rig->trace);
    store_close(rig->pulse);
    store_close(rig->faulty);
    forge_release(&rig->drain);
}

static void rig_busy(struct rig *rig, bool busy)
{
    unsigned odds[FAULTS] = {0};
    odds[FAULT_AGAIN] = busy ? 1000 : 0;
    faulty_chance(rig->faulty, 1, odds);
}

static uint64_t now_us(struct rig *rig)
{
    return rig->f.clock.us;
}

static uint64_t queue_puts(struct rig *rig)
{
    return trace_store_counts(rig->trace, false).puts[TRACE_QUEUE];
}

static struct service_stats stats_of(struct rig *rig)
{
    struct service_stats stats;
    service_stats(rig->front.service, &stats);
    return stats;
}

/* --- clients --- */

static void client_send(struct rig *rig, struct client *client)
{
    char key[32];
    (void)snprintf(key, sizeof(key), "c%u-%u", client->number, client->accepted);
    struct asked asked = asked_open(&rig->front, key, 0);
    asked_write(&asked, key, rig->text);
    client->reply = (struct reply){0};
    front_land(&rig->front, "ann", &asked, 1, 0, &client->reply);
    client->waits = true;
}

/* Takes the answer, if it is there. The next request comes when the client has thought: each
 * for a time of its own. */
static void client_look(struct rig *rig, struct client *client)
{
    struct reply *reply = &client->reply;
    if (!client->waits || (reply->err == OK && reply->calls == 0))
        return;
    client->waits = false;
    client->next_us = now_us(rig) + (1 + client->number) * TICK_US;
    if (reply->err == OK) {
        ck_assert(reply->pending);
        client->accepted++;
    } else if (reply->calls == 0) {
        uint64_t retry_s = service_retry_s(rig->front.service);
        ck_assert_str_eq(reply->problem.code, "queue_full");
        rig->full++;
        rig->retry_most = retry_s > rig->retry_most ? retry_s : rig->retry_most;
        client->next_us += retry_s * SECOND_US;
    } else {
        ck_assert_str_eq(reply->problem.code, "again");
        rig->told_again++;
    }
}

/* What a front's threads do: puts when it is time. */
static void rig_step(struct rig *rig)
{
    struct clock *clock = &rig->f.clock.clock;
    size_t bytes = stats_of(rig).intake_bytes;
    rig->bytes_most = bytes > rig->bytes_most ? bytes : rig->bytes_most;
    if (bytes > 0 && service_wait_us(rig->front.service) == 0)
        (void)!service_step(rig->front.service);
    else
        clock->sleep_us(clock, TICK_US);
}

/* Clients go on until each has `each` accepted landings, or until a time. */
static void clients_run(struct rig *rig, unsigned each, uint64_t until_us)
{
    unsigned steps = 0;
    for (unsigned left = rig->n; left > 0 && now_us(rig) < until_us; steps++) {
        ck_assert_uint_lt(steps, STEPS_MAX);
        left = rig->n;
        for (unsigned i = 0; i < rig->n; i++) {
            struct client *client = &rig->clients[i];
            client_look(rig, client);
            if (client->accepted >= each)
                left--;
            else if (!client->waits && client->next_us <= now_us(rig))
                client_send(rig, client);
        }
        rig_step(rig);
    }
}

static void clients_open(struct rig *rig, unsigned n)
{
    rig->n = n;
    for (unsigned i = 0; i < n; i++)
        rig->clients[i] = (struct client){.number = i};
}

/* All that was accepted lands, each once. */
static void check_landed(struct rig *rig)
{
    unsigned accepted = 0;
    for (unsigned i = 0; i < rig->n; i++)
        accepted += rig->clients[i].accepted;
    rig->drain.clock.ms = rig->f.clock.ms;
    rig->drain.clock.us = rig->f.clock.us;
    forge_drain(&rig->drain);
    ck_assert_uint_eq(forge_position(&rig->drain), accepted);
    ck_assert_uint_eq(forge_count(&rig->drain, "queue/0000/"), 0);
    for (unsigned i = 0; i < rig->n; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "c%u-%u", i, rig->clients[i].accepted - 1);
        ck_assert_str_eq(forge_text(&rig->drain, path), rig->text);
    }
}

/* --- a slow store --- */

START_TEST(a_slow_store_gets_one_put_for_all_who_come_again)
{
    enum { rounds = 10 };
    struct rig rig;
    rig_open(&rig);
    clients_open(&rig, CLIENTS);
    ck_assert_uint_eq(stats_of(&rig).intake_window_us, WINDOW_US);
    rig.latency_us = 2 * SECOND_US;
    clients_run(&rig, rounds, UINT64_MAX);
    ck_assert_uint_eq(stats_of(&rig).intake_window_us, 250000);
    /* The first finds nobody who could be waited for. */
    ck_assert_uint_le(queue_puts(&rig), rounds + 2);
    ck_assert_uint_ge(service_retry_s(rig.front.service), 4);
    /* And when it is fast again, nobody waits longer than before. */
    rig.latency_us = 200;
    clients_run(&rig, 2 * rounds, UINT64_MAX);
    ck_assert_uint_eq(stats_of(&rig).intake_window_us, WINDOW_US);
    ck_assert_uint_eq(service_retry_s(rig.front.service), 1);
    ck_assert_uint_eq(rig.full + rig.told_again, 0);
    check_landed(&rig);
    rig_close(&rig);
}
END_TEST

/* --- a store that refuses --- */

/* Chance does not pack well. */
static const char *long_text(struct rig *rig)
{
    static char text[TEXT_LEN + 1];
    for (size_t i = 0; i < TEXT_LEN; i++)
        text[i] = (char)('0' + rng_below(&rig->f.rng.rng, 64));
    return text;
}

START_TEST(a_store_that_refuses_is_asked_rarely_and_what_waits_is_bounded)
{
    enum { busy_s = 60 };
    struct rig rig;
    rig_open(&rig);
    rig.text = long_text(&rig);
    clients_open(&rig, CLIENTS);
    clients_run(&rig, 1, UINT64_MAX); /* what a front knows while it is well */
    uint64_t before = queue_puts(&rig);
    uint64_t until_us = now_us(&rig) + busy_s * SECOND_US;
    rig_busy(&rig, true);
    clients_run(&rig, 3, until_us);
    ck_assert_uint_ge(now_us(&rig), until_us);
    for (unsigned i = 0; i < rig.n; i++)
        ck_assert_uint_eq(rig.clients[i].accepted, 1);
    /* Not full of one object, but of as many as there may be at once. */
    ck_assert_uint_gt(rig.bytes_most, QUEUE_MAX - TEXT_LEN - KIB);
    ck_assert_uint_le(rig.bytes_most, QUEUE_MAX);
    ck_assert_uint_gt(rig.full, 0);
    ck_assert_uint_ge(rig.retry_most, 5);
    ck_assert_uint_gt(rig.told_again, 0);
    /* Four objects every two seconds, and some more at first. */
    uint64_t rounds = (queue_puts(&rig) - before) / (QUEUE_MAX / BATCH_MAX);
    ck_assert_uint_le(rounds, busy_s / 2 + 15);
    ck_assert(service_store_away(rig.front.service));
    ck_assert(!stats_of(&rig).store_ok);

    rig_busy(&rig, false);
    clients_run(&rig, 3, UINT64_MAX);
    ck_assert_uint_eq(stats_of(&rig).intake_window_us, WINDOW_US);
    ck_assert_uint_eq(service_retry_s(rig.front.service), 1);
    ck_assert(!service_store_away(rig.front.service));
    check_landed(&rig);
    rig_close(&rig);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_slow_store_gets_one_put_for_all_who_come_again,
        a_store_that_refuses_is_asked_rarely_and_what_waits_is_bounded,
    };
    return suite_run("service_pressure", tests, ARRAY_LEN(tests));
}
