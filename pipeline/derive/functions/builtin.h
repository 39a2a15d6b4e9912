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
/* fn_zstd.c, fn_gzip.c */
extern const struct function fn_zstd_compress, fn_zstd_decompress;
extern const struct function fn_gzip_compress, fn_gzip_decompress;
/* fn_lines.c, fn_sort.c, fn_grep.c: text, line by line */
extern const struct function fn_lines_uniq, fn_lines_head, fn_lines_tail, fn_lines_count;
extern const struct function fn_lines_sort;
extern const struct function fn_lines_grep;
/* fn_json.c */
extern const struct function fn_json_get, fn_json_canonicalize;
/* fn_csv.c */
extern const struct function fn_csv_columns;
/* fn_text_diff.c */
extern const struct function fn_text_diff;
/* fn_archive.c, fn_tree_diff.c, fn_tree_list.c, fn_search.c, fn_stat.c: of trees */
extern const struct function fn_tree_archive, fn_tree_diff, fn_tree_list, fn_tree_search,
    fn_tree_stat;

#endif
