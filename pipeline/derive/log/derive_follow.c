#include "pipeline/derive/log/derive_follow.h"

#include <stdio.h>

#include "formats/base/limits.h"
#include "pipeline/derive/log/derive_look.h"
#include "pipeline/repo/damage.h"

/* Keys that a list asks for: few where it looks whether there is anything, many where there is.
 */
#define LIST_LOOKS 100u
/* Numbers in holes of one agent that are tried again side by side. Nobody has told how large
 * they are. */
#define AGAIN_MAX   8u
#define AGAIN_BYTES (LOOK_BYTES / AGAIN_MAX)

/* --- taking --- */

int look_miss(struct look *look, uint64_t agent, uint64_t last, int err)
{
    struct derive_at *at = derive_cursor_get(look->cursor, agent);
    at->held = at->held || derive_at_missed(at, last, err) != OK;
    return OK;
}

static int object_check(const struct look *look, uint64_t agent, uint64_t seq,
                        struct bytes encoded, struct arena *arena, struct derive_object *out)
{
    int err = derive_object_decode(encoded, arena, out);
    if (err != OK)
        return err;
    bool same =
        id16_equal(&out->project, &look->project) && out->agent == agent && out->seq == seq;
    return same ? OK : ERR_CORRUPT;
}

int look_take(struct look *look, uint64_t agent, uint64_t seq, struct bytes encoded, int err)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_object object;
    struct derive_at *at = derive_cursor_get(look->cursor, agent);
    struct repo *repo = look->repo;
    if (at->held || !derive_at_wants(at, seq))
        return OK;
    if (err == OK)
        err = object_check(look, agent, seq, encoded, &arena, &object);
    if (look_is_damage(err))
        return seq > at->seq ? look_miss(look, agent, seq, err) : OK;
    if (err == OK)
        err = look->take(look->arg, &object, encoded);
    if (err != OK)
        return err;
    if (!hlc_too_far(object.hlc, repo->clock->wall_ms(repo->clock), CLOCK_SKEW_MAX_MS))
        repo_hlc_seen(repo, object.hlc);
    derive_at_took(at, seq);
    return OK;
}

/* --- fetching --- */

static int fetches_run(struct look *look)
{
    struct store_op ops[LOOK_AT_ONCE];
    int err = OK;
    for (size_t i = 0; i < look->n; i++)
        ops[i] = (struct store_op){.verb = STORE_GET,
                                   .key = look->fetches[i].key.s,
                                   .range = range_all(),
                                   .body = &look->fetches[i].body};
    if (look->n > 0)
        (void)!store_many(look->repo->store, ops, look->n); /* each has its own outcome */
    for (size_t i = 0; i < look->n; i++) {
        struct look_fetch *fetch = &look->fetches[i];
        look->gone = look->gone || ops[i].err == ERR_NOT_FOUND;
        if (err == OK)
            err =
                look_take(look, fetch->agent, fetch->seq, buf_bytes(&fetch->body), ops[i].err);
        buf_release(&fetch->body);
    }
    look->n = 0;
    look->bytes = 0;
    return err;
}

static int fetch_add(struct look *look, uint64_t agent, uint64_t seq, uint64_t size)
{
    int err = OK;
    if (look->n > 0 && (look->n == LOOK_AT_ONCE || look->bytes + size > LOOK_BYTES))
        err = fetches_run(look);
    look->fetches[look->n++] = (struct look_fetch){
        .agent = agent, .seq = seq, .key = key_derive(&look->project, agent, seq)};
    look->bytes += size;
    return err;
}

/* --- listing --- */

/* The number that comes after those that are read and those that are about to be. */
static uint64_t next_of(const struct look *look, uint64_t agent)
{
    if (look->n > 0 && look->fetches[look->n - 1].agent == agent)
        return look->fetches[look->n - 1].seq + 1;
    const struct derive_at *at = derive_cursor_find(look->cursor, agent);
    return at == NULL ? 1 : at->seq + 1;
}

/* An object that was listed. `*news`: it is to be read. */
static int object_listed(struct look *look, uint64_t agent, uint64_t seq, uint64_t size,
                         bool *news)
{
    uint64_t next = next_of(look, agent);
    if (seq < next)
        return OK;
    *news = true;
    int err = OK;
    if (seq > next) {
        /* What is missing before it has been merged, or has come while it was listed. */
        err = fetches_run(look);
        if (err == OK)
            err = look_miss(look, agent, seq - 1, ERR_NOT_FOUND);
    }
    return err == OK ? fetch_add(look, agent, seq, size) : err;
}

static int segment_listed(struct look *look, uint64_t number, bool *news)
{
    struct derive_at *at = &look->cursor->segments;
    if (number <= at->seq)
        return OK;
    *news = true;
    int err = fetches_run(look);
    if (err == OK && number > at->seq + 1)
        at->held = at->held || derive_at_missed(at, number - 1, ERR_NOT_FOUND) != OK;
    return err == OK ? look_segment(look, number) : err;
}

