/* Sources of bytes for answers: content, and objects of the bucket as they lie. */
#ifndef API_HTTP_CONTENT_SOURCE_H
#define API_HTTP_CONTENT_SOURCE_H

#include "api/http/request.h"

/* Takes the reader over. */
struct source content_source(struct content_reader *);
/* The object under `key`, whose size is known. */
struct source object_source(struct store *, const char *key, uint64_t size);

#endif
