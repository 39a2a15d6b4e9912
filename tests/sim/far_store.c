#include "tests/sim/far_store.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/key.h"
#include "formats/project_id.h"
#include "pipeline/store/mem.h"
#include "pipeline/store/put_times.h"
#include "tests/sim/counts.h"
#include "tests/sim/flight.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_world.h"

#define OUTAGES_APART_US 20000000u

/* What a list shows in place of the truth, for a while. */
struct lag {
    char *key;
    uint64_t size;
    bool shown; /* it is gone, and still listed; else it is there, and not yet */
    uint64_t until_us;
};

struct far_end {
    struct store *mem;
    const struct profile *profile;
    struct effect_watch watch;
    bool calm;
    uint64_t out_until_us;
    bool out_for_writes; /* reads are answered meanwhile */
    struct put_times put_times;
    uint64_t calls;
    size_t under_way;
    struct lag *lags;
    size_t n_lags;
    size_t cap_lags;
};

/* --- keys --- */

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

enum key_kind key_kind(const char *key, struct id16 *project)
{
    if (starts_with(key, "queue/dead/"))
        return KEY_DEAD;
    if (starts_with(key, "queue/"))
        return KEY_QUEUE;
    if (starts_with(key, "handles/"))
        return KEY_HANDLE;
    if (!starts_with(key, "projects/") || strlen(key) < 42)
        return KEY_OTHER;
    struct id16 id;
    if (id16_parse(bytes_of(key + 9, 32), &id) != OK)
        return KEY_OTHER;
    const char *rest = key + 42;
    if (starts_with(rest, "refs/")) {
        id = project_id_refs(&id);
        rest += 5;
    }
    if (project != NULL)
        *project = id;
    if (strcmp(rest, "head") == 0)
        return KEY_HEAD;
    if (starts_with(rest, "trees/"))
        return KEY_TREE;
    if (starts_with(rest, "sessions/"))
        return KEY_SESSION;
    if (starts_with(rest, "landing-log/bloom-index/"))
        return KEY_ROLLUP;
    if (starts_with(rest, "landing-log/"))
        return KEY_LOG;
    if (starts_with(rest, "blobs/"))
        return KEY_BLOB;
    if (starts_with(rest, "derive/segments/"))
        return KEY_DERIVE_SEGMENT;
    if (starts_with(rest, "derive/"))
        return KEY_DERIVE;
    return KEY_OTHER;
}

/* --- the far end --- */

struct far_end *far_end_open(const struct profile *profile, const struct effect_watch *watch)
{
    struct far_end *end = calloc(1, sizeof(*end));
    if (end == NULL)
        abort();
    end->mem = mem_store_open();
    mem_store_date(end->mem, sim_true_clock());
    end->profile = profile;
    end->watch = *watch;
    return end;
}

struct store *far_end_mem(struct far_end *end)
{
    return end->mem;
}

void far_end_calm(struct far_end *end)
{
    end->calm = true;
    end->out_until_us = 0;
    end->n_lags = 0;
}

uint64_t far_end_calls(const struct far_end *end)
{
    return end->calls;
}

size_t far_end_under_way(const struct far_end *end)
{
    return end->under_way;
}

void far_end_count(struct far_end *end, int under_way)
{
    end->under_way += (size_t)under_way;
}

uint64_t far_end_latency(struct far_end *end)
{
    uint64_t us = 1 + world_below(end->profile->latency_us / 2 + 1);
    if (!end->calm && world_chance(end->profile->slow / 2)) {
        count(COUNT_SLOW);
        us += world_between(1000000, 10000000);
    }
    return us;
}

static void outage_draw(struct far_end *end, unsigned of_10000)
{
    if (end->calm || world_now_us() < end->out_until_us + OUTAGES_APART_US ||
        !world_chance(of_10000))
        return;
    count(COUNT_OUTAGE);
    end->out_until_us = world_now_us() + world_between(1000000, 15000000);
    end->out_for_writes = world_chance(5000);
    trace("the store is out%s", end->out_for_writes ? " for writes" : "");
}

void far_end_called(struct far_end *end)
{
    end->calls++;
    outage_draw(end, end->profile->outage);
}

/* --- lists that are behind --- */

