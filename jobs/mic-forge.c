/* mic-forge: a whole forge in one process on one directory: the front and every stage. */
#include "jobs/shared/process.h"

struct forge {
    struct process process;
    struct front front;
    struct follow *land;
    struct follow *append;
};

/* Something became durable in the queue. */
static void queued(void *arg, uint32_t shard)
{
    struct forge *forge = arg;
    (void)shard;
    follow_wake(forge->land);
}

static void landed(void *arg, const struct id16 *project)
{
    struct forge *forge = arg;
    service_landed(forge->front.service, project);
}

int main(int argc, char **argv)
{
    const struct settings_program program = {
        .name = "mic-forge",
        .about =
            "A whole forge in one process on one directory: the HTTP front and every stage.",
        .positional = "dir",
        .positional_shown = "DIR",
    };
    struct forge forge = {0};
    struct process *p = &forge.process;
    int code = process_open(p, &program, argc, argv);
    if (code >= 0)
        return code;
    struct land_options options = process_land_options(p);
    options.landed = landed;
    options.landed_arg = &forge;
    /* The forge before it, killed, does not hold this one up. */
    options.lease_claim = true;
    struct stage *land = stage_land_open(&p->repo, &options);
    struct stage *append = stage_append_open(&p->repo);
    code = process_service_open(p, &forge.front, queued, &forge);
    if (code < 0) {
        forge.land =
            follow_start(land, p->settings.land_poll_min_ms, p->settings.land_poll_max_ms);
        forge.append =
            follow_start(append, p->settings.append_poll_ms, p->settings.append_poll_ms);
        code = process_listen(p, &forge.front);
        if (code < 0)
            process_wait_front(p, &forge.front);
        process_front_stop(&forge.front);
        follow_stop(forge.land);
        follow_stop(forge.append);
        process_front_close(&forge.front);
        code = code < 0 ? 0 : code;
    }
    land->close(land);
    append->close(append);
    process_close(p);
    return code;
}
