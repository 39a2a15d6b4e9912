/* mic-api: the HTTP front. Takes session writes and landing requests into the queue; lands
 * nothing itself. */
#include "jobs/shared/process.h"

int main(int argc, char **argv)
{
    const struct settings_program program = {
        .name = "mic-api",
        .about = "The HTTP front of a bucket. Something else must drain the queue: mic-land.",
        .positional = "dir",
        .positional_shown = "DIR",
    };
    struct process process;
    int code = process_open(&process, &program, argc, argv);
    if (code >= 0)
        return code;
    struct front front = {0};
    code = process_service_open(&process, &front, NULL, NULL);
    if (code < 0) {
        code = process_listen(&process, &front);
        if (code < 0)
            process_wait_front(&process, &front);
        process_front_stop(&front);
        process_front_close(&front);
        code = code < 0 ? 0 : code;
    }
    process_close(&process);
    return code;
}
