/* What the files of config/ share among themselves. */
#ifndef CONFIG_SETTINGS_INTERNAL_H
#define CONFIG_SETTINGS_INTERNAL_H

#include "config/settings.h"

/* Writes the message and gives ERR_INVALID. */
int settings_refuse(struct settings_error *, const char *fmt, ...) MUST_USE
    __attribute__((format(printf, 2, 3)));

/* Puts `place: ` before the message that is there. */
void settings_refuse_at(struct settings_error *, const char *place);

/* A number, size or duration as a file would spell it. */
const char *setting_spell_u64(struct arena *, const struct setting *, uint64_t value);

#endif
