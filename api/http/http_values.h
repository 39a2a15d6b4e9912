/* Values in the header and the address of a request, read strictly. Pure: no connection, no
 * request. */
#ifndef API_HTTP_HTTP_VALUES_H
#define API_HTTP_HTTP_VALUES_H

#include "formats/base/types.h"

enum range_wish {
    RANGE_WISH_NONE, /* the whole */
    RANGE_WISH_PART,
    RANGE_WISH_BAD, /* cannot be satisfied */
};

/* One range of bytes out of `size`. Several ranges, other units and what is malformed are
 * passed over, as RFC 9110 allows; so is every range of nothing, for there is no other way to
 * give an empty part. `header` may be NULL. Offset and length are set in any case. */
enum range_wish range_parse(const char *header, uint64_t size, uint64_t *offset, uint64_t *len);

/* Whether a list as If-None-Match has it names `etag` (given without its quotes): weak
 * comparison, "*" is every one. `header` may be NULL. */
bool etag_listed(const char *header, const char *etag);
/* Whether If-Range lets a range of this content be given: strong comparison, so a date never
 * does. NULL: it does. */
bool etag_still(const char *header, const char *etag);

/* "30s", "500ms", "2": seconds without a unit. What does not fit is the greatest. False when it
 * is none of these. */
bool wait_parse(const char *text, uint64_t *ms);

/* Whether a media type, or a list of them as Accept has it, names `type` itself; parameters do
 * not count, but q=0 is a no. NULL names none. */
bool media_type_named(const char *header, const char *type);

/* Whether an address as it came over the wire has an encoded NUL, behind which the rest would
 * be lost. */
bool url_has_nul(const char *raw);

/* About how much memory the values of a JSON text take when it is read; never less than half of
 * it. The text need not be well-formed. */
uint64_t json_cost(struct bytes text);

/* The position that the window of the `most` newest positions up to `upto` begins behind. */
uint64_t log_window_before(uint64_t upto, uint64_t most);

#endif
