/* Why a get has no result: one kind of fault, and what it is about. */
#ifndef PIPELINE_DERIVE_RUN_DERIVE_PROBLEM_H
#define PIPELINE_DERIVE_RUN_DERIVE_PROBLEM_H

#include "formats/base/buf.h"
#include "formats/base/limits.h"
#include "pipeline/derive/function.h"

enum derive_fault {
    DERIVE_FAULT_NONE = 0,
    DERIVE_FAULT_NOT_FOUND,         /* the address that was asked for is not there */
    DERIVE_FAULT_INPUT_MISSING,     /* `address` is a recipe, its input `other` is not there */
    DERIVE_FAULT_REF_MISSING,       /* `address` is a recipe, the ref `name` is not bound */
    DERIVE_FAULT_REF_CYCLE,         /* `address` is computed from itself, through refs */
    DERIVE_FAULT_UNKNOWN_FUNCTION,  /* `name` and `version` */
    DERIVE_FAULT_PARAMETER_INVALID, /* `parameter` may be empty: the count of inputs */
    DERIVE_FAULT_INPUT_INVALID,     /* the function refused its inputs */
    DERIVE_FAULT_QUARANTINED,       /* `first` and `second` are what the function gave */
    DERIVE_FAULT_RESULT_TOO_LARGE,
    DERIVE_FAULT_GRAPH_TOO_LARGE, /* over GET_NODES_MAX recipes, or GET_GRAPH_MAX bytes of them
                                   */
    DERIVE_FAULT_NOT_KNOWN,       /* GET_KNOWN: it would have to be computed */
    DERIVE_FAULT_CANCELLED,
    DERIVE_FAULT_STORE, /* `err` says what */
};

struct derive_problem {
    enum derive_fault fault;
    int err; /* what the fault is among the errors of this house; not OK */
    struct hash
        address;       /* the recipe (or leaf) that it is about, not always the one asked for */
    struct hash other; /* INPUT_MISSING */
    struct hash first; /* QUARANTINED */
    struct hash second;
    char name[FUNCTION_NAME_MAX + 1]; /* of the function */
    char version[FUNCTION_NAME_MAX + 1];
    char parameter[FUNCTION_NAME_MAX + 1];
    char message[512]; /* of the function, or the ref's name and path */
};

/* The stable word: "input_missing". */
const char *derive_fault_name(enum derive_fault);
/* The whole sentence, with the address in hex. */
void derive_problem_text(const struct derive_problem *, struct buf *out);

#endif
