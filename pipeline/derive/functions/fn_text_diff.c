/* What differs between two texts, by libgit2. */
#include <git2.h>
#include <pthread.h>

#include "pipeline/derive/functions/builtin.h"

#define CONTEXT_DEFAULT 3u
#define CONTEXT_MAX     1000000u
#define LABEL_MAX       4096u

static pthread_once_t git_once = PTHREAD_ONCE_INIT;

static void git_start(void)
{
    (void)git_libgit2_init();
}

/* A name in the header, which is one line. */
static int label_of(const struct fn_run *run, const char *name, struct bytes *out)
{
    (void)!fn_parameter(run, name, out);
    if (out->len == 0 || out->len > LABEL_MAX || memchr(out->data, '\n', out->len) != NULL)
        return fn_refuse(run, name, "not a line of 1 to %u bytes", LABEL_MAX);
    return OK;
}

struct text_options {
    uint64_t context;
    struct bytes labels[2];
};

static int options_of(const struct fn_run *run, struct text_options *out)
{
    out->labels[0] = bytes_str("a");
    out->labels[1] = bytes_str("b");
    int err = fn_parameter_u64(run, "context", CONTEXT_DEFAULT, &out->context);
    if (err == OK && out->context > CONTEXT_MAX)
        err = fn_refuse(run, "context", "over %u", CONTEXT_MAX);
    if (err == OK)
        err = label_of(run, "label-a", &out->labels[0]);
    if (err == OK)
        err = label_of(run, "label-b", &out->labels[1]);
    return err;
}

static int text_diff_check(const struct fn_run *run)
{
    struct text_options options;
    return options_of(run, &options);
}

struct text_work {
    struct fn_run *run;
    const struct text_options *options;
    bool begun;
    int err; /* why the output failed */
};

/* The library's own header speaks of files and modes. */
static int header_put(struct text_work *work)
{
    static const char *const marks[2] = {"--- ", "+++ "};
    int err = OK;
    for (unsigned side = 0; side < 2 && err == OK; side++) {
        err = fn_put(work->run->out, bytes_str(marks[side]));
        if (err == OK)
            err = fn_put(work->run->out, work->options->labels[side]);
        if (err == OK)
            err = fn_put(work->run->out, bytes_str("\n"));
    }
    return err;
}

static int on_hunk(const git_diff_delta *delta UNUSED, const git_diff_hunk *hunk, void *arg)
{
    struct text_work *work = arg;
    if (!work->begun)
        work->err = header_put(work);
    work->begun = true;
    if (work->err == OK)
        work->err = fn_put(work->run->out, bytes_of(hunk->header, hunk->header_len));
    return work->err;
}

static int on_line(const git_diff_delta *delta UNUSED, const git_diff_hunk *hunk UNUSED,
                   const git_diff_line *line, void *arg)
{
    struct text_work *work = arg;
    bool marked = line->origin == GIT_DIFF_LINE_CONTEXT ||
                  line->origin == GIT_DIFF_LINE_ADDITION ||
                  line->origin == GIT_DIFF_LINE_DELETION;
    if (marked)
        work->err = fn_put(work->run->out, bytes_of(&line->origin, 1));
    if (work->err == OK)
        work->err = fn_put(work->run->out, bytes_of(line->content, line->content_len));
    return work->err;
}

static int texts_compare(struct text_work *work, struct bytes a, struct bytes b)
{
    (void)pthread_once(&git_once, git_start);
    git_diff_options options;
    (void)git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.flags |= GIT_DIFF_FORCE_TEXT;
    options.context_lines = (uint32_t)work->options->context;
    int code = git_diff_buffers(a.len == 0 ? "" : (const void *)a.data, a.len, "x",
                                b.len == 0 ? "" : (const void *)b.data, b.len, "x", &options,
                                NULL, NULL, on_hunk, on_line, work);
    if (code == 0 || work->err != OK)
        return work->err;
    const git_error *why = git_error_last();
    return fn_refuse(work->run, NULL, "the texts cannot be compared: %s",
                     why != NULL ? why->message : "the library gives no reason");
}

/* With the last one, that need not have an end. */
static uint64_t lines_of(struct bytes text)
{
    uint64_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static int text_diff_run(struct fn_run *run)
{
    struct text_options options;
    struct text_work work = {.run = run, .options = &options};
    AUTO_BUF a = {0};
    AUTO_BUF b = {0};
    int err = options_of(run, &options);
    if (err == OK)
        err = fn_whole(run, 0, &a);
    if (err == OK)
        err = fn_whole(run, 1, &b);
    /* The library keeps some eighty bytes for each. */
    if (err == OK && lines_of(buf_bytes(&a)) + lines_of(buf_bytes(&b)) > FUNCTION_LINES_MAX)
        err = ERR_LIMIT;
    return err != OK ? err : texts_compare(&work, buf_bytes(&a), buf_bytes(&b));
}

static void library(struct buf *out)
{
    int major;
    int minor;
    int revision;
    (void)git_libgit2_version(&major, &minor, &revision);
    buf_printf(out, "libgit2 %d.%d.%d", major, minor, revision);
}

static const struct fn_parameter text_diff_parameters[] = {
    {"context", false}, {"label-a", false}, {"label-b", false}};

const struct function fn_text_diff = {
    .name = "text.diff",
    .version = "1.0.0",
    .revision = "1",
    .about = "The unified diff from the first text to the second, with `context` lines around "
             "each change, by default 3; nothing when they are equal. `label-a` and `label-b` "
             "are the names in its header, by default a and b.",
    .library = library,
    .inputs_least = 2,
    .inputs_most = 2,
    .parameters = text_diff_parameters,
    .n_parameters = ARRAY_LEN(text_diff_parameters),
    .check = text_diff_check,
    .run = text_diff_run,
};
