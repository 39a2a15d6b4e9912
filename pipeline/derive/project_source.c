#include "pipeline/derive/project_source.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "pipeline/derive/refs/refs_snapshot.h"
#include "pipeline/derive/source_input.h"
#include "pipeline/repo/content/content_read.h"
#include "pipeline/repo/history/landlog.h"

/* Where something lies that the index does not have: it was found through a reference, or by
 * looking for it. */
struct found_place {
    struct entry entry; /* without its name */
    struct found_place *next;
};

/* Memos of runs that end within this are told together: each tell costs more than such a run.
 * One that took longer is told at once. */
#define TELL_US  1000u
#define TELL_MAX 64u

struct gathered {
    pthread_mutex_t lock;
    struct derive_item items[TELL_MAX];
    uint32_t n;
    struct arena arena; /* what they point to */
    uint64_t told_us;   /* when some were told last */
};

struct project_source {
    struct derive_source source;
    struct derive *derive;
    struct id16 project;
    atomic_uint holders;
    /* What was told until then is seen. Raised with each reference that is read: it may have
     * been bound a moment ago to what was told a moment ago. */
    _Atomic uint64_t since_us;
    pthread_mutex_t lock; /* of the places and the arena */
    struct found_place *places;
    struct arena arena; /* runs of quarantines */
    struct gathered gathered;
    pthread_mutex_t refs_lock;
    struct refs_snapshot *refs;
};

static struct project_source *self(struct derive_source *source)
{
    return (struct project_source *)source;
}

/* --- places --- */

/* Under the lock. */
static const struct found_place *place_of(const struct project_source *s,
                                          const struct hash *address)
{
    const struct found_place *at = s->places;
    while (at != NULL && !hash_equal(&at->entry.hash, address))
        at = at->next;
    return at;
}

/* Once: a cascade below a reference asks for it with every dependent. */
static void place_keep(struct project_source *s, const struct entry *entry)
{
    struct found_place *place = calloc(1, sizeof(*place));
    if (place == NULL)
        abort();
    place->entry = *entry;
    place->entry.name = bytes_of(NULL, 0);
    (void)pthread_mutex_lock(&s->lock);
    bool fresh = place_of(s, &entry->hash) == NULL;
    if (fresh) {
        place->next = s->places;
        s->places = place;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!fresh)
        free(place);
}

static bool place_find(struct project_source *s, const struct hash *address, struct entry *out)
{
    (void)pthread_mutex_lock(&s->lock);
    const struct found_place *at = place_of(s, address);
    if (at != NULL)
        *out = at->entry;
    (void)pthread_mutex_unlock(&s->lock);
    return at != NULL;
}

/* --- references --- */

/* The place of a tree that is used by its content is told, so that the memo's inputs can be
 * found when the head has moved on. */
static void tree_tell(struct project_source *s, const struct entry *entry)
{
    struct location where;
    if (entry->where.place != PLACE_PAGE ||
        derive_index_tree(s->derive->index, &s->project, &entry->hash, DERIVE_MISS_TELL,
                          &where) == OK)
        return;
    const struct derive_item item = {
        .kind = DERIVE_TREE, .address = entry->hash, .where = entry->where};
    (void)s->source.tell(&s->source, &item, 1);
}

static int ref_value(struct project_source *s, struct bytes name, struct bytes path,
                     struct ref_value *out)
{
    (void)pthread_mutex_lock(&s->refs_lock);
    int err = refs_snapshot_ref(s->refs, name, path, out);
    (void)pthread_mutex_unlock(&s->refs_lock);
    return err;
}

static void value_keep(struct project_source *s, const struct ref_value *value)
{
    const struct entry entry = {.kind = value->kind,
                                .size = value->size,
                                .hash = value->address,
                                .where = value->where};
    if (entry.kind != KIND_NONE)
        place_keep(s, &entry);
    if (entry.kind == KIND_DIR)
        tree_tell(s, &entry);
}

/* --- what an address is --- */

