#include "pipeline/derive/index/index_project.h"

#include <stdlib.h>

#include "formats/base/hex.h"
#include "pipeline/derive/index/index_fill.h"
#include "pipeline/sys/log.h"
#include "pipeline/sys/must_alloc.h"

/* ---- what is known of agents and functions ---- */

static size_t read_place(const struct index_project *p, uint64_t agent)
{
    size_t low = 0;
    size_t high = p->n_reads;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->reads[middle].read.agent < agent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t project_read_of(const struct index_project *p, uint64_t agent)
{
    size_t i = read_place(p, agent);
    return i < p->n_reads && p->reads[i].read.agent == agent ? p->reads[i].read.seq : 0;
}

void project_read_set(struct index_project *p, uint64_t agent, uint64_t seq)
{
    size_t i = read_place(p, agent);
    if (i == p->n_reads || p->reads[i].read.agent != agent) {
        if (p->n_reads == p->cap_reads) {
            p->cap_reads = p->cap_reads == 0 ? 16 : 2 * p->cap_reads;
            p->reads = reallocarray(p->reads, p->cap_reads, sizeof(*p->reads));
            if (p->reads == NULL)
                abort();
        }
        memmove(&p->reads[i + 1], &p->reads[i], (p->n_reads - i) * sizeof(*p->reads));
        p->reads[i] = (struct index_read){.read = {.agent = agent}};
        p->n_reads++;
    }
    if (p->reads[i].read.seq >= seq)
        return;
    p->reads[i].read.seq = seq;
    p->reads[i].fresh = true;
}

void project_quarantine(struct index_project *p, const struct quarantine *q)
{
    for (size_t i = 0; i < p->n_quarantines; i++) {
        const struct quarantine *there = &p->quarantines[i];
        if (bytes_equal(there->function, q->function) &&
            bytes_equal(there->version, q->version) &&
            hash_equal(&there->implementation, &q->implementation))
            return;
    }
    void *items = p->quarantines;
    struct quarantine *added =
        arena_push(&p->names, &items, &p->n_quarantines, &p->cap_quarantines, sizeof(*added));
    *added = index_quarantine_copy(&p->names, q);
    p->quarantines = items;
    const struct derive_index_options *options = &p->index->options;
    if (options->quarantined != NULL)
        options->quarantined(options->quarantined_arg, &p->id);
}

/* ---- files ---- */

static int reads_load(struct index_project *p)
{
    struct index_query *query = NULL;
    int err = rows_query(p->writer, ROWS_AGENTS, &query);
    while (err == OK && (err = index_query_next(query)) == OK)
        project_read_set(p, index_row_number(query, 0), index_row_number(query, 1));
    index_query_reset(query);
    for (size_t i = 0; i < p->n_reads; i++)
        p->reads[i].fresh = false;
    return err == ERR_NOT_FOUND ? OK : err;
}

static int quarantines_load(struct index_project *p)
{
    struct index_query *query = NULL;
    int err = rows_query(p->writer, ROWS_QUARANTINES, &query);
    while (err == OK && (err = index_query_next(query)) == OK) {
        struct quarantine q = {
            .function = index_row_bytes(query, 0),
            .version = index_row_bytes(query, 1),
        };
        if ((err = index_row_hash(query, 2, &q.implementation)) == OK &&
            (err = index_row_hash(query, 3, &q.key)) == OK &&
            (err = index_row_hash(query, 4, &q.first)) == OK &&
            (err = index_row_hash(query, 5, &q.second)) == OK)
            project_quarantine(p, &q);
    }
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? OK : err;
}

static int pins_load(struct index_project *p)
{
    struct index_query *query = NULL;
    int err = rows_query(p->writer, ROWS_ALL_PINS, &query);
    while (err == OK && (err = index_query_next(query)) == OK) {
        struct hash address;
        const struct told told = {.hlc = index_row_number(query, 2),
                                  .agent = index_row_number(query, 3),
                                  .seq = index_row_number(query, 4),
                                  .item = index_row_number(query, 5)};
        err = index_row_hash(query, 0, &address);
        if (err == OK)
            (void)pin_set_take(&p->pins, &address, index_row_number(query, 1) != 0, &told);
    }
    index_query_reset(query);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* Many edges are read ahead: the first walk after a start is to find them in memory. And so are
 * the keys of memos. */
static int read_expect(struct index_project *p)
{
    struct derive_counts counts;
    uint64_t edges = 0;
    int err = rows_counts(p->writer, &counts, &edges);
    p->wants_graph = err == OK && edges >= ASKED_MANY;
    p->wants_memos = err == OK;
    return err;
}

static void files_close(struct index_project *p)
{
    index_rows_close(p->reader);
    index_rows_close(p->walker);
    index_rows_close(p->writer);
    p->reader = NULL;
    p->walker = NULL;
    p->writer = NULL;
}

/* Opens the file as it is. */
static int files_open(struct index_project *p)
{
    size_t cache = p->index->options.cache_bytes;
    int err = index_rows_open(p->path, &p->id, cache, &p->writer);
    if (err == OK)
        err = reads_load(p);
    if (err == OK)
        err = quarantines_load(p);
    if (err == OK)
        err = pins_load(p);
    if (err == OK)
        err = read_expect(p);
    if (err == OK)
        err = index_rows_open(p->path, &p->id, cache, &p->reader);
    if (err != OK)
        files_close(p);
    return err;
}

/* Opens it, or an empty one where that cannot be used. All locks are held, or nobody else has
 * the project. */
static int files_begin(struct index_project *p)
{
    int err = files_open(p);
    if (err != ERR_CORRUPT)
        return err;
    log_warn("derive_index_made_anew", LOG_STR("project", id16_hex(&p->id).s),
             LOG_STR("file", p->path));
    p->n_reads = 0;
    index_db_remove(p->path);
    return files_open(p);
}

int project_reset(struct index_project *p, uint64_t generation)
{
    int err = OK;
    index_lock(&p->write_lock);
    index_lock(&p->read_lock);
    index_lock(&p->lock);
    if (p->generation == generation) {
        log_warn("derive_index_damaged", LOG_STR("project", id16_hex(&p->id).s),
                 LOG_STR("file", p->path));
        files_close(p);
        project_graph_drop(p);
        project_memos_drop(p);
        index_db_remove(p->path);
        p->generation++;
        p->complete = false;
        p->seen_us = 0;
        p->n_reads = 0;
        p->n_filling_reads = 0;
        err = files_begin(p);
    }
    index_unlock(&p->lock);
    index_unlock(&p->read_lock);
    index_unlock(&p->write_lock);
    return err;
}

static struct index_project *project_new(struct derive_index *index, const struct id16 *id)
{
    struct index_project *p = must_alloc(1, sizeof(*p));
    p->index = index;
    p->id = *id;
    AUTO_BUF path = {0};
    buf_printf(&path, "%s/%s.db", index->dir, id16_hex(id).s);
    p->path = must_alloc(path.len + 1, 1);
    memcpy(p->path, path.data, path.len);
    p->stage = must_alloc(1, sizeof(*p->stage));
    int failed = pthread_mutex_init(&p->write_lock, NULL);
    failed |= pthread_mutex_init(&p->read_lock, NULL);
    failed |= pthread_mutex_init(&p->lock, NULL);
    failed |= pthread_cond_init(&p->looked, NULL);
    failed |= pthread_cond_init(&p->graph_read, NULL);
    assert(failed == 0);
    (void)failed;
    return p;
}

static void project_free(struct index_project *p)
{
    files_close(p);
    project_graph_drop(p);
    project_memos_drop(p);
    derive_cursor_release(&p->cursor);
    arena_release(&p->names);
    pin_set_release(&p->pins);
    index_stage_release(p->stage);
    if (p->filling != NULL)
        index_stage_release(p->filling);
    free(p->stage);
    free(p->filling);
    free(p->filling_reads);
    free(p->reads);
    free(p->path);
    (void)pthread_mutex_destroy(&p->write_lock);
    (void)pthread_mutex_destroy(&p->read_lock);
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_cond_destroy(&p->looked);
    (void)pthread_cond_destroy(&p->graph_read);
    free(p);
}

void project_close(struct index_project *p)
{
    int err = project_flush(p);
    if (err != OK) /* the log has it */
        log_warn("derive_index_not_kept", LOG_STR("project", id16_hex(&p->id).s), LOG_ERR(err));
    project_free(p);
}

/* ---- which are open ---- */

/* Takes the project that nobody has used for longest out of the list, when there are too many.
 * Under the lock of the index. */
static struct index_project *idle_take(struct derive_index *index)
{
    if (index->n_idle <= index->options.open_max)
        return NULL;
    struct index_project **oldest = NULL;
    for (struct index_project **at = &index->projects; *at != NULL; at = &(*at)->next) {
        if ((*at)->holders == 0 && (oldest == NULL || (*at)->used < (*oldest)->used))
            oldest = at;
    }
    assert(oldest != NULL);
    struct index_project *taken = *oldest;
    *oldest = taken->next;
    index->n_idle--;
    return taken;
}

int project_hold(struct derive_index *index, const struct id16 *id, struct index_project **out)
{
    int err = OK;
    index_lock(&index->lock);
    struct index_project *p = index->projects;
    while (p != NULL && !id16_equal(&p->id, id))
        p = p->next;
    if (p != NULL) {
        index->n_idle -= p->holders == 0;
    } else {
        p = project_new(index, id);
        err = files_begin(p);
        if (err == OK) {
            p->next = index->projects;
            index->projects = p;
            bell_ring(&index->bell); /* for what is read ahead */
        }
    }
    if (err == OK) {
        p->holders++;
        p->used = ++index->uses;
        *out = p;
    }
    index_unlock(&index->lock);
    if (err != OK)
        project_free(p);
    return err;
}

void project_release(struct index_project *p)
{
    struct derive_index *index = p->index;
    index_lock(&index->lock);
    index->n_idle += --p->holders == 0;
    struct index_project *idle = idle_take(index);
    /* It is closed under the lock, so that nobody opens its file beside it. */
    if (idle != NULL)
        project_close(idle);
    index_unlock(&index->lock);
}

/* ---- filling ---- */

/* So many edges are gathered for the next walk; after more, it reads them all again. */
#define GATHER_MAX (1u << 20)
/* What walks have kept goes when none has come for so long. */
#define FORGET_US 60000000u

void project_graph_drop(struct index_project *p)
{
    graph_edges_free(p->graph);
    free(p->gathered);
    p->graph = NULL;
    p->gathered = NULL;
    p->n_gathered = 0;
    p->cap_gathered = 0;
    p->gathers = false; /* a walk that has it out sees that it is not to be kept */
}

void project_forget(struct index_project *p)
{
    struct clock *clock = p->index->options.clock;
    uint64_t now = clock->mono_us(clock);
    index_lock(&p->lock);
    if (!p->graph_out && p->graph != NULL && now - p->graph_us >= FORGET_US)
        project_graph_drop(p);
    index_unlock(&p->lock);
}

static void fill_edges(void *arg, const uint64_t *edges, size_t n)
{
    struct index_project *p = arg;
    index_lock(&p->lock);
    if (p->gathers && p->n_gathered + n > GATHER_MAX)
        project_graph_drop(p);
    if (p->gathers && n > 0) {
        if (p->n_gathered + n > p->cap_gathered) {
            p->cap_gathered = 2 * (p->n_gathered + n);
            p->gathered = reallocarray(p->gathered, p->cap_gathered, sizeof(*p->gathered));
            if (p->gathered == NULL)
                abort();
        }
        memcpy(p->gathered + p->n_gathered, edges, n * sizeof(*edges));
        p->n_gathered += n;
    }
    index_unlock(&p->lock);
}

static void fill_twice(void *arg, const struct quarantine *q)
{
    struct index_project *p = arg;
    index_lock(&p->lock);
    project_quarantine(p, q);
    index_unlock(&p->lock);
}

/* Moves what waits to where it is filled from; false when there is nothing. */
static bool filling_take(struct index_project *p)
{
    bool any = p->filling != NULL;
    index_lock(&p->lock);
    if (!any) {
        p->filling_reads =
            reallocarray(p->filling_reads, p->n_reads + 1, sizeof(*p->filling_reads));
        if (p->filling_reads == NULL)
            abort();
        p->n_filling_reads = 0;
        for (size_t i = 0; i < p->n_reads; i++) {
            if (p->reads[i].fresh)
                p->filling_reads[p->n_filling_reads++] = p->reads[i].read;
            p->reads[i].fresh = false;
        }
        any = p->stage->n > 0 || p->n_filling_reads > 0;
    }
    if (any && p->filling == NULL) {
        p->filling = p->stage;
        p->stage = must_alloc(1, sizeof(*p->stage));
    }
    index_unlock(&p->lock);
    return any;
}

static void filling_done(struct index_project *p)
{
    index_lock(&p->lock);
    struct index_stage *done = p->filling;
    p->filling = NULL;
    p->filled++;
    index_unlock(&p->lock);
    index_stage_release(done);
    free(done);
}

/* One stage. Under write_lock. */
static int fill_next(struct index_project *p, bool *any)
{
    *any = filling_take(p);
    if (!*any)
        return OK;
    if (p->writer == NULL)
        return ERR_CORRUPT;
    struct fill_heard heard = {.arg = p, .twice = fill_twice, .edges = fill_edges};
    int err = index_fill(p->writer, p->filling, p->filling_reads, p->n_filling_reads, &heard);
    if (err == OK)
        filling_done(p);
    return err;
}

int project_flush(struct index_project *p)
{
    int err = OK;
    bool any = true;
    /* What a fill that failed has left comes first, then what has gathered since. */
    for (unsigned tries = 0; tries < 4 && any && err == OK; tries++) {
        index_lock(&p->write_lock);
        uint64_t generation = p->generation; /* changes under write_lock only */
        err = fill_next(p, &any);
        index_unlock(&p->write_lock);
        if (err == ERR_CORRUPT)
            err = project_reset(p, generation);
    }
    return err;
}

/* The first question about all waits for what is read ahead, or reads it: so no walk that comes
 * later has to. It looks as well, which mostly takes longer. */
static void ahead_wait(struct index_project *p)
{
    project_read_ahead(p);
    index_lock(&p->lock);
    while (p->reads_ahead)
        (void)pthread_cond_wait(&p->graph_read, &p->lock);
    index_unlock(&p->lock);
}

int project_settle(struct index_project *p)
{
    index_lock(&p->lock);
    bool complete = p->complete;
    index_unlock(&p->lock);
    int err = complete ? OK : project_look(p, LOOK_NOW);
    if (!complete)
        ahead_wait(p);
    return err != OK ? err : project_flush(p);
}

/* ---- asking ---- */

int project_ask(struct index_project *p, index_ask *ask, void *arg)
{
    index_lock(&p->read_lock);
    uint64_t generation = p->generation;
    int err = p->reader == NULL ? ERR_CORRUPT : ask(p->reader, arg);
    index_unlock(&p->read_lock);
    if (err != ERR_CORRUPT)
        return err;
    err = project_reset(p, generation);
    return err != OK ? err : ERR_CORRUPT;
}
