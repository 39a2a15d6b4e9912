#include "tests/support/world.h"

#include <check.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/lease.h"
#include "pipeline/repo/project.h"
#include "pipeline/store/mem.h"
#include "tests/support/front.h"

#define START_MS 1800000000000u

enum { batches = 3, sessions_a_batch = 60, singles = 16, chunk = CHUNK_SIZE_MIN };

static struct bytes content(struct arena *arena, uint64_t seed, size_t len)
{
    uint8_t *data = arena_alloc(arena, len);
    /* Short cycles pack well, so that the world stays small. */
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)((i % 97) * (seed + 3) + i / 50000 * 7);
    return bytes_of(data, len);
}

struct bytes world_blob(struct arena *arena, unsigned which)
{
    return content(arena, which, chunk - 5000 - which);
}

struct bytes world_large(struct arena *arena, unsigned which)
{
    return content(arena, which + 100, chunk + 5000 + which);
}

void world_join(struct forge *f, const struct world *world, unsigned which, struct store *store,
                uint64_t ms)
{
    struct forge first = {
        .trace = store, .project = world->projects[which].id, .seq = which + 1};
    clock_manual_init(&first.clock, ms);
    forge_join(f, &first, store);
}

/* --- landed --- */

static void batch_land(struct forge *f, unsigned number)
{
    struct draft drafts[sessions_a_batch];
    uint64_t base = forge_position(f);
    for (unsigned i = 0; i < sessions_a_batch; i++) {
        char *key = arena_printf(&f->arena, "batch%u-%u", number, i);
        char *path = arena_printf(&f->arena, "dir%u/sub%u/file%u", number, i % 3, i);
        drafts[i] = draft_open(f, "ann", key, base);
        draft_write(&drafts[i], path, key, NULL);
    }
    (void)forge_submit(f, drafts, sessions_a_batch);
    forge_drain(f);
    ck_assert_uint_eq(forge_position(f), base + sessions_a_batch);
}

static struct hash uploaded(struct forge *f, struct bytes bytes)
{
    struct upload *upload = upload_open(&f->repo, &f->project);
    struct content found;
    ck_assert_int_eq(upload_write(upload, bytes), OK);
    ck_assert_int_eq(upload_finish(upload, NULL, &found), OK);
    upload_close(upload);
    return found.hash;
}

static void blob_write(struct asked *asked, const char *path, const struct hash *hash)
{
    struct record *record =
        asked_add(asked, record_write_of(asked->front, path, "", UINT64_MAX));
    record->operation.content = (struct content){
        .kind = KIND_FILE, .mode = MODE_PLAIN, .hash = *hash, .carrier = CARRIER_BLOB};
}

/* A session with contents of every kind, and one that finds a conflict. */
static void contents_land(struct front *front, struct world_project *p, unsigned which)
{
    struct forge *f = front->forge;
    char *text = arena_printf(&f->arena, "%0800d of %s", 0, p->handle);
    struct asked asked = asked_open(front, "contents", UINT64_MAX);
    p->blob = uploaded(f, world_blob(&f->arena, which));
    p->large = uploaded(f, world_large(&f->arena, which));
    p->small = sha256(bytes_str(text));
    blob_write(&asked, "content/blob", &p->blob);
    blob_write(&asked, "content/large", &p->large);
    asked_write(&asked, "content/packed", text);
    asked_write(&asked, "content/empty", "");
    struct reply reply = front_landed(front, "ann", &asked, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_LANDED);
    p->landed = reply.sessions[0];
    struct asked late = asked_open(front, "late", 1);
    asked_write(&late, "content/packed", "too late");
    reply = front_landed(front, "ben", &late, 1);
    ck_assert_int_eq(reply.verdicts[0], VERDICT_CONFLICTED);
}

/* --- not landed --- */

static struct id16 written(struct front *front, const char *key)
{
    struct reply start = front_start(front, "ann", key, 5);
    ck_assert_int_eq(start.err, OK);
    char *path = arena_printf(&front->forge->arena, "session/%s", key);
    struct record record = record_write_of(front, path, key, UINT64_MAX);
    struct reply reply = front_write(front, "ann", &start.sessions[0], &record, 1);
    ck_assert_int_eq(reply.err, OK);
    return start.sessions[0];
}

