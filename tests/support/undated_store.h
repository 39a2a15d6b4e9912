/* A layer that hides what time the store says it is: for tests whose clock is their own. */
#ifndef TESTS_SUPPORT_UNDATED_STORE_H
#define TESTS_SUPPORT_UNDATED_STORE_H

#include "pipeline/store/store.h"

/* Owns `below`. */
struct store *undated_store_open(struct store *below) MUST_USE;

#endif
