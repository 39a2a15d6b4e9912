/* The schedules that broke earlier drafts and that cross processes, played by hand in the
 * simulated world: real fronts, drains and appends, each held where the schedule wants it, and
 * the oracle over all of it. The numbers are those of the list of schedules.
 *
 * Played elsewhere: 1 to 3, 32 and 33 (test_schedules_collect); 8, 31, 34 and 38 also with
 * drains alone (test_land_race); 11 (test_snapshot, test_service_land); 17 (test_land); 19 and
 * 35 (test_land, test_land_trouble, test_service_sessions, test_service_land); 36
 * (test_landlog). Strangers, bases inside batches and lands that wait are met by chance in
 * test_sim, too. */
#include "formats/base/hex.h"
#include "tests/sim/schedules.h"

/* 5. A one-request session lands, its queue object is deleted, the reply is lost. The client
 * retries with the same ids; everybody has lost his memory, and clocks are others. */
static void retry_after_a_lost_answer(struct script *s)
{
    script_land_text(s, s->ann, "p", "0", "-");
    struct asked_session *session = script_session(s, s->ann, 1, true);
    script_delete(s, session, "p", "0");
    struct asked_request *r = script_series(s, &session, 1);
    script_ask(s, r, s->fronts[0], false);
    while (oracle_answer(&s->sim.oracle, &r->sessions[0]->id, &r->id) == NULL)
        task_pause(1000);
    script_drained(s);
    for (unsigned i = 0; i < s->sim.n_processes; i++) {
        process_die(&s->sim.processes[i]);
        s->sim.processes[i].skew_ms = -14000;
    }
    script_ask(s, r, s->fronts[1], true);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "p", NULL);
}

/* 6. Two copies of a request; the get of the earlier queue object fails, and the drains go on
 * with the later one. */
static void two_copies(struct script *s)
{
    script_land_text(s, s->ann, "p", "0", "-");
    script_drained(s);
    struct gate *lists = script_gate(s, &(struct gate){.lists = true, .again = true});
    struct asked_session *session = script_session(s, s->ann, 1, true);
    script_delete(s, session, "p", "0");
    struct asked_request *r = script_series(s, &session, 1);
    script_ask(s, r, s->fronts[0], false);
    struct store_list list;
    struct arena *arena = client_arena();
    if (store_list(far_end_mem(s->sim.end), arena, "queue/", "", 10, &list) != OK ||
        list.n != 1)
        broken("script", "the request is not in the queue");
    struct gate first = {.verb = STORE_GET,
                         .kind = KEY_QUEUE,
                         .trouble = TROUBLE_AGAIN,
                         .again = true,
                         .open = true};
    (void)snprintf(first.key, sizeof(first.key), "%s", list.keys[0].key);
    struct gate *unread = script_gate(s, &first);
    script_ask(s, r, s->fronts[1], false);
    lists->open = true;
    while (oracle_answer(&s->sim.oracle, &r->sessions[0]->id, &r->id) == NULL)
        task_pause(1000);
    script_land_text(s, s->ben, "p", "1", "-");
    unread->trouble = TROUBLE_NONE;
    script_drained(s);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "p", "1");
}

/* 7. An operation that is taken in by one front while its session lands through another comes
 * late, and makes no fresh session. */
static void late_operation(struct script *s)
{
    struct asked_session *session = script_session(s, s->ann, 0, false);
    script_write(s, session, "q", "1", "-");
    script_send(s, session, 0, s->fronts[0]);
    struct asked_request *r = script_land(s, session);
    struct gate *late = script_gate(
        s, &(struct gate){.process = s->fronts[0], .verb = STORE_PUT, .kind = KEY_QUEUE});
    script_write(s, session, "late", "2", "-");
    (void)client_try_write(s->ann, session, 2, 1, s->fronts[0]);
    script_reached(s, late);
    script_ask(s, r, s->fronts[1], true);
    late->open = true;
    script_drained(s);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "late", NULL);
}

/* 8. S adds p, and p is there; one drain decides so, and is slow. Meanwhile another drain,
 * which does not know of S yet, lands the delete of p. */
