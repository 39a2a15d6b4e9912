#include "pipeline/derive/functions/fn_line.h"

void fn_line_init(struct fn_line_reader *reader, struct fn_bytes *in)
{
    *reader = (struct fn_line_reader){.in = in};
}

void fn_line_release(struct fn_line_reader *reader)
{
    buf_release(&reader->carry);
}

/* Keeps what may be the beginning of a longer line. */
static int carry_add(struct fn_line_reader *reader, struct bytes part)
{
    if (part.len > FUNCTION_LINE_MAX - reader->carry.len)
        return ERR_LIMIT;
    buf_append_bytes(&reader->carry, part);
    return OK;
}

int fn_line_next(struct fn_line_reader *reader, struct bytes *out)
{
    buf_clear(&reader->carry);
    for (;;) {
        if (reader->view.len == 0) {
            if (reader->at == reader->in->size)
                break;
            int err = reader->in->view(reader->in, reader->at, &reader->view);
            if (err != OK)
                return err;
            reader->at += reader->view.len;
        }
        struct bytes view = reader->view;
        const uint8_t *end = memchr(view.data, '\n', view.len);
        size_t len = end != NULL ? (size_t)(end - view.data) : view.len;
        size_t taken = end != NULL ? len + 1 : len;
        reader->view = bytes_of(view.data + taken, view.len - taken);
        struct bytes part = bytes_of(view.data, len);
        if (end != NULL && reader->carry.len == 0) {
            *out = part;
            return len > FUNCTION_LINE_MAX ? ERR_LIMIT : OK;
        }
        int err = carry_add(reader, part);
        if (err != OK)
            return err;
        if (end != NULL) {
            *out = buf_bytes(&reader->carry);
            return OK;
        }
    }
    *out = buf_bytes(&reader->carry);
    return out->len > 0 ? OK : ERR_NOT_FOUND;
}

int fn_line_put(struct fn_out *out, struct bytes line)
{
    int err = fn_put(out, line);
    return err != OK ? err : fn_put(out, bytes_str("\n"));
}
