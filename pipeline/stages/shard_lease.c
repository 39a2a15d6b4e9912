#include "pipeline/stages/shard_lease.h"

#include <stdlib.h>

#include "formats/base/limits.h"
#include "formats/key.h"
#include "formats/lease.h"
#include "pipeline/sys/log.h"

/* A lease is put anew so often in its length, and released after one such part without work. */
#define RENEWALS 3u
/* A lease is at least so many times as long as the store lets a key rest between two puts: one
 * that cannot be put anew in time runs out under its holder. */
#define INTERVALS 4u
/* Another's lease is looked at so often in the length of one's own, while there is work. */
#define LOOKS 10u
/* Others may be faster so often; then the next round tries again. */
#define TAKES_MAX 2u
/* Times that a holder shows that it is alive. */
#define WATCHED_CHANGES RENEWALS

enum holder {
    HOLDER_UNASKED, /* it is to be read */
    HOLDER_NONE,    /* there is no lease, or it was released */
    HOLDER_SELF,
    HOLDER_OTHER, /* another drain, or bytes that say nothing */
};

struct shard_lease {
    enum holder holder;
    bool there; /* when last heard of, there was an object, of this version: */
    struct etag etag;
    bool looked;        /* it was read once */
    uint64_t looked_us; /* when last */
    uint64_t seen_us;   /* when this version was first read */
    uint64_t length_us; /* that it has */
    uint64_t put_us;    /* when this drain's last successful put of it began */
    uint64_t done_us;   /* when its last one was over */
    uint64_t work_us;   /* when there was work last */
    bool failing;
    /* For shard_lease_watch. */
    unsigned changes; /* versions that were seen to follow another */
    bool watching;
    unsigned watch_changes; /* `changes` when the watch began */
    uint64_t watch_newest;  /* and the newest stamp in the queue */
};

struct shard_leases {
    struct repo *repo;
    uint32_t first;
    uint32_t n;
    uint32_t length_ms;
    bool claim;
    uint64_t counter; /* of puts */
    struct shard_lease *leases;
};

static struct shard_lease *lease_of(const struct shard_leases *all, uint32_t shard)
{
    assert(shard >= all->first && shard - all->first < all->n);
    return &all->leases[shard - all->first];
}

static uint64_t now_us(const struct shard_leases *all)
{
    return all->repo->clock->mono_us(all->repo->clock);
}

/* A part of the length that this drain's own leases have. */
static uint64_t part_us(const struct shard_leases *all, unsigned parts)
{
    return (uint64_t)all->length_ms * 1000 / parts;
}

static bool is_others(const struct shard_lease *l, uint64_t now)
{
    return l->holder == HOLDER_OTHER && now - l->seen_us < l->length_us;
}

struct shard_leases *shard_leases_open(struct repo *repo, uint32_t first, uint32_t end,
                                       uint32_t length_ms, bool claim)
{
    assert(first <= end && length_ms <= LEASE_MS_MAX);
    struct shard_leases *all = calloc(1, sizeof(*all));
    if (all == NULL)
        abort();
    uint64_t least_ms = (uint64_t)INTERVALS * store_put_interval_ms(repo->store);
    if (length_ms > 0 && length_ms < least_ms)
        length_ms = least_ms < LEASE_MS_MAX ? (uint32_t)least_ms : LEASE_MS_MAX;
    *all = (struct shard_leases){.repo = repo,
                                 .first = first,
                                 .n = length_ms == 0 ? 0 : end - first,
                                 .length_ms = length_ms,
                                 .claim = claim};
    all->leases = calloc(all->n + 1, sizeof(*all->leases));
    if (all->leases == NULL)
        abort();
    return all;
}

/* --- the object --- */

/* What the bytes mean for this drain. */
static void lease_understand(const struct shard_leases *all, uint32_t shard, struct bytes bytes,
                             bool changed)
{
    struct shard_lease *l = lease_of(all, shard);
    struct lease lease = {0};
    int err = lease_decode(bytes, &lease);
    /* A valid object under another's name is as wrong as a damaged one. */
    if (err == OK && lease.shard != shard)
        err = ERR_CORRUPT;
    if (err != OK) {
        struct key key = key_lease(shard);
        if (changed)
            log_error("lease_damaged", LOG_STR("key", key.s), LOG_ERR(err));
        l->holder = HOLDER_OTHER;
        l->length_us = part_us(all, 1);
        return;
    }
    l->length_us = (uint64_t)lease.length_ms * 1000;
    if (lease.length_ms == 0)
        l->holder = HOLDER_NONE;
    else
        l->holder = lease.agent == all->repo->agent ? HOLDER_SELF : HOLDER_OTHER;
}

/* Reads what lies there. On an error nothing is known that was not known before. */
static int lease_look(const struct shard_leases *all, uint32_t shard)
{
    struct shard_lease *l = lease_of(all, shard);
    struct key key = key_lease(shard);
    AUTO_BUF bytes = {0};
    struct etag etag;
    /* One byte more than a lease has, so that a longer object is none. */
    int err =
        store_get(all->repo->store, key.s, range_of(0, LEASE_LEN + 1), &bytes, &etag, NULL);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    l->looked = true;
    l->looked_us = now_us(all);
    if (err == ERR_NOT_FOUND) {
        l->holder = HOLDER_NONE;
        l->there = false;
        return OK;
    }
    bool changed = !l->there || strcmp(l->etag.s, etag.s) != 0;
    if (changed) {
        l->seen_us = l->looked_us;
        l->changes += l->there;
    }
    l->there = true;
    l->etag = etag;
    lease_understand(all, shard, buf_bytes(&bytes), changed);
    return OK;
}

