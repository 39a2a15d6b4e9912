/* Uploads: who was told that one is there finds it there for the grace time. That what has
 * landed stays for ever is seen by the check of the bucket at the end. */
#include "formats/key.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_oracle.h"

struct upload_known {
    uint64_t put_us;  /* the last time */
    uint64_t told_us; /* the last put that a client was told of */
    bool told;
};

static struct upload_known *known(struct oracle *o, const struct id16 *project,
                                  const struct hash *hash)
{
    struct id16 half;
    memcpy(half.b, hash->b, sizeof(half.b));
    struct upload_known *u = id_table_find(&o->uploads, project, &half);
    return u != NULL ? u : id_table_new(&o->uploads, project, &half, sizeof(*u));
}

void oracle_upload_put(struct oracle *o, const char *key)
{
    struct id16 project;
    struct hash hash;
    if (key_kind(key, &project) == KEY_BLOB && key_blob_parse(key, &hash) == OK)
        known(o, &project, &hash)->put_us = world_now_us();
}

void oracle_upload_told(struct oracle *o, const struct id16 *project, const struct hash *hash)
{
    struct upload_known *u = known(o, project, hash);
    u->told = true;
    u->told_us = u->put_us;
}

void oracle_upload_deleting(struct oracle *o, const char *key)
{
    struct id16 project;
    struct hash hash;
    if (key_kind(key, &project) != KEY_BLOB || key_blob_parse(key, &hash) != OK)
        return;
    const struct upload_known *u = known(o, &project, &hash);
    if (u->told && world_now_us() < u->told_us + o->profile->grace_ms * 1000)
        broken("durable", "%s is deleted %.3f s after a put that a client was told of", key,
               (double)(world_now_us() - u->told_us) / 1e6);
}
