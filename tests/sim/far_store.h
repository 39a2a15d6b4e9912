/* The store as a process sees it: far away and over a bad line. Every call takes virtual time,
 * in which others run; what a put or delete does happens somewhere in that time, or later, or
 * not, or twice. The bytes lie in a store in memory.
 *
 * What a process has under way when it dies may still happen: the store has the request. */
#ifndef TESTS_SIM_FAR_STORE_H
#define TESTS_SIM_FAR_STORE_H

#include "pipeline/store/store.h"
#include "tests/sim/profile.h"

enum key_kind {
    KEY_OTHER,
    KEY_QUEUE,
    KEY_DEAD,
    KEY_HEAD,
    KEY_TREE,
    KEY_SESSION,
    KEY_LOG,
    KEY_ROLLUP,
    KEY_BLOB,
    KEY_DERIVE,
    KEY_DERIVE_SEGMENT,
    KEY_HANDLE,
};
/* What a key names, and of which project when it is one's; of references too. */
enum key_kind key_kind(const char *key, struct id16 *project);

/* Told of every effect, when it happens, whoever asked for it. */
struct effect_watch {
    /* `old` is what lay there before; it is empty when nothing did. */
    void (*put)(void *arg, const char *key, struct bytes old, struct bytes data);
    void (*deleting)(void *arg, const char *key, struct bytes old);
    void *arg;
};

/* The far end: one a world. */
struct far_end;
struct far_end *far_end_open(const struct profile *, const struct effect_watch *) MUST_USE;
/* The bytes, without line or trouble. */
struct store *far_end_mem(struct far_end *);
/* From here on nothing goes wrong any more; what is late comes all the same. */
void far_end_calm(struct far_end *);
uint64_t far_end_calls(const struct far_end *);
/* Effects that are still to come. */
size_t far_end_under_way(const struct far_end *);

/* A process's line to it. */
struct far_line {
    struct store store; /* first: what the process uses */
    struct far_end *end;
    struct flight *flights; /* that it waits for */
    uint64_t life;          /* counts its cuts */
    void *process;
    /* The process dies, or is stopped for so long: told by the line, in nobody's task. */
    void (*die)(void *process);
    void (*hold)(void *process, uint64_t us);
    /* Before each call; in the caller's task. Gives how the call is to go wrong, or TROUBLES:
     * by chance. `op` is NULL for a list. May be NULL. */
    enum trouble (*plan)(void *process, const struct store_op *op);
};
void far_line_open(struct far_line *, struct far_end *, void *process);
/* The process is dead: what it has under way is nobody's. */
void far_line_cut(struct far_line *);
/* Counts what had just happened at the store, and the process does not know yet. */
void far_line_count_crash(const struct far_line *);

#endif
