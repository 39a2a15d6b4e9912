/* Threads beside those of the connections, for requests that may have to wait for something: a
 * look for what other nodes have told, an index that is being made. Their connections are
 * suspended meanwhile, so however many of them wait, all others are served.
 *
 * Any thread. */
#ifndef API_HTTP_ASIDE_H
#define API_HTTP_ASIDE_H

#include <stdbool.h>

struct aside;
struct request;

/* One piece of work of a request, which lies in the request. */
struct aside_work {
    struct aside_work *next;
    struct request *r;
    void (*run)(void *arg);
    void *arg;
};

/* `run` is called for each piece of work, in the order in which they came, as many at once as
 * there are threads. */
struct aside *aside_open(unsigned threads, void (*run)(struct aside_work *));
void aside_add(struct aside *, struct aside_work *);
/* Returns when nothing waits or runs any more, or after so long. */
void aside_settle(struct aside *, unsigned most_ms);
/* Runs what waits, and ends. Nothing may be added any more but by what runs. */
void aside_close(struct aside *);

#endif
