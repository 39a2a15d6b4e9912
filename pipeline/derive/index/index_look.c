/* Looks: at most one begins in a while, and all who wait share it. */
#include "pipeline/derive/index/index_project.h"

/* A database that is damaged while it is looked for is made anew, and looked for again. */
#define TRIES_MAX 3u

/* Brings the cursor to where the index is; the index has also what this process told itself. */
static uint64_t cursor_ready(struct index_project *p)
{
    index_lock(&p->lock);
    if (p->cursor_generation != p->generation)
        derive_cursor_release(&p->cursor);
    p->cursor_generation = p->generation;
    for (size_t i = 0; i < p->n_reads; i++)
        derive_cursor_know(&p->cursor, p->reads[i].read.agent, p->reads[i].read.seq);
    uint64_t generation = p->generation;
    index_unlock(&p->lock);
    return generation;
}

/* Notes how far the logs have been read: up to the first hole of each. True when the database
 * still is the one that was looked for. */
static bool cursor_note(struct index_project *p, uint64_t generation, bool complete)
{
    index_lock(&p->lock);
    bool same = p->generation == generation;
    for (size_t i = 0; i < p->cursor.n && same; i++) {
        const struct derive_at *at = &p->cursor.agents[i];
        uint64_t seq = at->n_holes > 0 ? at->holes[0].first - 1 : at->seq;
        if (seq > 0)
            project_read_set(p, at->agent, seq);
    }
    if (same && complete) {
        p->complete = true;
        p->seen_us = p->look_us;
    }
    index_unlock(&p->lock);
    return same;
}

static int look_now(struct index_project *p)
{
    const struct derive_index_options *options = &p->index->options;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        uint64_t generation = cursor_ready(p);
        int err = options->follow(options->arg, p->index, &p->id, &p->cursor);
        if (cursor_note(p, generation, err == OK))
            return err;
    }
    return ERR_AGAIN;
}

/* The look of whoever finds none under way. Under lock, which it gives up meanwhile. */
static void look_lead(struct index_project *p)
{
    struct clock *clock = p->index->options.clock;
    uint64_t pause = p->index->options.look_us;
    p->looking = true;
    uint64_t due = p->looks == 0 ? 0 : p->look_us + pause;
    index_unlock(&p->lock);
    uint64_t now = clock->mono_us(clock);
    if (now < due)
        clock->sleep_us(clock, due - now);
    now = clock->mono_us(clock);
    index_lock(&p->lock);
    p->looks++;
    p->look_us = now;
    index_unlock(&p->lock);
    int err = look_now(p);
    index_lock(&p->lock);
    p->looks_done = p->looks;
    p->look_err = err;
    p->looking = false;
    (void)pthread_cond_broadcast(&p->looked);
}

int project_look(struct index_project *p, uint64_t since_us)
{
    index_lock(&p->lock);
    uint64_t wanted = p->looks + 1; /* the next that begins */
    p->lookers++;
    while (p->looks_done < wanted && p->seen_us <= since_us) {
        if (p->looking)
            (void)pthread_cond_wait(&p->looked, &p->lock);
        else
            look_lead(p);
    }
    int err = p->seen_us > since_us ? OK : p->look_err;
    p->lookers--;
    index_unlock(&p->lock);
    return err;
}

int derive_index_look_since(struct derive_index *index, const struct id16 *project,
                            uint64_t since_us)
{
    struct index_project *p;
    int err = project_hold(index, project, &p);
    if (err != OK)
        return err;
    err = project_look(p, since_us);
    project_release(p);
    return err;
}

int derive_index_look(struct derive_index *index, const struct id16 *project)
{
    return derive_index_look_since(index, project, LOOK_NOW);
}
