#include "pipeline/repo/check/fsck_answers.h"

#include <inttypes.h>
#include <stdlib.h>

#include "formats/base/hash.h"
#include "formats/base/hex.h"
#include "pipeline/repo/check/fsck_chain.h"
#include "pipeline/repo/check/fsck_sessions.h"
#include "pipeline/repo/intake/closed.h"

/* What a number is about: its lowest bits. Equal hashes sort by them. */
enum about {
    ABOUT_REQUEST = 0,   /* an answer to a request about a session */
    ABOUT_CLOSED = 1,    /* an answer that closes its session */
    ABOUT_TOMBSTONE = 2, /* the object of a session says that it is answered for good */
    ABOUT_MASK = 3,
};

/* Answers that are looked at exactly, at most: beyond that the first ones tell enough. */
#define EXACT_MAX (1u << 20)
/* Classes that are put off at once: each time numbers do not fit their classes are halved. */
#define PUT_OFF_MAX 64u

struct class
{
    uint64_t modulus;
    uint64_t residue;
};

/* An answer that may be one too many. */
struct exact {
    struct tree_id id;
    uint64_t batch;
    uint32_t index;
    uint64_t number;
    struct hash tree;
};

struct fsck_answers {
    struct fsck_project *p;
    uint64_t *numbers;
    size_t n;
    size_t cap;
    size_t max;
    struct class now;
    struct class put_off[PUT_OFF_MAX];
    size_t n_put_off;
    size_t n_alike;     /* at the front of the numbers, sorted: to be looked at exactly */
    struct arena arena; /* of what is looked at exactly */
    void *exact;
    size_t n_exact;
    size_t cap_exact;
};

struct fsck_answers *fsck_answers_open(struct fsck_project *p, size_t ids_max)
{
    struct fsck_answers *a = calloc(1, sizeof(*a));
    if (a == NULL)
        abort();
    *a = (struct fsck_answers){.p = p, .max = ids_max, .now = {.modulus = 1}};
    return a;
}

void fsck_answers_close(struct fsck_answers *a)
{
    if (a == NULL)
        return;
    free(a->numbers);
    arena_release(&a->arena);
    free(a);
}

/* --- numbers --- */

static uint64_t number_of(const struct id16 *session, const struct id16 *request,
                          enum about about)
{
    struct id16 both[2] = {*session};
    if (request != NULL)
        both[1] = *request;
    uint64_t hash = xxh3_64(bytes_of(both, request != NULL ? sizeof(both) : sizeof(both[0])));
    return (hash & ~(uint64_t)ABOUT_MASK) | about;
}

static bool in_class(const struct class *class, uint64_t number)
{
    return (number >> 2) % class->modulus == class->residue;
}

/* Drops half of the classes, for another walk. */
static void class_halve(struct fsck_answers *a)
{
    assert(a->n_put_off < PUT_OFF_MAX);
    uint64_t modulus = a->now.modulus;
    a->put_off[a->n_put_off++] =
        (struct class){.modulus = 2 * modulus, .residue = a->now.residue + modulus};
    a->now.modulus = 2 * modulus;
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (in_class(&a->now, a->numbers[i]))
            a->numbers[n++] = a->numbers[i];
    }
    a->n = n;
}

static void number_add(struct fsck_answers *a, uint64_t number)
{
    while (a->n == a->max && a->n_put_off < PUT_OFF_MAX)
        class_halve(a);
    if (!in_class(&a->now, number))
        return;
    if (a->n == a->cap) {
        a->cap = a->cap == 0 ? 1024 : 2 * a->cap;
        a->numbers = realloc(a->numbers, a->cap * sizeof(*a->numbers));
        if (a->numbers == NULL)
            abort();
    }
    a->numbers[a->n++] = number;
}

void fsck_answers_add(struct fsck_answers *a, const struct fsck_batch *batch)
{
    for (uint32_t i = 0; batch->ids != NULL && i < batch->footer.n_records; i++) {
        const struct tree_id *id = &batch->ids[i];
        number_add(a, number_of(&id->session, &id->request, ABOUT_REQUEST));
        if (id->closes)
            number_add(a, number_of(&id->session, NULL, ABOUT_CLOSED));
    }
}

