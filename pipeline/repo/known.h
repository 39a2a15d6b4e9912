/* Small facts that this process has learned from the store and that do not change while they
 * are remembered: which project a handle names, what lies under a blob's hash. Bounded: the
 * fact that was not used for longest makes room. Any thread. A NULL memory knows nothing and
 * learns nothing. */
#ifndef PIPELINE_REPO_KNOWN_H
#define PIPELINE_REPO_KNOWN_H

#include "formats/base/types.h"

struct known;

/* What each kind of fact puts where is said by who adds it. */
struct fact {
    struct id16 id;
    struct hash hash;
    uint64_t number;
    uint8_t word;
};

struct known *known_open(size_t facts_max) MUST_USE;
void known_close(struct known *);

/* What a fact is called: `domain` keeps kinds apart, `project` may be NULL. */
struct hash known_name(const char *domain, const struct id16 *project, struct bytes name);

bool known_find(struct known *, const struct hash *name, struct fact *out) MUST_USE;
void known_add(struct known *, const struct hash *name, const struct fact *);
/* The same, but a fact with a greater number stays. */
void known_raise(struct known *, const struct hash *name, const struct fact *);

#endif