static bool may_lag(const struct far_end *end, const char *key)
{
    if (end->profile->lag_us == 0 || end->calm || !world_chance(3000))
        return false;
    enum key_kind kind = key_kind(key, NULL);
    return kind == KEY_QUEUE || kind == KEY_LOG || kind == KEY_ROLLUP || kind == KEY_SESSION;
}

static void lag_add(struct far_end *end, const char *key, uint64_t size, bool shown)
{
    if (end->n_lags == end->cap_lags) {
        end->cap_lags = end->cap_lags == 0 ? 16 : end->cap_lags * 2;
        end->lags = reallocarray(end->lags, end->cap_lags, sizeof(*end->lags));
        if (end->lags == NULL)
            abort();
    }
    end->lags[end->n_lags++] =
        (struct lag){.key = strdup(key),
                     .size = size,
                     .shown = shown,
                     .until_us = world_now_us() + world_below(end->profile->lag_us)};
}

static void lags_expire(struct far_end *end)
{
    size_t kept = 0;
    for (size_t i = 0; i < end->n_lags; i++) {
        if (end->lags[i].until_us > world_now_us())
            end->lags[kept++] = end->lags[i];
        else
            free(end->lags[i].key);
    }
    end->n_lags = kept;
}

static int key_order(const void *a, const void *b)
{
    const struct store_key *left = a;
    const struct store_key *right = b;
    return strcmp(left->key, right->key);
}

/* What the list gives with what is behind: of each key the last that happened to it counts. */
static void list_lag(struct far_end *end, struct arena *arena, const char *prefix,
                     const char *after, size_t max, struct store_list *list)
{
    lags_expire(end);
    struct store_key *keys = arena_array(arena, list->n + end->n_lags, struct store_key);
    size_t n = list->n;
    memcpy(keys, list->keys, n * sizeof(*keys));
    for (size_t i = 0; i < end->n_lags; i++) {
        const struct lag *lag = &end->lags[i];
        if (!starts_with(lag->key, prefix) || strcmp(lag->key, after) <= 0)
            continue;
        size_t at = 0;
        while (at < n && strcmp(keys[at].key, lag->key) != 0)
            at++;
        if (lag->shown == (at < n))
            continue;
        count(COUNT_STALE_LIST);
        if (lag->shown)
            keys[n++] = (struct store_key){.key = arena_str(arena, bytes_str(lag->key)),
                                           .size = lag->size};
        else
            keys[at] = keys[--n];
    }
    if (n > 0)
        qsort(keys, n, sizeof(*keys), key_order);
    list->more = list->more || n > max;
    list->keys = keys;
    list->n = n < max ? n : max;
}

/* --- effects --- */

static uint64_t interval_us(const struct far_end *end)
{
    return (uint64_t)end->profile->put_interval_ms * 1000;
}

/* Whether the key takes no put yet. */
static bool is_early(const struct far_end *end, const struct store_op *op)
{
    return op != NULL && op->verb == STORE_PUT &&
           put_times_wait_us(&end->put_times, op->key, world_now_us(), interval_us(end)) > 0;
}

static int write_effect(struct far_end *end, struct store_op *op)
{
    AUTO_BUF old = {0};
    bool there = store_get(end->mem, op->key, range_all(), &old, NULL, NULL) == OK;
    if (op->verb == STORE_DELETE && there)
        end->watch.deleting(end->watch.arg, op->key, buf_bytes(&old));
    int err = store_one(end->mem, op);
    if (err != OK)
        return err;
    if (op->verb == STORE_DELETE && there && may_lag(end, op->key))
        lag_add(end, op->key, old.len, true);
    if (op->verb == STORE_PUT && !there && may_lag(end, op->key))
        lag_add(end, op->key, op->data.len, false);
    if (op->verb == STORE_PUT && end->profile->put_interval_ms > 0)
        put_times_note(&end->put_times, op->key, world_now_us(), interval_us(end));
    if (op->verb == STORE_PUT)
        end->watch.put(end->watch.arg, op->key, buf_bytes(&old), op->data);
    return OK;
}