static void sessions_write(struct front *front, struct world_project *p)
{
    struct forge *f = front->forge;
    p->open = written(front, "open");
    p->drop = written(front, "drop");
    p->gone = written(front, "gone");
    f->clock.ms += f->land_options.fold_after_ms + 1000;
    front_settle(front);
    ck_assert_uint_eq(forge_count(f, "queue/0000/"), 0);
    struct draft gone = {.forge = f, .session = {.id = p->gone, .project = p->id}};
    gone.session.owner = owner_of(bytes_str("ann"));
    (void)forge_abandon(f, &gone);
    front_settle(front);
    struct session_current current;
    ck_assert_int_eq(session_read(&f->repo, &p->id, &p->open, &f->arena, &current), OK);
    ck_assert_uint_eq(current.session.n_records, ARRAY_LEN(p->open_ids));
    (void)records_ids(current.session.records, ARRAY_LEN(p->open_ids), p->open_ids);
    p->open_records = records_hash(current.session.records, ARRAY_LEN(p->open_ids), &f->arena);
}

static void project_fill(struct front *front, struct world_project *p, unsigned which)
{
    struct forge *f = front->forge;
    f->project = p->id;
    front->project = p->id;
    for (unsigned i = 0; i < batches; i++)
        batch_land(f, i);
    for (unsigned i = 0; i < singles; i++) {
        char *key = arena_printf(&f->arena, "single%u", i);
        forge_land_text(f, key, key, i % 2 == 0 ? key : p->handle, NULL);
    }
    contents_land(front, p, which);
    sessions_write(front, p);
    forge_land_text(f, "last", "dir0/sub0/file0", p->handle, "batch0-0");
    forge_land_delete(f, "less", "dir0/sub0/file3", "batch0-3");
    ck_assert_uint_eq(forge_position(f), WORLD_POSITION);
}

/* A record that can never be settled: nobody knows its project. */
static void record_die(struct forge *f)
{
    f->project.b[3] ^= 1;
    struct draft lost = draft_open(f, "eve", "lost", 0);
    draft_write(&lost, "a", "1", NULL);
    (void)forge_submit(f, &lost, 1);
    forge_drain(f);
    f->project.b[3] ^= 1;
    ck_assert_uint_eq(forge_count(f, "queue/dead/"), 1);
}

static void object_put(struct forge *f, const char *key, struct bytes bytes)
{
    ck_assert_int_eq(store_put(f->trace, key, bytes, PUT_IF_ABSENT, NULL), OK);
}

/* Chunks are as small as they can be, so that reading all of it is quick. */
static struct store *bucket_make(void)
{
    struct store *store = mem_store_open();
    struct bucket bucket = {.id = {.b = {1}}, .shards = 1, .chunk_size = chunk};
    AUTO_BUF bytes = {0};
    struct key key = key_bucket();
    bucket_encode(&bucket, &bytes);
    ck_assert_int_eq(store_put(store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL), OK);
    return store;
}

void world_build(struct world *world)
{
    static const char *const handles[] = {"demo", "other"};
    struct forge f;
    struct front front;
    struct store *store = bucket_make();
    world_join(&f, world, 0, store, START_MS);
    for (unsigned i = 0; i < ARRAY_LEN(world->projects); i++) {
        struct world_project *p = &world->projects[i];
        *p = (struct world_project){.handle = handles[i]};
        ck_assert_int_eq(project_create(&f.repo, bytes_str(handles[i]), &p->id), OK);
    }
    front_open(&front, &f);
    for (unsigned i = 0; i < ARRAY_LEN(world->projects); i++)
        project_fill(&front, &world->projects[i], i);
    record_die(&f);
    struct stage *append = stage_append_open(&f.repo);
    while (append->run(append) > 0)
        continue;
    append->close(append);
    struct stage *rollup = stage_rollup_open(&f.repo, &(struct rollup_options){0});
    while (rollup->run(rollup) > 0)
        continue;
    rollup->close(rollup);
    for (unsigned i = 0; i < ARRAY_LEN(world->projects); i++) {
        f.project = front.project = world->projects[i].id;
        world->projects[i].waiting = written(&front, "waiting");
    }
    AUTO_BUF lease = {0};
    lease_encode(&(struct lease){.counter = 7}, &lease);
    struct key key = key_lease(0);
    if (forge_count(&f, "leases/") == 0)
        object_put(&f, key.s, buf_bytes(&lease));
    bucket_copy_take(&world->copy, store);
    world->ms = f.clock.ms;
    front_close(&front);
    forge_release(&f);
    store_close(store);
}

void world_release(struct world *world)
{
    bucket_copy_release(&world->copy);
}
