/* What a preflight says and what a landing at the same head says is the same, whatever the
 * session: over a history of everything that can land, with bases from anywhere in it. */
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/path.h"
#include "tests/support/front.h"
#include "tests/support/history.h"
#include "tests/support/suite.h"

#define SESSIONS 400u

static struct history history;
static struct front front;

static const char *path_draw(void)
{
    static const char *const paths[] = {"a",   "d",     "d/a", "d/b",   "d/e",         "d/e/a",
                                        "f/g", "d0/e0", "f",   "d1/e1", "wide/name77", "i/k/l"};
    struct chance *chance = &history.chance;
    uint64_t i = chance_below(chance, HISTORY_PATHS);
    if (chance_below(chance, 3) > 0)
        return paths[chance_below(chance, ARRAY_LEN(paths))];
    return arena_printf(&history.forge.arena, "d%u/e%u/f%u", (unsigned)(i % 3),
                        (unsigned)(i % 7), (unsigned)i);
}

static struct seen seen_at(uint64_t base, const char *path, bool operation)
{
    struct snapshot *snapshot;
    struct seen seen;
    ck_assert_int_eq(
        snapshot_open(&history.forge.repo, &history.forge.project, base, &snapshot), OK);
    ck_assert_int_eq(snapshot_seen(snapshot, bytes_str(path), &seen), OK);
    snapshot_close(snapshot);
    return operation && seen.kind == KIND_DIR ? (struct seen){.said = true} : seen;
}

/* Nothing, mostly the truth, and now and then what never was. */
static struct seen seen_draw(uint64_t base, const char *path, bool operation)
{
    uint64_t roll = chance_below(&history.chance, 20);
    if (roll < 10)
        return (struct seen){0};
    return roll == 19 ? seen_text("never there") : seen_at(base, path, operation);
}

static struct content content_draw(const char *path, uint64_t base)
{
    struct chance *chance = &history.chance;
    uint64_t roll = chance_below(chance, 12);
    struct content content = {.kind = KIND_FILE, .mode = MODE_PLAIN, .carrier = CARRIER_SOURCE};
    if (roll == 0)
        return history.large;
    if (roll == 1) {
        content.carrier = CARRIER_BLOB;
        content.hash = sha256(bytes_str("nowhere"));
    } else if (roll <= 3) {
        struct seen seen = seen_at(base, path, true);
        content.hash = roll == 2 ? seen.hash : sha256(bytes_str("elsewhere"));
        content.size = 5;
        content.mode = MODE_EXEC;
    } else {
        char text[4] = {(char)('a' + (int)chance_below(chance, 3))};
        return content_inline(&history.forge.arena, KIND_FILE, MODE_PLAIN, bytes_str(text));
    }
    return content;
}

static struct record record_draw(uint64_t base)
{
    struct chance *chance = &history.chance;
    const char *path = path_draw();
    const char *target = path_draw();
    uint64_t roll = chance_below(chance, 10);
    struct record record = {.kind = RECORD_OPERATION};
    struct record_operation *op = &record.operation;
    if (roll < 2) {
        struct bytes guarded = bytes_str(path);
        if (chance_below(chance, 3) == 0)
            guarded = path_parent(guarded);
        return (struct record){
            .kind = RECORD_GUARD,
            .guard = {.base = base,
                      .path = guarded,
                      .seen =
                          seen_draw(base, arena_str(&history.forge.arena, guarded), false)}};
    }
    op->base = base;
    op->path = bytes_str(path);
    op->seen = seen_draw(base, path, true);
    if (roll < 5) {
        op->op = OP_DELETE;
    } else if (roll < 6 && strcmp(path, target) != 0) {
        op->op = OP_RENAME;
        op->target = bytes_str(target);
        op->target_seen = seen_draw(base, target, true);
        op->content =
            (struct content){.kind = KIND_FILE, .mode = MODE_PLAIN, .carrier = CARRIER_SOURCE};
    } else {
        op->op = OP_WRITE;
        op->content = content_draw(path, base);
    }
    return record;
}

static uint64_t base_draw(uint64_t head)
{
    uint64_t roll = chance_below(&history.chance, 4);
    return roll < 2    ? head
           : roll == 2 ? head - chance_below(&history.chance, head < 5 ? head : 5)
                       : chance_below(&history.chance, head + 1);
}