int far_end_effect(struct far_end *end, struct store_op *op)
{
    int err = op->verb == STORE_GET ? store_one(end->mem, op) : write_effect(end, op);
    world_mix(xxh3_64_seed(bytes_str(op->key), world_now_us()) + (uint64_t)err);
    static const char *const verbs[] = {"get", "put", "delete"};
    if (trace_wanted())
        trace("    store: %s %s: %s", verbs[op->verb], op->key, err_name(err));
    return err;
}

/* --- a line --- */

struct blow {
    struct far_line *line;
    uint64_t life;    /* that it is meant for */
    uint64_t hold_us; /* 0: it dies */
};

static void strike(void *arg)
{
    struct blow *blow = arg;
    struct far_line *line = blow->line;
    if (blow->life == line->life && blow->hold_us == 0)
        line->die(line->process);
    else if (blow->life == line->life)
        line->hold(line->process, blow->hold_us);
    free(blow);
}

static void strike_at(struct far_line *line, uint64_t at_us, uint64_t hold_us)
{
    struct blow *blow = calloc(1, sizeof(*blow));
    if (blow == NULL)
        abort();
    *blow = (struct blow){.line = line, .life = line->life, .hold_us = hold_us};
    world_at(at_us, strike, blow);
}

/* What befalls the caller of a call that ends at `reply_us`: mostly in the middle of it, now
 * and then just behind it. */
static void fate_draw(struct far_line *line, const struct store_op *op, uint64_t reply_us)
{
    const struct far_end *end = line->end;
    if (end->calm)
        return;
    /* A write has more to lose; a log segment is rare, and so are a rollup and what a collector
     * deletes. */
    bool writes = op != NULL && op->verb != STORE_GET;
    enum key_kind kind = op != NULL ? key_kind(op->key, NULL) : KEY_OTHER;
    bool collects =
        writes && op->verb == STORE_DELETE && (kind == KEY_BLOB || kind == KEY_TREE);
    bool rare = kind == KEY_LOG || kind == KEY_ROLLUP || kind == KEY_DERIVE_SEGMENT || collects;
    unsigned weight = !writes ? 1 : rare ? 60 : 4;
    uint64_t at = world_between(world_now_us(), reply_us);
    if (world_chance(3000))
        at = reply_us + world_below(1000);
    if (world_chance(end->profile->crash * weight))
        strike_at(line, at, 0);
    if (world_chance(end->profile->hold))
        strike_at(line, at,
                  world_chance(5000) ? world_between(1000, 5000000)
                                     : world_between(1000000, 150000000));
}

static enum trouble trouble_draw(struct far_line *line, const struct store_op *op)
{
    struct far_end *end = line->end;
    far_end_called(end);
    enum trouble planned = line->plan == NULL ? TROUBLES : line->plan(line->process, op);
    if (planned != TROUBLES)
        return planned;
    if (is_early(end, op)) {
        count(COUNT_EARLY_PUT);
        return TROUBLE_AGAIN;
    }
    if (end->calm)
        return TROUBLE_NONE;
    bool reads = op == NULL || op->verb == STORE_GET;
    if (end->out_until_us > world_now_us() && end->out_for_writes && !reads)
        return TROUBLE_AGAIN;
    if (end->out_until_us > world_now_us() && !end->out_for_writes)
        return reads || world_chance(8000) ? TROUBLE_AGAIN : TROUBLE_LOST;
    if (reads)
        return world_chance(end->profile->read_odds) ? TROUBLE_AGAIN : TROUBLE_NONE;
    /* One of a merge is rare. */
    bool merges = op->verb == STORE_PUT && key_kind(op->key, NULL) == KEY_DERIVE_SEGMENT;
    uint64_t roll = world_below(merges ? 2000 : 10000);
    enum trouble t = TROUBLE_AGAIN;
    for (; t < TROUBLES && roll >= end->profile->odds[t]; t++)
        roll -= end->profile->odds[t];
    /* A store that does not answer one is often about to answer nobody. */
    if (t == TROUBLE_LATE || t == TROUBLE_LOST)
        outage_draw(end, 300 * end->profile->outage);
    return t == TROUBLES ? TROUBLE_NONE : t;
}

