#include "pipeline/derive/log/derive_projects.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "pipeline/repo/intake/intake_window.h"

#define SLOTS_FIRST 64u

void derive_projects_init(struct derive_projects *projects)
{
    *projects = (struct derive_projects){.n_slots = SLOTS_FIRST};
    projects->slots = calloc(projects->n_slots, sizeof(*projects->slots));
    if (projects->slots == NULL)
        abort();
}

static void project_free(struct derive_project *project)
{
    struct derive_batch *batch = derive_project_empty(project);
    while (batch != NULL) {
        struct derive_batch *next = batch->next;
        derive_batch_free(batch);
        batch = next;
    }
    derive_batch_free(project->under_way);
    free(project);
}

void derive_projects_release(struct derive_projects *projects)
{
    for (size_t i = 0; i < projects->n_slots; i++) {
        while (projects->slots[i] != NULL) {
            struct derive_project *project = projects->slots[i];
            projects->slots[i] = project->next;
            project_free(project);
        }
    }
    free(projects->slots);
}

static struct derive_project **slot_of(const struct derive_projects *projects,
                                       const struct id16 *id)
{
    uint64_t number = xxh3_64(bytes_of(id->b, sizeof(id->b)));
    return &projects->slots[number & (projects->n_slots - 1)];
}

static void grow(struct derive_projects *projects)
{
    struct derive_projects larger = *projects;
    larger.n_slots = projects->n_slots * 2;
    larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
    if (larger.slots == NULL)
        abort();
    for (size_t i = 0; i < projects->n_slots; i++) {
        while (projects->slots[i] != NULL) {
            struct derive_project *project = projects->slots[i];
            projects->slots[i] = project->next;
            struct derive_project **slot = slot_of(&larger, &project->id);
            project->next = *slot;
            *slot = project;
        }
    }
    free(projects->slots);
    *projects = larger;
}

struct derive_project *derive_projects_get(struct derive_projects *projects,
                                           const struct id16 *id)
{
    struct derive_project *project = *slot_of(projects, id);
    while (project != NULL && !id16_equal(&project->id, id))
        project = project->next;
    if (project != NULL)
        return project;
    if (projects->n == projects->n_slots)
        grow(projects);
    project = calloc(1, sizeof(*project));
    if (project == NULL)
        abort();
    struct derive_project **slot = slot_of(projects, id);
    project->id = *id;
    project->next = *slot;
    *slot = project;
    projects->n++;
    return project;
}

/* --- those that have something to put --- */

void derive_projects_busy(struct derive_projects *projects, struct derive_project *project)
{
    if (project->busy)
        return;
    project->busy = true;
    project->next_busy = NULL;
    if (projects->busy == NULL)
        projects->busy = project;
    else
        projects->busy_last->next_busy = project;
    projects->busy_last = project;
    projects->n_busy++;
}

struct derive_project *derive_projects_next(struct derive_projects *projects)
{
    struct derive_project *project = projects->busy;
    assert(project != NULL);
    projects->busy = project->next_busy;
    projects->n_busy--;
    project->busy = false;
    return project;
}

uint64_t derive_projects_again_us(const struct derive_projects *projects)
{
    uint64_t again_us = UINT64_MAX;
    for (const struct derive_project *p = projects->busy; p != NULL; p = p->next_busy) {
        if (p->unknown && p->again_us < again_us)
            again_us = p->again_us;
    }
    return again_us;
}

/* --- one of them --- */

void derive_project_seal(struct derive_project *project)
{
    struct derive_batch *batch = project->open;
    project->open = NULL;
    if (project->sealed == NULL)
        project->sealed = batch;
    else
        project->sealed_last->next = batch;
    project->sealed_last = batch;
}

void derive_project_step(struct derive_project *project)
{
    if (project->under_way != NULL)
        return;
    if (project->sealed == NULL && project->open != NULL)
        derive_project_seal(project);
    struct derive_batch *batch = project->sealed;
    if (batch == NULL)
        return;
    project->sealed = batch->next;
    batch->next = NULL;
    project->under_way = batch;
}

struct derive_batch *derive_project_empty(struct derive_project *project)
{
    if (project->open != NULL)
        derive_project_seal(project);
    struct derive_batch *batches = project->sealed;
    project->sealed = NULL;
    return batches;
}

void derive_project_pause(struct derive_project *project, uint64_t now_us)
{
    uint64_t pause_us = project->pause_us == 0 ? INTAKE_PAUSE_MIN_US : project->pause_us * 2;
    project->pause_us = pause_us < INTAKE_PAUSE_MAX_US ? pause_us : INTAKE_PAUSE_MAX_US;
    project->again_us = now_us + project->pause_us;
}
