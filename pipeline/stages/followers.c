#include "pipeline/stages/followers.h"

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "formats/key.h"
#include "formats/project_id.h"
#include "pipeline/repo/damage.h"
#include "pipeline/repo/project.h"
#include "pipeline/sys/log.h"

#define PAGE_PROJECTS 1000u
#define HEADS_AT_ONCE 64u
#define REST_MAX      64u

void followers_init(struct followers *all, struct repo *repo, size_t size,
                    follower_visit *visit, const char *failed)
{
    assert(size >= sizeof(struct follower));
    *all = (struct followers){.repo = repo, .size = size, .visit = visit, .failed = failed};
}

void followers_release(struct followers *all)
{
    buf_release(&all->after);
    arena_release(&all->arena);
}

/* ---- who is followed ---- */

static size_t slot_of(const struct followers *all, const struct id16 *project)
{
    return (size_t)(xxh3_64(bytes_of(project->b, sizeof(project->b))) % all->n_slots);
}

/* The old table stays in the arena: all of them together are no longer than the last. */
static void table_grow(struct followers *all)
{
    struct follower **old = all->slots;
    size_t n_old = all->n_slots;
    all->n_slots = n_old > 0 ? 2 * n_old : 64;
    all->slots = arena_array(&all->arena, all->n_slots, struct follower *);
    for (size_t i = 0; i < n_old; i++) {
        for (struct follower *f = old[i]; f != NULL;) {
            struct follower *next = f->next;
            size_t slot = slot_of(all, &f->project);
            f->next = all->slots[slot];
            all->slots[slot] = f;
            f = next;
        }
    }
}

static struct follower *follower_of(struct followers *all, const struct id16 *project)
{
    if (all->n >= all->n_slots)
        table_grow(all);
    size_t slot = slot_of(all, project);
    for (struct follower *f = all->slots[slot]; f != NULL; f = f->next) {
        if (id16_equal(&f->project, project))
            return f;
    }
    struct follower *f = arena_zalloc(&all->arena, 1, all->size);
    f->project = *project;
    f->next = all->slots[slot];
    all->slots[slot] = f;
    all->n++;
    return f;
}

static void let_rest(struct follower *f)
{
    f->rest = f->rest == 0 ? 1 : f->rest < REST_MAX ? 2 * f->rest : REST_MAX;
    f->wait = f->rest;
}

/* ---- a visit ---- */

static int visit_one(struct followers *all, struct follower *f, struct bytes bytes, int got)
{
    struct head head;
    struct key key = key_head(&f->project);
    if (got == ERR_NOT_FOUND && project_id_is_refs(&f->project)) {
        /* Nothing was bound yet, and perhaps never will. */
        f->rest = REST_MAX;
        f->wait = REST_MAX;
        return 0;
    }
    int err = damage_of(all->repo, key.s, got == OK ? head_decode(bytes, &head) : got);
    int put = 0;
    if (err == OK) {
        put = all->visit(all->repo, f, &head);
        err = put < 0 ? put : OK;
    }
    if (err != OK) {
        /* One project that cannot be read holds no other up. */
        log_warn(all->failed, LOG_STR("project", id16_hex(&f->project).s), LOG_ERR(err));
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

struct group {
    struct follower *followers[HEADS_AT_ONCE];
    size_t n;
};

/* Reads the heads of a group side by side, visits each, and empties it. */
static int group_visit(struct followers *all, struct group *group)
{
    size_t n = group->n;
    struct key keys[HEADS_AT_ONCE];
    struct buf bodies[HEADS_AT_ONCE] = {0};
    struct store_op ops[HEADS_AT_ONCE] = {0};
    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        keys[i] = key_head(&group->followers[i]->project);
        ops[i] = (struct store_op){
            .verb = STORE_GET, .key = keys[i].s, .range = range_all(), .body = &bodies[i]};
    }
    (void)!store_many(all->repo->store, ops, n); /* each has its own answer */
    int put = 0;
    for (size_t i = 0; i < n; i++) {
        put += visit_one(all, group->followers[i], buf_bytes(&bodies[i]), ops[i].err);
        buf_release(&bodies[i]);
    }
    group->n = 0;
    return put;
}

/* Whoever is due comes into the group, and a full one is visited. */
static int group_add(struct followers *all, struct group *group, const struct id16 *project)
{
    struct follower *f = follower_of(all, project);
    if (f->wait > 0) {
        f->wait--;
        return 0;
    }
    group->followers[group->n++] = f;
    return group->n == HEADS_AT_ONCE ? group_visit(all, group) : 0;
}

int followers_run(struct followers *all)
{
    AUTO(arena_release) struct arena arena = {0};
    struct project_list list;
    const char *after = arena_str(&arena, buf_bytes(&all->after));
    int err = project_list(all->repo, &arena, after, PAGE_PROJECTS, &list);
    if (err != OK)
        return err;
    buf_clear(&all->after);
    if (list.more)
        buf_append_bytes(&all->after, list.projects[list.n - 1].handle);

    struct group group = {0};
    int put = 0;
    for (size_t i = 0; i < list.n; i++) {
        struct id16 refs = project_id_refs(&list.projects[i].id);
        put += group_add(all, &group, &list.projects[i].id);
        put += group_add(all, &group, &refs);
    }
    put += group_visit(all, &group);
    /* There are more projects to visit: that is something to do. */
    return put == 0 && list.more ? 1 : put;
}
