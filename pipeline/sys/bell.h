/* A bell: one thread sleeps until another rings, or for a while. A ring that comes while nobody
 * sleeps is kept for the next who would. */
#ifndef PIPELINE_SYS_BELL_H
#define PIPELINE_SYS_BELL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define BELL_FOR_EVER UINT64_MAX

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rings;
    bool rung;
};

void bell_init(struct bell *);
void bell_release(struct bell *);
/* Any thread. */
void bell_ring(struct bell *);
/* Sleeps until it rings, at most `us`; true when it rang. */
bool bell_wait(struct bell *, uint64_t us);

#endif
