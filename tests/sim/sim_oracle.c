#include "tests/sim/sim_oracle.h"

#include <stdlib.h>

#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/project_id.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/content/content_read.h"
#include "tests/sim/counts.h"
#include "tests/sim/oracle_derive.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_refs.h"

/* --- what it has learned --- */

const struct known_answer *oracle_answer(const struct oracle *o, const struct id16 *session,
                                         const struct id16 *request)
{
    return id_table_find(&o->answers, session, request);
}

const struct known_answer *oracle_closed(const struct oracle *o, const struct id16 *session)
{
    return id_table_find(&o->closed, session, NULL);
}

bool oracle_was_durable(const struct oracle *o, const struct id16 *session,
                        const struct id16 *record)
{
    return id_table_find(&o->pending, session, record) != NULL;
}

bool oracle_inside(const struct oracle_project *p, uint64_t position)
{
    for (size_t i = 0; i < p->n_ends && p->ends[i] <= position; i++) {
        if (p->ends[i] == position)
            return false;
    }
    return position > 0;
}

struct oracle_project *oracle_project(struct oracle *o, const struct id16 *project)
{
    for (unsigned i = 0; i < o->n_projects; i++) {
        if (id16_equal(&o->projects[i].id, project))
            return &o->projects[i];
    }
    return NULL;
}

/* --- effects --- */

static void put_seen(void *arg, const char *key, struct bytes old, struct bytes data)
{
    struct oracle *o = arg;
    struct id16 id = {{0}};
    enum key_kind kind = key_kind(key, &id);
    if (kind == KEY_HEAD && project_id_is_refs(&id))
        oracle_refs_head(o, &id);
    if (kind == KEY_QUEUE || kind == KEY_DEAD)
        oracle_queue_put(o, key, data);
    if (kind == KEY_DEAD && !o->profile->strangers)
        broken("durable", "a record is dead in a world without damage: %s", key);
    if (kind == KEY_BLOB)
        oracle_upload_put(o, key, data);
    if (kind == KEY_DERIVE || kind == KEY_DERIVE_SEGMENT)
        oracle_derive_put(o, &id, key, kind, old, data);
    bool ours =
        kind == KEY_HEAD || kind == KEY_SESSION || kind == KEY_LOG || kind == KEY_ROLLUP;
    struct oracle_project *p = ours ? oracle_project(o, &id) : NULL;
    if (p == NULL)
        return;
    if (kind == KEY_HEAD)
        oracle_head(o, p, data);
    else if (kind == KEY_SESSION)
        oracle_session_put(o, &id, old, data);
    else if (kind == KEY_ROLLUP)
        oracle_rollup_put(p, key, old, data);
    else
        oracle_segment_put(o, p, data);
}

static void deleting_seen(void *arg, const char *key, struct bytes old)
{
    struct oracle *o = arg;
    struct id16 id = {{0}};
    enum key_kind kind = key_kind(key, &id);
    if (project_id_is_refs(&id) && kind == KEY_ROLLUP)
        return;
    struct oracle_project *p = kind == KEY_ROLLUP ? oracle_project(o, &id) : NULL;
    if (kind == KEY_QUEUE || kind == KEY_DEAD)
        oracle_queue_deleting(o, key, old);
    else if (p != NULL)
        oracle_rollup_deleting(o, p, key);
    else if (kind == KEY_BLOB && o->profile->grace_ms > 0)
        oracle_upload_deleting(o, key, old);
    else if (kind == KEY_DERIVE || kind == KEY_DERIVE_SEGMENT)
        oracle_derive_deleting(&id, key);
    else if (kind == KEY_TREE && o->profile->grace_ms > 0)
        oracle_tree_deleting(o, key);
    else if (kind != KEY_LOG)
        broken("durable", "deleted: %s", key);
}

struct effect_watch oracle_watch(struct oracle *o)
{
    return (struct effect_watch){.put = put_seen, .deleting = deleting_seen, .arg = o};
}

