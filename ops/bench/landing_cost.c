/* What one landing costs by the size of its project, for `make bench` part b, and by the length
 * of its history, for part h: the intake and the landing stage on a directory store, without
 * HTTP.
 *
 *   landing_cost fill DIR FILES
 *   landing_cost share DIR FILES
 *       makes the project; prints the bytes of its tree
 *   landing_cost land DIR FILES BATCH ROUNDS near|deep
 *       lands on it; prints one line of JSON
 *   landing_cost long DIR FILES BATCH LANDINGS
 *       lands so often in one run, with the log stage beside it, and counts some thousands by
 *       themselves: after the very first one the next five, one in each tenth, and the last
 *       five. Prints a line of JSON for each
 *
 * The project has FILES files (at least 1,000), and every directory has 10 entries (fewer only
 * where the files run out). Nine of the root's directories are the same in a project of any
 * size: 10 directories of 10 files each. All that is beyond 900 files lies below the tenth, as
 * deep as it must; `share` makes equal directories there one page, so that it takes a billion
 * files, too. Landings write 3 files of about 2 KB in one directory: `near` in those nine,
 * so that depth and directory sizes are the same whatever FILES is; `deep` in the tenth. In a
 * batch no two landings share a directory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "formats/page.h"
#include "ops/bench/shared/synthetic.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/intake/intake.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/tree/tree_edit.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/fs.h"
#include "pipeline/store/trace.h"

#define FAN       10u
#define REST      "dir-09"
#define NEAR      900u
#define TOUCHED   900u /* files that landings write to, in directories of FAN */
#define WRITES    3u
#define BATCH_MAX 64u
#define WARM      8u    /* rounds before counting */
#define WINDOW    1000u /* landings that `long` counts together */
#define AT_ENDS   5u    /* windows that it counts at either end */
#define APPEND_AT 5u    /* windows between two runs of the log stage */
#define TEXT_LEN  2048u

#define PATH_MAX_HERE (SYNTHETIC_PATH_MAX + 16u)

struct touched {
    char path[PATH_MAX_HERE];
    struct hash hash;
};

static struct {
    struct store *disk;
    struct store *trace;
    struct repo repo;
    struct id16 project;
    struct intake *intake;
    struct stage *land;
    struct touched touched[TOUCHED];
    uint64_t files;
    uint64_t sequence;
    uint64_t position;
} bench;

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    fprintf(stderr, "landing_cost: %s: %s\n", what, err_name(err));
    exit(1);
}

/* --- the project --- */

static void file_path(uint64_t i, uint64_t files, char out[static PATH_MAX_HERE])
{
    char below[SYNTHETIC_PATH_MAX];
    if (i < NEAR)
        synthetic_path(i, NEAR + 100, FAN, below);
    else
        synthetic_path(i - NEAR, files - NEAR, FAN, below);
    snprintf(out, PATH_MAX_HERE, "%s%s", i < NEAR ? "" : REST "/", below);
}

static struct hash first_hash(const char *path)
{
    return sha256(bytes_str(path));
}

/* What a batch that no request asked for makes of the head's tree. */
static void batch_put(struct tree_build *build, struct bytes root, struct footer *footer)
{
    must(synthetic_put_batch(&bench.repo, &bench.project, build, root, footer), "a batch");
    printf("{\"files\":%" PRIu64 ",\"tree_bytes\":%zu}\n", footer->files, build->bytes.len);
}

/* Files that lie nowhere: nobody reads them. */
static void files_add(struct tree_edit *edit, uint64_t n)
{
    char path[PATH_MAX_HERE];
    for (uint64_t i = 0; i < n; i++) {
        bool changed;
        file_path(i, bench.files, path);
        struct entry entry = {.kind = KIND_FILE,
                              .mode = MODE_PLAIN,
                              .size = TEXT_LEN,
                              .hash = first_hash(path),
                              .where = {.place = PLACE_BLOB}};
        must(tree_edit_put(edit, bytes_str(path), &entry, 0, &changed), "an edit");
    }
}

