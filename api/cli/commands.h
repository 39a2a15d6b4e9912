/* The table of commands. */
#ifndef API_CLI_COMMANDS_H
#define API_CLI_COMMANDS_H

#include "api/cli/cli.h"

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_n;

#endif