static void slow_conflict(struct script *s)
{
    script_land_text(s, s->ann, "p", "0", "-");
    script_drained(s);
    /* The second drain has listed the delete, and nothing else, when S comes. */
    struct gate *slow =
        script_gate(s, &(struct gate){.process = s->drains[0], .lists = true, .again = true});
    struct gate *ahead = script_gate(
        s, &(struct gate){.process = s->drains[1], .verb = STORE_GET, .kind = KEY_QUEUE});
    script_reached(s, slow);
    struct asked_session *y = script_session(s, s->ben, 1, true);
    script_delete(s, y, "p", "0");
    struct asked_request *gone = script_series(s, &y, 1);
    script_ask(s, gone, s->fronts[1], false);
    script_reached(s, ahead);
    struct store_list list;
    if (store_list(far_end_mem(s->sim.end), client_arena(), "queue/", "", 10, &list) != OK)
        broken("script", "no queue");
    struct gate unseen = {.process = s->drains[0],
                          .verb = STORE_GET,
                          .kind = KEY_QUEUE,
                          .trouble = TROUBLE_AGAIN,
                          .again = true,
                          .open = true};
    (void)snprintf(unseen.key, sizeof(unseen.key), "%s", list.keys[0].key);
    (void)script_gate(s, &unseen);
    struct asked_session *session = script_session(s, s->ann, 0, true);
    script_write(s, session, "p", "mine", "-");
    struct asked_request *r = script_series(s, &session, 1);
    script_ask(s, r, s->fronts[0], false);
    struct gate *head = script_gate(
        s, &(struct gate){.process = s->drains[0], .verb = STORE_PUT, .kind = KEY_HEAD});
    slow->open = true;
    script_reached(s, head);
    ahead->open = true;
    while (oracle_answer(&s->sim.oracle, &gone->sessions[0]->id, &gone->id) == NULL)
        task_pause(1000);
    head->open = true;
    script_drained(s);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "p", "mine");
}

/* 9. One drain is about to put the head with the landing, when another answers the abandon. */
static void abandon_against_land(struct script *s)
{
    struct asked_session *session = script_session(s, s->ann, 0, false);
    script_write(s, session, "q", "1", "-");
    script_send(s, session, 0, s->fronts[0]);
    script_drained(s);
    struct gate *head = script_gate(
        s, &(struct gate){.process = s->drains[0], .verb = STORE_PUT, .kind = KEY_HEAD});
    struct gate *other =
        script_gate(s, &(struct gate){.process = s->drains[1], .lists = true, .again = true});
    struct asked_request *land = script_land(s, session);
    script_ask(s, land, s->fronts[0], false);
    script_reached(s, head);
    struct asked_request *abandon = script_abandon(s, session);
    script_ask(s, abandon, s->fronts[1], false);
    other->open = true;
    while (oracle_answer(&s->sim.oracle, &session->id, &abandon->id) == NULL)
        task_pause(1000);
    head->open = true;
    script_drained(s);
    script_ask(s, land, s->fronts[1], true);
    bool landed =
        oracle_answer(&s->sim.oracle, &session->id, &land->id)->verdict == VERDICT_LANDED;
    script_expect(s, abandon, 0, landed ? VERDICT_REFUSED : VERDICT_ABANDONED);
    script_expect_text(s, "q", landed ? "1" : NULL);
}

/* 10. A drain dies when its head put has happened and before it hears of it; the second of the
 * series, which was refused, would land by now. */
static void series_redone_after_a_crash(struct script *s)
{
    script_land_text(s, s->ann, "p", "0", "-");
    script_drained(s);
    struct asked_session *drafts[3];
    static const char *const paths[] = {"a", "p", "b"};
    for (unsigned i = 0; i < 3; i++) {
        drafts[i] = script_session(s, s->ann, 1, true);
        script_write(s, drafts[i], paths[i], "s", "-");
    }
    struct asked_request *r = script_series(s, drafts, 3);
    struct gate *other =
        script_gate(s, &(struct gate){.process = s->drains[1], .lists = true, .again = true});
    (void)script_gate(s, &(struct gate){.process = s->drains[0],
                                        .verb = STORE_PUT,
                                        .kind = KEY_HEAD,
                                        .trouble = TROUBLE_DONE,
                                        .open = true});
    script_ask(s, r, s->fronts[0], false);
    while (script_position(s) < 2)
        task_pause(100);
    process_die(s->drains[0]);
    other->open = true;
    script_land_text(s, s->ben, "p", NULL, "0");
    script_drained(s);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect(s, r, 1, VERDICT_CONFLICTED);
    script_expect(s, r, 2, VERDICT_NOT_TRIED);
    script_expect_text(s, "p", NULL);
}

