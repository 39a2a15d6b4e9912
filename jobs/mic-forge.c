/* mic-forge: a whole forge in one process on one directory: the front and every stage. */
#include "jobs/shared/process_front.h"

struct forge {
    struct process process;
    struct front front;
    struct stage *land_stage;
    struct stage *append_stage;
    struct stage *rollup_stage;
    struct follow *land;
    struct follow *append;
    struct follow *rollup;
};

/* Something became durable in the queue. */
static void queued(void *arg, uint32_t shard)
{
    struct forge *forge = arg;
    (void)shard;
    follow_wake(forge->land);
}

static void landed(void *arg, const struct id16 *project, const struct head *head)
{
    struct forge *forge = arg;
    service_landed(forge->front.service, project, head);
}

static void stages_begin(void *arg)
{
    struct forge *forge = arg;
    struct process *p = &forge->process;
    const struct settings *s = &p->settings;
    struct land_options options = process_land_options(p);
    options.landed = landed;
    options.landed_arg = forge;
    /* The forge before it, killed, does not hold this one up. */
    options.lease_claim = true;
    forge->land_stage = stage_land_open(&p->repo, &options);
    forge->append_stage = stage_append_open(&p->repo);
    forge->rollup_stage = stage_rollup_open(&p->repo, &(struct rollup_options){0});
    forge->land = follow_start(forge->land_stage, s->land_poll_min_ms, s->land_poll_max_ms);
    forge->append = follow_start(forge->append_stage, s->append_poll_ms, s->append_poll_ms);
    forge->rollup = follow_start(forge->rollup_stage, s->rollup_poll_ms, s->rollup_poll_ms);
}

static void stages_end(void *arg)
{
    struct forge *forge = arg;
    follow_stop(forge->land);
    follow_stop(forge->append);
    follow_stop(forge->rollup);
    forge->land_stage->close(forge->land_stage);
    forge->append_stage->close(forge->append_stage);
    forge->rollup_stage->close(forge->rollup_stage);
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
    forge.front = (struct front){
        .queued = queued, .begin = stages_begin, .end = stages_end, .arg = &forge};
    int code = process_begin(&forge.process, &program, argc, argv);
    return code >= 0 ? code : front_run(&forge.front, &forge.process);
}
