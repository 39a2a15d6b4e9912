#include "tests/support/build_chain.h"

#include <check.h>
#include <stdio.h>

#include "formats/base/hash.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/project.h"
#include "pipeline/repo/tree/snapshot.h"
#include "pipeline/store/mem.h"

#define NOW_MS 1800000000000u

static uint64_t still_wall_ms(struct clock *clock UNUSED)
{
    return NOW_MS;
}

static uint64_t still_mono_us(struct clock *clock UNUSED)
{
    return 1;
}

static void still_sleep_us(struct clock *clock UNUSED, uint64_t us UNUSED)
{
}

static void repo_start(struct build_chain *bc)
{
    static const struct repo_options options = {
        .page_cache_bytes = 16 * MIB, .shards = 4, .chunk_size = BUILD_CHAIN_CHUNK};
    ck_assert_int_eq(repo_open(&bc->repo, bc->trace, &bc->clock, &bc->rng.rng, &options), OK);
}

void build_chain_init(struct build_chain *bc)
{
    *bc = (struct build_chain){
        .mem = mem_store_open(),
        .clock = {.wall_ms = still_wall_ms,
                  .mono_us = still_mono_us,
                  .sleep_us = still_sleep_us},
        .owner = owner_of(bytes_str("ann")),
    };
    rng_seeded_init(&bc->rng, 7);
    bc->trace = trace_store_open(bc->mem);
    repo_start(bc);
    ck_assert_int_eq(project_create(&bc->repo, bytes_str("demo"), &bc->project), OK);
    ck_assert_int_eq(chain_head(&bc->repo, &bc->project, &bc->head, &bc->etag), OK);
}

void build_chain_release(struct build_chain *bc)
{
    repo_close(&bc->repo);
    store_close(bc->trace);
    store_close(bc->mem);
    arena_release(&bc->arena);
}

void build_chain_cold(struct build_chain *bc)
{
    repo_close(&bc->repo);
    repo_start(bc);
    (void)trace_store_counts(bc->trace, true);
}

struct trace_counts build_chain_counts(struct build_chain *bc)
{
    return trace_store_counts(bc->trace, true);
}

struct id16 build_chain_session(const struct build_chain *bc, const char *key, uint64_t base)
{
    return session_id(&bc->project, &bc->owner, bytes_str(key), base);
}

/* ---- one batch ---- */

struct work {
    struct build_chain *bc;
    struct arena arena;
    struct tree_edit *edit;
    struct tree_build build;
    uint64_t position;
};

/* The content as it lies in the tree object. */
static struct content content_add(struct work *w, const char *text)
{
    struct content content = content_inline(&w->arena, KIND_FILE, MODE_PLAIN, bytes_str(text));
    content.carrier =
        content.carrier == CARRIER_INLINE_RAW ? CARRIER_TREE_RAW : CARRIER_TREE_ZSTD;
    content.len = (uint32_t)content.data.len;
    ck_assert_int_eq(tree_build_add(&w->build, content.data, &content.offset), OK);
    content.data = (struct bytes){0};
    return content;
}

static struct record operation_of(struct work *w, const struct build_op *op, uint64_t base)
{
    struct record record = {.kind = RECORD_OPERATION, .hlc = repo_hlc(&w->bc->repo)};
    struct record_operation *operation = &record.operation;
    *operation = (struct record_operation){
        .op = op->op, .base = base, .path = bytes_str(op->path), .seen = {.said = true}};
    switch (op->op) {
    case OP_WRITE:
        operation->content = content_add(w, op->text);
        break;
    case OP_RENAME:
        operation->target = bytes_str(op->target);
        operation->target_seen = (struct seen){.said = true};
        operation->content = (struct content){.kind = KIND_FILE,
                                              .mode = MODE_PLAIN,
                                              .size = strlen(op->text),
                                              .hash = sha256(bytes_str(op->text)),
                                              .carrier = CARRIER_SOURCE};
        operation->seen = (struct seen){.said = true,
                                        .kind = KIND_FILE,
                                        .mode = MODE_PLAIN,
                                        .hash = operation->content.hash};
        break;
    case OP_DELETE:
        break;
    }
    return record;
}

static void record_name(struct record *record, const struct session *session, size_t number)
{
    AUTO_BUF payload = {0};
    record_payload(record, &payload);
    record->id = record_id(&session->owner, &session->id, bytes_of(&number, sizeof(number)),
                           buf_bytes(&payload));
}

static struct session session_of(struct work *w, const struct build_answer *answer,
                                 const char *key)
{
    struct session session = {
        .id = build_chain_session(w->bc, key, answer->base),
        .state = SESSION_OPEN,
        .project = w->bc->project,
        .owner = w->bc->owner,
    };
    size_t n = answer->n_ops + 1;
    struct record *records = arena_array(&w->arena, n, struct record);
    records[0] = (struct record){.kind = RECORD_START,
                                 .hlc = repo_hlc(&w->bc->repo),
                                 .start = {.key = bytes_str(key),
                                           .base = answer->base,
                                           .author = bytes_str("ann"),
                                           .goal = bytes_str(key)}};
    for (size_t i = 0; i < answer->n_ops; i++)
        records[i + 1] = operation_of(w, &answer->ops[i], answer->base);
    for (size_t i = 0; i < n; i++)
        record_name(&records[i], &session, i);
    ck_assert_uint_eq(session_merge(&session, &w->arena, records, n), n);
    return session;
}

