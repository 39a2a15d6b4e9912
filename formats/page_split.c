#include "formats/base/buf.h"
#include "formats/base/hash.h"
#include "formats/page.h"

static uint64_t name_hash(struct bytes name, uint8_t level)
{
    return xxh3_64_seed(name, level);
}

bool page_boundary(struct bytes name, uint8_t level)
{
    /* weight / PAGE_TARGET of all 64-bit numbers, rounded down: exact, for the target is a
     * power of two. Integers only, so that every machine cuts alike. */
    static_assert(44 + NAME_LEN_MAX < PAGE_TARGET, "a weight is below the target");
    unsigned __int128 all = (unsigned __int128)1 << 64;
    return name_hash(name, level) < (uint64_t)(all * page_weight(name) / PAGE_TARGET);
}

/* A run of names between two boundary cuts that is too long for one page. `weight[i]` is that
 * of the names before i, so weight[n] is the whole. `least` is a tournament of the hashes: leaf
 * n + i is name i, an inner node has the winner of its two children, of equal ones the earlier.
 * It answers "where is the least hash from here to there" in O(log n), whatever the names: a
 * search name by name would take O(n^2) on names that were chosen to cut off one small page
 * after the other. */
struct run {
    size_t n;
    uint64_t *weight;
    uint64_t *hash;
    uint32_t *least;
    uint32_t *ends;
};

static uint32_t winner(const struct run *run, uint32_t a, uint32_t b)
{
    if (run->hash[a] != run->hash[b]) {
        return run->hash[a] < run->hash[b] ? a : b;
    }
    return a < b ? a : b;
}

static void run_init(struct run *run, const struct bytes *names, size_t n, uint8_t level,
                     struct buf *memory)
{
    size_t size = (n + 1) * sizeof(uint64_t) + n * sizeof(uint64_t) + 2 * n * sizeof(uint32_t) +
                  (n + 1) * sizeof(uint32_t);
    uint8_t *at = buf_reserve(memory, size);
    run->n = n;
    run->weight = (uint64_t *)(void *)at;
    run->hash = run->weight + n + 1;
    run->least = (uint32_t *)(run->hash + n);
    run->ends = run->least + 2 * n;
    run->weight[0] = 0;
    for (size_t i = 0; i < n; i++) {
        run->weight[i + 1] = run->weight[i] + page_weight(names[i]);
        run->hash[i] = name_hash(names[i], level);
        run->least[n + i] = (uint32_t)i;
    }
    for (size_t i = n - 1; i > 0; i--) {
        run->least[i] = winner(run, run->least[2 * i], run->least[2 * i + 1]);
    }
}

/* The name with the least hash in [from, to). */
static uint32_t run_least(const struct run *run, size_t from, size_t to)
{
    uint32_t best = (uint32_t)from;
    for (size_t a = from + run->n, b = to + run->n; a < b; a /= 2, b /= 2) {
        if (a % 2 == 1) {
            best = winner(run, best, run->least[a++]);
        }
        if (b % 2 == 1) {
            best = winner(run, best, run->least[--b]);
        }
    }
    return best;
}

/* The first place in [from, to] with at least `weight` before it. */
static size_t run_place(const struct run *run, uint64_t weight, size_t from, size_t to)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (run->weight[middle] < weight) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* Where to cut [from, to), or 0 when it is not to be cut. */
static size_t run_cut(const struct run *run, size_t from, size_t to)
{
    const uint64_t *weight = run->weight;
    if (weight[to] - weight[from] <= PAGE_CUT_OVER) {
        return 0;
    }
    size_t first = run_place(run, weight[from] + PAGE_LEAST, from, to);
    /* The last place is the one before the first that leaves too little behind it. */
    size_t end = run_place(run, weight[to] - PAGE_LEAST + 1, from, to);
    return first < end ? run_least(run, first, end) : 0;
}

/* Appends the cuts inside the run that begins at index `base`. The pieces are taken from the
 * left; what lies right of a cut waits, as its end, on a stack. */
static size_t run_split(const struct run *run, size_t base, uint32_t *cuts)
{
    size_t n_cuts = 0;
    size_t n_ends = 0;
    size_t from = 0;
    run->ends[n_ends++] = (uint32_t)run->n;
    while (n_ends > 0) {
        size_t to = run->ends[n_ends - 1];
        size_t cut = run_cut(run, from, to);
        if (cut != 0) {
            run->ends[n_ends++] = (uint32_t)cut;
            continue;
        }
        n_ends--;
        from = to;
        if (n_ends > 0) {
            cuts[n_cuts++] = (uint32_t)(base + to);
        }
    }
    return n_cuts;
}

/* Takes up the page that begins at `from` and ends at `to`, and cuts it where it is too
 * long. */
static size_t take(const struct bytes *names, size_t from, size_t to, uint64_t weight,
                   uint8_t level, struct buf *memory, uint32_t *cuts)
{
    cuts[0] = (uint32_t)from;
    if (weight <= PAGE_CUT_OVER) {
        return 1;
    }
    struct run run;
    run_init(&run, names + from, to - from, level, memory);
    return 1 + run_split(&run, from, cuts + 1);
}

size_t page_split(const struct bytes *names, size_t n, uint8_t level, bool open_end,
                  uint32_t *cuts)
{
    assert(n < UINT32_MAX / 2);
    uint64_t behind = 0;
    for (size_t i = 0; i < n; i++) {
        behind += page_weight(names[i]);
    }
    AUTO_BUF memory = {0};
    size_t n_cuts = 0;
    size_t start = 0;
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        if (before >= PAGE_LEAST && (open_end || behind >= PAGE_LEAST) &&
            page_boundary(names[i], level)) {
            n_cuts += take(names, start, i, before, level, &memory, cuts + n_cuts);
            start = i;
            before = 0;
        }
        before += page_weight(names[i]);
        behind -= page_weight(names[i]);
    }
    return n_cuts + take(names, start, n, before, level, &memory, cuts + n_cuts);
}