static void files_put(uint64_t n)
{
    struct head head;
    struct etag etag;
    const struct batch *tip;
    AUTO(tree_build_release) struct tree_build build;
    AUTO_BUF root = {0};
    struct footer footer = {0};
    tree_build_init(&build);
    must(chain_head(&bench.repo, &bench.project, &head, &etag), "the head");
    must(chain_tip(&bench.repo, &bench.project, &head, &tip), "the project's tip");
    struct tree tree = chain_tree(&bench.repo, &bench.project, tip);
    chain_drop(&bench.repo, tip);
    struct tree_edit *edit = tree_edit_open(&tree);
    files_add(edit, n);
    must(tree_edit_seal(edit, &build, &root, &footer), "sealing");
    batch_put(&build, buf_bytes(&root), &footer);
    tree_edit_close(edit);
}

/* A root with nothing but the directory of all that is beyond `NEAR` files. */
static void rest_put(void)
{
    AUTO(tree_build_release) struct tree_build build;
    AUTO_BUF root = {0};
    struct entry rest;
    tree_build_init(&build);
    must(shared_tree_add(&build, FAN, bench.files - NEAR, NULL, &rest), "shared pages");
    rest.name = bytes_str(REST);
    const struct page page = {.n = 1, .entries = &rest};
    struct footer footer = {.files = rest.files,
                            .bytes = rest.size,
                            .root_content = page_content_hash(0, &rest, 1)};
    must(page_encode(&page, &root), "the root");
    batch_put(&build, buf_bytes(&root), &footer);
}

static void project_fill(bool share)
{
    must(project_create(&bench.repo, bytes_str("cost"), &bench.project), "the project");
    if (share)
        rest_put();
    files_put(share ? NEAR : bench.files);
}

/* --- landings --- */

static void text_make(struct buf *out, uint64_t number)
{
    buf_clear(out);
    for (unsigned line = 0; out->len < TEXT_LEN - 64; line++)
        buf_printf(out, "    result[%u] = combine(%" PRIu64 ", source->field_%u, limit);\n",
                   line, number * 2654435761u % 1000003u, (line * 37u) % 101u);
}

static void taken(void *arg UNUSED, int err)
{
    must(err, "the queue");
}

/* One session that writes three of the ten files of a directory, with its request. */
static void session_submit(unsigned directory, struct arena *arena)
{
    struct record *records = arena_array(arena, WRITES + 2, struct record);
    struct bytes author = bytes_str("bench");
    const char *key = arena_printf(arena, "%" PRIu64, bench.sequence++);
    struct id16 owner = owner_of(author);
    AUTO_BUF text = {0};
    records[0] = (struct record){
        .kind = RECORD_START,
        .start = {
            .key = bytes_str(key), .base = bench.position, .author = author, .goal = author}};
    for (unsigned i = 0; i < WRITES; i++) {
        unsigned which = (unsigned)((bench.sequence + i * 3) % FAN);
        struct touched *file = &bench.touched[directory * FAN + which];
        text_make(&text, bench.sequence * WRITES + i);
        struct content content = content_inline(arena, KIND_FILE, MODE_PLAIN, buf_bytes(&text));
        records[1 + i] = (struct record){.kind = RECORD_OPERATION,
                                         .operation = {.op = OP_WRITE,
                                                       .base = bench.position,
                                                       .path = bytes_str(file->path),
                                                       .seen = {.said = true,
                                                                .kind = KIND_FILE,
                                                                .mode = MODE_PLAIN,
                                                                .hash = file->hash},
                                                       .content = content}};
        file->hash = content.hash;
    }
    struct session session = {
        .project = bench.project, .owner = owner, .records = records, .n_records = WRITES + 1};
    session_assign_ids(&session);
    for (unsigned i = 0; i <= WRITES; i++)
        records[i].hlc = repo_hlc(&bench.repo);
    struct record_land_item item = {.session = session.id,
                                    .records = arena_array(arena, WRITES + 1, struct id16)};
    item.n = (uint32_t)records_ids(records, WRITES + 1, item.records);
    struct record *land = &records[WRITES + 1];
    *land = (struct record){.kind = RECORD_LAND,
                            .hlc = repo_hlc(&bench.repo),
                            .land = {.whole = true, .items = &item, .n = 1}};
    AUTO_BUF payload = {0};
    record_payload(land, &payload);
    land->id = record_id(&owner, &session.id, bytes_str("land"), buf_bytes(&payload));
    struct queue_group group = {.project = bench.project,
                                .session = session.id,
                                .owner = owner,
                                .records = records,
                                .n = WRITES + 2};
    /* Its bytes are copied; so only the taking in is left to be measured. */
    must(intake_add(bench.intake, &group, 1, taken, NULL), "the intake");
}

