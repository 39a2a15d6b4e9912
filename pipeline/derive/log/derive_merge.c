#include "pipeline/derive/log/derive_merge.h"

#include "formats/derive_object.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/derived/derive_segments.h"

#define AT_ONCE 64u
/* So that a head never meets DERIVE_HEAD_MAX, be each object a run by itself. */
#define OBJECTS_MAX 32768u

/* An object that lies by itself. */
struct loose {
    uint64_t agent;
    uint64_t seq;
    uint64_t size;
    uint64_t put_ms;
    bool old;     /* enough to be merged */
    bool merged;  /* a segment has it, that is durable */
    uint32_t len; /* of what was read of it */
};

struct covered {
    uint64_t agent;
    uint64_t first;
    uint64_t last;
};

struct merge {
    struct repo *repo;
    struct id16 project;
    const struct derive_merge_options *options;
    struct derive_merge_report *report;
    struct arena arena;
    struct covered *covered;
    size_t n_covered;
    size_t cap_covered;
    uint64_t last; /* number of the newest segment */
    struct loose *loose;
    size_t n_loose;
    size_t cap_loose;
    /* What goes into the segment that is made, and its bytes. */
    struct loose **chosen;
    size_t n_chosen;
    struct buf objects;
};

/* --- what there is --- */

static int segment_known(struct merge *m, uint64_t number)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    struct key key = key_derive_segment(&m->project, number);
    int err = derive_segment_read(m->repo, &m->project, number, &arena, &segment);
    if (err != OK)
        return damage_of(m->repo, key.s, err);
    for (uint32_t i = 0; i < segment.n; i++) {
        const struct derive_run *run = &segment.runs[i];
        struct covered *c = arena_push(&m->arena, (void **)&m->covered, &m->n_covered,
                                       &m->cap_covered, sizeof(*c));
        *c = (struct covered){
            .agent = run->agent, .first = run->first, .last = run->first + run->n - 1};
    }
    m->last = number > m->last ? number : m->last;
    return OK;
}

static bool is_covered(const struct merge *m, uint64_t agent, uint64_t seq)
{
    for (size_t i = 0; i < m->n_covered; i++) {
        const struct covered *c = &m->covered[i];
        if (c->agent == agent && c->first <= seq && seq <= c->last)
            return true;
    }
    return false;
}

static int key_take(struct merge *m, const struct store_key *key)
{
    uint64_t agent;
    uint64_t seq;
    if (key_derive_segment_parse(key->key, &seq) == OK)
        return segment_known(m, seq);
    if (key_derive_parse(key->key, &agent, &seq) != OK)
        return OK;
    struct loose *loose =
        arena_push(&m->arena, (void **)&m->loose, &m->n_loose, &m->cap_loose, sizeof(*loose));
    *loose =
        (struct loose){.agent = agent, .seq = seq, .size = key->size, .put_ms = key->put_ms};
    return OK;
}

/* Objects, and then segments: they are listed last. */
static int all_list(struct merge *m)
{
    struct key prefix = key_derive_prefix(&m->project);
    const char *after = "";
    struct store_list list = {.more = true};
    while (list.more) {
        int err = store_list(m->repo->store, &m->arena, prefix.s, after, STORE_LIST_MAX, &list);
        for (size_t i = 0; i < list.n && err == OK; i++) {
            err = key_take(m, &list.keys[i]);
            after = list.keys[i].key;
        }
        if (err != OK)
            return err;
        list.more = list.more && list.n > 0;
    }
    return OK;
}

/* One without a date is as young as can be. */
static void old_mark(struct merge *m)
{
    uint64_t now_ms = store_date_ms(m->repo->store);
    uint64_t age_ms = m->options->age_ms;
    for (size_t i = 0; i < m->n_loose; i++) {
        struct loose *loose = &m->loose[i];
        loose->old =
            loose->put_ms > 0 && now_ms > loose->put_ms && now_ms - loose->put_ms > age_ms;
        loose->merged = loose->old && is_covered(m, loose->agent, loose->seq);
    }
}

/* --- the segment --- */

static bool object_ok(const struct merge *m, const struct loose *loose, struct bytes encoded)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    return derive_object_decode(encoded, &arena, &object) == OK &&
           object.agent == loose->agent && object.seq == loose->seq &&
           id16_equal(&object.project, &m->project);
}

/* Reads those that wait, and appends those that are whole. One that is damaged stays where it
 * is; one that is gone has been merged by another. */
static int some_read(struct merge *m, struct loose **wait, size_t n)
{
    struct store_op ops[AT_ONCE];
    struct buf bodies[AT_ONCE] = {0};
    struct key keys[AT_ONCE];
    int err = OK;
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_derive(&m->project, wait[i]->agent, wait[i]->seq);
        ops[i] = (struct store_op){
            .verb = STORE_GET, .key = keys[i].s, .range = range_all(), .body = &bodies[i]};
    }
    (void)!store_many(m->repo->store, ops, n); /* each has its own outcome */
    for (size_t i = 0; i < n; i++) {
        int read = ops[i].err;
        if (read == OK && !object_ok(m, wait[i], buf_bytes(&bodies[i])))
            read = ERR_CORRUPT;
        int what = damage_unless_absent(m->repo, keys[i].s, read);
        if (what == OK) {
            wait[i]->len = (uint32_t)bodies[i].len;
            buf_append_bytes(&m->objects, buf_bytes(&bodies[i]));
            m->chosen[m->n_chosen++] = wait[i];
        } else if (what != ERR_NOT_FOUND && what != ERR_CORRUPT && err == OK) {
            err = what;
        }
        buf_release(&bodies[i]);
    }
    return err;
}

