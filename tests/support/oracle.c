#include "tests/support/oracle.h"

#include <check.h>
#include <stdlib.h>

#include "formats/landing.h"
#include "pipeline/repo/chain.h"
#include "pipeline/repo/tree/tree.h"

struct oracle_answer {
    struct id16 session;
    struct id16 request;
    enum verdict verdict;
    uint64_t position;
    bool closes;
};

struct model_file {
    struct bytes path;
    struct seen seen;
};

/* The serial model: files sorted by path. */
struct model {
    struct model_file *files;
    size_t n;
    size_t cap;
    struct arena arena;
};

void oracle_release(struct oracle *oracle)
{
    free(oracle->answers);
    *oracle = (struct oracle){0};
}

/* --- the model --- */

static size_t model_at(const struct model *m, struct bytes path, bool *found)
{
    size_t low = 0;
    size_t high = m->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(m->files[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < m->n && bytes_equal(m->files[low].path, path);
    return low;
}

static struct seen model_seen(const struct model *m, struct bytes path)
{
    bool found;
    size_t at = model_at(m, path, &found);
    return found ? m->files[at].seen : (struct seen){.said = true};
}

static void model_set(struct model *m, struct bytes path, struct seen seen)
{
    bool found;
    size_t at = model_at(m, path, &found);
    if (seen.kind == KIND_NONE) {
        if (found) {
            memmove(&m->files[at], &m->files[at + 1], (m->n - at - 1) * sizeof(*m->files));
            m->n--;
        }
        return;
    }
    if (!found) {
        if (m->n == m->cap) {
            m->cap = m->cap == 0 ? 64 : m->cap * 2;
            m->files = realloc(m->files, m->cap * sizeof(*m->files));
            ck_assert_ptr_nonnull(m->files);
        }
        memmove(&m->files[at + 1], &m->files[at], (m->n - at) * sizeof(*m->files));
        m->n++;
    }
    m->files[at] = (struct model_file){.path = arena_copy(&m->arena, path), .seen = seen};
}

static struct seen wanted(const struct effect *e)
{
    return (struct seen){.said = true,
                         .kind = e->content.kind,
                         .mode = e->content.mode,
                         .hash = e->content.hash};
}

/* serial: each landing found each path that it wrote or relied on as it had seen it, or a
 * written path already as it wanted it. */
static void model_land(struct model *m, const struct landing *landing)
{
    struct session_view view;
    session_view(&landing->landed, &m->arena, &view);
    for (size_t i = 0; i < view.n_effects; i++) {
        const struct effect *e = &view.effects[i];
        struct seen there = model_seen(m, e->path);
        struct seen wants = wanted(e);
        bool already = (e->kind == EFFECT_WRITE && seen_equal(&there, &wants)) ||
                       (e->kind == EFFECT_DELETE && there.kind == KIND_NONE);
        ck_assert_msg(already || seen_equal(&there, &e->seen),
                      "serial: position %lu, path %.*s", (unsigned long)landing->position,
                      (int)e->path.len, (const char *)e->path.data);
    }
    for (size_t i = 0; i < view.n_guards; i++) {
        const struct record_guard *guard = &view.guards[i]->guard;
        struct seen there = model_seen(m, guard->path);
        ck_assert_msg(guard->seen.kind == KIND_DIR || seen_equal(&there, &guard->seen),
                      "serial: guard at position %lu", (unsigned long)landing->position);
    }
    for (size_t i = 0; i < view.n_effects; i++) {
        if (view.effects[i].kind != EFFECT_WRITE)
            model_set(m, view.effects[i].path, (struct seen){.said = true});
    }
    for (size_t i = 0; i < view.n_effects; i++) {
        if (view.effects[i].kind == EFFECT_WRITE)
            model_set(m, view.effects[i].path, wanted(&view.effects[i]));
    }
}

/* --- answers --- */

static int answer_order(const void *a, const void *b)
{
    const struct oracle_answer *left = a;
    const struct oracle_answer *right = b;
    int order = id16_compare(&left->session, &right->session);
    return order != 0 ? order : id16_compare(&left->request, &right->request);
}

/* once and final: no request has two answers, no session lands twice, and what was answered
 * before is answered so still. */
static void answers_check(struct oracle *oracle, struct oracle_answer *now, size_t n)
{
    if (n > 0)
        qsort(now, n, sizeof(*now), answer_order);
    for (size_t i = 1; i < n; i++) {
        ck_assert_msg(answer_order(&now[i - 1], &now[i]) != 0,
                      "once: a request has two answers");
        if (id16_equal(&now[i - 1].session, &now[i].session))
            ck_assert_msg(now[i - 1].verdict != VERDICT_LANDED ||
                              now[i].verdict != VERDICT_LANDED,
                          "once: a session landed twice");
    }
    for (size_t i = 0; i < oracle->n; i++) {
        const struct oracle_answer *old = &oracle->answers[i];
        const struct oracle_answer *is =
            n == 0 ? NULL : bsearch(old, now, n, sizeof(*now), answer_order);
        ck_assert_msg(is != NULL && is->verdict == old->verdict &&
                          is->position == old->position,
                      "final: an answer is gone or changed");
    }
    free(oracle->answers);
    oracle->answers = now;
    oracle->n = n;
}

/* --- the chain --- */

struct chain_walk {
    struct repo *repo;
    const struct id16 *project;
    struct oracle_answer *answers;
    size_t n;
    size_t cap;
    struct model model;
};

static void batch_check(struct chain_walk *w, const struct batch *batch)
{
    struct landing *landings;
    ck_assert_int_eq(chain_records(w->repo, w->project, batch, &w->model.arena, &landings), OK);
    uint64_t position = batch->footer.first;
    for (uint32_t i = 0; i < batch->footer.n_records; i++) {
        const struct landing *landing = &landings[i];
        if (landing->verdict == VERDICT_LANDED) {
            ck_assert_msg(landing->position == ++position,
                          "atomic: positions are not in a row");
            model_land(&w->model, landing);
        }
        if (w->n == w->cap) {
            w->cap = w->cap == 0 ? 64 : w->cap * 2;
            w->answers = realloc(w->answers, w->cap * sizeof(*w->answers));
            ck_assert_ptr_nonnull(w->answers);
        }
        w->answers[w->n++] = (struct oracle_answer){.session = landing->session,
                                                    .request = landing->request,
                                                    .verdict = landing->verdict,
                                                    .position = landing->position,
                                                    .closes = landing->closes};
    }
    ck_assert_msg(position == batch->footer.position, "atomic: a landing has no record");
}

/* rebuild: the tree that the head names is what the records come to. */
static void tree_check(struct chain_walk *w, const struct batch *tip)
{
    struct tree tree = chain_tree(w->repo, w->project, tip);
    struct tree_walk *walk;
    ck_assert_int_eq(tree_walk_open(&tree, bytes_str(""), &walk), OK);
    size_t files = 0;
    struct bytes path;
    const struct entry *entry;
    int err;
    while ((err = tree_walk_next(walk, &path, &entry)) == OK) {
        if (entry->kind == KIND_DIR)
            continue;
        files++;
        struct seen is = seen_of(entry);
        struct seen must = model_seen(&w->model, path);
        ck_assert_msg(seen_equal(&is, &must), "rebuild: %.*s", (int)path.len,
                      (const char *)path.data);
    }
    ck_assert_int_eq(err, ERR_NOT_FOUND);
    ck_assert_msg(files == w->model.n, "rebuild: a file is missing");
    ck_assert_msg(tip->footer.files == files, "rebuild: the count of files is wrong");
    tree_walk_close(walk);
}

void oracle_check(struct oracle *oracle, struct repo *repo, const struct id16 *project)
{
    struct chain_walk w = {.repo = repo, .project = project};
    struct head head;
    struct etag etag;
    const struct batch *tip;
    ck_assert_int_eq(chain_head(repo, project, &head, &etag), OK);
    ck_assert_msg(head.position >= oracle->position && head.hlc >= oracle->hlc,
                  "monotone: the head went back");
    oracle->position = head.position;
    oracle->hlc = head.hlc;
    ck_assert_int_eq(chain_tip(repo, project, &head, &tip), OK);
    size_t n = (size_t)tip->footer.batch + 1;
    const struct batch **batches = calloc(n, sizeof(struct batch *));
    ck_assert_ptr_nonnull(batches);
    batches[n - 1] = tip;
    for (size_t i = n - 1; i > 0; i--) {
        ck_assert_int_eq(chain_batch(repo, project, &batches[i]->footer.prev, &batches[i - 1]),
                         OK);
        ck_assert_msg(batches[i - 1]->footer.position == batches[i]->footer.first &&
                          batches[i - 1]->footer.hlc < batches[i]->footer.hlc,
                      "monotone: a batch does not follow the one before");
    }
    for (size_t i = 0; i < n; i++)
        batch_check(&w, batches[i]);
    tree_check(&w, tip);
    for (size_t i = 0; i < n; i++)
        chain_drop(repo, batches[i]);
    free(batches);
    free(w.model.files);
    arena_release(&w.model.arena);
    answers_check(oracle, w.answers, w.n);
}
