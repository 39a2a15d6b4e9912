#include <stdio.h>
#include <stdlib.h>

#include "pipeline/derive/cache/result_inside.h"

#define BUCKETS_FIRST 1024u

/* Both are as good as chance already. */
uint64_t result_code(const struct id16 *project, const struct hash *hash)
{
    uint64_t of_project;
    uint64_t of_hash;
    memcpy(&of_project, project->b + 8, sizeof(of_project));
    memcpy(&of_hash, hash->b, sizeof(of_hash));
    return of_project ^ of_hash;
}

void result_table_release(struct result_table *t)
{
    free(t->buckets);
    *t = (struct result_table){0};
}

static struct result_node **bucket(const struct result_table *t, uint64_t code)
{
    return &t->buckets[code & (t->n_buckets - 1)];
}

static void grow(struct result_table *t)
{
    struct result_table grown = {
        .n_buckets = t->n_buckets == 0 ? BUCKETS_FIRST : t->n_buckets * 2, .n = t->n};
    grown.buckets = must_alloc(grown.n_buckets, sizeof(*grown.buckets));
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct result_node *node = t->buckets[i]; node != NULL;) {
            struct result_node *next = node->next;
            struct result_node **to = bucket(&grown, node->code);
            node->next = *to;
            *to = node;
            node = next;
        }
    }
    free(t->buckets);
    *t = grown;
}

void result_table_add(struct result_table *t, struct result_node *node, uint64_t code)
{
    if (t->n == t->n_buckets)
        grow(t);
    node->code = code;
    struct result_node **to = bucket(t, code);
    node->next = *to;
    *to = node;
    t->n++;
}

void result_table_remove(struct result_table *t, struct result_node *node)
{
    struct result_node **at = bucket(t, node->code);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node->next = NULL;
    t->n--;
}

static struct result_node *with_code(struct result_node *node, uint64_t code)
{
    while (node != NULL && node->code != code)
        node = node->next;
    return node;
}

struct result_node *result_table_first(const struct result_table *t, uint64_t code)
{
    return t->n == 0 ? NULL : with_code(*bucket(t, code), code);
}

struct result_node *result_table_next(const struct result_node *node)
{
    return with_code(node->next, node->code);
}
