/* The append stage: a run visits one page of projects (up to 1,000) and puts the log segments
 * that are full.
 *
 * What it costs when nothing happens: one list of handles a run, and a get of the head of each
 * project that is due. A project whose head stands still is due less and less often: after 1,
 * 2, 4 … and at most 64 runs; so 1,000 quiet projects cost a list and some 16 gets a run. Its
 * log may come that much later, which nobody notices: readers take from the chain what the log
 * lacks. */
#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/key.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/project.h"
#include "pipeline/stages/append.h"
#include "pipeline/stages/stages.h"
#include "pipeline/sys/log.h"

#define PAGE_PROJECTS 1000u
#define HEADS_AT_ONCE 64u
#define REST_MAX      64u

struct follower {
    struct append_log log;
    uint64_t position; /* of the head when it was read last */
    unsigned rest;     /* runs that it is left alone after a visit without news */
    unsigned wait;     /* runs left of that */
    struct follower *next;
};

struct append {
    struct stage stage; /* first: what the caller holds */
    struct repo *repo;
    struct arena arena;
    struct follower **slots; /* by project id */
    size_t n_slots;
    size_t n;
    struct buf after; /* the last handle of the page visited before; empty: from the first on */
};

/* ---- who is followed ---- */

static size_t slot_of(const struct append *append, const struct id16 *project)
{
    return (size_t)(xxh3_64(bytes_of(project->b, sizeof(project->b))) % append->n_slots);
}

/* The old table stays in the arena: all of them together are no longer than the last. */
static void table_grow(struct append *append)
{
    struct follower **old = append->slots;
    size_t n_old = append->n_slots;
    append->n_slots = n_old > 0 ? 2 * n_old : 64;
    append->slots = arena_array(&append->arena, append->n_slots, struct follower *);
    for (size_t i = 0; i < n_old; i++) {
        for (struct follower *f = old[i]; f != NULL;) {
            struct follower *next = f->next;
            size_t slot = slot_of(append, &f->log.project);
            f->next = append->slots[slot];
            append->slots[slot] = f;
            f = next;
        }
    }
}

static struct follower *follower_of(struct append *append, const struct id16 *project)
{
    if (append->n >= append->n_slots)
        table_grow(append);
    size_t slot = slot_of(append, project);
    for (struct follower *f = append->slots[slot]; f != NULL; f = f->next) {
        if (id16_equal(&f->log.project, project))
            return f;
    }
    struct follower *f = arena_new(&append->arena, struct follower);
    f->log.project = *project;
    f->next = append->slots[slot];
    append->slots[slot] = f;
    append->n++;
    return f;
}

static void let_rest(struct follower *f)
{
    f->rest = f->rest == 0 ? 1 : f->rest < REST_MAX ? 2 * f->rest : REST_MAX;
    f->wait = f->rest;
}

/* ---- a visit ---- */

static int follower_visit(struct append *append, struct follower *f, struct bytes bytes,
                          int got)
{
    struct head head;
    struct key key = key_head(&f->log.project);
    int err = damage_of(append->repo, key.s, got == OK ? head_decode(bytes, &head) : got);
    int put = 0;
    if (err == OK && append_due(&f->log, &head)) {
        put = append_project(append->repo, &f->log, &head);
        err = put < 0 ? put : OK;
    }
    if (err != OK) {
        /* One project that cannot be read holds no other up. */
        log_warn("append_failed", LOG_STR("project", id16_hex(&f->log.project).s),
                 LOG_ERR(err));
        let_rest(f);
        return 0;
    }
    if (put > 0 || head.position != f->position)
        f->rest = 0;
    else
        let_rest(f);
    f->position = head.position;
    return put;
}

/* Reads the heads of up to HEADS_AT_ONCE projects side by side and visits each. */
static int group_visit(struct append *append, struct follower **group, size_t n)
{
    struct key keys[HEADS_AT_ONCE];
    struct buf bodies[HEADS_AT_ONCE] = {0};
    struct store_op ops[HEADS_AT_ONCE] = {0};
    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_head(&group[i]->log.project);
        ops[i] = (struct store_op){
            .verb = STORE_GET, .key = keys[i].s, .range = range_all(), .body = &bodies[i]};
    }
    (void)!store_many(append->repo->store, ops, n); /* each has its own answer */
    int put = 0;
    for (size_t i = 0; i < n; i++) {
        put += follower_visit(append, group[i], buf_bytes(&bodies[i]), ops[i].err);
        buf_release(&bodies[i]);
    }
    return put;
}

static int append_run(struct stage *stage)
{
    struct append *append = (struct append *)stage;
    AUTO(arena_release) struct arena arena = {0};
    struct project_list list;
    const char *after = arena_str(&arena, buf_bytes(&append->after));
    int err = project_list(append->repo, &arena, after, PAGE_PROJECTS, &list);
    if (err != OK)
        return err;
    buf_clear(&append->after);
    if (list.more)
        buf_append_bytes(&append->after, list.projects[list.n - 1].handle);

    struct follower *group[HEADS_AT_ONCE];
    size_t n = 0;
    int put = 0;
    for (size_t i = 0; i < list.n; i++) {
        struct follower *f = follower_of(append, &list.projects[i].id);
        if (f->wait > 0) {
            f->wait--;
            continue;
        }
        group[n++] = f;
        if (n == HEADS_AT_ONCE) {
            put += group_visit(append, group, n);
            n = 0;
        }
    }
    put += group_visit(append, group, n);
    /* There are more projects to visit: that is something to do. */
    return put == 0 && list.more ? 1 : put;
}

static void append_close(struct stage *stage)
{
    struct append *append = (struct append *)stage;
    buf_release(&append->after);
    struct arena arena = append->arena;
    arena_release(&arena);
}

struct stage *stage_append_open(struct repo *repo)
{
    struct arena arena = {0};
    struct append *append = arena_new(&arena, struct append);
    *append = (struct append){
        .stage = {.name = "append", .run = append_run, .close = append_close},
        .repo = repo,
        .arena = arena,
    };
    return &append->stage;
}