/* 12. Worker 1 writes without seen, from base 1; worker 2 has just rebased the session to 2,
 * where p is something else. */
static void laundered_seen(struct script *s)
{
    script_land_text(s, s->ben, "p", "0", "-");
    struct asked_session *session = script_session(s, s->ann, 1, false);
    script_send(s, session, 0, s->fronts[0]);
    script_land_text(s, s->ben, "p", "1", "0");
    script_rebase(s, session, 2);
    script_send(s, session, 1, s->fronts[1]);
    script_write(s, session, "p", "mine", NULL);
    script_send(s, session, 2, s->fronts[0]);
    struct asked_request *r = script_land(s, session);
    script_ask(s, r, s->fronts[0], true);
    script_expect(s, r, 0, VERDICT_CONFLICTED);
    script_expect_text(s, "p", "1");
}

/* 16. The land names what its front has read; while it is on its way, another front takes one
 * more record in. */
static void a_land_lands_what_it_names(struct script *s)
{
    struct asked_session *session = script_session(s, s->ann, 0, false);
    script_write(s, session, "q", "1", "-");
    script_send(s, session, 0, s->fronts[0]);
    struct gate *put = script_gate(
        s, &(struct gate){.process = s->fronts[0], .verb = STORE_PUT, .kind = KEY_QUEUE});
    struct asked_request *r = script_land(s, session);
    struct land_told told;
    (void)client_try_land(s->ann, r, s->fronts[0], 0, &told);
    script_reached(s, put);
    script_write(s, session, "more", "2", "-");
    script_send(s, session, 2, s->fronts[1]);
    put->open = true;
    while (oracle_answer(&s->sim.oracle, &session->id, &r->id) == NULL)
        task_pause(1000);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "more", NULL);
}

/* 18. A write whose reply is lost, another to the same path, and then the first again: its copy
 * has a later stamp, and the lower one counts. */
static void retry_behind_a_later_write(struct script *s)
{
    struct asked_session *session = script_session(s, s->ann, 0, false);
    script_send(s, session, 0, s->fronts[0]);
    (void)script_gate(s, &(struct gate){.process = s->fronts[0],
                                        .verb = STORE_PUT,
                                        .kind = KEY_QUEUE,
                                        .trouble = TROUBLE_DONE,
                                        .open = true});
    script_write(s, session, "p", "first", "-");
    (void)client_try_write(s->ann, session, 1, 1, s->fronts[0]);
    script_write(s, session, "p", "second", "-");
    script_send(s, session, 2, s->fronts[1]);
    if (client_try_write(s->ann, session, 1, 1, s->fronts[1]) != OK)
        broken("script", "the retry is not taken");
    struct asked_request *r = script_land(s, session);
    script_ask(s, r, s->fronts[1], true);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect_text(s, "p", "second");
}

/* 20. One reader is held before the queue, another between the queue and what is behind it;
 * meanwhile the session lands, and is put away. */
static void reader_and_a_drain_in_between(struct script *s)
{
    struct asked_session *session = script_session(s, s->ann, 0, false);
    script_write(s, session, "q", "1", "-");
    script_send(s, session, 0, s->fronts[0]);
    struct gate *before =
        script_gate(s, &(struct gate){.process = s->fronts[1], .lists = true});
    struct gate *behind = script_gate(
        s, &(struct gate){.process = s->fronts[1], .verb = STORE_GET, .kind = KEY_SESSION});
    client_read_through(s->ann, session, s->fronts[1]);
    client_read_through(s->ann, session, s->fronts[1]);
    script_reached(s, before);
    script_reached(s, behind);
    struct asked_request *r = script_land(s, session);
    script_ask(s, r, s->fronts[0], true);
    script_drained(s);
    before->open = true;
    behind->open = true;
    script_expect(s, r, 0, VERDICT_LANDED);
    client_read_through(s->ann, session, s->fronts[1]);
}

