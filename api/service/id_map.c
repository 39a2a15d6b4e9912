#include "api/service/id_map.h"

#include <stdlib.h>

#define BUCKETS_FIRST 64u

void id_map_release(struct id_map *map)
{
    free(map->buckets);
    *map = (struct id_map){0};
}

static struct id_link **bucket_of(const struct id_map *map, uint64_t hash)
{
    return &map->buckets[(size_t)hash & (map->n_buckets - 1)];
}

static void grow(struct id_map *map)
{
    struct id_map grown = {
        .n_buckets = map->n_buckets == 0 ? BUCKETS_FIRST : map->n_buckets * 2, .n = map->n};
    grown.buckets = calloc(grown.n_buckets, sizeof(struct id_link *));
    if (grown.buckets == NULL)
        abort();
    for (size_t i = 0; i < map->n_buckets; i++) {
        for (struct id_link *link = map->buckets[i]; link != NULL;) {
            struct id_link *next = link->next;
            struct id_link **bucket = bucket_of(&grown, link->hash);
            link->next = *bucket;
            *bucket = link;
            link = next;
        }
    }
    free(map->buckets);
    *map = grown;
}

void id_map_add(struct id_map *map, struct id_link *link, uint64_t hash)
{
    if (map->n == map->n_buckets)
        grow(map);
    struct id_link **bucket = bucket_of(map, hash);
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    map->n++;
}

void id_map_remove(struct id_map *map, struct id_link *link)
{
    struct id_link **at = bucket_of(map, link->hash);
    while (*at != link) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    map->n--;
}

static struct id_link *skip_others(struct id_link *link, uint64_t hash)
{
    while (link != NULL && link->hash != hash)
        link = link->next;
    return link;
}

struct id_link *id_map_first(const struct id_map *map, uint64_t hash)
{
    return map->n_buckets == 0 ? NULL : skip_others(*bucket_of(map, hash), hash);
}

struct id_link *id_map_next(const struct id_link *link)
{
    return skip_others(link->next, link->hash);
}
