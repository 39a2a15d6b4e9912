/* When nothing goes wrong any more and everybody has come to an end. */
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/base/limits.h"
#include "formats/key.h"
#include "pipeline/repo/check/fsck.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/history/landlog.h"
#include "tests/sim/counts.h"
#include "tests/sim/oracle_derive.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_oracle.h"

static size_t keys_under(struct oracle *o, struct arena *arena, const char *prefix,
                         struct store_list *out)
{
    struct store_list list;
    int err = store_list(far_end_mem(o->end), arena, prefix, "", STORE_LIST_MAX, &list);
    if (err != OK)
        broken("durable", "a list of %s: %s", prefix, err_name(err));
    *out = list;
    return list.n;
}

static void queue_final(struct oracle *o)
{
    AUTO(arena_release) struct arena arena = {0};
    struct store_list list;
    for (size_t i = 0; i < keys_under(o, &arena, "queue/", &list); i++) {
        if (key_kind(list.keys[i].key, NULL) == KEY_QUEUE)
            broken("durable", "%s is still in the queue", list.keys[i].key);
    }
}

/* Every request that was accepted has one answer about each of its sessions. */
static void requests_final(struct oracle *o)
{
    for (size_t i = 0; i < o->ledger->n_requests; i++) {
        const struct asked_request *r = o->ledger->requests[i];
        for (size_t k = 0; k < r->n && r->accepted; k++) {
            if (id16_is_zero(&r->id) || oracle_answer(o, &r->sessions[k]->id, &r->id) == NULL)
                broken("durable", "session %s: a request that was accepted has no answer",
                       id16_hex(&r->sessions[k]->id).s);
        }
    }
}

static const struct record *object_record(const struct session *session, const struct id16 *id)
{
    for (size_t i = 0; i < session->n_records; i++) {
        if (id16_equal(&session->records[i].id, id))
            return &session->records[i];
    }
    return NULL;
}

/* The object of one session: open with all that was told to be durable, or retired. */
static void session_final(struct oracle *o, const struct asked_session *s)
{
    AUTO(arena_release) struct arena arena = {0};
    AUTO_BUF bytes = {0};
    struct key key = key_session(&o->projects[s->project].id, &s->id);
    struct session object = {0};
    int err = store_get(far_end_mem(o->end), key.s, range_all(), &bytes, NULL, NULL);
    if (err == OK)
        err = session_decode(buf_bytes(&bytes), &arena, &object);
    if (oracle_closed(o, &s->id) != NULL) {
        if (err == OK && object.state != SESSION_SETTLED)
            broken("final", "session %s is answered for good, and its object is open",
                   id16_hex(&s->id).s);
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->records[i].durable && object_record(&object, &s->records[i].sent.id) == NULL)
            broken("durable", "session %s: a record that was durable is gone",
                   id16_hex(&s->id).s);
    }
}

/* What a landing has written can be read whole, where its entry says that it lies. One that
 * kept its content says only which: that has been read where it was written first. */
static void contents_final(struct oracle_project *p, struct repo *fresh,
                           const struct log_entry *entry)
{
    for (uint32_t i = 0; i < entry->n_effects; i++) {
        const struct log_effect *effect = &entry->effects[i];
        struct content_reader *reader;
        AUTO_BUF plain = {0};
        if (effect->kind != EFFECT_WRITE || effect->where.place == PLACE_NONE)
            continue;
        int err =
            content_open(fresh, &p->id, &effect->where, effect->size, &effect->hash, &reader);
        if (err == OK) {
            err = content_read_at(reader, 0, (size_t)effect->size, &plain);
            content_close(reader);
        }
        struct hash is = sha256(buf_bytes(&plain));
        if (err != OK || plain.len != effect->size || !hash_equal(&is, &effect->hash))
            broken("durable", "what has landed at %lu at %.*s cannot be read: %s",
                   (unsigned long)entry->position, (int)effect->path.len,
                   (const char *)effect->path.data, err_name(err));
    }
}

/* The log as readers see it is what the chain says, and rollups find all of it; read anew by
 * somebody who knows nothing. */
static void log_final(struct oracle *o, struct oracle_project *p)
{
    struct repo fresh;
    struct rng_seeded rng;
    const struct repo_options options = {
        .page_cache_bytes = MIB, .shards = 1, .chunk_size = SIM_CHUNK_SIZE};
    rng_seeded_init(&rng, 1);
    int err = repo_open(&fresh, far_end_mem(o->end), sim_true_clock(), &rng.rng, &options);
    struct landlog *log;
    if (err == OK)
        err = landlog_open(&fresh, &p->id, UINT64_MAX, &log);
    if (err != OK)
        broken("rebuild", "the landing log: %s", err_name(err));
    size_t left = p->n_answers;
    const struct log_entry *entry;
    while ((err = landlog_next(log, &entry)) == OK) {
        const struct known_answer *a = left == 0 ? NULL : p->answers[--left];
        if (a == NULL || !id16_equal(&a->session, &entry->session) ||
            !id16_equal(&a->request, &entry->request) || a->verdict != entry->verdict ||
            a->position != entry->position)
            broken("rebuild", "the landing log at %lu is not what the chain says",
                   (unsigned long)entry->position);
        contents_final(p, &fresh, entry);
    }
    if (err != ERR_NOT_FOUND || left > 0)
        broken("rebuild", "the landing log ends with %zu answers left: %s", left,
               err_name(err));
    landlog_close(log);
    oracle_rollups_final(p, &fresh);
    repo_close(&fresh);
}

static void found(void *arg, const struct fsck_finding *finding)
{
    (void)arg;
    bool lacks = strcmp(finding->problem, "blob_missing") == 0 &&
                 strstr(finding->detail, "/derive/") != NULL &&
                 oracle_derive_may_lack(finding->key);
    if (finding->damage && !lacks)
        broken(finding->invariant, "the check of the bucket: %s: %s: %s", finding->problem,
               finding->key, finding->detail);
}

/* What the bucket holds at the end is in order, down to each page and content. */
static void bucket_final(struct oracle *o)
{
    struct rng_seeded rng;
    struct fsck_counts counts;
    const struct fsck_options options = {.deep = true, .page_cache_bytes = MIB, .found = found};
    rng_seeded_init(&rng, 1);
    int err = fsck_run(far_end_mem(o->end), sim_true_clock(), &rng.rng, &options, &counts);
    if (err != OK)
        broken("named", "the check of the bucket: %s", err_name(err));
}

void oracle_final(struct oracle *o)
{
    queue_final(o);
    requests_final(o);
    for (size_t i = 0; i < o->ledger->n; i++) {
        const struct asked_session *s = o->ledger->all[i];
        if (!s->whole && !id16_is_zero(&s->id))
            session_final(o, s);
    }
    for (unsigned i = 0; i < o->n_projects; i++)
        log_final(o, &o->projects[i]);
    bucket_final(o);
}