void oracle_open(struct oracle *o, struct far_end *end, const struct profile *profile,
                 struct ledger *ledger)
{
    o->end = end;
    o->profile = profile;
    o->ledger = ledger;
    const struct repo_options options = {
        .page_cache_bytes = 16 * MIB, .shards = profile->shards, .chunk_size = SIM_CHUNK_SIZE};
    static struct rng_seeded rng;
    rng_seeded_init(&rng, world_u64());
    int err = repo_open(&o->repo, far_end_mem(end), sim_true_clock(), &rng.rng, &options);
    if (err != OK)
        broken("durable", "the bucket cannot be made: %s", err_name(err));
}

/* --- a head --- */

static void must_read(int err, const char *what, const struct hash *tree)
{
    if (err != OK)
        broken("durable", "the head relies on %s of %.12s: %s", what, hash_hex(tree).s,
               err_name(err));
}

static void end_add(struct oracle_project *p, uint64_t position)
{
    if (p->n_ends == p->cap_ends) {
        p->cap_ends = p->cap_ends == 0 ? 64 : p->cap_ends * 2;
        p->ends = reallocarray(p->ends, p->cap_ends, sizeof(*p->ends));
        if (p->ends == NULL)
            abort();
    }
    p->ends[p->n_ends++] = position;
}

/* One batch: its answers, in their order. */
static void batch_take(struct oracle *o, struct oracle_project *p, const struct batch *batch)
{
    AUTO(arena_release) struct arena arena = {0};
    const struct footer *f = &batch->footer;
    struct landing *landings;
    must_read(chain_records(&o->repo, &p->id, batch, &arena, &landings), "the records",
              &batch->tree_hash);
    if (f->first != p->position || f->hlc <= p->hlc)
        broken("monotone", "a batch begins at %lu, and the one before ended at %lu",
               (unsigned long)f->first, (unsigned long)p->position);
    for (uint32_t i = 0; i < f->n_records; i++) {
        oracle_answer_add(o, p, &landings[i], &batch->tree_hash, f->hlc);
        if (i > 0 && !id16_equal(&landings[i].request, &landings[i - 1].request))
            count(COUNT_BATCH_SHARED);
    }
    if (serial_position(&p->serial) != f->position)
        broken("atomic", "a landing of the batch at %lu has no record",
               (unsigned long)f->position);
    p->position = f->position;
    p->hlc = f->hlc;
    p->tip = batch->tree_hash;
    end_add(p, f->position);
}

static void content_check(struct oracle *o, const struct oracle_project *p,
                          const struct entry *e, struct bytes path)
{
    struct content_reader *reader;
    AUTO_BUF text = {0};
    int err = content_open(&o->repo, &p->id, &e->where, e->size, &e->hash, &reader);
    if (err == OK) {
        err = content_read_at(reader, 0, (size_t)e->size, &text);
        content_close(reader);
    }
    if (err != OK || text.len != e->size)
        broken("named", "the content of %.*s at %lu: %s", (int)path.len,
               (const char *)path.data, (unsigned long)p->position, err_name(err));
}

static const struct entry *model_entry(const struct tree_model *model, struct bytes path)
{
    for (size_t i = 0; i < model->n; i++) {
        if (bytes_equal(model->files[i].path, path))
            return &model->files[i].entry;
    }
    return NULL;
}

/* The tree that the head names is what the answers come to, and each file that is newer than
 * `since` can be read. */
