#include "tests/support/executor_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/support/rig_functions.h"

enum row_kind {
    ROW_LEAF = 1,
    ROW_RECIPE,
    ROW_MEMO,
    ROW_REF,
    ROW_QUARANTINE,
    ROW_TREE,
    ROW_PART
};

struct rig_row {
    struct rig_row *next;
    enum row_kind kind;
    struct hash key;
    struct bytes data; /* LEAF; RECIPE: canonical */
    struct memo memo;
    struct quarantine quarantine;
    struct hash address; /* REF */
    struct fn_tree *tree;
    uint64_t size; /* PART */
};

/* ---- the table; under the lock ---- */

static struct rig_row **bucket_of(struct executor_rig *rig, const struct hash *key)
{
    size_t at;
    memcpy(&at, key->b, sizeof(at));
    return &rig->table[at & (rig->n_table - 1)];
}

static void grow(struct executor_rig *rig)
{
    struct rig_row **old = rig->table;
    size_t n_old = rig->n_table;
    rig->n_table = n_old == 0 ? 1024 : 4 * n_old;
    rig->table = calloc(rig->n_table, sizeof(struct rig_row *));
    ck_assert_ptr_nonnull(rig->table);
    for (size_t i = 0; i < n_old; i++) {
        for (struct rig_row *row = old[i]; row != NULL;) {
            struct rig_row *next = row->next;
            struct rig_row **bucket = bucket_of(rig, &row->key);
            row->next = *bucket;
            *bucket = row;
            row = next;
        }
    }
    free(old);
}

static struct rig_row *find(struct executor_rig *rig, enum row_kind kind,
                            const struct hash *key)
{
    struct rig_row *row = rig->n_table > 0 ? *bucket_of(rig, key) : NULL;
    while (row != NULL && !(row->kind == kind && hash_equal(&row->key, key)))
        row = row->next;
    return row;
}

/* The row, which may be there already. */
static struct rig_row *row_of(struct executor_rig *rig, enum row_kind kind,
                              const struct hash *key)
{
    struct rig_row *row = find(rig, kind, key);
    if (row != NULL)
        return row;
    if (rig->n_rows >= rig->n_table)
        grow(rig);
    rig->n_rows++;
    struct rig_row **bucket = bucket_of(rig, key);
    row = arena_new(&rig->arena, struct rig_row);
    *row = (struct rig_row){.next = *bucket, .kind = kind, .key = *key};
    *bucket = row;
    return row;
}

static void lock(struct executor_rig *rig)
{
    (void)pthread_mutex_lock(&rig->lock);
}

static void unlock(struct executor_rig *rig)
{
    (void)pthread_mutex_unlock(&rig->lock);
}

/* ---- the source ---- */

struct rig_source {
    struct derive_source source;
    struct executor_rig *rig;
};

static struct executor_rig *rig_of(struct derive_source *source)
{
    return ((struct rig_source *)source)->rig;
}

static int source_find(struct derive_source *source, const struct hash *address,
                       struct arena *arena, struct derive_found *out)
{
    struct executor_rig *rig = rig_of(source);
    atomic_fetch_add(&rig->finds, 1);
    lock(rig);
    struct rig_row *recipe = find(rig, ROW_RECIPE, address);
    struct rig_row *leaf = recipe == NULL ? find(rig, ROW_LEAF, address) : NULL;
    bool tree = find(rig, ROW_TREE, address) != NULL;
    struct rig_row *part = find(rig, ROW_PART, address);
    int err = rig->find_err;
    uint64_t more = rig->find_more;
    unlock(rig);
    if (err != OK)
        return err;
    if (recipe != NULL) {
        out->is = DERIVE_IS_RECIPE;
        return recipe_decode(recipe->data, arena, &out->recipe);
    }
    if (tree)
        out->is = DERIVE_IS_TREE;
    if (part != NULL && leaf == NULL) {
        out->is = DERIVE_IS_RECIPE;
        out->by_content = true;
        out->size = part->size;
        return recipe_decode(part->data, arena, &out->recipe);
    }
    if (leaf == NULL)
        return tree ? OK : ERR_NOT_FOUND;
    out->is = DERIVE_IS_BYTES;
    out->size = leaf->data.len + more;
    return OK;
}

