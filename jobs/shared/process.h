/* What every long-running program begins and ends with: settings, log, store, repo, signals. */
#ifndef JOBS_SHARED_PROCESS_H
#define JOBS_SHARED_PROCESS_H

#include "config/settings.h"
#include "pipeline/repo/repo.h"
#include "pipeline/stages/follow.h"
#include "pipeline/store/pulse.h"

struct process {
    const char *program;
    struct settings settings;
    struct store *disk;
    struct store *pulse; /* remembers whether `disk` answers */
    struct store *store; /* counts what goes there */
    struct repo repo;
};

/* Reads the settings, and makes the store without asking it anything. Gives -1 to go on, else
 * what main is to return: help was shown, or what is wrong was said. */
int process_begin(struct process *, const struct settings_program *, int argc, char **argv);
/* Opens the bucket; `wait`: for as long as the store is away. Gives -1 to go on, else what main
 * is to return. A signal to end ends the program meanwhile. */
int process_open(struct process *, bool wait);
void process_close(struct process *);

/* Blocks the signals that this program waits for, in all threads that start later. */
void process_block_signals(void);
/* Waits so long (UINT64_MAX: for ever), less when a thread sends SIGUSR1; false: a signal to
 * end came. */
bool process_pause(uint64_t ms);
/* Ends the program at once, while its threads may be in the middle of something. */
void process_leave(int code) __attribute__((noreturn));

/* A stage once (until it finds nothing to do and has left nothing to another), or for ever,
 * until a signal. Gives what main is to return. Closes the stage. */
int process_run_stage(struct process *, struct stage *, bool once, uint64_t pause_min_ms,
                      uint64_t pause_max_ms);

struct land_options process_land_options(const struct process *);

#endif
