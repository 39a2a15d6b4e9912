/* How the files of the workspace stand against its base. */
#ifndef API_CLI_LOOK_H
#define API_CLI_LOOK_H

#include "api/cli/cli.h"
#include "api/cli/scan.h"

/* Opens the workspace, reads its index and files. What was read anew is kept for the next time,
 * if nobody else is at work here. 0, or an exit status after having said why. */
int workspace_look(struct cli *, struct index *, struct scan *) MUST_USE;

#endif
