/* What a preflight costs, in requests to the store. */
#include "api/service/service.h"
#include "formats/base/hash.h"
#include "formats/key.h"
#include "tests/support/long_history.h"
#include "tests/support/suite.h"

static struct build_chain bc;
static struct service *service;

/* Everything but the caches of the process: as one that has just begun. */
static void front_begin(void)
{
    static const struct service_options options = {
        .wait_max_ms = 1000, .poll_ms = 50, .waiters_max = 10};
    build_chain_cold(&bc);
    ck_assert_int_eq(service_open(&bc.repo, &options, &service), OK);
}

static uint64_t requests(const struct trace_counts *c)
{
    uint64_t n = c->lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        n += c->gets[kind] + c->puts[kind] + c->deletes[kind];
    return n;
}

static const char *const paths[] = {"a/b/c/one", "a/d/e/two", "f/g/h/three"};

/* Of a session that was begun at `base` and lies in its object: it writes each of the paths,
 * which it has seen as files with the text "old". */
static struct id16 session_put(uint64_t base)
{
    struct record records[1 + ARRAY_LEN(paths)] = {{.kind = RECORD_START}};
    struct hash old = sha256(bytes_str("old"));
    struct session session = {.state = SESSION_OPEN,
                              .project = bc.project,
                              .owner = bc.owner,
                              .base = base,
                              .version = 1,
                              .records = records,
                              .n_records = ARRAY_LEN(records)};
    records[0].start.key = bytes_str("far back");
    records[0].start.goal = bytes_str("a goal");
    records[0].start.author = bytes_str("ann");
    records[0].start.base = base;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct record *record = &records[1 + i];
        record->kind = RECORD_OPERATION;
        record->operation = (struct record_operation){
            .op = OP_WRITE,
            .base = base,
            .path = bytes_str(paths[i]),
            .seen = {.said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = old},
            .content = content_inline(&bc.arena, KIND_FILE, MODE_PLAIN, bytes_str("new"))};
    }
    session_assign_ids(&session);
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        records[i].hlc = 1 + i;
    struct id16 sid = session.id;
    AUTO_BUF bytes = {0};
    session_encode(&session, &bytes);
    struct key key = key_session(&bc.project, &sid);
    ck_assert_int_eq(store_put(bc.mem, key.s, buf_bytes(&bytes), PUT_ANY, NULL), OK);
    return sid;
}

/* Three files of directories of their own. */
static void files_put(const char *text)
{
    struct build_op ops[ARRAY_LEN(paths)];
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        ops[i] = (struct build_op){.op = OP_WRITE, .path = paths[i], .text = text};
    struct build_answer answer = {
        .base = bc.head.position, .ops = ops, .n_ops = ARRAY_LEN(paths)};
    build_chain_put(&bc, &answer, 1);
}

static struct preflight preflight_of(const struct id16 *sid)
{
    struct preflight preflight;
    struct problem problem;
    int err =
        service_session_preflight(service, &bc.project, sid, &bc.arena, &preflight, &problem);
    ck_assert_msg(err == OK, "%s", problem.message);
    return preflight;
}

/* At each alignment that takes more parts of rollups than others, which are asked whether the
 * session was answered. What its paths are is read from the head's tree: 9 of the requests. */
START_TEST(a_million_landings_back)
{
    static const uint64_t heads[] = {2636399, 2636301, 1999999, 1990000, 1010101, 1000101};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        build_chain_init(&bc);
        long_history_put(&bc, heads[i] - 1, 10);
        files_put("old");
        struct id16 sid = session_put(heads[i] - 1000000);
        front_begin();
        struct preflight preflight = preflight_of(&sid);
        struct trace_counts c = build_chain_counts(&bc);
        ck_assert_uint_eq(preflight.head.position, heads[i]);
        ck_assert_int_eq(preflight.results[0].landing.verdict, VERDICT_LANDED);
        ck_assert_msg(requests(&c) <= 40, "head %llu: %llu requests",
                      (unsigned long long)heads[i], (unsigned long long)requests(&c));
        /* Then only what can have changed is looked at: queue, object, head. */
        (void)preflight_of(&sid);
        c = build_chain_counts(&bc);
        ck_assert_uint_le(requests(&c), 4);
        service_close(service);
        build_chain_release(&bc);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_million_landings_back,
    };
    return suite_run("preflight_budget", tests, ARRAY_LEN(tests));
}