static bool is_wanted(const struct loose *loose)
{
    return loose->old && !loose->merged;
}

/* The objects of the next segment, as many as go into one. */
static int objects_read(struct merge *m)
{
    struct loose *wait[AT_ONCE];
    size_t n = 0;
    uint64_t bytes = 0;
    int err = OK;
    m->chosen = arena_array(&m->arena, OBJECTS_MAX, struct loose *);
    for (size_t i = 0; i < m->n_loose && err == OK; i++) {
        struct loose *loose = &m->loose[i];
        if (!is_wanted(loose))
            continue;
        if (m->n_chosen + n == OBJECTS_MAX ||
            (m->n_chosen + n > 0 && bytes + loose->size > m->options->bytes_max))
            break;
        bytes += loose->size;
        wait[n++] = loose;
        if (n == AT_ONCE) {
            err = some_read(m, wait, n);
            n = 0;
        }
    }
    return err == OK && n > 0 ? some_read(m, wait, n) : err;
}

static void head_make(struct merge *m, struct buf *out)
{
    struct derive_segment segment = {.project = m->project, .number = m->last + 1};
    uint32_t *lens = arena_array(&m->arena, m->n_chosen, uint32_t);
    segment.runs = arena_array(&m->arena, m->n_chosen, struct derive_run);
    for (size_t i = 0; i < m->n_chosen; i++) {
        const struct loose *loose = m->chosen[i];
        struct derive_run *run = segment.n > 0 ? &segment.runs[segment.n - 1] : NULL;
        if (run == NULL || run->agent != loose->agent || run->first + run->n != loose->seq) {
            run = &segment.runs[segment.n++];
            *run = (struct derive_run){
                .agent = loose->agent, .first = loose->seq, .lens = &lens[i]};
        }
        lens[i] = loose->len;
        run->n++;
    }
    derive_segment_encode(&segment, out);
}

/* Whether the bytes are what lies under the number now. ERR_AGAIN: another's do, or none. */
static int compare(struct merge *m, const struct key *key, struct bytes bytes)
{
    AUTO_BUF there = {0};
    int err = store_get(m->repo->store, key->s, range_all(), &there, NULL, NULL);
    if (err == OK && !bytes_equal(buf_bytes(&there), bytes))
        return ERR_AGAIN;
    return err == ERR_NOT_FOUND ? ERR_AGAIN : err;
}

static int segment_put(struct merge *m)
{
    AUTO_BUF bytes = {0};
    struct key key = key_derive_segment(&m->project, m->last + 1);
    head_make(m, &bytes);
    buf_append_bytes(&bytes, buf_bytes(&m->objects));
    int err = store_put(m->repo->store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL);
    /* Once more: that tells, as often as not. Where it does not, the next run finds what it
     * has. */
    if (err == ERR_UNKNOWN)
        err = store_put(m->repo->store, key.s, buf_bytes(&bytes), PUT_IF_ABSENT, NULL);
    if (err == ERR_CONFLICT)
        err = compare(m, &key, buf_bytes(&bytes));
    return err;
}

static int segment_make(struct merge *m)
{
    size_t wanted = 0;
    for (size_t i = 0; i < m->n_loose; i++)
        wanted += is_wanted(&m->loose[i]);
    if (wanted == 0 || wanted < m->options->objects_min)
        return OK;
    int err = objects_read(m);
    if (err == OK && m->n_chosen > 0)
        err = segment_put(m);
    if (err != OK)
        return err;
    for (size_t i = 0; i < m->n_chosen; i++)
        m->chosen[i]->merged = true;
    m->report->segments = m->n_chosen > 0;
    m->report->objects = m->n_chosen;
    m->report->more = m->n_chosen > 0 && wanted - m->n_chosen >= m->options->objects_min;
    return OK;
}

/* --- what a segment has --- */

static int some_delete(struct merge *m, const struct key *keys, size_t n)
{
    struct store_op ops[AT_ONCE];
    for (size_t i = 0; i < n; i++)
        ops[i] = (struct store_op){.verb = STORE_DELETE, .key = keys[i].s};
    int err = store_many(m->repo->store, ops, n);
    for (size_t i = 0; i < n; i++)
        m->report->deleted += ops[i].err == OK;
    return err;
}

static int merged_delete(struct merge *m)
{
    struct key keys[AT_ONCE];
    size_t n = 0;
    int err = OK;
    for (size_t i = 0; i < m->n_loose && err == OK; i++) {
        if (!m->loose[i].merged)
            continue;
        keys[n++] = key_derive(&m->project, m->loose[i].agent, m->loose[i].seq);
        if (n == AT_ONCE) {
            err = some_delete(m, keys, n);
            n = 0;
        }
    }
    return err == OK && n > 0 ? some_delete(m, keys, n) : err;
}

int derive_merge(struct repo *repo, const struct id16 *project,
                 const struct derive_merge_options *options, struct derive_merge_report *report)
{
    struct merge m = {.repo = repo, .project = *project, .options = options, .report = report};
    *report = (struct derive_merge_report){0};
    int err = all_list(&m);
    if (err == OK) {
        old_mark(&m);
        err = segment_make(&m);
    }
    if (err == OK)
        err = merged_delete(&m);
    buf_release(&m.objects);
    arena_release(&m.arena);
    return err;
}