static int find_recipe(struct project_source *s, const struct hash *address,
                       struct arena *arena, struct derive_found *out)
{
    AUTO_BUF canonical = {0};
    int err = derive_index_recipe(s->derive->index, &s->project, address, DERIVE_MISS_TELL,
                                  &canonical);
    if (err != OK)
        return err;
    struct bytes copy = arena_copy(arena, buf_bytes(&canonical));
    err = recipe_decode(copy, arena, &out->recipe);
    if (err != OK)
        return ERR_CORRUPT;
    out->is = DERIVE_IS_RECIPE;
    return OK;
}

static int find_leaf(struct project_source *s, const struct hash *address,
                     struct derive_found *out)
{
    struct derive_leaf leaf;
    int err =
        derive_index_leaf(s->derive->index, &s->project, address, DERIVE_MISS_TELL, &leaf);
    if (err != OK)
        return err;
    out->is = DERIVE_IS_BYTES;
    out->size = leaf.size;
    return OK;
}

static int find_tree(struct project_source *s, const struct hash *address,
                     struct derive_found *out)
{
    struct location where;
    int err =
        derive_index_tree(s->derive->index, &s->project, address, DERIVE_MISS_TELL, &where);
    if (err == OK)
        out->is = DERIVE_IS_TREE;
    return err;
}

static int find_place(struct project_source *s, const struct hash *address,
                      struct derive_found *out)
{
    struct entry entry;
    if (!place_find(s, address, &entry))
        return ERR_NOT_FOUND;
    out->is = entry.kind == KIND_DIR ? DERIVE_IS_TREE : DERIVE_IS_BYTES;
    out->size = entry.size;
    return OK;
}

/* A part of a recipe's result, by its content: as a recipe that gives this part, so that it can
 * be computed again. */
static int find_chunk(struct project_source *s, const struct hash *address, struct arena *arena,
                      struct derive_found *out)
{
    struct derive_chunk chunk;
    int err =
        derive_index_chunk(s->derive->index, &s->project, address, DERIVE_MISS_TELL, &chunk);
    if (err != OK)
        return err;
    struct recipe_input *input = arena_new(arena, struct recipe_input);
    *input = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = chunk.recipe};
    struct parameter *parameters = arena_array(arena, 2, struct parameter);
    parameters[0].name = bytes_str("end");
    parameters[0].value = bytes_str(arena_printf(arena, "%llu", (unsigned long long)chunk.end));
    parameters[1].name = bytes_str("start");
    parameters[1].value =
        bytes_str(arena_printf(arena, "%llu", (unsigned long long)chunk.from));
    out->recipe = (struct recipe){.function = bytes_str("slice"),
                                  .version = bytes_str("1.0.0"),
                                  .inputs = input,
                                  .n_inputs = 1,
                                  .parameters = parameters,
                                  .n_parameters = 2};
    out->is = DERIVE_IS_RECIPE;
    out->by_content = true;
    out->size = chunk.end - chunk.from;
    return OK;
}

/* A result, or a chunk of one, that lies in the cache; of what recipe, where that is known. */
static int find_result(struct project_source *s, const struct hash *address,
                       struct arena *arena, struct derive_found *out)
{
    uint64_t size;
    if (!result_has(s->derive->results, &s->project, address, &size))
        return ERR_NOT_FOUND;
    int err = find_chunk(s, address, arena, out);
    if (err != ERR_NOT_FOUND)
        return err;
    out->is = DERIVE_IS_BYTES;
    out->size = size;
    return OK;
}

static int find_known(struct project_source *s, const struct hash *address, struct arena *arena,
                      struct derive_found *out)
{
    int err = find_recipe(s, address, arena, out);
    if (err == ERR_NOT_FOUND)
        err = find_leaf(s, address, out);
    if (err == ERR_NOT_FOUND)
        err = find_place(s, address, out);
    if (err == ERR_NOT_FOUND)
        err = find_tree(s, address, out);
    if (err == ERR_NOT_FOUND)
        err = find_result(s, address, arena, out);
    return err;
}

/* It is not told as a leaf: that would keep what nobody put as one, and may be collected at
 * this moment. */
