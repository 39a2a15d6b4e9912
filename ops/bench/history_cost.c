/* What one question to a project costs, in store requests, bytes and time: first with nothing
 * in memory, and then again. For `make bench` parts l and m.
 *
 *   history_cost DIR HANDLE log PATH           the landings that changed it, all of them
 *   history_cost DIR HANDLE ls PATH            the first 1,000 entries of a directory
 *   history_cost DIR HANDLE diff A B PATH      the first 1,000 changes
 *   history_cost DIR HANDLE preflight BASE PATH PATH PATH
 *   history_cost DIR HANDLE land BASE PATH PATH PATH
 *       a session of that base that writes these files, which are not there: would it land, and
 *       what landing it costs, from the intake on. Each name gets an end of its own
 *
 * Prints a line of JSON. Opening the bucket and finding the project is not counted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/service/service.h"
#include "formats/base/limits.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/history/path_log.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/fs.h"
#include "pipeline/store/trace.h"

#define LIST_MAX   1000u
#define LOG_WANTED 100u /* what the server gives in one answer */
#define WRITES     3u

struct asking {
    struct store *trace;
    struct repo repo;
    struct id16 project;
    char **args;
};

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "history_cost: %s: %s\n", what, err_name(err));
    exit(1);
}

/* --- questions; each gives how much it has found --- */

static uint64_t ask_log(struct asking *a)
{
    struct path_log *log;
    const struct log_entry *entry;
    uint64_t n = 0;
    int err;
    const struct path_asked asked = {
        .path = bytes_str(a->args[0]), .from = 1, .before = UINT64_MAX, .wanted = LOG_WANTED};
    must(path_log_open(&a->repo, &a->project, &asked, &log), "the log");
    while ((err = path_log_next(log, &entry)) == OK)
        n++;
    must(err == ERR_NOT_FOUND ? OK : err, "the log");
    path_log_close(log);
    return n;
}

static uint64_t ask_ls(struct asking *a)
{
    AUTO(arena_release) struct arena arena = {0};
    struct snapshot *snapshot;
    struct tree_listing list;
    must(snapshot_open(&a->repo, &a->project, UINT64_MAX, &snapshot), "the head");
    must(snapshot_list(snapshot, bytes_str(a->args[0]), bytes_str(""), LIST_MAX, &arena, &list),
         a->args[0]);
    snapshot_close(snapshot);
    return list.n;
}

static uint64_t ask_diff(struct asking *a)
{
    AUTO(arena_release) struct arena arena = {0};
    struct snapshot *from;
    struct snapshot *to;
    struct snapshot_changes changes;
    must(snapshot_open(&a->repo, &a->project, strtoull(a->args[0], NULL, 10), &from), "A");
    must(snapshot_open(&a->repo, &a->project, strtoull(a->args[1], NULL, 10), &to), "B");
    must(snapshot_diff(from, to, bytes_str(a->args[2]), bytes_str(""), LIST_MAX, &arena,
                       &changes),
         "the difference");
    snapshot_close(from);
    snapshot_close(to);
    return changes.n;
}

/* A session that writes files of its own. */
static void session_make(struct asking *a, struct arena *arena, struct session *out)
{
    struct bytes author = bytes_str("bench");
    uint64_t base = strtoull(a->args[0], NULL, 10);
    struct record *records = arena_array(arena, WRITES + 1, struct record);
    char key[17];
    (void)snprintf(key, sizeof(key), "%016" PRIx64, rng_u64(rng_system()));
    records[0] = (struct record){.kind = RECORD_START,
                                 .start = {.key = arena_copy(arena, bytes_str(key)),
                                           .base = base,
                                           .author = author,
                                           .goal = author}};
    for (unsigned i = 0; i < WRITES; i++) {
        const char *path = arena_printf(arena, "%s-%s", a->args[1 + i], key);
        records[1 + i] = (struct record){
            .kind = RECORD_OPERATION,
            .operation = {.op = OP_WRITE,
                          .base = base,
                          .path = bytes_str(path),
                          .seen = seen_of(NULL),
                          .content = content_inline(arena, KIND_FILE, MODE_PLAIN,
                                                    bytes_str("a file of the benchmark\n"))}};
    }
    *out = (struct session){.project = a->project,
                            .owner = owner_of(author),
                            .base = base,
                            .records = records,
                            .n_records = WRITES + 1};
    session_assign_ids(out);
    for (unsigned i = 0; i <= WRITES; i++)
        records[i].hlc = repo_hlc(&a->repo);
}

static uint64_t ask_preflight(struct asking *a)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct service_options options = {
        .intake = {.batch_max = 16 * MIB, .queue_max = 256 * MIB}};
    struct service *service;
    struct session session;
    struct preflight answer;
    struct problem problem;
    struct caller caller = {.author = bytes_str("bench")};
    caller.owner = owner_of(caller.author);
    must(service_open(&a->repo, &options, &service), "the service");
    session_make(a, &arena, &session);
    must(service_preflight(service, &caller, &a->project, &session, 1, &arena, &answer,
                           &problem),
         "the preflight");
    bool lands = answer.n == 1 && answer.results[0].landing.verdict == VERDICT_LANDED;
    service_close(service);
    return lands;
}

static void taken(void *arg UNUSED, int err)
{
    must(err, "the queue");
}

