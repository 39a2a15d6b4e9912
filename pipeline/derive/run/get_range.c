#include "pipeline/derive/run/get_range.h"

#define TAKE_ENOUGH 1 /* what a taker of pieces gives when it has seen enough: no error */

/* Whether a range of its result is ranges of its inputs. */
static bool in_pieces(const struct node *node)
{
    if (node->function == NULL || node->function->function->pieces == NULL)
        return false;
    /* Its bytes are compared with its address as a whole; the root's are, too, but later. */
    if (node->by_content && node != node->get->root)
        return false;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        if (node->inputs[i]->is == DERIVE_IS_TREE)
            return false;
    }
    return true;
}

/* The recipe over inputs of which only the sizes are known: all of these are. */
static const struct fn_run *sizes_of(struct get *get, struct node *node)
{
    if (node->sizes != NULL)
        return node->sizes;
    uint32_t n = node->recipe.n_inputs;
    struct fn_run *run = arena_new(&get->arena, struct fn_run);
    struct fn_bytes *inputs = arena_array(&get->arena, n, struct fn_bytes);
    *run = (struct fn_run){.inputs = arena_array(&get->arena, n, struct fn_bytes *),
                           .n_inputs = n,
                           .parameters = node->recipe.parameters,
                           .n_parameters = node->recipe.n_parameters,
                           .problem = arena_new(&get->arena, struct fn_problem)};
    for (uint32_t i = 0; i < n; i++) {
        inputs[i].size = node->inputs[i]->size;
        run->inputs[i] = &inputs[i];
    }
    node->sizes = run;
    return run;
}

/* ---- sizes ---- */

static void size_make(struct get *get, struct node *node)
{
    const struct function *fn = node->function->function;
    int err = fn->size(sizes_of(get, node), &node->size);
    if (err == OK) {
        step_push(get, node, STEP_SIZED);
        return;
    }
    struct derive_problem problem = {
        .fault = DERIVE_FAULT_RESULT_TOO_LARGE, .err = err, .address = node->address};
    (void)snprintf(problem.name, sizeof(problem.name), "%s", fn->name);
    (void)snprintf(problem.version, sizeof(problem.version), "%s", fn->version);
    get_fail(get, &problem);
}

void get_range_size(struct get *get, struct node *node)
{
    if (node->size_wanted)
        return;
    node->size_wanted = true;
    if (node->known) {
        step_push(get, node, STEP_SIZED);
        return;
    }
    if (!in_pieces(node)) {
        node->size_out = true;
        get->outstanding++;
        step_push(get, node, STEP_WANT);
        return;
    }
    node->size_waits = 0;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        struct node *input = node->inputs[i];
        node->size_waits += !input->sized;
        if (!input->size_wanted)
            step_push(get, input, STEP_SIZE);
    }
    if (node->size_waits == 0)
        size_make(get, node);
}

void get_range_sized(struct get *get, struct node *node)
{
    if (node->sized)
        return;
    node->sized = true;
    for (const struct edge *e = node->parents; e != NULL; e = e->next) {
        struct node *parent = e->node;
        if (parent->size_waits > 0 && --parent->size_waits == 0 && !parent->sized)
            size_make(get, parent);
    }
}

void get_range_arrived(struct get *get, struct node *node)
{
    if (node->size_out && node->known) {
        node->size_out = false;
        get->outstanding--;
        step_push(get, node, STEP_SIZED);
    }
    if (node->bytes_out && node->hold != NULL) {
        node->bytes_out = false;
        get->outstanding--;
    }
}

/* ---- what is needed of whom ---- */

struct part {
    struct node *node;
    uint64_t from;
    uint64_t end;
};

struct walk {
    struct get *get;
    struct part *parts; /* a stack */
    size_t n;
    size_t cap;
    const struct node *above; /* whose pieces are taken */
};

static void walk_push(struct walk *walk, struct node *node, uint64_t from, uint64_t end)
{
    if (walk->n == walk->cap) {
        size_t cap = walk->cap == 0 ? 64 : 2 * walk->cap;
        struct part *parts = must_alloc(cap, sizeof(*parts));
        if (walk->n > 0)
            memcpy(parts, walk->parts, walk->n * sizeof(*parts));
        free(walk->parts);
        walk->parts = parts;
        walk->cap = cap;
    }
    walk->parts[walk->n++] = (struct part){.node = node, .from = from, .end = end};
}

/* Notes that a part of a node is needed; false when it was noted before. Of many parts the last
 * ones are noted as one, with what lies between them. */
static bool part_new(struct node *node, uint64_t *from, uint64_t *end)
{
    for (uint8_t i = 0; i < node->n_parts; i++) {
        if (node->parts[i].from <= *from && *end <= node->parts[i].end)
            return false;
        if (node->parts[i].from <= *end && *from <= node->parts[i].end) {
            *from = *from < node->parts[i].from ? *from : node->parts[i].from;
            *end = *end > node->parts[i].end ? *end : node->parts[i].end;
            node->parts[i].from = *from;
            node->parts[i].end = *end;
            return true;
        }
    }
    uint8_t at = node->n_parts;
    if (at == ARRAY_LEN(node->parts)) {
        at--;
        *from = *from < node->parts[at].from ? *from : node->parts[at].from;
        *end = *end > node->parts[at].end ? *end : node->parts[at].end;
    } else {
        node->n_parts++;
    }
    node->parts[at].from = *from;
    node->parts[at].end = *end;
    return true;
}

