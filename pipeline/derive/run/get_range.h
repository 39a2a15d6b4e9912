/* Sizes and ranges of results, found without making the whole, where the functions on the way
 * put their results together of parts of their inputs. */
#ifndef PIPELINE_DERIVE_RUN_GET_RANGE_H
#define PIPELINE_DERIVE_RUN_GET_RANGE_H

#include "pipeline/derive/run/executor_inside.h"

void get_range_begin(struct get *);
/* Whether all is there; else what is missing was asked for. */
bool get_range_complete(struct get *);
/* Of a turn's list: a node's size is wanted; it is known. */
void get_range_size(struct get *, struct node *);
void get_range_sized(struct get *, struct node *);
/* A node's content became known, or its bytes came. */
void get_range_arrived(struct get *, struct node *);

/* The bytes at `offset` of the range. */
int get_range_view(struct get *, uint64_t offset, struct bytes *out) MUST_USE;
void get_range_close(struct get *);

#endif
