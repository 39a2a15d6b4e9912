/* Runs a stage over and over in a thread: at once while there is work, else after a pause that
 * doubles from the least to the greatest, and ends when the stage wants to run again; a wake
 * ends it, too. */
#ifndef PIPELINE_STAGES_FOLLOW_H
#define PIPELINE_STAGES_FOLLOW_H

#include "pipeline/stages/stages.h"

struct follow;

/* Starts the thread. The stage stays the caller's, and is not used by anybody else until
 * follow_stop. */
struct follow *follow_start(struct stage *, uint64_t pause_min_ms,
                            uint64_t pause_max_ms) MUST_USE;
/* There may be work: any thread. */
void follow_wake(struct follow *);
/* Ends after the round under way. */
void follow_stop(struct follow *);

#endif