/* Puts the lease as this drain's, or with a length of 0 as nobody's, in place of the version
 * that is known. */
static int lease_put(struct shard_leases *all, uint32_t shard, uint32_t length_ms)
{
    struct shard_lease *l = lease_of(all, shard);
    struct lease lease = {.agent = all->repo->agent,
                          .counter = ++all->counter,
                          .shard = shard,
                          .length_ms = length_ms};
    struct key key = key_lease(shard);
    AUTO_BUF bytes = {0};
    lease_encode(&lease, &bytes);
    struct etag etag = l->etag;
    uint64_t began = now_us(all);
    int err = store_put(all->repo->store, key.s, buf_bytes(&bytes),
                        l->there ? PUT_IF_MATCH : PUT_IF_ABSENT, &etag);
    l->done_us = now_us(all);
    if (err == OK) {
        l->there = true;
        l->etag = etag;
        l->holder = length_ms == 0 ? HOLDER_NONE : HOLDER_SELF;
        l->put_us = began;
    } else if (l->holder != HOLDER_SELF || err == ERR_CONFLICT || err == ERR_UNKNOWN) {
        /* One's own stays one's own when the store says that nothing happened. */
        l->holder = HOLDER_UNASKED;
    }
    return err;
}

/* --- holding it --- */

/* Takes the lease if it is free. */
static bool lease_take(struct shard_leases *all, uint32_t shard)
{
    struct shard_lease *l = lease_of(all, shard);
    for (unsigned takes = 0; takes < TAKES_MAX; takes++) {
        bool claim = all->claim && !l->looked;
        if (l->holder != HOLDER_NONE && lease_look(all, shard) != OK)
            return !is_others(l, now_us(all));
        if (l->holder == HOLDER_SELF)
            return true;
        if (is_others(l, now_us(all)) && !claim)
            return false;
        bool ran_out = l->holder == HOLDER_OTHER;
        int err = lease_put(all, shard, all->length_ms);
        if (err == OK && ran_out)
            log_info("lease_taken_over", LOG_U64("shard", shard));
        if (err != ERR_CONFLICT)
            return true;
    }
    return false;
}

bool shard_lease_hold(struct shard_leases *all, uint32_t shard)
{
    if (all->length_ms == 0)
        return true;
    struct shard_lease *l = lease_of(all, shard);
    uint64_t now = now_us(all);
    l->work_us = now;
    bool held = l->holder == HOLDER_SELF;
    if (held) {
        if (l->failing || now - l->put_us < part_us(all, RENEWALS))
            return true;
        int err = lease_put(all, shard, all->length_ms);
        if (err != ERR_CONFLICT && err != ERR_UNKNOWN)
            return true;
    } else if (is_others(l, now) && now - l->looked_us < part_us(all, LOOKS)) {
        return false;
    }
    bool holds = lease_take(all, shard);
    if (held && !holds)
        log_info("lease_lost", LOG_U64("shard", shard));
    l->watching = l->watching && !holds;
    return holds;
}

void shard_lease_idle(struct shard_leases *all, uint32_t shard)
{
    if (all->length_ms == 0)
        return;
    struct shard_lease *l = lease_of(all, shard);
    l->watching = false;
    /* One that could not be released runs out. */
    if (l->holder == HOLDER_SELF && now_us(all) - l->work_us >= part_us(all, RENEWALS))
        (void)!lease_put(all, shard, 0);
}

void shard_lease_failing(struct shard_leases *all, uint32_t shard, bool failing)
{
    if (all->length_ms != 0)
        lease_of(all, shard)->failing = failing;
}

/* Where a key has to rest between two puts: or the release would be refused, and the next drain
 * would wait for the lease to run out. */
static void lease_rest(const struct shard_leases *all, const struct shard_lease *l)
{
    uint64_t interval = (uint64_t)store_put_interval_ms(all->repo->store) * 1000;
    uint64_t since = now_us(all) - l->done_us;
    if (since < interval)
        all->repo->clock->sleep_us(all->repo->clock, interval - since);
}

void shard_leases_close(struct shard_leases *all)
{
    int err = OK;
    /* A store that refuses would be asked for each of them. */
    for (uint32_t i = 0; i < all->n && (err == OK || err == ERR_CONFLICT); i++) {
        if (all->leases[i].holder != HOLDER_SELF)
            continue;
        lease_rest(all, &all->leases[i]);
        err = lease_put(all, all->first + i, 0);
    }
    free(all->leases);
    free(all);
}

/* --- watching another's --- */

bool shard_lease_watch(struct shard_leases *all, uint32_t shard, uint64_t oldest,
                       uint64_t newest)
{
    struct shard_lease *l = lease_of(all, shard);
    if (!l->watching) {
        l->watching = true;
        l->watch_changes = l->changes;
        l->watch_newest = newest;
    }
    return oldest <= l->watch_newest && l->changes - l->watch_changes < WATCHED_CHANGES;
}
