/* Functions that go over their input byte by byte. */
#include <stdio.h>

#include "pipeline/derive/functions/builtin.h"

/* Takes the input run by run, in any order that `view` is asked in, and writes as many bytes
 * as it reads. */
static int map(struct fn_run *run, void (*change)(uint8_t *to, const uint8_t *from, size_t n))
{
    struct fn_bytes *in = run->inputs[0];
    struct fn_out *out = run->out;
    for (uint64_t at = 0; at < in->size;) {
        struct bytes view;
        int err = in->view(in, at, &view);
        at += err == OK ? view.len : 0;
        while (err == OK && view.len > 0) {
            size_t n = view.len < out->space ? view.len : out->space;
            change(out->at, view.data, n);
            out->at += n;
            out->space -= n;
            view = bytes_of(view.data + n, view.len - n);
            if (view.len > 0)
                err = out->flush(out);
        }
        if (err != OK)
            return err;
    }
    return OK;
}

static void raise(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(from[i] - (from[i] - 'a' <= 'z' - 'a' && from[i] >= 'a' ? 32 : 0));
}

static void lower(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(from[i] + (from[i] - 'A' <= 'Z' - 'A' && from[i] >= 'A' ? 32 : 0));
}

static int uppercase_run(struct fn_run *run)
{
    return map(run, raise);
}

static int lowercase_run(struct fn_run *run)
{
    return map(run, lower);
}

const struct function fn_uppercase = {
    .name = "uppercase",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its input with A to Z for a to z; every other byte, of UTF-8 too, stays.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = uppercase_run,
};

const struct function fn_lowercase = {
    .name = "lowercase",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its input with a to z for A to Z; every other byte, of UTF-8 too, stays.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = lowercase_run,
};

/* ---- reverse ---- */

/* Views go forward from where they are asked, so the input is taken in blocks from its end. */
#define REVERSE_BLOCK 65536u

static int block_reverse(struct fn_run *run, uint64_t from, uint64_t end, uint8_t *block)
{
    struct fn_bytes *in = run->inputs[0];
    size_t len = (size_t)(end - from);
    for (size_t done = 0; done < len;) {
        struct bytes view;
        int err = in->view(in, from + done, &view);
        if (err != OK)
            return err;
        size_t n = view.len < len - done ? view.len : len - done;
        for (size_t i = 0; i < n; i++)
            block[len - 1 - done - i] = view.data[i];
        done += n;
    }
    return fn_put(run->out, bytes_of(block, len));
}

static int reverse_run(struct fn_run *run)
{
    AUTO(arena_release) struct arena arena = {0};
    uint8_t *block = arena_alloc(&arena, REVERSE_BLOCK);
    int err = OK;
    for (uint64_t end = run->inputs[0]->size; end > 0 && err == OK;) {
        uint64_t from = end > REVERSE_BLOCK ? end - REVERSE_BLOCK : 0;
        err = block_reverse(run, from, end, block);
        end = from;
    }
    return err;
}

const struct function fn_reverse = {
    .name = "reverse",
    .version = "1.0.0",
    .revision = "1",
    .about = "The bytes of its input from the last to the first.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = reverse_run,
};

/* ---- length ---- */

static int length_run(struct fn_run *run)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)run->inputs[0]->size);
    return fn_put(run->out, bytes_str(text));
}

const struct function fn_length = {
    .name = "length",
    .version = "1.0.0",
    .revision = "1",
    .about = "The count of its input's bytes, in decimal.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = length_run,
};
