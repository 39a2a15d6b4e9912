/* The functions of executor_rig. */
#ifndef TESTS_SUPPORT_RIG_FUNCTIONS_H
#define TESTS_SUPPORT_RIG_FUNCTIONS_H

#include "pipeline/derive/function.h"

/* These, else those of the product. */
const struct function *rig_function_find(struct bytes name, struct bytes version);

#endif