static int source_memo(struct derive_source *source, const struct hash *key, struct memo *out)
{
    struct executor_rig *rig = rig_of(source);
    atomic_fetch_add(&rig->memos_asked, 1);
    lock(rig);
    struct rig_row *row = find(rig, ROW_MEMO, key);
    if (row != NULL)
        *out = row->memo;
    unlock(rig);
    unsigned stop = 1;
    if (atomic_compare_exchange_strong(&rig->memo_stop, &stop, 2)) {
        while (atomic_load(&rig->memo_stop) == 2)
            rig->options.clock->sleep_us(rig->options.clock, 1000);
    }
    return row != NULL ? OK : ERR_NOT_FOUND;
}

static int source_tell(struct derive_source *source, const struct derive_item *items,
                       uint32_t n)
{
    struct executor_rig *rig = rig_of(source);
    lock(rig);
    int err = rig->tell_err;
    for (uint32_t i = 0; i < n && err == OK; i++) {
        if (items[i].kind == DERIVE_MEMO) {
            atomic_fetch_add(&rig->memos_told, 1);
            if (atomic_load(&rig->forgets) || find(rig, ROW_MEMO, &items[i].address) != NULL)
                continue;
            struct rig_row *row = row_of(rig, ROW_MEMO, &items[i].address);
            row->memo = items[i].memo;
            row->memo.function = arena_copy(&rig->arena, row->memo.function);
            row->memo.version = arena_copy(&rig->arena, row->memo.version);
        } else if (items[i].kind == DERIVE_CHUNKS) {
            atomic_fetch_add(&rig->chunks_told, items[i].chunks.n);
            rig->chunks_of = items[i].chunks.recipe;
        } else {
            ck_assert_int_eq(items[i].kind, DERIVE_QUARANTINE);
            atomic_fetch_add(&rig->quarantines_told, 1);
            struct rig_row *row =
                row_of(rig, ROW_QUARANTINE, &items[i].quarantine.implementation);
            row->quarantine = items[i].quarantine;
            row->quarantine.function = arena_copy(&rig->arena, row->quarantine.function);
            row->quarantine.version = arena_copy(&rig->arena, row->quarantine.version);
        }
    }
    unlock(rig);
    return err;
}

static int source_quarantine(struct derive_source *source, struct bytes function,
                             struct bytes version, const struct hash *implementation,
                             struct quarantine *out)
{
    struct executor_rig *rig = rig_of(source);
    lock(rig);
    struct rig_row *row = find(rig, ROW_QUARANTINE, implementation);
    if (row != NULL)
        *out = row->quarantine;
    unlock(rig);
    (void)function;
    (void)version;
    return row != NULL ? OK : ERR_NOT_FOUND;
}

struct rig_input {
    struct derive_input input;
    struct fn_bytes bytes;
    struct executor_rig *rig;
    struct bytes data;
};

/* At most so many bytes a view: as chunks of a blob come. */
#define VIEW_MAX 4096u

static int input_view(struct fn_bytes *bytes, uint64_t offset, struct bytes *out)
{
    struct rig_input *in =
        (struct rig_input *)(void *)((char *)bytes - offsetof(struct rig_input, bytes));
    ck_assert_uint_lt(offset, in->data.len);
    size_t len = in->data.len - (size_t)offset;
    len = len < VIEW_MAX ? len : VIEW_MAX;
    *out = bytes_of(in->data.data + offset, len);
    atomic_fetch_add(&in->rig->viewed, len);
    return OK;
}

static void input_close(struct derive_input *input)
{
    free(input);
}

