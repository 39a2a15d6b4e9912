#include "tests/support/forge.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/project.h"
#include "pipeline/store/mem.h"
#include "tests/support/s3_rig.h"
#include "tests/support/undated_store.h"

#define START_MS 1800000000000u

/* --- time --- */

static uint64_t manual_wall(struct clock *clock)
{
    return ((struct clock_manual *)clock)->ms;
}

static uint64_t manual_mono(struct clock *clock)
{
    return ((struct clock_manual *)clock)->us;
}

static void manual_sleep(struct clock *clock, uint64_t us)
{
    struct clock_manual *manual = (struct clock_manual *)clock;
    manual->us += us;
    manual->ms += us / 1000;
}

void clock_manual_init(struct clock_manual *clock, uint64_t ms)
{
    *clock = (struct clock_manual){
        .clock = {.wall_ms = manual_wall, .mono_us = manual_mono, .sleep_us = manual_sleep},
        .ms = ms,
        .us = 1};
}

/* --- the forge --- */

static void forge_open(struct forge *f)
{
    static const struct repo_options options = {.page_cache_bytes = 16 * MIB,
                                                .content_cache_bytes = MIB,
                                                .shards = 1,
                                                .chunk_size = CHUNK_SIZE_DEFAULT};
    ck_assert_int_eq(repo_open(&f->repo, f->store, &f->clock.clock, &f->rng.rng, &options), OK);
    f->land_options = (struct land_options){
        .shard_end = 1, .batch_max = 1000, .fold_after_ms = 30000, .missing_after_ms = 60000};
    f->land = stage_land_open(&f->repo, &f->land_options);
}

/* Memory; or a place of its own on the S3 server that the test runner gives to this program. */
static struct store *bottom_open(void)
{
    if (getenv("MIC_TEST_S3") == NULL)
        return mem_store_open();
    char prefix[32];
    char why[S3_WHY_MAX] = "";
    struct store *s3;
    (void)snprintf(prefix, sizeof(prefix), "f/%016llx",
                   (unsigned long long)rng_u64(rng_system()));
    struct s3_options options = s3_rig_options(prefix);
    options.provider = S3_CEPH;
    ck_assert_msg(s3_store_open(&options, &s3, why) == OK, "%s", why);
    return undated_store_open(s3);
}

void forge_init(struct forge *f)
{
    *f = (struct forge){0};
    clock_manual_init(&f->clock, START_MS);
    rng_seeded_init(&f->rng, 1);
    f->mem = bottom_open();
    f->trace = trace_store_open(f->mem);
    f->store = f->trace;
    forge_open(f);
    ck_assert_int_eq(project_create(&f->repo, bytes_str("demo"), &f->project), OK);
}

void forge_join(struct forge *f, const struct forge *first, struct store *over)
{
    *f = (struct forge){.mem = NULL, .trace = first->trace, .project = first->project};
    clock_manual_init(&f->clock, first->clock.ms);
    rng_seeded_init(&f->rng, 77 + first->seq);
    f->seq = 1000000 + first->seq * 1000;
    f->store = over != NULL ? over : first->trace;
    forge_open(f);
}

void forge_release(struct forge *f)
{
    f->land->close(f->land);
    repo_close(&f->repo);
    arena_release(&f->arena);
    if (f->mem != NULL) {
        store_close(f->trace);
        store_close(f->mem);
    }
}

/* --- drafts --- */

static struct bytes kept(struct forge *f, const char *text)
{
    return arena_copy(&f->arena, bytes_str(text));
}

static void draft_add(struct draft *d, struct record record)
{
    record.hlc = repo_hlc(&d->forge->repo);
    struct record *slot = arena_push(&d->forge->arena, (void **)&d->session.records,
                                     &d->session.n_records, &d->cap, sizeof(record));
    *slot = record;
    /* The key is the clock's stamp: no two records of a draft are alike. */
    AUTO_BUF payload = {0};
    record_payload(slot, &payload);
    slot->id = record_id(&d->session.owner, &d->session.id, bytes_of(&record.hlc, 8),
                         buf_bytes(&payload));
}

