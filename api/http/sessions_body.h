/* The whole sessions that a request brings in its body: as JSON, or as their bytes. */
#ifndef API_HTTP_SESSIONS_BODY_H
#define API_HTTP_SESSIONS_BODY_H

#include "api/http/request.h"
#include "api/http/session_json.h"

/* In the request's arena. False: the answer says why. */
bool sessions_body(struct request *, enum json_purpose, struct session **out, size_t *n);

#endif
