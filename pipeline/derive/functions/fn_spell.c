/* Bytes spelled as text, and back: hex and base64 as formats/base spells them. Only the
 * spelling that encoding gives decodes, so what decodes encodes to the same. */
#include "formats/base/base64.h"
#include "formats/base/hex.h"
#include "pipeline/derive/functions/builtin.h"

/* The input is taken in blocks of whole groups. A multiple of every group. */
#define BLOCK 12288u

struct spelling {
    size_t group;
    const char *name; /* of what the input is to be, for what is refused */
    /* Appends what a block of whole groups comes to; what the input's end leaves over comes
     * with the last. */
    int (*turn)(struct bytes block, bool last, struct buf *out);
};

static int block_put(struct fn_run *run, const struct spelling *spelling, struct bytes block,
                     bool last, struct buf *scratch)
{
    buf_clear(scratch);
    int err = spelling->turn(block, last, scratch);
    if (err != OK)
        return fn_refuse(run, NULL, "the input is not %s", spelling->name);
    return fn_put(run->out, buf_bytes(scratch));
}

/* Groups that lie across two views are put together in `carry`. */
static int view_take(struct fn_run *run, const struct spelling *spelling, struct bytes view,
                     bool last, struct buf *carry, struct buf *scratch)
{
    int err = OK;
    while (view.len > 0 && err == OK) {
        size_t n = view.len < BLOCK ? view.len : BLOCK;
        if (carry->len > 0) {
            n = spelling->group - carry->len;
            n = n < view.len ? n : view.len;
        } else if (n >= spelling->group) {
            n -= n % spelling->group;
        }
        struct bytes block = bytes_of(view.data, n);
        view = bytes_of(view.data + n, view.len - n);
        bool ends = last && view.len == 0;
        if (carry->len == 0 && n >= spelling->group) {
            err = block_put(run, spelling, block, ends, scratch);
            continue;
        }
        buf_append_bytes(carry, block);
        if (carry->len == spelling->group || ends) {
            err = block_put(run, spelling, buf_bytes(carry), ends, scratch);
            buf_clear(carry);
        }
    }
    return err;
}

static int spell(struct fn_run *run, const struct spelling *spelling)
{
    struct fn_bytes *in = run->inputs[0];
    AUTO_BUF carry = {0};
    AUTO_BUF scratch = {0};
    int err = OK;
    for (uint64_t at = 0; at < in->size && err == OK;) {
        struct bytes view;
        err = in->view(in, at, &view);
        if (err == OK) {
            at += view.len;
            err = view_take(run, spelling, view, at == in->size, &carry, &scratch);
        }
    }
    return err;
}

/* ---- hex ---- */

static int hex_write(struct bytes block, bool last UNUSED, struct buf *out)
{
    char *to = (char *)buf_reserve(out, 2 * block.len + 1);
    hex_encode(to, block.data, block.len);
    out->len += 2 * block.len;
    return OK;
}

static int hex_read(struct bytes block, bool last UNUSED, struct buf *out)
{
    int err = hex_decode(buf_reserve(out, block.len / 2 + 1), block.len / 2, block);
    out->len += block.len / 2;
    return err;
}

static int hex_encode_run(struct fn_run *run)
{
    return spell(run, &(struct spelling){1, "bytes", hex_write});
}

static int hex_decode_run(struct fn_run *run)
{
    return spell(run, &(struct spelling){2, "pairs of lower-case hex digits", hex_read});
}

const struct function fn_hex_encode = {
    .name = "hex.encode",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its input as two lower-case hex digits a byte.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = hex_encode_run,
};

const struct function fn_hex_decode = {
    .name = "hex.decode",
    .version = "1.0.0",
    .revision = "1",
    .about = "The bytes that hex.encode spells so.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = hex_decode_run,
};

/* ---- base64 ---- */

static int base64_write(struct bytes block, bool last UNUSED, struct buf *out)
{
    base64_encode(block, out);
    return OK;
}

static int base64_read(struct bytes block, bool last, struct buf *out)
{
    if (!last && block.len > 0 && block.data[block.len - 1] == '=')
        return ERR_INVALID;
    return base64_decode(block, out);
}

static int base64_encode_run(struct fn_run *run)
{
    return spell(run, &(struct spelling){3, "bytes", base64_write});
}

static int base64_decode_run(struct fn_run *run)
{
    return spell(run, &(struct spelling){4, "base64 with padding", base64_read});
}

const struct function fn_base64_encode = {
    .name = "base64.encode",
    .version = "1.0.0",
    .revision = "1",
    .about = "Its input in base64: RFC 4648, section 4, with padding and without line breaks.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = base64_encode_run,
};

const struct function fn_base64_decode = {
    .name = "base64.decode",
    .version = "1.0.0",
    .revision = "1",
    .about = "The bytes that base64.encode spells so.",
    .inputs_least = 1,
    .inputs_most = 1,
    .run = base64_decode_run,
};