struct draft draft_open(struct forge *f, const char *author, const char *key, uint64_t base)
{
    struct draft d = {.forge = f};
    struct id16 owner = owner_of(bytes_str(author));
    d.session = (struct session){.id = session_id(&f->project, &owner, bytes_str(key), base),
                                 .state = SESSION_OPEN,
                                 .project = f->project,
                                 .owner = owner,
                                 .base = base};
    draft_add(&d, (struct record){.kind = RECORD_START,
                                  .start = {.key = kept(f, key),
                                            .base = base,
                                            .author = kept(f, author),
                                            .goal = kept(f, key)}});
    return d;
}

struct seen seen_text(const char *text)
{
    if (text == NULL)
        return (struct seen){.said = true};
    return (struct seen){
        .said = true, .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = sha256(bytes_str(text))};
}

void draft_put(struct draft *d, const char *path, struct content content, struct seen seen)
{
    draft_add(d, (struct record){.kind = RECORD_OPERATION,
                                 .operation = {.op = OP_WRITE,
                                               .base = d->session.base,
                                               .path = kept(d->forge, path),
                                               .seen = seen,
                                               .content = content}});
}

void draft_write_seen(struct draft *d, const char *path, const char *text, struct seen seen)
{
    draft_put(d, path, content_inline(&d->forge->arena, KIND_FILE, MODE_PLAIN, bytes_str(text)),
              seen);
}

void draft_write(struct draft *d, const char *path, const char *text, const char *seen)
{
    draft_write_seen(d, path, text, seen_text(seen));
}

void draft_delete_seen(struct draft *d, const char *path, struct seen seen)
{
    draft_add(d, (struct record){.kind = RECORD_OPERATION,
                                 .operation = {.op = OP_DELETE,
                                               .base = d->session.base,
                                               .path = kept(d->forge, path),
                                               .seen = seen}});
}

void draft_delete(struct draft *d, const char *path, const char *seen)
{
    draft_delete_seen(d, path, seen_text(seen));
}

void draft_move(struct draft *d, const char *path, struct seen seen, const char *target,
                struct seen target_seen, struct content content)
{
    content.carrier = CARRIER_SOURCE;
    content.data = (struct bytes){0};
    draft_add(d, (struct record){.kind = RECORD_OPERATION,
                                 .operation = {.op = OP_RENAME,
                                               .base = d->session.base,
                                               .path = kept(d->forge, path),
                                               .seen = seen,
                                               .target = kept(d->forge, target),
                                               .target_seen = target_seen,
                                               .content = content}});
}

void draft_rename(struct draft *d, const char *path, const char *target, const char *text)
{
    struct content content = {.kind = KIND_FILE,
                              .mode = MODE_PLAIN,
                              .size = strlen(text),
                              .hash = sha256(bytes_str(text))};
    draft_move(d, path, seen_text(text), target, seen_text(NULL), content);
}

void draft_guard(struct draft *d, const char *path, struct seen seen)
{
    draft_add(
        d, (struct record){
               .kind = RECORD_GUARD,
               .guard = {.base = d->session.base, .path = kept(d->forge, path), .seen = seen}});
}

void draft_decide(struct draft *d, const char *text)
{
    draft_add(d, (struct record){.kind = RECORD_DECISION, .decision = kept(d->forge, text)});
}

/* --- the queue --- */

void forge_queue(struct forge *f, const struct queue_group *groups, size_t n)
{
    uint64_t hlc = repo_hlc(&f->repo);
    f->seq++;
    AUTO_BUF bytes = {0};
    queue_object_begin(&bytes, hlc, f->repo.agent, f->seq);
    for (size_t i = 0; i < n; i++)
        queue_group_write(&bytes, &groups[i]);
    queue_object_finish(&bytes, (uint32_t)n);
    struct key key = key_queue(0, hlc, f->repo.agent, f->seq);
    ck_assert_int_eq(store_put(f->trace, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL), OK);
}

