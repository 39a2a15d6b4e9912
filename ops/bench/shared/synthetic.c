#include "ops/bench/shared/synthetic.h"

#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/tree/snapshot.h"

#define FILES_AT_ONCE   10000u /* that one of the first landings writes */
#define AUTHORS         32u
#define OBJECTS_AT_ONCE 64u /* tree objects that are put side by side */
#define BYTES_AT_ONCE   (64u * MIB)

struct maker {
    struct repo *repo;
    struct synthetic_options options;
    struct synthetic made;
    struct rng_seeded chance;
    uint64_t contents; /* made so far */
    uint64_t landings; /* after those that write the files */
    uint64_t rare;     /* number of the file that is written seldom */
    uint64_t rare_at;  /* the landing that writes it next */
    unsigned rare_left;
    /* Tree objects that are to be put. */
    struct buf objects[OBJECTS_AT_ONCE];
    struct key keys[OBJECTS_AT_ONCE];
    size_t n_objects;
    size_t bytes;
};

/* --- paths --- */

void synthetic_path(uint64_t i, uint64_t files, unsigned fan,
                    char out[static SYNTHETIC_PATH_MAX])
{
    uint64_t digit = 1;
    while ((files - 1) / digit >= fan)
        digit *= fan;
    size_t len = 0;
    for (; digit > 1; digit /= fan)
        len += (size_t)snprintf(out + len, SYNTHETIC_PATH_MAX - len, "dir-%02u/",
                                (unsigned)(i / digit % fan));
    (void)snprintf(out + len, SYNTHETIC_PATH_MAX - len, "file-%02u.txt", (unsigned)(i % fan));
}

/* --- objects --- */

static int objects_put(struct maker *m)
{
    struct store_op ops[OBJECTS_AT_ONCE];
    for (size_t i = 0; i < m->n_objects; i++)
        ops[i] = (struct store_op){.verb = STORE_PUT,
                                   .key = m->keys[i].s,
                                   .data = buf_bytes(&m->objects[i]),
                                   .want_etag = ETAG_NEVER,
                                   .condition = PUT_IF_ABSENT};
    int err = m->n_objects > 0 ? store_many(m->repo->store, ops, m->n_objects) : OK;
    for (size_t i = 0; i < m->n_objects; i++)
        buf_release(&m->objects[i]);
    m->n_objects = 0;
    m->bytes = 0;
    return err;
}

/* Takes the bytes of the build. */
static int object_add(struct maker *m, struct tree_build *build, const struct hash *tree)
{
    m->keys[m->n_objects] = key_tree(&m->made.project, tree);
    m->objects[m->n_objects++] = build->bytes;
    m->bytes += build->bytes.len;
    m->made.tree_bytes += build->bytes.len;
    build->bytes = (struct buf){0};
    bool full = m->n_objects == OBJECTS_AT_ONCE || m->bytes >= BYTES_AT_ONCE;
    return full ? objects_put(m) : OK;
}

static int head_put(struct repo *repo, const struct id16 *project, const struct head *head)
{
    struct head before;
    struct etag etag;
    int err = chain_head(repo, project, &before, &etag);
    if (err != OK)
        return err;
    uint8_t bytes[HEAD_LEN];
    head_encode(head, bytes);
    struct key key = key_head(project);
    return store_put(repo->store, key.s, bytes_of(bytes, HEAD_LEN), PUT_IF_MATCH, &etag);
}

int synthetic_put_batch(struct repo *repo, const struct id16 *project, struct tree_build *build,
                        struct bytes root_page, struct footer *footer)
{
    struct head head;
    struct etag etag;
    const struct batch *tip;
    int err = chain_head(repo, project, &head, &etag);
    if (err == OK)
        err = chain_tip(repo, project, &head, &tip);
    if (err != OK)
        return err;
    footer_follow(footer, &tip->footer, &tip->tree_hash);
    chain_drop(repo, tip);
    footer->position = head.position;
    footer->hlc = head.hlc = repo_hlc(repo);
    footer->agent = repo->agent;
    err = tree_build_finish(build, root_page, footer, &head.tree_hash);
    if (err != OK)
        return err;
    struct key key = key_tree(project, &head.tree_hash);
    err = store_put(repo->store, key.s, buf_bytes(&build->bytes), PUT_IF_ABSENT, NULL);
    return err == OK ? head_put(repo, project, &head) : err;
}