static int key_listed(struct look *look, const struct store_key *key, bool *news)
{
    uint64_t agent;
    uint64_t seq;
    if (key_derive_parse(key->key, &agent, &seq) == OK)
        return object_listed(look, agent, seq, key->size, news);
    if (key_derive_segment_parse(key->key, &seq) == OK)
        return segment_listed(look, seq, news);
    return OK;
}

/* Where the next list begins: behind all that is read of the agent that this one ended with. */
static struct key after_of(const struct look *look, const char *last)
{
    struct key after;
    uint64_t agent;
    uint64_t seq;
    (void)snprintf(after.s, sizeof(after.s), "%s", last);
    if (key_derive_parse(last, &agent, &seq) == OK && seq < next_of(look, agent))
        return key_derive(&look->project, agent, next_of(look, agent) - 1);
    if (key_derive_segment_parse(last, &seq) == OK && seq < look->cursor->segments.seq)
        return key_derive_segment(&look->project, look->cursor->segments.seq);
    return after;
}

static int lists_run(struct look *look, struct key prefix)
{
    struct key after = {.s = ""};
    size_t max = LIST_LOOKS;
    int err = OK;
    struct store_list list = {.more = true};
    while (err == OK && list.more) {
        AUTO(arena_release) struct arena arena = {0};
        bool news = false;
        err = store_list(look->repo->store, &arena, prefix.s, after.s, max, &list);
        for (size_t i = 0; err == OK && i < list.n; i++)
            err = key_listed(look, &list.keys[i], &news);
        if (err != OK || list.n == 0)
            break;
        after = after_of(look, list.keys[list.n - 1].key);
        max = news ? STORE_LIST_MAX : LIST_LOOKS;
    }
    int last = err == OK ? fetches_run(look) : OK;
    return err != OK ? err : last;
}

/* --- holes --- */

/* The first numbers in holes; gives how many. */
static size_t holes_first(const struct derive_at *at, uint64_t seqs[static AGAIN_MAX])
{
    size_t n = 0;
    for (uint32_t k = 0; k < at->n_holes; k++) {
        for (uint64_t seq = at->holes[k].first; seq <= at->holes[k].last; seq++) {
            if (n == AGAIN_MAX)
                return n;
            seqs[n++] = seq;
        }
    }
    return n;
}

/* Tries again what was missing or damaged, as long as that helps. */
static int holes_read(struct look *look, uint64_t agent)
{
    const struct derive_at *at = derive_cursor_find(look->cursor, agent);
    for (;;) {
        uint64_t seqs[AGAIN_MAX];
        size_t n = holes_first(at, seqs);
        bool all = n > 0;
        int err = OK;
        for (size_t i = 0; i < n && err == OK; i++)
            err = fetch_add(look, agent, seqs[i], AGAIN_BYTES);
        if (err == OK)
            err = fetches_run(look);
        for (size_t i = 0; i < n; i++)
            all = all && !derive_at_wants(at, seqs[i]);
        if (err != OK || !all)
            return err;
    }
}

static int segments_again(struct look *look)
{
    uint64_t numbers[AGAIN_MAX];
    size_t n = holes_first(&look->cursor->segments, numbers);
    int err = OK;
    for (size_t i = 0; i < n && err == OK; i++)
        err = look_segment(look, numbers[i]);
    return err;
}

static int holes_run(struct look *look)
{
    const struct derive_cursor *cursor = look->cursor;
    int err = segments_again(look);
    for (size_t i = 0; i < cursor->n && err == OK; i++)
        err = holes_read(look, cursor->agents[i].agent);
    for (size_t i = 0; i < cursor->n && err == OK; i++) {
        const struct derive_at *at = &cursor->agents[i];
        for (uint32_t k = 0; k < at->n_holes; k++) {
            struct key key = key_derive(&look->project, at->agent, at->holes[k].first);
            damage_log(look->repo, key.s, at->holes[k].err);
        }
    }
    return err;
}

static void held_clear(struct derive_cursor *cursor)
{
    for (size_t i = 0; i < cursor->n; i++)
        cursor->agents[i].held = false;
    cursor->segments.held = false;
}

static void look_end(struct look *look)
{
    for (size_t i = 0; i < look->n; i++)
        buf_release(&look->fetches[i].body);
}

int derive_follow(struct repo *repo, const struct id16 *project, struct derive_cursor *cursor,
                  derive_take_fn take, void *arg)
{
    struct look look = {
        .repo = repo, .project = *project, .cursor = cursor, .take = take, .arg = arg};
    held_clear(cursor);
    int err = OK;
    /* What is oldest has most likely been merged: so numbers come in their order. */
    if (!cursor->begun)
        err = lists_run(&look, key_derive_segment_prefix(project));
    cursor->begun = true;
    if (err == OK)
        err = lists_run(&look, key_derive_prefix(project));
    /* Its segment is newer than the list. */
    if (err == OK && look.gone)
        err = lists_run(&look, key_derive_segment_prefix(project));
    if (err == OK)
        err = holes_run(&look);
    look_end(&look);
    return err;
}