struct tally {
    unsigned verdicts[VERDICT_ABANDONED + 1];
    unsigned refused; /* by the front */
};

/* What was said before, held against what became of it. */
static void compare(struct tally *tally, const struct preflight *preflight, uint64_t head,
                    const struct reply *reply)
{
    ck_assert_uint_eq(preflight->head.position, head);
    ck_assert_uint_eq(preflight->n, reply->n);
    for (size_t i = 0; i < reply->n; i++) {
        const struct landing *said = &preflight->results[i].landing;
        ck_assert(!preflight->results[i].answered);
        ck_assert_msg(said->verdict == reply->verdicts[i], "said %s (%.*s), and it is %s (%s)",
                      verdict_name(said->verdict), (int)said->reason.len, said->reason.data,
                      verdict_name(reply->verdicts[i]), reply->reasons[i]);
        ck_assert_uint_eq(said->n_conflicts, reply->conflicts[i]);
        if (said->verdict == VERDICT_REFUSED)
            ck_assert(bytes_equal(said->reason, bytes_str(reply->reasons[i])));
        tally->verdicts[said->verdict]++;
    }
}

static void whole_compared(struct tally *tally, unsigned number)
{
    struct chance *chance = &history.chance;
    struct asked asked[3];
    uint64_t head = forge_position(&history.forge);
    uint64_t base = base_draw(head);
    size_t n = chance_below(chance, 4) == 0 ? 3 : 1;
    for (size_t i = 0; i < n; i++) {
        asked[i] =
            asked_open(&front, arena_printf(&history.forge.arena, "w%u-%zu", number, i), base);
        uint64_t records = 1 + chance_below(chance, 3);
        for (uint64_t k = 0; k < records; k++)
            (void)asked_add(&asked[i], record_draw(base));
    }
    struct preflight preflight;
    struct reply reply;
    const char *code =
        front_preflight(&front, asked, n, chance_below(chance, 2) == 0, &preflight);
    front_land(&front, "ann", asked, n, 30000, &reply);
    front_settle(&front);
    if (code != NULL || reply.err != OK) {
        ck_assert_msg(code != NULL && reply.err != OK, "said %s, and the front says %s", code,
                      reply.problem.code);
        ck_assert_str_eq(code, reply.problem.code);
        tally->refused++;
        return;
    }
    ck_assert_uint_eq(reply.calls, 1);
    compare(tally, &preflight, head, &reply);
}

static void open_compared(struct tally *tally, unsigned number)
{
    uint64_t head = forge_position(&history.forge);
    uint64_t base = base_draw(head);
    char key[16];
    (void)snprintf(key, sizeof(key), "o%u", number);
    struct id16 sid = front_start(&front, "ann", key, base).sessions[0];
    for (uint64_t n = 1 + chance_below(&history.chance, 4); n > 0; n--) {
        struct record record = record_draw(base_draw(head));
        tally->refused += front_write(&front, "ann", &sid, &record, 1).err != OK;
    }
    struct preflight preflight = front_session_preflight(&front, &sid);
    struct reply reply = front_session_land(&front, "ann", &sid, NULL);
    ck_assert_int_eq(reply.err, OK);
    compare(tally, &preflight, head, &reply);
}

START_TEST(a_landing_says_the_same)
{
    struct tally tally = {0};
    history_init(&history, "a_landing_says_the_same");
    history_grow(&history, 60);
    front_open(&front, &history.forge);
    for (unsigned i = 0; i < SESSIONS; i++) {
        if (i % 2 == 0)
            whole_compared(&tally, i);
        else
            open_compared(&tally, i);
    }
    printf("landed %u, conflicted %u, refused %u, not tried %u, refused by the front %u\n",
           tally.verdicts[VERDICT_LANDED], tally.verdicts[VERDICT_CONFLICTED],
           tally.verdicts[VERDICT_REFUSED], tally.verdicts[VERDICT_NOT_TRIED], tally.refused);
    ck_assert_uint_gt(tally.verdicts[VERDICT_LANDED], SESSIONS / 20);
    ck_assert_uint_gt(tally.verdicts[VERDICT_CONFLICTED], SESSIONS / 20);
    ck_assert_uint_gt(tally.verdicts[VERDICT_REFUSED], 0);
    front_close(&front);
    history_release(&history);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_landing_says_the_same,
    };
    return suite_run("preflight_land", tests, ARRAY_LEN(tests));
}
