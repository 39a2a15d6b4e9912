#include "pipeline/repo/pack/page_memo.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hash.h"

/* Slots that a page may have its place in. */
#define WAYS 8u

struct memo_slot {
    struct hash tree; /* all zero: the slot is free */
    struct hash check;
    uint64_t files;
    struct page_spot spot;
};

struct page_memo {
    size_t sets; /* a power of two */
    struct memo_slot *slots;
};

/* Cleared memory of this size is taken from the system as it is used. */
static struct memo_slot *slots_make(size_t sets)
{
    struct memo_slot *slots = calloc(sets * WAYS, sizeof(*slots));
    if (slots == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return slots;
}

struct page_memo *page_memo_open(size_t pages)
{
    static_assert(sizeof(struct memo_slot) <= PAGE_MEMO_BYTES, "what the header says");
    struct page_memo *memo = calloc(1, sizeof(*memo));
    size_t sets = 1;
    while (sets * WAYS < pages)
        sets *= 2;
    if (memo == NULL) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    memo->sets = sets;
    memo->slots = slots_make(sets);
    return memo;
}

void page_memo_close(struct page_memo *memo)
{
    if (memo == NULL)
        return;
    free(memo->slots);
    free(memo);
}

static struct memo_slot *set_of(const struct page_memo *memo, const struct location *where)
{
    struct hash both[2] = {where->tree, where->check};
    uint64_t h = xxh3_64(bytes_of(both, sizeof(both)));
    return &memo->slots[(h & (memo->sets - 1)) * WAYS];
}

static bool is_page(const struct memo_slot *slot, const struct location *where)
{
    return hash_equal(&slot->tree, &where->tree) && hash_equal(&slot->check, &where->check);
}

bool page_memo_find(const struct page_memo *memo, const struct location *where,
                    struct page_spot *out)
{
    const struct memo_slot *set = set_of(memo, where);
    for (unsigned i = 0; i < WAYS; i++) {
        if (is_page(&set[i], where)) {
            *out = set[i].spot;
            return true;
        }
    }
    return false;
}

void page_memo_add(struct page_memo *memo, const struct location *where, uint64_t files,
                   const struct page_spot *spot)
{
    assert(!hash_is_zero(&where->tree));
    struct memo_slot *set = set_of(memo, where);
    struct memo_slot *least = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        struct memo_slot *slot = &set[i];
        if (is_page(slot, where) || hash_is_zero(&slot->tree)) {
            least = slot;
            break;
        }
        if (slot->files < least->files)
            least = slot;
    }
    bool is_full = !hash_is_zero(&least->tree) && !is_page(least, where);
    if (is_full && least->files > files)
        return;
    *least = (struct memo_slot){
        .tree = where->tree, .check = where->check, .files = files, .spot = *spot};
}

void page_memo_clear(struct page_memo *memo)
{
    free(memo->slots);
    memo->slots = slots_make(memo->sets);
}
