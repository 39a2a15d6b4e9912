/* A recipe: how a result is computed. Function, inputs and parameters in one canonical
 * encoding, whose SHA-512/256 behind a prefix of its own is the recipe's address. The same
 * recipe has the same address on every machine, in whatever order its parameters came.
 *
 *   size field
 *      1 1: version of this encoding
 *    1+n function name        1+n function version
 *      4 count of inputs, in the order in which the function takes them, each
 *              1 kind
 *                1 address: 32
 *                2 ref: 2+n name of the ref, 2+n path below it ("" is all of it)
 *      4 count of parameters, by bytes of name, no two alike, each
 *              1+n name   4+n value
 *
 * An address is the SHA-256 of bytes (a leaf), a recipe's, or the content hash of a directory.
 * Three hash functions make them, so none can pose as another, and an input need not say which
 * of these it is.
 *
 * These bytes carry no magic and no checksum: their address is one. They travel in objects that
 * have both. */
#ifndef FORMATS_RECIPE_H
#define FORMATS_RECIPE_H

#include "formats/base/arena.h"
#include "formats/base/buf.h"
#include "formats/base/err.h"
#include "formats/base/types.h"

enum recipe_input_kind {
    RECIPE_ADDRESS = 1,
    RECIPE_REF = 2,
};

struct recipe_input {
    enum recipe_input_kind kind;
    struct hash address; /* ADDRESS */
    struct bytes ref;    /* REF: its name, a path as path_check takes it */
    struct bytes path;   /* REF: what of a tree is meant; "" is all */
};

struct parameter {
    struct bytes name;  /* 1 to FUNCTION_NAME_MAX of a-z 0-9 . _ - */
    struct bytes value; /* UTF-8 */
};

struct recipe {
    struct bytes function;
    struct bytes version;
    struct recipe_input *inputs;
    uint32_t n_inputs;
    struct parameter *parameters; /* sorted by name, no two alike */
    uint32_t n_parameters;
};

/* Names of functions and parameters: 1 to FUNCTION_NAME_MAX of a-z 0-9 . _ -, versions of
 * these and A-Z and +. */
bool function_name_ok(struct bytes);
bool function_version_ok(struct bytes);

/* Sorts the parameters, and says what is wrong with a recipe from outside: 0; ERR_LIMIT for too
 * many or too long; ERR_INVALID else. `why` (may be NULL) gets a sentence's end, "has two
 * parameters of one name"; it is a constant string. */
int recipe_settle(struct recipe *, const char **why) MUST_USE;

/* Appends the canonical bytes of a recipe that recipe_settle took. */
void recipe_encode(const struct recipe *, struct buf *out);
/* Takes canonical bytes only: whatever decodes encodes to the same. Byte runs point into the
 * input. */
int recipe_decode(struct bytes in, struct arena *, struct recipe *out) MUST_USE;

/* The address of canonical bytes. */
struct hash recipe_address(struct bytes canonical);

#endif
