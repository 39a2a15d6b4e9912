#include "formats/base/err.h"

const char *err_name(int err)
{
    switch (err) {
    case OK:
        return "ok";
    case ERR_NOT_FOUND:
        return "not_found";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_CORRUPT:
        return "corrupt";
    case ERR_INVALID:
        return "invalid";
    case ERR_LIMIT:
        return "limit";
    case ERR_DENIED:
        return "denied";
    case ERR_AGAIN:
        return "again";
    case ERR_UNKNOWN:
        return "unknown";
    }
    return "no_such_error";
}