static void session_submit(struct asking *a, struct intake *intake)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF payload = {0};
    struct session session;
    session_make(a, &arena, &session);
    struct record_land_item item = {.session = session.id};
    item.records = arena_array(&arena, session.n_records, struct id16);
    item.n = (uint32_t)records_ids(session.records, session.n_records, item.records);
    struct record *records = arena_array(&arena, session.n_records + 1, struct record);
    memcpy(records, session.records, session.n_records * sizeof(*records));
    struct record *land = &records[session.n_records];
    *land = (struct record){.kind = RECORD_LAND,
                            .hlc = repo_hlc(&a->repo),
                            .land = {.whole = true, .items = &item, .n = 1}};
    record_payload(land, &payload);
    land->id = record_id(&session.owner, &session.id, bytes_str("land"), buf_bytes(&payload));
    struct queue_group group = {.project = a->project,
                                .session = session.id,
                                .owner = session.owner,
                                .records = records,
                                .n = (uint32_t)session.n_records + 1};
    must(intake_add(intake, &group, 1, taken, NULL), "the intake");
}

static uint64_t position_now(struct asking *a)
{
    struct head head;
    struct etag etag;
    must(chain_head(&a->repo, &a->project, &head, &etag), "the head");
    return head.position;
}

static uint64_t ask_land(struct asking *a)
{
    const struct intake_options intake_options = {.batch_max = 16 * MIB,
                                                  .queue_max = 256 * MIB};
    const struct land_options options = {.shard_end = a->repo.bucket.shards,
                                         .batch_max = 8192,
                                         .fold_after_ms = 30000,
                                         .missing_after_ms = 60000};
    struct intake *intake = intake_open(&a->repo, &intake_options);
    struct stage *land = stage_land_open(&a->repo, &options);
    session_submit(a, intake);
    must(intake_flush(intake) > 0 ? OK : ERR_AGAIN, "the queue");
    uint64_t landed = 0;
    int did;
    while ((did = land->run(land)) > 0)
        landed += (uint64_t)did;
    must(did, "the landing stage");
    land->close(land);
    intake_close(intake);
    return landed;
}

static const struct question {
    const char *name;
    int args;
    uint64_t (*ask)(struct asking *);
} questions[] = {
    {"log", 1, ask_log},
    {"ls", 1, ask_ls},
    {"diff", 3, ask_diff},
    {"preflight", 1 + WRITES, ask_preflight},
    {"land", 1 + WRITES, ask_land},
};

/* --- counting --- */

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void counts_print(const char *when, struct trace_counts *c, uint64_t found, uint64_t cpu,
                         uint64_t wall)
{
    uint64_t requests = c->lists;
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++)
        requests += c->gets[kind] + c->puts[kind] + c->deletes[kind];
    printf("\"%s\": {\"found\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"rounds\": %" PRIu64
           ", \"lists\": %" PRIu64 ", \"log_gets\": %" PRIu64 ", \"rollup_gets\": %" PRIu64
           ", \"tree_gets\": %" PRIu64 ", \"bytes_read\": %" PRIu64 ", \"cpu_us\": %" PRIu64
           ", \"us\": %" PRIu64 "}",
           when, found, requests, c->rounds, c->lists, c->gets[TRACE_LOG],
           c->gets[TRACE_ROLLUP], c->gets[TRACE_TREE], c->bytes_out, cpu, wall);
}

static void ask_and_print(struct asking *a, const struct question *question, const char *when)
{
    struct clock *clock = clock_system();
    (void)trace_store_counts(a->trace, true);
    uint64_t cpu = cpu_us();
    uint64_t begun = clock->mono_us(clock);
    uint64_t found = question->ask(a);
    uint64_t wall = clock->mono_us(clock) - begun;
    cpu = cpu_us() - cpu;
    struct trace_counts counts = trace_store_counts(a->trace, true);
    counts_print(when, &counts, found, cpu, wall);
}

int main(int argc, char **argv)
{
    const struct question *question = NULL;
    for (size_t i = 0; i < ARRAY_LEN(questions) && argc > 3; i++) {
        if (strcmp(argv[3], questions[i].name) == 0 && argc == 4 + questions[i].args)
            question = &questions[i];
    }
    if (question == NULL) {
        (void)fprintf(stderr,
                      "usage: history_cost DIR HANDLE log PATH | ls PATH | diff A B PATH | "
                      "preflight BASE PATH PATH PATH | land BASE PATH PATH PATH\n");
        return 2;
    }
    struct asking a = {.args = argv + 4};
    struct store *disk;
    const struct repo_options options = {.page_cache_bytes = 64 * MIB,
                                         .content_cache_bytes = 64 * MIB,
                                         .shards = 1,
                                         .chunk_size = CHUNK_SIZE_DEFAULT};
    must(fs_store_open(argv[1], &disk), argv[1]);
    a.trace = trace_store_open(disk);
    must(repo_open(&a.repo, a.trace, clock_system(), rng_system(), &options), "the bucket");
    must(project_find(&a.repo, bytes_str(argv[2]), &a.project), argv[2]);
    printf("{");
    ask_and_print(&a, question, "cold");
    printf(", ");
    ask_and_print(&a, question, "warm");
    printf(", \"position\": %" PRIu64 "}\n", position_now(&a));
    repo_close(&a.repo);
    store_close(a.trace);
    store_close(disk);
    return 0;
}
