#include "pipeline/derive/run/derive_problem.h"

#include "formats/base/err.h"
#include "formats/base/hex.h"

const char *derive_fault_name(enum derive_fault fault)
{
    switch (fault) {
    case DERIVE_FAULT_NONE:
        return "none";
    case DERIVE_FAULT_NOT_FOUND:
        return "not_found";
    case DERIVE_FAULT_INPUT_MISSING:
        return "input_missing";
    case DERIVE_FAULT_REF_MISSING:
        return "ref_missing";
    case DERIVE_FAULT_REF_CYCLE:
        return "ref_cycle";
    case DERIVE_FAULT_UNKNOWN_FUNCTION:
        return "unknown_function";
    case DERIVE_FAULT_PARAMETER_INVALID:
        return "parameter_invalid";
    case DERIVE_FAULT_INPUT_INVALID:
        return "input_invalid";
    case DERIVE_FAULT_QUARANTINED:
        return "quarantined";
    case DERIVE_FAULT_RESULT_TOO_LARGE:
        return "result_too_large";
    case DERIVE_FAULT_GRAPH_TOO_LARGE:
        return "graph_too_large";
    case DERIVE_FAULT_NOT_KNOWN:
        return "not_known";
    case DERIVE_FAULT_CANCELLED:
        return "cancelled";
    case DERIVE_FAULT_STORE:
        return "store";
    }
    return "none";
}

void derive_problem_text(const struct derive_problem *p, struct buf *out)
{
    const struct hash_hex address = hash_hex(&p->address);
    const char *at = address.s;
    switch (p->fault) {
    case DERIVE_FAULT_NONE:
        break;
    case DERIVE_FAULT_NOT_FOUND:
        buf_printf(out, "%s is not a leaf, a recipe or a tree of this project", at);
        break;
    case DERIVE_FAULT_INPUT_MISSING:
        buf_printf(out, "recipe %s takes %s as an input, which is not there", at,
                   hash_hex(&p->other).s);
        break;
    case DERIVE_FAULT_REF_MISSING:
        buf_printf(out, "recipe %s takes the ref %s as an input, which is not there", at,
                   p->message);
        break;
    case DERIVE_FAULT_REF_CYCLE:
        buf_printf(out, "recipe %s is computed from itself, through refs", at);
        break;
    case DERIVE_FAULT_UNKNOWN_FUNCTION:
        buf_printf(out, "recipe %s names the function %s %s, which is not known here", at,
                   p->name, p->version);
        break;
    case DERIVE_FAULT_PARAMETER_INVALID:
        if (p->parameter[0] != '\0')
            buf_printf(out, "recipe %s, parameter %s: %s", at, p->parameter, p->message);
        else
            buf_printf(out, "recipe %s: %s", at, p->message);
        break;
    case DERIVE_FAULT_INPUT_INVALID:
        buf_printf(out, "recipe %s: %s refused its input: %s", at, p->name, p->message);
        break;
    case DERIVE_FAULT_QUARANTINED:
        buf_printf(out, "recipe %s: %s %s gave two results for the same inputs, %s and %s", at,
                   p->name, p->version, hash_hex(&p->first).s, hash_hex(&p->second).s);
        break;
    case DERIVE_FAULT_RESULT_TOO_LARGE:
        buf_printf(out,
                   "recipe %s: the result of %s, or what it must hold at once, is too long", at,
                   p->name);
        break;
    case DERIVE_FAULT_GRAPH_TOO_LARGE:
        buf_printf(out, "%s is over more recipes than one get may have", at);
        break;
    case DERIVE_FAULT_NOT_KNOWN:
        buf_printf(out, "what %s comes to is not known", at);
        break;
    case DERIVE_FAULT_CANCELLED:
        buf_printf(out, "the get of %s was cancelled", at);
        break;
    case DERIVE_FAULT_STORE:
        buf_printf(out, "%s could not be read or kept: %s", at, err_name(p->err));
        break;
    }
}