/* 31. Whatever lies between a drain and the store makes every head put twice: one's own win is
 * told as a conflict. */
static void own_win_told_as_conflict(struct script *s)
{
    (void)script_gate(s, &(struct gate){.verb = STORE_PUT,
                                        .kind = KEY_HEAD,
                                        .trouble = TROUBLE_TWICE,
                                        .again = true,
                                        .open = true});
    script_land_text(s, s->ann, "p", "0", "-");
    script_land_text(s, s->ben, "p", "1", "0");
    script_drained(s);
    if (script_position(s) != 2)
        broken("script", "two sessions have landed %lu times",
               (unsigned long)script_position(s));
}

/* 34. The same key with a newer base is another session, and its look-up reaches down to its
 * own base. */
static void retry_with_a_newer_base(struct script *s)
{
    script_land_text(s, s->ann, "p", "0", "-");
    struct asked_session *first = script_session(s, s->ann, 1, true);
    script_delete(s, first, "p", "0");
    struct bytes key = first->key;
    struct asked_request *r = script_series(s, &first, 1);
    script_ask(s, r, s->fronts[0], true);
    struct asked_session *again = script_session(s, s->ann, 2, true);
    again->key = key;
    again->records[0].sent.start.key = key;
    script_delete(s, again, "p", "0");
    struct asked_request *newer = script_series(s, &again, 1);
    script_ask(s, newer, s->fronts[1], true);
    script_expect(s, r, 0, VERDICT_LANDED);
    script_expect(s, newer, 0, VERDICT_LANDED);
    script_expect_text(s, "p", NULL);
}

/* 38. A refused request comes once more, long after, when the log has segments and everybody
 * has lost his memory. It would land now. */
static void late_duplicate_of_a_refused_request(struct script *s)
{
    script_land_text(s, s->ann, "p", "0", "-");
    struct asked_session *session = script_session(s, s->ann, 0, true);
    script_write(s, session, "p", "mine", "-");
    struct asked_request *r = script_series(s, &session, 1);
    script_ask(s, r, s->fronts[0], true);
    script_expect(s, r, 0, VERDICT_CONFLICTED);
    script_land_text(s, s->ben, "p", NULL, "0");
    for (unsigned i = 0; i < 3; i++) {
        struct asked_session *drafts[80];
        for (unsigned k = 0; k < ARRAY_LEN(drafts); k++) {
            drafts[k] = script_session(s, s->ben, script_position(s), true);
            script_write(s, drafts[k], "m", arena_printf(client_arena(), "%u %u", i, k), NULL);
        }
        script_ask(s, script_series(s, drafts, ARRAY_LEN(drafts)), s->fronts[i % 2], true);
    }
    struct store_list list;
    char *prefix = arena_printf(client_arena(), "projects/%s/landing-log/",
                                id16_hex(&s->sim.oracle.projects[0].id).s);
    do {
        task_pause(1000000);
        if (store_list(far_end_mem(s->sim.end), client_arena(), prefix, "", 10, &list) != OK)
            broken("script", "no log");
    } while (list.n < 2);
    for (unsigned i = 0; i < s->sim.n_processes; i++)
        process_die(&s->sim.processes[i]);
    script_ask(s, r, s->fronts[1], true);
    script_expect(s, r, 0, VERDICT_CONFLICTED);
    script_expect_text(s, "p", NULL);
}

static const struct schedule schedules[] = {
    {5, retry_after_a_lost_answer},
    {6, two_copies},
    {7, late_operation},
    {8, slow_conflict},
    {9, abandon_against_land},
    {10, series_redone_after_a_crash},
    {12, laundered_seen},
    {16, a_land_lands_what_it_names},
    {18, retry_behind_a_later_write},
    {20, reader_and_a_drain_in_between},
    {31, own_win_told_as_conflict},
    {34, retry_with_a_newer_base},
    {38, late_duplicate_of_a_refused_request},
};

int main(void)
{
    return schedules_main("schedules", schedules, ARRAY_LEN(schedules));
}
