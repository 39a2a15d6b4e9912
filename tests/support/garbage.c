#include "tests/support/garbage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/base/hex.h"
#include "formats/key.h"
#include "pipeline/repo/content/blob_store.h"
#include "pipeline/repo/intake/pending.h"
#include "pipeline/store/mem.h"
#include "pipeline/sys/log.h"
#include "tests/support/faulty.h"
#include "tests/support/front.h"

struct pair {
    struct garbage_world *world;
    const char *key; /* NULL: no garbage */
    struct bytes garbage;
    const char *name;
    unsigned hurt; /* the project that the key belongs to; 2: none */
    bool queue;    /* the key lies in the queue: who knows whose writes were in it */
    struct store *mem;
    struct store *store; /* mem, or a layer over it that the requests go through */
    uint64_t ms;
    int log;
    unsigned errors;
    bool landed;
};

static bool begins(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

static const struct world_project *project_of(const struct pair *pair, unsigned which)
{
    return &pair->world->world.projects[which];
}

static void view_open(const struct pair *pair, unsigned which, struct forge *view)
{
    world_join(view, &pair->world->world, which, pair->store, pair->ms);
}

/* --- reading --- */

/* What may be missing, besides what is corrupt. */
static bool fact_allow(void *arg, const struct fact *want, int err)
{
    const struct pair *pair = arg;
    if (err != ERR_NOT_FOUND || pair->key == NULL)
        return false;
    /* A list leaves out what is damaged. */
    if (strcmp(want->group, "projects") == 0)
        return begins(pair->key, "handles/") && strcmp(want->name, pair->key + 8) == 0;
    if (strcmp(want->group, "sessions") == 0)
        return pair->queue || strstr(pair->key, want->name) != NULL;
    /* A damaged blob counts as missing, so that it is put again. */
    bool blob = strcmp(want->group, "blob") == 0 || strcmp(want->group, "large") == 0;
    return blob && strstr(pair->key, "/blobs/") != NULL && strcmp(want->name, "read") != 0;
}

static void facts_check(struct pair *pair, const struct facts *want, bool untouched)
{
    struct forge view;
    view_open(pair, 0, &view);
    for (unsigned i = 0; i < 2; i++) {
        const struct world_project *p = project_of(pair, i);
        struct facts got;
        unsigned errors = 0;
        facts_read(&got, &view.repo, p, untouched);
        const char *wrong = facts_differ(&got, &want[i], fact_allow, pair, &errors);
        ck_assert_msg(wrong == NULL, "%s: %s: %s", pair->name, p->handle, wrong);
        ck_assert_msg(errors == 0 || pair->queue || i == pair->hurt, "%s: %u errors in %s",
                      pair->name, errors, p->handle);
        pair->errors += errors;
        facts_release(&got);
    }
    forge_release(&view);
}

/* --- asking --- */

struct replies {
    struct reply whole;
    struct reply open;
    struct reply drop;
};

static struct draft draft_of(struct forge *f, const struct id16 *session)
{
    struct draft d = {.forge = f};
    d.session = (struct session){.id = *session, .project = f->project};
    d.session.owner = owner_of(bytes_str("ann"));
    return d;
}

/* Lands something new, lands an open session, gives another one up. What a front refuses is put
 * into the queue all the same, as by one that did not know yet. */
static struct replies project_ask(struct front *front, const struct world_project *p)
{
    struct forge *f = front->forge;
    struct replies replies = {0};
    struct caller caller = caller_of("ann");
    struct reply *drop = &replies.drop;
    front->project = f->project = p->id;
    struct asked asked = asked_open(front, "after", WORLD_POSITION);
    asked_write(&asked, "dir1/sub1/new", "new");
    asked_write(&asked, "single9", "changed");
    front_land(front, "ann", &asked, 1, 30000, &replies.whole);
    front_settle(front);
    replies.open = front_session_land(front, "ann", &p->open, &p->open_records);
    drop->err =
        service_session_abandon(front->service, &caller, &p->id, &p->drop, bytes_str("no more"),
                                30000, reply_landed, drop, &drop->problem);
    struct draft d = draft_of(f, &p->open);
    if (replies.open.err != OK)
        (void)forge_land(f, &d, p->open_ids, ARRAY_LEN(p->open_ids));
    d = draft_of(f, &p->drop);
    if (drop->err != OK)
        (void)forge_abandon(f, &d);
    front_settle(front);
    return replies;
}

static bool landed(const struct reply *reply)
{
    return reply->err == OK && !reply->pending && reply->calls == 1 &&
           reply->verdicts[0] == VERDICT_LANDED;
}

static void well_check(const struct pair *pair, const struct replies *replies)
{
    ck_assert_msg(landed(&replies->whole), "%s: nothing lands on the other project: %s",
                  pair->name, replies->whole.problem.message);
    ck_assert_msg(landed(&replies->open), "%s: no session lands on the other project: %s",
                  pair->name, replies->open.problem.message);
    ck_assert_msg(replies->drop.err == OK && replies->drop.verdicts[0] == VERDICT_ABANDONED,
                  "%s: no session of the other project can be given up: %s", pair->name,
                  replies->drop.problem.message);
}

static void hurt_check(const struct pair *pair, const struct reply *reply)
{
    bool answered = reply->err == OK && !reply->pending && reply->calls == 1;
    if (reply->err != OK)
        ck_assert_msg(strcmp(reply->problem.code, "project_damaged") == 0, "%s: %s", pair->name,
                      reply->problem.message);
    else if (answered && reply->verdicts[0] == VERDICT_REFUSED)
        ck_assert_msg(strcmp(reply->reasons[0], "damaged") == 0, "%s: refused: %s", pair->name,
                      reply->reasons[0]);
    else if (answered)
        ck_assert_msg(reply->verdicts[0] == VERDICT_LANDED ||
                          reply->verdicts[0] == VERDICT_ABANDONED,
                      "%s: %s", pair->name, verdict_name(reply->verdicts[0]));
}

/* Something for a project that nobody knows, which has to be put aside. */
static struct id16 lost_submit(struct forge *f)
{
    struct id16 project = f->project;
    f->project.b[7] ^= 1;
    struct draft lost = draft_open(f, "eve", "lost again", 0);
    draft_write(&lost, "a", "1", NULL);
    (void)forge_submit(f, &lost, 1);
    f->project = project;
    return lost.session.id;
}

static void lost_check(const struct pair *pair, const struct id16 *session)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    unsigned found = 0;
    struct key prefix = key_dead_prefix();
    ck_assert_int_eq(store_list(pair->mem, &arena, prefix.s, "", STORE_LIST_MAX, &list), OK);
    for (size_t i = 0; i < list.n; i++) {
        AUTO_BUF bytes = {0};
        struct queue_object object;
        int err = store_get(pair->mem, list.keys[i].key, range_all(), &bytes, NULL, NULL);
        ck_assert_int_eq(err, OK);
        if (queue_object_decode(buf_bytes(&bytes), &arena, &object) == OK && object.n == 1)
            found += id16_equal(&object.groups[0].session, session);
    }
    ck_assert_msg(found == 1, "%s: what is put aside is there %u times", pair->name, found);
}

