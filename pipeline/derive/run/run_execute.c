/* One execution of a function: its inputs are opened when it looks at them, what it writes is
 * counted and bounded, and it ends early when nobody waits for it any more. */
#include <string.h>

#include "formats/base/limits.h"
#include "pipeline/derive/run/executor_inside.h"
#include "pipeline/derive/run/watched_tree.h"

struct view {
    struct fn_bytes bytes;
    struct work *work;
    const struct run_input *input;
    struct result_reader *reader;
    struct derive_input *opened;
    struct watched_tree *tree; /* NULL: it is bytes */
};

struct work {
    struct fn_out out; /* what the function sees */
    struct executor *ex;
    struct run *run;
    struct result_writer *writer;
    bool counted; /* what is written is in flight */
    uint64_t written;
    struct view *views;
    struct view *open[FUNCTION_VIEWS_MAX]; /* a ring */
    size_t n_open;
    struct fn_run fn;
    struct fn_problem why;
    /* What did not come from the function. */
    int err;
    struct hash err_address;
    bool stopped;
    bool too_large;
};

/* ---- inputs ---- */

static void view_shut(struct view *view)
{
    result_close(view->reader);
    view->reader = NULL;
    if (view->opened != NULL)
        view->opened->close(view->opened);
    view->opened = NULL;
}

static int input_failed(struct work *work, const struct run_input *input, int err)
{
    if (input->result && (err == ERR_NOT_FOUND || err == ERR_CORRUPT)) {
        work->run->gone = true;
        work->run->gone_input = input->content.hash;
    }
    work->err = err;
    work->err_address = input->content.hash;
    return err;
}

static int view_open(struct view *view)
{
    struct work *work = view->work;
    struct view **place = &work->open[work->n_open++ % FUNCTION_VIEWS_MAX];
    if (*place != NULL)
        view_shut(*place);
    *place = view;
    if (view->input->result)
        return hold_reader(view->input->hold, &work->run->project, &view->reader);
    return source_open_leaf(work->run->source, &view->input->content.hash, view->bytes.size,
                            &view->opened);
}

static int work_stopped(struct work *work)
{
    work->stopped = true;
    work->err = ERR_AGAIN;
    return ERR_AGAIN;
}

static int view_view(struct fn_bytes *bytes, uint64_t offset, struct bytes *out)
{
    struct view *view = (struct view *)bytes;
    struct work *work = view->work;
    if (run_unwanted(work->ex, work->run))
        return work_stopped(work);
    int err = OK;
    if (view->reader == NULL && view->opened == NULL)
        err = view_open(view);
    if (err == OK) {
        struct fn_bytes *from =
            view->reader != NULL ? result_bytes(view->reader) : view->opened->bytes;
        err = from->view(from, offset, out);
    }
    return err == OK ? OK : input_failed(work, view->input, err);
}

static int tree_before(void *arg)
{
    struct work *work = ((struct view *)arg)->work;
    return run_unwanted(work->ex, work->run) ? work_stopped(work) : OK;
}

static int tree_failed(void *arg, int err)
{
    struct view *view = arg;
    return input_failed(view->work, view->input, err);
}

/* Trees are open during the whole run: there are few of them. */
static int trees_open(struct work *work)
{
    struct run *run = work->run;
    struct derive_source *source = run->source->source;
    for (uint32_t i = 0; i < run->n_inputs; i++) {
        if (run->inputs[i].content.kind != MEMO_TREE)
            continue;
        struct view *view = &work->views[i];
        int err = source->open(source, &run->inputs[i].content.hash, &view->opened);
        if (err == OK && view->opened->tree == NULL)
            err = ERR_CORRUPT;
        if (err != OK)
            return input_failed(work, &run->inputs[i], err);
        work->fn.inputs[i] = NULL;
        view->tree = must_alloc(1, sizeof(*view->tree));
        watched_tree_init(view->tree, view->opened->tree, tree_before, tree_failed, view);
        work->fn.trees[i] = &view->tree->tree;
    }
    return OK;
}

static int inputs_open(struct work *work)
{
    struct run *run = work->run;
    uint32_t n = run->n_inputs;
    bool trees = false;
    work->views = must_alloc(n, sizeof(struct view));
    work->fn.inputs = must_alloc(n, sizeof(struct fn_bytes *));
    for (uint32_t i = 0; i < n; i++) {
        struct view *view = &work->views[i];
        view->bytes.size = run->inputs[i].size;
        view->bytes.view = view_view;
        view->work = work;
        view->input = &run->inputs[i];
        work->fn.inputs[i] = &view->bytes;
        trees |= run->inputs[i].content.kind == MEMO_TREE;
    }
    if (!trees)
        return OK;
    work->fn.trees = must_alloc(n, sizeof(struct fn_tree *));
    return trees_open(work);
}

static void inputs_close(struct work *work)
{
    for (uint32_t i = 0; i < work->run->n_inputs && work->views != NULL; i++) {
        free(work->views[i].tree);
        view_shut(&work->views[i]);
    }
    free(work->views);
    free(work->fn.inputs);
    free(work->fn.trees);
}

/* ---- output ---- */

static int work_count(struct work *work)
{
    uint64_t written = result_written(work->writer);
    uint64_t more = written - work->written;
    work->written = written;
    if (written > work->ex->options.result_max) {
        work->too_large = true;
        return ERR_LIMIT;
    }
    if (!work->counted || more == 0)
        return OK;
    return run_room(work->ex, work->run, more) == OK ? OK : work_stopped(work);
}

