/* The `mic` command: reads the environment and runs one command line. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/cli/cli.h"

/* What is set to nothing counts as not set. */
static const char *env_get(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int main(int argc, char **argv)
{
    static char config[4096];
    const char *xdg = env_get("XDG_CONFIG_HOME");
    const char *home = env_get("HOME");
    if (xdg != NULL)
        snprintf(config, sizeof(config), "%s/micelio", xdg);
    else if (home != NULL)
        snprintf(config, sizeof(config), "%s/.config/micelio", home);
    char *cwd = getcwd(NULL, 0);
    if (cwd == NULL) {
        perror("mic: the current directory");
        return EXIT_FAILED;
    }
    struct cli_env env = {
        .url = env_get("MIC_URL"),
        .author = env_get("MIC_AUTHOR"),
        .config = config[0] != '\0' ? config : NULL,
        .cwd = cwd,
        .terminal = isatty(STDERR_FILENO) == 1,
        .clock = clock_system(),
        .rng = rng_system(),
    };
    int status = cli_run(&env, argc, argv);
    free(cwd);
    return status;
}
