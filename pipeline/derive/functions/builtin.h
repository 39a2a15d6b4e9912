/* The functions that every forge has; what each does is said where it is defined. */
#ifndef PIPELINE_DERIVE_FUNCTIONS_BUILTIN_H
#define PIPELINE_DERIVE_FUNCTIONS_BUILTIN_H

#include "pipeline/derive/function.h"

/* fn_pieces.c: put together of parts of their inputs */
extern const struct function fn_identity, fn_concat, fn_slice, fn_repeat;
/* fn_bytes.c: byte by byte */
extern const struct function fn_uppercase, fn_lowercase, fn_reverse, fn_length;
/* fn_digest.c */
extern const struct function fn_sha256, fn_xxh3;
/* fn_spell.c: bytes spelled as text, and back */
extern const struct function fn_hex_encode, fn_hex_decode, fn_base64_encode, fn_base64_decode;

#endif
