#include "tests/sim/oracle_derive.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/derive_segment.h"
#include "formats/key.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim.h"

/* An object, by what its agent put. */
struct object_known {
    uint64_t sum;
    uint64_t len;
    uint64_t segment; /* that has it; 0: none */
};

struct agent_known {
    struct agent_known *next;
    struct id16 project;
    uint64_t agent;
    uint64_t seq; /* up to here all have come */
};

static struct {
    struct id_table rows[DERIVED_CLASSES]; /* by project and half of the address */
    struct id_table lists;                 /* of a project: struct derived_row *[CLASSES] */
    struct id_table objects;               /* by project, and agent and number */
    struct agent_known *agents;
    /* Of memos that clients told, by cost. */
    bool came[MEMO_COSTS];
    bool refused[MEMO_COSTS];
} known;

/* --- what it knows --- */

static struct id16 half_of(const struct hash *hash)
{
    struct id16 half;
    memcpy(half.b, hash->b, sizeof(half.b));
    return half;
}

struct derived_row *derived_row_find(enum derived_class class, const struct id16 *project,
                                     const struct hash *address)
{
    struct id16 half = half_of(address);
    return id_table_find(&known.rows[class], project, &half);
}

static struct derived_row **list_of(enum derived_class class, const struct id16 *project)
{
    struct derived_row **lists = id_table_find(&known.lists, project, NULL);
    if (lists == NULL)
        lists = id_table_new(&known.lists, project, &(struct id16){{0}},
                             DERIVED_CLASSES * sizeof(struct derived_row *));
    return &lists[class];
}

struct derived_row *derived_rows(enum derived_class class, const struct id16 *project)
{
    return *list_of(class, project);
}

static struct derived_row *row_of(enum derived_class class, const struct id16 *project,
                                  const struct hash *address)
{
    struct derived_row *row = derived_row_find(class, project, address);
    if (row != NULL)
        return row;
    struct id16 half = half_of(address);
    struct derived_row **list = list_of(class, project);
    row = id_table_new(&known.rows[class], project, &half, sizeof(*row));
    *row =
        (struct derived_row){.address = *address, .durable_us = world_now_us(), .next = *list};
    *list = row;
    return row;
}

static struct object_known *object_of(const struct id16 *project, uint64_t agent, uint64_t seq,
                                      bool make)
{
    struct id16 name;
    memcpy(name.b, &agent, sizeof(agent));
    memcpy(name.b + sizeof(agent), &seq, sizeof(seq));
    struct object_known *object = id_table_find(&known.objects, project, &name);
    return object != NULL || !make
               ? object
               : id_table_new(&known.objects, project, &name, sizeof(*object));
}

bool derived_merged(const struct id16 *project, uint64_t agent, uint64_t seq)
{
    const struct object_known *object = object_of(project, agent, seq, false);
    return object != NULL && object->segment > 0;
}

static struct agent_known *agent_of(const struct id16 *project, uint64_t agent)
{
    struct agent_known *at = known.agents;
    while (at != NULL && (at->agent != agent || !id16_equal(&at->project, project)))
        at = at->next;
    if (at != NULL)
        return at;
    at = calloc(1, sizeof(*at));
    if (at == NULL)
        abort();
    *at = (struct agent_known){.next = known.agents, .project = *project, .agent = agent};
    known.agents = at;
    return at;
}

void derived_agents(const struct id16 *project,
                    void (*each)(void *arg, uint64_t agent, uint64_t seq), void *arg)
{
    for (const struct agent_known *at = known.agents; at != NULL; at = at->next) {
        if (id16_equal(&at->project, project))
            each(arg, at->agent, at->seq);
    }
}

enum derived_class derived_class_of(enum derive_kind kind)
{
    switch (kind) {
    case DERIVE_RECIPE:
        return DERIVED_RECIPES;
    case DERIVE_LEAF:
    case DERIVE_UPLOAD:
        return DERIVED_LEAVES;
    case DERIVE_MEMO:
        return DERIVED_MEMOS;
    case DERIVE_PIN:
    case DERIVE_UNPIN:
        return DERIVED_PINS;
    case DERIVE_TREE:
    case DERIVE_QUARANTINE:
    case DERIVE_CHUNKS:
        break;
    }
    return DERIVED_CLASSES;
}

