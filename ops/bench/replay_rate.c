/* How many landings a second are replayed: makes a history in a directory, with batches of 32
 * landings of 3 files each, in a tree whose directories have 100 entries, and verifies it.
 *
 *     replay_rate DIR LANDINGS FILES        FILES is 100, 10000 or 1000000
 *
 * The history is made by hand, without intake and landing; a directory that has one already is
 * replayed only. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/replay/replay.h"
#include "pipeline/repo/tree/snapshot.h"
#include "pipeline/stages/stages.h"
#include "pipeline/store/fs.h"

#define BATCH   32u
#define CHANGES 3u

static void must(int err, const char *what)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "replay_rate: %s: %s\n", what, err_name(err));
    exit(1);
}

struct maker {
    struct repo *repo;
    struct id16 project;
    struct head head;
    uint64_t files;
    uint64_t number; /* of the next content */
};

static const char *path_of(struct arena *arena, uint64_t files, uint64_t i)
{
    unsigned a = (unsigned)(i % 100);
    unsigned b = (unsigned)(i / 100 % 100);
    unsigned c = (unsigned)(i / 10000);
    if (files <= 100)
        return arena_printf(arena, "file-%02u.txt", a);
    if (files <= 10000)
        return arena_printf(arena, "dir-%02u/file-%02u.txt", b, a);
    return arena_printf(arena, "part-%02u/dir-%02u/file-%02u.txt", c, b, a);
}

static struct record write_of(struct maker *m, struct arena *arena, struct tree_build *build,
                              uint64_t file, uint64_t key)
{
    const char *text = arena_printf(arena, "the content number %llu of this history\n",
                                    (unsigned long long)m->number++);
    struct content content = content_inline(arena, KIND_FILE, MODE_PLAIN, bytes_str(text));
    must(tree_build_add(build, content.data, &content.offset), "content");
    content.len = (uint32_t)content.data.len;
    content.carrier =
        content.carrier == CARRIER_INLINE_RAW ? CARRIER_TREE_RAW : CARRIER_TREE_ZSTD;
    content.data = (struct bytes){0};
    struct record record = {.kind = RECORD_OPERATION, .hlc = repo_hlc(m->repo)};
    record.operation =
        (struct record_operation){.op = OP_WRITE,
                                  .path = bytes_str(path_of(arena, m->files, file)),
                                  .seen = {.said = true},
                                  .content = content};
    memcpy(record.id.b, &key, sizeof(key));
    return record;
}

/* A landing that writes these files. */
static void landing_add(struct maker *m, struct arena *arena, struct tree_edit *edit,
                        struct tree_build *build, const uint64_t *files, size_t n)
{
    uint64_t position = ++m->head.position;
    struct id16 owner = {.b = {1}};
    char key[32];
    (void)snprintf(key, sizeof(key), "k%llu", (unsigned long long)position);
    struct session session = {.id = session_id(&m->project, &owner, bytes_str(key), 0),
                              .state = SESSION_LANDED,
                              .project = m->project,
                              .owner = owner,
                              .position = position,
                              .version = 1};
    session.records = arena_array(arena, n + 1, struct record);
    session.n_records = n + 1;
    session.records[0] =
        (struct record){.kind = RECORD_START,
                        .hlc = repo_hlc(m->repo),
                        .start = {.key = arena_copy(arena, bytes_str(key)),
                                  .author = bytes_str("ann"),
                                  .goal = bytes_str("a change like any other")}};
    for (size_t i = 0; i < n; i++)
        session.records[i + 1] = write_of(m, arena, build, files[i], i + 1);
    struct session_view view;
    session_view(&session, arena, &view);
    static const struct hash self;
    must(snapshot_apply(edit, &view, &self, position), "apply");
    struct landing landing = {.verdict = VERDICT_LANDED,
                              .closes = true,
                              .request = session.id,
                              .session = session.id,
                              .owner = owner,
                              .hlc = repo_hlc(m->repo),
                              .position = position,
                              .has_session = true,
                              .landed = session};
    must(tree_build_record(build, &landing), "record");
}