static void requests_check(struct pair *pair)
{
    struct forge view;
    struct front front;
    view_open(pair, 0, &view);
    front_open(&front, &view);
    for (unsigned i = 0; i < 2; i++) {
        struct replies replies = project_ask(&front, project_of(pair, i));
        if (i != pair->hurt) {
            well_check(pair, &replies);
            continue;
        }
        hurt_check(pair, &replies.whole);
        hurt_check(pair, &replies.open);
        hurt_check(pair, &replies.drop);
        pair->landed = landed(&replies.whole);
    }
    struct id16 lost = lost_submit(&view);
    /* What is due is folded, and then what does not come any more is given up. */
    for (unsigned i = 0; i < 3; i++) {
        view.clock.ms += view.land_options.missing_after_ms;
        view.clock.us += view.land_options.missing_after_ms * 1000;
        front_settle(&front);
    }
    lost_check(pair, &lost);
    pair->ms = view.clock.ms;
    front_close(&front);
    forge_release(&view);
}

static void append_check(const struct pair *pair)
{
    struct forge view;
    view_open(pair, 0, &view);
    struct stage *append = stage_append_open(&view.repo);
    for (unsigned runs = 0; append->run(append) > 0; runs++)
        ck_assert_msg(runs < 20, "%s: it appends for ever", pair->name);
    append->close(append);
    struct stage *rollup = stage_rollup_open(&view.repo, &(struct rollup_options){0});
    for (unsigned runs = 0; rollup->run(rollup) > 0; runs++)
        ck_assert_msg(runs < 20, "%s: it rolls up for ever", pair->name);
    rollup->close(rollup);
    forge_release(&view);
    for (unsigned i = 0; i < 2; i++) {
        const struct world_project *p = project_of(pair, i);
        struct key key = key_log(&p->id, 101, 201);
        bool there = store_get(pair->mem, key.s, range_none(), NULL, NULL, NULL) == OK;
        ck_assert_msg(there || i == pair->hurt, "%s: no log of %s", pair->name, p->handle);
        key = key_rollup(&p->id, 1, 1, 201);
        there = store_get(pair->mem, key.s, range_none(), NULL, NULL, NULL) == OK;
        ck_assert_msg(there || i == pair->hurt, "%s: no rollup of %s", pair->name, p->handle);
    }
}

