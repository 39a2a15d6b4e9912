/* The derive log names uploaded leaves, and the tree objects in which trees lie that are used
 * by their content. Objects first, then segments: that is how they move. */
#include <stdlib.h>

#include "formats/derive_object.h"
#include "pipeline/repo/collect/reach.h"
#include "pipeline/repo/derived/derive_segments.h"

/* How many lists, each of which reads what it has not read, until one of which nothing was
 * gone. */
#define LISTS_MAX 64u

/* All of an agent's objects up to `seq`, from the first that was there, have been read. */
struct reach_agent {
    uint64_t agent;
    uint64_t seq;
};

struct derive_walk_state {
    struct reach *reach;
    struct fsck_gets gets;
    bool gone; /* one that was listed */
};

/* --- what was read --- */

static struct reach_agent *agent_of(struct reach *reach, uint64_t agent)
{
    struct reach_agent *agents = (struct reach_agent *)(void *)reach->derive_agents.data;
    size_t n = reach->derive_agents.len / sizeof(*agents);
    /* They are listed in order, so it is most likely the last one. */
    for (size_t i = n; i > 0; i--) {
        if (agents[i - 1].agent == agent)
            return &agents[i - 1];
    }
    return NULL;
}

static bool was_read(struct reach *reach, uint64_t agent, uint64_t seq)
{
    const struct reach_agent *known = agent_of(reach, agent);
    return known != NULL && seq <= known->seq;
}

/* A list may lack a number and have the one behind it: what was read counts only up to where
 * all was. */
static void note_read(struct reach *reach, uint64_t agent, uint64_t seq)
{
    struct reach_agent *known = agent_of(reach, agent);
    struct reach_agent fresh = {.agent = agent, .seq = seq};
    if (known != NULL)
        known->seq += seq == known->seq + 1;
    else if (seq == 1)
        buf_append(&reach->derive_agents, &fresh, sizeof(fresh));
}

/* --- taking --- */

static void item_mark(struct reach *reach, const struct derive_item *item)
{
    if (item->kind == DERIVE_UPLOAD)
        reach_blob(reach, &item->address, item->size > reach->repo->bucket.chunk_size);
    else if (item->kind == DERIVE_TREE)
        reach_tree(reach, &item->where.tree);
}

static int object_mark(struct reach *reach, const char *key, uint64_t agent, uint64_t seq,
                       struct bytes encoded)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    if (derive_object_decode(encoded, &arena, &object) != OK || object.agent != agent ||
        object.seq != seq || !id16_equal(&object.project, &reach->project))
        return reach_damaged(reach, key);
    for (uint32_t i = 0; i < object.n; i++)
        item_mark(reach, &object.items[i]);
    reach->counts.derive_objects++;
    return OK;
}

static int run_mark(struct reach *reach, const struct derive_segment *segment,
                    const struct derive_run *run, const char *key)
{
    AUTO_BUF bytes = {0};
    size_t at = 0;
    int err = derive_run_read(reach->repo, segment, run, 0, run->n, &bytes);
    if (err != OK)
        return fsck_is_damage(err) ? reach_damaged(reach, key) : err;
    for (uint32_t i = 0; i < run->n && err == OK; i++) {
        struct bytes object = bytes_of(bytes.data + at, run->lens[i]);
        err = object_mark(reach, key, run->agent, run->first + i, object);
        at += run->lens[i];
    }
    return err;
}

static int segment_mark(struct reach *reach, uint64_t number)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    struct key key = key_derive_segment(&reach->project, number);
    int err = derive_segment_read(reach->repo, &reach->project, number, &arena, &segment);
    if (err != OK)
        return fsck_is_damage(err) ? reach_damaged(reach, key.s) : err;
    for (uint32_t i = 0; i < segment.n && err == OK; i++)
        err = run_mark(reach, &segment, &segment.runs[i], key.s);
    if (err == OK && number == reach->derive_segments + 1)
        reach->derive_segments = number;
    return err;
}

/* --- walking --- */

static int wave_run(struct derive_walk_state *walk)
{
    struct reach *reach = walk->reach;
    int err = fsck_gets_run(&reach->fsck, &walk->gets);
    for (size_t i = 0; i < walk->gets.n && err == OK; i++) {
        const struct store_op *op = &walk->gets.ops[i];
        uint64_t agent = 0;
        uint64_t seq = 0;
        if (op->err == ERR_NOT_FOUND) {
            walk->gone = true;
            continue;
        }
        if (op->err != OK || key_derive_parse(op->key, &agent, &seq) != OK)
            return reach_damaged(reach, op->key);
        err = object_mark(reach, op->key, agent, seq, buf_bytes(op->body));
        if (err == OK)
            note_read(reach, agent, seq);
    }
    fsck_gets_clear(&walk->gets);
    return err;
}

static int object_add(struct derive_walk_state *walk, const struct store_key *key,
                      uint64_t agent, uint64_t seq)
{
    struct fsck_gets *gets = &walk->gets;
    int err = OK;
    if (gets->n > 0 && (gets->n == FSCK_AT_ONCE || gets->bytes + key->size > FSCK_BYTES))
        err = wave_run(walk);
    struct key name = key_derive(&walk->reach->project, agent, seq);
    if (err == OK)
        (void)fsck_gets_add(gets, &name, range_all());
    gets->bytes += key->size;
    return err;
}

static int list_once(struct derive_walk_state *walk)
{
    struct reach *reach = walk->reach;
    struct key prefix = key_derive_prefix(&reach->project);
    AUTO(fsck_keys_release)
    struct fsck_keys keys = {.store = reach->repo->store, .prefix = prefix.s};
    const struct store_key *key;
    int err;
    walk->gone = false;
    while ((err = fsck_keys_next(&keys, &key)) == OK) {
        uint64_t agent;
        uint64_t seq;
        if (key_derive_parse(key->key, &agent, &seq) == OK) {
            if (!was_read(reach, agent, seq))
                err = object_add(walk, key, agent, seq);
        } else if (key_derive_segment_parse(key->key, &seq) == OK) {
            if (seq > reach->derive_segments)
                err = segment_mark(reach, seq);
        }
        if (err != OK)
            return err;
    }
    return err == ERR_NOT_FOUND ? wave_run(walk) : err;
}

int reach_derive(struct reach *reach)
{
    struct derive_walk_state walk = {.reach = reach, .gone = true};
    int err = OK;
    for (unsigned i = 0; err == OK && walk.gone; i++)
        err = i < LISTS_MAX ? list_once(&walk) : ERR_AGAIN;
    fsck_gets_clear(&walk.gets);
    return err;
}