static void batch_make(struct maker *m, uint64_t landings, uint64_t first_file,
                       uint64_t at_once)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO(tree_build_release) struct tree_build build;
    AUTO_BUF root = {0};
    const struct batch *tip;
    struct rng *rng = m->repo->rng;
    tree_build_init(&build);
    must(chain_tip(m->repo, &m->project, &m->head, &tip), "tip");
    struct tree tree = chain_tree(m->repo, &m->project, tip);
    struct tree_edit *edit = tree_edit_open(&tree);
    uint64_t *files = arena_array(&arena, at_once, uint64_t);
    for (uint64_t i = 0; i < landings; i++) {
        for (uint64_t k = 0; k < at_once; k++)
            files[k] = landings > 1 ? rng_below(rng, m->files) : first_file + k;
        for (uint64_t k = 1; landings > 1 && k < at_once; k++)
            files[k] = files[k] == files[k - 1] ? (files[k] + 1) % m->files : files[k];
        landing_add(m, &arena, edit, &build, files, at_once);
    }
    struct footer footer = {
        .position = m->head.position, .hlc = repo_hlc(m->repo), .agent = m->repo->agent};
    footer_follow(&footer, &tip->footer, &tip->tree_hash);
    must(tree_edit_seal(edit, &build, &root, &footer), "seal");
    must(tree_build_finish(&build, buf_bytes(&root), &footer, &m->head.tree_hash), "finish");
    m->head.hlc = footer.hlc;
    struct key key = key_tree(&m->project, &m->head.tree_hash);
    must(store_put(m->repo->store, key.s, buf_bytes(&build.bytes), PUT_ANY, NULL), "put");
    tree_edit_publish(edit, &m->head.tree_hash);
    chain_drop(m->repo, tip);
    tree_edit_close(edit);
}

static void history_make(struct repo *repo, const struct id16 *project, uint64_t landings,
                         uint64_t files)
{
    struct maker m = {.repo = repo, .project = *project, .files = files};
    struct etag etag;
    must(chain_head(repo, project, &m.head, &etag), "head");
    for (uint64_t at = 0; at < files; at += 10000)
        batch_make(&m, 1, at, files - at < 10000 ? files - at : 10000);
    while (m.head.position < landings)
        batch_make(&m, BATCH, 0, CHANGES);
    uint8_t bytes[HEAD_LEN];
    head_encode(&m.head, bytes);
    struct key key = key_head(project);
    must(store_put(repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &etag), "head");
    struct stage *stage = stage_append_open(repo);
    int did;
    while ((did = stage->run(stage)) > 0) {
    }
    must(did, "append");
    stage->close(stage);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: replay_rate DIR LANDINGS FILES\n");
        return 2;
    }
    struct store *store = NULL;
    struct repo repo;
    struct id16 project;
    const struct repo_options options = {.page_cache_bytes = 256 * MIB,
                                         .content_cache_bytes = MIB,
                                         .shards = 1,
                                         .chunk_size = CHUNK_SIZE_DEFAULT};
    must(fs_store_open(argv[1], &store), "the store");
    must(repo_open(&repo, store, clock_system(), rng_system(), &options), "the bucket");
    int err = project_find(&repo, bytes_str("bench"), &project);
    if (err == ERR_NOT_FOUND) {
        must(project_create(&repo, bytes_str("bench"), &project), "project");
        history_make(&repo, &project, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
        err = OK;
    }
    must(err, "project");
    struct clock *clock = clock_system();
    uint64_t begun = clock->mono_us(clock);
    struct replay_report report;
    const struct replay_options replay = {.to = UINT64_MAX, .read_ahead = true};
    err = replay_verify(&repo, &project, &replay, &report);
    if (report.fault.found)
        (void)fprintf(stderr, "%s\n", report.fault.what);
    must(err, "replay");
    double seconds = (double)(clock->mono_us(clock) - begun) / 1e6;
    printf("{\"landings\": %llu, \"batches\": %llu, \"seconds\": %.2f, \"landings_s\": %.0f}\n",
           (unsigned long long)report.position, (unsigned long long)report.batches, seconds,
           (double)report.position / seconds);
    repo_close(&repo);
    store_close(store);
    return 0;
}
