#include "pipeline/derive/log/derive_look.h"

#include "pipeline/repo/damage.h"
#include "pipeline/repo/derived/derive_segments.h"

/* Takes `n` objects of a run, from the `i`th on, which are read in one. */
static int part_take(struct look *look, const struct derive_segment *segment,
                     const struct derive_run *run, uint32_t i, uint32_t n)
{
    AUTO_BUF bytes = {0};
    int read = derive_run_read(look->repo, segment, run, i, n, &bytes);
    int err = read == OK || look_is_damage(read) ? OK : read;
    size_t at = 0;
    for (uint32_t k = i; k < i + n && err == OK; k++) {
        struct bytes object = {0};
        if (read == OK)
            object = bytes_of(bytes.data + at, run->lens[k]);
        err = look_take(look, run->agent, run->first + k, object, read);
        at += run->lens[k];
    }
    return err;
}

static int run_take(struct look *look, const struct derive_segment *segment,
                    const struct derive_run *run)
{
    const struct derive_at *at = derive_cursor_get(look->cursor, run->agent);
    int err = OK;
    if (run->first > at->seq + 1)
        err = look_miss(look, run->agent, run->first - 1, ERR_NOT_FOUND);
    for (uint32_t i = 0; i < run->n && err == OK;) {
        at = derive_cursor_get(look->cursor, run->agent);
        uint32_t n = 0;
        uint64_t bytes = 0;
        while (i + n < run->n && derive_at_wants(at, run->first + i + n) &&
               (n == 0 || bytes + run->lens[i + n] <= LOOK_BYTES))
            bytes += run->lens[i + n++];
        if (n > 0)
            err = part_take(look, segment, run, i, n);
        i += n > 0 ? n : 1;
    }
    return err;
}

/* Whether all that it has is read. */
static bool segment_done(const struct look *look, const struct derive_segment *segment)
{
    for (uint32_t i = 0; i < segment->n; i++) {
        const struct derive_run *run = &segment->runs[i];
        const struct derive_at *at = derive_cursor_get(look->cursor, run->agent);
        for (uint32_t k = 0; k < run->n; k++) {
            if (derive_at_wants(at, run->first + k))
                return false;
        }
    }
    return true;
}

int look_segment(struct look *look, uint64_t number)
{
    AUTO(arena_release) struct arena arena = {0};
    struct derive_segment segment;
    struct derive_at *at = &look->cursor->segments;
    struct key key = key_derive_segment(&look->project, number);
    if (at->held)
        return OK;
    int err = derive_segment_read(look->repo, &look->project, number, &arena, &segment);
    bool damaged = look_is_damage(err);
    if (err != OK && !damaged)
        return err;
    for (uint32_t i = 0; !damaged && i < segment.n; i++) {
        err = run_take(look, &segment, &segment.runs[i]);
        if (err != OK)
            return err;
    }
    if (!damaged && segment_done(look, &segment)) {
        derive_at_took(at, number);
        return OK;
    }
    damage_log(look->repo, key.s, ERR_CORRUPT);
    if (number > at->seq)
        at->held = derive_at_missed(at, number, ERR_CORRUPT) != OK;
    return OK;
}
