#include "pipeline/store/s3_inside.h"

#include <stdio.h>

/* Pages that one list reads: a bucket may hold any number of objects that are none of ours. */
#define PAGES_MAX 1000u

struct listing {
    struct s3_store *s3;
    struct arena *arena;
    struct buf prefix; /* with that of the store, a NUL behind it */
    struct buf after;  /* the last name that was seen, a NUL behind it; "" for none */
    const char *token; /* of the next page; "" for none */
    size_t max;
    struct store_list out;
};

/* Reads a page that begins behind `after` or at `token`. */
static int read_page(struct listing *l, struct s3_call *call)
{
    char max[24];
    size_t wanted = l->max > l->out.n ? l->max - l->out.n : 1;
    (void)snprintf(max, sizeof(max), "%zu", wanted);
    size_t n = 0;
    call->params[n++] = (struct s3_param){"list-type", "2"};
    call->params[n++] = (struct s3_param){"encoding-type", "url"};
    call->params[n++] = (struct s3_param){"max-keys", max};
    call->params[n++] = (struct s3_param){"prefix", (const char *)l->prefix.data};
    if (l->token[0] != '\0') {
        call->params[n++] = (struct s3_param){"continuation-token", l->token};
    } else if (l->after.data[0] != '\0') {
        call->params[n++] = (struct s3_param){"start-after", (const char *)l->after.data};
    }
    call->n_params = n;
    call->arena = l->arena;
    int err = s3_call_begin(call, l->s3, S3_LIST,
                            (const char *)l->prefix.data + strlen(l->s3->prefix));
    return err != OK ? err : s3_call_run(call);
}

static void set_after(struct listing *l, struct bytes name)
{
    buf_clear(&l->after);
    buf_append_bytes(&l->after, name);
    buf_append(&l->after, "", 1);
}

/* Takes over what is a key of a store. The server must have sorted the names, and given only
 * those that were asked for. */
static int take_page(struct listing *l, const struct s3_page *page)
{
    size_t own = strlen(l->s3->prefix);
    struct bytes prefix = bytes_of(l->prefix.data, l->prefix.len - 1);
    for (size_t i = 0; i < page->n; i++) {
        struct bytes name = page->entries[i].key;
        struct bytes after = bytes_of(l->after.data, l->after.len - 1);
        if (name.len < prefix.len || memcmp(name.data, prefix.data, prefix.len) != 0 ||
            bytes_compare(name, after) <= 0) {
            return ERR_CORRUPT;
        }
        if (l->out.n == l->max) {
            l->out.more = true;
            return OK;
        }
        const char *key = (const char *)name.data + own;
        if (strlen(key) == name.len - own && store_key_ok(key)) {
            l->out.keys[l->out.n++] = (struct store_key){
                .key = key, .size = page->entries[i].size, .put_ms = page->entries[i].put_ms};
        }
        set_after(l, name);
    }
    if (page->truncated && page->n == 0 && page->token[0] == '\0') {
        return ERR_CORRUPT;
    }
    l->token = page->token;
    l->out.more = page->truncated;
    return OK;
}

static int list_all(struct listing *l)
{
    for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
        struct s3_call call = {.s3 = l->s3};
        int err = read_page(l, &call);
        if (err == OK) {
            err = take_page(l, &call.page);
            if (err == ERR_CORRUPT) {
                s3_say(l->s3, false, "LIST", (const char *)l->prefix.data, err,
                       "it gives names that were not asked for, or not in their order");
            }
        }
        s3_call_release(&call);
        if (err != OK || !l->out.more || l->out.n >= l->max) {
            return err;
        }
    }
    return ERR_LIMIT;
}

int s3_list(struct store *store, struct arena *arena, const char *prefix, const char *after,
            size_t max, struct store_list *out)
{
    struct s3_store *s3 = (struct s3_store *)store;
    struct listing l = {.s3 = s3, .arena = arena, .token = "", .max = max};
    l.out.keys = arena_array(arena, max, struct store_key);
    buf_printf(&l.prefix, "%s%s", s3->prefix, prefix);
    buf_append(&l.prefix, "", 1);
    if (after[0] != '\0') {
        buf_printf(&l.after, "%s%s", s3->prefix, after);
    }
    buf_append(&l.after, "", 1);
    int err = list_all(&l);
    buf_release(&l.prefix);
    buf_release(&l.after);
    if (err == OK) {
        *out = l.out;
    }
    return err;
}
