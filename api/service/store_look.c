#include "api/service/store_look.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "formats/key.h"
#include "pipeline/sys/bell.h"
#include "pipeline/sys/log.h"

/* How often it is seen whether the store went away, which asks nothing of it; and how often a
 * store that is away is looked at, at first and at last. */
#define SEE_US        250000u
#define LOOK_FIRST_US 250000u
#define LOOK_MAX_US   2000000u

struct store_look {
    struct repo *repo;
    struct store *pulse;
    struct bell bell;
    atomic_bool wanted;
    atomic_bool stopping;
    /* Of the thread. */
    bool away;
    uint64_t since_us;
    uint64_t pause_us;
    bool threaded;
    pthread_t thread;
};

struct store_look *store_look_open(struct repo *repo, struct store *pulse)
{
    struct store_look *look = calloc(1, sizeof(*look));
    if (look == NULL)
        abort();
    look->repo = repo;
    look->pulse = pulse;
    bell_init(&look->bell);
    return look;
}

void store_look_close(struct store_look *look)
{
    if (look == NULL)
        return;
    assert(!look->threaded);
    bell_release(&look->bell);
    free(look);
}

static bool is_old(const struct store_look *look, const struct pulse *pulse)
{
    struct clock *clock = look->repo->clock;
    return clock->mono_us(clock) - pulse->heard_us > STORE_LOOK_OLD_US;
}

struct pulse store_look_pulse(struct store_look *look)
{
    struct pulse pulse = pulse_store_read(look->pulse);
    if (is_old(look, &pulse) && !atomic_exchange(&look->wanted, true))
        bell_ring(&look->bell);
    return pulse;
}

/* Says once that it went, and once that it is back. */
static void tell(struct store_look *look, const struct pulse *pulse)
{
    struct clock *clock = look->repo->clock;
    if (pulse->away && !look->away) {
        look->since_us = pulse->since_us;
        log_warn("store_away", LOG_U64("failed", pulse->failed));
    } else if (!pulse->away && look->away) {
        log_info("store_back",
                 LOG_U64("away_ms", (clock->mono_us(clock) - look->since_us) / 1000));
    }
    look->away = pulse->away;
}

uint64_t store_look_step(struct store_look *look)
{
    struct pulse pulse = pulse_store_read(look->pulse);
    tell(look, &pulse);
    bool wanted = atomic_exchange(&look->wanted, false);
    if (pulse.failed == 0 && !(wanted && is_old(look, &pulse))) {
        look->pause_us = 0;
        return SEE_US;
    }
    struct key key = key_bucket();
    (void)!store_get(look->repo->store, key.s, range_none(), NULL, NULL, NULL);
    pulse = pulse_store_read(look->pulse);
    tell(look, &pulse);
    look->pause_us = look->pause_us == 0 ? LOOK_FIRST_US : look->pause_us * 2;
    if (look->pause_us > LOOK_MAX_US)
        look->pause_us = LOOK_MAX_US;
    if (pulse.failed == 0)
        return SEE_US;
    return look->pause_us / 2 + rng_below(look->repo->rng, look->pause_us);
}

static void *run(void *arg)
{
    struct store_look *look = arg;
    while (!atomic_load(&look->stopping))
        (void)bell_wait(&look->bell, store_look_step(look));
    return NULL;
}

void store_look_start(struct store_look *look)
{
    assert(!look->threaded);
    atomic_store(&look->stopping, false);
    int err = pthread_create(&look->thread, NULL, run, look);
    assert(err == 0);
    look->threaded = true;
}

void store_look_stop(struct store_look *look)
{
    if (!look->threaded)
        return;
    atomic_store(&look->stopping, true);
    bell_ring(&look->bell);
    (void)pthread_join(look->thread, NULL);
    look->threaded = false;
}