/* CPU time of this process so far, all threads. */
static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct trace_counts sum; /* all requests under `lists` */
static uint64_t spent_us;

static uint64_t sum_of(const uint64_t counts[TRACE_KINDS])
{
    uint64_t all = 0;
    for (unsigned i = 0; i < TRACE_KINDS; i++)
        all += counts[i];
    return all;
}

/* A batch: takes the sessions in, and lands them with one run of the stage. */
static void round_run(unsigned batch, unsigned round, bool counts)
{
    struct arena arena = {0};
    struct head head;
    struct etag etag;
    for (unsigned i = 0; i < batch; i++)
        session_submit((round * batch + i) * 7 % (TOUCHED / FAN), &arena);
    (void)trace_store_counts(bench.trace, true);
    uint64_t before = cpu_us();
    must(intake_flush(bench.intake) > 0 ? OK : ERR_AGAIN, "the queue");
    int did = bench.land->run(bench.land);
    uint64_t after = cpu_us();
    struct trace_counts trace = trace_store_counts(bench.trace, true);
    must(did > 0 ? OK : did, "the landing stage");
    must(chain_head(&bench.repo, &bench.project, &head, &etag), "the head");
    if (head.position != bench.position + batch) {
        fprintf(stderr, "landing_cost: only %" PRIu64 " of %u landed\n",
                head.position - bench.position, batch);
        exit(1);
    }
    bench.position = head.position;
    arena_release(&arena);
    if (!counts)
        return;
    spent_us += after - before;
    sum.lists += trace.lists + sum_of(trace.gets) + sum_of(trace.puts) + sum_of(trace.deletes);
    sum.bytes_in += trace.bytes_in;
    sum.bytes_out += trace.bytes_out;
}

/* All files of a directory follow one another. Of the deep directories, some from
 * everywhere. */
static void touched_find(bool deep)
{
    struct arena arena = {0};
    struct head head;
    struct etag etag;
    const struct batch *tip;
    must(project_find(&bench.repo, bytes_str("cost"), &bench.project), "the project");
    must(chain_head(&bench.repo, &bench.project, &head, &etag), "the head");
    must(chain_tip(&bench.repo, &bench.project, &head, &tip), "the project's tip");
    bench.position = head.position;
    struct tree tree = chain_tree(&bench.repo, &bench.project, tip);
    uint64_t directories = (bench.files - NEAR) / FAN;
    uint64_t step = directories / (TOUCHED / FAN);
    for (uint64_t i = 0; i < TOUCHED; i++) {
        struct entry entry;
        uint64_t number = deep ? NEAR + i / FAN * step * FAN + i % FAN : i;
        file_path(number, bench.files, bench.touched[i].path);
        must(tree_find(&tree, bytes_str(bench.touched[i].path), &arena, &entry), "a file");
        bench.touched[i].hash = entry.hash;
    }
    chain_drop(&bench.repo, tip);
    arena_release(&arena);
}

static void stages_open(bool deep)
{
    struct intake_options intake = {.batch_max = 16 * MIB, .queue_max = 256 * MIB};
    struct land_options options = {
        .shard_end = 1, .batch_max = 8192, .fold_after_ms = 30000, .missing_after_ms = 60000};
    touched_find(deep);
    bench.sequence = bench.position << 16;
    bench.intake = intake_open(&bench.repo, &intake);
    bench.land = stage_land_open(&bench.repo, &options);
}

static void stages_close(void)
{
    bench.land->close(bench.land);
    intake_close(bench.intake);
}