static struct queue_group group_of(const struct draft *d)
{
    return (struct queue_group){.project = d->session.project,
                                .session = d->session.id,
                                .owner = d->session.owner,
                                .records = d->session.records,
                                .n = (uint32_t)d->session.n_records};
}

static struct record_land_item item_of(const struct draft *d)
{
    struct record_land_item item = {.session = d->session.id};
    item.records = arena_array(&d->forge->arena, d->session.n_records, struct id16);
    item.n = (uint32_t)records_ids(d->session.records, d->session.n_records, item.records);
    return item;
}

struct id16 forge_submit(struct forge *f, struct draft *drafts, size_t n)
{
    struct record land = {.kind = RECORD_LAND, .land = {.whole = true, .n = (uint32_t)n}};
    land.land.items = arena_array(&f->arena, n, struct record_land_item);
    struct queue_group *groups = arena_array(&f->arena, n, struct queue_group);
    for (size_t i = 0; i < n; i++)
        land.land.items[i] = item_of(&drafts[i]);
    AUTO_BUF payload = {0};
    record_payload(&land, &payload);
    land.id = record_id(&drafts[0].session.owner, &drafts[0].session.id, bytes_str("land"),
                        buf_bytes(&payload));
    for (size_t i = 0; i < n; i++)
        groups[i] = group_of(&drafts[i]);
    struct record *with = arena_array(&f->arena, groups[0].n + 1, struct record);
    memcpy(with, groups[0].records, groups[0].n * sizeof(*with));
    land.hlc = repo_hlc(&f->repo);
    with[groups[0].n++] = land;
    groups[0].records = with;
    forge_queue(f, groups, n);
    return land.id;
}

void forge_write(struct forge *f, struct draft *d)
{
    struct queue_group group = group_of(d);
    forge_queue(f, &group, 1);
    d->session.records = NULL;
    d->session.n_records = 0;
    d->cap = 0;
}

static struct id16 forge_request(struct forge *f, const struct draft *d, struct record request)
{
    request.hlc = repo_hlc(&f->repo);
    AUTO_BUF payload = {0};
    record_payload(&request, &payload);
    request.id = record_id(&d->session.owner, &d->session.id, bytes_of(&request.hlc, 8),
                           buf_bytes(&payload));
    struct queue_group group = {.project = d->session.project,
                                .session = d->session.id,
                                .owner = d->session.owner,
                                .records = &request,
                                .n = 1};
    forge_queue(f, &group, 1);
    return request.id;
}

struct id16 forge_land(struct forge *f, const struct draft *d, const struct id16 *records,
                       size_t n)
{
    struct record_land_item item = {.session = d->session.id, .n = (uint32_t)n};
    item.records = arena_array(&f->arena, n, struct id16);
    memcpy(item.records, records, n * sizeof(*records));
    return forge_request(
        f, d, (struct record){.kind = RECORD_LAND, .land = {.items = &item, .n = 1}});
}

struct id16 forge_abandon(struct forge *f, const struct draft *d)
{
    return forge_request(
        f, d, (struct record){.kind = RECORD_ABANDON, .abandon = bytes_str("no more")});
}

int forge_drain(struct forge *f)
{
    int did;
    unsigned rounds = 0;
    while ((did = f->land->run(f->land)) > 0)
        ck_assert_uint_lt(rounds++, 1000);
    return did;
}

/* --- what came of it --- */