static int number_compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int told_when_compare(const struct told_when *a, const struct told_when *b)
{
    int order = number_compare(a->hlc, b->hlc);
    order = order != 0 ? order : number_compare(a->agent, b->agent);
    order = order != 0 ? order : number_compare(a->seq, b->seq);
    return order != 0 ? order : number_compare(a->item, b->item);
}

/* --- what was refused --- */

static void refused_check(uint64_t cost)
{
    if (known.came[cost] && known.refused[cost])
        broken("final", "a memo has come that was answered as not taken");
}

void oracle_derive_refused(const struct derive_item *item, const struct process *node)
{
    if (item->kind != DERIVE_MEMO)
        return;
    trace("%s: memo %lu was not taken", node->name, (unsigned long)item->memo.cost_us);
    known.refused[item->memo.cost_us] = true;
    refused_check(item->memo.cost_us);
}

/* --- an object --- */

static struct bytes bytes_keep(struct bytes bytes)
{
    return arena_copy(client_arena(), bytes);
}

static void memo_take(struct derived_row *row, const struct derive_item *item,
                      const struct told_when *when)
{
    AUTO_BUF body = {0};
    struct reader r;
    bool first = row->memo.len == 0;
    if (!first) {
        rd_init(&r, row->memo);
        struct memo there = memo_read(&r);
        bool differs = !hash_equal(&there.output, &item->memo.output);
        if (differs && !row->differs)
            count(COUNT_DERIVE_QUARANTINED);
        row->differs = row->differs || differs;
    }
    if (!first && told_when_compare(when, &row->when) > 0)
        return;
    memo_write(&body, &item->memo);
    row->memo = bytes_keep(buf_bytes(&body));
    row->when = *when;
}

static void pin_take(struct derived_row *row, const struct derive_item *item,
                     const struct told_when *when)
{
    row->changes++;
    if (row->changes > 1 && told_when_compare(when, &row->when) < 0)
        return;
    row->pinned = item->kind == DERIVE_PIN;
    row->when = *when;
    if (!row->pinned)
        count(COUNT_DERIVE_UNPINNED);
}

static void item_take(struct oracle *o, const struct id16 *project,
                      const struct derive_item *item, const struct told_when *when)
{
    static const struct id16 for_ever = {{0xde}};
    enum derived_class class = derived_class_of(item->kind);
    if (class == DERIVED_CLASSES)
        return;
    struct derived_row *row = row_of(class, project, &item->address);
    if (item->kind == DERIVE_RECIPE && row->canonical.len == 0)
        row->canonical = bytes_keep(item->data);
    if (item->kind == DERIVE_LEAF)
        row->size = item->data.len;
    if (item->kind == DERIVE_MEMO)
        memo_take(row, item, when);
    if (item->kind == DERIVE_MEMO && thing_is_memo(&item->memo)) {
        known.came[item->memo.cost_us] = true;
        refused_check(item->memo.cost_us);
    }
    if (class == DERIVED_PINS)
        pin_take(row, item, when);
    if (item->kind != DERIVE_UPLOAD)
        return;
    struct record names = {.kind = RECORD_OPERATION};
    names.operation.op = OP_WRITE;
    names.operation.content =
        (struct content){.hash = item->address, .size = item->size, .carrier = CARRIER_BLOB};
    row->size = item->size;
    row->uploaded = true;
    oracle_upload_named(o, project, &for_ever, &names);
}