/* --- what is there afterwards --- */

/* A rollup that another takes the place of when the log has 200 positions. */
static bool is_replaced(const char *key)
{
    return strstr(key, "/bloom-index/level-1/000000000001-000000000101.bloom") != NULL ||
           strstr(key, "/bloom-index/level-1/000000000101-000000000201.bloom") != NULL;
}

/* Whether the object at `key` is put more than once, or goes. */
static bool is_mutable(const char *key)
{
    if (is_replaced(key))
        return true;
    const char *in_project = begins(key, "projects/") ? strchr(key + 9, '/') : NULL;
    if (in_project != NULL)
        return strcmp(in_project, "/head") == 0 || begins(in_project, "/sessions/");
    return begins(key, "leases/") || (begins(key, "queue/") && !begins(key, "queue/dead/"));
}

static void object_check(const struct pair *pair, const char *key, struct bytes want)
{
    AUTO_BUF there = {0};
    int err = store_get(pair->mem, key, range_all(), &there, NULL, NULL);
    ck_assert_msg(err == OK, "%s: %s is gone", pair->name, key);
    ck_assert_msg(bytes_equal(buf_bytes(&there), want), "%s: %s is overwritten", pair->name,
                  key);
}

static void bucket_check(const struct pair *pair)
{
    const struct bucket_copy *copy = &pair->world->world.copy;
    for (size_t i = 0; i < copy->n; i++) {
        const struct bucket_object *o = &copy->objects[i];
        if (!is_mutable(o->key) && (pair->key == NULL || strcmp(o->key, pair->key) != 0))
            object_check(pair, o->key, o->bytes);
    }
    /* A lease is no more than who holds it now. */
    if (pair->key != NULL && !begins(pair->key, "leases/") && !is_replaced(pair->key))
        object_check(pair, pair->key, pair->garbage);
}

static void log_check(const struct pair *pair)
{
    AUTO_BUF text = {0};
    char key[STORE_KEY_MAX + 8];
    off_t end = lseek(pair->log, 0, SEEK_END);
    uint8_t *at = buf_reserve(&text, (size_t)end + 1);
    ck_assert_int_eq(pread(pair->log, at, (size_t)end, 0), end);
    at[end] = '\0';
    (void)snprintf(key, sizeof(key), "key=%s ", pair->key == NULL ? "" : pair->key);
    bool said = strstr((char *)at, key) != NULL;
    ck_assert_msg(said || pair->errors == 0, "%s: %u errors, and the log says\n%s", pair->name,
                  pair->errors, (char *)at);
}

/* Putting a blob again heals it. */
static void blobs_heal(struct pair *pair)
{
    if (pair->hurt > 1 || strstr(pair->key, "/blobs/") == NULL)
        return;
    struct forge view;
    view_open(pair, pair->hurt, &view);
    for (unsigned i = 0; i < 2; i++) {
        struct upload *upload = upload_open(&view.repo, &view.project);
        struct content content;
        struct bytes bytes =
            i == 0 ? world_blob(&view.arena, pair->hurt) : world_large(&view.arena, pair->hurt);
        ck_assert_int_eq(upload_write(upload, bytes), OK);
        ck_assert_int_eq(upload_finish(upload, NULL, &content), OK);
        upload_close(upload);
    }
    forge_release(&view);
    unsigned before = pair->errors;
    facts_check(pair, pair->world->after, false);
    ck_assert_msg(pair->errors == before, "%s: it is not healed", pair->name);
}

/* --- together --- */

