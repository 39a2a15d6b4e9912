/* Brings the contents that landings name into the repository, each once. */
#ifndef API_GIT_EXPORT_CONTENTS_H
#define API_GIT_EXPORT_CONTENTS_H

#include "api/git/content_oids.h"
#include "api/git/landings.h"
#include "api/git/pack_out.h"

struct export_contents {
    struct client *client;
    struct id16 project;
    struct range_source *source;
    struct pack_out *pack;
    struct git_report *report;
    struct content_oids oids;
    unsigned workers;
};

/* All that the views of one batch's landings write; `tree` is their tree object. */
int export_contents_bring(struct export_contents *, const struct hash *tree,
                          const struct session_view *views, size_t n) MUST_USE;

#endif