static int source_open(struct derive_source *source, const struct hash *address,
                       struct derive_input **out)
{
    struct executor_rig *rig = rig_of(source);
    lock(rig);
    struct rig_row *row = find(rig, ROW_LEAF, address);
    struct bytes data = row != NULL ? row->data : (struct bytes){0};
    struct rig_row *tree = find(rig, ROW_TREE, address);
    unlock(rig);
    if (row == NULL && tree == NULL)
        return ERR_NOT_FOUND;
    atomic_fetch_add(&rig->opened, 1);
    struct rig_input *in = calloc(1, sizeof(*in));
    ck_assert_ptr_nonnull(in);
    in->rig = rig;
    in->data = data;
    in->bytes = (struct fn_bytes){.size = data.len, .view = input_view};
    in->input = (struct derive_input){.bytes = tree == NULL ? &in->bytes : NULL,
                                      .tree = tree != NULL ? tree->tree : NULL,
                                      .close = input_close};
    *out = &in->input;
    return OK;
}

static int source_ref(struct derive_source *source, struct bytes name, struct bytes path,
                      struct hash *address)
{
    struct executor_rig *rig = rig_of(source);
    ck_assert_uint_eq(path.len, 0);
    struct hash key = sha256(name);
    lock(rig);
    struct rig_row *row = find(rig, ROW_REF, &key);
    if (row != NULL)
        *address = row->address;
    unlock(rig);
    return row != NULL ? OK : ERR_NOT_FOUND;
}

static bool source_keeps(struct derive_source *source, const struct hash *address)
{
    struct executor_rig *rig = rig_of(source);
    lock(rig);
    bool keeps = hash_equal(&rig->pinned, address);
    unlock(rig);
    return keeps;
}

static void source_release(struct derive_source *source)
{
    atomic_fetch_sub(&rig_of(source)->sources, 1);
    free(source);
}

struct derive_source *executor_rig_source(struct executor_rig *rig)
{
    struct rig_source *source = calloc(1, sizeof(*source));
    ck_assert_ptr_nonnull(source);
    source->rig = rig;
    source->source = (struct derive_source){.find = source_find,
                                            .memo = source_memo,
                                            .tell = source_tell,
                                            .quarantine = source_quarantine,
                                            .open = source_open,
                                            .ref = source_ref,
                                            .keeps = source_keeps,
                                            .release = source_release};
    atomic_fetch_add(&rig->sources, 1);
    return &source->source;
}

/* ---- the rig ---- */

void executor_rig_init(struct executor_rig *rig)
{
    *rig = (struct executor_rig){0};
    rng_seeded_init(&rig->rng, 7);
    memset(rig->project.b, 0x11, sizeof(rig->project.b));
    (void)pthread_mutex_init(&rig->lock, NULL);
    rig->cache_options =
        (struct result_cache_options){.ram_bytes = 256u * MIB, .chunk_size = CHUNK_SIZE_MIN};
    rig->options = (struct executor_options){.slots = 4,
                                             .planners = 2,
                                             .in_flight_max = 64u * MIB,
                                             .result_max = 1u << 30,
                                             .known_max = 4u * MIB,
                                             .function = rig_function_find,
                                             .clock = clock_system(),
                                             .rng = &rig->rng.rng};
}

void executor_rig_open(struct executor_rig *rig)
{
    ck_assert_int_eq(result_cache_open(&rig->cache_options, &rig->cache), OK);
    rig->options.cache = rig->cache;
    rig->ex = executor_open(&rig->options);
}

static void shut(struct executor_rig *rig)
{
    executor_close(rig->ex);
    ck_assert_uint_eq(atomic_load(&rig->sources), 0);
    result_cache_close(rig->cache);
}

void executor_rig_reopen(struct executor_rig *rig)
{
    shut(rig);
    executor_rig_open(rig);
}

void executor_rig_close(struct executor_rig *rig)
{
    shut(rig);
    free(rig->table);
    arena_release(&rig->arena);
    (void)pthread_mutex_destroy(&rig->lock);
}

/* ---- what lies in it ---- */

struct hash executor_rig_leaf(struct executor_rig *rig, struct bytes data)
{
    struct hash address = sha256(data);
    lock(rig);
    struct rig_row *row = row_of(rig, ROW_LEAF, &address);
    row->data = arena_copy(&rig->arena, data);
    unlock(rig);
    return address;
}

