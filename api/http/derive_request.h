/* A request for what an address comes to: what its handlers share. */
#ifndef API_HTTP_DERIVE_REQUEST_H
#define API_HTTP_DERIVE_REQUEST_H

#include "api/http/request.h"
#include "api/service/service_derive.h"

struct derive_request {
    struct request *r; /* set by the caller */
    struct hash address;
    struct derive_ask ask;
    unsigned parts; /* how often a part of the result was asked for */
    unsigned tries; /* how often it was asked for again, for what came was damaged */
};

/* The address in the URL, ?verify= and ?wait=, the server's own where they are not there.
 * False: one of them is wrong, and the answer says so. */
bool derive_request_read(struct derive_request *);
/* Asks the service; the request is suspended. */
void derive_request_begin(struct derive_request *, derive_answer_fn next, void *arg);
/* Answers for what went wrong and for what is not there yet; else true, and the answer is to be
 * made of what was derived. */
bool derive_answer_begin(struct request *, const struct derive_answer *);
/* The numbers of a get that goes on, as fields. */
void derive_progress_to_json(struct json_writer *, const struct get_progress *);

#endif
