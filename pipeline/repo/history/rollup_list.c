#include "pipeline/repo/history/rollup_list.h"

#include "formats/key.h"

int rollup_list(struct repo *repo, const struct id16 *project, unsigned level, uint64_t first,
                uint64_t end, struct arena *arena, struct rollup_ref **out, size_t *n)
{
    struct key prefix = key_rollup_prefix(project, level);
    struct key before = key_rollup(project, level, first - 1, UINT64_MAX);
    const char *after = before.s;
    void *items = NULL;
    size_t count = 0;
    size_t cap = 0;
    struct store_list keys = {.more = true};
    while (keys.more) {
        int err = store_list(repo->store, arena, prefix.s, after, STORE_LIST_MAX, &keys);
        if (err != OK)
            return err;
        for (size_t i = 0; i < keys.n; i++) {
            struct rollup_ref ref = {.size = keys.keys[i].size};
            unsigned of_level;
            after = keys.keys[i].key;
            if (key_rollup_parse(after, &of_level, &ref.first, &ref.end) != OK ||
                !rollup_name_ok(level, ref.first, ref.end))
                continue;
            if (ref.first >= end) {
                keys.more = false;
                break;
            }
            struct rollup_ref *item = arena_push(arena, &items, &count, &cap, sizeof(*item));
            *item = ref;
        }
        if (keys.n == 0)
            break;
    }
    *out = items;
    *n = count;
    return OK;
}
