#include "pipeline/derive/functions/fn_line.h"

#define TEXT_PROBE 8000u

void fn_line_init(struct fn_line_reader *reader, struct fn_bytes *in)
{
    *reader = (struct fn_line_reader){.in = in};
}

void fn_line_release(struct fn_line_reader *reader)
{
    buf_release(&reader->carry);
}

static int too_long(struct fn_line_reader *reader)
{
    reader->too_long = true;
    return ERR_LIMIT;
}

/* Keeps what may be the beginning of a longer line. */
static int carry_add(struct fn_line_reader *reader, struct bytes part)
{
    if (part.len > FUNCTION_LINE_MAX - reader->carry.len)
        return too_long(reader);
    buf_append_bytes(&reader->carry, part);
    return OK;
}

int fn_line_next(struct fn_line_reader *reader, struct bytes *out, bool *end_of_input)
{
    *end_of_input = false;
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
            return len > FUNCTION_LINE_MAX ? too_long(reader) : OK;
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
    *end_of_input = out->len == 0;
    return OK;
}

int fn_is_text(struct fn_bytes *in, bool *out)
{
    uint64_t end = in->size < TEXT_PROBE ? in->size : TEXT_PROBE;
    bool text = true;
    for (uint64_t at = 0; at < end && text;) {
        struct bytes view;
        int err = in->view(in, at, &view);
        if (err != OK)
            return err;
        size_t len = view.len < end - at ? view.len : (size_t)(end - at);
        text = memchr(view.data, 0, len) == NULL;
        at += len;
    }
    *out = text;
    return OK;
}

int fn_line_put(struct fn_out *out, struct bytes line)
{
    int err = fn_put(out, line);
    return err != OK ? err : fn_put(out, bytes_str("\n"));
}
