#include "pipeline/derive/index/index_follow.h"

#include "formats/base/hex.h"
#include "pipeline/derive/log/derive_follow.h"
#include "pipeline/sys/log.h"

static int take(void *arg, const struct derive_object *object, struct bytes encoded)
{
    return derive_index_apply(arg, object, encoded);
}

int index_follow(void *arg, struct derive_index *index, const struct id16 *project,
                 struct derive_cursor *cursor)
{
    return derive_follow(arg, project, cursor, take, index);
}

void index_durable(void *arg, const struct derive_object *object, struct bytes encoded)
{
    int err = derive_index_apply(arg, object, encoded);
    if (err != OK) /* the next look finds it in the log */
        log_warn("derive_index_not_kept", LOG_STR("project", id16_hex(&object->project).s),
                 LOG_U64("seq", object->seq), LOG_ERR(err));
}
