#include "pipeline/repo/put_once.h"

#include "pipeline/repo/damage.h"

static int compare(struct repo *repo, const char *key, struct bytes bytes)
{
    AUTO_BUF there = {0};
    int err = store_get(repo->store, key, range_all(), &there, NULL, NULL);
    if (err == ERR_LIMIT || (err == OK && !bytes_equal(buf_bytes(&there), bytes))) {
        damage_log(repo, key, ERR_CORRUPT);
        err = ERR_CONFLICT;
    }
    /* It was there a moment ago. */
    return err == ERR_NOT_FOUND ? ERR_AGAIN : err;
}

int put_once(struct repo *repo, const char *key, struct bytes bytes)
{
    int err = store_put(repo->store, key, bytes, PUT_IF_ABSENT, NULL);
    /* The same bytes under the same name, if absent: doing it again is harmless and tells. */
    if (err == ERR_UNKNOWN)
        err = store_put(repo->store, key, bytes, PUT_IF_ABSENT, NULL);
    return err == ERR_CONFLICT ? compare(repo, key, bytes) : err;
}

int put_again(struct repo *repo, const char *key, struct bytes bytes)
{
    AUTO_BUF there = {0};
    int err = store_get(repo->store, key, range_all(), &there, NULL, NULL);
    if (err == OK && bytes_equal(buf_bytes(&there), bytes))
        return OK;
    if (err == OK || err == ERR_LIMIT)
        damage_log(repo, key, ERR_CORRUPT);
    else if (err != ERR_NOT_FOUND)
        return err;
    return store_put(repo->store, key, bytes, PUT_ANY, NULL);
}