static size_t answers_find(struct forge *f, const struct id16 *session,
                           const struct id16 *request, struct landing *out)
{
    struct head head;
    struct etag etag;
    const struct batch *batch;
    size_t found = 0;
    ck_assert_int_eq(chain_head(&f->repo, &f->project, &head, &etag), OK);
    for (struct hash at = head.tree_hash; !hash_is_zero(&at);) {
        ck_assert_int_eq(chain_batch(&f->repo, &f->project, &at, &batch), OK);
        for (uint32_t i = 0; i < batch->footer.n_records; i++) {
            if (!id16_equal(&batch->ids[i].session, session) ||
                !id16_equal(&batch->ids[i].request, request))
                continue;
            found++;
            ck_assert_int_eq(chain_record(&f->repo, &f->project, batch, i, &f->arena, out), OK);
        }
        at = batch->footer.prev;
        chain_drop(&f->repo, batch);
    }
    return found;
}

struct landing forge_answer(struct forge *f, const struct id16 *session,
                            const struct id16 *request)
{
    struct landing landing = {0};
    ck_assert_uint_eq(answers_find(f, session, request, &landing), 1);
    return landing;
}

size_t forge_answers(struct forge *f, const struct id16 *session, const struct id16 *request)
{
    struct landing landing;
    return answers_find(f, session, request, &landing);
}

static const struct batch *forge_tip(struct forge *f)
{
    struct head head;
    struct etag etag;
    const struct batch *batch;
    ck_assert_int_eq(chain_head(&f->repo, &f->project, &head, &etag), OK);
    ck_assert_int_eq(chain_tip(&f->repo, &f->project, &head, &batch), OK);
    return batch;
}

uint64_t forge_position(struct forge *f)
{
    const struct batch *batch = forge_tip(f);
    uint64_t position = batch->footer.position;
    chain_drop(&f->repo, batch);
    return position;
}

struct tree forge_tree(struct forge *f)
{
    const struct batch *batch = forge_tip(f);
    struct tree tree = chain_tree(&f->repo, &f->project, batch);
    chain_drop(&f->repo, batch);
    return tree;
}

const char *forge_text(struct forge *f, const char *path)
{
    struct tree tree = forge_tree(f);
    struct entry entry;
    int err = tree_find(&tree, bytes_str(path), &f->arena, &entry);
    if (err == ERR_NOT_FOUND || (err == OK && entry.kind == KIND_DIR))
        return NULL;
    ck_assert_int_eq(err, OK);
    struct content_reader *reader;
    AUTO_BUF text = {0};
    ck_assert_int_eq(
        content_open(&f->repo, &f->project, &entry.where, entry.size, &entry.hash, &reader),
        OK);
    ck_assert_int_eq(content_read_at(reader, 0, (size_t)entry.size, &text), OK);
    content_close(reader);
    return arena_str(&f->arena, buf_bytes(&text));
}

size_t forge_count(struct forge *f, const char *prefix)
{
    struct store_list list;
    ck_assert_int_eq(store_list(f->trace, &f->arena, prefix, "", STORE_LIST_MAX, &list), OK);
    return list.n;
}

void forge_land_text(struct forge *f, const char *key, const char *path, const char *text,
                     const char *seen)
{
    struct draft d = draft_open(f, "setup", key, forge_position(f));
    draft_write(&d, path, text, seen);
    struct id16 request = forge_submit(f, &d, 1);
    forge_drain(f);
    ck_assert_int_eq(forge_answer(f, &d.session.id, &request).verdict, VERDICT_LANDED);
}

void forge_land_delete(struct forge *f, const char *key, const char *path, const char *seen)
{
    struct draft d = draft_open(f, "setup", key, forge_position(f));
    draft_delete(&d, path, seen);
    struct id16 request = forge_submit(f, &d, 1);
    forge_drain(f);
    ck_assert_int_eq(forge_answer(f, &d.session.id, &request).verdict, VERDICT_LANDED);
}

void conflict_is(const struct landing *landing, enum conflict_what what, const char *path)
{
    ck_assert_int_eq(landing->verdict, VERDICT_CONFLICTED);
    ck_assert_uint_eq(landing->n_conflicts, 1);
    ck_assert_uint_eq(landing->n_listed, 1);
    ck_assert_int_eq(landing->conflicts[0].what, what);
    ck_assert(bytes_equal(landing->conflicts[0].path, bytes_str(path)));
}
