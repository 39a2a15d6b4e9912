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

int text_hunks(struct bytes a, struct bytes b, struct buf *out)
{
    (void)pthread_once(&git_once, git_start);
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.flags |= GIT_DIFF_FORCE_TEXT;
    git_patch *patch = NULL;
    git_buf text = {0};
    int err =
        git_patch_from_buffers(&patch, a.len == 0 ? "" : (const void *)a.data, a.len, "x",
                               b.len == 0 ? "" : (const void *)b.data, b.len, "x", &options);
    if (err == 0)
        err = git_patch_to_buf(&text, patch);
    if (err == 0) {
        /* The library's own header knows nothing of modes and of files that are not there. */
        const char *body = text.size == 0 ? NULL : memmem(text.ptr, text.size, "\n@@ ", 4);
        if (body != NULL)
            buf_append(out, body + 1, text.size - (size_t)(body + 1 - text.ptr));
    }
    git_buf_dispose(&text);
    git_patch_free(patch);
    return err == 0 ? OK : ERR_INVALID;
}

/* ---- which lines are the same ------------------------------------------------------------ */

struct matching {
    size_t *from;
    size_t n;
    size_t a; /* the next lines to be told of */
    size_t b;
};

/* The lines up to `b` are those of the other side from `matching->a` on. */
static void same_until(struct matching *matching, size_t b)
{
    while (matching->b < b && matching->b < matching->n)
        matching->from[matching->b++] = matching->a++;
}

static int on_hunk(const git_diff_delta *delta UNUSED, const git_diff_hunk *hunk, void *arg)
{
    struct matching *matching = arg;
    /* A side without lines in the hunk is named by the line before it. */
    size_t b = (size_t)hunk->new_start - (hunk->new_lines == 0 ? 0 : 1);
    same_until(matching, b);
    for (int i = 0; i < hunk->new_lines && matching->b < matching->n; i++)
        matching->from[matching->b++] = LINE_NEW;
    matching->a += (size_t)hunk->old_lines;
    return 0;
}

size_t text_lines(struct bytes text)
{
    size_t n = 0;
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.len;
    while (text.len > 0 && at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline == NULL ? end : newline + 1;
        n++;
    }
    return n;
}

int text_match(struct bytes a, struct bytes b, struct arena *arena, struct line_map *out)
{
    (void)pthread_once(&git_once, git_start);
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.flags |= GIT_DIFF_FORCE_TEXT;
    options.context_lines = 0;
    options.interhunk_lines = 0;
    size_t n = text_lines(b);
    struct matching matching = {.from = arena_array(arena, n, size_t), .n = n};
    int err = git_diff_buffers(a.len == 0 ? "" : (const void *)a.data, a.len, "x",
                               b.len == 0 ? "" : (const void *)b.data, b.len, "x", &options,
                               NULL, NULL, on_hunk, NULL, &matching);
    if (err != 0)
        return ERR_INVALID;
    same_until(&matching, n);
    *out = (struct line_map){.from = matching.from, .n = n};
    return OK;
}
