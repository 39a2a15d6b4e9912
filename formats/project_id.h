/* Ids of projects. A project's references are a second tree, which has a head, tree objects, a
 * log and all else that a project has; so to everything that works on projects it is one. Its
 * id is the project's with one bit set that the ids of projects never have: what knows either
 * id knows both. Its objects lie below the project's own, under refs/ (key.h). */
#ifndef FORMATS_PROJECT_ID_H
#define FORMATS_PROJECT_ID_H

#include "formats/base/types.h"

#define PROJECT_ID_REFS_BIT 0x80u /* of the first byte */

/* Whether the id is that of a tree of references. */
static inline bool project_id_is_refs(const struct id16 *id)
{
    return (id->b[0] & PROJECT_ID_REFS_BIT) != 0;
}

/* The id of the project, whichever of the two is given. Also makes an id of drawn bytes. */
static inline struct id16 project_id_plain(const struct id16 *id)
{
    struct id16 plain = *id;
    plain.b[0] &= (uint8_t)~PROJECT_ID_REFS_BIT;
    return plain;
}

/* The id of the tree of the project's references. */
static inline struct id16 project_id_refs(const struct id16 *project)
{
    struct id16 refs = *project;
    refs.b[0] |= PROJECT_ID_REFS_BIT;
    return refs;
}

#endif