static void tree_check(struct oracle *o, struct oracle_project *p, const struct batch *tip,
                       uint64_t since)
{
    const struct tree_model *model = serial_at(&p->serial, p->position);
    struct tree tree = chain_tree(&o->repo, &p->id, tip);
    struct tree_walk *walk;
    struct bytes path;
    const struct entry *entry;
    size_t files = 0;
    must_read(tree_walk_open(&tree, bytes_str(""), &walk), "the tree", &p->tip);
    int err;
    while ((err = tree_walk_next(walk, &path, &entry)) == OK) {
        if (entry->kind == KIND_DIR)
            continue;
        const struct entry *must = model_entry(model, path);
        files++;
        if (must == NULL || entry->kind != must->kind || entry->mode != must->mode ||
            entry->size != must->size || !hash_equal(&entry->hash, &must->hash))
            broken("rebuild", "%.*s at %lu is not what the answers come to", (int)path.len,
                   (const char *)path.data, (unsigned long)p->position);
        if (entry->stamp != must->stamp)
            broken("rebuild", "the stamp of %.*s at %lu is %lu", (int)path.len,
                   (const char *)path.data, (unsigned long)p->position,
                   (unsigned long)entry->stamp);
        if (entry->stamp > since)
            content_check(o, p, entry, path);
    }
    if (err != ERR_NOT_FOUND)
        must_read(err, "a page", &p->tip);
    tree_walk_close(walk);
    if (files != model->n || tip->footer.files != files)
        broken("rebuild", "a file is missing at %lu", (unsigned long)p->position);
    struct hash content = tree_model_hash(model);
    if (!hash_equal(&content, &tip->footer.root_content))
        broken("rebuild", "the content hash at %lu", (unsigned long)p->position);
}

/* From the new head back to the one before: history is never taken back. */
static void batches_take(struct oracle *o, struct oracle_project *p, const struct batch *tip)
{
    struct hash *found = NULL;
    size_t n = 0;
    uint64_t left = tip->footer.batch + 1;
    for (struct hash at = tip->tree_hash; !hash_equal(&at, &p->tip);) {
        const struct batch *batch;
        if (hash_is_zero(&at) || left-- == 0)
            broken("final", "the head at %lu has forgotten the one at %lu",
                   (unsigned long)tip->footer.position, (unsigned long)p->position);
        must_read(chain_batch(&o->repo, &p->id, &at, &batch), "the batch", &at);
        found = reallocarray(found, n + 1, sizeof(*found));
        if (found == NULL)
            abort();
        found[n++] = at;
        at = batch->footer.prev;
        chain_drop(&o->repo, batch);
    }
    for (; n > 0; n--) {
        const struct batch *batch;
        must_read(chain_batch(&o->repo, &p->id, &found[n - 1], &batch), "the batch", &p->tip);
        batch_take(o, p, batch);
        chain_drop(&o->repo, batch);
    }
    free(found);
}

void oracle_head(struct oracle *o, struct oracle_project *p, struct bytes bytes)
{
    struct head head;
    const struct batch *tip;
    if (head_decode(bytes, &head) != OK)
        broken("named", "a head that is none");
    if (head.position < p->position || head.hlc <= p->hlc)
        broken("monotone", "the head goes from %lu to %lu", (unsigned long)p->position,
               (unsigned long)head.position);
    uint64_t since = p->position;
    must_read(chain_tip(&o->repo, &p->id, &head, &tip), "the footer", &head.tree_hash);
    batches_take(o, p, tip);
    tree_check(o, p, tip, since);
    chain_drop(&o->repo, tip);
    trace("  head of project %u is at %lu", (unsigned)(p - o->projects),
          (unsigned long)p->position);
}

void oracle_project_add(struct oracle *o, const struct id16 *id)
{
    assert(o->n_projects < PROJECTS_MAX);
    struct oracle_project *p = &o->projects[o->n_projects];
    o->ledger->projects[o->n_projects++] = *id;
    *p = (struct oracle_project){.id = *id};
    serial_open(&p->serial);
    struct head head;
    const struct batch *genesis;
    int err = chain_head(&o->repo, id, &head, NULL);
    if (err == OK)
        err = chain_tip(&o->repo, id, &head, &genesis);
    must_read(err, "the genesis", &head.tree_hash);
    p->tip = head.tree_hash;
    p->hlc = head.hlc;
    end_add(p, 0);
    chain_drop(&o->repo, genesis);
}
