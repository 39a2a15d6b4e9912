/* The YAML file of settings: one mapping of names to plain values, and nothing else of YAML's
 * riches. */
#ifndef CONFIG_CONFIG_YAML_H
#define CONFIG_CONFIG_YAML_H

#include "config/settings.h"

#define CONFIG_FILE_MAX (1u * 1024 * 1024)

/* Sets what the file gives. ERR_INVALID with `file:line: key: reason` for YAML that does not
 * parse, nesting, lists, aliases, tags, unknown and repeated keys, wrong types, and a file that
 * cannot be read or is too large. */
int config_yaml_read(struct settings *, const char *path, struct settings_error *) MUST_USE;

#endif