static int work_flush(struct fn_out *out)
{
    struct work *work = (struct work *)out;
    struct fn_out *to = result_out(work->writer);
    to->at = out->at;
    to->space = out->space;
    if (run_unwanted(work->ex, work->run))
        return work_stopped(work);
    int err = work_count(work);
    if (err != OK)
        return err;
    err = to->flush(to);
    if (err != OK) {
        work->too_large = err == ERR_LIMIT;
        work->err = err;
        work->err_address = work->run->address;
        return err;
    }
    out->at = to->at;
    out->space = to->space;
    return OK;
}

static int output_finish(struct work *work, uint64_t cost_us, struct result *out,
                         struct result_reader **reader)
{
    struct fn_out *to = result_out(work->writer);
    to->at = work->out.at;
    to->space = work->out.space;
    int err = work_count(work);
    if (err != OK)
        return err;
    err = result_finish(work->writer, cost_us, out, reader);
    if (err != OK) {
        work->too_large = err == ERR_LIMIT;
        work->err = err;
        work->err_address = work->run->address;
    }
    return err;
}

/* ---- what went wrong ---- */

static void problem_of(struct work *work, int err)
{
    struct run *run = work->run;
    if (work->stopped)
        COUNT(work->ex, stopped);
    if (work->stopped || run->gone)
        return;
    COUNT(work->ex, failed);
    struct derive_problem *p = &run->problem;
    *p = (struct derive_problem){.err = err, .address = run->address};
    memcpy(p->name, run->recipe.function.data, run->recipe.function.len);
    memcpy(p->version, run->recipe.version.data, run->recipe.version.len);
    if (work->too_large) {
        p->fault = DERIVE_FAULT_RESULT_TOO_LARGE;
    } else if (work->err == ERR_NOT_FOUND) {
        p->fault = DERIVE_FAULT_INPUT_MISSING;
        p->other = work->err_address;
    } else if (work->err != OK) {
        p->fault = DERIVE_FAULT_STORE;
        p->err = work->err;
    } else if (err == ERR_LIMIT && work->why.message[0] == '\0') {
        p->fault = DERIVE_FAULT_RESULT_TOO_LARGE;
    } else {
        p->fault = DERIVE_FAULT_INPUT_INVALID;
        memcpy(p->parameter, work->why.parameter, sizeof(work->why.parameter));
        memcpy(p->message, work->why.message, sizeof(work->why.message));
    }
}

/* ---- an execution ---- */

static void latency_count(struct function_facts *facts, uint64_t us)
{
    size_t at = 0;
    while (at < ARRAY_LEN(executor_latency_us) && us > executor_latency_us[at])
        at++;
    (void)atomic_fetch_add_explicit(&facts->latencies[at], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&facts->sum_us, us, memory_order_relaxed);
}

/* `reader` NULL: the bytes are hashed only. */
static int execute(struct executor *ex, struct run *run, struct result *out, uint64_t *cost_us,
                   struct result_reader **reader)
{
    struct work work = {.ex = ex, .run = run, .counted = reader != NULL};
    struct clock *clock = ex->options.clock;
    work.fn.n_inputs = run->n_inputs;
    work.fn.parameters = run->recipe.parameters;
    work.fn.n_parameters = run->recipe.n_parameters;
    work.fn.out = &work.out;
    work.fn.problem = &work.why;
    int err = inputs_open(&work);
    if (err == OK) {
        err = result_begin(ex->options.cache, reader != NULL ? &run->project : NULL,
                           &work.writer);
        work.err = err;
        work.err_address = run->address;
    }
    if (err == OK) {
        work.out = *result_out(work.writer);
        work.out.flush = work_flush;
        COUNT(ex, runs);
        uint64_t began = clock->mono_us(clock);
        err = function_run(run->function->function, &work.fn);
        *cost_us = clock->mono_us(clock) - began;
        latency_count(run->function, *cost_us);
        /* A function may not hide that its bytes could not be read or kept. */
        if (err == OK)
            err = work.err;
        if (err == OK)
            err = output_finish(&work, *cost_us, out, reader);
    }
    if (err != OK)
        problem_of(&work, err);
    result_writer_close(work.writer);
    inputs_close(&work);
    return err;
}

static bool verify_decide(struct executor *ex, struct run *run)
{
    executor_lock(ex);
    bool wanted = run->verify;
    run->verify_over = true;
    executor_unlock(ex);
    return wanted;
}

/* Runs it again. False when it gave something else, or failed, which is the run's problem. */
static bool verified(struct executor *ex, struct run *run, const struct result *first)
{
    struct result second;
    uint64_t cost_us;
    if (execute(ex, run, &second, &cost_us, NULL) != OK)
        return false;
    COUNT(ex, verified);
    run->verified = true;
    if (hash_equal(&second.hash, &first->hash) && second.size == first->size) {
        COUNT(ex, verify_passed);
        return true;
    }
    COUNT(ex, verify_failed);
    executor_quarantine(ex, run, &first->hash, &second.hash, &run->problem);
    return false;
}

void run_execute(struct executor *ex, struct run *run)
{
    struct result result;
    struct result_reader *reader = NULL;
    if (run_unwanted(ex, run)) {
        COUNT(ex, stopped);
        return;
    }
    if (execute(ex, run, &result, &run->cost_us, &reader) != OK)
        return;
    function_facts_measured(run->function, run->cost_us);
    if (!hash_is_zero(&run->expected) && !hash_equal(&run->expected, &result.hash)) {
        executor_quarantine(ex, run, &run->expected, &result.hash, &run->problem);
    } else if (!verify_decide(ex, run) || verified(ex, run, &result)) {
        if (hash_is_zero(&run->expected))
            run_tell_chunks(ex, run, reader);
        run->hold = hold_new(ex, &run->project, reader, run->surely);
        return;
    }
    result_close(reader);
}
