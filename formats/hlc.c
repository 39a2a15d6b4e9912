#include "formats/hlc.h"

#include "formats/base/err.h"

#define WALL_MAX ((1ull << 48) - 1)

uint64_t hlc_next(uint64_t last, uint64_t wall_ms)
{
    uint64_t wall = hlc_make(wall_ms > WALL_MAX ? WALL_MAX : wall_ms, 0);
    /* The very last stamp there is has no successor. It is the year 10889: only a damaged or
     * hostile stamp gets there, and staying put harms less than beginning again at zero. */
    uint64_t next = last == UINT64_MAX ? last : last + 1;
    return next > wall ? next : wall;
}

bool hlc_too_far(uint64_t hlc, uint64_t wall_ms, uint64_t skew_ms)
{
    uint64_t ms = hlc_ms(hlc);
    return ms > wall_ms && ms - wall_ms > skew_ms;
}

int hlc_parse(struct bytes decimal, uint64_t *out)
{
    if (decimal.len == 0 || (decimal.len > 1 && decimal.data[0] == '0')) {
        return ERR_INVALID;
    }
    uint64_t n = 0;
    for (size_t i = 0; i < decimal.len; i++) {
        uint8_t c = decimal.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(c - '0'), &n)) {
            return ERR_INVALID;
        }
    }
    *out = n;
    return 0;
}