/* --- one landing --- */

struct batch_maker {
    struct maker *m;
    struct arena arena;
    struct tree_edit *edit;
    struct tree_build build;
};

/* A write of what no other landing writes, over what is there. */
static int write_make(struct batch_maker *b, uint64_t file, struct record *out)
{
    struct maker *m = b->m;
    char path[SYNTHETIC_PATH_MAX];
    synthetic_path(file, m->options.files, m->options.fan, path);
    uint64_t number = m->contents++;
    const char *text =
        arena_printf(&b->arena, "%s\nwritten at position %llu\ncontent %llu of seed %llu\n",
                     path, (unsigned long long)m->made.head.position,
                     (unsigned long long)number, (unsigned long long)m->options.seed);
    struct record record = {.kind = RECORD_OPERATION, .hlc = repo_hlc(m->repo)};
    record.operation = (struct record_operation){
        .op = OP_WRITE,
        .base = m->made.head.position - 1,
        .path = arena_copy(&b->arena, bytes_str(path)),
        .content = content_inline(&b->arena, KIND_FILE, MODE_PLAIN, bytes_str(text))};
    int err = tree_edit_seen(b->edit, record.operation.path, &record.operation.seen);
    *out = record;
    return err;
}

/* A landed session's contents lie in the tree object. */
static int content_move(struct batch_maker *b, struct content *content)
{
    bool raw = content->carrier == CARRIER_INLINE_RAW;
    int err = tree_build_add(&b->build, content->data, &content->offset);
    content->len = (uint32_t)content->data.len;
    content->carrier = raw ? CARRIER_TREE_RAW : CARRIER_TREE_ZSTD;
    content->data = (struct bytes){0};
    return err;
}

/* The id of a request to land all of the session, as a client makes it. */
static struct id16 request_id(struct batch_maker *b, const struct session *session)
{
    AUTO_BUF payload = {0};
    struct record_land_item item = {.session = session->id};
    item.records = arena_array(&b->arena, session->n_records, struct id16);
    item.n = (uint32_t)records_ids(session->records, session->n_records, item.records);
    const struct record land = {.kind = RECORD_LAND,
                                .land = {.whole = true, .items = &item, .n = 1}};
    record_payload(&land, &payload);
    return record_id(&session->owner, &session->id, bytes_str("land"), buf_bytes(&payload));
}

/* A session at the head's position that writes these files. */
static int session_make(struct batch_maker *b, const uint64_t *files, size_t n,
                        struct session *out)
{
    struct maker *m = b->m;
    uint64_t position = m->made.head.position;
    const char *author = arena_printf(&b->arena, "agent-%02llu",
                                      (unsigned long long)rng_below(&m->chance.rng, AUTHORS));
    struct session session = {.state = SESSION_LANDED,
                              .project = m->made.project,
                              .owner = owner_of(bytes_str(author)),
                              .base = position - 1,
                              .hlc_created = repo_hlc(m->repo),
                              .position = position,
                              .version = 1,
                              .n_records = n + 1};
    session.records = arena_array(&b->arena, n + 1, struct record);
    session.records[0] = (struct record){
        .kind = RECORD_START,
        .hlc = session.hlc_created,
        .start = {.key = bytes_str(
                      arena_printf(&b->arena, "change-%llu", (unsigned long long)position)),
                  .base = position - 1,
                  .author = bytes_str(author),
                  .goal = bytes_str(arena_printf(&b->arena, "Change %zu files for task %llu", n,
                                                 (unsigned long long)position))}};
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++)
        err = write_make(b, files[i], &session.records[i + 1]);
    session.hlc_updated = session.records[n].hlc;
    if (err == OK)
        session_assign_ids(&session);
    *out = session;
    return err;
}

