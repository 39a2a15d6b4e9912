/* Damage: an object that is not what its name, its checksum or its parent says. Callers get
 * ERR_CORRUPT, which names nothing; so who finds it logs the object's key, here. */
#ifndef PIPELINE_REPO_DAMAGE_H
#define PIPELINE_REPO_DAMAGE_H

#include "pipeline/repo/repo.h"

/* Logs that the object under `key` is damaged, and what was found: once a minute at the
 * most. */
void damage_log(struct repo *, const char *key, int err);

/* What a read of the object under `key`, which must be there, comes to: what is wrong with the
 * object itself (not there, too short, not to be decoded) is logged and becomes ERR_CORRUPT;
 * OK and what the store has failed stay as they are. */
static inline int damage_of(struct repo *repo, const char *key, int err)
{
    if (err != ERR_NOT_FOUND && err != ERR_CORRUPT && err != ERR_INVALID && err != ERR_LIMIT)
        return err;
    damage_log(repo, key, err);
    return ERR_CORRUPT;
}

/* The same of an object that may be absent: ERR_NOT_FOUND stays, too. */
static inline int damage_unless_absent(struct repo *repo, const char *key, int err)
{
    return err == ERR_NOT_FOUND ? err : damage_of(repo, key, err);
}

#endif
