#include "pipeline/repo/damage.h"

#include "pipeline/repo/known.h"
#include "pipeline/sys/log.h"

#define SILENCE_US 60000000u

/* Remembered of a key that was logged: `number` is when. */
static bool is_new(struct repo *repo, const char *key)
{
    if (repo->known == NULL) /* it is being opened */
        return true;
    struct hash name = known_name("damaged", NULL, bytes_str(key));
    uint64_t now = repo->clock->mono_us(repo->clock);
    struct fact fact;
    if (known_find(repo->known, &name, &fact) && now - fact.number < SILENCE_US)
        return false;
    fact = (struct fact){.number = now};
    known_add(repo->known, &name, &fact);
    return true;
}

void damage_log(struct repo *repo, const char *key, int err)
{
    if (is_new(repo, key))
        log_error("object_damaged", LOG_STR("key", key), LOG_ERR(err));
}
