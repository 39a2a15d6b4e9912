#include "api/git/landings.h"

#include <stdlib.h>

#include "api/git/git.h"
#include "formats/base/hash.h"

static struct landing_batch batch_of(const struct thick_tree *tree)
{
    const struct footer *footer = &tree->footer;
    return (struct landing_batch){
        .tree = tree->tree,
        .first = footer->first,
        .position = footer->position,
        .records = footer->records,
        .n_records = footer->n_records,
    };
}

int landings_list(struct range_source *source, const struct hash *tree, struct arena *arena,
                  struct landing_batch **out, size_t *n)
{
    struct landing_batch *batches = NULL;
    size_t count = 0;
    size_t cap = 0;
    struct hash at = *tree;
    uint64_t number = UINT64_MAX;
    while (!hash_is_zero(&at)) {
        AUTO(arena_release) struct arena scratch = {0};
        struct thick_tree found;
        int err = thick_tree_open(source, &at, &scratch, &found);
        if (err != OK)
            return err;
        /* Numbers fall, so this ends. */
        if (found.footer.batch >= number)
            return ERR_CORRUPT;
        number = found.footer.batch;
        if (found.footer.position > found.footer.first) {
            void *items = batches;
            struct landing_batch *place =
                arena_push(arena, &items, &count, &cap, sizeof(*place));
            batches = items;
            *place = batch_of(&found);
        }
        at = found.footer.prev;
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct landing_batch other = batches[i];
        batches[i] = batches[count - 1 - i];
        batches[count - 1 - i] = other;
    }
    *out = batches;
    *n = count;
    return OK;
}

static int landing_order(const void *a, const void *b)
{
    const struct landing *left = a;
    const struct landing *right = b;
    return (left->position > right->position) - (left->position < right->position);
}

int landings_read(struct range_source *source, const struct landing_batch *batch,
                  struct arena *arena, struct landing **out, size_t *n)
{
    AUTO_BUF bytes = {0};
    struct range_read read = {
        .tree = batch->tree, .offset = batch->records.offset, .len = batch->records.len};
    int err =
        batch->records.len > RECORDS_MAX ? ERR_LIMIT : range_read_one(source, &read, &bytes);
    if (err != OK)
        return err;
    struct hash hash = sha256(buf_bytes(&bytes));
    if (!hash_equal(&hash, &batch->records.hash))
        return ERR_CORRUPT;
    uint64_t expected = batch->position - batch->first;
    if (expected > batch->n_records || batch->n_records > batch->records.len)
        return ERR_CORRUPT;
    struct landing *landings = arena_array(arena, (size_t)expected, struct landing);
    struct bytes kept = arena_copy(arena, buf_bytes(&bytes));
    struct reader r;
    rd_init(&r, kept);
    size_t count = 0;
    while (rd_left(&r) > 0 && rd_error(&r) == OK) {
        struct bytes one = rd_run32(&r, RECORDS_MAX);
        struct landing landing = {0};
        err = rd_error(&r) != OK ? rd_error(&r) : landing_decode(one, arena, &landing);
        if (err != OK)
            return err;
        if (landing.verdict != VERDICT_LANDED)
            continue;
        if (count == expected || !landing.has_session)
            return ERR_CORRUPT;
        landings[count++] = landing;
    }
    if (rd_end(&r) != OK || count != expected)
        return ERR_CORRUPT;
    qsort(landings, count, sizeof(*landings), landing_order);
    for (size_t i = 0; i < count; i++) {
        if (landings[i].position != batch->first + 1 + i)
            return ERR_CORRUPT;
    }
    *out = landings;
    *n = count;
    return OK;
}

static const struct record_start *start_of(const struct landing *landing)
{
    const struct session *session = &landing->landed;
    for (size_t i = 0; i < session->n_records; i++) {
        if (session->records[i].kind == RECORD_START)
            return &session->records[i].start;
    }
    return NULL;
}

bool landing_attribute(const struct landing *landing, const char *name, struct bytes *out)
{
    const struct record_start *start = start_of(landing);
    for (uint32_t i = 0; start != NULL && i < start->n_attributes; i++) {
        if (bytes_equal(start->attributes[i].name, bytes_str(name))) {
            *out = start->attributes[i].value;
            return true;
        }
    }
    return false;
}

static bool newest_of(struct landing *landings, size_t n, struct arena *arena,
                      struct landed_commit *out)
{
    for (size_t i = n; i-- > 0;) {
        struct bytes id;
        const struct record_start *start = start_of(&landings[i]);
        if (start == NULL || !landing_attribute(&landings[i], GIT_ATTR_ID, &id))
            continue;
        *out = (struct landed_commit){
            .id = arena_copy(arena, id),
            .key = arena_copy(arena, start->key),
            .base = session_id_base(&landings[i].session),
            .position = landings[i].position,
        };
        return true;
    }
    return false;
}

int landings_newest_commit(struct range_source *source, const struct hash *tree,
                           struct arena *arena, struct landed_commit *out)
{
    struct hash at = *tree;
    uint64_t number = UINT64_MAX;
    while (!hash_is_zero(&at)) {
        AUTO(arena_release) struct arena scratch = {0};
        struct thick_tree found;
        int err = thick_tree_open(source, &at, &scratch, &found);
        if (err != OK)
            return err;
        if (found.footer.batch >= number)
            return ERR_CORRUPT;
        number = found.footer.batch;
        at = found.footer.prev;
        if (found.footer.position == found.footer.first)
            continue;
        struct landing_batch batch = batch_of(&found);
        struct landing *landings;
        size_t n;
        err = landings_read(source, &batch, &scratch, &landings, &n);
        if (err != OK)
            return err;
        if (newest_of(landings, n, arena, out))
            return OK;
    }
    return ERR_NOT_FOUND;
}