static void answer_add(struct work *w, const struct build_answer *answer)
{
    const char *key = answer->key;
    if (key == NULL)
        key = arena_printf(&w->arena, "key %llu", (unsigned long long)repo_hlc(&w->bc->repo));
    enum verdict verdict = answer->verdict != 0 ? answer->verdict : VERDICT_LANDED;
    bool landed = verdict == VERDICT_LANDED;
    w->position += landed;
    struct landing landing = {
        .verdict = verdict,
        .closes = landed || verdict == VERDICT_ABANDONED || answer->closes,
        .session = build_chain_session(w->bc, key, answer->base),
        .owner = w->bc->owner,
        .hlc = repo_hlc(&w->bc->repo),
        .position = w->position,
        .reason = bytes_str(landed ? "" : "because"),
    };
    struct bytes parts[] = {bytes_of(landing.session.b, sizeof(landing.session.b)),
                            bytes_of(&answer->request, 1)};
    landing.request = id16_derive("request", parts, ARRAY_LEN(parts));
    if (landed) {
        struct session_view view;
        static const struct hash self;
        landing.has_session = true;
        landing.landed = session_of(w, answer, key);
        session_view(&landing.landed, &w->arena, &view);
        ck_assert_int_eq(snapshot_apply(w->edit, &view, &self, w->position), OK);
        landing.landed.state = SESSION_LANDED;
        landing.landed.position = w->position;
    }
    ck_assert_int_eq(tree_build_record(&w->build, &landing), OK);
}

static void batch_finish(struct work *w, const struct batch *tip)
{
    struct build_chain *bc = w->bc;
    struct footer footer = {
        .position = w->position,
        .hlc = repo_hlc(&bc->repo),
        .agent = bc->repo.agent,
        .n_companions = bc->companions,
    };
    footer.companions = arena_array(&w->arena, bc->companions, struct hash);
    footer_follow(&footer, &tip->footer, &tip->tree_hash);
    AUTO_BUF root = {0};
    struct head head = {.position = w->position, .hlc = footer.hlc};
    ck_assert_int_eq(tree_edit_seal(w->edit, &w->build, &root, &footer), OK);
    ck_assert_int_eq(tree_build_finish(&w->build, buf_bytes(&root), &footer, &head.tree_hash),
                     OK);
    struct key key = key_tree(&bc->project, &head.tree_hash);
    ck_assert_int_eq(
        store_put(bc->trace, key.s, buf_bytes(&w->build.bytes), PUT_IF_ABSENT, NULL), OK);
    uint8_t bytes[HEAD_LEN];
    head_encode(&head, bytes);
    key = key_head(&bc->project);
    ck_assert_int_eq(
        store_put(bc->trace, key.s, bytes_of(bytes, sizeof(bytes)), PUT_IF_MATCH, &bc->etag),
        OK);
    bc->head = head;
}

/* As if the batch before this one were the last of so many, all of one length. */
static struct batch pretended(struct build_chain *bc, const struct batch *tip)
{
    struct batch batch = *tip;
    struct footer *f = &batch.footer;
    f->batch = bc->batches_before;
    f->position = bc->landings_before;
    f->n_ancestors = 0;
    for (uint64_t step = 1, at = 1; at > 0 && f->n_ancestors < ANCESTORS_MAX; step *= 16) {
        at = (f->batch - 1) / step * step;
        struct ancestor *ancestor = &f->ancestors[f->n_ancestors++];
        *ancestor = (struct ancestor){.batch = at, .position = f->position / f->batch * at};
        ancestor->tree = sha256(bytes_of(&at, sizeof(at)));
    }
    bc->batches_before = 0;
    return batch;
}

void build_chain_put(struct build_chain *bc, const struct build_answer *answers, size_t n)
{
    const struct batch *tip;
    struct batch before;
    ck_assert_int_eq(chain_tip(&bc->repo, &bc->project, &bc->head, &tip), OK);
    before = *tip;
    if (bc->batches_before > 0) {
        before = pretended(bc, tip);
        bc->head.position = before.footer.position;
    }
    struct tree tree = chain_tree(&bc->repo, &bc->project, tip);
    struct work w = {.bc = bc, .edit = tree_edit_open(&tree), .position = bc->head.position};
    tree_build_init(&w.build);
    for (size_t i = 0; i < n; i++)
        answer_add(&w, &answers[i]);
    batch_finish(&w, &before);
    chain_drop(&bc->repo, tip);
    tree_edit_close(w.edit);
    tree_build_release(&w.build);
    arena_release(&w.arena);
}

void build_chain_write(struct build_chain *bc, const char *path, const char *text)
{
    struct build_op op = {.op = OP_WRITE, .path = path, .text = text};
    struct build_answer answer = {.base = bc->head.position, .ops = &op, .n_ops = 1};
    build_chain_put(bc, &answer, 1);
}

void build_chain_grow(struct build_chain *bc, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[32];
        char path[32];
        uint64_t p = bc->head.position + 1;
        (void)snprintf(text, sizeof(text), "text %llu", (unsigned long long)p);
        (void)snprintf(path, sizeof(path), "dir/%llu", (unsigned long long)p);
        struct build_op ops[] = {
            {.op = OP_WRITE, .path = "file", .text = text},
            {.op = OP_WRITE, .path = path, .text = text},
        };
        struct build_answer answer = {.base = p - 1, .ops = ops, .n_ops = ARRAY_LEN(ops)};
        build_chain_put(bc, &answer, 1);
    }
}

void build_chain_flip(struct build_chain *bc, const char *key, long offset)
{
    AUTO_BUF bytes = {0};
    ck_assert_int_eq(store_get(bc->mem, key, range_all(), &bytes, NULL, NULL), OK);
    size_t at = offset < 0 ? bytes.len - (size_t)-offset : (size_t)offset;
    ck_assert_uint_lt(at, bytes.len);
    bytes.data[at] ^= 1;
    ck_assert_int_eq(store_put(bc->mem, key, buf_bytes(&bytes), PUT_ANY, NULL), OK);
}
