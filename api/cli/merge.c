#include "api/cli/merge.h"

#include <git2.h>
#include <pthread.h>

#define TEXT_PROBE 8000u

static pthread_once_t git_once = PTHREAD_ONCE_INIT;

static void git_start(void)
{
    git_libgit2_init();
}

bool is_text(struct bytes data)
{
    size_t n = data.len < TEXT_PROBE ? data.len : TEXT_PROBE;
    return data.len <= MERGE_MAX && (n == 0 || memchr(data.data, 0, n) == NULL);
}

static git_merge_file_input input_of(struct bytes text)
{
    git_merge_file_input input;
    git_merge_file_input_init(&input, GIT_MERGE_FILE_INPUT_VERSION);
    input.ptr = text.len == 0 ? "" : (const char *)text.data;
    input.size = text.len;
    return input;
}

int merge_text(struct bytes base, struct bytes ours, struct bytes theirs, const char *our_label,
               const char *their_label, struct buf *out, bool *conflicts)
{
    (void)pthread_once(&git_once, git_start);
    git_merge_file_input a = input_of(base);
    git_merge_file_input o = input_of(ours);
    git_merge_file_input t = input_of(theirs);
    git_merge_file_options options;
    git_merge_file_options_init(&options, GIT_MERGE_FILE_OPTIONS_VERSION);
    options.our_label = our_label;
    options.their_label = their_label;
    git_merge_file_result result = {0};
    if (git_merge_file(&result, &a, &o, &t, &options) != 0)
        return ERR_INVALID;
    buf_append(out, result.ptr, result.len);
    *conflicts = !result.automergeable;
    git_merge_file_result_free(&result);
    return OK;
}

static void header(const char *path, const struct diff_side *a, const struct diff_side *b,
                   struct buf *out)
{
    buf_printf(out, "diff --git a/%s b/%s\n", path, path);
    if (!a->there)
        buf_printf(out, "new file mode %06o\n", b->mode);
    else if (!b->there)
        buf_printf(out, "deleted file mode %06o\n", a->mode);
    else if (a->mode != b->mode)
        buf_printf(out, "old mode %06o\nnew mode %06o\n", a->mode, b->mode);
}

int diff_text(const char *path, const struct diff_side *a, const struct diff_side *b,
              struct buf *out)
{
    (void)pthread_once(&git_once, git_start);
    header(path, a, b, out);
    if (bytes_equal(a->text, b->text))
        return OK;
    if (!is_text(a->text) || !is_text(b->text)) {
        buf_printf(out, "Binary files a/%s and b/%s differ\n", path, path);
        return OK;
    }
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    git_patch *patch = NULL;
    git_buf text = {0};
    int err = git_patch_from_buffers(&patch, a->there ? (const void *)a->text.data : NULL,
                                     a->text.len, path, b->there ? b->text.data : NULL,
                                     b->text.len, path, &options);
    if (err == 0)
        err = git_patch_to_buf(&text, patch);
    if (err == 0) {
        /* The library's own header knows nothing of modes: ours stands in its place. */
        const char *body = strstr(text.ptr, "\n--- ");
        body = body == NULL ? strstr(text.ptr, "--- ") : body + 1;
        if (body != NULL)
            buf_append(out, body, strlen(body));
    }
    git_buf_dispose(&text);
    git_patch_free(patch);
    return err == 0 ? OK : ERR_INVALID;
}
