/* Ranges of a project's tree objects over HTTP, several at a time. */
#ifndef API_CLIENT_CLIENT_RANGE_H
#define API_CLIENT_CLIENT_RANGE_H

#include "api/client/client.h"
#include "api/client/range.h"

struct client_ranges {
    struct range_source source;
    struct client *client;
    struct id16 project;
    unsigned parallel;
};

/* The client must outlive it; its problem is filled in when a read fails. */
void client_ranges_init(struct client_ranges *, struct client *, const struct id16 *project);

#endif
