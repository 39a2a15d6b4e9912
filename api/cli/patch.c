#include "api/cli/patch.h"

#include "api/cli/merge.h"

static unsigned git_mode(const struct patch_side *side)
{
    if (side->kind == KIND_LINK)
        return 0120000;
    return side->mode == MODE_EXEC ? 0100755 : 0100644;
}

/* In quotes where git would put it in quotes. */
static void name_write(const char *prefix, struct bytes path, struct buf *out)
{
    bool plain = memchr(path.data, '"', path.len) == NULL &&
                 memchr(path.data, '\\', path.len) == NULL &&
                 memchr(path.data, 0x7f, path.len) == NULL;
    if (plain) {
        buf_append_bytes(out, bytes_str(prefix));
        buf_append_bytes(out, path);
        return;
    }
    buf_printf(out, "\"%s", prefix);
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.data[i];
        if (c == 0x7f)
            buf_printf(out, "\\%03o", (unsigned)c);
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else
            buf_append(out, &c, 1);
    }
    buf_append(out, "\"", 1);
}

static void side_write(const char *prefix, const struct patch_side *side, struct buf *out)
{
    if (side->kind == KIND_NONE)
        buf_append_bytes(out, bytes_str("/dev/null"));
    else
        name_write(prefix, side->path, out);
}

static void header_write(const struct patch_side *a, const struct patch_side *b,
                         struct buf *out)
{
    buf_append_bytes(out, bytes_str("diff --git "));
    name_write("a/", a->kind == KIND_NONE ? b->path : a->path, out);
    buf_append(out, " ", 1);
    name_write("b/", b->kind == KIND_NONE ? a->path : b->path, out);
    buf_append(out, "\n", 1);
    if (a->kind == KIND_NONE) {
        buf_printf(out, "new file mode %06o\n", git_mode(b));
        return;
    }
    if (b->kind == KIND_NONE) {
        buf_printf(out, "deleted file mode %06o\n", git_mode(a));
        return;
    }
    if (git_mode(a) != git_mode(b))
        buf_printf(out, "old mode %06o\nnew mode %06o\n", git_mode(a), git_mode(b));
    if (!bytes_equal(a->path, b->path)) {
        buf_append_bytes(out, bytes_str("similarity index 100%\nrename from "));
        name_write("", a->path, out);
        buf_append_bytes(out, bytes_str("\nrename to "));
        name_write("", b->path, out);
        buf_append(out, "\n", 1);
    }
}

/* A name with a space ends in a tab, or patch would take it for a name and a date. */
static void file_line(const char *mark, const char *prefix, const struct patch_side *side,
                      struct buf *out)
{
    buf_append_bytes(out, bytes_str(mark));
    side_write(prefix, side, out);
    bool spaced = side->kind != KIND_NONE && memchr(side->path.data, ' ', side->path.len);
    buf_append_bytes(out, bytes_str(spaced ? "\t\n" : "\n"));
}

static void differ_write(const char *kind, const struct patch_side *a,
                         const struct patch_side *b, const char *more, struct buf *out)
{
    buf_append_bytes(out, bytes_str(kind));
    side_write("a/", a, out);
    buf_append_bytes(out, bytes_str(" and "));
    side_write("b/", b, out);
    buf_printf(out, " differ%s\n", more);
}

static int one_write(const struct patch_side *a, const struct patch_side *b, bool same,
                     struct buf *out)
{
    header_write(a, b, out);
    if (same)
        return OK;
    if (a->too_large || b->too_large) {
        differ_write("Files ", a, b, ": too large to show", out);
        return OK;
    }
    if (bytes_equal(a->text, b->text))
        return OK;
    if (!is_text(a->text) || !is_text(b->text)) {
        differ_write("Binary files ", a, b, "", out);
        return OK;
    }
    file_line("--- ", "a/", a, out);
    file_line("+++ ", "b/", b, out);
    return text_hunks(a->text, b->text, out);
}

int patch_write(const struct patch_side *a, const struct patch_side *b, bool same,
                struct buf *out)
{
    if (a->kind == KIND_NONE || b->kind == KIND_NONE || a->kind == b->kind)
        return one_write(a, b, same, out);
    /* A file in place of a link, or the other way round: the one goes, and the other comes. */
    static const struct patch_side none;
    int err = one_write(a, &none, false, out);
    return err == OK ? one_write(&none, b, false, out) : err;
}
