#include "tests/sim/flight.h"

#include <stdlib.h>

#include "formats/base/hash.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim_world.h"

#define TIMEOUT_MIN_US 200000u
#define TIMEOUT_MAX_US 4000000u

static void count_trouble(const struct flight *f)
{
    bool put = f->op.verb == STORE_PUT;
    switch (f->trouble) {
    case TROUBLE_NONE:
    case TROUBLES:
        return;
    case TROUBLE_AGAIN:
        count(f->op.verb == STORE_GET ? COUNT_AGAIN_GET
              : put                   ? COUNT_AGAIN_PUT
                                      : COUNT_AGAIN_DELETE);
        return;
    case TROUBLE_DONE:
        count(put ? COUNT_DONE_PUT : COUNT_DONE_DELETE);
        return;
    case TROUBLE_LOST:
        count(put ? COUNT_LOST_PUT : COUNT_LOST_DELETE);
        return;
    case TROUBLE_LATE:
        count(put ? COUNT_LATE_PUT : COUNT_LATE_DELETE);
        return;
    case TROUBLE_TWICE:
        if (put)
            count(COUNT_TWICE_PUT);
        return;
    }
}

static void flight_free(struct flight *f)
{
    buf_release(&f->data);
    buf_release(&f->body);
    free(f);
}

static void unlink_from_line(struct flight *f)
{
    if (f->prev != NULL)
        f->prev->next = f->next;
    else
        f->line->flights = f->next;
    if (f->next != NULL)
        f->next->prev = f->prev;
    f->line = NULL;
}

static bool is_head_put(const struct store_op *op)
{
    return op->verb == STORE_PUT && op->condition == PUT_IF_MATCH &&
           key_kind(op->key, NULL) == KEY_HEAD;
}

/* The request has reached the store. */
static void arrive(void *arg)
{
    struct flight *f = arg;
    f->due--;
    if (!f->dropped) {
        bool again = f->happened;
        int before = f->op.err;
        struct store_op op = f->op;
        op.etag = f->condition;
        buf_clear(&f->body);
        int err = far_end_effect(f->end, &op);
        f->op = op;
        f->happened = true;
        if (is_head_put(&op)) {
            if (err == ERR_CONFLICT && again && before == OK)
                count(COUNT_TWICE_HEAD);
            else if (err == ERR_CONFLICT)
                count(COUNT_HEAD_CONFLICT);
            else if (err == OK && f->trouble == TROUBLE_LATE)
                count(COUNT_LATE_HEAD);
        }
        if (f->shared && f->trouble != TROUBLE_LATE)
            count(COUNT_CRASH_ON_WAY);
    }
    if (f->op.verb != STORE_GET)
        far_end_count(f->end, -1);
    if (f->shared && f->due == 0)
        flight_free(f);
}

static void arrive_at(struct flight *f, uint64_t at_us)
{
    f->due++;
    if (f->op.verb != STORE_GET)
        far_end_count(f->end, 1);
    world_at(at_us, arrive, f);
}

static struct flight *flight_new(struct far_line *line, const struct store_op *op)
{
    struct flight *f = calloc(1, sizeof(*f));
    if (f == NULL)
        abort();
    size_t key_len = strlen(op->key) + 1;
    f->end = line->end;
    f->op = *op;
    f->condition = op->etag;
    buf_append(&f->data, op->key, key_len);
    buf_append_bytes(&f->data, op->data);
    f->op.key = (const char *)f->data.data;
    f->op.data = bytes_of(f->data.data + key_len, op->data.len);
    f->op.body = op->body == NULL ? NULL : &f->body;
    f->line = line;
    f->next = line->flights;
    if (f->next != NULL)
        f->next->prev = f;
    line->flights = f;
    return f;
}

struct flight *flight_begin(struct far_line *line, const struct store_op *op,
                            enum trouble trouble)
{
    struct flight *f = flight_new(line, op);
    uint64_t now = world_now_us();
    uint64_t there = far_end_latency(f->end);
    uint64_t back = far_end_latency(f->end);
    f->trouble = trouble;
    if (op->verb == STORE_GET && trouble != TROUBLE_NONE)
        f->trouble = TROUBLE_AGAIN;
    count_trouble(f);
    uint64_t timeout = world_between(TIMEOUT_MIN_US, TIMEOUT_MAX_US);
    switch (f->trouble) {
    case TROUBLE_NONE:
    case TROUBLES:
        arrive_at(f, now + there);
        f->reply_us = now + there + back;
        break;
    case TROUBLE_AGAIN:
        f->reply_us = now + there + back;
        break;
    case TROUBLE_DONE:
        arrive_at(f, now + there);
        f->reply_us = now + there + timeout;
        break;
    case TROUBLE_LOST:
        f->reply_us = now + timeout;
        break;
    case TROUBLE_LATE:
        f->reply_us = now + timeout;
        /* Just behind what the caller does next, or minutes behind. */
        arrive_at(f, f->reply_us + (world_chance(6000) ? world_between(1, 200000)
                                                       : world_between(1, 90000000)));
        break;
    case TROUBLE_TWICE:
        arrive_at(f, now + there);
        arrive_at(f, now + there + back);
        f->reply_us = now + there + 2 * back;
        break;
    }
    return f;
}

static int told(const struct flight *f)
{
    switch (f->trouble) {
    case TROUBLE_NONE:
    case TROUBLE_TWICE:
    case TROUBLES:
        return f->op.err;
    case TROUBLE_AGAIN:
        return ERR_AGAIN;
    case TROUBLE_DONE:
    case TROUBLE_LOST:
    case TROUBLE_LATE:
        return ERR_UNKNOWN;
    }
    return ERR_UNKNOWN;
}

int flight_end(struct flight *f, struct store_op *out)
{
    out->err = told(f);
    if (out->err == OK) {
        out->etag = f->op.etag;
        out->size = f->op.size;
        if (out->body != NULL)
            buf_append_bytes(out->body, buf_bytes(&f->body));
    }
    unlink_from_line(f);
    f->shared = true;
    if (f->due == 0)
        flight_free(f);
    return out->err;
}

void flight_abandon(struct flight *f)
{
    unlink_from_line(f);
    f->shared = true;
    f->dropped = f->op.verb == STORE_GET || world_chance(5000);
    if (f->due == 0)
        flight_free(f);
}
