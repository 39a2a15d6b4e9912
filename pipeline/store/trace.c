#include "pipeline/store/trace.h"

#include <pthread.h>
#include <stdlib.h>

struct trace_store {
    struct store store;
    struct store *below;
    pthread_mutex_t lock;
    struct trace_counts counts; /* under lock */
};

static struct trace_store *trace_of(struct store *store)
{
    return (struct trace_store *)store;
}

const char *trace_kind_name(enum trace_kind kind)
{
    switch (kind) {
    case TRACE_BUCKET:
        return "bucket";
    case TRACE_HANDLE:
        return "handle";
    case TRACE_QUEUE:
        return "queue";
    case TRACE_LEASE:
        return "lease";
    case TRACE_PROJECT:
        return "project";
    case TRACE_HEAD:
        return "head";
    case TRACE_GC:
        return "gc";
    case TRACE_TREE:
        return "tree";
    case TRACE_LOG:
        return "log";
    case TRACE_ROLLUP:
        return "rollup";
    case TRACE_SESSION:
        return "session";
    case TRACE_BLOB:
        return "blob";
    case TRACE_DERIVE:
        return "derive";
    case TRACE_OTHER:
        return "other";
    case TRACE_KINDS:
        break;
    }
    return "other";
}

struct word {
    const char *word;
    enum trace_kind kind;
};

/* The kind whose word `key` begins with; a word that ends in a slash is a folder, another is
 * all of the key. */
static enum trace_kind kind_in(const struct word *words, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(words[i].word);
        bool folder = words[i].word[len - 1] == '/';
        if (strncmp(words[i].word, key, folder ? len : len + 1) == 0) {
            return words[i].kind;
        }
    }
    return TRACE_OTHER;
}

static enum trace_kind kind_of(const char *key)
{
    static const struct word top[] = {
        {"bucket", TRACE_BUCKET},
        {"handles/", TRACE_HANDLE},
        {"queue/", TRACE_QUEUE},
        {"leases/", TRACE_LEASE},
    };
    static const struct word in_project[] = {
        {"project", TRACE_PROJECT},
        {"head", TRACE_HEAD},
        {"gc", TRACE_GC},
        {"trees/", TRACE_TREE},
        {"landing-log/bloom-index/", TRACE_ROLLUP},
        {"landing-log/", TRACE_LOG},
        {"sessions/", TRACE_SESSION},
        {"blobs/", TRACE_BLOB},
        {"derive/", TRACE_DERIVE},
    };
    static const char projects[] = "projects/";
    static const char refs[] = "refs/";
    if (strncmp(key, projects, sizeof(projects) - 1) != 0) {
        return kind_in(top, ARRAY_LEN(top), key);
    }
    const char *slash = strchr(key + sizeof(projects) - 1, '/');
    if (slash == NULL) {
        return TRACE_OTHER;
    }
    /* The tree of a project's references is counted as a project is. */
    const char *name = slash + 1;
    const char *below =
        strncmp(name, refs, sizeof(refs) - 1) == 0 ? name + sizeof(refs) - 1 : name;
    return kind_in(in_project, ARRAY_LEN(in_project), below);
}

/* What a get gave: the part of the object that its range covers. */
static uint64_t bytes_given(const struct store_op *op)
{
    if (op->verb != STORE_GET || op->err != OK) {
        return 0;
    }
    uint64_t len = op->range.len < op->size ? op->range.len : op->size;
    switch (op->range.kind) {
    case RANGE_ALL:
        return op->size;
    case RANGE_FROM:
        return len < op->size - op->range.offset ? len : op->size - op->range.offset;
    case RANGE_SUFFIX:
        return len;
    case RANGE_NONE:
        return 0;
    }
    return 0;
}

static void count_op(struct trace_counts *counts, const struct store_op *op)
{
    enum trace_kind kind = kind_of(op->key);
    counts->failed += op->err != OK;
    switch (op->verb) {
    case STORE_GET:
        counts->gets[kind]++;
        counts->bytes_out += bytes_given(op);
        return;
    case STORE_PUT:
        counts->puts[kind]++;
        counts->bytes_in += op->data.len;
        return;
    case STORE_DELETE:
        counts->deletes[kind]++;
        return;
    }
}

static int trace_many(struct store *store, struct store_op *ops, size_t n)
{
    struct trace_store *trace = trace_of(store);
    int err = trace->below->calls->many(trace->below, ops, n);
    (void)pthread_mutex_lock(&trace->lock);
    trace->counts.rounds++;
    for (size_t i = 0; i < n; i++) {
        count_op(&trace->counts, &ops[i]);
    }
    (void)pthread_mutex_unlock(&trace->lock);
    return err;
}

static int trace_one(struct store *store, struct store_op *op)
{
    struct trace_store *trace = trace_of(store);
    int err = trace->below->calls->one(trace->below, op);
    (void)pthread_mutex_lock(&trace->lock);
    trace->counts.rounds++;
    count_op(&trace->counts, op);
    (void)pthread_mutex_unlock(&trace->lock);
    return err;
}

static int trace_list(struct store *store, struct arena *arena, const char *prefix,
                      const char *after, size_t max, struct store_list *out)
{
    struct trace_store *trace = trace_of(store);
    int err = trace->below->calls->list(trace->below, arena, prefix, after, max, out);
    (void)pthread_mutex_lock(&trace->lock);
    trace->counts.lists++;
    trace->counts.rounds++;
    trace->counts.failed += err != OK;
    (void)pthread_mutex_unlock(&trace->lock);
    return err;
}

static uint64_t trace_date_ms(struct store *store)
{
    return store_date_ms(trace_of(store)->below);
}

static uint32_t trace_put_interval_ms(struct store *store)
{
    return store_put_interval_ms(trace_of(store)->below);
}

static void trace_close(struct store *store)
{
    struct trace_store *trace = trace_of(store);
    (void)pthread_mutex_destroy(&trace->lock);
    free(trace);
}

struct store *trace_store_open(struct store *below)
{
    static const struct store_calls calls = {
        .name = "trace",
        .one = trace_one,
        .many = trace_many,
        .list = trace_list,
        .date_ms = trace_date_ms,
        .put_interval_ms = trace_put_interval_ms,
        .close = trace_close,
    };
    struct trace_store *trace = calloc(1, sizeof(*trace));
    if (trace == NULL || pthread_mutex_init(&trace->lock, NULL) != 0) {
        abort();
    }
    trace->store.calls = &calls;
    trace->below = below;
    return &trace->store;
}

struct trace_counts trace_store_counts(struct store *trace, bool reset)
{
    struct trace_store *mine = trace_of(trace);
    (void)pthread_mutex_lock(&mine->lock);
    struct trace_counts counts = mine->counts;
    if (reset) {
        mine->counts = (struct trace_counts){0};
    }
    (void)pthread_mutex_unlock(&mine->lock);
    return counts;
}
