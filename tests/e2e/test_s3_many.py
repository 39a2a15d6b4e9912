#!/usr/bin/env python3
"""Several fronts and landers on a bucket of a real S3 server."""

import forge
import test_many

if __name__ == "__main__":
    forge.main(test_many.TESTS, lambda _: forge.s3_place())
