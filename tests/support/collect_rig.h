/* A forge whose store tells dates, what a collector is to find or to leave there, and runs of
 * it. What fails fails the running test. */
#ifndef TESTS_SUPPORT_COLLECT_RIG_H
#define TESTS_SUPPORT_COLLECT_RIG_H

#include "formats/key.h"
#include "pipeline/repo/collect/collect.h"
#include "pipeline/repo/content/blob_store.h"
#include "tests/support/forge.h"

#define COLLECT_RIG_GRACE_MS 86400000u

struct collect_rig {
    struct forge f;
    struct collect_report report; /* of the last run */
};

void collect_rig_open(struct collect_rig *);
void collect_rig_close(struct collect_rig *);

/* More than the grace time goes by. */
void collect_rig_age(struct collect_rig *);
/* Uploads so many bytes that follow from `seed`. */
struct content collect_rig_upload(struct collect_rig *, unsigned seed, size_t len);
/* What an upload gives, in that forge. */
int collect_rig_try_upload(struct forge *, unsigned seed, size_t len, struct content *out);
/* The key of a tree object that nothing names, which is put. */
struct key collect_rig_orphan(struct collect_rig *, uint8_t seed);
/* A whole session that writes the content at `path`, asked to land. */
struct id16 collect_rig_submit(struct forge *, const char *path, const struct content *,
                               struct draft *out);
bool collect_rig_there(struct collect_rig *, const struct key *);
bool collect_rig_has(struct collect_rig *, const struct content *);

/* A run, or a look, by a process of its own that keeps nothing; its error. */
int collect_rig_run(struct collect_rig *);
int collect_rig_look(struct collect_rig *);
/* No damage is found in the store. */
void collect_rig_clean(struct collect_rig *);
/* Puts a gc object that condemns this upload. */
void collect_rig_condemn(struct collect_rig *, enum gc_state, const struct hash *blob);

#endif
