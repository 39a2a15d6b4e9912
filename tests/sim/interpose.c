/* What the code under test would wait for, write or take in reality. The linker puts these in
 * place of the functions of their names (--wrap), in the simulator's programs only.
 *
 * A lock that is taken is held by a task that has given way: who wants it gives way, too. An
 * error in the log is for an operator to look at, and in a world without damage there is
 * nothing to look at. What a process remembers is small here: a world starts hundreds of
 * processes, and clearing their memory would be most of its work. */
#include <pthread.h>

#include "formats/base/buf.h"
#include "pipeline/repo/known.h"
#include "pipeline/sys/log.h"
#include "tests/sim/counts.h"
#include "tests/sim/sim_world.h"

int __real_pthread_mutex_lock(pthread_mutex_t *);
int __wrap_pthread_mutex_lock(pthread_mutex_t *);
void __wrap_log_write(enum log_level, const char *event, const struct log_field *, unsigned n);
struct known *__real_known_open(size_t facts_max);
struct known *__wrap_known_open(size_t facts_max);

struct known *__wrap_known_open(size_t facts_max)
{
    return __real_known_open(facts_max / 64);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (task_now() == NULL)
        return __real_pthread_mutex_lock(mutex);
    int err = pthread_mutex_trylock(mutex);
    if (err != 0)
        count(COUNT_LOCK_TAKEN);
    for (; err != 0; err = pthread_mutex_trylock(mutex))
        task_pause(100);
    return err;
}

void __wrap_log_write(enum log_level level, const char *event, const struct log_field *fields,
                      unsigned n)
{
    if (!trace_wanted())
        return;
    AUTO_BUF line = {0};
    buf_printf(&line, "    log: %s", event);
    for (unsigned i = 0; i < n; i++) {
        if (fields[i].kind == LOG_KIND_STR)
            buf_printf(&line, " %s=%s", fields[i].key, fields[i].str);
        else
            buf_printf(&line, " %s=%lu", fields[i].key, (unsigned long)fields[i].u64);
    }
    trace("%.*s%s", (int)line.len, (const char *)line.data, level == LOG_ERROR ? " !" : "");
}
