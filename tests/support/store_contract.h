/* What every store must do, as one suite of tests: for each program that makes stores. */
#ifndef TESTS_SUPPORT_STORE_CONTRACT_H
#define TESTS_SUPPORT_STORE_CONTRACT_H

#include "tests/support/store_rig.h"

/* Puts a new, empty store into an empty rig. */
typedef void (*store_maker)(struct rig *);

/* Asks every store of the table; gives what main returns. */
int store_contract_run(const char *noun, const store_maker *given, size_t n) MUST_USE;

#endif