static int piece_need(void *arg, const struct fn_piece *piece)
{
    struct walk *walk = arg;
    struct node *input = walk->above->inputs[piece->input];
    uint64_t from = piece->offset;
    uint64_t end = piece->offset + piece->len;
    if (part_new(input, &from, &end))
        walk_push(walk, input, from, end);
    else if (walk->above->recipe.n_inputs == 1 && input->parts[0].from == 0 &&
             input->parts[0].end == input->size)
        return TAKE_ENOUGH;
    return OK;
}

/* Whether a node can be taken apart now; sizes that are missing are asked for. */
static bool pieces_ready(struct get *get, struct node *node)
{
    if (!node->expanded && get_expand(get, node) != OK)
        return false;
    if (!in_pieces(node))
        return false;
    for (uint32_t i = 0; i < node->recipe.n_inputs; i++) {
        if (!node->inputs[i]->sized) {
            get->walked = false;
            if (!node->inputs[i]->size_wanted)
                step_push(get, node->inputs[i], STEP_SIZE);
        }
    }
    return get->walked;
}

static void part_take(struct walk *walk, const struct part *part)
{
    struct get *get = walk->get;
    struct node *node = part->node;
    if (node->is != DERIVE_IS_RECIPE || node->hold != NULL)
        return;
    node->surely = true;
    if (node->known && node_open(get, node)) {
        node->users++;
        return;
    }
    bool ready = pieces_ready(get, node);
    if (get->failed || !get->walked)
        return;
    if (ready) {
        walk->above = node;
        int err = node->function->function->pieces(sizes_of(get, node), part->from, part->end,
                                                   piece_need, walk);
        if (err < 0)
            get_fail_err(get, &node->address, err);
        return;
    }
    if (!node->bytes_out) {
        node->users++;
        node->bytes_out = true;
        get->outstanding++;
        if (node_bytes(get, node))
            get_range_arrived(get, node);
    }
}

static void walk_down(struct get *get)
{
    for (size_t i = 0; i < get->n_nodes; i++)
        get->nodes[i]->n_parts = 0;
    get->walked = true;
    struct walk walk = {.get = get};
    walk_push(&walk, get->root, get->from, get->end);
    while (walk.n > 0 && !get->failed && get->walked) {
        struct part part = walk.parts[--walk.n];
        part_take(&walk, &part);
    }
    free(walk.parts);
}

void get_range_begin(struct get *get)
{
    step_push(get, get->root, STEP_SIZE);
}

bool get_range_complete(struct get *get)
{
    if (get->outstanding > 0 || get->n_steps > 0 || !get->root->sized)
        return false;
    if (get->options.want == GET_SIZE)
        return true;
    uint64_t size = get->root->is == DERIVE_IS_TREE ? 0 : get->root->size;
    uint64_t end = get->checks ? UINT64_MAX : get->options.end;
    uint64_t from = get->checks ? 0 : get->options.from;
    get->end = end < size ? end : size;
    get->from = from < get->end ? from : get->end;
    if (!get->walked && get->from < get->end)
        walk_down(get);
    return get->outstanding == 0 && get->n_steps == 0;
}

/* ---- reading ---- */

static int piece_first(void *arg, const struct fn_piece *piece)
{
    *(struct fn_piece *)arg = *piece;
    return TAKE_ENOUGH;
}

static void node_unread(struct node *node)
{
    if (node->input != NULL)
        node->input->close(node->input);
    node->input = NULL;
    result_close(node->reader);
    node->reader = NULL;
}

/* Opens it in the place of what was opened longest ago. */
static int node_reader(struct get *get, struct node *node, struct fn_bytes **out)
{
    if (node->input == NULL && node->reader == NULL) {
        struct node **place = &get->reading[get->n_reading++ % ARRAY_LEN(get->reading)];
        if (*place != NULL)
            node_unread(*place);
        *place = node;
    }
    if (node->is == DERIVE_IS_RECIPE) {
        int err = OK;
        if (node->reader == NULL)
            err = hold_reader(node->hold, &get->project, &node->reader);
        if (err == OK)
            *out = result_bytes(node->reader);
        return err;
    }
    if (node->input == NULL) {
        int err = source_open_leaf(get->source, &node->address, node->size, &node->input);
        if (err != OK)
            return err;
    }
    *out = node->input->bytes;
    return OK;
}

int get_range_view(struct get *get, uint64_t offset, struct bytes *out)
{
    struct node *node = get->root;
    uint64_t len = get->end - offset;
    while (node->is == DERIVE_IS_RECIPE && node->hold == NULL) {
        struct fn_piece piece = {0};
        int err = node->function->function->pieces(sizes_of(get, node), offset, offset + len,
                                                   piece_first, &piece);
        if (err < 0)
            return err;
        node = node->inputs[piece.input];
        offset = piece.offset;
        len = piece.len < len ? piece.len : len;
    }
    struct fn_bytes *bytes;
    struct bytes view;
    int err = node_reader(get, node, &bytes);
    if (err == OK)
        err = bytes->view(bytes, offset, &view);
    if (err != OK)
        return err;
    *out = bytes_of(view.data, view.len < len ? view.len : (size_t)len);
    return OK;
}

void get_range_close(struct get *get)
{
    for (size_t i = 0; i < ARRAY_LEN(get->reading); i++) {
        if (get->reading[i] != NULL)
            node_unread(get->reading[i]);
        get->reading[i] = NULL;
    }
}
