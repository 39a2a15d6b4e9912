#include "tests/sim/sim_client.h"

#include <stdio.h>

#include "tests/sim/sim.h"
#include "tests/sim/sim_refs.h"

struct arena *client_arena(void)
{
    static struct arena arena;
    return &arena;
}

struct process *client_front(struct client *c)
{
    return &c->sim->processes[world_below(c->sim->n_fronts)];
}

void client_seen(struct client *c, uint64_t hlc)
{
    if (hlc > c->caller.hlc)
        c->caller.hlc = hlc;
}

uint64_t client_patience_us(uint64_t wait_ms)
{
    return wait_ms * 1000 + world_between(1000000, 10000000);
}

void client_rest(struct client *c, unsigned tries)
{
    uint64_t most = c->sim->calm ? 2000000 : 10000u << (tries < 6 ? tries : 6);
    task_pause(world_between(1000, most));
}

void client_open(struct client *c, struct sim *sim, unsigned number)
{
    char *author = arena_printf(client_arena(), "client-%u", number);
    *c = (struct client){.sim = sim, .number = number};
    c->caller.author = bytes_str(author);
    c->caller.owner = owner_of(c->caller.author);
}

static void act(struct client *c)
{
    const struct profile *p = &c->sim->profile;
    uint64_t roll = world_below(100);
    c->sim->acts++;
    if (p->hoard > 0 && world_below(100) < p->hoard) {
        client_hoard(c);
        return;
    }
    if (p->derives > 0 && world_below(100) < p->derives) {
        client_derive(c);
        return;
    }
    if (p->refs && world_chance(5000)) {
        client_ref(c);
        return;
    }
    if (p->import)
        client_read_head(c, 0);
    if (p->import || roll < p->whole)
        client_land_whole(c);
    else if (roll < 80)
        client_session_act(c);
    else if (roll < 93)
        client_read(c);
    else if (roll < 98 || !p->strangers)
        client_ask_again(c);
    else
        client_strange(c);
}

void client_life(void *client)
{
    struct client *c = client;
    while (!c->sim->stopping) {
        act(c);
        task_pause(world_below(c->sim->profile.think_ms * 1000 + 1));
    }
    trace("client %u has come to its end", c->number);
    c->ended = true;
}
