/* Every size that comes from outside meets one of these before memory is spent on it. */
#ifndef FORMATS_BASE_LIMITS_H
#define FORMATS_BASE_LIMITS_H

#define KIB 1024u
#define MIB (1024u * 1024u)

/* Paths. */
#define PATH_LEN_MAX   4096u
#define NAME_LEN_MAX   255u
#define PATH_DEPTH_MAX 2048u /* a path of 4,096 bytes has at most this many components */

/* Content. */
#define INLINE_CONTENT_MAX  (64u * KIB)  /* larger content is uploaded first */
#define CHUNK_SIZE_DEFAULT  MIB          /* of a bucket; larger content has a manifest */
#define CONTENT_SIZE_MAX    (1ull << 46) /* 64 TiB a file */
#define CHUNK_SIZE_MIN      (64u * KIB)
#define CHUNK_SIZE_MAX      (64u * MIB)
#define MANIFEST_CHUNKS_MAX (1u << 26)

/* Sessions and requests. */
/* An open session's records, encoded. Several fronts may accept a request at once that each of
 * them finds to fit: a drain folds up to RECORDS_MAX / 2. */
#define SESSION_OPEN_MAX     (64u * MIB)
#define SESSION_INLINE_MAX   MIB         /* inline content that an open session may hold */
#define REQUEST_MAX          (32u * MIB) /* one request's body */
#define SESSION_RECORDS_MAX  1000000u
#define SERIES_MAX           100000u /* sessions that one land names */
#define KEY_LEN_MAX          255u    /* a client's own key for a record or session */
#define GOAL_LEN_MAX         (64u * KIB)
#define TEXT_LEN_MAX         (1u * MIB) /* a decision, a turn of a conversation */
#define AUTHOR_LEN_MAX       255u
#define ROLE_LEN_MAX         64u
#define ATTR_NAME_MAX        64u
#define CONFLICTS_LISTED_MAX 1000u /* conflicts that one answer names; it counts all */

/* Objects. */
#define QUEUE_OBJECT_MAX  (96u * MIB)
#define TREE_CONTENTS_MAX (64u * MIB) /* of a landing batch */
#define TREE_OBJECT_MAX   (1u << 30)
#define FOOTER_MAX        (64u * KIB)
#define COMPANIONS_MAX    ((FOOTER_MAX - 2u * KIB) / 32u) /* fit into a footer beside all else */
#define RECORDS_MAX       (512u * MIB) /* the records section of a tree object */
#define LOG_SEGMENT_MAX   (512u * MIB)
#define ROLLUP_MAX        (96u * MIB)
#define HANDLE_LEN_MAX    100u
#define SHARDS_MAX        65536u /* what four hex digits in a key can name */
#define DERIVE_OBJECT_MAX (96u * MIB)
#define DERIVE_ITEMS_MAX  1000000u
#define DERIVE_CHUNKS_MAX 1024u /* that one item of it tells of */
#define DERIVE_HEAD_MAX   MIB   /* of a segment of the derive log */

/* Pages: sizes count the canonical fields only (names, kinds, modes, sizes, hashes). */
#define PAGE_TARGET     (64u * KIB)
#define PAGE_CUT_OVER   (256u * KIB)
#define PAGE_LEAST      (4u * KIB)
#define PAGE_LEVELS_MAX 8u
#define PAGE_BYTES_MAX  (4u * MIB) /* encoded, with stamps and locations */

/* Recipes. */
#define FUNCTION_NAME_MAX     64u /* also of versions and of parameters' names */
#define RECIPE_INPUTS_MAX     (1u << 20)
#define RECIPE_LEN_MAX        (64u * MIB) /* in canonical bytes */
#define RECIPE_PARAMETERS_MAX 1024u
#define PARAMETER_LEN_MAX     (64u * KIB)
#define RESULT_SIZE_MAX       (1ull << 40) /* of a function's result */
#define FUNCTION_LINE_MAX     (64u * MIB)
#define FUNCTION_LINES_MAX    (16u * MIB)  /* that are kept at once */
#define FUNCTION_FIELDS_MAX   (1u << 20)   /* of one row */
#define FUNCTION_WHOLE_MAX    (256u * MIB) /* an input that a function needs in one piece */
#define FUNCTION_JSON_MAX     (1u << 30)   /* memory of a JSON value, as estimated */
#define FUNCTION_VIEWS_MAX    64u          /* inputs that a function looks at in turns */
#define GET_NODES_MAX         (1u << 23)   /* recipes, leaves and trees below one address */
#define GET_GRAPH_MAX         (4ull << 30) /* memory of these */

#define FUNCTION_EXTENSIONS_MAX 10000u /* that tree.stat tells apart */
/* References: what is looked at before one is bound. */
#define REF_WALK_MAX  (4u * MIB) /* recipes and leaves below the address */
#define REF_READS_MAX 10000u     /* refs among them */

/* Time. */
#define CLOCK_SKEW_MAX_MS 30000u
#define LEASE_MS_MAX      600000u

#endif
