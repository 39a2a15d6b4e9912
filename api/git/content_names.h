/* What the contents of git objects are called in the forge: a map from an object's id to the
 * SHA-256 and size of its bytes, so that an object is read once however often it is named. It
 * forgets nothing until it is full and takes nothing more then; whoever asks for what it does
 * not have reads the object again. Any thread. */
#ifndef API_GIT_CONTENT_NAMES_H
#define API_GIT_CONTENT_NAMES_H

#include <git2.h>

#include "formats/base/types.h"

struct content_names;

struct content_name {
    struct hash hash;
    uint64_t size;
    bool uploaded; /* as a blob, in this run */
};

struct content_names *content_names_open(size_t max);
void content_names_close(struct content_names *);
bool content_names_find(struct content_names *, const git_oid *, struct content_name *out);
/* Adds it, or notes that it has been uploaded. */
void content_names_put(struct content_names *, const git_oid *, const struct content_name *);

#endif
