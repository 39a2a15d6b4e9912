/* The projects of which a derive log has been told, each with what waits to be put for it. A
 * project stays for as long as the log does, for it keeps its numbers. The log's lock is held
 * where nothing else is said. */
#ifndef PIPELINE_DERIVE_LOG_DERIVE_PROJECTS_H
#define PIPELINE_DERIVE_LOG_DERIVE_PROJECTS_H

#include "pipeline/derive/log/derive_batch.h"

struct derive_project {
    struct id16 id;
    struct derive_project *next; /* of its slot */
    uint64_t durable;            /* all numbers up to this one are */
    /* Of the thread that makes steps: what is being put. */
    struct derive_batch *under_way;
    struct derive_batch *sealed; /* those that are full, oldest first */
    struct derive_batch *sealed_last;
    struct derive_batch *open; /* the one that fills */
    /* Nobody knows what became of the object under way, and who told has heard so. */
    bool unknown;
    uint64_t pause_us; /* before it is put again; not before: */
    uint64_t again_us;
    bool busy; /* on the list of those that have something to put */
    struct derive_project *next_busy;
};

struct derive_projects {
    struct derive_project **slots;
    size_t n_slots;
    size_t n;
    struct derive_project *busy; /* in the order in which they come on */
    struct derive_project *busy_last;
    size_t n_busy;
};

void derive_projects_init(struct derive_projects *);
void derive_projects_release(struct derive_projects *); /* with all that waits */

/* The project of that id; it is made when there is none. */
struct derive_project *derive_projects_get(struct derive_projects *, const struct id16 *id);
/* Puts it behind the others that are busy, unless it is on the list. */
void derive_projects_busy(struct derive_projects *, struct derive_project *);
/* Takes the first off the list, which is not empty. */
struct derive_project *derive_projects_next(struct derive_projects *);
/* When the first is to be put again of which nothing is known; UINT64_MAX: none. */
uint64_t derive_projects_again_us(const struct derive_projects *);

/* No more goes into the batch that fills. */
void derive_project_seal(struct derive_project *);
/* The next batch comes under way, unless one is. */
void derive_project_step(struct derive_project *);
/* Takes off it all but what is under way, in a list. */
struct derive_batch *derive_project_empty(struct derive_project *);
static inline bool derive_project_has(const struct derive_project *p)
{
    return p->under_way != NULL || p->sealed != NULL || p->open != NULL;
}
/* Its object is left alone for longer each time. Of the thread that makes steps, no lock. */
void derive_project_pause(struct derive_project *, uint64_t now_us);

#endif
