/* mic-api: the HTTP front. Takes session writes and landing requests into the queue; lands
 * nothing itself. */
#include "jobs/shared/process_front.h"

int main(int argc, char **argv)
{
    const struct settings_program program = {
        .name = "mic-api",
        .about = "The HTTP front of a bucket. Something else must drain the queue: mic-land.",
        .positional = "dir",
        .positional_shown = "DIR",
    };
    struct process process;
    struct front front = {0};
    int code = process_begin(&process, &program, argc, argv);
    return code >= 0 ? code : front_run(&front, &process);
}
