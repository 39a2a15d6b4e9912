#include "pipeline/derive/cache/result_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/base/hex.h"

#define FOLDER_LEN 3u /* "HH/" */
#define IDS_LEN    (FOLDER_LEN + ID16_HEX_LEN + 1 + HASH_HEX_LEN)

void result_name_write(const struct result_name *name, char out[RESULT_NAME_MAX])
{
    struct hash_hex hash = hash_hex(&name->hash);
    struct id16_hex project = id16_hex(&name->project);
    (void)snprintf(out, RESULT_NAME_MAX,
                   "%.2s/%s-%s-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx32 "-%s%s", hash.s,
                   project.s, hash.s, name->serial, name->size, name->cost_us, name->frequency,
                   name->many ? "many" : "one", name->pinned ? ".pin" : "");
}

/* The number behind the next '-'. */
static uint64_t number(const char **at)
{
    char *end;
    uint64_t n = strtoull(**at == '-' ? *at + 1 : *at, &end, 16);
    *at = end;
    return n;
}

int result_name_parse(const char *name, struct result_name *out)
{
    struct result_name parsed = {0};
    if (strlen(name) <= IDS_LEN ||
        id16_parse(bytes_of(name + FOLDER_LEN, ID16_HEX_LEN), &parsed.project) != OK ||
        hash_parse(bytes_of(name + FOLDER_LEN + ID16_HEX_LEN + 1, HASH_HEX_LEN),
                   &parsed.hash) != OK)
        return ERR_INVALID;
    const char *at = name + IDS_LEN;
    parsed.serial = number(&at);
    parsed.size = number(&at);
    parsed.cost_us = number(&at);
    parsed.frequency = (uint32_t)number(&at);
    parsed.many = strncmp(at, "-many", 5) == 0;
    parsed.pinned = strstr(at, ".pin") != NULL;
    /* Whatever else there is, or is missing, shows when it is spelled again. */
    char again[RESULT_NAME_MAX];
    result_name_write(&parsed, again);
    if (strcmp(again, name) != 0)
        return ERR_INVALID;
    *out = parsed;
    return OK;
}
