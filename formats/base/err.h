/* What can go wrong, in the words that a caller can decide on. Functions return 0 or one of
 * these. */
#ifndef FORMATS_BASE_ERR_H
#define FORMATS_BASE_ERR_H

enum err {
    OK = 0,
    ERR_NOT_FOUND = -1, /* there is no such thing */
    ERR_CONFLICT = -2,  /* a condition did not hold */
    ERR_CORRUPT = -3,   /* bytes that are not what their name, checksum or parent says */
    ERR_INVALID = -4,   /* the caller's input is wrong */
    ERR_LIMIT = -5,     /* a named limit is exceeded */
    ERR_DENIED = -6,    /* the caller may not */
    ERR_AGAIN = -7,     /* it did not happen; try later */
    ERR_UNKNOWN = -8,   /* it may have happened */
};

/* A stable word for `err`, such as "not_found"; "ok" for 0. Never NULL. */
const char *err_name(int err);

#endif
