#include "tests/sim/seeds.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "tests/sim/sim_node.h"

struct shared {
    struct counts counts;
    struct verdict_of_seed verdict;
};

static struct shared *shared_open(void)
{
    static struct shared *shared;
    if (shared == NULL) {
        void *memory = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            abort();
        shared = memory;
    }
    memset(shared, 0, sizeof(*shared));
    return shared;
}

/* How a process that said nothing has ended. */
static void verdict_by_status(struct verdict_of_seed *verdict, int status)
{
    if (verdict->broken[0] != '\0' || (verdict->ended && status == 0))
        return;
    (void)snprintf(verdict->broken, sizeof(verdict->broken), "crash");
    if (WIFSIGNALED(status))
        (void)snprintf(verdict->detail, sizeof(verdict->detail), "ended by signal %d%s",
                       WTERMSIG(status),
                       WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
    else
        (void)snprintf(verdict->detail, sizeof(verdict->detail), "ended with status %d",
                       WEXITSTATUS(status));
}

bool seed_run_with(void (*run)(uint64_t number, struct verdict_of_seed *), uint64_t number,
                   struct counts *counts, struct verdict_of_seed *out)
{
    struct shared *shared = shared_open();
    shared->verdict.seed = number;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        (void)alarm(SEED_SECONDS_MAX);
        counts_to(&shared->counts);
        run(number, &shared->verdict);
        (void)fflush(stdout);
        _exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        continue;
    sim_node_folder_remove(pid);
    verdict_by_status(&shared->verdict, status);
    for (unsigned i = 0; i < COUNT_KINDS; i++)
        counts->n[i] += shared->counts.n[i];
    *out = shared->verdict;
    return out->broken[0] == '\0';
}

bool seed_run(uint64_t seed, struct counts *counts, struct verdict_of_seed *out)
{
    return seed_run_with(sim_seed, seed, counts, out);
}

void seeds_run(uint64_t from, uint64_t n, bool until_failure, struct seeds_result *result)
{
    for (uint64_t seed = from; seed < from + n; seed++) {
        struct verdict_of_seed verdict;
        bool good = seed_run(seed, &result->counts, &verdict);
        result->ran++;
        result->calls += verdict.calls;
        if (good && (result->calls_least == 0 || verdict.calls < result->calls_least))
            result->calls_least = verdict.calls;
        if (good)
            continue;
        if (result->failed++ == 0)
            result->first = verdict;
        printf("seed %lu at %.3f s: %s: %s\n", (unsigned long)seed,
               (double)verdict.virtual_ms / 1e3, verdict.broken, verdict.detail);
        if (until_failure)
            return;
    }
}