static void land(unsigned batch, unsigned rounds, bool deep)
{
    stages_open(deep);
    for (unsigned i = 0; i < WARM + rounds; i++)
        round_run(batch, i, i >= WARM);
    double landings = (double)rounds * batch;
    printf("{\"files\":%" PRIu64 ",\"batch\":%u,\"landings\":%.0f,\"cpu_us\":%.2f,"
           "\"requests\":%.3f,\"bytes_written\":%.1f,\"bytes_read\":%.1f}\n",
           bench.files, batch, landings, (double)spent_us / landings,
           (double)sum.lists / landings, (double)sum.bytes_in / landings,
           (double)sum.bytes_out / landings);
    stages_close();
}

/* --- a long history --- */

/* Memory of this process now, KiB, without what maps a file. */
static uint64_t resident_kib(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoull(line + 8, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return kib;
}

static void window_print(uint64_t after, uint64_t n)
{
    double landings = (double)n;
    printf("{\"after\":%" PRIu64 ",\"landings\":%" PRIu64 ",\"cpu_us\":%.2f,"
           "\"requests\":%.3f,\"bytes_written\":%.1f,\"bytes_read\":%.1f,"
           "\"resident_kib\":%" PRIu64 "}\n",
           after, n, (double)spent_us / landings, (double)sum.lists / landings,
           (double)sum.bytes_in / landings, (double)sum.bytes_out / landings, resident_kib());
    spent_us = 0;
    sum = (struct trace_counts){0};
}

static void land_long(unsigned batch, uint64_t landings)
{
    stages_open(false);
    struct stage *append = stage_append_open(&bench.repo);
    unsigned rounds = WINDOW / batch;
    uint64_t windows = landings / WINDOW;
    for (uint64_t w = 0; w < windows; w++) {
        bool counts = (w > 0 && w <= AT_ENDS) || w % (windows / 10) == windows / 10 - 1 ||
                      w + AT_ENDS >= windows;
        uint64_t after = bench.position;
        for (unsigned i = 0; i < rounds; i++)
            round_run(batch, (unsigned)w * rounds + i, counts);
        if (counts)
            window_print(after, bench.position - after);
        int did = w % APPEND_AT == 0 ? append->run(append) : 0;
        must(did < 0 ? did : OK, "the log stage");
    }
    append->close(append);
    stages_close();
}

int main(int argc, char **argv)
{
    bool is_share = argc == 4 && strcmp(argv[1], "share") == 0;
    bool is_fill = is_share || (argc == 4 && strcmp(argv[1], "fill") == 0);
    bool is_land = argc == 7 && strcmp(argv[1], "land") == 0;
    bool is_long = argc == 6 && strcmp(argv[1], "long") == 0;
    bench.files = is_fill || is_land || is_long ? strtoull(argv[3], NULL, 10) : 0;
    unsigned batch = is_land || is_long ? (unsigned)strtoul(argv[4], NULL, 10) : 1;
    uint64_t landings = is_long ? strtoull(argv[5], NULL, 10) : 10 * WINDOW;
    unsigned rounds = is_land ? (unsigned)strtoul(argv[5], NULL, 10) : 1;
    bool deep = is_land && strcmp(argv[6], "deep") == 0;
    if (bench.files < NEAR + FAN || batch == 0 || batch > BATCH_MAX || rounds == 0 ||
        (deep && bench.files < 20 * TOUCHED) || landings < 10 * WINDOW) {
        fprintf(stderr, "usage: landing_cost fill DIR FILES\n"
                        "       landing_cost share DIR FILES\n"
                        "       landing_cost land DIR FILES BATCH ROUNDS near|deep\n"
                        "       landing_cost long DIR FILES BATCH LANDINGS\n");
        return 2;
    }
    struct repo_options options = {
        .page_cache_bytes = 64 * MIB, .shards = 1, .chunk_size = CHUNK_SIZE_DEFAULT};
    must(fs_store_open(argv[2], &bench.disk), argv[2]);
    bench.trace = trace_store_open(bench.disk);
    must(repo_open(&bench.repo, bench.trace, clock_system(), rng_system(), &options),
         "the bucket");
    if (is_fill)
        project_fill(is_share);
    else if (is_long)
        land_long(batch, landings);
    else
        land(batch, rounds, deep);
    repo_close(&bench.repo);
    store_close(bench.trace);
    store_close(bench.disk);
    return 0;
}