void fsck_answers_tombstone(struct fsck_answers *a, const struct id16 *session)
{
    number_add(a, number_of(session, NULL, ABOUT_TOMBSTONE));
}

static int number_order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Leaves, at the front of the numbers, those to be looked at: what came more than once, and
 * tombstones without an answer. Gives how many. */
static size_t numbers_sift(struct fsck_answers *a)
{
    size_t n = 0;
    uint64_t before = 0;
    if (a->n > 0)
        qsort(a->numbers, a->n, sizeof(*a->numbers), number_order);
    for (size_t i = 0, next; i < a->n; i = next) {
        uint64_t number = a->numbers[i];
        for (next = i; next < a->n && a->numbers[next] == number; next++)
            continue;
        bool tombstone = (number & ABOUT_MASK) == ABOUT_TOMBSTONE;
        bool answered = before == number - ABOUT_TOMBSTONE + ABOUT_CLOSED;
        if (tombstone ? !answered : next - i > 1)
            a->numbers[n++] = number;
        before = number;
    }
    return n;
}

/* --- exactly --- */

static bool is_alike(const struct fsck_answers *a, uint64_t number)
{
    return a->n_alike > 0 &&
           bsearch(&number, a->numbers, a->n_alike, sizeof(number), number_order) != NULL;
}

static void exact_add(struct fsck_answers *a, const struct fsck_batch *batch, uint32_t i,
                      uint64_t number)
{
    if (!is_alike(a, number) || a->n_exact == EXACT_MAX)
        return;
    struct exact *exact =
        arena_push(&a->arena, &a->exact, &a->n_exact, &a->cap_exact, sizeof(*exact));
    *exact = (struct exact){.id = batch->ids[i],
                            .batch = batch->footer.batch,
                            .index = i,
                            .number = number,
                            .tree = batch->tree};
}

static int exact_batch(void *arg, struct fsck_batch *batch)
{
    struct fsck_answers *a = arg;
    for (uint32_t i = 0; batch->ids != NULL && i < batch->footer.n_records; i++) {
        const struct tree_id *id = &batch->ids[i];
        exact_add(a, batch, i, number_of(&id->session, &id->request, ABOUT_REQUEST));
        if (id->closes)
            exact_add(a, batch, i, number_of(&id->session, NULL, ABOUT_CLOSED));
    }
    return OK;
}

/* By what they are about, then by session, request where that counts, and place in the chain.
 */
static int exact_order(const void *a, const void *b)
{
    const struct exact *left = a;
    const struct exact *right = b;
    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    int order = id16_compare(&left->id.session, &right->id.session);
    if (order == 0 && (left->number & ABOUT_MASK) == ABOUT_REQUEST)
        order = id16_compare(&left->id.request, &right->id.request);
    if (order == 0)
        order = (left->batch > right->batch) - (left->batch < right->batch);
    if (order == 0)
        order = (left->index > right->index) - (left->index < right->index);
    return order;
}

/* `later` comes behind `earlier` in the order above. */
static void pair_check(struct fsck_answers *a, const struct exact *earlier,
                       const struct exact *later)
{
    if (earlier->number != later->number ||
        !id16_equal(&earlier->id.session, &later->id.session))
        return;
    bool same_request = id16_equal(&earlier->id.request, &later->id.request);
    struct key key = key_tree(&a->p->id, &later->tree);
    if ((later->number & ABOUT_MASK) == ABOUT_REQUEST) {
        if (same_request)
            fsck_damage(a->p->fsck, "final", "answered_twice", key.s,
                        "request %s about session %s: %s in batch %" PRIu64
                        ", %s in batch %" PRIu64,
                        id16_hex(&later->id.request).s, id16_hex(&later->id.session).s,
                        verdict_name(earlier->id.verdict), earlier->batch,
                        verdict_name(later->id.verdict), later->batch);
        return;
    }
    bool again = later->id.verdict == VERDICT_LANDED || later->id.verdict == VERDICT_ABANDONED;
    if (!again || same_request) /* the same request twice has been told */
        return;
    bool twice = earlier->id.verdict == VERDICT_LANDED && later->id.verdict == VERDICT_LANDED;
    fsck_damage(a->p->fsck, twice ? "once" : "final",
                twice ? "landed_twice" : "answered_after_close", key.s,
                "session %s: %s in batch %" PRIu64 ", %s in batch %" PRIu64,
                id16_hex(&later->id.session).s, verdict_name(earlier->id.verdict),
                earlier->batch, verdict_name(later->id.verdict), later->batch);
}