static int far_many(struct store *store, struct store_op *ops, size_t n)
{
    struct far_line *line = (struct far_line *)store;
    AUTO(arena_release) struct arena arena = {0};
    struct flight **flights = arena_array(&arena, n, struct flight *);
    uint64_t reply_us = 0;
    for (size_t i = 0; i < n; i++) {
        static const enum count counts_of[] = {COUNT_CALL_GET, COUNT_CALL_PUT,
                                               COUNT_CALL_DELETE};
        count(counts_of[ops[i].verb]);
        enum trouble trouble = trouble_draw(line, &ops[i]);
        flights[i] = flight_begin(line, &ops[i], trouble);
        fate_draw(line, &ops[i], flights[i]->reply_us);
        if (flights[i]->reply_us > reply_us)
            reply_us = flights[i]->reply_us;
    }
    if (n > 0)
        task_pause(reply_us - world_now_us());
    int first = OK;
    for (size_t i = 0; i < n; i++) {
        int err = flight_end(flights[i], &ops[i]);
        first = first != OK ? first : err;
    }
    return first;
}

static int far_one(struct store *store, struct store_op *op)
{
    return far_many(store, op, 1);
}

static int far_list(struct store *store, struct arena *arena, const char *prefix,
                    const char *after, size_t max, struct store_list *out)
{
    struct far_line *line = (struct far_line *)store;
    struct far_end *end = line->end;
    count(COUNT_CALL_LIST);
    enum trouble trouble = trouble_draw(line, NULL);
    uint64_t there = far_end_latency(end);
    uint64_t back = far_end_latency(end);
    fate_draw(line, NULL, world_now_us() + there + back);
    task_pause(there);
    struct store_list list = {0};
    int err = trouble != TROUBLE_NONE
                  ? ERR_AGAIN
                  : store_list(end->mem, arena, prefix, after, STORE_LIST_MAX, &list);
    if (trouble != TROUBLE_NONE)
        count(COUNT_AGAIN_LIST);
    if (err == OK)
        list_lag(end, arena, prefix, after, max, &list);
    world_mix(world_now_us() + list.n);
    trace("    store: list %s: %s, %zu keys", prefix, err_name(err), list.n);
    task_pause(back);
    if (err == OK)
        *out = list;
    return err;
}

static uint64_t far_date_ms(struct store *store)
{
    (void)store;
    return sim_date_ms();
}

static uint32_t far_put_interval_ms(struct store *store)
{
    return ((struct far_line *)store)->end->profile->put_interval_ms;
}

static void far_close(struct store *store)
{
    (void)store;
}

void far_line_open(struct far_line *line, struct far_end *end, void *process)
{
    static const struct store_calls calls = {
        .name = "far",
        .one = far_one,
        .many = far_many,
        .list = far_list,
        .date_ms = far_date_ms,
        .put_interval_ms = far_put_interval_ms,
        .close = far_close,
    };
    *line = (struct far_line){.store = {.calls = &calls}, .end = end, .process = process};
}

void far_line_cut(struct far_line *line)
{
    line->life++;
    while (line->flights != NULL)
        flight_abandon(line->flights);
}

void far_line_count_crash(const struct far_line *line)
{
    for (const struct flight *f = line->flights; f != NULL; f = f->next) {
        if (!f->happened || f->op.err != OK || f->op.verb == STORE_GET)
            continue;
        enum key_kind kind = key_kind(f->op.key, NULL);
        if (f->op.verb == STORE_DELETE)
            count(COUNT_CRASH_DELETE);
        else if (kind == KEY_QUEUE)
            count(COUNT_CRASH_QUEUE_PUT);
        else if (kind == KEY_TREE)
            count(COUNT_CRASH_TREE_PUT);
        else if (kind == KEY_HEAD)
            count(COUNT_CRASH_HEAD_PUT);
        else if (kind == KEY_SESSION)
            count(COUNT_CRASH_SESSION_PUT);
        else if (kind == KEY_LOG)
            count(COUNT_CRASH_LOG_PUT);
        else if (kind == KEY_ROLLUP)
            count(COUNT_CRASH_ROLLUP_PUT);
        else if (kind == KEY_DERIVE)
            count(COUNT_CRASH_DERIVE_PUT);
        else if (kind == KEY_DERIVE_SEGMENT)
            count(COUNT_CRASH_MERGE_PUT);
    }
}
