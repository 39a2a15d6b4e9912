#include "api/service/path_map.h"

#include "formats/base/hash.h"
#include "formats/path.h"

#define SLOTS_FIRST 64u

static struct path_item **slot_of(const struct path_map *map, struct bytes path)
{
    size_t i = (size_t)xxh3_64(path) & (map->n_slots - 1);
    while (map->slots[i] != NULL && !bytes_equal(map->slots[i]->path, path))
        i = (i + 1) & (map->n_slots - 1);
    return &map->slots[i];
}

struct path_item *path_map_find(const struct path_map *map, struct bytes path)
{
    return map->n_slots == 0 ? NULL : *slot_of(map, path);
}

static void grow(struct path_map *map)
{
    struct path_map grown = *map;
    grown.n_slots = map->n_slots == 0 ? SLOTS_FIRST : map->n_slots * 2;
    grown.slots = arena_array(map->arena, grown.n_slots, struct path_item *);
    for (size_t i = 0; i < map->n_slots; i++) {
        if (map->slots[i] != NULL)
            *slot_of(&grown, map->slots[i]->path) = map->slots[i];
    }
    *map = grown;
}

static struct path_item *item_for(struct path_map *map, struct bytes path)
{
    if (map->n * 2 >= map->n_slots)
        grow(map);
    struct path_item **slot = slot_of(map, path);
    if (*slot == NULL) {
        *slot = arena_new(map->arena, struct path_item);
        (*slot)->path = path;
        map->n++;
    }
    return *slot;
}

void path_map_set(struct path_map *map, struct bytes path, const struct entry *there)
{
    struct path_item *item = item_for(map, path);
    bool known = item->changed || item->below;
    item->changed = true;
    item->there = *there;
    /* What is above a path that was met before is marked already. */
    while (!known && path.len > 0) {
        path = path_parent(path);
        item = item_for(map, path);
        known = item->below;
        item->below = true;
    }
}