struct hash executor_rig_tree(struct executor_rig *rig, struct fn_tree *tree)
{
    lock(rig);
    row_of(rig, ROW_TREE, &tree->top.hash)->tree = tree;
    unlock(rig);
    return tree->top.hash;
}

static struct hash put(struct executor_rig *rig, struct recipe *recipe,
                       const char *const *parameters)
{
    struct parameter given[8];
    for (; parameters != NULL && parameters[0] != NULL; parameters += 2)
        given[recipe->n_parameters++] = (struct parameter){.name = bytes_str(parameters[0]),
                                                           .value = bytes_str(parameters[1])};
    recipe->parameters = given;
    recipe->version = bytes_str("1.0.0");
    ck_assert_int_eq(recipe_settle(recipe, NULL), OK);
    AUTO_BUF text = {0};
    recipe_encode(recipe, &text);
    struct hash address = recipe_address(buf_bytes(&text));
    lock(rig);
    struct rig_row *row = row_of(rig, ROW_RECIPE, &address);
    if (row->data.len == 0)
        row->data = arena_copy(&rig->arena, buf_bytes(&text));
    unlock(rig);
    return address;
}

struct hash executor_rig_recipe(struct executor_rig *rig, const char *function,
                                const struct hash *inputs, uint32_t n,
                                const char *const *parameters)
{
    struct recipe_input *list = calloc(n, sizeof(*list));
    ck_assert_ptr_nonnull(list);
    for (uint32_t i = 0; i < n; i++)
        list[i] = (struct recipe_input){.kind = RECIPE_ADDRESS, .address = inputs[i]};
    struct recipe recipe = {.function = bytes_str(function), .inputs = list, .n_inputs = n};
    struct hash address = put(rig, &recipe, parameters);
    free(list);
    return address;
}

struct hash executor_rig_one(struct executor_rig *rig, const char *function, struct hash input,
                             const char *const *parameters)
{
    return executor_rig_recipe(rig, function, &input, 1, parameters);
}

void executor_rig_part(struct executor_rig *rig, struct hash content, struct hash recipe,
                       uint64_t from, uint64_t end)
{
    char start[32];
    char stop[32];
    (void)snprintf(start, sizeof(start), "%llu", (unsigned long long)from);
    (void)snprintf(stop, sizeof(stop), "%llu", (unsigned long long)end);
    struct hash slice = executor_rig_one(
        rig, "slice", recipe, (const char *const[]){"start", start, "end", stop, NULL});
    lock(rig);
    struct rig_row *row = row_of(rig, ROW_PART, &content);
    row->data = find(rig, ROW_RECIPE, &slice)->data;
    row->size = end - from;
    unlock(rig);
}

struct hash executor_rig_over_ref(struct executor_rig *rig, const char *function,
                                  const char *ref)
{
    struct recipe_input input = {.kind = RECIPE_REF, .ref = bytes_str(ref)};
    struct recipe recipe = {.function = bytes_str(function), .inputs = &input, .n_inputs = 1};
    return put(rig, &recipe, NULL);
}

void executor_rig_bind(struct executor_rig *rig, const char *ref, struct hash address)
{
    struct hash key = sha256(bytes_str(ref));
    lock(rig);
    row_of(rig, ROW_REF, &key)->address = address;
    unlock(rig);
}

struct hash executor_rig_nothing(void)
{
    return sha256(bytes_str("nothing lies here"));
}

void executor_rig_evict(struct executor_rig *rig, const char *text)
{
    struct hash hash = sha256(bytes_str(text));
    ck_assert_uint_gt(result_drop(rig->cache, &rig->project, &hash), 0);
}

/* ---- gets ---- */

static void get_done(void *arg, struct derived *derived, const struct derive_problem *problem)
{
    struct one_get *get = arg;
    (void)pthread_mutex_lock(&get->lock);
    get->done++;
    get->derived = derived;
    if (problem != NULL)
        get->problem = *problem;
    (void)pthread_cond_broadcast(&get->rings);
    (void)pthread_mutex_unlock(&get->lock);
}

