/* What mic-gc prints: for each project what goes, with a sample of keys, and the sum. */
#ifndef JOBS_SHARED_PRINT_COLLECTION_H
#define JOBS_SHARED_PRINT_COLLECTION_H

#include "pipeline/repo/collect/collect.h"

struct collection_printer {
    const char *program;
    bool json;
    bool acts;
    uint64_t merged; /* objects of the project's derive log */
    unsigned shown;  /* keys of this project */
    char name[HANDLE_LEN_MAX + sizeof("/refs")];
    struct id16 project;
    uint64_t projects;
    struct collect_sum old;
    struct collect_sum deleted;
};

void collection_begin(struct collection_printer *, const struct id16 *project,
                      struct bytes handle);
/* For collect_options: prints the first few of a project. */
void collection_object(void *printer, const struct collect_object *);
void collection_end(struct collection_printer *, const struct collect_report *, int err);
void collection_sum(struct collection_printer *);

#endif