static int find_upload(struct project_source *s, const struct hash *address,
                       struct derive_found *out)
{
    struct content_reader *reader = NULL;
    int err = content_open_blob(s->derive->repo, &s->project, address, &reader);
    if (err != OK)
        return err;
    out->is = DERIVE_IS_BYTES;
    out->size = content_size(reader);
    content_close(reader);
    return OK;
}

static int find_landed(struct project_source *s, const struct hash *address,
                       struct arena *arena, struct derive_found *out)
{
    struct log_effect effect;
    int err = landlog_content(s->derive->repo, &s->project, address, arena, &effect);
    if (err != OK)
        return err;
    const struct entry entry = {
        .kind = KIND_FILE, .size = effect.size, .hash = *address, .where = effect.where};
    place_keep(s, &entry);
    out->is = DERIVE_IS_BYTES;
    out->size = effect.size;
    return OK;
}

/* The tree of the head, whose content hash clients see without asking for it as a tree. */
static int find_head(struct project_source *s, const struct hash *address,
                     struct derive_found *out)
{
    struct ref_value value;
    int err = ref_value(s, bytes_str("head"), bytes_of(NULL, 0), &value);
    if (err == OK && !hash_equal(&value.address, address))
        err = ERR_NOT_FOUND;
    if (err != OK)
        return err;
    value_keep(s, &value);
    out->is = DERIVE_IS_TREE;
    return OK;
}

/* Whether it is known to be a part of a result: then nobody need be asked for news of it. */
static bool is_chunk(struct project_source *s, const struct hash *address)
{
    struct derive_chunk chunk;
    return derive_index_chunk(s->derive->index, &s->project, address, DERIVE_MISS_TELL,
                              &chunk) == OK;
}

static int source_find(struct derive_source *source, const struct hash *address,
                       struct arena *arena, struct derive_found *out)
{
    struct project_source *s = self(source);
    *out = (struct derive_found){0};
    int err = find_known(s, address, arena, out);
    if (err == ERR_NOT_FOUND)
        err = find_upload(s, address, out);
    if (err == ERR_NOT_FOUND && !is_chunk(s, address)) {
        err = derive_look_since(s->derive, &s->project, atomic_load(&s->since_us));
        if (err == OK)
            err = find_known(s, address, arena, out);
    }
    if (err == ERR_NOT_FOUND)
        err = find_head(s, address, out);
    if (err == ERR_NOT_FOUND)
        err = find_landed(s, address, arena, out);
    /* Last: what lies in the bucket is read, not computed. */
    if (err == ERR_NOT_FOUND)
        err = find_chunk(s, address, arena, out);
    return err;
}

/* --- bytes and trees --- */

static int source_open(struct derive_source *source, const struct hash *address,
                       struct derive_input **out)
{
    struct project_source *s = self(source);
    struct entry entry;
    bool placed = place_find(s, address, &entry);
    return source_input_open(s->derive, &s->project, address, placed ? &entry : NULL, out);
}

/* --- memos, quarantines --- */

static int source_memo(struct derive_source *source, const struct hash *key, struct memo *out)
{
    struct project_source *s = self(source);
    AUTO(arena_release) struct arena arena = {0};
    int err =
        derive_index_memo(s->derive->index, &s->project, key, DERIVE_MISS_TELL, &arena, out);
    /* The key says which function; its name is not asked for. */
    out->function = out->version = bytes_of(NULL, 0);
    return err;
}

static void told(void *arg UNUSED, int err UNUSED, uint64_t hlc UNUSED)
{
}

static int items_tell(struct project_source *s, const struct derive_item *items, uint32_t n)
{
    return derive_log_tell(s->derive->log, &s->project, items, n, told, NULL);
}

/* Under the lock of what is gathered. */
static int gathered_tell(struct project_source *s)
{
    struct gathered *g = &s->gathered;
    int err = g->n > 0 ? items_tell(s, g->items, g->n) : OK;
    g->n = 0;
    arena_release(&g->arena);
    return err;
}

static void gathered_add(struct gathered *g, const struct derive_item *item)
{
    struct derive_item *copy = &g->items[g->n++];
    *copy = *item;
    copy->memo.function = arena_copy(&g->arena, item->memo.function);
    copy->memo.version = arena_copy(&g->arena, item->memo.version);
}

