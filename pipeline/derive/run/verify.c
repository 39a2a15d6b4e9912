#include "pipeline/derive/run/verify.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLED "sampled:"

/* Digits with at most one point: strtod alone would take "nan", "1e-3" and " 1". */
static int rate_parse(struct bytes text, double *out)
{
    char copy[32];
    if (text.len == 0 || text.len >= sizeof(copy))
        return ERR_INVALID;
    unsigned points = 0;
    unsigned digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool point = text.data[i] == '.';
        if (!point && (text.data[i] < '0' || text.data[i] > '9'))
            return ERR_INVALID;
        points += point;
        digits += !point;
    }
    if (points > 1 || digits == 0)
        return ERR_INVALID;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    double rate = strtod(copy, NULL);
    if (rate > 1)
        return ERR_INVALID;
    *out = rate;
    return OK;
}

int verify_parse(struct bytes text, struct verify *out)
{
    const size_t head = sizeof(SAMPLED) - 1;
    struct verify verify = {0};
    if (bytes_equal(text, bytes_str("off"))) {
        verify.mode = VERIFY_OFF;
    } else if (bytes_equal(text, bytes_str("dual"))) {
        verify.mode = VERIFY_DUAL;
    } else if (text.len > head && memcmp(text.data, SAMPLED, head) == 0) {
        verify.mode = VERIFY_SAMPLED;
        int err = rate_parse(bytes_of(text.data + head, text.len - head), &verify.rate);
        if (err != OK)
            return err;
    } else {
        return ERR_INVALID;
    }
    *out = verify;
    return OK;
}

void verify_text(const struct verify *verify, struct buf *out)
{
    switch (verify->mode) {
    case VERIFY_OFF:
        buf_printf(out, "off");
        break;
    case VERIFY_DUAL:
        buf_printf(out, "dual");
        break;
    case VERIFY_SAMPLED:
        buf_printf(out, SAMPLED "%.9g", verify->rate);
        break;
    }
}

bool verify_wanted(const struct verify *verify, uint64_t chance)
{
    switch (verify->mode) {
    case VERIFY_OFF:
        return false;
    case VERIFY_DUAL:
        return true;
    case VERIFY_SAMPLED:
        /* 53 bits are exact in a double, and all lie below 1. */
        return (double)(chance >> 11) * 0x1p-53 < verify->rate;
    }
    return false;
}
