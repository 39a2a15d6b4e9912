#include "tests/sim/derived_things.h"

#include <stdio.h>

#include "formats/base/buf.h"
#include "formats/base/hash.h"
#include "tests/sim/profile.h"

#define LINE "a line of it     \n"

static struct thing things[THINGS];
static struct arena arena; /* never released */

/* Some are uploaded by whoever lands something, too; and some come in chunks. */
static struct bytes leaf_text(unsigned number)
{
    AUTO_BUF text = {0};
    if (number < THINGS_INLINE)
        buf_printf(&text, "Leaf %u\n", number);
    else if (number < THINGS_INLINE + 3)
        buf_printf(&text, "common %u", number - THINGS_INLINE);
    else
        for (size_t len = SIM_CHUNK_SIZE * (number % 2 + 1); text.len < len;)
            buf_printf(&text, "%u: " LINE, number);
    return arena_copy(&arena, buf_bytes(&text));
}

static const char *const functions[] = {"concat", "uppercase", "reverse", "lowercase"};

static struct bytes evaluate(const struct thing *thing, unsigned function)
{
    AUTO_BUF out = {0};
    for (unsigned i = 0; i < thing->n_inputs; i++)
        buf_append_bytes(&out, things[thing->inputs[i]].gives);
    for (size_t i = 0; i < out.len && function == 1; i++)
        out.data[i] =
            (uint8_t)(out.data[i] - (out.data[i] >= 'a' && out.data[i] <= 'z' ? 32 : 0));
    for (size_t i = 0; i < out.len && function == 3; i++)
        out.data[i] =
            (uint8_t)(out.data[i] + (out.data[i] >= 'A' && out.data[i] <= 'Z' ? 32 : 0));
    for (size_t i = 0; i < out.len / 2 && function == 2; i++) {
        uint8_t first = out.data[i];
        out.data[i] = out.data[out.len - 1 - i];
        out.data[out.len - 1 - i] = first;
    }
    return arena_copy(&arena, buf_bytes(&out));
}

/* Over one of what comes just before it, or over two; the first few over leaves of every kind.
 */
static void recipe_make(unsigned number)
{
    struct thing *thing = &things[number];
    unsigned at = number - THINGS_LEAVES;
    unsigned function = number % (unsigned)ARRAY_LEN(functions);
    thing->recipe = true;
    thing->n_inputs = function == 0 ? 2 : 1;
    for (unsigned i = 0; i < thing->n_inputs; i++)
        thing->inputs[i] = i == 0 && function == 0 ? at / 8
                           : at < 10               ? (at * 3 + i * 5) % THINGS_LEAVES
                                                   : number - 2 - (at * 7 + i * 4) % 9;
    struct recipe_input inputs[2];
    for (unsigned i = 0; i < thing->n_inputs; i++)
        inputs[i] = (struct recipe_input){.kind = RECIPE_ADDRESS,
                                          .address = things[thing->inputs[i]].address};
    struct recipe recipe = {.function = bytes_str(functions[function]),
                            .version = bytes_str("1.0.0"),
                            .inputs = inputs,
                            .n_inputs = thing->n_inputs};
    AUTO_BUF canonical = {0};
    recipe_encode(&recipe, &canonical);
    thing->data = arena_copy(&arena, buf_bytes(&canonical));
    thing->address = recipe_address(thing->data);
    thing->gives = evaluate(thing, function);
}

static void all_make(void)
{
    for (unsigned i = 0; i < THINGS_LEAVES; i++) {
        struct bytes text = leaf_text(i);
        things[i] = (struct thing){
            .address = sha256(text), .upload = i >= THINGS_INLINE, .data = text, .gives = text};
    }
    for (unsigned i = THINGS_LEAVES; i < THINGS; i++)
        recipe_make(i);
}

const struct thing *thing_of(unsigned number)
{
    assert(number < THINGS);
    if (things[0].data.len == 0)
        all_make();
    return &things[number];
}

const struct thing *thing_find(const struct hash *address)
{
    for (unsigned i = 0; i < THINGS; i++) {
        if (hash_equal(&thing_of(i)->address, address))
            return &things[i];
    }
    return NULL;
}

struct derive_item thing_item(const struct thing *thing)
{
    return (struct derive_item){.kind = thing->recipe   ? DERIVE_RECIPE
                                        : thing->upload ? DERIVE_UPLOAD
                                                        : DERIVE_LEAF,
                                .address = thing->address,
                                .data = thing->upload ? bytes_of(NULL, 0) : thing->data,
                                .size = thing->data.len};
}

bool thing_is_memo(const struct memo *memo)
{
    return memo->function.len > 4 && memcmp(memo->function.data, "sim.", 4) == 0;
}

struct derive_item thing_memo(unsigned key, unsigned output, uint64_t cost_us)
{
    static char names[MEMO_KEYS][16];
    char text[32];
    (void)snprintf(names[key], sizeof(names[key]), "sim.%u", key);
    (void)snprintf(text, sizeof(text), "output %u of %u", output, key);
    struct memo memo = {.function = bytes_str(names[key]),
                        .version = bytes_str("1"),
                        .implementation = sha256(bytes_str("nobody's")),
                        .cost_us = cost_us,
                        .size = strlen(text),
                        .output = sha256(bytes_str(text)),
                        .chunk_size = SIM_CHUNK_SIZE};
    memo.key = sha256(memo.function);
    return (struct derive_item){.kind = DERIVE_MEMO, .address = memo.key, .memo = memo};
}
