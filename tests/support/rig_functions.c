#include "tests/support/rig_functions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "pipeline/derive/functions/builtin.h"
#include "pipeline/sys/clock.h"
#include "tests/support/executor_rig.h"

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_rings = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static unsigned gate_waits;
static atomic_uint fails;
static atomic_uint chances;
static atomic_bool slips;
static atomic_uint at_once;
static atomic_uint most_at_once;
static atomic_uint taken_apart;
static char notes[64];
static size_t n_notes;

static int input_put(const struct fn_run *run)
{
    struct fn_bytes *in = run->inputs[0];
    for (uint64_t at = 0; at < in->size;) {
        struct bytes view;
        int err = in->view(in, at, &view);
        if (err == OK)
            err = fn_put(run->out, view);
        if (err != OK)
            return err;
        at += view.len;
    }
    return OK;
}

/* Notes that the run began, by its parameter n. */
static void note(const struct fn_run *run)
{
    char letter = 0;
    for (uint32_t i = 0; i < run->n_parameters; i++) {
        const struct parameter *p = &run->parameters[i];
        if (bytes_equal(p->name, bytes_str("n")) && p->value.len > 0)
            letter = (char)p->value.data[0];
    }
    (void)pthread_mutex_lock(&gate_lock);
    if (letter != 0 && n_notes + 1 < sizeof(notes))
        notes[n_notes++] = letter;
    (void)pthread_mutex_unlock(&gate_lock);
}

static int note_run(struct fn_run *run)
{
    note(run);
    return input_put(run);
}

static int wait_run(struct fn_run *run)
{
    uint64_t ms;
    int err = fn_parameter_u64(run, "ms", 0, &ms);
    if (err != OK)
        return err;
    note(run);
    unsigned now = atomic_fetch_add(&at_once, 1) + 1;
    unsigned most = atomic_load(&most_at_once);
    while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
        ;
    struct clock *clock = clock_system();
    clock->sleep_us(clock, ms * 1000);
    atomic_fetch_sub(&at_once, 1);
    return input_put(run);
}

static int swell_run(struct fn_run *run)
{
    uint64_t ms;
    int err = fn_parameter_u64(run, "ms", 0, &ms);
    for (uint64_t n = 0; n < RIG_SWOLLEN && err == OK; n += run->inputs[0]->size)
        err = input_put(run);
    struct clock *clock = clock_system();
    clock->sleep_us(clock, ms * 1000);
    return err;
}

static int gate_run(struct fn_run *run)
{
    (void)pthread_mutex_lock(&gate_lock);
    gate_waits++;
    (void)pthread_cond_broadcast(&gate_rings);
    while (!gate_open)
        (void)pthread_cond_wait(&gate_rings, &gate_lock);
    gate_waits--;
    (void)pthread_mutex_unlock(&gate_lock);
    return input_put(run);
}

static int number_put(const struct fn_run *run)
{
    char text[16];
    int len = snprintf(text, sizeof(text), " %u", atomic_fetch_add(&chances, 1));
    return fn_put(run->out, bytes_of(text, (size_t)len));
}

static int chance_run(struct fn_run *run)
{
    int err = input_put(run);
    return err != OK ? err : number_put(run);
}

static int slip_run(struct fn_run *run)
{
    int err = input_put(run);
    return err != OK || !atomic_load(&slips) ? err : number_put(run);
}

static int fail_run(struct fn_run *run)
{
    atomic_fetch_add(&fails, 1);
    return fn_refuse(run, NULL, "it always does");
}

static int forever_run(struct fn_run *run)
{
    for (;;) {
        int err = input_put(run);
        if (err != OK)
            return err;
    }
}

static int pieces_size(const struct fn_run *run, uint64_t *out)
{
    return fn_identity.size(run, out);
}

static int pieces_pieces(const struct fn_run *run, uint64_t from, uint64_t end,
                         fn_piece_take *take, void *arg)
{
    atomic_fetch_add(&taken_apart, 1);
    return fn_identity.pieces(run, from, end, take, arg);
}

static const struct fn_parameter wait_parameters[] = {{"ms", false}, {"n", false}};

#define TEST_FUNCTION(word)                                                            \
    {                                                                                  \
        .name = "test." #word, .version = "1.0.0", .revision = "1", .inputs_least = 1, \
        .inputs_most = RECIPE_INPUTS_MAX, .parameters = wait_parameters,               \
        .n_parameters = ARRAY_LEN(wait_parameters), .run = word##_run                  \
    }

static const struct function functions[] = {
    TEST_FUNCTION(wait),
    TEST_FUNCTION(gate),
    TEST_FUNCTION(chance),
    TEST_FUNCTION(slip),
    TEST_FUNCTION(fail),
    TEST_FUNCTION(forever),
    TEST_FUNCTION(note),
    TEST_FUNCTION(swell),
    {.name = "test.pieces",
     .version = "1.0.0",
     .revision = "1",
     .inputs_least = 1,
     .inputs_most = 1,
     .run = note_run,
     .size = pieces_size,
     .pieces = pieces_pieces},
};

const struct function *rig_function_find(struct bytes name, struct bytes version)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (bytes_equal(name, bytes_str(functions[i].name)) &&
            bytes_equal(version, bytes_str(functions[i].version)))
            return &functions[i];
    }
    return function_find(name, version);
}

void rig_gate(bool open)
{
    (void)pthread_mutex_lock(&gate_lock);
    gate_open = open;
    (void)pthread_cond_broadcast(&gate_rings);
    (void)pthread_mutex_unlock(&gate_lock);
}

void rig_gate_wait(unsigned runs)
{
    (void)pthread_mutex_lock(&gate_lock);
    while (gate_waits < runs)
        (void)pthread_cond_wait(&gate_rings, &gate_lock);
    (void)pthread_mutex_unlock(&gate_lock);
}

void rig_slip(bool slip)
{
    atomic_store(&slips, slip);
}

unsigned rig_fails(void)
{
    return atomic_load(&fails);
}

unsigned rig_most_at_once(void)
{
    return atomic_exchange(&most_at_once, 0);
}

unsigned rig_taken_apart(void)
{
    return atomic_exchange(&taken_apart, 0);
}

const char *rig_notes(void)
{
    static char out[sizeof(notes)];
    (void)pthread_mutex_lock(&gate_lock);
    memcpy(out, notes, n_notes);
    out[n_notes] = '\0';
    n_notes = 0;
    (void)pthread_mutex_unlock(&gate_lock);
    return out;
}
