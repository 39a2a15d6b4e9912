/* Writers that race: of those who put under one condition, one wins and the others lose. */
#include <stdio.h>

#include "pipeline/store/probe_inside.h"

#define WRITERS     32u
#define WRITERS_MAX 64u
#define TEXT_LEN    48u
#define RACES       3u /* one that nobody won for lack of answers is run again */

struct race {
    struct probe *p;
    const char *name;
    const struct etag *etag; /* that all match, or NULL: they make the object */
    unsigned n;
    char texts[WRITERS_MAX][TEXT_LEN];
    struct store_op ops[WRITERS_MAX];
    unsigned winners;
    unsigned unsure;
    unsigned later; /* nothing happened, and no condition was looked at */
};

static const char *condition(const struct race *race)
{
    return race->etag == NULL ? "If-None-Match: *" : "If-Match";
}

static int run(struct race *race, const struct key *key)
{
    struct probe *p = race->p;
    for (unsigned i = 0; i < race->n; i++) {
        (void)snprintf(race->texts[i], TEXT_LEN, "writer %u of %016llx", i,
                       (unsigned long long)rng_u64(p->options->rng));
        race->ops[i] =
            (struct store_op){.verb = STORE_PUT,
                              .key = key->s,
                              .data = bytes_str(race->texts[i]),
                              .condition = race->etag == NULL ? PUT_IF_ABSENT : PUT_IF_MATCH};
        if (race->etag != NULL) {
            race->ops[i].etag = *race->etag;
        }
    }
    int first = store_many(p->store, race->ops, race->n);
    (void)first;
    race->winners = race->unsure = race->later = 0;
    for (unsigned i = 0; i < race->n; i++) {
        int err = race->ops[i].err;
        race->winners += err == OK;
        race->unsure += err == ERR_UNKNOWN;
        race->later += err == ERR_AGAIN;
        if (err != OK && err != ERR_UNKNOWN && err != ERR_AGAIN && err != ERR_CONFLICT) {
            return probe_cannot(p, err, "a race of writers");
        }
    }
    p->report.writers = race->n;
    p->report.unsure += race->unsure;
    return OK;
}

/* The writer whose bytes are there, or NULL for none of them. */
static const struct store_op *author(const struct race *race, struct bytes body)
{
    for (unsigned i = 0; i < race->n; i++) {
        if (bytes_equal(body, race->ops[i].data)) {
            return &race->ops[i];
        }
    }
    return NULL;
}

/* What is there must be the winner's. Without one it is what was there before, or that of a
 * writer who was not told; or of one who was told that it lost, for something on the way may
 * have sent a put twice. `again`: nothing happened. */
static int judge(struct race *race, const struct key *key, bool *again)
{
    struct probe *p = race->p;
    AUTO_BUF body = {0};
    struct store_op get = {
        .verb = STORE_GET, .key = key->s, .range = range_all(), .body = &body};
    *again = false;
    if (race->winners > 1) {
        return probe_refuse(p,
                            "of %u writers that raced with one %s, %u were told that they won",
                            race->n, condition(race), race->winners);
    }
    int err = probe_one(p, &get);
    if (err != OK && err != ERR_NOT_FOUND) {
        return probe_cannot(p, err, "a get after a race");
    }
    const struct store_op *there = err == OK ? author(race, buf_bytes(&body)) : NULL;
    if (race->winners == 1 && (there == NULL || there->err != OK)) {
        return probe_refuse(p,
                            "of %u writers that raced with one %s, one was told that it won, "
                            "but its bytes are not there",
                            race->n, condition(race));
    }
    if (there != NULL) {
        return OK;
    }
    if (race->unsure > 0) {
        return probe_cannot(p, ERR_UNKNOWN, "a race of writers");
    }
    if (race->later == 0) {
        return probe_refuse(p, "of %u writers that raced with one %s that held, none won",
                            race->n, condition(race));
    }
    *again = true;
    return OK;
}

int probe_race(struct probe *p, const char *name, const struct etag *etag)
{
    struct race race = {.p = p, .name = name, .etag = etag};
    race.n = p->options->writers != 0 ? p->options->writers : WRITERS;
    race.n = race.n < WRITERS_MAX ? race.n : WRITERS_MAX;
    struct key key = probe_key(p, name);
    for (unsigned i = 0; i < RACES; i++) {
        bool again;
        int err = run(&race, &key);
        if (err == OK) {
            err = judge(&race, &key, &again);
        }
        if (err != OK || !again) {
            return err;
        }
    }
    return probe_cannot(p, ERR_AGAIN, "races that nobody won");
}