static void pair_open(struct pair *pair, struct garbage_world *world, const char *key,
                      struct bytes garbage, const char *name)
{
    *pair =
        (struct pair){.world = world, .key = key, .garbage = garbage, .name = name, .hurt = 2};
    pair->ms = world->world.ms;
    pair->mem = pair->store = bucket_copy_store(&world->world.copy);
    pair->log = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(pair->log, 0);
    log_to_fd(pair->log);
    if (key == NULL)
        return;
    pair->queue = begins(key, "queue/0000/");
    for (unsigned i = 0; i < 2; i++) {
        const struct world_project *p = project_of(pair, i);
        struct id16_hex id = id16_hex(&p->id);
        bool below = begins(key, "projects/") && begins(key + 9, id.s);
        bool handle = begins(key, "handles/") && strcmp(key + 8, p->handle) == 0;
        pair->hurt = below || handle ? i : pair->hurt;
    }
    ck_assert_int_eq(store_put(pair->mem, key, garbage, PUT_ANY, NULL), OK);
}

static void pair_close(struct pair *pair)
{
    log_to_fd(STDERR_FILENO);
    (void)close(pair->log);
    store_close(pair->mem);
}

static void pair_run(struct pair *pair)
{
    facts_check(pair, pair->world->facts, true);
    requests_check(pair);
    append_check(pair);
    facts_check(pair, pair->world->after, false);
    bucket_check(pair);
    log_check(pair);
}

void garbage_run(struct garbage_world *world, const char *key, struct bytes garbage,
                 const char *name, struct garbage_tally *tally)
{
    struct pair pair;
    pair_open(&pair, world, key, garbage, name);
    pair_run(&pair);
    blobs_heal(&pair);
    pair_close(&pair);
    tally->pairs++;
    tally->seen += pair.errors > 0;
    tally->errors += pair.errors;
    tally->landed += pair.landed;
}

void garbage_world_open(struct garbage_world *world)
{
    struct forge view;
    world_build(&world->world);
    struct store *store = bucket_copy_store(&world->world.copy);
    world_join(&view, &world->world, 0, store, world->world.ms);
    for (unsigned i = 0; i < 2; i++) {
        facts_read(&world->facts[i], &view.repo, &world->world.projects[i], true);
        facts_read(&world->after[i], &view.repo, &world->world.projects[i], false);
    }
    forge_release(&view);
    store_close(store);
}

/* --- keys --- */

/* Sequence numbers of a forge that has joined are greater. */
#define FORGE_SEQ 1000000u

struct keys {
    const struct bucket_copy *copy;
    struct arena *arena;
    const char **items;
    size_t n;
    size_t cap;
};

static void key_note(void *arg, uint64_t call, const struct store_op *op)
{
    struct keys *keys = arg;
    uint32_t shard;
    uint64_t hlc, agent, seq;
    (void)call;
    if (op == NULL || op->verb != STORE_PUT || bucket_copy_find(keys->copy, op->key) != NULL)
        return;
    /* What a test's forge puts into the queue by itself has no second try. */
    if (key_queue_parse(op->key, &shard, &hlc, &agent, &seq) == OK && seq > FORGE_SEQ)
        return;
    void *items = keys->items;
    const char **slot = arena_push(keys->arena, &items, &keys->n, &keys->cap, sizeof(*slot));
    keys->items = items;
    *slot = arena_str(keys->arena, bytes_str(op->key));
}

static int key_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t garbage_keys(struct garbage_world *world, struct arena *arena, const char ***out)
{
    struct pair pair;
    struct keys keys = {.copy = &world->world.copy, .arena = arena};
    pair_open(&pair, world, NULL, bytes_of(NULL, 0), "undamaged");
    pair.store = faulty_store_open(pair.mem);
    faulty_watch(pair.store, key_note, &keys);
    pair_run(&pair);
    ck_assert_uint_eq(pair.errors, 0);
    store_close(pair.store);
    pair_close(&pair);
    ck_assert_uint_gt(keys.n, 0);
    qsort(keys.items, keys.n, sizeof(*keys.items), key_order);
    size_t n = 1;
    for (size_t i = 1; i < keys.n; i++) {
        if (strcmp(keys.items[i], keys.items[n - 1]) != 0)
            keys.items[n++] = keys.items[i];
    }
    *out = keys.items;
    return n;
}