static void object_put(struct oracle *o, const struct id16 *project, const char *key,
                       struct bytes old, struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    uint64_t agent;
    uint64_t seq;
    if (key_derive_parse(key, &agent, &seq) != OK ||
        derive_object_decode(data, &arena, &object) != OK || object.agent != agent ||
        object.seq != seq || !id16_equal(&object.project, project))
        broken("named", "a derive object that is none: %s", key);
    if (old.len > 0 && !bytes_equal(old, data))
        broken("final", "a derive object is put again, as another: %s", key);
    struct agent_known *at = agent_of(project, agent);
    if (seq > at->seq + 1)
        broken("durable", "%s has come, and number %lu of its agent never has", key,
               (unsigned long)at->seq + 1);
    struct object_known *there = object_of(project, agent, seq, true);
    uint64_t sum = xxh3_64(data);
    if (there->len > 0 && (there->sum != sum || there->len != data.len))
        broken("final", "a number has two objects: %s", key);
    if (there->segment > 0)
        count(COUNT_DERIVE_LATE);
    if (seq <= at->seq)
        return;
    at->seq = seq;
    *there = (struct object_known){.sum = sum, .len = data.len};
    if (object.n > DERIVE_AT_ONCE)
        count(COUNT_DERIVE_SHARED);
    for (uint32_t i = 0; i < object.n; i++) {
        struct told_when when = {object.hlc, agent, seq, i};
        item_take(o, project, &object.items[i], &when);
    }
}

/* --- a segment --- */

static void merged_check(const struct derive_segment *segment, const struct derive_run *run,
                         uint32_t i, struct bytes object, const char *key)
{
    uint64_t seq = run->first + i;
    struct object_known *there = object_of(&segment->project, run->agent, seq, false);
    if (there == NULL || there->sum != xxh3_64(object) || there->len != object.len)
        broken("named", "%s has number %lu of an agent as nobody put it", key,
               (unsigned long)seq);
    if (there->segment > 0 && there->segment != segment->number)
        broken("final", "%s has what segment %lu has", key, (unsigned long)there->segment);
    there->segment = segment->number;
}

static void segment_put(const struct id16 *project, const char *key, struct bytes old,
                        struct bytes data)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    uint64_t number;
    uint32_t head;
    if (key_derive_segment_parse(key, &number) != OK ||
        derive_segment_head_len(data, &head) != OK || head > data.len ||
        derive_segment_decode(bytes_of(data.data, head), &arena, &segment) != OK ||
        !id16_equal(&segment.project, project) || segment.number != number ||
        derive_segment_size(&segment, head) != data.len)
        broken("named", "a segment of a derive log that is none: %s", key);
    if (old.len > 0 && !bytes_equal(old, data))
        broken("final", "a segment is put again, as another: %s", key);
    size_t at = head;
    for (uint32_t i = 0; i < segment.n; i++) {
        const struct derive_run *run = &segment.runs[i];
        for (uint32_t k = 0; k < run->n; k++) {
            merged_check(&segment, run, k, bytes_of(data.data + at, run->lens[k]), key);
            at += run->lens[k];
        }
    }
    if (old.len == 0)
        count(COUNT_DERIVE_MERGED);
}

/* --- effects --- */

void oracle_derive_put(struct oracle *o, const struct id16 *project, const char *key,
                       enum key_kind kind, struct bytes old, struct bytes data)
{
    if (kind == KEY_DERIVE)
        object_put(o, project, key, old, data);
    else
        segment_put(project, key, old, data);
}

void oracle_derive_deleting(const struct id16 *project, const char *key)
{
    uint64_t agent;
    uint64_t seq;
    if (key_derive_parse(key, &agent, &seq) != OK || !derived_merged(project, agent, seq))
        broken("durable", "deleted of a derive log: %s", key);
}

void oracle_derive_told(struct oracle *o, const struct id16 *project,
                        const struct derive_item *item, const struct process *node)
{
    enum derived_class class = derived_class_of(item->kind);
    struct derived_row *row = derived_row_find(class, project, &item->address);
    if (row == NULL)
        broken("durable", "%s has answered a put, and no object has what was put", node->name);
    if (item->kind == DERIVE_UPLOAD)
        oracle_leaf_told(o, project, &item->address);
    if (row->told_us > 0)
        return;
    row->told_us = world_now_us();
    row->by = node;
    row->by_life = node->line.life;
}