static int landing_add(struct batch_maker *b, const uint64_t *files, size_t n)
{
    static const struct hash self;
    struct maker *m = b->m;
    struct session_view view;
    struct landing landing = {.verdict = VERDICT_LANDED, .closes = true, .has_session = true};
    m->made.head.position++;
    int err = session_make(b, files, n, &landing.landed);
    if (err != OK)
        return err;
    struct session *session = &landing.landed;
    landing.request = request_id(b, session);
    landing.session = session->id;
    landing.owner = session->owner;
    landing.hlc = repo_hlc(m->repo);
    landing.position = session->position;
    for (size_t i = 1; i <= n && err == OK; i++)
        err = content_move(b, &session->records[i].operation.content);
    session_view(session, &b->arena, &view);
    if (err == OK)
        err = snapshot_apply(b->edit, &view, &self, session->position);
    return err == OK ? tree_build_record(&b->build, &landing) : err;
}

/* --- what a landing writes --- */

static bool is_among(const uint64_t *files, size_t n, uint64_t file)
{
    for (size_t i = 0; i < n; i++) {
        if (files[i] == file)
            return true;
    }
    return false;
}

static void rare_next(struct maker *m)
{
    assert(m->options.rare > 0);
    uint64_t part = m->options.landings / m->options.rare;
    uint64_t done = m->options.rare - m->rare_left;
    m->rare_at = done * part + rng_below(&m->chance.rng, part);
}

static void files_choose(struct maker *m, uint64_t *files)
{
    const struct synthetic_options *o = &m->options;
    struct rng *rng = &m->chance.rng;
    uint64_t first = rng_below(rng, o->files);
    uint64_t from = o->scattered ? 0 : first - first % o->fan;
    uint64_t count = o->scattered || o->files - from < o->fan ? o->files - from : o->fan;
    for (size_t n = 0; n < o->writes;) {
        uint64_t file = from + rng_below(rng, count);
        bool is_rare = o->rare > 0 && file == m->rare;
        if (!is_rare && !is_among(files, n, file))
            files[n++] = file;
    }
    if (m->rare_left > 0 && m->landings == m->rare_at) {
        files[0] = m->rare;
        m->rare_left--;
        if (m->rare_left > 0)
            rare_next(m);
    }
    m->landings++;
}

/* --- batches --- */

static int batch_begin(struct batch_maker *b, struct maker *m, struct footer *footer)
{
    const struct batch *tip;
    int err = chain_tip(m->repo, &m->made.project, &m->made.head, &tip);
    if (err != OK)
        return err;
    *b = (struct batch_maker){.m = m};
    struct tree tree = chain_tree(m->repo, &m->made.project, tip);
    b->edit = tree_edit_open(&tree);
    tree_build_init(&b->build);
    footer_follow(footer, &tip->footer, &tip->tree_hash);
    chain_drop(m->repo, tip);
    return OK;
}

/* What follows finds the batch in the caches until it is put. */
static int batch_seal(struct batch_maker *b, struct footer *footer)
{
    struct maker *m = b->m;
    AUTO_BUF root = {0};
    struct tree_id *ids;
    struct head *head = &m->made.head;
    footer->position = head->position;
    footer->hlc = repo_hlc(m->repo);
    footer->agent = m->repo->agent;
    int err = tree_edit_seal(b->edit, &b->build, &root, footer);
    if (err == OK)
        err = tree_build_finish(&b->build, buf_bytes(&root), footer, &head->tree_hash);
    if (err == OK)
        err = tree_ids_decode(buf_bytes(&b->build.ids), b->build.n_records, &b->arena, &ids);
    if (err != OK)
        return err;
    head->hlc = footer->hlc;
    m->made.batches++;
    tree_edit_publish(b->edit, &head->tree_hash);
    chain_remember(m->repo, &m->made.project, &head->tree_hash, footer, ids, bytes_of(NULL, 0));
    return object_add(m, &b->build, &head->tree_hash);
}

