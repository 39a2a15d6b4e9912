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

/* Nodes of which something is needed, from the root down: each is taken apart when all that is
 * over it has been, so that it is done once, however many have parts of it. */
struct walk {
    struct get *get;
    struct node **nodes; /* a heap; what lies least deep comes first */
    size_t n;
    size_t cap;
    const struct node *above; /* whose pieces are taken */
};

static void walk_push(struct walk *walk, struct node *node)
{
    node->walk_waits = true;
    if (walk->n == walk->cap) {
        size_t cap = walk->cap == 0 ? 64 : 2 * walk->cap;
        struct node **nodes = must_alloc(cap, sizeof(struct node *));
        if (walk->n > 0)
            memcpy(nodes, walk->nodes, walk->n * sizeof(struct node *));
        free(walk->nodes);
        walk->nodes = nodes;
        walk->cap = cap;
    }
    size_t at = walk->n++;
    for (; at > 0 && walk->nodes[(at - 1) / 2]->depth > node->depth; at = (at - 1) / 2)
        walk->nodes[at] = walk->nodes[(at - 1) / 2];
    walk->nodes[at] = node;
}

static struct node *walk_pop(struct walk *walk)
{
    struct node *first = walk->nodes[0];
    struct node *last = walk->nodes[--walk->n];
    size_t at = 0;
    for (size_t below = 1; below < walk->n; below = 2 * at + 1) {
        if (below + 1 < walk->n && walk->nodes[below + 1]->depth < walk->nodes[below]->depth)
            below++;
        if (walk->nodes[below]->depth >= last->depth)
            break;
        walk->nodes[at] = walk->nodes[below];
        at = below;
    }
    walk->nodes[at] = last;
    first->walk_waits = false;
    return first;
}

/* Notes that a part of a node is needed; false when it was noted before. Of many parts the last
 * ones are noted as one, with what lies between them. */
static bool part_new(struct node *node, uint64_t from, uint64_t end)
{
    struct node_part *part = node->parts;
    const struct node_part *last = node->parts + node->n_parts;
    for (; part < last; part++) {
        if (part->from <= from && end <= part->end)
            return false;
        if (part->from <= end && from <= part->end)
            break;
    }
    bool more = node->n_parts < ARRAY_LEN(node->parts);
    if (part == last && more) {
        node->parts[node->n_parts++] = (struct node_part){.from = from, .end = end};
        return true;
    }
    if (part == last)
        part--;
    part->from = from < part->from ? from : part->from;
    part->end = end > part->end ? end : part->end;
    return true;
}

static void part_need(struct walk *walk, struct node *node, uint64_t from, uint64_t end)
{
    if (part_new(node, from, end) && !node->walk_waits)
        walk_push(walk, node);
}

static int piece_need(void *arg, const struct fn_piece *piece)
{
    struct walk *walk = arg;
    struct node *input = walk->above->inputs[piece->input];
    part_need(walk, input, piece->offset, piece->offset + piece->len);
    /* Of one input nothing more can be needed than all of it. */
    bool all = walk->above->recipe.n_inputs == 1 && input->parts[0].from == 0 &&
               input->parts[0].end == input->size;
    return all ? TAKE_ENOUGH : OK;
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

static void pieces_take(struct walk *walk, struct node *node)
{
    const struct function *fn = node->function->function;
    int err = OK;
    walk->above = node;
    for (uint8_t i = 0; i < node->n_parts && err >= 0; i++)
        err = fn->pieces(sizes_of(walk->get, node), node->parts[i].from, node->parts[i].end,
                         piece_need, walk);
    if (err < 0)
        get_fail_err(walk->get, &node->address, err);
}

static void node_take(struct walk *walk, struct node *node)
{
    struct get *get = walk->get;
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
        pieces_take(walk, node);
    } else if (!node->bytes_out) {
        node->users++;
        node->bytes_out = true;
        get->outstanding++;
        if (node_bytes(get, node))
            get_range_arrived(get, node);
    }
}

static void walk_down(struct get *get)
{
    for (size_t i = 0; i < get->n_nodes; i++) {
        get->nodes[i]->n_parts = 0;
        get->nodes[i]->walk_waits = false;
    }
    get->walked = true;
    struct walk walk = {.get = get};
    part_need(&walk, get->root, get->from, get->end);
    while (walk.n > 0 && get->walked && !get_cancelled(get) && !get->failed)
        node_take(&walk, walk_pop(&walk));
    free(walk.nodes);
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
    struct derive_input *input = node->input;
    if (input == NULL) {
        int err = source_open_leaf(get->source, &node->address, node->size, &input);
        if (err != OK)
            return err;
        node->input = input;
    }
    *out = input->bytes;
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
