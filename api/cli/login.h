/* Which forge, and who asks: config.json in the user's folder, and what the environment
 * says. */
#ifndef API_CLI_LOGIN_H
#define API_CLI_LOGIN_H

#include "api/cli/cli.h"

struct login {
    const char *url;    /* or NULL */
    const char *author; /* or NULL */
};

/* Texts live as long as the arena. 0, or an exit status after having said why. */
int login_find(struct cli *, struct login *out) MUST_USE;
int login_save(struct cli *, const struct login *) MUST_USE;

#endif