static void batch_end(struct batch_maker *b)
{
    tree_edit_close(b->edit);
    tree_build_release(&b->build);
    arena_release(&b->arena);
}

/* A landing that writes files [first, end). */
static int files_make(struct maker *m, uint64_t first, uint64_t end)
{
    struct batch_maker b;
    struct footer footer = {0};
    int err = batch_begin(&b, m, &footer);
    if (err != OK)
        return err;
    uint64_t *files = arena_array(&b.arena, end - first, uint64_t);
    for (uint64_t i = first; i < end; i++)
        files[i - first] = i;
    err = landing_add(&b, files, (size_t)(end - first));
    if (err == OK)
        err = batch_seal(&b, &footer);
    batch_end(&b);
    return err;
}

static int batch_make(struct maker *m, uint64_t landings)
{
    struct batch_maker b;
    struct footer footer = {0};
    int err = batch_begin(&b, m, &footer);
    if (err != OK)
        return err;
    for (uint64_t i = 0; i < landings && err == OK; i++) {
        uint64_t files[SYNTHETIC_FAN_MAX] = {0};
        files_choose(m, files);
        err = landing_add(&b, files, m->options.writes);
    }
    if (err == OK)
        err = batch_seal(&b, &footer);
    batch_end(&b);
    return err;
}

/* --- all of it --- */

static int shared_files_make(struct maker *m)
{
    AUTO(tree_build_release) struct tree_build build;
    AUTO_BUF root = {0};
    struct entry top;
    tree_build_init(&build);
    int err = shared_tree_add(&build, m->options.fan, m->options.files, &root, &top);
    if (err != OK)
        return err;
    struct footer footer = {.files = top.files, .bytes = top.size, .root_content = top.hash};
    err = synthetic_put_batch(m->repo, &m->made.project, &build, buf_bytes(&root), &footer);
    m->made.tree_bytes += build.bytes.len;
    struct etag etag;
    return err == OK ? chain_head(m->repo, &m->made.project, &m->made.head, &etag) : err;
}

static int all_make(struct maker *m)
{
    const struct synthetic_options *o = &m->options;
    int err = o->shared ? shared_files_make(m) : OK;
    for (uint64_t at = 0; at < o->files && !o->shared && err == OK; at += FILES_AT_ONCE)
        err = files_make(m, at, o->files - at < FILES_AT_ONCE ? o->files : at + FILES_AT_ONCE);
    while (m->landings < o->landings && err == OK) {
        uint64_t left = o->landings - m->landings;
        err = batch_make(m, left < o->batch ? left : o->batch);
    }
    int put = objects_put(m);
    return err == OK ? put : err;
}

/* A directory, the last one too, has one name more than a landing writes: the file that is
 * written seldom may be in it. */
static bool can_be_made(const struct synthetic_options *o)
{
    if (o->files == 0)
        return false;
    uint64_t last = o->files % o->fan == 0 ? o->fan : o->files % o->fan;
    uint64_t names = o->scattered ? o->files : last;
    return o->landings == 0 ||
           (o->writes > 0 && o->writes < o->fan && o->writes < names && o->rare <= o->landings);
}

int synthetic_make(struct repo *repo, struct bytes handle, const struct synthetic_options *o,
                   struct synthetic *out)
{
    assert(o->fan > 1 && o->fan <= SYNTHETIC_FAN_MAX && o->batch > 0);
    if (!can_be_made(o))
        return ERR_INVALID;
    struct maker m = {.repo = repo, .options = *o, .rare = o->files / 2};
    struct etag etag;
    rng_seeded_init(&m.chance, o->seed);
    synthetic_path(m.rare, o->files, o->fan, m.made.rare);
    m.rare_left = o->rare;
    if (m.rare_left > 0)
        rare_next(&m);
    int err = project_create(repo, handle, &m.made.project);
    if (err == OK)
        err = chain_head(repo, &m.made.project, &m.made.head, &etag);
    if (err == OK)
        err = all_make(&m);
    if (err == OK)
        err = head_put(repo, &m.made.project, &m.made.head);
    if (err == OK)
        *out = m.made;
    return err;
}
