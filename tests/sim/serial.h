/* The plain serial model of one project: its tree at every position, and what a session comes
 * to, worked out without the code under test: records in order of time, the last of each path
 * counts. */
#ifndef TESTS_SIM_SERIAL_H
#define TESTS_SIM_SERIAL_H

#include "formats/session.h"
#include "tests/support/tree_model.h"

struct serial {
    struct tree_model *at; /* by position */
    size_t n;
    size_t cap;
};

void serial_open(struct serial *);
static inline uint64_t serial_position(const struct serial *s)
{
    return s->n - 1;
}
const struct tree_model *serial_at(const struct serial *, uint64_t position);

struct net_effect {
    struct bytes path;
    enum effect_kind kind;
    struct seen seen;
    struct entry there; /* WRITE: kind, mode, size, hash */
    const struct record *by;
};

struct net {
    struct net_effect *effects; /* in no order */
    size_t n;
    const struct record **guards; /* one a path */
    size_t n_guards;
};

/* In the arena. `by_place`: the records' order in the array is that of time. */
void net_of(const struct record *records, size_t n, bool by_place, struct arena *,
            struct net *out);

/* What an operation sees at a path: a directory counts as absent. */
struct seen serial_seen(const struct tree_model *, struct bytes path);
/* And what a guard sees. */
struct seen serial_guard(const struct tree_model *, struct bytes path);

/* What would not hold if the session landed on the tree at `position`, or NULL. */
const char *serial_would_land(const struct serial *, uint64_t position, const struct net *,
                              struct bytes *path);
/* The session lands at the next position. Gives what does not hold, or NULL; `path` is then
 * where. */
const char *serial_land(struct serial *, const struct net *, struct bytes *path);

#endif