static void get_progress(void *arg, const struct get_progress *progress)
{
    struct one_get *get = arg;
    (void)pthread_mutex_lock(&get->lock);
    ck_assert_uint_eq(get->done, 0);
    get->progress++;
    get->last = *progress;
    (void)pthread_mutex_unlock(&get->lock);
}

void one_get_begin(struct one_get *get, struct executor_rig *rig, struct hash address,
                   const struct get_options *options)
{
    *get = (struct one_get){.rig = rig};
    (void)pthread_mutex_init(&get->lock, NULL);
    (void)pthread_cond_init(&get->rings, NULL);
    struct get_options all = options != NULL ? *options : (struct get_options){0};
    if (all.want == 0)
        all.want = GET_BYTES;
    all.done = get_done;
    all.progress = get_progress;
    all.arg = get;
    executor_get(rig->ex, &rig->project, executor_rig_source(rig), &address, &all,
                 &get->ticket);
}

void one_get_wait(struct one_get *get)
{
    (void)pthread_mutex_lock(&get->lock);
    while (get->done == 0)
        (void)pthread_cond_wait(&get->rings, &get->lock);
    ck_assert_uint_eq(get->done, 1);
    ck_assert((get->derived != NULL) == (get->problem.fault == DERIVE_FAULT_NONE));
    (void)pthread_mutex_unlock(&get->lock);
}

void one_get_close(struct one_get *get)
{
    derived_close(get->derived);
    (void)pthread_mutex_destroy(&get->lock);
    (void)pthread_cond_destroy(&get->rings);
}

enum derive_fault one_get(struct one_get *get, struct executor_rig *rig, struct hash address,
                          const struct get_options *options)
{
    one_get_begin(get, rig, address, options);
    one_get_wait(get);
    return get->problem.fault;
}

static void same(struct derived *derived, const char *text)
{
    AUTO_BUF all = {0};
    for (uint64_t at = derived->from; at < derived->end;) {
        struct bytes view;
        ck_assert_int_eq(derived_view(derived, at, &view), OK);
        ck_assert_uint_gt(view.len, 0);
        buf_append_bytes(&all, view);
        at += view.len;
    }
    ck_assert_uint_eq(all.len, derived->end - derived->from);
    buf_append(&all, "", 1);
    ck_assert_str_eq((const char *)all.data, text);
}

void executor_rig_gives(struct executor_rig *rig, struct hash address, const char *text)
{
    struct one_get get;
    enum derive_fault fault = one_get(&get, rig, address, NULL);
    AUTO_BUF why = {0};
    derive_problem_text(&get.problem, &why);
    buf_append(&why, "", 1);
    ck_assert_msg(fault == DERIVE_FAULT_NONE, "%s", (const char *)why.data);
    struct hash hash = sha256(bytes_str(text));
    ck_assert(get.derived->hash_known && hash_equal(&get.derived->hash, &hash));
    same(get.derived, text);
    one_get_close(&get);
}

void executor_rig_range(struct executor_rig *rig, struct hash address, uint64_t from,
                        uint64_t end, const char *text)
{
    struct one_get get;
    const struct get_options options = {.want = GET_RANGE, .from = from, .end = end};
    ck_assert_int_eq(one_get(&get, rig, address, &options), DERIVE_FAULT_NONE);
    same(get.derived, text);
    one_get_close(&get);
}

struct derive_problem executor_rig_fails(struct executor_rig *rig, struct hash address,
                                         enum derive_fault fault)
{
    struct one_get get;
    ck_assert_str_eq(derive_fault_name(one_get(&get, rig, address, NULL)),
                     derive_fault_name(fault));
    ck_assert_int_ne(get.problem.err, OK);
    struct derive_problem problem = get.problem;
    one_get_close(&get);
    return problem;
}

void executor_rig_quiet(struct executor_rig *rig)
{
    struct clock *clock = clock_system();
    for (;;) {
        struct executor_stats stats = executor_stats(rig->ex);
        if (stats.running == 0 && stats.waiting == 0 && stats.in_flight == 0)
            return;
        clock->sleep_us(clock, 1000);
    }
}

uint64_t executor_rig_runs(struct executor_rig *rig)
{
    return executor_stats(rig->ex).runs;
}
