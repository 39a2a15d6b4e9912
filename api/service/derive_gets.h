/* Gets that somebody waits for: each is answered when it is done, or when its wait is over.
 * Then it goes on for a while, so that who asks again finds it further on, and is given up when
 * nobody has.
 *
 * Any thread. One thread of its own ends waits. */
#ifndef API_SERVICE_DERIVE_GETS_H
#define API_SERVICE_DERIVE_GETS_H

#include "api/service/service_derive.h"

struct derive_gets;

struct derive_gets *derive_gets_open(struct derive *) MUST_USE;
void derive_gets_start(struct derive_gets *);
/* Answers all that waits, and takes nothing more. */
void derive_gets_stop(struct derive_gets *);
void derive_gets_close(struct derive_gets *); /* NULL is fine */

void derive_gets_add(struct derive_gets *, const struct id16 *project, const struct hash *,
                     const struct derive_ask *, derive_answer_fn, void *arg);

#endif
