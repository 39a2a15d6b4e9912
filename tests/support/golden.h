/* Golden bytes: what the encoders of every format version give, kept under
 * tests/golden/{noun}.hex for ever. A test encodes a sample and checks it, reads the bytes
 * back, decodes and encodes them, and checks again.
 *
 * The folder is found from the root of the tree; MIC_GOLDEN_DIR names another. With
 * MIC_GOLDEN_WRITE=1 a check writes the file instead: for a new format or version only, never
 * to make a test pass. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include "formats/base/buf.h"
#include "formats/base/types.h"

/* Appends the bytes of {noun}.hex. The running test fails when there is no such file. */
void golden_read(const char *noun, struct buf *out);

/* The running test fails unless `actual` is what {noun}.hex has. */
void golden_check(const char *noun, struct bytes actual);

#endif