static int exact_answers(struct fsck_answers *a)
{
    const struct fsck_visit visit = {.ids_only = true, .batch = exact_batch, .arg = a};
    int err = fsck_chain_walk(a->p, &visit);
    struct exact *exact = a->exact;
    if (a->n_exact > 0)
        qsort(exact, a->n_exact, sizeof(*exact), exact_order);
    for (size_t i = 1; i < a->n_exact && err == OK; i++)
        pair_check(a, &exact[i - 1], &exact[i]);
    return err;
}

/* A session whose tombstone was put after the head was taken has its answer in the chain by
 * now. Where a part of the chain cannot be read nobody knows. */
static void exact_tombstone(void *arg, const struct id16 *session)
{
    struct fsck_answers *a = arg;
    if (!is_alike(a, number_of(session, NULL, ABOUT_TOMBSTONE)) || a->n_exact == EXACT_MAX)
        return;
    struct id16 *id = arena_push(&a->arena, &a->exact, &a->n_exact, &a->cap_exact, sizeof(*id));
    *id = *session;
}

static int exact_tombstones(struct fsck_answers *a)
{
    struct fsck_project *p = a->p;
    struct head head;
    int err = p->chain_whole ? fsck_sessions_walk(p, true, exact_tombstone, a) : OK;
    if (err != OK || a->n_exact == 0)
        return err;
    err = chain_head(&p->fsck->repo, &p->id, &head, NULL);
    if (err != OK)
        return fsck_is_damage(err) ? OK : err;
    const struct id16 *ids = a->exact;
    bool *closed = arena_array(&a->arena, a->n_exact, bool);
    err = closed_check(&p->fsck->repo, &p->id, &head, ids, a->n_exact, closed);
    for (size_t i = 0; i < a->n_exact && err == OK; i++) {
        struct key key = key_session(&p->id, &ids[i]);
        if (!closed[i])
            fsck_damage(p->fsck, "durable", "settled_unanswered", key.s,
                        "it says that the session is answered for good, and no answer is "
                        "in the chain");
    }
    return err;
}

static void exact_clear(struct fsck_answers *a)
{
    arena_release(&a->arena);
    a->arena = (struct arena){0};
    a->exact = NULL;
    a->n_exact = 0;
    a->cap_exact = 0;
}

static bool has_tombstone(const struct fsck_answers *a)
{
    for (size_t i = 0; i < a->n_alike; i++) {
        if ((a->numbers[i] & ABOUT_MASK) == ABOUT_TOMBSTONE)
            return true;
    }
    return false;
}

static int exact_look(struct fsck_answers *a)
{
    a->n_alike = numbers_sift(a);
    int err = a->n_alike > 0 ? exact_answers(a) : OK;
    exact_clear(a);
    if (err == OK && has_tombstone(a))
        err = exact_tombstones(a);
    exact_clear(a);
    return err;
}

/* --- the classes that were put off --- */

static int again_batch(void *arg, struct fsck_batch *batch)
{
    fsck_answers_add(arg, batch);
    return OK;
}

static void again_tombstone(void *arg, const struct id16 *session)
{
    fsck_answers_tombstone(arg, session);
}

int fsck_answers_check(struct fsck_answers *a)
{
    const struct fsck_visit visit = {.ids_only = true, .batch = again_batch, .arg = a};
    int err = exact_look(a);
    while (err == OK && a->n_put_off > 0) {
        a->now = a->put_off[--a->n_put_off];
        a->n = 0;
        err = fsck_chain_walk(a->p, &visit);
        if (err == OK)
            err = fsck_sessions_walk(a->p, true, again_tombstone, a);
        if (err == OK)
            err = exact_look(a);
    }
    return err;
}
