/* What reads see after writes. */
#include "pipeline/store/probe_inside.h"

#define READ_ROUNDS 4u
#define READERS     4u

static int read_side_by_side(struct probe *p, const char *text)
{
    struct key key = probe_key(p, "swap");
    struct store_op ops[READERS] = {0};
    struct buf bodies[READERS] = {0};
    for (size_t i = 0; i < READERS; i++) {
        ops[i] = (struct store_op){
            .verb = STORE_GET, .key = key.s, .range = range_all(), .body = &bodies[i]};
    }
    int err = store_many(p->store, ops, READERS);
    for (size_t i = 0; i < READERS && (err == OK || err == ERR_AGAIN); i++) {
        err = ops[i].err == ERR_AGAIN ? probe_one(p, &ops[i]) : ops[i].err;
    }
    if (err == ERR_NOT_FOUND) {
        err = probe_refuse(p, "a get right after a put says that there is nothing");
    } else if (err != OK) {
        err = probe_cannot(p, err, "gets side by side");
    }
    for (size_t i = 0; i < READERS && err == OK; i++) {
        if (!bytes_equal(buf_bytes(&bodies[i]), bytes_str(text))) {
            err = probe_refuse(p, "a get right after a put shows what was there before");
        }
    }
    for (size_t i = 0; i < READERS; i++) {
        buf_release(&bodies[i]);
    }
    return err;
}

/* Each put makes the object longer, so that a list shows by its size whether it is stale. */
int probe_reads(struct probe *p, struct etag *etag)
{
    char text[READ_ROUNDS + 8] = "read";
    for (size_t i = 0; i < READ_ROUNDS; i++) {
        text[4 + i] = '!';
        text[5 + i] = '\0';
        int err = probe_put(p, "swap", text, PUT_IF_MATCH, etag);
        if (err == ERR_CONFLICT) {
            return probe_refuse(p, "no If-Match holds with the etag that a put has just given");
        }
        if (err == OK) {
            err = read_side_by_side(p, text);
        }
        AUTO(arena_release) struct arena arena = {0};
        struct store_list list = {0};
        if (err == OK) {
            err = probe_list(p, &arena, probe_key(p, "swap").s, "", 10, &list);
        }
        if (err != OK) {
            return probe_cannot(p, err, "reads after a put");
        }
        if (list.n != 1 || list.keys[0].size != strlen(text)) {
            return probe_refuse(p, "a list right after a put does not show it");
        }
    }
    return OK;
}

static bool list_is(const struct probe *p, const struct store_list *list,
                    const char *const *names, size_t n, bool more)
{
    bool same = list->n == n && list->more == more;
    for (size_t i = 0; i < n && same; i++) {
        same = strcmp(list->keys[i].key, probe_key(p, names[i]).s) == 0;
    }
    return same;
}

int probe_lists_and_deletes(struct probe *p)
{
    static const char *const names[] = {"list-b", "list.c", "list/a/x", "list0"};
    size_t n = ARRAY_LEN(names);
    struct store_list list = {0};
    AUTO(arena_release) struct arena arena = {0};
    for (size_t i = n; i > 0; i--) {
        int err = probe_put(p, names[i - 1], "x", PUT_ANY, NULL);
        if (err != OK) {
            return probe_cannot(p, err, "a put");
        }
    }
    struct key prefix = probe_key(p, "list");
    int err = probe_list(p, &arena, prefix.s, "", 10, &list);
    bool good = list_is(p, &list, names, n, false);
    if (err == OK) {
        err = probe_list(p, &arena, prefix.s, probe_key(p, names[0]).s, 2, &list);
        good = good && list_is(p, &list, names + 1, 2, true);
    }
    if (err == OK && !good) {
        return probe_refuse(p, "its lists leave keys out, or are not in the order of bytes");
    }
    struct key gone = probe_key(p, names[1]);
    struct store_op op = {.verb = STORE_DELETE, .key = gone.s};
    if (err == OK) {
        err = probe_one(p, &op);
    }
    if (err != OK) {
        return probe_cannot(p, err, "lists and a delete");
    }
    err = probe_expect(p, names[1], "x", NULL);
    int listed = probe_list(p, &arena, gone.s, "", 10, &list);
    if (err == OK || (listed == OK && list.n > 0)) {
        return probe_refuse(p, "what was deleted is still there");
    }
    return err != ERR_CONFLICT ? probe_cannot(p, err, "a get after a delete") : listed;
}
