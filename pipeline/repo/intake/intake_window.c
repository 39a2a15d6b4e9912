#include "pipeline/repo/intake/intake_window.h"

/* How long after a put its being shared says that there are others now, in windows. */
#define CROWD_WINDOWS 4u
/* What a put takes, to how long it is worth to wait for others. */
#define WINDOW_SHARE 8u
/* Of what a put takes, how much the last one counts: one that is slow among fast ones says less
 * than one that is fast again. */
#define SLOWER_COUNTS 4u
#define FASTER_COUNTS 2u

void intake_window_taken(struct intake_window *w, uint64_t now_us, uint64_t took_us)
{
    uint64_t share = took_us > w->took_us ? SLOWER_COUNTS : FASTER_COUNTS;
    w->took_us = w->took_us == 0 ? took_us : w->took_us - w->took_us / share + took_us / share;
    w->pause_us = 0;
    w->put_us = now_us;
}

void intake_window_refused(struct intake_window *w, uint64_t now_us)
{
    uint64_t pause_us = w->pause_us == 0 ? INTAKE_PAUSE_MIN_US : w->pause_us * 2;
    w->pause_us = pause_us < INTAKE_PAUSE_MAX_US ? pause_us : INTAKE_PAUSE_MAX_US;
    w->put_us = now_us;
}

uint64_t intake_window_us(const struct intake_window *w)
{
    uint64_t share_us = w->took_us / WINDOW_SHARE;
    share_us = share_us < INTAKE_WINDOW_MAX_US ? share_us : INTAKE_WINDOW_MAX_US;
    return w->base_us == 0 || w->base_us > share_us ? w->base_us : share_us;
}

uint64_t intake_window_due_us(const struct intake_window *w, uint64_t first_us, bool full)
{
    if (w->pause_us > 0)
        return w->put_us + w->pause_us;
    uint64_t window_us = intake_window_us(w);
    uint64_t quiet_us = first_us > w->put_us ? first_us - w->put_us : 0;
    if (full || !w->crowd || quiet_us > CROWD_WINDOWS * window_us)
        return first_us;
    /* Those whom the last put answered come again right after it. */
    return (quiet_us > 0 ? first_us : w->put_us) + window_us;
}

uint64_t intake_window_retry_s(const struct intake_window *w)
{
    /* The put under way, and the one that takes what waits now. */
    uint64_t round_us = w->took_us + intake_window_us(w) + w->pause_us;
    uint64_t seconds = 1 + 2 * round_us / 1000000;
    return seconds < INTAKE_RETRY_MAX_S ? seconds : INTAKE_RETRY_MAX_S;
}