/* What was gathered and not told when the process ends is computed again. */
static int source_tell(struct derive_source *source, const struct derive_item *items,
                       uint32_t n)
{
    struct project_source *s = self(source);
    struct gathered *g = &s->gathered;
    struct clock *clock = s->derive->repo->clock;
    bool gathers = n == 1 && items[0].kind == DERIVE_MEMO && items[0].memo.cost_us < TELL_US;
    (void)pthread_mutex_lock(&g->lock);
    if (gathers)
        gathered_add(g, &items[0]);
    uint64_t now = clock->mono_us(clock);
    int err = OK;
    if (!gathers || g->n == TELL_MAX || now - g->told_us >= TELL_US) {
        err = gathered_tell(s);
        g->told_us = now;
    }
    (void)pthread_mutex_unlock(&g->lock);
    return gathers ? err : items_tell(s, items, n);
}

static int source_quarantine(struct derive_source *source, struct bytes function,
                             struct bytes version, const struct hash *implementation,
                             struct quarantine *out)
{
    struct project_source *s = self(source);
    (void)pthread_mutex_lock(&s->lock);
    int err = derive_index_quarantine(s->derive->index, &s->project, function, version,
                                      implementation, &s->arena, out);
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

static int source_ref(struct derive_source *source, struct bytes name, struct bytes path,
                      struct hash *address)
{
    struct project_source *s = self(source);
    struct ref_value value;
    int err = ref_value(s, name, path, &value);
    if (err != OK)
        return err;
    value_keep(s, &value);
    *address = value.address;
    atomic_store(&s->since_us, s->derive->repo->clock->mono_us(s->derive->repo->clock));
    return OK;
}

static bool source_keeps(struct derive_source *source, const struct hash *address)
{
    struct project_source *s = self(source);
    return derive_index_keeps(s->derive->index, &s->project, address);
}

/* --- holders --- */

void project_source_drop(struct project_source *s)
{
    if (s == NULL || atomic_fetch_sub(&s->holders, 1) > 1)
        return;
    int err = gathered_tell(s); /* what cannot be told is computed again */
    (void)err;
    refs_snapshot_close(s->refs);
    while (s->places != NULL) {
        struct found_place *next = s->places->next;
        free(s->places);
        s->places = next;
    }
    arena_release(&s->arena);
    (void)pthread_mutex_destroy(&s->gathered.lock);
    (void)pthread_mutex_destroy(&s->refs_lock);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static void source_release(struct derive_source *source)
{
    project_source_drop(self(source));
}

struct project_source *project_source_open(struct derive *derive, const struct id16 *project,
                                           uint64_t since_us)
{
    struct project_source *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    s->source = (struct derive_source){.find = source_find,
                                       .memo = source_memo,
                                       .tell = source_tell,
                                       .quarantine = source_quarantine,
                                       .open = source_open,
                                       .ref = source_ref,
                                       .keeps = source_keeps,
                                       .release = source_release};
    s->derive = derive;
    s->project = *project;
    atomic_init(&s->holders, 1);
    atomic_init(&s->since_us,
                since_us > 0 ? since_us : derive->repo->clock->mono_us(derive->repo->clock));
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->refs_lock, NULL);
    (void)pthread_mutex_init(&s->gathered.lock, NULL);
    const struct refs_source refs = derive_refs_source(derive);
    s->refs = refs_snapshot_open(derive->repo, project, &refs);
    return s;
}

struct derive_source *project_source_hold(struct project_source *s)
{
    atomic_fetch_add(&s->holders, 1);
    return &s->source;
}

int project_source_heads(struct project_source *s, struct head *refs, struct head *head)
{
    (void)pthread_mutex_lock(&s->refs_lock);
    int err = refs_snapshot_refs_head(s->refs, refs);
    if (err == ERR_NOT_FOUND) {
        *refs = (struct head){0};
        err = OK;
    }
    if (err == OK)
        err = refs_snapshot_head(s->refs, head);
    (void)pthread_mutex_unlock(&s->refs_lock);
    return err;
}
