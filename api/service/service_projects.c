#include "api/service/parts.h"

int service_project_create(struct service *service, const struct caller *caller,
                           struct bytes handle, struct id16 *out, struct problem *problem)
{
    int err = service_admit(service, caller, problem);
    if (err != OK)
        return err;
    err = project_create(service->repo, handle, out);
    if (err == ERR_CONFLICT)
        return problem_set(problem, err, "handle_taken", "handle",
                           "there is a project of that handle");
    if (err == ERR_INVALID)
        return problem_set(problem, err, "handle_invalid", "handle",
                           "a handle has 1 to %u of a-z 0-9 . _ - and begins with a letter or "
                           "digit",
                           HANDLE_LEN_MAX);
    return err == OK ? OK : service_problem(problem, err, "the project");
}

int service_project_find(struct service *service, struct bytes name, struct id16 *out,
                         struct problem *problem)
{
    int err = project_find(service->repo, name, out);
    if (err == ERR_INVALID)
        err = ERR_NOT_FOUND; /* what cannot be a handle names no project */
    return err == OK ? OK : service_problem(problem, err, "the project");
}
