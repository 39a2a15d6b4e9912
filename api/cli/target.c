#include "api/cli/target.h"

#include <stdlib.h>

#include "api/client/call.h"
#include "formats/base/hex.h"
#include "formats/path.h"

/* Says what reading a tree failed of, where the client has not. */
static int tree_failed(struct client *client, int err)
{
    if (err == ERR_CORRUPT && client->problem.err != err)
        return client_fail(client, err, "damaged_tree",
                           "a part of the tree is not what its hash says");
    if (err == ERR_LIMIT && client->problem.err != err)
        return client_fail(client, err, "too_large", "the tree has too many files");
    if (client->problem.err != err)
        return client_fail(client, err, err_name(err), "the tree cannot be read");
    return err;
}

int target_find(struct client_ranges *ranges, uint64_t position, struct arena *arena,
                struct target *out)
{
    struct client *client = ranges->client;
    client->problem = (struct client_problem){0};
    struct id16_hex id = id16_hex(&ranges->project);
    struct client_head head;
    int err = client_head(client, bytes_str(id.s), &head);
    if (err != OK)
        return err;
    if (position == UINT64_MAX)
        position = head.position;
    if (position > head.position)
        return client_fail(client, ERR_NOT_FOUND, "not_found",
                           "there is no position %llu: the project is at %llu",
                           (unsigned long long)position, (unsigned long long)head.position);
    struct thick_tree newest, found;
    err = thick_tree_open(&ranges->source, &head.tree, arena, &newest);
    if (err == OK)
        err = thick_tree_at(&ranges->source, &newest, position, arena, &found);
    if (err != OK)
        return tree_failed(client, err);
    struct target target = {.position = position, .tree = found};
    target.inside = found.footer.position != position;
    if (target.inside) {
        err = thick_tree_open(&ranges->source, &found.footer.prev, arena, &target.tree);
        if (err != OK)
            return tree_failed(client, err);
    } else {
        target.content = found.footer.root_content;
    }
    *out = target;
    return OK;
}

static int change_order(const void *a, const void *b)
{
    const struct thick_change *left = a;
    const struct thick_change *right = b;
    return path_compare(left->path, right->path);
}

/* All pages of what the server says that differs. */
static int server_diff(struct client_ranges *ranges, uint64_t from, uint64_t to,
                       struct arena *arena, struct target_changes *out)
{
    struct id16_hex id = id16_hex(&ranges->project);
    size_t cap = 0;
    struct client_changes page = {0};
    *out = (struct target_changes){0};
    do {
        int err = client_diff(ranges->client, bytes_str(id.s), from, to, bytes_of(NULL, 0),
                              page.next, arena, &page);
        if (err != OK)
            return err;
        for (size_t i = 0; i < page.n; i++) {
            const struct client_change *change = &page.changes[i];
            bool dir = change->b != NULL && change->b->kind == KIND_DIR;
            if (path_check(change->path, NULL) != OK || dir)
                return client_fail(ranges->client, ERR_CORRUPT, "bad_answer",
                                   "the server names a path that cannot be");
            struct thick_change *add =
                arena_push(arena, (void **)&out->changes, &out->n, &cap, sizeof(*add));
            *add = (struct thick_change){.path = change->path, .b = change->b};
        }
    } while (page.next.len > 0);
    if (out->n > 0)
        qsort(out->changes, out->n, sizeof(*out->changes), change_order);
    return OK;
}

/* `over` on top of `under`, both sorted. */
static void overlay(struct arena *arena, const struct target_changes *over,
                    struct target_changes *under)
{
    size_t n = 0, i = 0, k = 0;
    struct thick_change *both = arena_array(arena, over->n + under->n, struct thick_change);
    while (i < over->n || k < under->n) {
        int c = i == over->n    ? 1
                : k == under->n ? -1
                                : path_compare(over->changes[i].path, under->changes[k].path);
        both[n++] = c <= 0 ? over->changes[i] : under->changes[k];
        i += c <= 0 ? 1 : 0;
        k += c >= 0 ? 1 : 0;
    }
    under->changes = both;
    under->n = n;
}

int target_diff(struct client_ranges *ranges, const struct index *index,
                const struct target *target, struct arena *arena, struct target_changes *out)
{
    struct client *client = ranges->client;
    client->problem = (struct client_problem){0};
    bool empty = index->n == 0 && index->position == 0 && hash_is_zero(&index->tree);
    bool exact = empty || !hash_is_zero(&index->tree);
    if (!empty && (target->inside || !exact))
        return server_diff(ranges, index->position, target->position, arena, out);
    struct thick_tree base;
    int err = OK;
    if (!empty)
        err = thick_tree_open(&ranges->source, &index->tree, arena, &base);
    struct thick_changes changes = {0};
    if (err == OK)
        err = thick_tree_diff(&ranges->source, empty ? NULL : &base, &target->tree, arena,
                              &changes);
    if (err != OK)
        return tree_failed(client, err);
    *out = (struct target_changes){.changes = changes.changes, .n = changes.n};
    if (!target->inside)
        return OK;
    struct target_changes since;
    err = server_diff(ranges, target->tree.footer.position, target->position, arena, &since);
    if (err == OK)
        overlay(arena, &since, out);
    return err;
}
